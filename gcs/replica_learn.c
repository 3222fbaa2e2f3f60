/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning over the direct leg: the log before the ordered leg is joined, entries that order asks for, and
 * the blobs that entries name.
 *
 * Must never: take an entry that does not chain from ours and verify; apply one that no majority of voters, as our
 * own log names them, acknowledged; join as a newcomer while a member it can reach shows another history; call a blob complete whose SHA-256 is not its name. Once we are a member of the
 * ordered leg commit is what the stream shows.
 */
#include "gcs/replica_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const u64 CALL_NS = 5ull * 1000000000, MS = 1000000;

/* --- whom to ask ----------------------------------------------------------------------------------------- */

/* The address of a node in our log: asked as that node, or dead. dsi-ss asks its own node's manager by it. */
static bool peer_known(const struct replica *r, const char *address)
{
	for (u32 i = 0; i < r->state->n_node; i++)
		if (r->state->node[i].nid != r->nid && !strcmp(r->state->node[i].direct, address))
			return true;
	return false;
}

bool learn_candidate(struct replica *r, u32 i, char ret[LIM_PATH], u8 ret_key[CRYPTO_PUB], bool *ret_keyed)
{
	u32 k = 0;

	for (u32 n = 0; n < r->state->n_node; n++) {
		const struct state_node *node = &r->state->node[n];

		if (node->nid == r->nid || !node->direct[0] || !state_nid_live(r->state, node->nid))
			continue;
		if (k++ < i)
			continue;
		snprintf(ret, LIM_PATH, "%s", node->direct);
		memcpy(ret_key, node->sign, CRYPTO_PUB);
		*ret_keyed = true;
		return true;
	}
	for (u32 n = 0; n < r->cfg.n_peers; n++) {
		if (peer_known(r, r->cfg.peers[n]) || k++ < i)
			continue;
		snprintf(ret, LIM_PATH, "%s", r->cfg.peers[n]);
		*ret_keyed = false;
		return true;
	}
	return false;
}

/* --- entries --------------------------------------------------------------------------------------------- */

static u32 split_entries(struct rbuf *in, struct blob *ret, u32 max)
{
	u32 n = 0;

	while (rbuf_left(in) && n < max) {
		ret[n].p = rbuf_blob(in, ENTRY_MAX, &ret[n].n);
		if (!ret[n].p)
			break;
		n++;
	}
	return n;
}

static void learn_next(void *ctx);

static void join_now(struct replica *r)
{
	struct err e = { 0 };

	learn_stop(r);
	if (r->order || r->reforming)
		return;
	if (r->halted) {
		reform_look_next(r);
		return;
	}
	if (replica_join(r, &e))
		replica_alarm(r, 3, "join", "cannot join: %s", e.text);
}

static void learn_again(struct replica *r, u64 after_ms)
{
	loop_timer_set(r->learn_timer, after_ms * MS + 1);
}

void learn_drop(struct replica *r)
{
	stage_free(r->stage);
	r->stage = NULL;
	r->second.at = 0;
}

/* What one source showed is nothing to the next: it begins where our own state ends. */
static void learn_elsewhere(struct replica *r, u64 after_ms)
{
	learn_drop(r);
	r->learn_next++;
	learn_again(r, after_ms);
}

/* --- a second opinion -------------------------------------------------------------------------------------
 * The first voter sets of a cluster are small, and who had their keys can make another history from there, proofs and
 * all. So a node that began with nothing asks all it knows of, once it has learnt: those who do not answer do not
 * matter, those who show something else do. */

static void second_begin(struct replica *r)
{
	r->second.on = true;
	r->second.contradicted = false;
	learn_elsewhere(r, 0);
	r->learn_next = 0;
}

/* All that this source has is ours. */
static void learnt_all(struct replica *r)
{
	if (!r->boot.empty)
		join_now(r);
	else if (!r->second.on)
		second_begin(r);
	else
		learn_elsewhere(r, 0);
}

void learn_contradiction(struct replica *r, const char *who, const char *what)
{
	r->second.contradicted = true;
	replica_alarm(r, 3, "history", "%s %s", who, what);
}

static void contradiction(struct replica *r, const char *what)
{
	learn_contradiction(r, r->learn_source.address, what);
}

static void stranger(struct replica *r)
{
	if (r->second.on)
		contradiction(r, "and this node are strangers to each other by their logs");
}

/* true: what it says to be committed is not what we have. Where ours is of a later generation root has decided between
 * the two: who has not heard of it yet is no liar. */
static bool contradicts(struct replica *r, const struct proven *a)
{
	for (u32 i = 0; i < a->n_entry; i++) {
		struct entry e, own;
		size_t n;
		const u8 *p;

		if (entry_decode(&e, a->entry[i].p, a->entry[i].n) || e.index > MIN(a->commit, r->state->applied))
			return false;
		p = log_entry(r->log, e.index, &n);
		if (p && !entry_decode(&own, p, n) && memcmp(own.hash, e.hash, sizeof(e.hash)))
			return e.generation >= own.generation;
	}
	return false;
}

/* All asked. */
static void learn_exhausted(struct replica *r)
{
	r->learn_next = 0;
	if (r->order)
		return;
	if (!r->nid)
		learn_again(r, LEARN_RETRY_MS);
	else if (r->second.contradicted) {
		replica_alarm(r, 3, "history", "members show different histories of this cluster: this node does not join. Compare "
			      "`dsi-admin log` of the members, revoke the one that lies; if this node has the wrong one (%llu "
			      "entries), move %s away and start again", (unsigned long long)r->state->applied, r->cfg.dir);
		r->second.contradicted = false;
		learn_again(r, LEARN_DOUBT_MS);
	} else if (r->boot.empty && !r->second.on)
		second_begin(r);
	else
		join_now(r);
}

/* Proven up to index: from now on it is our log's. What of ours stands in its way was never committed. */
static int learn_take(struct replica *r, u64 index, const struct blob *proof)
{
	u64 before = r->state->applied;
	int rc = 0;

	for (u64 i = before + 1; i <= index && !rc; i++) {
		size_t n, own_n;
		const u8 *p = stage_read(r->stage, i, &n), *own = log_entry(r->log, i, &own_n);

		if (!own || own_n != n || memcmp(own, p, n))
			rc = log_append(r->log, i, p, n, NULL, NULL);
	}
	if (!rc)
		rc = replica_apply_to(r, index, false);
	if (rc)
		return rc;
	log_commit_hint(r->log, index);
	prove_learnt(r, before, proof);
	stage_drop(r->stage, index);
	r->learnt = true;
	return 0;
}

/* One answer while order does not exist: stage what the source shows, take what is proven. */
static int learn_staged(struct replica *r, const struct proven *a)
{
	struct blob proof;
	struct err e = { 0 };
	u64 index, before = r->state->applied;
	int rc = 0;

	for (u32 i = 0; i < a->n_entry && rc >= 0; i++)
		rc = stage_add(r->stage, a->entry[i].p, a->entry[i].n, &e);
	for (u32 i = 0; i < a->n_proof; i++)
		if (stage_prove(r->stage, a->proof[i].p, a->proof[i].n, i + 1 == a->n_proof))
			return -DSI_ENOMEM;
	while (stage_step(r->stage, &index, &proof)) {
		int code = learn_take(r, index, &proof);

		if (code) {
			replica_alarm(r, 3, "log", "entry %llu cannot be applied: %s", (unsigned long long)index, err_text(code));
			return code;
		}
	}
	if (rc == -DSI_ELIMIT && r->state->applied > before)
		return 0; /* there is room again */
	if (rc < 0)
		replica_alarm(r, 2, "learn", "entry %llu refused: %s", (unsigned long long)stage_tail(r->stage) + 1, e.text);
	return MIN(rc, 0);
}

/* The source says commit; what counts is how far we came. */
static void learn_shown(struct replica *r, const struct proven *a)
{
	u64 before = r->state->applied, shown = stage_tail(r->stage);
	int rc;

	if (r->second.on && !a->n_entry && a->commit && a->commit < before && !r->second.at) {
		if (log_gap(r->log, a->commit)) {
			contradiction(r, "ends where this node has a snapshot and no entries: it cannot be compared yet");
			learn_elsewhere(r, 0);
			return;
		}
		r->second.at = a->commit; /* it has less: compare there */
		learn_again(r, 0);
		return;
	}
	rc = learn_staged(r, a);
	r->nid = replica_find_nid(r);
	if (!rc && r->state->applied < a->commit && (r->state->applied > before || stage_tail(r->stage) > shown)) {
		learn_again(r, 0); /* same source, next part */
		return;
	}
	if (r->state->applied < a->commit && !rc)
		replica_alarm(r, 1, "learn", "a source says that entry %llu is committed and proves it up to %llu",
			      (unsigned long long)a->commit, (unsigned long long)r->state->applied);
	if (r->nid && r->state->applied >= a->commit) {
		learnt_all(r);
		return;
	}
	learn_elsewhere(r, r->nid ? 0 : LEARN_RETRY_MS);
}

/* For a second opinion also the last that we have. */
static u64 learn_from(const struct replica *r)
{
	if (r->order)
		return log_tail(r->log) + 1;
	return r->second.at ? r->second.at : stage_tail(r->stage) + !r->second.on;
}

static void on_shown(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct replica *r = ctx;
	struct proven *a;

	(void)peer;
	r->learning = false;
	if (r->closing || r->reforming)
		return;
	if (r->order) {
		learn_stop(r);
		return;
	}
	if (!r->stage) { /* asked in the generation before this one */
		learn_again(r, 0);
		return;
	}
	if (code == -DSI_EAUTH)
		stranger(r);
	if (code == -DSI_ENOENT)
		replica_alarm(r, 2, "learn", "%s does not have entry %llu any more, and shows no snapshot that a majority of the voters "
			      "known here stands behind; if no other member has it, move %s away and start again", r->learn_source.address,
			      (unsigned long long)learn_from(r), r->cfg.dir);
	a = code ? NULL : malloc(sizeof(*a));
	if (!a || proven_decode(a, p, n))
		learn_elsewhere(r, 0);
	else if (r->second.on && contradicts(r, a)) {
		contradiction(r, "shows another history than what was learnt");
		learn_elsewhere(r, 0);
	} else
		learn_shown(r, a);
	free(a);
}

/* Entries that order has use for: it met somebody it does not know. */
static void on_learnt(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct blob v[256];
	struct replica *r = ctx;
	struct order_actions acts;
	struct rbuf in;

	r->learning = false;
	if (r->closing || !r->order) /* a reform ended it meanwhile */
		return;
	if (code) {
		r->learn_next++;
		learn_again(r, 0);
		return;
	}
	rbuf_init(&in, p, n);
	rbuf_u64(&in);
	rbuf_u64(&in);
	u32 count = split_entries(&in, v, ARRAY_SIZE(v));

	learn_stop(r);
	order_fetched(r->order, loop_now(r->cfg.loop), peer ? peer->nid : 0, v, count, &acts);
	replica_run(r, &acts);
}

/* The stage begins where our state ends. */
static bool stage_begin(struct replica *r)
{
	struct entry tail;
	size_t n;
	const u8 *p;

	if (r->stage)
		return true;
	p = log_entry(r->log, r->state->applied, &n);
	if (p && !entry_decode(&tail, p, n))
		r->stage = stage_new(r->state, &tail);
	return r->stage;
}

static void ask_entries(struct replica *r)
{
	struct reform_source *s = &r->learn_source;
	u8 rq[16];
	struct wbuf w;

	if (!r->order && !stage_begin(r)) {
		learn_elsewhere(r, LEARN_RETRY_MS);
		return;
	}
	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_u64(&w, learn_from(r));
	wbuf_u64(&w, UINT64_MAX);
	r->learning = true;
	if (direct_call(r->direct, s->address, s->keyed ? s->key : NULL, r->order ? DIRECT_ENTRIES : DIRECT_PROVEN, rq,
			sizeof(rq), CALL_NS, r->order ? on_learnt : on_shown, r)) {
		r->learning = false;
		learn_elsewhere(r, LEARN_RETRY_MS);
	}
}

/* First its generation: in a later one its entries may not continue ours at all. */
static void on_reforms(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct replica *r = ctx;

	(void)peer;
	r->learning = false;
	if (r->closing || r->reforming || (!code && reform_seen(r, &r->learn_source, p, n)))
		return;
	if (!code || code == -DSI_EINVAL) { /* an older program does not know the question */
		if (r->order || !jump_begin(r))
			ask_entries(r);
		return;
	}
	if (code == -DSI_EAUTH)
		stranger(r);
	learn_elsewhere(r, 0);
}

/* Ask the next candidate. All asked in vain: a node that knows itself joins with what it has; one that does
 * not asks again later. */
static void learn_next(void *ctx)
{
	struct replica *r = ctx;
	struct reform_source *s = &r->learn_source;
	u8 rq[4];
	struct wbuf w;

	if (r->learning || r->reforming)
		return;
	if (!learn_candidate(r, r->learn_next, s->address, s->key, &s->keyed)) {
		learn_exhausted(r);
		return;
	}
	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_u32(&w, r->state->generation - 1);
	r->learning = true;
	if (direct_call(r->direct, s->address, s->keyed ? s->key : NULL, DIRECT_REFORMS, rq, sizeof(rq), CALL_NS, on_reforms, r)) {
		r->learning = false;
		learn_elsewhere(r, LEARN_RETRY_MS);
	}
}

void learn_jumped(struct replica *r, int code)
{
	if (r->reforming || r->order)
		return;
	if (code) {
		ask_entries(r);
		return;
	}
	learn_drop(r);
	r->learnt = true;
	learn_again(r, 0); /* the same source, for what came after */
}

void learn_resume(struct replica *r)
{
	if (r->order || r->reforming || r->backend)
		return;
	learn_drop(r);
	if (!r->learning)
		learn_again(r, 0);
}

int learn_start(struct replica *r)
{
	r->learn_timer = loop_timer_new(r->cfg.loop, learn_next, r);
	if (!r->learn_timer)
		return -DSI_ENOMEM;
	learn_again(r, 0);
	return 0;
}

void learn_stop(struct replica *r)
{
	loop_timer_set(r->learn_timer, 0);
	r->learn_next = 0;
	stage_free(r->stage);
	r->stage = NULL;
}

void learn_soon(struct replica *r)
{
	if (!r->learning && !r->reforming && !loop_timer_active(r->learn_timer))
		learn_again(r, 100);
}

static void on_fetched(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct blob v[256];
	struct replica *r = ctx;
	struct order_actions acts;
	struct rbuf in;
	u32 count = 0;

	if (r->closing || !r->order)
		return;
	if (!code) {
		rbuf_init(&in, p, n);
		rbuf_u64(&in);
		rbuf_u64(&in);
		count = split_entries(&in, v, ARRAY_SIZE(v));
	}
	order_fetched(r->order, loop_now(r->cfg.loop), peer ? peer->nid : r->fetch_nid, v, count, &acts);
	replica_run(r, &acts);
}

void learn_entries(struct replica *r, u32 nid, u64 from, u64 to)
{
	const struct state_node *node = state_node(r->state, nid);
	u8 rq[16];
	struct wbuf w;

	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_u64(&w, from);
	wbuf_u64(&w, to);
	r->fetch_nid = nid;
	if (!node || direct_call(r->direct, node->direct, node->sign, DIRECT_ENTRIES, rq, sizeof(rq), CALL_NS, on_fetched, r))
		replica_alarm(r, 1, "fetch", "entries from %llu: node %u cannot be asked", (unsigned long long)from, nid);
}

/* --- blobs ----------------------------------------------------------------------------------------------- */

typedef void fetch_fn(void *ctx, int code);

struct fetch {
	struct fetch *next;
	struct replica *r;
	u8 digest[CRYPTO_HASH];
	struct wbuf data;
	u64 size;
	u32 source; /* 0: the hint; then candidates */
	struct { fetch_fn *fn; void *ctx; } waiter[4];
	u32 n_waiter;
};

static void fetch_ask(struct fetch *f);

static void fetch_end(struct fetch *f, int code)
{
	struct fetch **at = &f->r->fetches;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	for (u32 i = 0; i < f->n_waiter; i++)
		f->waiter[i].fn(f->waiter[i].ctx, code);
	wbuf_fini(&f->data);
	free(f);
}

static void fetch_stored(void *ctx, u64 value, int code)
{
	(void)value;
	fetch_end(ctx, code);
}

static void fetch_complete(struct fetch *f)
{
	u8 digest[CRYPTO_HASH];

	if (crypto_sha256(f->data.data, f->data.len, digest) || memcmp(digest, f->digest, sizeof(digest))) {
		replica_alarm(f->r, 2, "blob", "a source sent bytes that are not the blob they were named by");
		wbuf_reset(&f->data);
		f->source++;
		fetch_ask(f);
		return;
	}
	if (blob_put(f->r->log, f->digest, f->data.data, f->data.len, fetch_stored, f))
		fetch_end(f, -DSI_EIO);
}

static void on_part(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct fetch *f = ctx;
	struct rbuf in;

	(void)peer;
	if (f->r->closing)
		return;
	rbuf_init(&in, p, n);
	u64 size = code ? 0 : rbuf_u64(&in);

	if (code || !rbuf_ok(&in) || size > LIM_POLICY || f->data.len + rbuf_left(&in) > size ||
	    (!rbuf_left(&in) && f->data.len < size)) {
		wbuf_reset(&f->data);
		f->source++;
		fetch_ask(f);
		return;
	}
	wbuf_bytes(&f->data, in.data + in.pos, rbuf_left(&in));
	if (!wbuf_ok(&f->data))
		fetch_end(f, -DSI_ENOMEM);
	else if (f->data.len == size)
		fetch_complete(f);
	else
		fetch_ask(f);
}

static bool fetch_source(struct fetch *f, char address[LIM_PATH], u8 key[CRYPTO_PUB], bool *keyed)
{
	struct replica *r = f->r;
	const struct state_node *node = NULL;

	for (u32 i = 0; !f->source && i < r->n_hint; i++)
		if (!memcmp(r->hint[i].digest, f->digest, CRYPTO_HASH))
			node = state_node(r->state, r->hint[i].nid);
	/* dsi-ss asks its own node's manager too: it is no candidate of its own otherwise */
	if (!node && !f->source && r->cfg.role == ROLE_SERVER)
		node = state_node(r->state, r->nid);
	if (node && node->direct[0] && (node->nid != r->nid || r->cfg.role == ROLE_SERVER)) {
		snprintf(address, LIM_PATH, "%s", node->direct);
		memcpy(key, node->sign, CRYPTO_PUB);
		*keyed = true;
		return true;
	}
	if (!f->source)
		f->source = 1;
	return learn_candidate(r, f->source - 1, address, key, keyed);
}

static void fetch_ask(struct fetch *f)
{
	char address[LIM_PATH];
	u8 key[CRYPTO_PUB], rq[CRYPTO_HASH + 8];
	bool keyed;
	struct wbuf w;

	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_bytes(&w, f->digest, CRYPTO_HASH);
	wbuf_u64(&w, f->data.len);
	for (;;) {
		if (!fetch_source(f, address, key, &keyed)) {
			fetch_end(f, -DSI_ENOENT);
			return;
		}
		if (!direct_call(f->r->direct, address, keyed ? key : NULL, DIRECT_BLOB, rq, sizeof(rq), CALL_NS, on_part, f))
			return;
		f->source++;
	}
}

void replica_blob_hint(struct replica *r, const u8 digest[CRYPTO_HASH], u32 nid)
{
	u32 at = r->n_hint < BLOB_HINTS ? r->n_hint++ : r->hint_next++ % BLOB_HINTS;

	memcpy(r->hint[at].digest, digest, CRYPTO_HASH);
	r->hint[at].nid = nid;
}

void replica_blob_fetch(struct replica *r, const u8 digest[CRYPTO_HASH], fetch_fn *fn, void *ctx)
{
	struct fetch *f;

	if (blob_present(r->log, digest)) {
		fn(ctx, 0);
		return;
	}
	for (f = r->fetches; f; f = f->next)
		if (!memcmp(f->digest, digest, CRYPTO_HASH) && f->n_waiter < ARRAY_SIZE(f->waiter))
			break;
	if (f) {
		f->waiter[f->n_waiter].fn = fn;
		f->waiter[f->n_waiter++].ctx = ctx;
		return;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		fn(ctx, -DSI_ENOMEM);
		return;
	}
	f->r = r;
	memcpy(f->digest, digest, CRYPTO_HASH);
	wbuf_init(&f->data, LIM_POLICY);
	f->waiter[0].fn = fn;
	f->waiter[0].ctx = ctx;
	f->n_waiter = 1;
	f->next = r->fetches;
	r->fetches = f;
	fetch_ask(f);
}

/* ORDER_BODIES: an entry names a blob we lack. */
struct bodies {
	struct replica *r;
	u64 index;
};

static void on_bodies(void *ctx, int code)
{
	struct bodies *b = ctx;
	struct replica *r = b->r;
	struct order_actions acts;

	if (r->order) {
		order_bodies_ready(r->order, loop_now(r->cfg.loop), b->index, !code, &acts);
		replica_run(r, &acts);
	}
	free(b);
}

void learn_bodies(struct replica *r, u32 nid, u64 index)
{
	struct bodies *b = malloc(sizeof(*b));
	u8 digest[CRYPTO_HASH];
	struct entry e;
	u64 size;
	size_t len;
	const u8 *p = log_entry(r->log, index, &len);

	(void)nid;
	if (!b || !p || entry_decode(&e, p, len) || state_entry_blob(r->state, &e, digest, &size)) {
		free(b);
		return;
	}
	b->r = r;
	b->index = index;
	replica_blob_fetch(r, digest, on_bodies, b);
}

void learn_free(struct replica *r)
{
	loop_timer_free(r->learn_timer);
	stage_free(r->stage);
	while (r->fetches) {
		struct fetch *f = r->fetches;

		r->fetches = f->next;
		wbuf_fini(&f->data);
		free(f);
	}
}
