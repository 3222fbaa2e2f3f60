/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verdicts and depositions before the log has them. What an entry, a STATE or the direct leg brings takes effect here
 * at once, and is kept for the STATEs of later views until the log has decided it.
 *
 * Must never: let anything count but an operator's signature with authority; undo an effect by anything but a
 * committed entry (applied, refused, withdrawn) or, of two voters, the operator's withdrawal delivered.
 * Invariant: whatever is kept passed state_check() once, or came inside an entry that passed state_verify_entry().
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/replica_impl.h"

static bool bit(const u8 *set, u32 nid)
{
	return nid < LIM_NIDS && (set[nid / 8] & (1u << nid % 8));
}

static void bit_put(u8 *set, u32 nid, bool on)
{
	if (nid >= LIM_NIDS)
		return;
	if (on)
		set[nid / 8] |= (u8)(1u << nid % 8);
	else
		set[nid / 8] &= (u8)~(1u << nid % 8);
}

bool replica_suspended(const struct replica *r, u32 nid)
{
	return bit(r->suspended, nid);
}

bool urgent_deposed(const struct replica *r, u32 nid)
{
	return bit(r->deposed, nid);
}

/* --- what is kept ---------------------------------------------------------------------------------------- */

static void drop(struct replica *r, u32 i)
{
	free((void *)(uintptr_t)r->urgent[i].raw.p);
	r->urgent[i] = r->urgent[--r->n_urgent];
}

/* Expired, or about somebody who is dead for good: nobody would take it from us any more. */
static void prune(struct replica *r)
{
	u64 now = loop_wall_ms();

	for (u32 i = r->n_urgent; i-- > 0;) {
		const struct urgent *u = &r->urgent[i];
		const struct state_node *n = state_node(r->state, u->nid);

		if (now > u->expires_ms || !n || n->status == NODE_REVOKED || n->status == NODE_REMOVED)
			drop(r, i);
	}
}

bool replica_urgent_keeps(const struct replica *r, const u8 request[16])
{
	for (u32 i = 0; i < r->n_urgent; i++)
		if (!memcmp(r->urgent[i].request, request, 16))
			return true;
	return false;
}

static bool kept_about(const struct replica *r, u16 kind, u32 nid)
{
	for (u32 i = 0; i < r->n_urgent; i++)
		if (r->urgent[i].kind == kind && r->urgent[i].nid == nid)
			return true;
	return false;
}

static void keep(struct replica *r, const struct statement *st, u32 nid)
{
	u8 *copy;

	if (replica_urgent_keeps(r, st->request))
		return;
	prune(r);
	copy = r->n_urgent < URGENT_MAX ? malloc(st->raw_len) : NULL;
	if (!copy) {
		replica_alarm(r, 2, "verdict", "no room to keep one more undecided verdict: it is in effect here, but new views "
			      "will not hear of it from this node");
		return;
	}
	memcpy(copy, st->raw, st->raw_len);
	r->urgent[r->n_urgent] = (struct urgent){ .raw = { copy, st->raw_len }, .kind = st->kind, .nid = nid,
						  .expires_ms = st->expires_ms };
	memcpy(r->urgent[r->n_urgent++].request, st->request, 16);
}

void urgent_list(void *ctx, struct blobs *ret)
{
	struct replica *r = ctx;

	prune(r);
	for (u32 i = 0; i < r->n_urgent; i++)
		r->urgent_list[i] = r->urgent[i].raw;
	ret->v = r->urgent_list;
	ret->n = r->n_urgent;
}

void replica_urgent_kept(struct replica *r, struct blobs *ret)
{
	urgent_list(r, ret);
}

void urgent_free(struct replica *r)
{
	while (r->n_urgent)
		drop(r, r->n_urgent - 1);
}

/* --- taking effect --------------------------------------------------------------------------------------- */

static u32 target_of(struct replica *r, const struct statement *st)
{
	struct body_s_verdict verdict;
	struct body_s_node_op op;

	if (st->kind == ENTRY_VERDICT && !body_decode(&schema_s_verdict, st->body, st->body_len, &verdict, &r->arena))
		return verdict.nid;
	if (st->kind == ENTRY_DEPOSE && !body_decode(&schema_s_node_op, st->body, st->body_len, &op, &r->arena))
		return op.nid;
	return 0;
}

static void suspend(struct replica *r, const struct statement *st, u32 nid)
{
	bit_put(r->suspended, nid, true);
	if (r->direct)
		direct_recheck(r->direct);
	if (r->ops->suspended)
		r->ops->suspended(r->ctx, nid, st);
}

static void depose(struct replica *r, u32 nid)
{
	bit_put(r->deposed, nid, true);
	replica_alarm(r, 2, "depose", "the server on node %u is out of rank: deposed by an operator", nid);
}

static void take(struct replica *r, const struct statement *st)
{
	u32 nid = target_of(r, st);

	if (!nid || nid >= LIM_NIDS || !state_node(r->state, nid))
		return;
	keep(r, st, nid);
	if (!state_nid_live(r->state, nid) || bit(st->kind == ENTRY_VERDICT ? r->suspended : r->deposed, nid))
		return;
	r->recheck = true;
	if (st->kind == ENTRY_VERDICT)
		suspend(r, st, nid);
	else
		depose(r, nid);
}

void urgent_delivered(struct replica *r, const u8 *p, size_t n)
{
	union {
		struct body_e_statement statement;
		struct body_e_verdict verdict; /* its statement is the first field too */
	} body;
	struct statement st;
	struct entry e;

	if (entry_decode(&e, p, n) || (e.type != ENTRY_VERDICT && e.type != ENTRY_DEPOSE) ||
	    body_decode(e.type == ENTRY_VERDICT ? &schema_e_verdict : &schema_e_statement, e.body, e.body_len, &body,
			&r->arena) ||
	    statement_open(&st, body.statement.statement.p, body.statement.statement.n) || st.kind != e.type)
		return;
	take(r, &st);
}

static bool voided(const struct replica *r, const u8 request[16])
{
	for (u32 i = 0; i < MIN(r->n_voided, (u32)URGENT_VOID); i++)
		if (!memcmp(r->voided[i], request, 16))
			return true;
	return false;
}

static void recheck_now(struct replica *r)
{
	struct order_actions acts;

	if (r->stepping || !r->order || !r->recheck)
		return; /* the step that we are in ends with it */
	r->recheck = false;
	order_recheck(r->order, loop_now(r->cfg.loop), &acts);
	replica_run(r, &acts);
}

static bool in_office(const struct replica *r, u32 nid)
{
	const struct state_node *n = state_node(r->state, nid);

	return n && n->status == NODE_BOUND && !n->deposed && !bit(r->suspended, nid) && !bit(r->deposed, nid);
}

/* state_check() looks at what is applied; statements in effect here may have taken the other servers already. */
static bool last_in_office(const struct replica *r, u32 nid)
{
	bool is = false;

	for (u32 i = 0; i < r->state->n_server; i++) {
		if (r->state->server_order[i] != nid && in_office(r, r->state->server_order[i]))
			return false;
		is |= r->state->server_order[i] == nid;
	}
	return is && in_office(r, nid);
}

int replica_urgent(struct replica *r, const u8 *p, size_t n, struct err *e)
{
	struct statement st;
	int rc = statement_open(&st, p, n);

	if (rc)
		return err_set(e, rc, "statement: %s", err_text(rc));
	if (st.kind != ENTRY_VERDICT && st.kind != ENTRY_DEPOSE)
		return err_set(e, -DSI_EINVAL, "%s takes effect only when it is ordered", entry_type_name(st.kind));
	rc = state_check(r->state, &st, loop_wall_ms(), NULL, 0, e);
	if (rc)
		return rc;
	if (voided(r, st.request))
		return err_set(e, -DSI_EREPLAY, "the verdict was withdrawn before it was ordered");
	if (last_in_office(r, target_of(r, &st)))
		return err_set(e, -DSI_ENOTSAFE, "it would take the last server in office here: nobody could order it");
	take(r, &st);
	recheck_now(r);
	return 0;
}

/* --- the log has decided --------------------------------------------------------------------------------- */

/* Withdrawn before it was ordered: its request id is not used up, so somebody might bring it again. */
static void void_about(struct replica *r, u32 nid)
{
	for (u32 i = r->n_urgent; i-- > 0;) {
		if (r->urgent[i].nid != nid)
			continue;
		memcpy(r->voided[r->n_voided++ % URGENT_VOID], r->urgent[i].request, 16);
		drop(r, i);
	}
}

/* One of two voters cannot be revoked by the other alone, and no entry will ever carry the verdict: what suspends at
 * delivery then is the statement itself, on its way to a server, and what ends it is the operator's next. The same on
 * all who deliver it. */
void urgent_submitted(struct replica *r, const struct body_submit *m)
{
	const struct order_voters *v = r->state->n_voters ? &r->state->voters[r->state->n_voters - 1] : NULL;
	struct body_s_node_op op;
	struct statement st;
	struct err e = { 0 };

	if (!v || v->n != 2 || statement_open(&st, m->statement.p, m->statement.n))
		return;
	if (st.kind == ENTRY_VERDICT) {
		u32 nid = target_of(r, &st);

		if (nid == v->nid[0] || nid == v->nid[1])
			replica_urgent(r, m->statement.p, m->statement.n, &e);
	}
	if (st.kind != ENTRY_WITHDRAW || state_check(r->state, &st, loop_wall_ms(), NULL, 0, &e) ||
	    body_decode(&schema_s_node_op, st.body, st.body_len, &op, &r->arena) || !bit(r->suspended, op.nid) ||
	    (op.nid != v->nid[0] && op.nid != v->nid[1]))
		return;
	void_about(r, op.nid);
	bit_put(r->suspended, op.nid, false);
	bit_put(r->deposed, op.nid, false);
	r->recheck = true;
	recheck_now(r);
}

void urgent_settle(struct replica *r)
{
	prune(r);
	for (u32 nid = 0; nid < LIM_NIDS; nid++)
		if (!state_nid_live(r->state, nid)) {
			bit_put(r->suspended, nid, false);
			bit_put(r->deposed, nid, false);
		}
}

/* Entries were skipped that may have decided what is kept: a request id that the state has used is decided. Nothing else
 * suspends while we are not in the stream. */
void urgent_skipped(struct replica *r)
{
	for (u32 i = r->n_urgent; i-- > 0;)
		for (u32 k = 0; k < r->state->n_request; k++)
			if (!memcmp(r->state->request[k].id, r->urgent[i].request, 16)) {
				drop(r, i);
				break;
			}
	for (u32 nid = 0; nid < LIM_NIDS; nid++) {
		if (!kept_about(r, ENTRY_VERDICT, nid))
			bit_put(r->suspended, nid, false);
		if (!kept_about(r, ENTRY_DEPOSE, nid))
			bit_put(r->deposed, nid, false);
	}
	urgent_settle(r);
}

/* From here on state says what the node is; unless another statement about it waits: a server could else free a node
 * by ordering an old verdict on it, which is refused. */
void urgent_applied(struct replica *r, const struct entry *e, const struct state_result *res)
{
	bool withdrawn = e->type == ENTRY_WITHDRAW && !res->code;

	if (e->type != ENTRY_VERDICT && e->type != ENTRY_DEPOSE && !withdrawn)
		return;
	for (u32 i = r->n_urgent; i-- > 0;)
		if (!memcmp(r->urgent[i].request, res->request, 16))
			drop(r, i);
	if (withdrawn)
		void_about(r, res->nid);
	if (e->type != ENTRY_DEPOSE && !kept_about(r, ENTRY_VERDICT, res->nid))
		bit_put(r->suspended, res->nid, false);
	if (e->type != ENTRY_VERDICT && !kept_about(r, ENTRY_DEPOSE, res->nid))
		bit_put(r->deposed, res->nid, false);
}
