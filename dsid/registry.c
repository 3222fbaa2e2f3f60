/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services and their requests. Two tables, both small and bounded: a scan is cheap, and nothing points into them. */
#include "dsid/registry.h"

#include <stdlib.h>
#include <string.h>

struct gen {
	reg_conn conn; /* 0: free */
	char name[LIM_NAME], version[SVC_TEXT];
	u32 api, caps, pid;
	struct reg_owner who;
	bool draining;
	u64 drop_at; /* when draining */
};
struct call {
	u32 ticket; /* id of its REQUEST; 0: free */
	reg_conn from, at; /* at: the provider that has it; 0: it waits for one */
	u32 id; /* the caller's */
	char name[LIM_NAME];
	u32 api, caps;
	struct svc_task task;
	u64 until;
	u8 *data;
	size_t len;
};
struct registry {
	struct gen gen[LIM_SERVICES];
	struct call call[LIM_SVC_CALLS];
	u32 ticket;
};

struct registry *registry_new(void)
{
	return calloc(1, sizeof(struct registry));
}

static void call_free(struct call *k)
{
	free(k->data);
	memset(k, 0, sizeof(*k));
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	for (u32 i = 0; i < LIM_SVC_CALLS; i++)
		call_free(&r->call[i]);
	free(r);
}

static struct svc_frame *act(struct reg_actions *ret, reg_conn to, u16 type, u32 id)
{
	struct reg_action *a;

	assert(ret->n < REG_ACTIONS);
	a = &ret->a[ret->n++];
	memset(a, 0, sizeof(*a));
	a->to = to;
	a->frame.type = type;
	a->frame.id = id;
	return &a->frame;
}

static struct gen *current(const struct registry *r, const char *name)
{
	for (u32 i = 0; i < LIM_SERVICES; i++)
		if (r->gen[i].conn && !r->gen[i].draining && !strcmp(r->gen[i].name, name))
			return (struct gen *)&r->gen[i];
	return NULL;
}

static struct gen *by_conn(struct registry *r, reg_conn c)
{
	for (u32 i = 0; i < LIM_SERVICES; i++)
		if (r->gen[i].conn == c)
			return &r->gen[i];
	return NULL;
}

static struct gen *gen_slot(struct registry *r)
{
	return by_conn(r, 0);
}

static u32 calls_at(const struct registry *r, reg_conn c)
{
	u32 n = 0;

	for (u32 i = 0; i < LIM_SVC_CALLS; i++)
		n += r->call[i].ticket && r->call[i].at == c;
	return n;
}

static bool serves(const struct gen *g, u32 api, u32 caps)
{
	return g->api >= api && (g->caps & caps) == caps;
}

static void hand(struct call *k, const struct gen *g, struct reg_actions *ret)
{
	struct svc_frame *f = act(ret, g->conn, SVC_REQUEST, k->ticket);

	f->task = k->task;
	f->data = k->data;
	f->len = k->len;
	k->at = g->conn;
}

/* A new current generation: what waited for the name goes to it, if it can do it. */
static void hand_waiting(struct registry *r, const struct gen *g, struct reg_actions *ret)
{
	for (u32 i = 0; i < LIM_SVC_CALLS; i++) {
		struct call *k = &r->call[i];

		if (k->ticket && !k->at && !strcmp(k->name, g->name) && serves(g, k->api, k->caps))
			hand(k, g, ret);
	}
}

static void drain(struct registry *r, struct gen *g, u64 now, struct reg_actions *ret)
{
	(void)act(ret, g->conn, SVC_DRAIN, 0);
	g->draining = true;
	g->drop_at = now + LIM_SVC_DRAIN_MS;
}

int registry_announce(struct registry *r, reg_conn c, const struct svc_frame *f, const struct reg_owner *who, u32 pid, u64 now,
		      struct reg_actions *ret)
{
	struct gen *old = current(r, f->name), *g = gen_slot(r);

	assert(c);
	ret->n = 0;
	if (by_conn(r, c) || (old && (old->who.sid != who->sid || old->who.uid != who->uid)))
		return -DSI_EEXIST;
	/* Requests that the old one was given may come back to the new one: it must be able to take them. */
	if (old && (f->api < old->api || (f->caps & old->caps) != old->caps))
		return -DSI_EVERSION;
	if (!g)
		return -DSI_ELIMIT;
	*g = (struct gen){ .conn = c, .api = f->api, .caps = f->caps, .pid = pid, .who = *who };
	memcpy(g->name, f->name, sizeof(g->name));
	memcpy(g->version, f->version, sizeof(g->version));
	(void)act(ret, c, SVC_ANNOUNCED, f->id);
	if (old)
		drain(r, old, now, ret);
	hand_waiting(r, g, ret);
	return 0;
}

int registry_call(struct registry *r, reg_conn c, const struct svc_frame *f, const struct svc_task *caller, u64 now,
		  struct reg_actions *ret)
{
	const struct gen *g = current(r, f->name);
	struct call *k = NULL;
	u32 mine = 0;
	u8 *data;

	ret->n = 0;
	if (!g)
		return -DSI_ENOENT;
	if (!serves(g, f->api, f->caps))
		return -DSI_EVERSION;
	for (u32 i = 0; i < LIM_SVC_CALLS; i++) {
		mine += r->call[i].ticket && r->call[i].from == c;
		if (!k && !r->call[i].ticket)
			k = &r->call[i];
	}
	if (mine >= LIM_SVC_EACH)
		return -DSI_ELIMIT;
	if (!k)
		return -DSI_EAGAIN;
	data = malloc(f->len ? f->len : 1);
	if (!data)
		return -DSI_ENOMEM;
	if (f->len)
		memcpy(data, f->data, f->len);
	if (!++r->ticket)
		r->ticket = 1;
	*k = (struct call){ .ticket = r->ticket, .from = c, .id = f->id, .api = f->api, .caps = f->caps, .task = *caller,
			    .until = now + LIM_SVC_WAIT_MS, .data = data, .len = f->len };
	memcpy(k->name, f->name, sizeof(k->name));
	hand(k, g, ret);
	return 0;
}

/* The last answer of one that drains is out: it has nothing more to do here. */
static void drained(struct registry *r, reg_conn c, struct reg_actions *ret)
{
	struct gen *g = by_conn(r, c);

	if (!g || !g->draining || calls_at(r, c))
		return;
	(void)act(ret, c, 0, 0);
	ret->a[ret->n - 1].drop = true;
	memset(g, 0, sizeof(*g));
}

int registry_answer(struct registry *r, reg_conn c, const struct svc_frame *f, struct reg_actions *ret)
{
	ret->n = 0;
	for (u32 i = 0; i < LIM_SVC_CALLS && f->id; i++) {
		struct call *k = &r->call[i];
		struct svc_frame *out;

		if (k->ticket != f->id || k->at != c)
			continue;
		if (k->from) { /* 0: its caller is gone */
			out = act(ret, k->from, SVC_RESULT, k->id);
			out->code = f->code;
			out->data = f->data;
			out->len = f->len;
		}
		call_free(k);
		drained(r, c, ret);
		return 0;
	}
	return -DSI_ENOENT;
}

int registry_stop(struct registry *r, const char *name, u64 now, struct reg_actions *ret)
{
	struct gen *g = current(r, name);

	ret->n = 0;
	if (!g)
		return -DSI_ENOENT;
	drain(r, g, now, ret);
	drained(r, g->conn, ret);
	return 0;
}

/* What a dead provider had: to the current generation, or waiting. Nobody's request ends with it. */
static void take_back(struct registry *r, reg_conn c, struct reg_actions *ret)
{
	for (u32 i = 0; i < LIM_SVC_CALLS; i++) {
		struct call *k = &r->call[i];
		const struct gen *g;

		if (!k->ticket || k->at != c)
			continue;
		k->at = 0;
		g = current(r, k->name);
		if (!k->from)
			call_free(k);
		else if (g && serves(g, k->api, k->caps))
			hand(k, g, ret);
	}
}

void registry_gone(struct registry *r, reg_conn c, u64 now, struct reg_actions *ret)
{
	struct gen *g = by_conn(r, c);

	ret->n = 0;
	for (u32 i = 0; i < LIM_SVC_CALLS; i++) {
		struct call *k = &r->call[i];

		if (!k->ticket || k->from != c)
			continue;
		k->from = 0; /* its provider still works on it: the answer is awaited, and thrown away */
		if (!k->at)
			call_free(k);
	}
	if (!g)
		return;
	memset(g, 0, sizeof(*g));
	take_back(r, c, ret);
}

void registry_tick(struct registry *r, u64 now, struct reg_actions *ret)
{
	ret->n = 0;
	for (u32 i = 0; i < LIM_SVC_CALLS; i++) {
		struct call *k = &r->call[i];

		if (!k->ticket || k->until > now)
			continue;
		if (k->from)
			act(ret, k->from, SVC_RESULT, k->id)->code = DSI_ETIMEDOUT;
		call_free(k);
	}
	for (u32 i = 0; i < LIM_SERVICES; i++) {
		struct gen *g = &r->gen[i];
		reg_conn c = g->conn;

		if (!c || !g->draining || (g->drop_at > now && calls_at(r, c)))
			continue;
		(void)act(ret, c, 0, 0);
		ret->a[ret->n - 1].drop = true;
		memset(g, 0, sizeof(*g));
		take_back(r, c, ret);
	}
}

u64 registry_next(const struct registry *r)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < LIM_SVC_CALLS; i++)
		if (r->call[i].ticket)
			next = MIN(next, r->call[i].until);
	for (u32 i = 0; i < LIM_SERVICES; i++)
		if (r->gen[i].conn && r->gen[i].draining)
			next = MIN(next, calls_at(r, r->gen[i].conn) ? r->gen[i].drop_at : 0);
	return next;
}

int registry_look(const struct registry *r, const char *name, struct svc_frame *ret)
{
	const struct gen *g = current(r, name);

	if (!g)
		return -DSI_ENOENT;
	*ret = (struct svc_frame){ .type = SVC_FOUND, .api = g->api, .caps = g->caps };
	memcpy(ret->version, g->version, sizeof(ret->version));
	return 0;
}

u32 registry_rows(const struct registry *r, struct reg_row ret[LIM_SERVICES])
{
	u32 n = 0;

	for (u32 i = 0; i < LIM_SERVICES; i++) {
		const struct gen *g = &r->gen[i];
		struct reg_row *row = &ret[n];

		if (!g->conn)
			continue;
		*row = (struct reg_row){ .api = g->api, .caps = g->caps, .pid = g->pid, .calls = calls_at(r, g->conn), .conn = g->conn,
					 .draining = g->draining };
		memcpy(row->name, g->name, sizeof(row->name));
		memcpy(row->version, g->version, sizeof(row->version));
		n++;
	}
	return n;
}
