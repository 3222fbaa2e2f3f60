/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots (a kind of service each) with generations (an instance each); one of a slot is current at most. */
#include "dsid/builtin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

enum { SLOTS = 8, GENS = 4 };
static const u64 LOOK_NS = 1000000000ull, PAUSE_FIRST_NS = 1000000000ull, PAUSE_MOST_NS = 300000000000ull;

struct slot;
struct gen {
	struct slot *slot; /* NULL: free */
	void *instance;
	reg_conn conn;
};
struct slot {
	struct builtins *b;
	const struct service_ops *ops;
	struct gen gen[GENS];
	struct gen *current; /* NULL: stopped, or waits to be started */
	u32 restarts;
	u64 retry_at, pause; /* boottime ns, ns; retry_at 0: nothing to start */
	int health;
	char why[128];
	bool stopped;
};
struct builtins {
	struct loop *loop;
	struct service *service;
	void *env;
	struct loop_timer *timer;
	struct slot slot[SLOTS];
	u32 n;
};

static void gen_end(struct gen *g)
{
	struct slot *s = g->slot;

	if (s->current == g)
		s->current = NULL;
	s->ops->stop(g->instance);
	memset(g, 0, sizeof(*g));
}

/* What the registry says to a provider. */
static void on_frame(void *ctx, const struct svc_frame *f)
{
	struct gen *g = ctx;
	struct service *service = g->slot->b->service;

	if (!f) /* its time is over, or its last answer is out */
		gen_end(g);
	else if (f->type == SVC_REQUEST)
		g->slot->ops->request(g->instance, &(struct service_call){ .s = service, .at = g->conn, .ticket = f->id, .caller = f->task,
									   .data = f->data, .len = f->len });
}

static int gen_start(struct slot *s)
{
	struct builtins *b = s->b;
	struct gen *g = NULL;
	int rc;

	for (u32 i = 0; i < GENS && !g; i++)
		if (!s->gen[i].slot)
			g = &s->gen[i];
	if (!g)
		return -DSI_EAGAIN;
	rc = s->ops->start(b->env, &g->instance);
	if (rc)
		return rc;
	g->slot = s;
	rc = service_local_announce(b->service, s->ops->name, DSI_VERSION, s->ops->api, s->ops->caps, on_frame, g, &g->conn);
	if (rc) {
		gen_end(g);
		return rc;
	}
	s->current = g;
	s->retry_at = 0;
	s->stopped = false;
	s->health = 0;
	s->why[0] = '\0';
	return 0;
}

static void retry_later(struct slot *s, u64 now)
{
	s->pause = s->pause ? MIN(s->pause * 2, PAUSE_MOST_NS) : PAUSE_FIRST_NS;
	s->retry_at = now + s->pause;
}

/* Ended at once: what it had waits for the next instance. */
static void current_end(struct slot *s)
{
	struct gen *g = s->current;

	if (!g)
		return;
	service_local_gone(s->b->service, g->conn);
	gen_end(g);
}

static void look(struct slot *s, u64 now)
{
	int health;

	if (s->current) {
		s->why[0] = '\0';
		health = s->ops->health(s->current->instance, s->why, sizeof(s->why));
		if (health >= 0)
			s->pause = 0;
		else {
			log_warning("service %s is broken (%s): started again", s->ops->name, s->why[0] ? s->why : err_text(health));
			current_end(s);
			s->retry_at = now; /* at once the first time */
			if (s->pause)
				retry_later(s, now);
			else
				s->pause = PAUSE_FIRST_NS;
		}
		s->health = health;
	}
	if (s->retry_at && now >= s->retry_at) {
		int rc = gen_start(s);

		s->restarts += !rc;
		if (rc) {
			log_err("service %s does not start: %s", s->ops->name, err_text(rc));
			s->health = rc;
			retry_later(s, now);
		}
	}
}

static void on_look(void *ctx)
{
	struct builtins *b = ctx;

	for (u32 i = 0; i < b->n; i++)
		look(&b->slot[i], loop_now(b->loop));
	loop_timer_set(b->timer, LOOK_NS);
}

struct builtins *builtins_new(struct loop *l, struct service *s, void *env)
{
	struct builtins *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->loop = l;
	b->service = s;
	b->env = env;
	b->timer = loop_timer_new(l, on_look, b);
	if (!b->timer) {
		free(b);
		return NULL;
	}
	loop_timer_set(b->timer, LOOK_NS);
	return b;
}

void builtins_free(struct builtins *b)
{
	if (!b)
		return;
	for (u32 i = 0; i < b->n; i++)
		for (u32 k = 0; k < GENS; k++)
			if (b->slot[i].gen[k].slot) {
				service_local_gone(b->service, b->slot[i].gen[k].conn);
				gen_end(&b->slot[i].gen[k]);
			}
	loop_timer_free(b->timer);
	free(b);
}

int builtins_add(struct builtins *b, const struct service_ops *ops)
{
	struct slot *s;
	int rc;

	if (b->n == SLOTS)
		return -DSI_ELIMIT;
	s = &b->slot[b->n++];
	s->b = b;
	s->ops = ops;
	rc = gen_start(s);
	if (rc) {
		log_err("service %s does not start: %s", ops->name, err_text(rc));
		s->health = rc;
		retry_later(s, loop_now(b->loop));
	}
	return 0;
}

static struct slot *named(struct builtins *b, const char *name)
{
	for (u32 i = 0; i < b->n; i++)
		if (!strcmp(b->slot[i].ops->name, name))
			return &b->slot[i];
	return NULL;
}

int builtins_replace(struct builtins *b, const char *name)
{
	struct slot *s = named(b, name);

	return s ? gen_start(s) : -DSI_ENOENT;
}

int builtins_restart(struct builtins *b, const char *name)
{
	struct slot *s = named(b, name);
	int rc;

	if (!s)
		return -DSI_ENOENT;
	current_end(s);
	rc = gen_start(s);
	if (rc)
		retry_later(s, loop_now(b->loop));
	return rc;
}

int builtins_stop(struct builtins *b, const char *name)
{
	struct slot *s = named(b, name);

	if (!s)
		return -DSI_ENOENT;
	s->stopped = true;
	s->retry_at = 0;
	if (!s->current)
		return 0;
	s->current = NULL; /* it drains */
	return service_stop(b->service, name);
}

bool builtins_row(const struct builtins *b, u32 i, struct builtin_row *ret)
{
	const struct slot *s;

	if (i >= b->n)
		return false;
	s = &b->slot[i];
	*ret = (struct builtin_row){ .name = s->ops->name, .conn = s->current ? s->current->conn : 0, .health = s->health,
				     .restarts = s->restarts, .stopped = s->stopped };
	memcpy(ret->why, s->why, sizeof(ret->why));
	return true;
}
