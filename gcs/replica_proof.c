/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replica's commit proofs: noted as acknowledgements pass by, kept in the log, shown to those who learn.
 *
 * Kept for good: one at each change of the voters (the sets before and after agreed to it), and one every
 * LIM_PROOF_EVERY entries, so that a learner need not hold a whole log before it believes some of it. The newest
 * goes to disk lazily; a crash costs proof, never commit.
 */
#include "gcs/replica_impl.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_BYTES = 512 << 10 };
_Static_assert(ENTRIES_BYTES + ENTRY_MAX + PROVEN_PROOFS * (PROOF_MAX + 4) + 4 * PROVEN_ENTRIES + 4096 <= LIM_DIRECT_FRAME,
	       "an answer with proofs fits a frame");
static const u64 STORE_AFTER_NS = 1000000000;

static void set_newest(struct replica *r, u64 index, const u8 *p, size_t n)
{
	u8 *copy = malloc(n);

	if (!copy)
		return; /* the one before still proves what it proved */
	memcpy(copy, p, n);
	free(r->proof.p);
	r->proof.p = copy;
	r->proof.n = n;
	r->proof.index = index;
	if (r->proof_timer && !loop_timer_active(r->proof_timer))
		loop_timer_set(r->proof_timer, STORE_AFTER_NS);
}

static void store(struct replica *r, bool for_good)
{
	if (!r->proof.n || (!for_good && r->proof.index == r->proof.kept))
		return;
	if (log_proof_put(r->log, r->proof.index, r->proof.row, r->proof.p, r->proof.n))
		return;
	r->proof.row = for_good ? 0 : r->proof.index;
	if (for_good)
		r->proof.kept = r->proof.index;
}

static void on_store(void *ctx)
{
	store(ctx, false);
}

static bool for_good(const struct replica *r, u64 before)
{
	return r->state->voters[0].index > before || r->state->applied / LIM_PROOF_EVERY != before / LIM_PROOF_EVERY;
}

/* Take the newest from what was noted, if that shows at least as much. */
static void refresh(struct replica *r)
{
	u64 shown = MIN(proof_noted(&r->book, r->state->term, &r->state->voters[0]), r->state->applied);
	struct wbuf w;

	if (!shown || shown < r->proof.index)
		return;
	wbuf_init(&w, PROOF_MAX);
	if (!proof_encode(&r->book, r->state->term, &w))
		set_newest(r, shown, w.data, w.len);
	wbuf_fini(&w);
}

void prove_noted(struct replica *r, u32 nid, const struct body_ack *ack, const u8 *raw, size_t n)
{
	const struct state_node *node = state_node(r->state, nid);

	if (node && (node->roles | node->granted) & NODE_VOTER)
		proof_note(&r->book, nid, ack, raw, n);
}

void prove_committed(struct replica *r, u64 before)
{
	refresh(r);
	if (r->state->applied > before && for_good(r, before))
		store(r, true);
}

void prove_learnt(struct replica *r, u64 before, const struct blob *proof)
{
	set_newest(r, r->state->applied, proof->p, proof->n);
	if (for_good(r, before))
		store(r, true);
}

/* --- showing --------------------------------------------------------------------------------------------- */

static struct blob copied(struct arena *a, const u8 *p, size_t n)
{
	u8 *copy = arena_alloc(a, n);

	if (copy)
		memcpy(copy, p, n);
	return (struct blob){ copy, copy ? n : 0 };
}

/* Proofs kept for good in the range, ascending; returns where the range must end so that all of it fit. */
static u64 fill_proofs(struct replica *r, u64 from, u64 to, struct proven *ret, struct arena *a)
{
	u64 index = 0;
	size_t n;

	for (u64 at = from; at <= to && ret->n_proof < PROVEN_PROOFS - 1; at = index + 1) {
		const u8 *p = log_proof(r->log, at, &index, &n);

		if (!p || index > to)
			return to;
		ret->proof[ret->n_proof++] = copied(a, p, n);
	}
	return ret->n_proof == PROVEN_PROOFS - 1 ? index : to;
}

static void fill_entries(struct replica *r, u64 from, u64 to, struct proven *ret, struct arena *a)
{
	size_t bytes = 0, n;

	for (u64 i = MAX(from, 1); i <= to && bytes < ENTRIES_BYTES && ret->n_entry < PROVEN_ENTRIES; i++) {
		const u8 *p = log_entry(r->log, i, &n);

		if (!p)
			break;
		ret->entry[ret->n_entry++] = copied(a, p, n);
		bytes += n;
	}
}

void prove_serve(struct replica *r, struct direct_request *rq, const u8 *p, size_t n)
{
	struct proven *answer = calloc(1, sizeof(*answer));
	struct wbuf out;
	struct arena a;
	struct rbuf in;
	int rc;

	rbuf_init(&in, p, n);
	u64 from = rbuf_u64(&in), to = rbuf_u64(&in);

	rc = rbuf_end(&in) ? -DSI_EPARSE : log_gap(r->log, from) ? -DSI_ENOENT : answer ? 0 : -DSI_ENOMEM;
	arena_init(&a, 2 * LIM_DIRECT_FRAME);
	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	if (!rc) {
		answer->commit = r->state->applied;
		answer->tail = log_tail(r->log);
		to = MIN(to, answer->tail);
		to = MIN(to, from + PROVEN_ENTRIES - 1 < from ? to : from + PROVEN_ENTRIES - 1);
		refresh(r);
		fill_entries(r, from, fill_proofs(r, from, to, answer, &a), answer, &a);
		if (r->proof.n)
			answer->proof[answer->n_proof++] = (struct blob){ r->proof.p, r->proof.n };
		rc = a.failed ? -DSI_ENOMEM : proven_encode(answer, &out);
	}
	direct_reply(rq, rc, out.data, rc ? 0 : out.len);
	wbuf_fini(&out);
	arena_fini(&a);
	free(answer);
}

/* --- life ------------------------------------------------------------------------------------------------ */

int prove_start(struct replica *r)
{
	u64 index;
	size_t n;
	const u8 *p = log_proof_last(r->log, &index, &n);

	if (p && index <= log_tail(r->log)) {
		set_newest(r, index, p, n);
		r->proof.kept = index;
	}
	r->proof_timer = loop_timer_new(r->cfg.loop, on_store, r);
	return r->proof_timer ? 0 : -DSI_ENOMEM;
}

void prove_forget(struct replica *r)
{
	loop_timer_set(r->proof_timer, 0);
	free(r->proof.p);
	memset(&r->proof, 0, sizeof(r->proof));
	r->book.n = 0;
}

void prove_free(struct replica *r)
{
	if (r->log)
		store(r, false);
	loop_timer_free(r->proof_timer);
	free(r->proof.p);
}
