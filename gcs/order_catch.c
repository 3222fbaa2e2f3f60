/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries from the stream, and fetching those we lack over the direct leg: a follower towards what the
 * leader wrote, the leader towards the tail it must build on.
 *
 * Must never: have two fetches under way; believe a source: every entry passes order_log_accept().
 */
#include <string.h>

#include "gcs/order_impl.h"
#include "lib/err.h"

static const u64 FETCH_LOST_NS = 6000000000ull; /* an answer that never came: the shell's own limit is 5 s */

void order_catch_ask(struct order *o, u32 nid, u64 from, u64 to)
{
	struct order_action *a = order_act(o, ORDER_FETCH);

	to = MIN(to, from + ORDER_FETCH_STEP - 1);
	a->u.fetch.nid = o->fetch.nid = nid;
	a->u.fetch.from = o->fetch.from = from;
	a->u.fetch.to = o->fetch.to = to;
	o->fetch.on = true;
	o->fetch.at = o->now;
	order_want(o, o->now + FETCH_LOST_NS);
}

static bool leading(const struct order *o)
{
	return o->cfg.role == ROLE_SERVER && o->leader == o->cfg.nid;
}

void order_catch_entry(struct order *o, struct peer *p, const struct body_entry *b)
{
	struct entry e;
	int rc;

	if (!o->opened || (p->nid != o->leader && o->term_index))
		return;
	if (entry_decode(&e, b->entry.p, b->entry.n)) {
		order_alarm(o, p->nid, "malformed entry");
		return;
	}
	if (e.term != o->term || e.author_nid != p->nid)
		return;
	if (leading(o) && p->nid == o->cfg.nid) {
		struct tail t = { .index = e.index };

		memcpy(t.hash, e.hash, CRYPTO_HASH);
		if (e.author_nid == o->cfg.nid && e.index > o->commit && order_log_has(o, &t))
			order_log_delivered(o, e.index, b->entry.p, b->entry.n);
		return;
	}
	rc = order_log_accept(o, &e, b->entry.p, b->entry.n, ACCEPT_FOLLOW);
	if (rc == -DSI_EEXPIRED && o->term_index && !o->untimely_at)
		o->untimely_at = o->now;
	if (rc == 1)
		o->ack_again = e.index > o->commit;
	else if (rc == -DSI_ECONFLICT || rc == -DSI_EAGAIN || (rc == -DSI_ESTALE && !o->term_index && e.type != ENTRY_TERM))
		o->want = MAX(o->want, e.index);
}

/* --- fetched --------------------------------------------------------------------------------------- */

static void fetch_failed(struct order *o)
{
	struct peer *p = order_peer_of(o, o->fetch.nid, ROLE_MANAGER);

	o->fetch_retry = o->now + o->cfg.open_wait_ns;
	o->fetch_try++;
	if (leading(o) && p)
		p->unfetchable = true;
}

/* true: got on, or must look further back at the same source. */
static bool fetch_take(struct order *o, const struct blob *v, u32 n)
{
	enum accept_mode mode = leading(o) ? ACCEPT_LEAD : ACCEPT_FOLLOW;
	bool on = false;

	for (u32 i = 0; i < MIN(n, (u32)ORDER_FETCH_STEP); i++) {
		struct entry e;
		int rc = entry_decode(&e, v[i].p, v[i].n);

		if (rc || e.index < o->fetch.from || e.index > o->fetch.to)
			return on;
		rc = order_log_accept(o, &e, v[i].p, v[i].n, mode);
		if (rc == -DSI_ECONFLICT && !o->diverged && o->fetch.from > o->commit + 1) {
			o->diverged = true;
			o->linked = o->commit;
			return true;
		}
		if (rc == -DSI_ECONFLICT && o->diverged)
			o->linked = o->commit; /* that source is not on the chain, or an earlier one was not */
		if (rc == -DSI_EAGAIN)
			return true;
		if (rc < 0)
			return on;
		if (rc == 0)
			o->diverged = false;
		o->linked = MAX(o->linked, e.index);
		on = true;
	}
	return on;
}

void order_catch_fetched(struct order *o, u32 nid, const struct blob *v, u32 n)
{
	if (!o->fetch.on || nid != o->fetch.nid)
		return;
	o->fetch.on = false;
	if (!o->opened || (leading(o) && (o->term_asked || o->term_index)))
		return; /* no use for it any more */
	if (!fetch_take(o, v, n))
		fetch_failed(o);
}

/* --- whom to ask ----------------------------------------------------------------------------------- */

/* The best tail among those who promised is what TERM builds on. */
static const struct peer *base_holder(struct order *o)
{
	const struct peer *best = NULL;

	for (u32 i = 0; i < o->view.n; i++) {
		const struct peer *p = &o->peers[i];

		if (p->oa.term == o->term && (!best || order_tail_compare(&p->oa.st, &best->oa.st) > 0))
			best = p;
	}
	return best;
}

/* Managers that are on the term's chain as far as they told: acknowledged in it, or hold what it builds on; and
 * the one beside the leader. Others may have the tail that we must lose ourselves. */
static u32 source(struct order *o, u64 index)
{
	const struct peer *base = base_holder(o);
	u32 nid[LIM_NODES], n = 0;

	for (u32 i = 0; i < o->view.n; i++) {
		const struct peer *p = &o->peers[i];

		if (p->role != ROLE_MANAGER || (p->nid == o->cfg.nid && o->cfg.role == ROLE_MANAGER))
			continue;
		if (MAX(p->told, MAX(p->acked, p->pend)) >= index || (p == base && p->oa.st.index >= index) || p->nid == o->leader)
			nid[n++] = p->nid;
	}
	return n ? nid[o->fetch_try % n] : 0;
}

static bool lacking(const struct order *o)
{
	return o->want && (!o->term_index || o->want > o->tail.index);
}

void order_catch_settle(struct order *o)
{
	u64 from;
	u32 nid;

	if (!o->view_on || !o->opened)
		return;
	if (o->fetch.on && o->now >= o->fetch.at + FETCH_LOST_NS) {
		o->fetch.on = false;
		fetch_failed(o);
	}
	if (o->fetch.on) {
		order_want(o, o->fetch.at + FETCH_LOST_NS);
		return;
	}
	if (leading(o) || !lacking(o) || o->promised > o->term || o->underway_n >= ORDER_UNDERWAY - ORDER_FETCH_STEP)
		return;
	if (o->now < o->fetch_retry) {
		order_want(o, o->fetch_retry);
		return;
	}
	from = o->diverged ? MAX(o->commit, o->linked) + 1 : MIN(o->tail.index, o->want - 1) + 1;
	nid = source(o, from);
	if (nid)
		order_catch_ask(o, nid, from, o->want);
	else {
		o->fetch_retry = o->now + o->cfg.open_wait_ns;
		order_want(o, o->fetch_retry);
	}
}
