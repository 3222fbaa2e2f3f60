/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning over the direct leg: the log before the ordered leg is joined, entries that order asks for, and
 * the blobs that entries name.
 *
 * Must never: take an entry that does not chain from ours and verify; call a blob complete whose SHA-256 is
 * not its name. A source's word for its commit point is believed only while we are not yet a member of the
 * ordered leg (doc/order.md, "Learning"); afterwards commit is what the stream shows.
 */
#include "gcs/replica_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const u64 CALL_NS = 5ull * 1000000000, MS = 1000000;

/* --- whom to ask ----------------------------------------------------------------------------------------- */

static bool candidate(struct replica *r, u32 i, char ret[LIM_PATH], u8 ret_key[CRYPTO_PUB], bool *ret_keyed)
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
	if (i - k >= r->cfg.n_peers)
		return false;
	snprintf(ret, LIM_PATH, "%s", r->cfg.peers[i - k]);
	*ret_keyed = false;
	return true;
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

/* One answer while order does not exist: append and apply what the source says is committed. */
static void learn_boot(struct replica *r, const struct blob *v, u32 n, u64 commit)
{
	u64 before = log_tail(r->log);

	for (u32 i = 0; i < n; i++) {
		struct entry e;

		if (entry_decode(&e, v[i].p, v[i].n) || e.index > commit)
			break;
		if (replica_store_entry(r, v[i].p, v[i].n) || replica_apply_to(r, log_tail(r->log), false))
			break;
	}
	log_commit_hint(r->log, r->state->applied);
	r->nid = replica_find_nid(r);
	r->learnt |= log_tail(r->log) > before;
	if (log_tail(r->log) > before && log_tail(r->log) < commit)
		learn_again(r, 0); /* same source, next part */
	else if (r->nid && log_tail(r->log) >= commit)
		join_now(r);
	else {
		r->learn_next++;
		learn_again(r, r->nid ? 0 : LEARN_RETRY_MS);
	}
}

static void on_learnt(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct blob v[256];
	struct replica *r = ctx;
	struct rbuf in;

	r->learning = false;
	if (r->closing || r->reforming)
		return;
	if (code) {
		r->learn_next++;
		learn_again(r, 0);
		return;
	}
	rbuf_init(&in, p, n);
	u64 commit = rbuf_u64(&in);

	rbuf_u64(&in);
	u32 count = split_entries(&in, v, ARRAY_SIZE(v));

	if (!r->order) {
		learn_boot(r, v, count, commit);
		return;
	}
	learn_stop(r);
	struct order_actions acts;

	order_fetched(r->order, loop_now(r->cfg.loop), peer ? peer->nid : 0, v, count, &acts);
	replica_run(r, &acts);
}

static void ask_entries(struct replica *r)
{
	struct reform_source *s = &r->learn_source;
	u8 rq[16];
	struct wbuf w;

	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_u64(&w, log_tail(r->log) + 1);
	wbuf_u64(&w, UINT64_MAX);
	r->learning = true;
	if (direct_call(r->direct, s->address, s->keyed ? s->key : NULL, DIRECT_ENTRIES, rq, sizeof(rq), CALL_NS, on_learnt, r)) {
		r->learning = false;
		r->learn_next++;
		learn_again(r, LEARN_RETRY_MS);
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
		ask_entries(r);
		return;
	}
	r->learn_next++;
	learn_again(r, 0);
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
	if (!candidate(r, r->learn_next, s->address, s->key, &s->keyed)) {
		r->learn_next = 0;
		if (r->order)
			return;
		if (r->nid)
			join_now(r);
		else
			learn_again(r, LEARN_RETRY_MS);
		return;
	}
	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_u32(&w, r->state->generation - 1);
	r->learning = true;
	if (direct_call(r->direct, s->address, s->keyed ? s->key : NULL, DIRECT_REFORMS, rq, sizeof(rq), CALL_NS, on_reforms, r)) {
		r->learning = false;
		r->learn_next++;
		learn_again(r, LEARN_RETRY_MS);
	}
}

void learn_resume(struct replica *r)
{
	if (!r->order && !r->learning && !r->reforming && !r->backend)
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
	return candidate(r, f->source - 1, address, key, keyed);
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
	while (r->fetches) {
		struct fetch *f = r->fetches;

		r->fetches = f->next;
		wbuf_fini(&f->data);
		free(f);
	}
}
