/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new generation: taking in what root signed when a majority is gone (doc/order.md, "Reform").
 *
 *   handed in here, or seen at a member ─▶ its base in our log? else fetch the chain up to it
 *     ─▶ judged on a state at the base ─▶ order and session end ─▶ log cut and written, durable
 *     ─▶ state made anew ─▶ order and session in the new generation, group joined again
 *
 * Must never: cut the log for anything but a reform that root signed and that a state at its base accepts; speak in
 * the new generation before the reform is durable; take a second reform of one generation.
 * Invariant: a process is in one generation at a time, and its log holds that generation's REFORM.
 */
#include "gcs/replica_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/genesis.h"

static const u64 CALL_NS = 5ull * 1000000000, MS = 1000000, LOOK_NS = 1000000000, HALTED_LOOK_NS = 5ull * 1000000000;
enum { CHAIN_MAX = 256 << 20, SOON_MS = 50 };

/* One being taken in. */
struct reforming {
	struct replica *r;
	struct reform_place at;
	struct reform_source src;
	struct wbuf entry;     /* canonical bytes; before the base is here: as the source sent them */
	struct wbuf chain;     /* blobs: entries common + 1 .. base that our log does not have */
	u64 common, next;      /* our log up to here is the base's; next index to fetch */
	u8 last[CRYPTO_HASH];  /* of entry next - 1 */
	bool writing;
	struct loop_timer *retry;
};

static void reforming_free(struct reforming *f)
{
	if (!f)
		return;
	if (f->r->reforming == f)
		f->r->reforming = NULL;
	wbuf_fini(&f->entry);
	wbuf_fini(&f->chain);
	loop_timer_free(f->retry);
	free(f);
}

/* Nothing here can be cut back to what a snapshot stands for. */
#define GAP_TEXT "the reform stands on entry %llu, but this node learnt by a snapshot and has no entries before %llu: move %s away " \
		 "and start again, to learn the new generation from the others"

/* --- what our log says --------------------------------------------------------------------------------- */

static bool entry_at(struct replica *r, u64 index, struct entry *e)
{
	size_t n;
	const u8 *p = log_entry(r->log, index, &n); /* valid until the next look into the log */

	return p && !entry_decode(e, p, n);
}

static bool log_has(struct replica *r, u64 index, const u8 hash[CRYPTO_HASH])
{
	struct entry e;

	return entry_at(r, index, &e) && !memcmp(e.hash, hash, CRYPTO_HASH);
}

void reform_applied(struct replica *r, u64 index)
{
	if (r->n_reforms == REFORMS_MAX)
		memmove(r->reforms, r->reforms + 1, --r->n_reforms * sizeof(r->reforms[0]));
	r->reforms[r->n_reforms++] = index;
}

static void reforms_cut(struct replica *r, u64 from)
{
	while (r->n_reforms && r->reforms[r->n_reforms - 1] >= from)
		r->n_reforms--;
}

/* REFORM entries of generations after this one, oldest first; and the other one, if we met two of one number: whoever
 * asks shall meet both as well. */
void reform_serve(struct replica *r, struct direct_request *rq, const u8 *p, size_t n)
{
	struct rbuf in;
	struct wbuf out;

	rbuf_init(&in, p, n);
	u32 after = rbuf_u32(&in);

	if (rbuf_end(&in)) {
		direct_reply(rq, -DSI_EPARSE, NULL, 0);
		return;
	}
	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	for (u32 i = 0; i < r->n_reforms && out.len + 2 * (ENTRY_MAX + 4) < LIM_DIRECT_FRAME - 1024; i++) {
		struct entry e;
		size_t len;
		const u8 *bytes = log_entry(r->log, r->reforms[i], &len);

		if (bytes && !entry_decode(&e, bytes, len) && e.generation > after)
			wbuf_blob(&out, bytes, len);
	}
	if (r->halted && r->halted > after && r->other.n)
		wbuf_blob(&out, r->other.p, r->other.n);
	direct_reply(rq, wbuf_ok(&out) ? 0 : -DSI_ENOMEM, out.data, wbuf_ok(&out) ? out.len : 0);
	wbuf_fini(&out);
}

/* --- two of one number ----------------------------------------------------------------------------------- */

/* Neither counts: nothing is said or ordered until root signs the next number. */
static void halt(struct replica *r, u32 generation, const u8 *other, size_t n)
{
	u8 mark[4];
	struct wbuf w;

	if (r->halted >= generation)
		return;
	replica_quiet(r);
	r->halted = generation;
	free((void *)r->other.p);
	r->other = (struct blob){ 0 };
	if (n) {
		u8 *copy = malloc(n);

		if (copy) {
			memcpy(copy, other, n);
			r->other = (struct blob){ copy, n };
		}
	}
	wbuf_fixed(&w, mark, sizeof(mark));
	wbuf_u32(&w, generation);
	log_meta_set(r->log, META_HALT, mark, sizeof(mark));
	replica_alarm(r, 3, "halt", "two different reforms of generation %u exist: both are refused, this node is silent "
		      "until the root signs generation %u (dsi-admin cluster reform)", generation, generation + 1);
	loop_timer_set(r->look_timer, HALTED_LOOK_NS);
}

void reform_load(struct replica *r)
{
	u8 mark[4];
	struct rbuf in;
	size_t n;

	if (log_meta_get(r->log, META_HALT, mark, sizeof(mark), &n) || n != sizeof(mark))
		return;
	rbuf_init(&in, mark, n);
	r->halted = rbuf_u32(&in);
}

/* --- judging ----------------------------------------------------------------------------------------------- */

static int apply_quiet(struct state *s, const u8 *p, size_t n)
{
	struct state_result res;
	struct entry e;
	int rc = entry_decode(&e, p, n);

	return rc ? rc : state_apply(s, &e, &res);
}

/* A fresh state at `upto` of our log. NULL: no memory, the log cannot be read, or begins later. */
static struct state *state_upto(struct replica *r, u64 upto)
{
	struct state *s = jump_base(r, NULL);

	if (s && s->applied > upto) {
		state_free(s);
		return NULL;
	}
	for (u64 i = s ? s->applied + 1 : 0; s && i <= upto; i++) {
		size_t n;
		const u8 *p = log_entry(r->log, i, &n);

		if (!p || apply_quiet(s, p, n)) {
			state_free(s);
			return NULL;
		}
	}
	return s;
}

/* The entry, in f->entry, is exactly what its statement becomes at the base, and a state there accepts it. */
static int judge(struct reforming *f, struct err *err)
{
	struct state *s = state_upto(f->r, f->common);
	struct rbuf in;
	struct entry e;
	int rc = s ? 0 : err_set(err, -DSI_EIO, "reform: this node's log cannot be replayed");

	rbuf_init(&in, f->chain.data, f->chain.len);
	while (!rc && rbuf_left(&in)) {
		size_t n = 0;
		const u8 *p = rbuf_blob(&in, ENTRY_MAX, &n);

		rc = p ? apply_quiet(s, p, n) : -DSI_ETRUNC;
		if (rc)
			err_set(err, rc, "reform: the log up to its base: %s", err_text(rc));
	}
	if (!rc)
		rc = entry_decode(&e, f->entry.data, f->entry.len);
	if (!rc)
		rc = state_verify_entry(s, &e, err);
	state_free(s);
	return rc;
}

/* Signed by this cluster's root; all else is judged at the base. */
static int root_signed(struct replica *r, const struct statement *st, struct reform_place *ret, struct err *err)
{
	int rc = reform_place(st, ret, err);

	if (rc)
		return rc;
	if (st->signer != S_ROOT || memcmp(st->pub, r->state->root, CRYPTO_PUB))
		return err_set(err, -DSI_EAUTH, "REFORM is not signed by the cluster's root");
	if (memcmp(st->cluster, r->state->cluster, sizeof(st->cluster)))
		return err_set(err, -DSI_ECLUSTER, "the reform is for another cluster");
	return st->generation == ret->generation ? 0 : err_set(err, -DSI_EINVAL, "reform: two generations in one statement");
}

/* Is this statement the one by which we are in our generation? */
static bool ours(struct replica *r, const struct statement *st)
{
	struct statement mine;
	struct entry e;
	struct arena a;
	bool same;

	arena_init(&a, 256 << 10);
	same = r->n_reforms && entry_at(r, r->reforms[r->n_reforms - 1], &e) && !reform_statement(&e, &a, &mine, NULL) &&
	       mine.raw_len == st->raw_len && !memcmp(mine.raw, st->raw, st->raw_len);
	arena_fini(&a);
	return same;
}

/* --- taking it in ------------------------------------------------------------------------------------------ */

static void write_all(struct reforming *f);

static void on_retry(void *ctx)
{
	write_all(ctx);
}

static void taken(struct reforming *f)
{
	struct replica *r = f->r;
	u64 index = f->at.base_index + 1;
	struct state *s = state_upto(r, MIN(f->common, r->state->applied)), old;
	struct entry base;
	int rc;

	if (!s) {
		replica_alarm(r, 3, "reform", "the log cannot be replayed after the reform; start this program again");
		reforming_free(f);
		return;
	}
	old = *r->state;
	*r->state = *s; /* others hold the address */
	*s = old;
	state_free(s);
	reforms_cut(r, r->state->applied + 1);
	r->last_wall_ms = entry_at(r, r->state->applied, &base) ? base.wall_ms : 0;
	memset(r->looked, 0, sizeof(r->looked));
	if (r->halted && r->halted < f->at.generation) {
		r->halted = 0;
		free((void *)r->other.p);
		r->other = (struct blob){ 0 };
		log_meta_set(r->log, META_HALT, "", 0);
	}
	reforming_free(f);
	rc = replica_apply_to(r, index - 1, false);
	if (!rc)
		rc = replica_apply_to(r, index, true);
	if (rc)
		replica_alarm(r, 3, "reform", "entry %llu cannot be applied: %s; start this program again",
			      (unsigned long long)r->state->applied + 1, err_text(rc));
	else {
		agree_again(r);
		replica_again(r);
	}
}

static void on_written(void *ctx, u64 value, int code)
{
	struct reforming *f = ctx;

	(void)value;
	f->writing = false;
	/* What was queued before the drain may have failed without it: the end of the log tells. */
	if (code || log_tail(f->r->log) != f->at.base_index + 1) {
		replica_alarm(f->r, 3, "reform", "the new generation cannot be written to disk yet: %s", err_text(code ? code : -DSI_EIO));
		loop_timer_set(f->retry, LOOK_NS);
		return;
	}
	taken(f);
}

/* A vote of the old generation must not come back from a log that was cut half: the mark goes first, and off last. */
static int write_chain(struct reforming *f)
{
	struct replica *r = f->r;
	u64 index = f->common + 1;
	struct rbuf in;
	int rc = 0;

	if (log_tail(r->log) > f->common)
		rc = log_meta_set(r->log, META_STALE, "1", 1);
	if (!rc && log_tail(r->log) > f->common)
		rc = log_append(r->log, index, NULL, 0, NULL, NULL);
	rbuf_init(&in, f->chain.data, f->chain.len);
	while (!rc && rbuf_left(&in)) {
		size_t n = 0;
		const u8 *p = rbuf_blob(&in, ENTRY_MAX, &n);

		rc = p ? log_append(r->log, index++, p, n, NULL, NULL) : -DSI_ETRUNC;
	}
	assert(rc || index == f->at.base_index + 1);
	log_commit_hint(r->log, f->at.base_index + 1);
	if (!rc)
		rc = log_append(r->log, index, f->entry.data, f->entry.len, NULL, NULL);
	/* In the new generation this disk has forgotten nothing, unless it was empty: see stale_disk(). */
	if (!rc)
		rc = log_meta_set(r->log, META_STALE, "", 0);
	return rc;
}

static void write_all(struct reforming *f)
{
	struct replica *r = f->r;
	int rc;

	if (log_tail(r->log) < f->common) {
		replica_alarm(r, 3, "reform", "the disk lost what the new generation stands on; start this program again");
		return;
	}
	rc = write_chain(f);
	if (!rc)
		rc = log_drain(r->log, on_written, f);
	f->writing = !rc;
	if (!rc)
		return;
	replica_alarm(r, 3, "reform", "the new generation cannot be written: %s", err_text(rc));
	loop_timer_set(f->retry, LOOK_NS);
}

/* The base is here, in the log or in f->chain. */
static int take(struct reforming *f, struct err *err)
{
	int rc = judge(f, err);

	if (rc)
		return rc;
	replica_alarm(f->r, 1, "reform", "generation %u, signed by the root, stands on entry %llu: taking it in",
		      f->at.generation, (unsigned long long)f->at.base_index);
	replica_quiet(f->r);
	write_all(f);
	return 0;
}

static struct reforming *reforming_new(struct replica *r, const struct reform_place *at)
{
	struct reforming *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->r = r;
	f->at = *at;
	wbuf_init(&f->entry, ENTRY_MAX);
	wbuf_init(&f->chain, CHAIN_MAX);
	f->retry = loop_timer_new(r->cfg.loop, on_retry, f);
	if (!f->retry) {
		reforming_free(f);
		return NULL;
	}
	r->reforming = f;
	return f;
}

/* --- handed in here ---------------------------------------------------------------------------------------- */

static int place_ok(struct replica *r, const struct statement *st, const struct reform_place *at, struct err *e)
{
	u32 now = MAX(r->state->generation, r->halted);

	if (at->generation == now && ours(r, st))
		return err_set(e, -DSI_EREPLAY, "this reform was taken in already");
	if (at->generation == now && now > 1) {
		halt(r, now, NULL, 0);
		return err_set(e, -DSI_ECONFLICT, "two different reforms of generation %u exist: both are refused; the root must "
			       "sign generation %u", now, now + 1);
	}
	if (at->generation <= now)
		return err_set(e, -DSI_ESTALE, "reform to generation %u, but generation %u is in force: the root must sign a "
			       "higher one", at->generation, now);
	if (r->reforming || jump_busy(r))
		return err_set(e, -DSI_EAGAIN, "another reform, or a snapshot, is being taken in");
	if (at->base_index < log_base(r->log, NULL))
		return err_set(e, -DSI_ECONFLICT, GAP_TEXT, (unsigned long long)at->base_index,
			       (unsigned long long)log_base(r->log, NULL), r->cfg.dir);
	if (!log_has(r, at->base_index, at->base_hash))
		return err_set(e, -DSI_ECONFLICT, "the reform stands on entry %llu of a log that is not this node's (which is at "
			       "%llu): hand it in on a node that has it, or sign one on this node's log",
			       (unsigned long long)at->base_index, (unsigned long long)log_tail(r->log));
	return 0;
}

int replica_reform(struct replica *r, const u8 *statement, size_t n, struct err *e)
{
	struct reform_place at;
	struct reforming *f;
	struct statement st;
	struct entry base;
	int rc = statement_open(&st, statement, n);

	if (rc)
		return err_set(e, rc, "statement: %s", err_text(rc));
	rc = root_signed(r, &st, &at, e);
	if (!rc)
		rc = place_ok(r, &st, &at, e);
	if (rc)
		return rc;
	f = reforming_new(r, &at);
	if (!f)
		return err_set(e, -DSI_ENOMEM, "reform");
	f->common = at.base_index;
	rc = entry_at(r, at.base_index, &base) ? reform_entry(&st, base.term, &f->entry, e) : err_set(e, -DSI_EIO, "reform");
	if (!rc)
		rc = take(f, e);
	if (rc)
		reforming_free(f);
	return rc;
}

/* --- seen at a member -------------------------------------------------------------------------------------- */

static void fetch_chain(struct reforming *f);
static void look_soon(struct replica *r, u64 ns);

/* Not to be had from there, now. */
static void give_up(struct reforming *f, const char *why)
{
	struct replica *r = f->r;

	replica_alarm(r, 2, "reform", "generation %u from %s: %s", f->at.generation, f->src.address, why);
	reforming_free(f);
	r->look_next = loop_now(r->cfg.loop) + HALTED_LOOK_NS; /* who is ahead goes on saying so */
	r->learn_next++;
	learn_resume(r);
	look_soon(r, 1);
}

static void have_base(struct reforming *f)
{
	struct err e = { 0 };

	if (take(f, &e))
		give_up(f, e.text);
}

/* Entries that link, one behind the other, up to the base. False: the source's log is not what it says. */
static bool chain_take(struct reforming *f, struct rbuf *in)
{
	while (rbuf_left(in) && f->next <= f->at.base_index) {
		size_t n = 0;
		const u8 *p = rbuf_blob(in, ENTRY_MAX, &n);
		struct entry e;

		if (!p || entry_decode(&e, p, n) || e.index != f->next || memcmp(e.prev, f->last, CRYPTO_HASH))
			return false;
		wbuf_blob(&f->chain, p, n);
		memcpy(f->last, e.hash, CRYPTO_HASH);
		f->next++;
	}
	return wbuf_ok(&f->chain);
}

/* Where our logs part is found by going back, twice as far each time. What comes then is authentic by the hash in the
 * statement, whoever it came from. */
static void on_chain(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct replica *r = ctx;
	struct reforming *f = r->reforming;
	u64 before;
	struct rbuf in;

	(void)peer;
	if (r->closing || !f || f->writing)
		return;
	rbuf_init(&in, p, n);
	rbuf_u64(&in);
	rbuf_u64(&in);
	before = f->next;
	if (code || !rbuf_ok(&in) || !rbuf_left(&in)) {
		give_up(f, code ? err_text(code) : "it does not have the log up to the base");
		return;
	}
	if (!chain_take(f, &in)) {
		if (before != f->common + 1 || f->common <= MAX(log_base(r->log, NULL), 1)) {
			give_up(f, "its log does not lead to the base");
			return;
		}
		f->common = MAX(f->common / 2, MAX(log_base(r->log, NULL), 1));
		f->next = 0;
		fetch_chain(f);
		return;
	}
	if (f->next <= f->at.base_index) {
		fetch_chain(f);
		return;
	}
	if (memcmp(f->last, f->at.base_hash, CRYPTO_HASH))
		give_up(f, "its log does not lead to the base");
	else
		have_base(f);
}

static void fetch_chain(struct reforming *f)
{
	struct replica *r = f->r;
	struct entry e;
	u8 rq[16];
	struct wbuf w;

	if (f->next <= f->common + 1) { /* the first part, from where we believe to agree */
		if (!entry_at(r, f->common, &e)) {
			give_up(f, "our own log cannot be read");
			return;
		}
		memcpy(f->last, e.hash, CRYPTO_HASH);
		f->next = f->common + 1;
		wbuf_reset(&f->chain);
	}
	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_u64(&w, f->next);
	wbuf_u64(&w, f->at.base_index);
	if (direct_call(r->direct, f->src.address, f->src.keyed ? f->src.key : NULL, DIRECT_ENTRIES, rq, sizeof(rq), CALL_NS,
			on_chain, r))
		give_up(f, "it cannot be asked");
}

static bool begin(struct replica *r, const struct reform_source *src, const struct reform_place *at, const u8 *p, size_t n)
{
	struct reforming *f;

	if (!r->reforming && at->base_index < log_base(r->log, NULL)) {
		replica_alarm(r, 3, "reform", GAP_TEXT, (unsigned long long)at->base_index,
			      (unsigned long long)log_base(r->log, NULL), r->cfg.dir);
		return false;
	}
	f = r->reforming || jump_busy(r) ? NULL : reforming_new(r, at);
	if (!f)
		return r->reforming;
	f->src = *src;
	wbuf_bytes(&f->entry, p, n);
	if (!wbuf_ok(&f->entry)) {
		reforming_free(f);
		return false;
	}
	if (log_has(r, at->base_index, at->base_hash)) {
		f->common = at->base_index;
		have_base(f);
	} else {
		f->common = MAX(MIN(log_tail(r->log), at->base_index - 1), MAX(log_base(r->log, NULL), 1));
		fetch_chain(f);
	}
	return r->reforming;
}

/* One REFORM entry that somebody showed us: 1 of a later generation, 0 known or none of ours, -1 it makes two. */
static int weigh(struct replica *r, const u8 *p, size_t n, struct arena *a, struct statement *st, struct reform_place *at)
{
	struct entry e;
	u32 now = MAX(r->state->generation, r->halted);

	if (entry_decode(&e, p, n) || reform_statement(&e, a, st, NULL) || root_signed(r, st, at, NULL))
		return 0;
	if (at->generation > now)
		return 1;
	return at->generation == r->state->generation && now > 1 && !ours(r, st) ? -1 : 0;
}

bool reform_seen(struct replica *r, const struct reform_source *src, const u8 *p, size_t n)
{
	struct statement st, best_st = { 0 };
	struct reform_place at, best_at = { 0 };
	struct blob best = { 0 }, other = { 0 };
	struct rbuf in;
	struct arena a;
	bool two = false, began = false;

	arena_init(&a, 2 << 20);
	rbuf_init(&in, p, n);
	while (rbuf_left(&in)) {
		size_t len = 0;
		const u8 *bytes = rbuf_blob(&in, ENTRY_MAX, &len);
		int what = bytes ? weigh(r, bytes, len, &a, &st, &at) : 0;

		if (!bytes)
			break;
		if (what < 0)
			other = (struct blob){ bytes, len };
		if (what <= 0 || at.generation < best_at.generation)
			continue;
		if (at.generation > best_at.generation) {
			two = false;
			best = (struct blob){ bytes, len };
			best_at = at;
			best_st = st;
		} else if (st.raw_len != best_st.raw_len || memcmp(st.raw, best_st.raw, st.raw_len))
			two = true;
	}
	/* A later generation that stands alone ends what came before. */
	if (two)
		halt(r, best_at.generation, best.p, best.n);
	else if (!best.n && other.n)
		halt(r, r->state->generation, other.p, other.n);
	else if (best.n)
		began = begin(r, src, &best_at, best.p, best.n);
	arena_fini(&a);
	return began;
}

/* --- looking ------------------------------------------------------------------------------------------------- */

static void look_soon(struct replica *r, u64 ns)
{
	if (!r->looking && !loop_timer_active(r->look_timer))
		loop_timer_set(r->look_timer, ns);
}

void reform_look(struct replica *r, u32 nid, u64 incarnation)
{
	if (nid >= LIM_NIDS || r->state->generation < 2 || r->looked[nid] >= incarnation || r->halted)
		return;
	r->look[nid / 8] |= (u8)(1u << nid % 8);
	r->looked[nid] = incarnation;
	look_soon(r, SOON_MS * MS);
}

static void look_all(struct replica *r)
{
	for (u32 i = 0; i < r->state->n_node; i++) {
		const struct state_node *n = &r->state->node[i];

		/* dsi-ss asks its own node's manager, which may be the only one there is */
		if (n->nid < LIM_NIDS && n->direct[0] && state_nid_live(r->state, n->nid) &&
		    (n->nid != r->nid || r->cfg.role == ROLE_SERVER))
			r->look[n->nid / 8] |= (u8)(1u << n->nid % 8);
	}
}

/* Who holds the ring's key can claim any generation: we ask around once a second at most. */
void reform_ahead(struct replica *r)
{
	u64 now = loop_now(r->cfg.loop);

	if (r->reforming || r->looking || loop_timer_active(r->look_timer) || now < r->look_next)
		return;
	r->look_next = now + LOOK_NS;
	look_all(r);
	look_soon(r, SOON_MS * MS);
}

static u32 look_take(struct replica *r)
{
	u32 nid = r->nid; /* our own manager first */

	for (u32 i = 0; i <= LIM_NIDS; nid = i++)
		if (nid < LIM_NIDS && (r->look[nid / 8] & (1u << nid % 8))) {
			r->look[nid / 8] &= (u8)~(1u << nid % 8);
			return nid;
		}
	return 0;
}

static void on_look(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct replica *r = ctx;
	struct reform_source src = { .keyed = true };
	const struct state_node *node = state_node(r->state, r->looking);

	(void)peer;
	if (r->closing)
		return;
	if (code && r->looking < LIM_NIDS)
		r->looked[r->looking] = 0; /* its next HELLO asks again */
	r->looking = 0;
	if (!code && node) {
		snprintf(src.address, sizeof(src.address), "%s", node->direct);
		memcpy(src.key, node->sign, CRYPTO_PUB);
		if (reform_seen(r, &src, p, n))
			return; /* goes on in the new generation */
	}
	look_soon(r, 1);
}

void reform_look_next(void *ctx)
{
	struct replica *r = ctx;
	const struct state_node *node;
	u8 rq[4];
	struct wbuf w;
	u32 nid;

	if (r->reforming || r->looking)
		return;
	nid = look_take(r);
	if (!nid) {
		if (!r->halted)
			return;
		look_all(r); /* silent as we are, only asking tells us of the next generation */
		look_soon(r, HALTED_LOOK_NS);
		return;
	}
	node = state_node(r->state, nid);
	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_u32(&w, r->state->generation - 1);
	r->looking = nid;
	if (!node || direct_call(r->direct, node->direct, node->sign, DIRECT_REFORMS, rq, sizeof(rq), CALL_NS, on_look, r)) {
		r->looking = 0;
		look_soon(r, 1);
	}
}

void reform_free(struct replica *r)
{
	reforming_free(r->reforming);
	loop_timer_free(r->look_timer);
	free((void *)r->other.p);
}
