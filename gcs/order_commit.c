/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acknowledgements, quorums, the commit point.
 *
 * Must never: acknowledge what is not durable with its bodies, or below what we promised; count a dead NID;
 * commit an entry of an earlier term other than through one of the current term.
 */
#include <string.h>

#include "gcs/order_impl.h"

/* --- quorums --------------------------------------------------------------------------------------- */

static bool set_has(const struct order_voters *set, u32 nid)
{
	for (u32 i = 0; i < set->n; i++)
		if (set->nid[i] == nid)
			return true;
	return false;
}

/* Does what this voter told about its commit point speak of the same entry as our log? Its log is a part of
 * ours, or both are on the chain of the current term. */
static bool told_of_ours(struct order *o, const struct peer *p, u64 index)
{
	if (p->told < index)
		return false;
	return (o->term_index && index <= o->term_index) || (p->has_state && p->st.index >= index && order_log_has(o, &p->st));
}

/* Who was away while the set changed cannot see that the old set agreed, and some of it may be gone for good.
 * A majority of the new set that says so is as good as its acknowledgements. */
static bool change_told(struct order *o, const struct order_voters *set)
{
	u32 n = 0;

	for (u32 i = 0; i < set->n; i++) {
		const struct peer *p = order_peer_of(o, set->nid[i], ROLE_MANAGER);

		n += p && !o->env.nid_dead(o->env.ctx, p->nid) && told_of_ours(o, p, set->index);
	}
	return n >= set->n / 2 + 1;
}

const struct order_voters *order_quorum_sets(struct order *o, u32 *ret_n)
{
	if (!o->sets_known) {
		memset(o->sets, 0, sizeof(o->sets));
		o->n_sets = o->env.voters(o->env.ctx, o->sets);
		assert(o->n_sets <= 2);
		o->sets_known = true;
	}
	if (o->n_sets == 2 && (o->sets[1].index <= o->commit || (!o->stepped && change_told(o, &o->sets[1])))) {
		/* the change is committed: the old set is history */
		o->courtesy |= set_has(&o->sets[0], o->cfg.nid);
		o->sets[0] = o->sets[1];
		o->n_sets = 1;
	}
	*ret_n = o->n_sets;
	return o->sets;
}

u64 order_quorum_change(struct order *o)
{
	u32 n;
	const struct order_voters *sets = order_quorum_sets(o, &n);

	return n == 2 ? sets[1].index : 0;
}

bool order_quorum_votes(struct order *o, u32 nid)
{
	u32 n;
	const struct order_voters *sets = order_quorum_sets(o, &n);
	bool in = false;

	for (u32 s = 0; s < n; s++)
		in |= set_has(&sets[s], nid);
	return in && !o->env.nid_dead(o->env.ctx, nid);
}

/* Should we speak as a voter? Also one that a committed change let go: who was away, or forgot on a crash that it
 * was committed, still asks for both sets. Whether it counts is everybody's own matter. */
bool order_quorum_self(struct order *o)
{
	if (o->cfg.role != ROLE_MANAGER || o->env.nid_dead(o->env.ctx, o->cfg.nid))
		return false;
	return order_quorum_votes(o, o->cfg.nid) || o->courtesy;
}

static bool set_reached(struct order *o, const struct order_voters *set, bool (*counts)(struct order *o, const struct peer *p))
{
	u32 votes = 0;

	for (u32 i = 0; i < set->n; i++) {
		const struct peer *p = order_peer_of(o, set->nid[i], ROLE_MANAGER);

		votes += p && counts(o, p) && !o->env.nid_dead(o->env.ctx, p->nid);
	}
	return votes >= set->n / 2 + 1;
}

bool order_quorum_reached(struct order *o, bool (*counts)(struct order *o, const struct peer *p))
{
	u32 n;
	const struct order_voters *sets = order_quorum_sets(o, &n);

	for (u32 s = 0; s < n; s++)
		if (!set_reached(o, &sets[s], counts))
			return false;
	return n > 0;
}

bool order_quorum_any(struct order *o, bool (*counts)(struct order *o, const struct peer *p))
{
	u32 n;
	const struct order_voters *sets = order_quorum_sets(o, &n);

	for (u32 s = 0; s < n; s++)
		if (set_reached(o, &sets[s], counts))
			return true;
	return false;
}

bool order_quorum_told(struct order *o, u64 index)
{
	u32 n;
	const struct order_voters *sets = order_quorum_sets(o, &n);

	for (u32 s = 0; s < n; s++) {
		u32 told = 0;

		for (u32 i = 0; i < sets[s].n; i++) {
			const struct peer *p = order_peer_of(o, sets[s].nid[i], ROLE_MANAGER);

			told += p && p->told >= index && !o->env.nid_dead(o->env.ctx, p->nid);
		}
		if (told < sets[s].n / 2 + 1)
			return false;
	}
	return n > 0;
}

/* Highest index that a majority of this set acknowledged; the dead do not count. */
static u64 set_acked(struct order *o, const struct order_voters *set)
{
	u64 acked[LIM_VOTERS];
	u32 n = 0;

	for (u32 i = 0; i < set->n; i++) {
		const struct peer *p = order_peer_of(o, set->nid[i], ROLE_MANAGER);
		u32 at;

		if (!p || !p->acked || o->env.nid_dead(o->env.ctx, p->nid))
			continue;
		for (at = n++; at && acked[at - 1] < p->acked; at--)
			acked[at] = acked[at - 1];
		acked[at] = p->acked;
	}
	return n >= set->n / 2 + 1 ? acked[set->n / 2] : 0;
}

/* --- counting -------------------------------------------------------------------------------------- */

static void ack_verify(struct order *o, struct peer *p, u64 index, const u8 hash[CRYPTO_HASH])
{
	struct tail t = { .index = index };

	memcpy(t.hash, hash, CRYPTO_HASH);
	if (order_log_has(o, &t))
		p->acked = MAX(p->acked, index);
	else
		order_alarm(o, p->nid, "acknowledged an entry that its term's server did not write");
}

void order_commit_ack(struct order *o, struct peer *p, const struct body_ack *b)
{
	if (!o->opened || b->term != o->term || !b->index)
		return;
	if (o->term_index && b->index <= o->tail.index) {
		ack_verify(o, p, b->index, b->hash);
		return;
	}
	p->pend = b->index;
	memcpy(p->pend_hash, b->hash, CRYPTO_HASH);
	if (p->nid != o->cfg.nid || o->cfg.role != ROLE_MANAGER)
		o->want = MAX(o->want, b->index);
}

static void pending_verify(struct order *o)
{
	for (u32 i = 0; o->term_index && i < o->view.n; i++) {
		struct peer *p = &o->peers[i];

		if (p->pend && p->pend <= o->tail.index) {
			ack_verify(o, p, p->pend, p->pend_hash);
			p->pend = 0;
		}
	}
}

static u64 commit_reached(struct order *o)
{
	u32 n;
	const struct order_voters *sets = order_quorum_sets(o, &n);
	u64 first, second;

	if (!n)
		return 0;
	first = set_acked(o, &sets[0]);
	if (n == 1)
		return first;
	second = set_acked(o, &sets[1]);
	if (MIN(first, second) >= sets[1].index)
		return MIN(first, second);
	return MIN(first, sets[1].index - 1); /* what was before the change needs the old set alone */
}

static void commit_move(struct order *o)
{
	u64 to;

	if (!o->opened || !o->term_index)
		return;
	to = commit_reached(o);
	if (to <= o->commit || to < o->term_index)
		return;
	assert(to <= o->tail.index);
	o->commit = to;
	o->progress_at = o->now;
	if (o->resending)
		order_want(o, o->now + 1);
	order_act(o, ORDER_COMMIT)->u.commit.index = to;
}

/* --- our own --------------------------------------------------------------------------------------- */

static u64 ack_due(struct order *o)
{
	u64 to = MIN(o->durable, o->bodies_ok);

	if (!o->opened || !o->term_index || to < o->term_index || o->stale || o->reopening == REOPEN_DEPOSED)
		return 0;
	if (o->promised != o->term || o->promised_durable != o->term || !order_quorum_self(o))
		return 0;
	return to;
}

static void ack_settle(struct order *o)
{
	u64 to = ack_due(o);
	struct peer *me;
	union order_body *b;
	struct tail t;
	u32 author;

	if (!to || !order_may_send(o) || !lease_holds(&o->lease, o->now))
		return;
	me = order_peer_of(o, o->cfg.nid, o->cfg.role);
	if (to <= o->ack_sent && !o->ack_again) {
		if (me && me->acked >= o->ack_sent)
			return;
		if (o->now < o->ack_at + order_resend_ns(o)) {
			order_want(o, o->ack_at + order_resend_ns(o));
			return;
		}
	}
	if (!order_log_at(o, to, &t, &author))
		return;
	b = order_send(o, MSG_ACK, 0);
	b->ack.term = o->term;
	b->ack.index = to;
	memcpy(b->ack.hash, t.hash, CRYPTO_HASH);
	o->ack_sent = to;
	o->ack_at = o->now;
	o->ack_again = false;
	order_want(o, o->ack_at + order_resend_ns(o));
}

/* A majority without us committed in this term, our disk has it all and has promised the term: whatever it
 * forgot cannot matter any more (doc/order.md, "A disk that forgot"). */
static void relearn_settle(struct order *o)
{
	if (!o->stale || !o->opened || !o->term_index || o->commit < o->term_index || o->durable < o->commit ||
	    o->promised_durable != o->term)
		return;
	o->stale = false;
	order_act(o, ORDER_RELEARNT);
}

void order_commit_settle(struct order *o)
{
	if (!o->view_on)
		return;
	pending_verify(o);
	commit_move(o);
	relearn_settle(o);
	ack_settle(o);
}
