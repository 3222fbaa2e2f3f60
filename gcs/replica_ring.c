/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replica on the ordered leg: what session and backend tell it becomes events of order; joining, falling silent, and
 * beginning again in a new generation.
 *
 * Must never: say anything while our binding is not in our log, or after a reform met its double.
 */
#include "gcs/replica_impl.h"

#include <stdio.h>
#include <string.h>

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
		snap_noted(r, from->nid, body, raw, raw_len);
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

void replica_tick(void *ctx)
{
	struct replica *r = ctx;
	struct order_actions acts;

	if (!r->order)
		return;
	order_tick(r->order, loop_now(r->cfg.loop), &acts);
	replica_run(r, &acts);
	propose_soon(r);
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
	struct order_env env = replica_env;
	struct entry tail;
	size_t len;
	const u8 *p = log_entry(r->log, log_tail(r->log), &len);
	int rc;

	env.ctx = r;
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
	replica_arm(r);
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
	propose_drop(r);
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
