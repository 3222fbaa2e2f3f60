/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Order: life of the core, dispatch of messages, and the steps tried after every event.
 *
 * Must never: look at a clock, block, or emit an action for a decision that a later step of the same call
 * could take back.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/order_impl.h"
#include "lib/err.h"

static const u64 HEARTBEAT_DEFAULT = 500000000ull, OPEN_WAIT_DEFAULT = 300000000ull;

/* --- actions --------------------------------------------------------------------------------------- */

struct order_action *order_act(struct order *o, enum order_action_type type)
{
	struct order_action *a;

	assert(o->n_act < ORDER_ACTIONS);
	a = &o->act[o->n_act++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	return a;
}

union order_body *order_send(struct order *o, u16 type, u32 leader)
{
	struct order_action *a = order_act(o, ORDER_SEND);
	union order_body *b;

	assert(o->n_body < ORDER_BODIES_N);
	b = &o->body[o->n_body++];
	memset(b, 0, sizeof(*b));
	a->u.send.type = type;
	a->u.send.prio = GCS_URGENT;
	a->u.send.body = b;
	a->u.send.leader = leader;
	return b;
}

void order_alarm(struct order *o, u32 nid, const char *text)
{
	struct order_action *a;

	if (o->n_act >= ORDER_ACTIONS - 32) /* alarms never crowd out what must be done */
		return;
	a = order_act(o, ORDER_ALARM);
	a->u.alarm.text = text;
	a->u.alarm.nid = nid;
}

void order_halt(struct order *o, const char *why)
{
	if (o->halted)
		return;
	o->halted = true;
	order_alarm(o, o->leader, why);
	order_act(o, ORDER_HALT);
}

void order_want(struct order *o, u64 at)
{
	if (!o->wake || at < o->wake)
		o->wake = MAX(at, 1);
}

bool order_may_send(const struct order *o)
{
	return o->view_on && o->view.quorate && !o->halted && !o->mute;
}

/* --- one call -------------------------------------------------------------------------------------- */

static void step_begin(struct order *o, u64 now)
{
	o->now = MAX(now, o->now);
	o->n_act = 0;
	o->n_body = 0;
	o->stepped = false;
	o->sets_known = false;
}

static void beat_settle(struct order *o)
{
	if (!o->view_on || o->mute || o->halted)
		return;
	if (o->now >= o->beat_at) {
		union order_body *b = order_send(o, MSG_HEARTBEAT, 0);

		b->heartbeat.n = lease_sent(&o->lease, o->now);
		b->heartbeat.commit = o->commit;
		o->beat_at = o->now + o->beat_ns;
	}
	order_want(o, o->beat_at);
}

static void role_settle(struct order *o)
{
	bool led = o->opened && o->term_index && o->commit >= o->term_index;
	u32 nid = led ? o->leader : 0;
	u64 term = led ? o->term : 0;
	bool active = led && o->cfg.role == ROLE_SERVER && nid == o->cfg.nid && !o->mute && !o->halted;
	struct order_action *a;

	if (active == o->role_active && term == o->role_term && nid == o->role_nid)
		return;
	o->role_active = active;
	o->role_term = term;
	o->role_nid = nid;
	a = order_act(o, ORDER_ROLE);
	a->u.role.active = active;
	a->u.role.term = term;
	a->u.role.active_nid = nid;
}

/* Each decides from the state alone whether its thing is due. What asks env about the log waits for the next
 * call when the end of the log moved in this one; order_appended() always follows. */
static void step_end(struct order *o, struct order_actions *ret)
{
	o->wake = 0;
	if (!o->halted) {
		order_log_settle(o);
		if (!o->stepped) {
			order_view_settle(o);
			order_term_settle(o);
			order_commit_settle(o);
		}
		order_catch_settle(o);
	}
	role_settle(o);
	beat_settle(o);
	/* What was due and could not be done must name a later time: else ticks would never end. */
	assert(!o->wake || o->wake > o->now || o->n_act);
	ret->v = o->act;
	ret->n = o->n_act;
}

/* --- life ------------------------------------------------------------------------------------------ */

struct order *order_new(const struct order_config *cfg, const struct order_env *env)
{
	struct order *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	assert(cfg->role == ROLE_MANAGER || cfg->role == ROLE_SERVER);
	assert(cfg->commit <= cfg->tail_index);
	o->cfg = *cfg;
	o->env = *env;
	if (!o->cfg.heartbeat_ns)
		o->cfg.heartbeat_ns = HEARTBEAT_DEFAULT;
	if (!o->cfg.open_wait_ns)
		o->cfg.open_wait_ns = OPEN_WAIT_DEFAULT;
	o->stale = cfg->stale_disk;
	o->promised = o->promised_durable = o->promise_asked = cfg->promised;
	order_log_init(o);
	return o;
}

void order_free(struct order *o)
{
	free(o);
}

/* --- events ---------------------------------------------------------------------------------------- */

void order_view(struct order *o, u64 now, const struct gcs_view *v, struct order_actions *ret)
{
	step_begin(o, now);
	order_view_begin(o, v);
	step_end(o, ret);
}

void order_stop(struct order *o, u64 now, struct order_actions *ret)
{
	step_begin(o, now);
	o->halted = true;
	step_end(o, ret);
}

void order_quorum(struct order *o, u64 now, const struct gcs_view *v, struct order_actions *ret)
{
	step_begin(o, now);
	if (o->view_on) {
		o->view.quorate = v->quorate;
		o->view.expected = v->expected;
		o->view.total = v->total;
	}
	step_end(o, ret);
}

void order_lost(struct order *o, u64 now, struct order_actions *ret)
{
	step_begin(o, now);
	order_view_end(o);
	step_end(o, ret);
}

void order_recheck(struct order *o, u64 now, struct order_actions *ret)
{
	step_begin(o, now);
	step_end(o, ret);
}

static void on_hello(struct order *o, struct peer *p, const void *body)
{
	(void)o, (void)p, (void)body; /* presence is noted for every message */
}

static void on_heartbeat(struct order *o, struct peer *p, const void *body)
{
	const struct body_heartbeat *b = body;

	p->told = MAX(p->told, b->commit);
	if (o->opened && p->role == ROLE_MANAGER && b->commit > o->tail.index)
		o->want = MAX(o->want, b->commit); /* we missed something, and nothing new comes to tell us */
	if (p->nid == o->cfg.nid && p->role == o->cfg.role)
		lease_returned(&o->lease, b->n);
}

static void on_state(struct order *o, struct peer *p, const void *body)
{
	order_view_state(o, p, body);
}

static void on_open(struct order *o, struct peer *p, const void *body)
{
	order_view_open(o, p, body);
}

static void on_openack(struct order *o, struct peer *p, const void *body)
{
	order_view_openack(o, p, body);
}

static void on_entry(struct order *o, struct peer *p, const void *body)
{
	order_catch_entry(o, p, body);
}

static void on_ack(struct order *o, struct peer *p, const void *body)
{
	order_commit_ack(o, p, body);
}

static void on_yield(struct order *o, struct peer *p, const void *body)
{
	order_view_yield(o, p, body);
}

static const struct {
	enum msg_role role; /* who may, in order's eyes */
	void (*fn)(struct order *o, struct peer *p, const void *body);
} message_table[] = {
	[MSG_HELLO] = { ROLE_MANAGER | ROLE_SERVER, on_hello },
	[MSG_HEARTBEAT] = { ROLE_MANAGER | ROLE_SERVER, on_heartbeat },
	[MSG_STATE] = { ROLE_MANAGER, on_state },
	[MSG_OPEN] = { ROLE_MANAGER, on_open },
	[MSG_OPENACK] = { ROLE_MANAGER, on_openack },
	[MSG_ENTRY] = { ROLE_SERVER, on_entry },
	[MSG_ACK] = { ROLE_MANAGER, on_ack },
	[MSG_YIELD] = { ROLE_SERVER, on_yield },
};

void order_message(struct order *o, u64 now, struct gcs_member from, u32 nid, enum msg_role role, u16 type,
		   const void *body, struct order_actions *ret)
{
	struct peer *p;

	step_begin(o, now);
	p = o->view_on ? order_peer_at(o, from) : NULL;
	if (p && nid && !o->halted) {
		if (p->nid && (p->nid != nid || p->role != role))
			order_alarm(o, nid, "two identities on one member of the ring");
		else {
			order_view_heard(o, p, nid, role);
			if (type < ARRAY_SIZE(message_table) && message_table[type].fn && (message_table[type].role & role))
				message_table[type].fn(o, p, body);
		}
	}
	step_end(o, ret);
}

void order_tick(struct order *o, u64 now, struct order_actions *ret)
{
	step_begin(o, now);
	step_end(o, ret);
}

u64 order_next_tick(const struct order *o)
{
	return o->wake;
}

void order_promised(struct order *o, u64 now, u64 term, struct order_actions *ret)
{
	step_begin(o, now);
	assert(term <= o->promised || term <= o->promise_asked);
	o->promised_durable = MAX(o->promised_durable, term);
	o->promised = MAX(o->promised, term);
	step_end(o, ret);
}

void order_appended(struct order *o, u64 now, u64 index, struct order_actions *ret)
{
	step_begin(o, now);
	order_log_appended(o, index);
	step_end(o, ret);
}

void order_log_failed(struct order *o, u64 now, int code, struct order_actions *ret)
{
	step_begin(o, now);
	order_alarm(o, o->cfg.nid, code == -DSI_ENOSPC ? "no space for the log: changes refused" : "log cannot be written");
	order_log_fail(o);
	step_end(o, ret);
}

void order_fetched(struct order *o, u64 now, u32 nid, const struct blob *entries, u32 n, struct order_actions *ret)
{
	step_begin(o, now);
	if (!o->halted)
		order_catch_fetched(o, nid, entries, n);
	step_end(o, ret);
}

void order_bodies_ready(struct order *o, u64 now, u64 index, bool ok, struct order_actions *ret)
{
	step_begin(o, now);
	order_log_bodies_ready(o, index, ok);
	step_end(o, ret);
}

/* --- status ---------------------------------------------------------------------------------------- */

static u32 status_phase(const struct order *o)
{
	if (!o->view_on)
		return ORDER_DOWN;
	if (!o->opened)
		return o->state_sent ? ORDER_OPENING : ORDER_WAITING;
	return o->term_index || (o->usable && !o->leader) ? ORDER_OPEN : ORDER_PROMISED;
}

static void note_nid(u32 *list, u32 *n, u32 nid)
{
	for (u32 i = 0; i < *n; i++)
		if (list[i] == nid)
			return;
	if (*n < LIM_NODES)
		list[(*n)++] = nid;
}

void order_status(const struct order *o, u64 now, struct order_status *ret)
{
	struct order *m = (struct order *)(uintptr_t)o; /* the cache of voter sets is no state */
	const struct order_voters *sets;
	u32 n_sets;

	memset(ret, 0, sizeof(*ret));
	ret->phase = status_phase(o);
	ret->term = o->opened ? o->term : 0;
	ret->promised = o->promised_durable;
	ret->tail = o->tail.index;
	ret->commit = o->commit;
	ret->active_nid = o->role_nid;
	ret->stale_disk = o->stale;
	ret->halted = o->halted;
	ret->live = o->view_on && o->usable && lease_holds(&o->lease, now) && !o->halted;
	ret->lease_until = ret->live ? lease_trust_until(&o->lease) : 0;
	m->sets_known = false;
	ret->voter_change = order_quorum_change(m);
	sets = order_quorum_sets(m, &n_sets);
	if (n_sets) {
		ret->voters = sets[n_sets - 1].n;
		ret->majority = ret->voters / 2 + 1;
		for (u32 i = 0; i < ret->voters; i++)
			ret->voters_present += order_peer_of(m, sets[n_sets - 1].nid[i], ROLE_MANAGER) != NULL;
	}
	for (u32 i = 0; o->view_on && i < o->view.n; i++) {
		if (o->peers[i].nid && o->peers[i].role == ROLE_MANAGER)
			note_nid(ret->present_nid, &ret->present_n, o->peers[i].nid);
		else if (o->peers[i].nid)
			note_nid(ret->server_nid, &ret->server_n, o->peers[i].nid);
	}
}

void promise_encode(const u8 cluster[16], u32 generation, const struct gcs_ring *ring, u64 term, u32 nid,
		    u32 leader, u8 ret[PROMISE_BYTES])
{
	struct wbuf w;

	wbuf_fixed(&w, ret, PROMISE_BYTES);
	wbuf_bytes(&w, "DSIP", 4);
	wbuf_bytes(&w, cluster, 16);
	wbuf_u32(&w, generation);
	wbuf_u32(&w, ring->nodeid);
	wbuf_u64(&w, ring->seq);
	wbuf_u64(&w, term);
	wbuf_u32(&w, nid);
	wbuf_u32(&w, leader);
	assert(wbuf_ok(&w) && w.len == PROMISE_BYTES);
}
