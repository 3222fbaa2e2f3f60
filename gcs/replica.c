/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replica: carries out what order (the core) decides, and feeds it what happened.
 *
 * Must never: decide anything order or state should decide; apply an entry out of its order; call order
 * from inside the actions of an earlier call (events raised there wait: proposals are queued).
 * Invariant: state->applied is the highest index given to ops->applied, each index exactly once a generation.
 */
#include "gcs/replica_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fsutil.h"

enum { ARENA_LIMIT = 4 << 20, CLUSTER_FILE_MAX = ENTRY_MAX };

void replica_alarm(struct replica *r, u32 severity, const char *kind, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->ops->alarm)
		r->ops->alarm(r->ctx, severity, kind, text);
}

/* --- applying ------------------------------------------------------------------------------------------- */

static void after_apply(struct replica *r, const struct entry *e, const struct state_result *res)
{
	urgent_applied(r, e, res);
	if (r->direct && (res->changed & (CHANGED_NODES | CHANGED_VERDICT)))
		direct_recheck(r->direct);
	if (res->changed & (CHANGED_NODES | CHANGED_VERDICT | CHANGED_SERVERS))
		r->recheck = true;
	if (e->type == ENTRY_REFORM && !res->code)
		reform_applied(r, e->index);
	if (r->session && (res->changed & CHANGED_TERM))
		session_set_term(r->session, r->state->term);
}

static void take_group_key(struct replica *r, const struct entry *e, const struct state_result *res)
{
	bool tell = r->ops->verdict_key && e->type == ENTRY_VERDICT && !res->code && (res->changed & CHANGED_KEY);
	u32 nid = r->nid ? r->nid : replica_find_nid(r);
	u8 wrap[CRYPTO_WRAP], key[CRYPTO_KEY], info[64];
	size_t info_len;
	u32 keygen;

	if ((!r->session && !tell) || state_find_wrap(r->state, e, nid, r->cfg.role, &keygen, wrap, info, &info_len))
		return;
	if (keys_unwrap(r->cfg.keys, info, info_len, wrap, key))
		replica_alarm(r, 2, "key", "group key %u does not unwrap", keygen);
	else {
		if (r->session)
			session_key(r->session, keygen, key);
		if (tell)
			r->ops->verdict_key(r->ctx, e, key);
	}
	crypto_wipe(key, sizeof(key));
}

int replica_apply_to(struct replica *r, u64 index, bool live)
{
	while (r->state->applied < index) {
		struct state_result res = { 0 };
		struct entry e;
		size_t len;
		const u8 *p = log_entry(r->log, r->state->applied + 1, &len);
		u8 *copy = p ? malloc(len) : NULL;

		if (!copy)
			return -DSI_EIO;
		memcpy(copy, p, len);
		int rc = entry_decode(&e, copy, len);

		if (!rc) {
			rc = state_apply(r->state, &e, &res);
		}
		if (!rc) {
			if (e.type != ENTRY_REFORM) /* its date is root's, who may be far ahead */
				r->last_wall_ms = e.wall_ms;
			after_apply(r, &e, &res);
			take_group_key(r, &e, &res);
			if (r->ops->applied)
				r->ops->applied(r->ctx, &e, &res, live);
			agree_applied(r, &e, live);
		}
		free(copy);
		if (rc)
			return rc;
	}
	return 0;
}

/* --- actions --------------------------------------------------------------------------------------------- */

static void promise_sign(struct replica *r, struct body_openack *b, u32 leader, const struct gcs_ring *ring)
{
	u8 bytes[PROMISE_BYTES];

	promise_encode(r->state->cluster, r->state->generation, ring, b->term, r->nid, leader, bytes);
	if (keys_sign(r->cfg.keys, SIGN_PROMISE, bytes, sizeof(bytes), b->promise))
		memset(b->promise, 0, sizeof(b->promise));
}

static void on_promised(void *ctx, u64 term, int code)
{
	struct replica *r = ctx;
	struct order_actions acts;

	if (!code)
		r->boot.promised = MAX(r->boot.promised, term); /* goes back in no generation */
	if (!r->order)
		return;
	if (code)
		order_log_failed(r->order, loop_now(r->cfg.loop), code, &acts);
	else
		order_promised(r->order, loop_now(r->cfg.loop), term, &acts);
	replica_run(r, &acts);
}

static void on_appended(void *ctx, u64 index, int code)
{
	struct replica *r = ctx;
	struct order_actions acts;

	if (!r->order)
		return;
	if (code)
		order_log_failed(r->order, loop_now(r->cfg.loop), code, &acts);
	else
		order_appended(r->order, loop_now(r->cfg.loop), index, &acts);
	replica_run(r, &acts);
}

static void do_send(struct replica *r, const struct order_action *a)
{
	int rc;

	if (a->u.send.type == MSG_OPENACK)
		promise_sign(r, &a->u.send.body->openack, a->u.send.leader, &r->view_ring);
	rc = session_send(r->session, a->u.send.type, a->u.send.prio, a->u.send.body);
	if (rc && rc != -DSI_EAGAIN && rc != -DSI_ENOTCONN)
		replica_alarm(r, 2, "send", "message type %u not sent: %s", a->u.send.type, err_text(rc));
}

static void do_promise(struct replica *r, const struct order_action *a)
{
	if (log_promise(r->log, a->u.promise.term, on_promised, r))
		replica_alarm(r, 3, "log", "promise not queued");
}

static void do_append(struct replica *r, const struct order_action *a)
{
	if (log_append(r->log, a->u.append.index, a->u.append.p, a->u.append.n, on_appended, r))
		replica_alarm(r, 3, "log", "entry not queued");
}

static void do_delivered(struct replica *r, const struct order_action *a)
{
	urgent_delivered(r, a->u.delivered.p, a->u.delivered.n);
}

static void do_urgent(struct replica *r, const struct order_action *a)
{
	struct err e = { 0 };

	/* A STATE is one member's word: the statements in it are judged like everybody's. */
	replica_urgent(r, a->u.delivered.p, a->u.delivered.n, &e);
}

static void do_commit(struct replica *r, const struct order_action *a)
{
	u64 before = r->state->applied;
	int rc = replica_apply_to(r, a->u.commit.index, true);

	if (rc)
		replica_alarm(r, 3, "log", "entry %llu cannot be applied: %s", (unsigned long long)a->u.commit.index,
			      err_text(rc));
	prove_committed(r, before);
	log_commit_hint(r->log, r->state->applied);
}

static void do_role(struct replica *r, const struct order_action *a)
{
	if (r->ops->role)
		r->ops->role(r->ctx, a->u.role.active, a->u.role.term, a->u.role.active_nid);
}

static void do_fetch(struct replica *r, const struct order_action *a)
{
	learn_entries(r, a->u.fetch.nid, a->u.fetch.from, a->u.fetch.to);
}

static void do_bodies(struct replica *r, const struct order_action *a)
{
	learn_bodies(r, a->u.bodies.nid, a->u.bodies.index);
}

static void do_make_term(struct replica *r, const struct order_action *a)
{
	if (r->ops->make_term)
		r->ops->make_term(r->ctx, a->u.make_term.term, &a->u.make_term.ring, a->u.make_term.proofs, a->u.make_term.n);
}

static void do_alarm(struct replica *r, const struct order_action *a)
{
	replica_alarm(r, 2, "order", "%s (node %u)", a->u.alarm.text, a->u.alarm.nid);
}

static void do_halt(struct replica *r, const struct order_action *a)
{
	(void)a;
	replica_alarm(r, 3, "halt", "the log of the majority contradicts what this node knows committed; stopped");
}

static void do_relearnt(struct replica *r, const struct order_action *a)
{
	(void)a;
	log_meta_set(r->log, META_STALE, "", 0);
}

static void (*const action_table[])(struct replica *, const struct order_action *) = {
	[ORDER_SEND] = do_send,       [ORDER_PROMISE] = do_promise,     [ORDER_APPEND] = do_append,
	[ORDER_DELIVERED] = do_delivered, [ORDER_URGENT] = do_urgent,   [ORDER_COMMIT] = do_commit,
	[ORDER_ROLE] = do_role,       [ORDER_FETCH] = do_fetch,         [ORDER_BODIES] = do_bodies,
	[ORDER_MAKE_TERM] = do_make_term, [ORDER_ALARM] = do_alarm,     [ORDER_HALT] = do_halt, [ORDER_RELEARNT] = do_relearnt,
};

static void lease_changed(struct replica *r)
{
	struct order_status st;

	order_status(r->order, loop_now(r->cfg.loop), &st);
	if (r->ops->lease)
		r->ops->lease(r->ctx, st.live ? st.lease_until : 0);
}

void replica_arm(struct replica *r)
{
	u64 at = order_next_tick(r->order), now = loop_now(r->cfg.loop);

	if (at)
		loop_timer_set(r->tick, at > now ? at - now : 1);
}

void replica_run(struct replica *r, const struct order_actions *acts)
{
	assert(!r->stepping);
	r->stepping = true;
	for (u32 i = 0; i < acts->n; i++) {
		const struct order_action *a = &acts->v[i];

		assert(a->type < ARRAY_SIZE(action_table) && action_table[a->type]);
		action_table[a->type](r, a);
	}
	r->stepping = false;
	arena_fini(&r->arena);
	arena_init(&r->arena, ARENA_LIMIT);
	session_set_tail(r->session, log_tail(r->log));
	if (r->recheck) {
		struct order_actions more;

		r->recheck = false;
		order_recheck(r->order, loop_now(r->cfg.loop), &more);
		replica_run(r, &more);
		return;
	}
	replica_arm(r);
	lease_changed(r);
}

/* --- life ------------------------------------------------------------------------------------------------ */

static int load_genesis(struct replica *r, struct err *e)
{
	u8 *p;
	size_t n;
	int rc;

	if (log_tail(r->log))
		return 0;
	rc = fs_read_file(r->cfg.cluster, CLUSTER_FILE_MAX, &p, &n, e);
	if (rc)
		return err_wrap(e, "this node is in no cluster yet (dsi-admin init, or dsi-admin enroll)");
	rc = log_append(r->log, 1, p, n, NULL, NULL);
	free(p);
	return rc ? err_set(e, rc, "%s: cannot be stored", r->cfg.cluster) : 0;
}

/* Who are we? The log says, by our key. */
u32 replica_find_nid(const struct replica *r)
{
	const struct keyfile_pub *pub = &r->cfg.keys->pub;

	for (u32 i = 0; i < r->state->n_node; i++) {
		const struct state_node *n = &r->state->node[i];
		const u8 *key = r->cfg.role == ROLE_SERVER ? n->server_sign : n->sign;

		if (!memcmp(key, pub->sign, sizeof(pub->sign)))
			return n->nid;
	}
	return 0;
}

int replica_new(struct replica **ret, const struct replica_config *cfg, const struct replica_ops *ops, void *ctx,
		struct err *e)
{
	struct replica *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return err_set(e, -DSI_ENOMEM, "replica");
	r->cfg = *cfg;
	r->ops = ops;
	r->ctx = ctx;
	arena_init(&r->arena, ARENA_LIMIT);
	r->state = state_new();
	r->tick = loop_timer_new(cfg->loop, replica_tick, r);
	r->look_timer = loop_timer_new(cfg->loop, reform_look_next, r);
	if (!r->state || !r->tick || !r->look_timer) {
		rc = err_set(e, -DSI_ENOMEM, "replica");
		goto failed;
	}
	rc = log_open(&r->log, cfg->loop, cfg->dir, &r->boot, e);
	if (rc)
		goto failed;
	rc = load_genesis(r, e);
	if (rc)
		goto failed;
	*ret = r;
	return 0;
failed:
	replica_free(r);
	return rc;
}

int replica_start(struct replica *r, struct err *e)
{
	u64 known = MAX(MAX(r->boot.commit, r->boot.reform), 1); /* what root signed is committed by nature */
	int rc = jump_start(r, e);

	if (rc)
		return rc;
	rc = replica_apply_to(r, MIN(known, log_tail(r->log)), false);
	if (rc)
		return err_set(e, rc, "%s: log cannot be replayed", r->cfg.dir);
	if (!r->state->name[0])
		return err_set(e, -DSI_ESIG, "%s: entry 1 is not this cluster's root-signed record", r->cfg.cluster);
	rc = direct_new(&r->direct, r->cfg.loop, r->cfg.keys, r->cfg.listen, &replica_direct_ops, r, e);
	if (rc)
		return rc;
	reform_load(r);
	r->nid = replica_find_nid(r);
	return prove_start(r) || agree_start(r) || learn_start(r) ? err_set(e, -DSI_ENOMEM, "learning") : 0;
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	r->closing = true;
	direct_free(r->direct); /* ends the calls of learning, which must find their timer and fetches */
	learn_free(r);
	jump_free(r);
	snap_forget(r);
	reform_free(r);
	if (r->backend)
		r->backend->free(r->backend);
	session_free(r->session);
	order_free(r->order);
	prove_free(r);
	if (r->log)
		log_close(r->log);
	loop_timer_free(r->tick);
	loop_timer_free(r->agree_timer);
	state_free(r->state);
	arena_fini(&r->arena);
	urgent_free(r);
	propose_drop(r);
	free(r);
}

u32 replica_nid(const struct replica *r)
{
	return r->nid;
}

const struct state *replica_state(const struct replica *r)
{
	return r->state;
}

struct state *replica_state_ahead(struct replica *r)
{
	struct state *c = state_clone(r->state);
	u64 tail = log_tail(r->log);

	for (u64 i = r->state->applied + 1; c && i <= tail; i++) {
		struct entry e;
		size_t len;
		const u8 *p = log_entry(r->log, i, &len);

		if (!p || entry_decode(&e, p, len) || state_preview_apply(c, &e)) {
			state_free(c);
			return NULL;
		}
	}
	return c;
}

struct log *replica_log(struct replica *r)
{
	return r->log;
}

struct direct *replica_direct(struct replica *r)
{
	return r->direct;
}

const u64 *replica_refusals(const struct replica *r)
{
	static const u64 none[REFUSED_COUNT];

	return r->session ? session_refusals(r->session) : none;
}

void replica_status(const struct replica *r, struct order_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (r->order)
		order_status(r->order, loop_now(r->cfg.loop), ret);
	ret->halted |= r->halted;
}

bool replica_halted(const struct replica *r)
{
	return r->halted;
}

int replica_send(struct replica *r, u16 type, enum gcs_prio prio, const void *body)
{
	return r->session ? session_send(r->session, type, prio, body) : -DSI_ENOTCONN;
}
