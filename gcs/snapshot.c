/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: words noted, offers written and read, judged by the reader's own voters.
 *
 * Must never: look into a body before its signature held; count a voter twice, or one that the reader does not have; let
 * fewer than SNAPSHOT_LEAST speak for a state.
 */
#include "gcs/snapshot.h"

#include <string.h>

/* --- collecting ------------------------------------------------------------------------------------------ */

static struct snapshot_word *word_at(struct snapshot_word *v, u64 index)
{
	for (u32 i = 0; i < SNAPSHOT_PLACES; i++)
		if (v[i].said.index == index)
			return &v[i];
	return NULL;
}

static u64 newest(const struct snapshot_word *v)
{
	u64 ret = 0;

	for (u32 i = 0; i < SNAPSHOT_PLACES; i++)
		ret = MAX(ret, v[i].said.index);
	return ret;
}

/* Full: whoever has been silent longest was a voter once. */
static struct snapshot_word *words_of(struct snapshot_book *b, u32 nid)
{
	u32 oldest = 0;

	for (u32 i = 0; i < AGREE_VOTERS; i++) {
		if (b->voter[i].nid == nid)
			return b->voter[i].word;
		if (newest(b->voter[i].word) < newest(b->voter[oldest].word))
			oldest = i;
	}
	memset(&b->voter[oldest], 0, sizeof(b->voter[oldest]));
	b->voter[oldest].nid = nid;
	return b->voter[oldest].word;
}

void snapshot_note(struct snapshot_book *b, u32 nid, const struct body_digest *m, const u8 *raw, size_t n)
{
	struct snapshot_word *v, *at;

	if (!nid || !m->index || !n || n > SNAPSHOT_WORD_MAX)
		return;
	v = words_of(b, nid);
	if (word_at(v, m->index))
		return;
	at = &v[0];
	for (u32 i = 1; i < SNAPSHOT_PLACES; i++)
		if (v[i].said.index < at->said.index)
			at = &v[i];
	if (at->said.index > m->index)
		return;
	at->said = *m;
	at->len = n;
	memcpy(at->raw, raw, n);
}

static bool in_set(const struct order_voters *set, u32 nid)
{
	for (u32 i = 0; i < set->n; i++)
		if (set->nid[i] == nid)
			return true;
	return false;
}

static bool says(const struct body_digest *m, const u8 entry[CRYPTO_HASH], const struct snapshot_offer *o)
{
	return m->index == o->index && m->format == o->format && !memcmp(m->entry, entry, CRYPTO_HASH) &&
	       !memcmp(m->digest, o->digest, CRYPTO_HASH);
}

u32 snapshot_words(const struct snapshot_book *b, const struct order_voters *set, const u8 entry[CRYPTO_HASH],
		   struct snapshot_offer *o)
{
	u32 last = 0, of_set = 0;

	o->n_word = 0;
	for (;;) {
		const struct snapshot_word *best = NULL;
		u32 nid = UINT32_MAX;

		for (u32 i = 0; i < AGREE_VOTERS; i++) {
			if (b->voter[i].nid <= last || b->voter[i].nid >= nid)
				continue;
			for (u32 k = 0; k < SNAPSHOT_PLACES; k++)
				if (b->voter[i].word[k].said.index && says(&b->voter[i].word[k].said, entry, o)) {
					best = &b->voter[i].word[k];
					nid = b->voter[i].nid;
				}
		}
		if (!best || o->n_word == SNAPSHOT_WORDS)
			return of_set;
		o->word[o->n_word++] = (struct blob){ best->raw, best->len };
		of_set += in_set(set, nid);
		last = nid;
	}
}

u32 snapshot_needs(const struct order_voters *set)
{
	return MAX(set->n / 2 + 1, (u32)SNAPSHOT_LEAST);
}

/* --- what travels ---------------------------------------------------------------------------------------- */

int snapshot_ask_encode(const struct snapshot_ask *a, struct wbuf *w)
{
	wbuf_u8(w, SNAPSHOT_VERSION);
	wbuf_u8(w, (u8)a->kind);
	if (a->kind == SNAPSHOT_PART) {
		wbuf_bytes(w, a->digest, sizeof(a->digest));
		wbuf_u64(w, a->offset);
	} else if (a->kind == SNAPSHOT_AT)
		wbuf_u64(w, a->index);
	return wbuf_ok(w) ? 0 : -DSI_ENOMEM;
}

static bool version_ok(struct rbuf *in)
{
	return rbuf_u8(in) == SNAPSHOT_VERSION || !rbuf_ok(in);
}

int snapshot_ask_decode(struct snapshot_ask *ret, const u8 *p, size_t n)
{
	struct rbuf in;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rbuf_init(&in, p, n);
	if (!version_ok(&in))
		return -DSI_EVERSION;
	ret->kind = rbuf_u8(&in);
	if (ret->kind == SNAPSHOT_PART) {
		rbuf_copy(&in, ret->digest, sizeof(ret->digest));
		ret->offset = rbuf_u64(&in);
	} else if (ret->kind == SNAPSHOT_AT)
		ret->index = rbuf_u64(&in);
	rc = rbuf_end(&in);
	if (!rc && (ret->kind < SNAPSHOT_OFFER || ret->kind > SNAPSHOT_AT))
		rc = -DSI_EINVAL;
	if (rc)
		memset(ret, 0, sizeof(*ret));
	return rc;
}

int snapshot_offer_encode(const struct snapshot_offer *o, struct wbuf *w)
{
	wbuf_u8(w, SNAPSHOT_VERSION);
	wbuf_u64(w, o->index);
	wbuf_blob(w, o->entry.p, o->entry.n);
	wbuf_u32(w, o->format);
	wbuf_bytes(w, o->digest, sizeof(o->digest));
	wbuf_u64(w, o->size);
	wbuf_u32(w, o->n_word);
	for (u32 i = 0; i < o->n_word; i++)
		wbuf_blob(w, o->word[i].p, o->word[i].n);
	return wbuf_ok(w) ? 0 : -DSI_ENOMEM;
}

int snapshot_offer_decode(struct snapshot_offer *ret, const u8 *p, size_t n)
{
	struct rbuf in;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rbuf_init(&in, p, n);
	if (!version_ok(&in))
		return -DSI_EVERSION;
	ret->index = rbuf_u64(&in);
	ret->entry.p = rbuf_blob(&in, ENTRY_MAX, &ret->entry.n);
	ret->format = rbuf_u32(&in);
	rbuf_copy(&in, ret->digest, sizeof(ret->digest));
	ret->size = rbuf_u64(&in);
	ret->n_word = rbuf_u32(&in);
	if (ret->n_word > SNAPSHOT_WORDS || ret->size > LIM_STATE)
		in.failed = true;
	for (u32 i = 0; i < ret->n_word && rbuf_ok(&in); i++)
		ret->word[i].p = rbuf_blob(&in, SNAPSHOT_WORD_MAX, &ret->word[i].n);
	rc = rbuf_end(&in);
	if (rc)
		memset(ret, 0, sizeof(*ret));
	return rc;
}

int snapshot_at_encode(const struct snapshot_at *a, struct wbuf *w)
{
	wbuf_u8(w, SNAPSHOT_VERSION);
	wbuf_u64(w, a->commit);
	wbuf_u8(w, a->knows);
	wbuf_bytes(w, a->hash, sizeof(a->hash));
	wbuf_bytes(w, a->digest, sizeof(a->digest));
	return wbuf_ok(w) ? 0 : -DSI_ENOMEM;
}

int snapshot_at_decode(struct snapshot_at *ret, const u8 *p, size_t n)
{
	static const u8 none[CRYPTO_HASH];
	struct rbuf in;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rbuf_init(&in, p, n);
	if (!version_ok(&in))
		return -DSI_EVERSION;
	ret->commit = rbuf_u64(&in);
	ret->knows = rbuf_u8(&in);
	rbuf_copy(&in, ret->hash, sizeof(ret->hash));
	rbuf_copy(&in, ret->digest, sizeof(ret->digest));
	rc = rbuf_end(&in);
	if (!rc && (ret->knows & ~(SNAPSHOT_KNOWS_ENTRY | SNAPSHOT_KNOWS_STATE) ||
		    (!(ret->knows & SNAPSHOT_KNOWS_ENTRY) && memcmp(ret->hash, none, sizeof(none))) ||
		    (!(ret->knows & SNAPSHOT_KNOWS_STATE) && memcmp(ret->digest, none, sizeof(none)))))
		rc = -DSI_EPARSE;
	if (rc)
		memset(ret, 0, sizeof(*ret));
	return rc;
}

/* --- reading --------------------------------------------------------------------------------------------- */

/* Of one of the reader's own voters, rightly signed, and about this very state. */
static bool counts(const struct snapshot_reader *r, const struct snapshot_offer *o, const struct entry *e,
		   const struct envelope *v, const struct blob *raw)
{
	struct body_digest m;
	u8 pub[CRYPTO_PUB];
	struct arena a;
	int rc;

	if (v->version != ENVELOPE_VERSION || v->type != MSG_DIGEST || v->role != ROLE_MANAGER || v->flags & ENVELOPE_SEALED ||
	    memcmp(v->cluster, r->cluster, sizeof(v->cluster)) || v->generation != r->generation)
		return false;
	if (!in_set(r->set, v->nid) || !r->voter(r->ctx, v->nid, pub) || envelope_verify(raw->p, raw->n, pub))
		return false;
	arena_init(&a, LIM_BODY);
	rc = body_decode(&schema_digest, v->body, v->body_len, &m, &a);
	arena_fini(&a);
	return !rc && says(&m, e->hash, o);
}

static int entry_check(const struct snapshot_reader *r, const struct snapshot_offer *o, struct entry *e)
{
	if (!o->entry.n || entry_decode(e, o->entry.p, o->entry.n) || e->index != o->index || e->type == ENTRY_REFORM ||
	    e->type == ENTRY_GENESIS)
		return -DSI_EPARSE;
	if (memcmp(e->cluster, r->cluster, sizeof(e->cluster)))
		return -DSI_ECLUSTER;
	return e->generation == r->generation ? 0 : -DSI_ESTALE;
}

int snapshot_check(const struct snapshot_reader *r, const struct snapshot_offer *o, struct entry *ret_entry)
{
	u32 last = 0, n = 0;
	int rc;

	if (o->format != r->format)
		return -DSI_EVERSION;
	if (!o->size || o->size > LIM_STATE || o->n_word > SNAPSHOT_WORDS)
		return -DSI_ELIMIT;
	rc = entry_check(r, o, ret_entry);
	if (rc)
		return rc;
	for (u32 i = 0; i < o->n_word; i++) {
		struct envelope v;

		rc = envelope_parse(&v, o->word[i].p, o->word[i].n);
		if (rc || v.nid <= last)
			return rc ? rc : -DSI_EPARSE;
		last = v.nid;
		n += counts(r, o, ret_entry, &v, &o->word[i]);
	}
	return n >= snapshot_needs(r->set) ? 0 : -DSI_EQUORUM;
}
