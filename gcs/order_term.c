/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server that leads: from a majority's promises to TERM, then proposals.
 *
 * Must never: write an entry of a term for which it does not hold a majority's promises, or build TERM on
 * anything but the best durable tail that those promises came with.
 */
#include <string.h>

#include "gcs/order_impl.h"
#include "lib/err.h"

static bool leads(const struct order *o)
{
	return o->cfg.role == ROLE_SERVER && o->opened && o->leader == o->cfg.nid && !o->reopening;
}

static bool candidate(struct order *o, const struct peer *p)
{
	return p->role == ROLE_MANAGER && p->oa.term == o->term && !p->unfetchable && !p->bad_promise &&
	       order_quorum_votes(o, p->nid);
}

static bool counts_candidate(struct order *o, const struct peer *p)
{
	return candidate(o, p);
}

static struct peer *best_candidate(struct order *o)
{
	struct peer *best = NULL;

	for (u32 i = 0; i < o->view.n; i++)
		if (candidate(o, &o->peers[i]) && (!best || order_tail_compare(&o->peers[i].oa.st, &best->oa.st) > 0))
			best = &o->peers[i];
	return best;
}

static void make_term(struct order *o, const struct tail *base)
{
	struct order_action *a;

	o->n_proofs = 0;
	for (u32 i = 0; i < o->view.n && o->n_proofs < LIM_VOTERS; i++) {
		const struct peer *p = &o->peers[i];

		if (!candidate(o, p))
			continue;
		o->proofs[o->n_proofs].nid = p->nid;
		memcpy(o->proofs[o->n_proofs++].sig, p->oa.sig, CRYPTO_SIG);
	}
	o->base = *base;
	o->term_asked = true;
	o->term_asked_at = o->now;
	a = order_act(o, ORDER_MAKE_TERM);
	a->u.make_term.term = o->term;
	a->u.make_term.n = o->n_proofs;
	a->u.make_term.proofs = o->proofs;
	a->u.make_term.ring = o->view.ring;
}

static u64 term_again_ns(const struct order *o)
{
	return 4 * order_resend_ns(o);
}

/* Fetch the tail that we must build on: first what follows our own; if that does not link, from our commit. */
static void fetch_base(struct order *o, struct peer *best)
{
	u64 from = o->diverged ? MAX(o->commit, o->linked) + 1 : MIN(o->tail.index, best->oa.st.index - 1) + 1;

	if (o->fetch.on)
		return; /* order_catch_settle() waits for it */
	if (o->now < o->fetch_retry) {
		order_want(o, o->fetch_retry);
		return;
	}
	order_catch_ask(o, best->nid, from, best->oa.st.index);
}

/* Without those whose tail could not be had there is no majority: ask them again, it may have been the net. */
static void ask_again(struct order *o)
{
	bool any = false;

	for (u32 i = 0; i < o->view.n; i++)
		any |= o->peers[i].unfetchable;
	if (!any || order_quorum_reached(o, counts_candidate))
		return;
	if (o->now < o->fetch_retry) {
		order_want(o, o->fetch_retry);
		return;
	}
	for (u32 i = 0; i < o->view.n; i++)
		o->peers[i].unfetchable = false;
}

static void lead_settle(struct order *o)
{
	struct peer *best;

	ask_again(o);
	best = best_candidate(o);
	if (!best || (order_tail_compare(&best->oa.st, &o->tail) < 0 && !order_quorum_any(o, counts_candidate)))
		return; /* nothing says yet that ours is not the best */
	if (best->oa.st.index < o->commit) {
		if (order_quorum_reached(o, counts_candidate))
			order_halt(o, "a majority denies what we know committed");
		return;
	}
	if (!order_log_has(o, &best->oa.st)) {
		fetch_base(o, best);
		return;
	}
	if (o->tail.index > best->oa.st.index) { /* ours beyond it was never promised: it goes */
		order_log_truncate(o, best->oa.st.index + 1);
		return; /* the sets in force may be others now */
	}
	if (order_quorum_reached(o, counts_candidate))
		make_term(o, &best->oa.st);
}

static void yield_send(struct order *o)
{
	order_send(o, MSG_YIELD, 0)->yield.term = o->term;
	o->yield_term = o->term;
	o->yield_at = o->now;
	order_want(o, o->now + order_resend_ns(o));
}

/* No progress: what nobody may have but us (failed disks, gaps) goes out again, the first missing one first and
 * from then on one by one as they commit. Who has it acknowledges again. */
static void resend(struct order *o)
{
	u64 due = o->resending && o->resent <= o->commit ? o->now : o->progress_at + 2 * order_resend_ns(o);
	union order_body *b;
	struct entry e;
	const u8 *p;
	size_t n;

	if (o->commit >= o->tail.index) {
		o->resending = false;
		return;
	}
	if (o->now < due) {
		order_want(o, due);
		return;
	}
	o->resending = true;
	o->resent = MAX(o->commit + 1, o->term_index);
	o->progress_at = o->now;
	order_want(o, o->progress_at + 2 * order_resend_ns(o));
	p = o->env.read_entry(o->env.ctx, o->resent, &n);
	if (!p)
		return;
	if (o->env.timely && !entry_decode(&e, p, n) && e.term == o->term && !o->env.timely(o->env.ctx, &e)) {
		yield_send(o); /* our clock was wrong then: this term is spoilt, what must stay of it stays with the next TERM */
		return;
	}
	b = order_send(o, MSG_ENTRY, 0);
	b->entry.entry = (struct blob){ p, n };
}

/* Until it came back: then we lead this term no more (order_view_yield). */
static void yield_settle(struct order *o)
{
	if (o->yield_term != o->term)
		return;
	if (o->now >= o->yield_at + order_resend_ns(o))
		yield_send(o);
	else
		order_want(o, o->yield_at + order_resend_ns(o));
}

void order_term_settle(struct order *o)
{
	if (!leads(o) || !order_may_send(o) || !o->env.server_rank(o->env.ctx, o->cfg.nid))
		return;
	if (o->term_index) {
		yield_settle(o);
		resend(o);
		return;
	}
	if (o->term_asked && o->now < o->term_asked_at + term_again_ns(o)) {
		order_want(o, o->term_asked_at + term_again_ns(o));
		return;
	}
	lead_settle(o);
}

/* TERM of the current term, seen by a follower: it must build on the best tail among the voters whose
 * promises it carries, as they told us in this view. A server can so not write away what a majority has. */
bool order_term_base_holds(struct order *o, const struct entry *e)
{
	u32 nid[LIM_VOTERS], n;
	struct tail best = { 0 };

	if (!o->env.term_promises)
		return true;
	n = o->env.term_promises(o->env.ctx, e, nid);
	for (u32 i = 0; i < n; i++) {
		const struct peer *p = order_peer_of(o, nid[i], ROLE_MANAGER);

		if (!p || p->oa.term != o->term) {
			order_alarm(o, e->author_nid, "TERM carries a promise that this view has not seen");
			return false;
		}
		if (order_tail_compare(&p->oa.st, &best) > 0)
			best = p->oa.st;
	}
	if (n && e->index == best.index + 1 && !memcmp(e->prev, best.hash, CRYPTO_HASH))
		return true;
	order_alarm(o, e->author_nid, "TERM does not build on the best tail it promises to");
	return false;
}

/* --- proposals ------------------------------------------------------------------------------------- */

static bool may_change_voters(struct order *o, const struct entry *e)
{
	if (o->env.changes_voters)
		return o->env.changes_voters(o->env.ctx, e);
	return e->type == ENTRY_VOTER_ADD || e->type == ENTRY_VOTER_REMOVE || e->type == ENTRY_VERDICT ||
	       e->type == ENTRY_REMOVE || e->type == ENTRY_REFORM;
}

static int lead_ready(const struct order *o)
{
	if (!leads(o) || (!o->term_index && !o->term_asked) || !o->env.server_rank(o->env.ctx, o->cfg.nid))
		return -DSI_EROLE;
	if (!order_may_send(o) || !lease_holds(&o->lease, o->now) || o->underway_n >= ORDER_UNDERWAY / 2)
		return -DSI_EAGAIN;
	if (o->yield_term == o->term)
		return -DSI_EAGAIN;
	if (o->term_index && o->tail.index - MAX(o->commit, o->term_index) >= ORDER_PIPELINE)
		return -DSI_EAGAIN;
	return 0;
}

int order_next(const struct order *o, u64 *ret_term, u64 *ret_index, u8 ret_prev[CRYPTO_HASH])
{
	int rc = lead_ready(o);

	if (rc)
		return rc;
	*ret_term = o->term;
	*ret_index = o->tail.index + 1;
	memcpy(ret_prev, o->tail.hash, CRYPTO_HASH);
	return 0;
}

static int propose_check(struct order *o, const struct entry *e)
{
	int rc = lead_ready(o);

	if (rc)
		return rc;
	if (e->term != o->term || e->index != o->tail.index + 1 || memcmp(e->prev, o->tail.hash, CRYPTO_HASH) ||
	    e->author_nid != o->cfg.nid || e->author_role != ROLE_SERVER)
		return -DSI_ECONFLICT;
	if ((e->type == ENTRY_TERM) != !o->term_index)
		return e->type == ENTRY_TERM ? -DSI_ECONFLICT : -DSI_EAGAIN;
	if (e->type == ENTRY_TERM && (o->base.index != o->tail.index || memcmp(o->base.hash, o->tail.hash, CRYPTO_HASH)))
		return -DSI_ECONFLICT;
	/* The set in force must be settled before it changes again, and settled in our own term. */
	if (may_change_voters(o, e) && (order_quorum_change(o) || o->commit < o->term_index))
		return -DSI_EAGAIN;
	return 0;
}

int order_propose(struct order *o, u64 now, const u8 *p, size_t n, struct order_actions *ret)
{
	union order_body *b;
	struct entry e;
	int rc;

	o->now = MAX(now, o->now);
	o->n_act = o->n_body = 0;
	o->stepped = o->sets_known = false;
	ret->v = o->act;
	ret->n = 0;
	rc = entry_decode(&e, p, n);
	if (!rc)
		rc = propose_check(o, &e);
	if (!rc)
		rc = order_log_accept(o, &e, p, n, ACCEPT_OWN);
	if (rc)
		return rc < 0 ? rc : -DSI_ECONFLICT;
	if (o->commit + 1 >= e.index)
		o->progress_at = o->now; /* nothing was waiting before it */
	order_want(o, o->progress_at + 2 * order_resend_ns(o));
	b = order_send(o, MSG_ENTRY, 0);
	b->entry.entry = (struct blob){ p, n };
	ret->n = o->n_act;
	return 0;
}

int order_yield(struct order *o, u64 now, struct order_actions *ret)
{
	o->now = MAX(now, o->now);
	o->n_act = o->n_body = 0;
	o->stepped = o->sets_known = false;
	ret->v = o->act;
	ret->n = 0;
	if (!leads(o) || !o->term_index || o->commit < o->term_index)
		return -DSI_EROLE;
	if (!order_view_heir(o))
		return -DSI_ENOTSAFE;
	if (!order_may_send(o) || !lease_holds(&o->lease, o->now))
		return -DSI_EAGAIN;
	if (o->yield_term != o->term)
		yield_send(o);
	ret->n = o->n_act;
	return 0;
}
