/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning by a snapshot: instead of replaying what is far behind, take the state that voters stand behind, and begin the
 * log there.
 *
 *   offer ─▶ enough of OUR voters signed it (gcs/snapshot.h)? ─▶ a newcomer: does anybody it can reach have another entry
 *     or state there? ─▶ image, SHA-256 is what they signed ─▶ log cut to it in one transaction ─▶ state
 *
 * Must never: install what fewer than a majority of the voters in our own state signed, or fewer than two; parse an image
 * before its hash held; cut entries that we hold at or past the snapshot, which we may have acknowledged.
 * Whatever fails: entries with proofs, as if there were no snapshots.
 */
#include "gcs/replica_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const u64 CALL_NS = 5ull * 1000000000, AT_NS = 2ull * 1000000000;

struct jump {
	u64 id;
	struct reform_source src;
	struct wbuf bytes;      /* of the offer, which points into them */
	struct snapshot_offer o;
	struct entry entry;
	struct wbuf image;
	struct state *fresh;
	u32 waiting;            /* answers of those asked for their entry there */
	bool asked;             /* all of them */
	bool behind, another;   /* one of them has not come so far; has something else */
	bool writing;
};

/* One member asked what it has where the snapshot is. */
struct opinion {
	struct replica *r;
	u64 jump;               /* its id: gone when r->jump is another */
	char address[LIM_PATH];
};

static void jump_drop(struct replica *r)
{
	struct jump *j = r->jump;

	if (!j)
		return;
	r->jump = NULL;
	state_free(j->fresh);
	wbuf_fini(&j->bytes);
	wbuf_fini(&j->image);
	free(j);
}

void jump_free(struct replica *r)
{
	jump_drop(r);
}

bool jump_busy(const struct replica *r)
{
	return r->jump && r->jump->writing;
}

static void jump_end(struct replica *r, int code, bool again)
{
	jump_drop(r);
	r->learning = false;
	if (code && !again) {
		r->jump_tried.set = r->state->voters[0].index + 1;
		r->jump_tried.source = r->learn_next;
	}
	learn_jumped(r, code);
}

/* A reform came in between, or we are to be gone: what was begun here has no use. */
static bool overtaken(struct replica *r)
{
	if (!r->closing && !r->reforming && !r->order)
		return false;
	if (!r->closing) {
		jump_drop(r);
		r->learning = false;
	}
	return true;
}

/* --- the log and the state ------------------------------------------------------------------------------- */

/* What a state at our base must say, however it came. */
static bool fits(const struct replica *r, const struct state *s, const struct entry *e)
{
	return s->applied == e->index && s->term == e->term && s->generation == e->generation &&
	       !memcmp(s->cluster, e->cluster, sizeof(s->cluster)) && s->n_voters &&
	       (!r->state->name[0] || (!memcmp(s->root, r->state->root, sizeof(s->root)) && s->generation == r->state->generation));
}

struct state *jump_base(struct replica *r, struct err *e)
{
	struct state *s = state_new();
	u8 digest[CRYPTO_HASH], *image = NULL;
	u64 base = log_base(r->log, digest);
	struct entry at;
	size_t n, entry_n;
	const u8 *p;
	int rc;

	if (!s)
		err_set(e, -DSI_ENOMEM, "state");
	if (!s || !base)
		return s;
	rc = blob_get(r->log, digest, &image, &n, e);
	if (!rc) {
		p = log_entry(r->log, base, &entry_n);
		rc = p ? entry_decode(&at, p, entry_n) : -DSI_EIO;
		if (!rc)
			rc = state_load(s, image, n);
		if (!rc && (s->applied != base || s->term != at.term || s->generation != at.generation))
			rc = -DSI_EDIVERGED;
		if (rc)
			err_set(e, rc, "the image of the state at entry %llu: %s", (unsigned long long)base, err_text(rc));
	}
	free(image);
	if (!rc)
		return s;
	state_free(s);
	return NULL;
}

int jump_start(struct replica *r, struct err *e)
{
	u64 base = log_base(r->log, NULL);
	struct entry at;
	struct state *s;
	size_t n;
	const u8 *p;

	if (!base)
		return 0;
	s = jump_base(r, e);
	if (!s)
		return err_wrap(e, "%s: its log begins at entry %llu and cannot be used; move the directory away and start again to "
				"learn from the others", r->cfg.dir, (unsigned long long)base);
	for (u64 i = log_next(r->log, 2); i && i < base; i = log_next(r->log, i + 1))
		reform_applied(r, i);
	p = log_entry(r->log, base, &n);
	if (p && !entry_decode(&at, p, n))
		r->last_wall_ms = at.wall_ms;
	replica_take_state(r, s);
	if (r->ops->rebuilt)
		r->ops->rebuilt(r->ctx, REPLICA_SNAPSHOT);
	return 0;
}

static void on_written(void *ctx, u64 value, int code)
{
	struct replica *r = ctx;
	struct jump *j = r->jump;
	struct state *fresh;

	(void)value;
	if (r->closing || !j)
		return;
	if (code) {
		replica_alarm(r, 2, "snapshot", "the state at entry %llu cannot be written: %s", (unsigned long long)j->o.index,
			      err_text(code));
		jump_end(r, code, false);
		return;
	}
	fresh = j->fresh;
	j->fresh = NULL;
	r->last_wall_ms = j->entry.wall_ms;
	prove_forget(r); /* about what is not here any more */
	learn_drop(r);
	replica_take_state(r, fresh);
	urgent_skipped(r);
	replica_alarm(r, 1, "snapshot", "took the state at entry %llu from %s, on the word of %u voters",
		      (unsigned long long)r->state->applied, j->src.address, j->o.n_word);
	if (r->ops->rebuilt)
		r->ops->rebuilt(r->ctx, REPLICA_SNAPSHOT);
	jump_end(r, 0, false);
}

/* The author is bound in the state that voters stand behind; who learns from us will look at the signature too. */
static bool signed_by_author(const struct state *s, const struct entry *e)
{
	const struct state_node *n = state_node(s, e->author_nid);

	return n && !crypto_verify(n->server_sign, SIGN_ENTRY, e->hash, sizeof(e->hash), e->sig);
}

static int install(struct replica *r)
{
	struct jump *j = r->jump;
	u8 have[CRYPTO_HASH];
	int rc;

	if (crypto_sha256(j->image.data, j->image.len, have) || memcmp(have, j->o.digest, sizeof(have)))
		return -DSI_EPEER;
	j->fresh = state_new();
	rc = j->fresh ? state_load(j->fresh, j->image.data, j->image.len) : -DSI_ENOMEM;
	if (!rc && (!fits(r, j->fresh, &j->entry) || !signed_by_author(j->fresh, &j->entry)))
		rc = -DSI_EPEER;
	if (!rc && log_tail(r->log) >= j->o.index)
		rc = -DSI_ESTALE;
	if (!rc)
		rc = log_jump(r->log, j->o.index, j->o.entry.p, j->o.entry.n, j->o.digest, j->image.data, j->image.len, r->reforms,
			      r->n_reforms, on_written, r);
	j->writing = !rc;
	return rc;
}

/* --- the image ------------------------------------------------------------------------------------------- */

static void fetch_part(struct replica *r);

static void lied(struct replica *r, int code)
{
	replica_alarm(r, 2, "snapshot", "%s sent bytes that are not the state that voters signed, at entry %llu: %s; replaying instead",
		      r->jump->src.address, (unsigned long long)r->jump->o.index, err_text(code));
	jump_end(r, -DSI_EPEER, false);
}

static void on_part(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct replica *r = ctx;
	struct jump *j = r->jump;
	struct rbuf in;
	u64 size;
	int rc;

	(void)peer;
	if (!j || overtaken(r))
		return;
	if (code) { /* -DSI_ENOENT: pushed out by newer ones; the next offer is for one of those */
		jump_end(r, code, code == -DSI_ENOENT);
		return;
	}
	rbuf_init(&in, p, n);
	size = rbuf_u64(&in);
	if (!rbuf_ok(&in) || size != j->o.size || !rbuf_left(&in) || j->image.len + rbuf_left(&in) > size) {
		lied(r, -DSI_EPARSE);
		return;
	}
	wbuf_bytes(&j->image, in.data + in.pos, rbuf_left(&in));
	if (!wbuf_ok(&j->image)) {
		jump_end(r, -DSI_ENOMEM, false);
		return;
	}
	if (j->image.len < size) {
		fetch_part(r);
		return;
	}
	rc = install(r);
	if (rc == -DSI_EPEER || rc == -DSI_EPARSE || rc == -DSI_ETRUNC || rc == -DSI_ETRAIL || rc == -DSI_EVERSION)
		lied(r, rc);
	else if (rc)
		jump_end(r, rc, false);
}

static int ask(struct replica *r, const struct reform_source *s, const struct snapshot_ask *a, u64 ns, direct_fn *fn, void *ctx)
{
	u8 rq[SNAPSHOT_ASK_MAX];
	struct wbuf w;
	int rc;

	wbuf_fixed(&w, rq, sizeof(rq));
	rc = snapshot_ask_encode(a, &w);
	return rc ? rc : direct_call(r->direct, s->address, s->keyed ? s->key : NULL, DIRECT_SNAPSHOT, rq, w.len, ns, fn, ctx);
}

static void fetch_part(struct replica *r)
{
	struct jump *j = r->jump;
	struct snapshot_ask a = { .kind = SNAPSHOT_PART, .offset = j->image.len };
	int rc;

	memcpy(a.digest, j->o.digest, sizeof(a.digest));
	rc = ask(r, &j->src, &a, CALL_NS, on_part, r);
	if (rc)
		jump_end(r, rc, false);
}

/* --- a newcomer asks around ------------------------------------------------------------------------------
 * Entries before the snapshot will not be there to compare, so what the others have is asked before it is taken. Who does
 * not answer does not matter; who has something else there makes a contradiction; who has not come so far could be
 * compared only entry by entry: then it is entries that are learnt. */

static void opinions_heard(struct replica *r)
{
	struct jump *j = r->jump;

	if (!j->asked || j->waiting)
		return;
	if (j->another || j->behind)
		jump_end(r, -DSI_EAGAIN, j->behind && !j->another);
	else
		fetch_part(r);
}

static void opinion(struct replica *r, struct jump *j, const struct opinion *op, const struct snapshot_at *at)
{
	bool entry = at->knows & SNAPSHOT_KNOWS_ENTRY, state = at->knows & SNAPSHOT_KNOWS_STATE;

	if (at->commit < j->o.index)
		j->behind = true;
	else if ((entry && memcmp(at->hash, j->entry.hash, sizeof(at->hash))) ||
		 (state && memcmp(at->digest, j->o.digest, sizeof(at->digest)))) {
		j->another = true;
		learn_contradiction(r, op->address, "has another entry or state than the snapshot that was shown");
	}
}

static void on_opinion(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct opinion *op = ctx;
	struct replica *r = op->r;
	struct jump *j = r->jump;
	struct snapshot_at at;

	(void)peer;
	if (!j || j->id != op->jump || overtaken(r)) {
		free(op);
		return;
	}
	if (!code && !snapshot_at_decode(&at, p, n))
		opinion(r, j, op, &at);
	else if (code == -DSI_EINVAL || code == -DSI_EAUTH) /* a program that does not know snapshots; a stranger to its log */
		j->behind = true;
	free(op);
	j->waiting--;
	opinions_heard(r);
}

static void ask_around(struct replica *r)
{
	struct jump *j = r->jump;
	const struct snapshot_ask a = { .kind = SNAPSHOT_AT, .index = j->o.index };
	struct reform_source s;

	for (u32 i = 0; learn_candidate(r, i, s.address, s.key, &s.keyed); i++) {
		struct opinion *op = calloc(1, sizeof(*op));

		if (!op)
			continue;
		op->r = r;
		op->jump = j->id;
		snprintf(op->address, sizeof(op->address), "%s", s.address);
		if (ask(r, &s, &a, AT_NS, on_opinion, op))
			free(op);
		else
			j->waiting++;
	}
	j->asked = true;
	opinions_heard(r);
}

/* --- the offer ------------------------------------------------------------------------------------------- */

static bool on_voter(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB])
{
	struct replica *r = ctx;
	const struct state_node *n = state_node(r->state, nid);

	if (!n || !state_nid_live(r->state, nid) || replica_suspended(r, nid))
		return false;
	memcpy(ret_pub, n->sign, CRYPTO_PUB);
	return true;
}

static int weigh(struct replica *r, struct jump *j)
{
	struct snapshot_reader reader = { .ctx = r, .generation = r->state->generation, .format = STATE_FORMAT,
					  .set = &r->state->voters[0], .voter = on_voter };
	int rc = snapshot_offer_decode(&j->o, j->bytes.data, j->bytes.len);

	memcpy(reader.cluster, r->state->cluster, sizeof(reader.cluster));
	if (rc)
		return rc;
	/* Entries that we have at or past it may be what we acknowledged: those are proven, not cut. */
	if (j->o.index <= r->state->applied + LIM_SNAPSHOT_AHEAD || log_tail(r->log) >= j->o.index)
		return -DSI_ESTALE;
	return snapshot_check(&reader, &j->o, &j->entry);
}

static void on_offer(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct replica *r = ctx;
	struct jump *j = r->jump;

	(void)peer;
	if (!j || overtaken(r))
		return;
	wbuf_bytes(&j->bytes, p, code ? 0 : n);
	if (!code)
		code = wbuf_ok(&j->bytes) ? weigh(r, j) : -DSI_ENOMEM;
	if (code) {
		if (code != -DSI_ENOENT && code != -DSI_EINVAL && code != -DSI_ESTALE) /* none; not known; not worth it */
			replica_alarm(r, 1, "snapshot", "%s shows a snapshot that is not taken: %s", j->src.address, err_text(code));
		jump_end(r, code, code == -DSI_ENOENT); /* it may have one by the next part */
		return;
	}
	if (r->boot.empty)
		ask_around(r);
	else
		fetch_part(r);
}

bool jump_begin(struct replica *r)
{
	const struct snapshot_ask a = { .kind = SNAPSHOT_OFFER };
	struct jump *j;

	if (r->jump || r->second.on || !r->state->n_voters || r->state->voters[0].n < SNAPSHOT_LEAST ||
	    (r->jump_tried.set == r->state->voters[0].index + 1 && r->jump_tried.source == r->learn_next))
		return false;
	j = calloc(1, sizeof(*j));
	if (!j)
		return false;
	j->id = ++r->n_jumps;
	j->src = r->learn_source;
	wbuf_init(&j->bytes, LIM_DIRECT_FRAME);
	wbuf_init(&j->image, LIM_STATE);
	r->jump = j;
	r->learning = true;
	if (!ask(r, &j->src, &a, CALL_NS, on_offer, r))
		return true;
	jump_drop(r);
	r->learning = false;
	return false;
}
