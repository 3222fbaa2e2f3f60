/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blobs (policy images) that entries name: fetched over the direct leg, first as the difference to one that is here, else
 * whole, in parts; and differences given to others who ask.
 *
 * Must never: call a blob complete whose SHA-256 is not its name, whoever sent it and in whatever form.
 */
#include "gcs/replica_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const u64 CALL_NS = 5ull * 1000000000;

struct fetch {
	struct fetch *next;
	struct replica *r;
	u8 digest[CRYPTO_HASH];
	u8 had[CRYPTO_HASH]; /* with has_base: an older one that is here */
	bool has_base, by_delta;
	bool whole; /* this source had no difference that was any good */
	struct wbuf data;
	u64 wire;   /* bytes of requests and replies so far */
	u32 source; /* 0: the hint; then candidates */
	struct { fetch_fn *fn; void *ctx; } waiter[4];
	u32 n_waiter;
};

static void fetch_ask(struct fetch *f);
static void fetch_next(struct fetch *f); /* the next source, from the beginning */

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

/* For `dsi-admin policy history`: what it cost to get it here. */
static void fetch_note(const struct fetch *f)
{
	struct replica *r = f->r;
	struct replica_fetched *n = &r->fetched[r->n_fetched % REPLICA_FETCHED];

	*n = (struct replica_fetched){ .size = f->data.len, .wire = f->wire, .delta = f->by_delta };
	memcpy(n->digest, f->digest, CRYPTO_HASH);
	r->n_fetched++;
}

u32 replica_fetched(const struct replica *r, const struct replica_fetched **ret)
{
	*ret = r->fetched;
	return (u32)MIN(r->n_fetched, (u64)REPLICA_FETCHED);
}

static bool fetch_true(const struct fetch *f)
{
	u8 digest[CRYPTO_HASH];

	return !crypto_sha256(f->data.data, f->data.len, digest) && !memcmp(digest, f->digest, sizeof(digest));
}

static void fetch_store(struct fetch *f)
{
	fetch_note(f);
	if (blob_put(f->r->log, f->digest, f->data.data, f->data.len, fetch_stored, f))
		fetch_end(f, -DSI_EIO);
}

static void fetch_complete(struct fetch *f)
{
	if (fetch_true(f)) {
		fetch_store(f);
		return;
	}
	replica_alarm(f->r, 2, "blob", "a source sent bytes that are not the blob they were named by");
	fetch_next(f);
}

static void on_part(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct fetch *f = ctx;
	struct rbuf in;

	(void)peer;
	if (f->r->closing)
		return;
	rbuf_init(&in, p, n);
	f->wire += n;
	u64 size = code ? 0 : rbuf_u64(&in);

	if (code || !rbuf_ok(&in) || size > LIM_POLICY || f->data.len + rbuf_left(&in) > size ||
	    (!rbuf_left(&in) && f->data.len < size)) {
		fetch_next(f);
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

/* --- as a difference --------------------------------------------------------------------------------------- */

/* Did this difference make the blob? It is no matter who sent it: the hash says. */
static bool delta_takes(struct fetch *f, const u8 *p, size_t n)
{
	u8 *had = NULL;
	size_t had_n = 0;
	bool good;

	if (blob_get(f->r->log, f->had, &had, &had_n, NULL))
		return false;
	good = !f->r->cfg.delta->apply(had, had_n, p, n, &f->data, NULL) && fetch_true(f);
	free(had);
	return good;
}

static void on_delta(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct fetch *f = ctx;

	(void)peer;
	if (f->r->closing)
		return;
	f->wire += n;
	if (!code && delta_takes(f, p, n)) {
		f->by_delta = true;
		fetch_store(f);
		return;
	}
	if (!code)
		replica_alarm(f->r, 2, "blob", "a source sent a difference that does not make the blob it was asked for");
	wbuf_fini(&f->data); /* also of what did not fit */
	wbuf_init(&f->data, LIM_POLICY);
	f->whole = true;
	fetch_ask(f); /* the same source */
}

/* The newest version that is here, and is not the one wanted. */
static bool delta_base(struct replica *r, const u8 digest[CRYPTO_HASH], u8 ret[CRYPTO_HASH])
{
	for (u32 i = 0; r->cfg.delta && r->state && i < r->state->n_history; i++) {
		const u8 *have = r->state->history[i].digest;

		if (!memcmp(have, digest, CRYPTO_HASH) || !blob_present(r->log, have))
			continue;
		memcpy(ret, have, CRYPTO_HASH);
		return true;
	}
	return false;
}

/* --- whom to ask ------------------------------------------------------------------------------------------- */

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

static int fetch_call(struct fetch *f, const char *address, const u8 *key, bool delta)
{
	u8 rq[2 * CRYPTO_HASH];
	struct wbuf w;

	wbuf_fixed(&w, rq, sizeof(rq));
	wbuf_bytes(&w, f->digest, CRYPTO_HASH);
	if (delta)
		wbuf_bytes(&w, f->had, CRYPTO_HASH);
	else
		wbuf_u64(&w, f->data.len);
	f->wire += w.len;
	return direct_call(f->r->direct, address, key, delta ? DIRECT_BLOB_DELTA : DIRECT_BLOB, rq, w.len, CALL_NS,
			   delta ? on_delta : on_part, f);
}

static void fetch_ask(struct fetch *f)
{
	char address[LIM_PATH];
	u8 key[CRYPTO_PUB];
	bool keyed;

	for (;; f->source++, f->whole = false) {
		if (!fetch_source(f, address, key, &keyed)) {
			fetch_end(f, -DSI_ENOENT);
			return;
		}
		if (!fetch_call(f, address, keyed ? key : NULL, f->has_base && !f->whole && !f->data.len))
			return;
	}
}

static void fetch_next(struct fetch *f)
{
	wbuf_reset(&f->data);
	f->source++;
	f->whole = false;
	fetch_ask(f);
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
	f->has_base = delta_base(r, digest, f->had);
	wbuf_init(&f->data, LIM_POLICY);
	f->waiter[0].fn = fn;
	f->waiter[0].ctx = ctx;
	f->n_waiter = 1;
	f->next = r->fetches;
	r->fetches = f;
	fetch_ask(f);
}

void fetch_free(struct replica *r)
{
	while (r->fetches) {
		struct fetch *f = r->fetches;

		r->fetches = f->next;
		wbuf_fini(&f->data);
		free(f);
	}
	wbuf_fini(&r->delta.bytes);
}

/* --- as asked by others ------------------------------------------------------------------------------------ */

/* The difference from had to wanted, made anew unless it is the one made last: all members ask for the same. */
static int delta_between(struct replica *r, const u8 wanted[CRYPTO_HASH], const u8 had[CRYPTO_HASH])
{
	u8 *a = NULL, *b = NULL;
	size_t a_n = 0, b_n = 0;
	int rc;

	if (r->delta.made && !memcmp(r->delta.wanted, wanted, CRYPTO_HASH) && !memcmp(r->delta.had, had, CRYPTO_HASH))
		return r->delta.code;
	rc = blob_get(r->log, had, &a, &a_n, NULL);
	if (!rc)
		rc = blob_get(r->log, wanted, &b, &b_n, NULL);
	if (!rc && (a_n > LIM_DELTA_IMAGE || b_n > LIM_DELTA_IMAGE))
		rc = -DSI_ELIMIT;
	if (!rc) {
		wbuf_fini(&r->delta.bytes);
		wbuf_init(&r->delta.bytes, MIN((size_t)LIM_DIRECT_FRAME - 1024, b_n / 2)); /* else the whole is as well */
		rc = r->cfg.delta->make(a, a_n, b, b_n, &r->delta.bytes, NULL);
		memcpy(r->delta.wanted, wanted, CRYPTO_HASH);
		memcpy(r->delta.had, had, CRYPTO_HASH);
		r->delta.made = true;
		r->delta.code = rc;
	}
	free(a);
	free(b);
	return rc;
}

void fetch_serve_delta(struct replica *r, struct direct_request *rq, const u8 *p, size_t n)
{
	u8 wanted[CRYPTO_HASH], had[CRYPTO_HASH];
	struct rbuf in;
	int rc;

	rbuf_init(&in, p, n);
	rbuf_copy(&in, wanted, sizeof(wanted));
	rbuf_copy(&in, had, sizeof(had));
	rc = rbuf_end(&in);
	if (!rc)
		rc = r->cfg.delta ? delta_between(r, wanted, had) : -DSI_ENOENT;
	direct_reply(rq, rc, rc ? NULL : r->delta.bytes.data, rc ? 0 : r->delta.bytes.len);
}
