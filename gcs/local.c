/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One node, no daemon. Must never call back from inside a call. */
#include "gcs/local.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum { PRIOS = 3, BATCH = 64 };

struct queued {
	STAILQ_ENTRY(queued) next;
	size_t n;
	u8 p[];
};

struct local {
	struct gcs_backend b;
	const struct gcs_events *events;
	void *ctx;
	struct loop_timer *turn; /* cancellable, which a deferred call is not */
	bool in_view;
	u64 seq;
	STAILQ_HEAD(, queued) queue[PRIOS];
	u32 n_queued;
};

static struct local *of(struct gcs_backend *b)
{
	return container_of(b, struct local, b);
}

static struct queued *take(struct local *x)
{
	for (int i = 0; i < PRIOS; i++) {
		struct queued *m = STAILQ_FIRST(&x->queue[i]);

		if (m) {
			STAILQ_REMOVE_HEAD(&x->queue[i], next);
			x->n_queued--;
			return m;
		}
	}
	return NULL;
}

static void open_view(struct local *x)
{
	const struct gcs_view v = {
		.ring = { .nodeid = x->b.self.nodeid, .seq = x->seq },
		.quorate = true,
		.expected = 1,
		.total = 1,
		.token_ns = 1000000000,
		.consensus_ns = 1200000000,
		.n = 1,
		.members = { x->b.self },
	};

	x->in_view = true;
	x->events->view(x->ctx, &v);
}

static void on_turn(void *ctx)
{
	struct local *x = ctx;
	struct queued *m;

	if (!x->in_view)
		open_view(x);
	for (int i = 0; i < BATCH && (m = take(x)); i++) {
		x->events->deliver(x->ctx, x->b.self, m->p, m->n);
		free(m);
	}
	if (x->n_queued && !loop_timer_active(x->turn))
		loop_timer_set(x->turn, 1);
}

static int local_send(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	struct local *x = of(b);
	struct queued *m;

	if (n > LIM_RING_MSG || (unsigned)prio >= PRIOS)
		return -DSI_ELIMIT;
	if (!x->in_view)
		return -DSI_ENOTCONN;
	if (x->n_queued >= LIM_QUEUE)
		return -DSI_EAGAIN;
	m = malloc(sizeof(*m) + n);
	if (!m)
		return -DSI_EAGAIN;
	m->n = n;
	memcpy(m->p, p, n);
	STAILQ_INSERT_TAIL(&x->queue[prio], m, next);
	x->n_queued++;
	if (!loop_timer_active(x->turn))
		loop_timer_set(x->turn, 1);
	return 0;
}

static void local_free(struct gcs_backend *b)
{
	struct local *x = of(b);
	struct queued *m;

	while ((m = take(x)))
		free(m);
	loop_timer_free(x->turn);
	free(x);
}

static void local_again(struct gcs_backend *b)
{
	struct local *x = of(b);
	struct queued *m;

	while ((m = take(x)))
		free(m);
	x->in_view = false;
	x->seq++;
	loop_timer_set(x->turn, 1);
}

int local_new(struct gcs_backend **ret, struct loop *l, const struct gcs_events *events, void *ctx)
{
	struct local *x = calloc(1, sizeof(*x));

	if (!x)
		return -DSI_ENOMEM;
	for (int i = 0; i < PRIOS; i++)
		STAILQ_INIT(&x->queue[i]);
	x->b.send = local_send;
	x->b.free = local_free;
	x->b.again = local_again;
	x->b.self = (struct gcs_member){ .nodeid = 1, .pid = (u32)getpid() };
	x->events = events;
	x->ctx = ctx;
	x->seq = loop_wall_ms(); /* another start, another ring */
	x->turn = loop_timer_new(l, on_turn, x);
	if (!x->turn) {
		free(x);
		return -DSI_ENOMEM;
	}
	loop_timer_set(x->turn, 1);
	*ret = &x->b;
	return 0;
}
