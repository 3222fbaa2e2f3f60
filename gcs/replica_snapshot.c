/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source of snapshots: our state at the newest places of the log, and the signed words of voters about it. Nothing of
 * this is sent on the ring: who learns asks over the direct leg.
 *
 * Must never: offer a state that no majority of voters told to be theirs; keep more than SNAP_IMAGES.
 */
#include "gcs/replica_impl.h"

#include <stdlib.h>
#include <string.h>

static void image_drop(struct snap_image *m)
{
	free(m->p);
	memset(m, 0, sizeof(*m));
}

static void offer_of(const struct snap_image *m, struct snapshot_offer *o)
{
	memset(o, 0, sizeof(*o));
	o->index = m->index;
	o->format = STATE_FORMAT;
	o->size = m->n;
	memcpy(o->digest, m->digest, sizeof(o->digest));
}

static bool backed(struct replica *r, const struct snap_image *m, struct snapshot_offer *o)
{
	const struct order_voters *set = &r->state->voters[0];

	offer_of(m, o);
	return r->state->n_voters && snapshot_words(&r->snap.book, set, m->entry, o) >= snapshot_needs(set);
}

/* The newest that a majority of our voters stands behind; NULL none. */
static struct snap_image *best(struct replica *r, struct snapshot_offer *o)
{
	struct snap_image *ret = NULL;
	struct snapshot_offer tried;

	for (u32 i = 0; i < SNAP_IMAGES; i++) {
		struct snap_image *m = &r->snap.image[i];

		if (!m->index || (ret && m->index < ret->index) || !backed(r, m, &tried))
			continue;
		ret = m;
		*o = tried;
	}
	return ret;
}

/* The words about a place come a round after it, and under load the next place may be there before: the oldest goes, but
 * never the one that can be shown. */
void snap_keep(struct replica *r, const struct entry *e, const u8 digest[CRYPTO_HASH], const struct wbuf *image)
{
	struct snapshot_offer o;
	const struct snap_image *shown = best(r, &o);
	struct snap_image *at = NULL;

	if (r->cfg.role != ROLE_MANAGER || e->type == ENTRY_REFORM || e->type == ENTRY_GENESIS)
		return;
	for (u32 i = 0; i < SNAP_IMAGES; i++)
		if (&r->snap.image[i] != shown && (!at || r->snap.image[i].index < at->index))
			at = &r->snap.image[i];
	image_drop(at);
	at->p = malloc(image->len);
	if (!at->p)
		return;
	memcpy(at->p, image->data, image->len);
	at->n = image->len;
	at->index = e->index;
	memcpy(at->entry, e->hash, sizeof(at->entry));
	memcpy(at->digest, digest, sizeof(at->digest));
}

void snap_noted(struct replica *r, u32 nid, const struct body_digest *m, const u8 *raw, size_t n)
{
	if (r->cfg.role == ROLE_MANAGER && m->format == STATE_FORMAT && replica_is_voter(r, nid))
		snapshot_note(&r->snap.book, nid, m, raw, n);
}

void snap_forget(struct replica *r)
{
	for (u32 i = 0; i < SNAP_IMAGES; i++)
		image_drop(&r->snap.image[i]);
	memset(&r->snap.book, 0, sizeof(r->snap.book));
}

/* --- asked ----------------------------------------------------------------------------------------------- */

static int show_offer(struct replica *r, struct wbuf *out)
{
	struct snapshot_offer o;
	const struct snap_image *m = best(r, &o);
	struct entry e;

	if (!m)
		return -DSI_ENOENT;
	o.entry.p = log_entry(r->log, m->index, &o.entry.n);
	if (!o.entry.p || entry_decode(&e, o.entry.p, o.entry.n) || memcmp(e.hash, m->entry, sizeof(e.hash)))
		return -DSI_ENOENT;
	return snapshot_offer_encode(&o, out);
}

static int show_part(struct replica *r, const struct snapshot_ask *a, struct wbuf *out)
{
	for (u32 i = 0; i < SNAP_IMAGES; i++) {
		const struct snap_image *m = &r->snap.image[i];

		if (!m->index || memcmp(m->digest, a->digest, sizeof(m->digest)))
			continue;
		if (a->offset > m->n)
			return -DSI_EINVAL;
		wbuf_u64(out, m->n);
		wbuf_bytes(out, m->p + a->offset, MIN(m->n - a->offset, (size_t)BLOB_CHUNK));
		return wbuf_ok(out) ? 0 : -DSI_ENOMEM;
	}
	return -DSI_ENOENT; /* newer ones pushed it out: ask for an offer again */
}

static int show_at(struct replica *r, u64 index, struct wbuf *out)
{
	struct snapshot_at at = { .commit = r->state->applied };
	struct entry e;
	size_t n;
	const u8 *p = index <= at.commit ? log_entry(r->log, index, &n) : NULL;

	if (p && !entry_decode(&e, p, n)) {
		at.knows = SNAPSHOT_KNOWS_ENTRY;
		memcpy(at.hash, e.hash, sizeof(at.hash));
	}
	for (u32 i = 0; i < AGREE_PLACES && at.knows; i++)
		if (r->agree.own.word[i].index == index) {
			at.knows |= SNAPSHOT_KNOWS_STATE;
			memcpy(at.digest, r->agree.own.word[i].digest, sizeof(at.digest));
		}
	return snapshot_at_encode(&at, out);
}

void snap_serve(struct replica *r, struct direct_request *rq, const u8 *p, size_t n)
{
	struct snapshot_ask a;
	struct wbuf out;
	int rc = snapshot_ask_decode(&a, p, n);

	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	if (!rc && a.kind == SNAPSHOT_OFFER)
		rc = show_offer(r, &out);
	else if (!rc && a.kind == SNAPSHOT_PART)
		rc = show_part(r, &a, &out);
	else if (!rc)
		rc = show_at(r, a.index, &out);
	direct_reply(rq, rc, out.data, rc ? 0 : out.len);
	wbuf_fini(&out);
}
