/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our end of the log: what we accept into it, what is durable, which bodies are here.
 *
 * Must never: accept an entry that does not chain, replace anything at or below our own commit point, or
 * call durable what was replaced while it was under way.
 */
#include <string.h>

#include "gcs/order_impl.h"
#include "lib/err.h"

/* --- window ---------------------------------------------------------------------------------------- */

static void window_put(struct order *o, const struct entry *e)
{
	u32 at = e->index % ORDER_WINDOW;

	o->window[at].term = e->term;
	o->window[at].author = e->author_nid;
	memcpy(o->window[at].hash, e->hash, CRYPTO_HASH);
}

static bool read_back(struct order *o, u64 index, struct entry *e)
{
	size_t n;
	const u8 *p = o->env.read_entry(o->env.ctx, index, &n);

	return p && !entry_decode(e, p, n) && e->index == index;
}

bool order_log_at(struct order *o, u64 index, struct tail *ret, u32 *ret_author)
{
	struct entry e;

	memset(ret, 0, sizeof(*ret));
	*ret_author = 0;
	if (!index)
		return true;
	if (index > o->tail.index)
		return false;
	ret->index = index;
	if (index >= o->window_lo && index + ORDER_WINDOW > o->tail.index) {
		ret->term = o->window[index % ORDER_WINDOW].term;
		memcpy(ret->hash, o->window[index % ORDER_WINDOW].hash, CRYPTO_HASH);
		*ret_author = o->window[index % ORDER_WINDOW].author;
		return true;
	}
	if (!read_back(o, index, &e))
		return false;
	ret->term = e.term;
	memcpy(ret->hash, e.hash, CRYPTO_HASH);
	*ret_author = e.author_nid;
	return true;
}

bool order_log_has(struct order *o, const struct tail *t)
{
	struct tail mine;
	u32 author;

	return order_log_at(o, t->index, &mine, &author) && !memcmp(mine.hash, t->hash, CRYPTO_HASH);
}

void order_log_init(struct order *o)
{
	struct entry e = { 0 };

	o->tail.term = o->cfg.tail_term;
	o->tail.index = o->cfg.tail_index;
	memcpy(o->tail.hash, o->cfg.tail_hash, CRYPTO_HASH);
	o->durable = o->tail.index;
	o->commit = o->bodies_ok = o->cfg.commit;
	o->incumbent = o->cfg.incumbent;
	o->window_lo = o->tail.index;
	if (!o->tail.index)
		return;
	if (!read_back(o, o->tail.index, &e)) { /* a tool without a log to read: its author stays unknown */
		e.index = o->tail.index;
		e.term = o->tail.term;
		memcpy(e.hash, o->tail.hash, CRYPTO_HASH);
	}
	assert(e.term == o->tail.term && !memcmp(e.hash, o->tail.hash, CRYPTO_HASH));
	window_put(o, &e);
	if (!o->incumbent)
		o->incumbent = e.author_role == ROLE_SERVER ? e.author_nid : 0;
}

/* --- durability ------------------------------------------------------------------------------------ */

bool order_log_drained(const struct order *o)
{
	return !o->underway_n && o->promised_durable == o->promised;
}

static void underway_push(struct order *o, u64 index)
{
	u32 at = (o->underway_first + o->underway_n) % ORDER_UNDERWAY;

	assert(o->underway_n < ORDER_UNDERWAY);
	o->underway[at].index = index;
	o->underway[at].dead = false;
	o->underway_n++;
}

static void underway_kill(struct order *o, u64 from)
{
	for (u32 i = 0; i < o->underway_n; i++) {
		u32 at = (o->underway_first + i) % ORDER_UNDERWAY;

		if (o->underway[at].index >= from)
			o->underway[at].dead = true;
	}
}

void order_log_appended(struct order *o, u64 index)
{
	u32 at = o->underway_first;

	if (!o->underway_n || o->underway[at].index != index)
		return; /* of before a failure */
	o->underway_first = (at + 1) % ORDER_UNDERWAY;
	o->underway_n--;
	if (!o->underway[at].dead)
		o->durable = MAX(o->durable, index);
}

/* Move our end back to just before from, which is above commit. */
static void end_cut(struct order *o, u64 from)
{
	struct tail t;
	u32 author;

	assert(from > o->commit && from <= o->tail.index);
	if (!order_log_at(o, from - 1, &t, &author)) {
		order_halt(o, "log cannot be read back");
		return;
	}
	underway_kill(o, from);
	o->tail = t;
	o->durable = MIN(o->durable, from - 1);
	o->bodies_ok = MIN(o->bodies_ok, from - 1);
	o->bodies_wait = o->bodies_wait >= from ? 0 : o->bodies_wait;
	if (o->window_lo > from - 1)
		o->window_lo = from;
	o->stepped = true;
}

void order_log_truncate(struct order *o, u64 from)
{
	struct order_action *a;

	end_cut(o, from);
	if (o->halted)
		return;
	a = order_act(o, ORDER_APPEND);
	a->u.append.index = from;
	underway_push(o, from);
	o->underway[(o->underway_first + o->underway_n - 1) % ORDER_UNDERWAY].dead = true; /* makes nothing durable */
}

/* Nothing of what was under way is on disk. What we led with is lost to us, though others may have it: we
 * are silent for the rest of this term, lest two entries of ours share an index. */
void order_log_fail(struct order *o)
{
	bool led = o->opened && o->cfg.role == ROLE_SERVER && o->leader == o->cfg.nid;

	o->promised = o->promise_asked = o->promised_durable;
	o->promise_retry = o->now + order_resend_ns(o);
	if (!o->underway_n)
		return;
	o->underway_n = 0;
	if (o->durable < o->tail.index) {
		/* What others made durable we may know committed: our own disk begins again where it stands. */
		o->commit = MIN(o->commit, o->durable);
		if (o->term_index)
			o->want = MAX(o->want, o->tail.index);
		end_cut(o, o->durable + 1);
	}
	o->mute = led;
	if (o->term_index > o->tail.index)
		o->term_index = 0;
	o->ack_sent = MIN(o->ack_sent, o->durable);
	o->fetch_retry = o->now + order_resend_ns(o);
	for (u32 i = 0; i < o->view.n; i++)
		if (o->peers[i].acked > o->tail.index)
			o->peers[i].acked = o->tail.index;
}

/* --- accepting ------------------------------------------------------------------------------------- */

static bool chains(const struct entry *e, const struct tail *before, u32 author)
{
	if (memcmp(e->prev, before->hash, CRYPTO_HASH))
		return false;
	if (e->term < before->term)
		return false;
	if (e->term > before->term)
		return e->type == ENTRY_TERM;
	/* One server writes a term, and opens it once. Term 0 is before the first server. */
	return !e->term || (e->type != ENTRY_TERM && (!author || e->author_nid == author));
}

static bool term_may_write(struct order *o, const struct entry *e)
{
	if (e->author_role != ROLE_SERVER || o->promised > o->term || !o->env.server_rank(o->env.ctx, e->author_nid))
		return false;
	/* TERM proves whom a majority promised: should we have taken another OPEN for the first valid one. */
	if (e->type == ENTRY_TERM)
		return !o->term_index && order_term_base_holds(o, e);
	return o->term_index && e->author_nid == o->leader;
}

static bool mode_allows(struct order *o, const struct entry *e, enum accept_mode mode)
{
	if (mode == ACCEPT_OWN)
		return true;
	if (!o->opened || e->term > o->term || (mode == ACCEPT_LEAD && e->term == o->term))
		return false;
	return e->term < o->term || term_may_write(o, e);
}

void order_log_delivered(struct order *o, u64 index, const u8 *p, size_t n)
{
	struct order_action *a = order_act(o, ORDER_DELIVERED);

	a->u.delivered.index = index;
	a->u.delivered.p = p;
	a->u.delivered.n = n;
}

static void log_put(struct order *o, const struct entry *e, const u8 *p, size_t n)
{
	struct order_action *a;

	if (e->index <= o->tail.index)
		end_cut(o, e->index);
	if (o->halted)
		return;
	window_put(o, e);
	o->tail.term = e->term;
	o->tail.index = e->index;
	memcpy(o->tail.hash, e->hash, CRYPTO_HASH);
	underway_push(o, e->index);
	o->stepped = true;
	if (e->term == o->term)
		o->untimely_at = 0;
	if (e->type == ENTRY_TERM) {
		o->incumbent = e->author_nid;
		if (o->opened && e->term == o->term) {
			o->term_index = e->index;
			o->leader = e->author_nid;
			o->leader_heard = o->now;
		}
	}
	a = order_act(o, ORDER_APPEND);
	a->u.append.index = e->index;
	a->u.append.p = p;
	a->u.append.n = n;
	if (o->bodies_ok + 1 == e->index && o->env.bodies_present(o->env.ctx, e))
		o->bodies_ok = e->index;
}

/* What is new in this term, and what no majority told committed. What TERM inherits is taken as it stands: it may have
 * been committed, and half the voters may hold it, who could else never agree with the other half again. */
static bool timely(struct order *o, const struct entry *e)
{
	return !o->env.timely || e->term != o->term || e->index <= o->commit || order_quorum_told(o, e->index) ||
	       o->env.timely(o->env.ctx, e);
}

int order_log_accept(struct order *o, const struct entry *e, const u8 *p, size_t n, enum accept_mode mode)
{
	struct tail before, have;
	u32 author, have_author;

	if (memcmp(e->cluster, o->cfg.cluster, sizeof(e->cluster)) || e->generation > o->cfg.generation ||
	    (e->term && e->term == o->term && e->generation != o->cfg.generation))
		return -DSI_ECLUSTER;
	if (order_log_at(o, e->index, &have, &have_author) && !memcmp(have.hash, e->hash, CRYPTO_HASH))
		return 1;
	/* A new generation is root's alone: the shell takes it in and begins order anew (gcs/replica_reform.c). */
	if (e->type == ENTRY_REFORM)
		return -DSI_ECLUSTER;
	if (e->index > o->tail.index + 1 || !order_log_at(o, e->index - 1, &before, &author) ||
	    memcmp(e->prev, before.hash, CRYPTO_HASH))
		return -DSI_ECONFLICT;
	if (!chains(e, &before, author) || !mode_allows(o, e, mode))
		return -DSI_ESTALE;
	if (mode != ACCEPT_OWN && !o->env.verify_entry(o->env.ctx, e))
		return -DSI_ESIG;
	if (mode != ACCEPT_OWN && !timely(o, e))
		return -DSI_EEXPIRED;
	if (e->index <= o->commit) {
		order_halt(o, "another entry at an index that we know committed");
		return -DSI_EDIVERGED;
	}
	if (o->underway_n == ORDER_UNDERWAY || o->n_act + 2 > ORDER_ACTIONS - 48)
		return -DSI_EAGAIN;
	log_put(o, e, p, n);
	if (mode != ACCEPT_OWN) /* our own is delivered when the stream brings it back */
		order_log_delivered(o, e->index, p, n);
	return 0;
}

/* --- bodies ---------------------------------------------------------------------------------------- */

void order_log_bodies_ready(struct order *o, u64 index, bool ok)
{
	if (o->bodies_wait != index)
		return;
	o->bodies_wait = 0;
	if (!ok)
		o->bodies_retry = o->now + order_resend_ns(o);
}

void order_log_settle(struct order *o)
{
	if (o->stepped || o->bodies_wait || o->now < o->bodies_retry) {
		if (o->now < o->bodies_retry)
			order_want(o, o->bodies_retry);
		return;
	}
	while (o->bodies_ok < o->tail.index) {
		struct order_action *a;
		struct entry e;

		if (!read_back(o, o->bodies_ok + 1, &e))
			return;
		if (!o->env.bodies_present(o->env.ctx, &e)) {
			a = order_act(o, ORDER_BODIES);
			a->u.bodies.nid = e.author_nid;
			a->u.bodies.index = o->bodies_wait = e.index;
			return;
		}
		o->bodies_ok++;
	}
}
