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
static const u64 CLOCK_ALARM_NS = 60000000000ull;

struct proposal {
	struct proposal *next;
	u16 type;
	size_t n;
	u8 body[];
};

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

/* --- what order may ask of the replicated state ---------------------------------------------------- */

enum { PREVIEW_MAX = 64 };

/* Entries in the log beyond what is applied, in order, in the step's arena. */
static u32 uncommitted(struct replica *r, struct entry *e, const struct entry **ptr)
{
	u64 tail = log_tail(r->log);
	u32 n = 0;

	for (u64 i = r->state->applied + 1; i <= tail && n < PREVIEW_MAX; i++, n++) {
		size_t len;
		const u8 *p = log_entry(r->log, i, &len);
		u8 *copy = p ? arena_alloc(&r->arena, len) : NULL;

		if (!copy)
			break;
		memcpy(copy, p, len); /* log_entry's bytes live until its next call */
		if (entry_decode(&e[n], copy, len))
			break;
		ptr[n] = &e[n];
	}
	return n;
}

bool replica_is_voter(const struct replica *r, u32 nid)
{
	const struct state *s = r->state;

	for (u32 i = 0; s->n_voters && i < s->voters[s->n_voters - 1].n; i++)
		if (s->voters[s->n_voters - 1].nid[i] == nid)
			return true;
	return false;
}

static u32 env_voters(void *ctx, struct order_voters ret[2])
{
	struct replica *r = ctx;
	struct entry e[PREVIEW_MAX];
	const struct entry *ptr[PREVIEW_MAX];
	u32 n = uncommitted(r, e, ptr), n_sets = 0;

	state_preview(r->state, ptr, n, ret, &n_sets);
	return n_sets;
}

static u32 env_server_rank(void *ctx, u32 nid)
{
	struct replica *r = ctx;
	const struct state_node *node = state_node(r->state, nid);

	if (!node || node->deposed || !state_nid_live(r->state, nid) || replica_suspended(r, nid) || urgent_deposed(r, nid))
		return 0;
	for (u32 i = 0; i < r->state->n_server; i++)
		if (r->state->server_order[i] == nid)
			return i + 1;
	return 0;
}

static bool env_bodies_present(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	u8 digest[CRYPTO_HASH];
	u64 size;

	return state_entry_blob(r->state, e, digest, &size) || blob_present(r->log, digest);
}

static const u8 *env_read_entry(void *ctx, u64 index, size_t *ret_len)
{
	struct replica *r = ctx;

	return log_entry(r->log, index, ret_len);
}

static bool env_nid_dead(void *ctx, u32 nid)
{
	struct replica *r = ctx;

	return !state_nid_live(r->state, nid) || replica_suspended(r, nid);
}

static bool env_verify_entry(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	struct err err = { 0 };

	if (!state_verify_entry(r->state, e, &err))
		return true;
	replica_alarm(r, 2, "entry", "entry %llu refused: %s", (unsigned long long)e->index, err.text);
	return false;
}

static bool env_timely(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	u64 now = loop_wall_ms();

	if (state_timely(e->wall_ms, now, r->last_wall_ms))
		return true;
	if (!r->clock_alarm_at || loop_boottime() >= r->clock_alarm_at + CLOCK_ALARM_NS) {
		r->clock_alarm_at = loop_boottime();
		replica_alarm(r, 2, "clock", "clock differs: entry %llu is dated %lld s from our time by node %u; not acknowledged "
			      "here until a majority has committed it: set the clock of the one that is wrong", (unsigned long long)e->index,
			      (long long)((int64_t)(e->wall_ms - now) / 1000), e->author_nid);
	}
	return false;
}

static bool env_verify_promise(void *ctx, u32 nid, const struct gcs_ring *ring, u64 term, u32 leader,
			       const u8 sig[CRYPTO_SIG])
{
	struct replica *r = ctx;
	const struct state_node *n = state_node(r->state, nid);
	u8 bytes[PROMISE_BYTES];

	promise_encode(r->state->cluster, r->state->generation, ring, term, nid, leader, bytes);
	return n && !crypto_verify(n->sign, SIGN_PROMISE, bytes, sizeof(bytes), sig);
}

static u32 env_term_promises(void *ctx, const struct entry *e, u32 ret[LIM_VOTERS])
{
	struct replica *r = ctx;
	struct body_e_term term;
	u32 n = 0;

	if (e->type != ENTRY_TERM || body_decode(&schema_e_term, e->body, e->body_len, &term, &r->arena))
		return 0;
	for (u32 i = 0; i < term.promises.n && n < LIM_VOTERS; i++) {
		struct body_promise p;

		if (!body_decode(&schema_promise, term.promises.v[i].p, term.promises.v[i].n, &p, &r->arena))
			ret[n++] = p.nid;
	}
	return n;
}

static bool env_changes_voters(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	u32 target = state_verdict_target(e);

	if (e->type == ENTRY_VERDICT)
		return replica_is_voter(r, target);
	return e->type == ENTRY_VOTER_ADD || e->type == ENTRY_VOTER_REMOVE || e->type == ENTRY_REMOVE ||
	       e->type == ENTRY_REFORM;
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

static void arm_tick(struct replica *r)
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
	arm_tick(r);
	lease_changed(r);
}

/* --- proposals ------------------------------------------------------------------------------------------- */

static int entry_make(struct replica *r, const struct proposal *p, struct wbuf *w)
{
	struct entry e = { .type = p->type, .author_role = ROLE_SERVER, .author_nid = r->nid, .generation = r->state->generation,
			   .wall_ms = loop_wall_ms(), .body = p->body, .body_len = p->n };
	u8 sig[CRYPTO_SIG];
	int rc = order_next(r->order, &e.term, &e.index, e.prev);

	if (rc)
		return rc;
	memcpy(e.cluster, r->state->cluster, sizeof(e.cluster));
	wbuf_init(w, ENTRY_MAX);
	rc = entry_encode(&e, w);
	if (!rc)
		rc = keys_sign(r->cfg.keys, SIGN_ENTRY, e.hash, sizeof(e.hash), sig);
	if (!rc)
		wbuf_bytes(w, sig, sizeof(sig));
	return rc ? rc : wbuf_ok(w) ? 0 : -DSI_ELIMIT;
}

static void flush_proposals(void *ctx)
{
	struct replica *r = ctx;

	r->flushing = false;
	while (r->order && r->proposals && !r->stepping) {
		struct proposal *p = r->proposals;
		struct order_actions acts;
		struct wbuf w = { 0 };
		int rc = entry_make(r, p, &w);

		if (!rc)
			rc = order_propose(r->order, loop_now(r->cfg.loop), w.data, w.len, &acts);
		if (!rc)
			replica_run(r, &acts);
		wbuf_fini(&w);
		if (rc == -DSI_EAGAIN)
			return; /* the next tick tries again */
		r->proposals = p->next;
		free(p);
	}
}

static void flush_soon(struct replica *r)
{
	if (!r->flushing && r->proposals)
		r->flushing = !loop_defer(r->cfg.loop, flush_proposals, r);
}

int replica_propose(struct replica *r, u16 type, const void *body, size_t n)
{
	struct proposal *p, **at = &r->proposals;

	if (!r->order || r->cfg.role != ROLE_SERVER)
		return -DSI_EROLE;
	if (n > LIM_ENTRY_BODY)
		return -DSI_ELIMIT;
	p = malloc(sizeof(*p) + n);
	if (!p)
		return -DSI_ENOMEM;
	p->type = type;
	p->n = n;
	memcpy(p->body, body, n);
	while (*at && type != ENTRY_TERM) /* TERM is the first of its term */
		at = &(*at)->next;
	p->next = *at;
	*at = p;
	flush_soon(r);
	return 0;
}

int replica_yield(struct replica *r, struct err *e)
{
	struct order_actions acts;
	int rc = r->order ? order_yield(r->order, loop_now(r->cfg.loop), &acts) : -DSI_EROLE;

	assert(!r->stepping);
	if (!rc)
		replica_run(r, &acts);
	switch (rc) {
	case 0:
		return 0;
	case -DSI_ENOTSAFE:
		return err_set(e, rc, "no standby server is present: nobody could take over");
	case -DSI_EAGAIN:
		return err_set(e, rc, "the view is not live here: no server leads a majority now");
	default:
		return err_set(e, rc, "this server is not active");
	}
}

bool replica_proposing(const struct replica *r)
{
	return r->proposals;
}

/* --- session --------------------------------------------------------------------------------------------- */

static bool on_binding(void *ctx, u32 nid, enum msg_role role, u8 ret_pub[CRYPTO_PUB], bool *ret_dead)
{
	struct replica *r = ctx;
	const struct state_node *node = state_node(r->state, nid);
	static const u8 none[CRYPTO_PUB];
	const u8 *pub;

	if (!node)
		return false;
	pub = role == ROLE_SERVER ? node->server_sign : node->sign;
	if (!memcmp(pub, none, sizeof(none)))
		return false;
	memcpy(ret_pub, pub, CRYPTO_PUB);
	*ret_dead = !state_nid_live(r->state, nid) || replica_suspended(r, nid);
	return true;
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body,
		       const u8 *raw, size_t raw_len)
{
	struct replica *r = ctx;
	struct order_actions acts;

	if (info->type == MSG_SUBMIT)
		urgent_submitted(r, body);
	if (info->type == MSG_DIGEST) {
		agree_message(r, from->nid, body);
		return;
	}
	if (info->type >= MSG_SUBMIT) {
		if (r->ops->message)
			r->ops->message(r->ctx, from, info, body);
		return;
	}
	if (info->type == MSG_ACK)
		prove_noted(r, from->nid, body, raw, raw_len);
	order_message(r->order, loop_now(r->cfg.loop), from->member, from->nid, from->role, info->type, body, &acts);
	replica_run(r, &acts);
	if (info->type == MSG_HELLO && from->role == ROLE_MANAGER && (from->nid != r->nid || r->cfg.role == ROLE_SERVER))
		reform_look(r, from->nid, from->incarnation);
	if (info->type == MSG_HELLO && r->ops->message)
		r->ops->message(r->ctx, from, info, body);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	struct replica *r = ctx;
	struct order_actions acts;

	r->view_ring = v->ring;
	order_view(r->order, loop_now(r->cfg.loop), v, &acts);
	replica_run(r, &acts);
	if (r->ops->view)
		r->ops->view(r->ctx, v);
}

static void on_down(void *ctx, const char *why)
{
	struct replica *r = ctx;
	struct order_actions acts;

	replica_alarm(r, 1, "ring", "ordered leg lost: %s", why);
	order_lost(r->order, loop_now(r->cfg.loop), &acts);
	replica_run(r, &acts);
}

static void on_refused(void *ctx, enum session_refusal why, u32 nid, u32 nodeid, u64 count)
{
	struct replica *r = ctx;

	replica_alarm(r, 1, "refused", "message of node %u (ring node %u) refused: %s (%llu so far)", nid, nodeid,
		      session_refusal_text(why), (unsigned long long)count);
	if (why == REFUSED_UNKNOWN)
		learn_soon(r);
}

static void on_quorum(void *ctx, const struct gcs_view *v)
{
	struct replica *r = ctx;
	struct order_actions acts;

	order_quorum(r->order, loop_now(r->cfg.loop), v, &acts);
	replica_run(r, &acts);
	if (r->ops->view)
		r->ops->view(r->ctx, v);
}

static void on_ahead(void *ctx, u32 generation)
{
	(void)generation;
	reform_ahead(ctx);
}

static const struct session_ops session_ops = {
	.binding = on_binding, .message = on_message, .view = on_view, .down = on_down, .refused = on_refused,
	.quorum = on_quorum, .ahead = on_ahead,
};

/* The backend lives longer than a session: one a generation. Between two there is nobody to tell. */
static void ring_deliver(void *ctx, struct gcs_member from, const u8 *p, size_t n)
{
	struct replica *r = ctx;

	if (r->session)
		session_events.deliver(r->session, from, p, n);
}

static void ring_view(void *ctx, const struct gcs_view *v)
{
	struct replica *r = ctx;

	if (r->session)
		session_events.view(r->session, v);
}

static void ring_quorum(void *ctx, const struct gcs_view *v)
{
	struct replica *r = ctx;

	if (r->session)
		session_events.quorum(r->session, v);
}

static void ring_down(void *ctx, const char *why)
{
	struct replica *r = ctx;

	if (r->session)
		session_events.down(r->session, why);
}

static const struct gcs_events ring_events = {
	.deliver = ring_deliver, .view = ring_view, .quorum = ring_quorum, .down = ring_down,
};

static void on_tick(void *ctx)
{
	struct replica *r = ctx;
	struct order_actions acts;

	if (!r->order)
		return;
	order_tick(r->order, loop_now(r->cfg.loop), &acts);
	replica_run(r, &acts);
	flush_soon(r);
}

/* A voter whose log was empty at this or an earlier start has lost what it acknowledged: no vote until relearnt.
 * The mark is made when learning begins with an empty log and we turn out to be a voter already. */
static bool stale_disk(struct replica *r)
{
	u8 mark[4];
	size_t n = 0;

	if (r->boot.empty && r->learnt && replica_is_voter(r, r->nid))
		log_meta_set(r->log, META_STALE, "1", 1);
	r->boot.empty = false; /* said once a start: a later generation begins with whole disks */
	return !log_meta_get(r->log, META_STALE, mark, sizeof(mark), &n) && n;
}

/* Our binding is in our log: open session and order, and enter the group. */
int replica_join(struct replica *r, struct err *e)
{
	struct session_config sc = { .generation = r->state->generation, .nid = r->nid, .role = r->cfg.role,
				     .incarnation = r->boot.incarnation, .keys = r->cfg.keys };
	struct order_config oc = { .nid = r->nid, .role = r->cfg.role, .generation = r->state->generation,
				   .promised = r->boot.promised, .commit = r->state->applied,
				   .open_wait_ns = 300ull * 1000000, .incumbent = r->state->active_nid,
				   .stale_disk = stale_disk(r) };
	struct order_env env = { .ctx = r, .voters = env_voters, .server_rank = env_server_rank,
				 .bodies_present = env_bodies_present, .read_entry = env_read_entry,
				 .nid_dead = env_nid_dead, .verify_entry = env_verify_entry,
				 .verify_promise = env_verify_promise, .term_promises = env_term_promises,
				 .changes_voters = env_changes_voters, .urgent = urgent_list, .timely = env_timely };
	struct entry tail;
	size_t len;
	const u8 *p = log_entry(r->log, log_tail(r->log), &len);
	int rc;

	if (!p || entry_decode(&tail, p, len))
		return err_set(e, -DSI_EIO, "log has no readable tail");
	oc.tail_term = tail.term;
	oc.tail_index = tail.index;
	memcpy(oc.tail_hash, tail.hash, sizeof(oc.tail_hash));
	memcpy(oc.cluster, r->state->cluster, sizeof(oc.cluster));
	memcpy(sc.cluster, r->state->cluster, sizeof(sc.cluster));
	snprintf(sc.node, sizeof(sc.node), "%s", r->cfg.node);
	snprintf(sc.direct, sizeof(sc.direct), "%s", r->cfg.direct);
	r->order = order_new(&oc, &env);
	if (!r->order)
		return err_set(e, -DSI_ENOMEM, "order");
	rc = session_new(&r->session, &sc, &session_ops, r, e);
	if (rc)
		return rc;
	session_set_term(r->session, r->state->term);
	if (r->backend) {
		session_attach(r->session, r->backend);
		r->backend->again(r->backend); /* a new view, for all: who came late to this one missed what was said */
	} else {
		rc = r->cfg.make_backend(r->ctx, &r->backend, &ring_events, r, e);
		if (rc)
			return rc;
		session_attach(r->session, r->backend);
	}
	if (r->ops->joined)
		r->ops->joined(r->ctx);
	arm_tick(r);
	return 0;
}

void replica_quiet(struct replica *r)
{
	assert(!r->stepping);
	loop_timer_set(r->tick, 0);
	session_free(r->session);
	r->session = NULL;
	order_free(r->order);
	r->order = NULL;
	learn_drop(r);
	prove_forget(r);
	agree_forget(r);
	while (r->proposals) {
		struct proposal *p = r->proposals;

		r->proposals = p->next;
		free(p);
	}
	if (r->ops->lease)
		r->ops->lease(r->ctx, 0);
	if (r->cfg.role == ROLE_SERVER && r->ops->role)
		r->ops->role(r->ctx, false, 0, 0);
}

void replica_again(struct replica *r)
{
	struct err e = { 0 };

	urgent_settle(r);
	r->recheck = false;
	r->nid = replica_find_nid(r);
	direct_recheck(r->direct);
	if (!r->backend) { /* it came while we learnt */
		r->learnt = true;
		learn_resume(r);
		return;
	}
	if (r->nid && replica_join(r, &e))
		replica_alarm(r, 3, "join", "cannot join: %s; start this program again", e.text);
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
	r->tick = loop_timer_new(cfg->loop, on_tick, r);
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
	int rc = replica_apply_to(r, MIN(known, log_tail(r->log)), false);

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
	while (r->proposals) {
		struct proposal *p = r->proposals;

		r->proposals = p->next;
		free(p);
	}
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
