/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a view: members, STATE, OPEN, the promise, OPENACK; and opening again inside a view when its
 * server is gone, deposed or silent.
 *
 * Must never: promise a term twice, or before it is durable; promise while what our STATE told is no longer
 * what our disk holds. Time-outs only ever send something (STATE, OPEN), they never decide.
 */
#include <string.h>

#include "gcs/order_impl.h"

/* --- members --------------------------------------------------------------------------------------- */

struct peer *order_peer_at(struct order *o, struct gcs_member m)
{
	for (u32 i = 0; i < o->view.n; i++)
		if (o->peers[i].m.nodeid == m.nodeid && o->peers[i].m.pid == m.pid)
			return &o->peers[i];
	return NULL;
}

struct peer *order_peer_of(struct order *o, u32 nid, enum msg_role role)
{
	if (!o->view_on)
		return NULL;
	for (u32 i = 0; i < o->view.n; i++)
		if (o->peers[i].nid == nid && o->peers[i].role == role)
			return &o->peers[i];
	return NULL;
}

static struct peer *peer_self(struct order *o)
{
	return order_peer_of(o, o->cfg.nid, o->cfg.role);
}

int order_tail_compare(const struct tail *a, const struct tail *b)
{
	if (a->term != b->term)
		return a->term < b->term ? -1 : 1;
	return a->index == b->index ? 0 : a->index < b->index ? -1 : 1;
}

static bool tail_same(const struct tail *a, const struct tail *b)
{
	return !order_tail_compare(a, b) && !memcmp(a->hash, b->hash, CRYPTO_HASH);
}

static u64 server_wait(const struct order *o)
{
	return MAX(o->lease.gate, 4 * o->beat_ns);
}

static u64 term_wait(const struct order *o)
{
	return 4 * server_wait(o) + 10 * o->cfg.open_wait_ns;
}

/* --- view ------------------------------------------------------------------------------------------ */

static void round_begin(struct order *o, enum reopen why)
{
	o->reopening = why;
	o->round_began = o->now;
	o->all_in_at = 0;
	o->state_sent = false;
	o->open_sent_at = 0;
}

static void term_forget(struct order *o)
{
	o->usable = false;
	o->term_index = 0;
	o->oa_due = 0;
	o->oa_at = 0;
	o->ack_sent = 0;
	o->ack_again = false;
	o->term_asked = false;
	o->n_proofs = 0;
	o->yield_term = 0;
	o->untimely_at = 0;
	o->want = 0;
	o->fetch.on = false;
	o->fetch_retry = 0;
	o->diverged = false;
	o->linked = 0;
	o->mute = false;
	o->resending = false;
}

void order_view_begin(struct order *o, const struct gcs_view *v)
{
	u64 gate = lease_gate_ns(v->token_ns, v->consensus_ns);

	assert(v->n <= LIM_NODES);
	o->view = *v;
	o->view_on = true;
	memset(o->peers, 0, v->n * sizeof(o->peers[0]));
	for (u32 i = 0; i < v->n; i++)
		o->peers[i].m = v->members[i];
	o->opened = false;
	o->term = 0;
	o->leader = 0;
	o->refused_term = 0;
	o->n_shunned = 0;
	o->yielded = 0;
	o->beat_ns = lease_beat_ns(gate, o->cfg.heartbeat_ns);
	o->beat_at = o->now + o->beat_ns;
	lease_begin(&o->lease, o->now, gate,
		    lease_trust_ns(v->token_ns, v->consensus_ns, o->beat_ns, o->cfg.open_wait_ns));
	term_forget(o);
	round_begin(o, REOPEN_NONE);
}

void order_view_end(struct order *o)
{
	o->view_on = false;
	o->view.n = 0;
	o->opened = false;
	o->term = 0;
	o->leader = 0;
	lease_end(&o->lease);
	term_forget(o);
	round_begin(o, REOPEN_NONE);
}

void order_view_heard(struct order *o, struct peer *p, u32 nid, enum msg_role role)
{
	p->nid = nid;
	p->role = role;
	p->heard = o->now;
	if (o->opened && role == ROLE_SERVER && nid == o->leader) {
		o->leader_heard = o->now;
		if (o->reopening == REOPEN_SILENT) { /* it lives: never mind */
			round_begin(o, REOPEN_NONE);
			o->n_shunned = 0;
		}
	}
}

/* --- STATE ----------------------------------------------------------------------------------------- */

void order_view_state(struct order *o, struct peer *p, const struct body_state *b)
{
	if (b->promised > o->promised && b->promised - o->promised > 1ull << ORDER_PROMISE_JUMP) {
		order_alarm(o, p->nid, "STATE claims an impossible promise");
		return;
	}
	if (b->tail_term > b->promised) {
		order_alarm(o, p->nid, "STATE claims entries above its promise");
		return;
	}
	p->has_state = p->fresh = true;
	p->promised = b->promised;
	p->st.term = b->tail_term;
	p->st.index = b->tail_index;
	memcpy(p->st.hash, b->tail_hash, CRYPTO_HASH);
	p->told = MAX(p->told, b->commit);
	p->unfetchable = false;
	for (u32 i = 0; i < b->urgent.n && i < 32; i++) {
		struct order_action *a = order_act(o, ORDER_URGENT);

		a->u.delivered.p = b->urgent.v[i].p;
		a->u.delivered.n = b->urgent.v[i].n;
	}
}

/* What a STATE of ours would say now. A learner that becomes a voter has promised what it has appended. */
static u64 state_promise(const struct order *o)
{
	return MAX(o->promised, o->tail.term);
}

/* Did the stream bring back from us exactly what our disk holds? */
static bool state_stands(struct order *o)
{
	struct peer *me = peer_self(o);

	return me && me->has_state && order_log_drained(o) && me->promised == state_promise(o) &&
	       tail_same(&me->st, &o->tail);
}

static bool state_needed(struct order *o)
{
	struct peer *me = peer_self(o);

	if (!o->opened || o->reopening)
		return !(me && me->fresh && state_stands(o));
	/* too late for the OPEN, in time for its term */
	return o->promised < o->term && !o->term_index && !state_stands(o);
}

/* Every living manager tells and promises, voter by its own log or not: the entry that makes it a voter may be
 * one that it lacks, and those who have that entry need its word to open. Who counts is the receivers' matter. */
static bool may_promise(struct order *o)
{
	return o->cfg.role == ROLE_MANAGER && !o->env.nid_dead(o->env.ctx, o->cfg.nid);
}

static void state_settle(struct order *o)
{
	union order_body *b;

	if (!may_promise(o) || o->stale || o->mute || !state_needed(o) || !order_log_drained(o))
		return;
	if (o->state_sent && o->state_promised == state_promise(o) && tail_same(&o->state_tail, &o->tail) &&
	    o->now < o->state_at + order_resend_ns(o)) {
		order_want(o, o->state_at + order_resend_ns(o));
		return;
	}
	b = order_send(o, MSG_STATE, 0);
	b->state.promised = state_promise(o);
	b->state.tail_term = o->tail.term;
	b->state.tail_index = o->tail.index;
	memcpy(b->state.tail_hash, o->tail.hash, CRYPTO_HASH);
	b->state.commit = o->commit;
	if (o->env.urgent)
		o->env.urgent(o->env.ctx, &b->state.urgent);
	o->state_sent = true;
	o->state_tail = o->tail;
	o->state_promised = state_promise(o);
	o->state_at = o->now;
	order_want(o, o->state_at + order_resend_ns(o));
}

/* --- OPEN: sending --------------------------------------------------------------------------------- */

static bool counts_fresh(struct order *o, const struct peer *p)
{
	(void)o;
	return p->has_state && p->fresh;
}

/* Everybody in the member list is known, and every voter among them told its state. */
static bool all_in(struct order *o)
{
	for (u32 i = 0; i < o->view.n; i++) {
		const struct peer *p = &o->peers[i];

		if (!p->nid)
			return false;
		if (p->role == ROLE_MANAGER && order_quorum_votes(o, p->nid) && !counts_fresh(o, p))
			return false;
	}
	return true;
}

/* Best tail first: such a voter knows servers, ranks and sets best. Then lowest NID. */
static u32 open_rank(struct order *o)
{
	u32 rank = 0;

	for (u32 i = 0; i < o->view.n; i++) {
		const struct peer *p = &o->peers[i];
		int c;

		if (p->role != ROLE_MANAGER || p->nid == o->cfg.nid || !order_quorum_votes(o, p->nid) ||
		    !counts_fresh(o, p))
			continue;
		c = order_tail_compare(&p->st, &o->tail);
		rank += c > 0 || (!c && p->nid < o->cfg.nid);
	}
	return rank;
}

static bool shunned(const struct order *o, u32 nid)
{
	for (u32 i = 0; i < o->n_shunned; i++)
		if (o->shunned[i] == nid)
			return true;
	return false;
}

static u32 server_rank(struct order *o, u32 nid)
{
	return order_peer_of(o, nid, ROLE_SERVER) ? o->env.server_rank(o->env.ctx, nid) : 0;
}

/* Silent in this view, or yielded: only when nobody else is here. */
static bool passed_over(const struct order *o, u32 nid)
{
	return shunned(o, nid) || nid == o->yielded;
}

bool order_view_heir(struct order *o)
{
	for (u32 i = 0; i < o->view.n; i++)
		if (o->peers[i].role == ROLE_SERVER && o->peers[i].nid != o->leader && !shunned(o, o->peers[i].nid) &&
		    o->env.server_rank(o->env.ctx, o->peers[i].nid))
			return true;
	return false;
}

/* The incumbent while present, else the first by rank. */
static u32 choose_leader(struct order *o)
{
	u32 best = 0, best_rank = 0;

	for (int pass = 0; pass < 2 && !best; pass++) {
		if (o->incumbent && server_rank(o, o->incumbent) && (pass || !passed_over(o, o->incumbent)))
			return o->incumbent;
		for (u32 i = 0; i < o->view.n; i++) {
			u32 nid = o->peers[i].nid, rank;

			if (o->peers[i].role != ROLE_SERVER || (!pass && passed_over(o, nid)))
				continue;
			rank = o->env.server_rank(o->env.ctx, nid);
			if (rank && (!best || rank < best_rank)) {
				best = nid;
				best_rank = rank;
			}
		}
	}
	return best;
}

static void put_u32(u8 *p, u32 v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (u8)(v >> 8 * i);
}

static u32 get_u32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static void sort_u32(u32 *v, u32 n)
{
	for (u32 i = 1; i < n; i++)
		for (u32 k = i; k && v[k - 1] > v[k]; k--) {
			u32 x = v[k];

			v[k] = v[k - 1];
			v[k - 1] = x;
		}
}

static void open_send(struct order *o)
{
	union order_body *b = order_send(o, MSG_OPEN, 0);
	u32 list[LIM_VOTERS], n = 0;
	u64 promised = 0;

	put_u32(o->open_buf, choose_leader(o));
	/* Voters, then others who promised more: their vote may count for those who know more than we do. */
	for (u32 i = 0; i < o->view.n; i++) {
		const struct peer *p = &o->peers[i];

		if (p->role == ROLE_MANAGER && counts_fresh(o, p) && order_quorum_votes(o, p->nid) && n < LIM_VOTERS) {
			list[n++] = p->nid;
			promised = MAX(promised, p->promised);
		}
	}
	for (u32 i = 0; i < o->view.n; i++) {
		const struct peer *p = &o->peers[i];

		if (p->role == ROLE_MANAGER && p->has_state && !(counts_fresh(o, p) && order_quorum_votes(o, p->nid)) &&
		    n < LIM_VOTERS && p->promised > promised && !o->env.nid_dead(o->env.ctx, p->nid)) {
			list[n++] = p->nid;
			promised = p->promised;
		}
	}
	sort_u32(list, n);
	for (u32 i = 0; i < n; i++)
		put_u32(o->open_buf + 4 * (i + 1), list[i]);
	b->open.term = promised + 1;
	b->open.voters = (struct blob){ o->open_buf, 4 * (n + 1) };
	o->open_sent_at = o->now;
}

static void open_settle(struct order *o)
{
	u64 due, again;

	if ((o->opened && !o->reopening) || !order_may_send(o) || o->stale || !order_quorum_votes(o, o->cfg.nid) ||
	    o->cfg.role != ROLE_MANAGER || !state_stands(o) ||
	    !peer_self(o)->fresh || !order_quorum_reached(o, counts_fresh))
		return;
	if (!all_in(o)) {
		o->all_in_at = 0;
		due = o->round_began + o->cfg.open_wait_ns * (1 + open_rank(o));
	} else {
		if (!o->all_in_at)
			o->all_in_at = o->now;
		due = o->all_in_at + o->cfg.open_wait_ns * open_rank(o);
	}
	again = o->open_sent_at ? o->open_sent_at + o->cfg.open_wait_ns * (o->view.n + 1) : 0;
	if (o->now < MAX(due, again))
		order_want(o, MAX(due, again));
	else {
		open_send(o);
		order_want(o, o->now + o->cfg.open_wait_ns * (o->view.n + 1));
	}
}

/* --- OPEN: receiving ------------------------------------------------------------------------------- */

struct open {
	u64 term;
	u32 leader, n;
	u32 nid[LIM_VOTERS];
};

static bool open_parse(struct open *w, const struct body_open *b)
{
	if (b->voters.n < 8 || b->voters.n % 4 || b->voters.n > 4 * (1 + LIM_VOTERS))
		return false;
	w->term = b->term;
	w->leader = get_u32(b->voters.p);
	w->n = (u32)(b->voters.n / 4) - 1;
	for (u32 i = 0; i < w->n; i++) {
		w->nid[i] = get_u32(b->voters.p + 4 * (i + 1));
		if (!w->nid[i] || (i && w->nid[i] <= w->nid[i - 1]))
			return false;
	}
	return true;
}

static bool heard_fresh(struct order *o, u32 nid)
{
	const struct peer *p = order_peer_of(o, nid, ROLE_MANAGER);

	return p && counts_fresh(o, p) && !o->env.nid_dead(o->env.ctx, nid);
}

/* Of one of the sets in force: what is uncommitted at our end may be nobody else's. Both are asked of TERM. */
static bool open_is_majority(struct order *o, const struct open *w)
{
	u32 n_sets;
	const struct order_voters *sets = order_quorum_sets(o, &n_sets);
	bool any = false;

	for (u32 s = 0; s < n_sets; s++) {
		u32 count = 0;

		for (u32 i = 0; i < w->n; i++)
			for (u32 k = 0; k < sets[s].n; k++)
				count += sets[s].nid[k] == w->nid[i] && heard_fresh(o, w->nid[i]);
		any |= count >= sets[s].n / 2 + 1;
	}
	return any;
}

/* Receivers recompute it from what they delivered in this view. One that lags (a listed tail is ahead of
 * ours) cannot know who votes now, and takes the sender's word for the majority: a promise only ever raises
 * the term, and TERM must show a majority's. Of one whom only we know to be suspended we heard nothing. */
static bool open_valid(struct order *o, const struct open *w)
{
	u64 promised = 0;
	bool behind = false, unheard = false;

	for (u32 i = 0; i < w->n; i++) {
		const struct peer *p = order_peer_of(o, w->nid[i], ROLE_MANAGER);

		if (!p || !p->has_state) {
			if (!o->env.nid_dead(o->env.ctx, w->nid[i]))
				return false;
			unheard = true;
			continue;
		}
		promised = MAX(promised, p->promised);
		behind |= order_tail_compare(&p->st, &o->tail) > 0;
	}
	if (w->term <= promised || (w->term != promised + 1 && !unheard) || (o->opened && w->term <= o->term))
		return false;
	if (w->term > o->promised && w->term - o->promised > 1ull << ORDER_PROMISE_JUMP)
		return false;
	if (w->leader && !server_rank(o, w->leader) && !behind)
		return false;
	return open_is_majority(o, w) || (behind && (!o->opened || o->reopening));
}

static void open_accept(struct order *o, const struct open *w)
{
	o->opened = true;
	o->term = w->term;
	o->leader = w->leader;
	if (o->leader == o->yielded)
		o->yielded = 0; /* chosen all the same: it leads until it says so again */
	o->open_at = o->leader_heard = o->now;
	term_forget(o);
	round_begin(o, REOPEN_NONE);
	for (u32 i = 0; i < o->view.n; i++) {
		struct peer *p = &o->peers[i];

		p->fresh = p->unfetchable = false;
		p->acked = p->pend = 0;
		p->oa.term = 0;
		if (p->ahead.term == o->term)
			p->oa = p->ahead;
	}
}

void order_view_open(struct order *o, struct peer *p, const struct body_open *b)
{
	struct open w;

	if ((o->opened && !o->reopening && p->nid == o->cfg.nid) || !open_parse(&w, b))
		return;
	if (open_valid(o, &w)) {
		open_accept(o, &w);
		return;
	}
	if (w.term > o->term) {
		o->refused_term = w.term;
		o->refused_leader = w.leader;
	}
	if (p->nid == o->cfg.nid)
		o->open_sent_at = 0; /* what we counted changed on the way: try again at once */
}

/* --- the promise ----------------------------------------------------------------------------------- */

static void promise_ask(struct order *o, u64 term)
{
	if (o->now < o->promise_retry) { /* the disk refused just now */
		order_want(o, o->promise_retry);
		return;
	}
	o->promised = o->promise_asked = term;
	order_act(o, ORDER_PROMISE)->u.promise.term = term;
}

static void openack_send(struct order *o)
{
	union order_body *b;
	struct peer *me = peer_self(o);

	if (o->term_index || (me && me->oa.term == o->term))
		return;
	if (!order_may_send(o) || !lease_holds(&o->lease, o->now))
		return;
	if (o->oa_at && o->now < o->oa_at + order_resend_ns(o)) {
		order_want(o, o->oa_at + order_resend_ns(o));
		return;
	}
	b = order_send(o, MSG_OPENACK, o->leader);
	b->openack.term = o->term;
	o->oa_at = o->now;
	order_want(o, o->oa_at + order_resend_ns(o));
}

static void promise_settle(struct order *o)
{
	bool relearning = o->stale && o->term_index && o->commit >= o->term_index && o->durable >= o->commit;

	if (!o->opened || (o->stale && !relearning) || o->mute || (!may_promise(o) && !relearning))
		return;
	if (o->promised < o->term) {
		if (o->term_index) /* TERM shows a majority's promises; ours only lets us acknowledge */
			promise_ask(o, o->term);
		else if (state_stands(o) && order_may_send(o)) {
			promise_ask(o, o->term);
			o->oa_due = o->term;
		}
	}
	if (o->promised == o->term && o->promised_durable == o->term && o->oa_due == o->term)
		openack_send(o);
}

/* Bad is also one for another leader of this term: it took another OPEN for the first valid one. */
static void promise_check(struct order *o, struct peer *p)
{
	p->bad_promise = o->cfg.role == ROLE_SERVER && o->opened && p->oa.term == o->term && o->leader == o->cfg.nid &&
			 o->env.verify_promise &&
			 !o->env.verify_promise(o->env.ctx, p->nid, &o->view.ring, o->term, o->leader, p->oa.sig);
}

void order_view_openack(struct order *o, struct peer *p, const struct body_openack *b)
{
	struct openack *oa = o->opened && b->term == o->term ? &p->oa : &p->ahead;

	/* Only after its STATE: without that we do not know what log the promise comes with. */
	if (b->term < o->term || !p->has_state || b->term <= oa->term)
		return;
	oa->term = b->term;
	oa->st = p->st;
	memcpy(oa->sig, b->promise, CRYPTO_SIG);
	promise_check(o, p);
}

static bool counts_refused(struct order *o, const struct peer *p)
{
	return p->ahead.term == o->refused_term;
}

/* We judged by a log that lagged, and a majority promised: then it was valid. We come after, as one too late. */
static void refused_settle(struct order *o)
{
	struct open w = { .term = o->refused_term, .leader = o->refused_leader };

	if (o->refused_term <= o->term || !order_quorum_any(o, counts_refused))
		return;
	open_accept(o, &w);
	for (u32 i = 0; i < o->view.n; i++)
		promise_check(o, &o->peers[i]);
}

/* --- opening again --------------------------------------------------------------------------------- */

static bool other_server(struct order *o)
{
	for (u32 i = 0; i < o->view.n; i++)
		if (o->peers[i].role == ROLE_SERVER && o->peers[i].nid != o->leader &&
		    o->env.server_rank(o->env.ctx, o->peers[i].nid))
			return true;
	return false;
}

static void shun(struct order *o, u32 nid)
{
	if (!shunned(o, nid) && o->n_shunned < LIM_SERVERS)
		o->shunned[o->n_shunned++] = nid;
}

/* A member came too late for the OPEN with a promise that forbids it our term: once per view it is given a higher
 * one (a liar could else keep us opening). */
static bool higher_promise(struct order *o)
{
	bool any = false;

	for (u32 i = 0; i < o->view.n; i++) {
		struct peer *p = &o->peers[i];

		if (p->role != ROLE_MANAGER || !p->has_state || p->promised < o->term || p->raised || p->oa.term == o->term || o->env.nid_dead(o->env.ctx, p->nid))
			continue;
		p->raised = any = true;
	}
	return any;
}

/* Only the leader's own word, about the term it leads. Should nobody be there to follow it leads the next term itself. The
 * one before it that yielded is eligible again. */
void order_view_yield(struct order *o, struct peer *p, const struct body_yield *b)
{
	if (!o->opened || p->nid != o->leader || b->term != o->term || !o->term_index)
		return;
	o->yielded = p->nid;
}

static enum reopen reopen_reason(struct order *o)
{
	u64 patience;

	if (higher_promise(o))
		return REOPEN_HIGHER;
	if (!o->leader)
		return other_server(o) ? REOPEN_NOSERVER : REOPEN_NONE;
	if (!o->env.server_rank(o->env.ctx, o->leader))
		return REOPEN_DEPOSED;
	if (o->leader == o->yielded)
		return REOPEN_YIELDED;
	if (o->untimely_at && order_view_heir(o)) { /* its clock or ours: if a majority finds so, it is its */
		if (o->now >= o->untimely_at + server_wait(o))
			return REOPEN_CLOCK;
		order_want(o, o->untimely_at + server_wait(o));
	}
	patience = other_server(o) ? 1 : 4;
	if (o->now >= o->leader_heard + patience * server_wait(o))
		return REOPEN_SILENT;
	order_want(o, o->leader_heard + patience * server_wait(o));
	if (o->usable && !o->term_index) {
		if (o->now >= o->open_at + patience * term_wait(o))
			return REOPEN_NOTERM;
		order_want(o, o->open_at + patience * term_wait(o));
	}
	return REOPEN_NONE;
}

static void reopen_settle(struct order *o)
{
	enum reopen why;

	if (!o->opened)
		return;
	if (o->reopening == REOPEN_NOTERM && o->term_index)
		round_begin(o, REOPEN_NONE);
	if (o->reopening == REOPEN_CLOCK && !o->untimely_at) { /* a majority has it: it was ours */
		round_begin(o, REOPEN_NONE);
		o->n_shunned = 0;
	}
	if (o->reopening)
		return;
	why = reopen_reason(o);
	if (!why)
		return;
	if (why == REOPEN_SILENT || why == REOPEN_NOTERM || why == REOPEN_CLOCK)
		shun(o, o->leader);
	round_begin(o, why);
}

static bool counts_promise(struct order *o, const struct peer *p)
{
	return p->oa.term == o->term;
}

void order_view_settle(struct order *o)
{
	if (!o->view_on)
		return;
	refused_settle(o);
	if (o->opened && !o->usable)
		o->usable = o->term_index || order_quorum_reached(o, counts_promise);
	reopen_settle(o);
	state_settle(o);
	open_settle(o);
	promise_settle(o);
}
