/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commit proofs: noted, encoded, judged against the reader's own log.
 *
 * Must never: look into a body before its signature held; count a voter twice, an entry that the reader does not
 * have, or an entry of an earlier term by itself.
 */
#include "gcs/proof.h"

#include <string.h>

/* --- collecting ------------------------------------------------------------------------------------------ */

static bool older(const struct proof_note *a, u64 term, u64 index)
{
	return a->term < term || (a->term == term && a->index < index);
}

static struct proof_note *slot(struct proof_book *b, u32 nid)
{
	struct proof_note *oldest = &b->note[0];

	for (u32 i = 0; i < b->n; i++) {
		if (b->note[i].nid == nid)
			return &b->note[i];
		if (older(&b->note[i], oldest->term, oldest->index))
			oldest = &b->note[i];
	}
	if (b->n == PROOF_ACKS)
		return oldest;
	memset(&b->note[b->n], 0, sizeof(b->note[0]));
	return &b->note[b->n++];
}

void proof_note(struct proof_book *b, u32 nid, const struct body_ack *ack, const u8 *raw, size_t n)
{
	struct proof_note *at;

	if (!n || n > PROOF_ACK_MAX)
		return;
	at = slot(b, nid);
	if (!older(at, ack->term, ack->index) && at->len)
		return;
	at->nid = nid;
	at->term = ack->term;
	at->index = ack->index;
	at->len = n;
	memcpy(at->raw, raw, n);
}

static void rank(u64 *v, u32 *n, u64 index) /* descending */
{
	u32 at = (*n)++;

	for (; at && v[at - 1] < index; at--)
		v[at] = v[at - 1];
	v[at] = index;
}

u64 proof_noted(const struct proof_book *b, u64 term, const struct order_voters *set)
{
	u64 acked[LIM_VOTERS];
	u32 n = 0;

	for (u32 i = 0; i < set->n; i++)
		for (u32 k = 0; k < b->n; k++)
			if (b->note[k].nid == set->nid[i] && b->note[k].term == term)
				rank(acked, &n, b->note[k].index);
	return n && n >= set->n / 2 + 1 ? acked[set->n / 2] : 0;
}

int proof_encode(const struct proof_book *b, u64 term, struct wbuf *w)
{
	u32 n = 0, last = 0;

	for (u32 i = 0; i < b->n; i++)
		n += b->note[i].term == term;
	wbuf_u8(w, PROOF_VERSION);
	wbuf_u64(w, term);
	wbuf_u32(w, n);
	for (u32 done = 0; done < n; done++) {
		const struct proof_note *next = NULL;

		for (u32 i = 0; i < b->n; i++)
			if (b->note[i].term == term && b->note[i].nid > last && (!next || b->note[i].nid < next->nid))
				next = &b->note[i];
		wbuf_blob(w, next->raw, next->len);
		last = next->nid;
	}
	return wbuf_ok(w) ? 0 : -DSI_ENOMEM;
}

/* --- reading --------------------------------------------------------------------------------------------- */

struct counted { /* an ACK that counts */
	u32 nid;
	u64 index;
};

struct judge {
	const struct proof_log *l;
	u64 term;
	struct counted v[PROOF_ACKS];
	u32 n;
};

/* The body of an ACK whose signature held. Never fails for want of memory in a way that lets anything count. */
static bool ack_body(const struct envelope *v, struct body_ack *ret)
{
	struct arena a;
	int rc;

	arena_init(&a, LIM_BODY);
	rc = body_decode(&schema_ack, v->body, v->body_len, ret, &a);
	arena_fini(&a);
	return !rc;
}

static void ack_judge(struct judge *j, const struct envelope *v, const u8 *p, size_t n)
{
	const struct proof_log *l = j->l;
	struct proof_entry entry;
	struct body_ack ack;
	u8 pub[CRYPTO_PUB];
	u64 dead = 0;

	if (v->version != ENVELOPE_VERSION || v->type != MSG_ACK || v->role != ROLE_MANAGER || v->flags & ENVELOPE_SEALED ||
	    memcmp(v->cluster, l->cluster, sizeof(v->cluster)))
		return;
	if (!l->voter(l->ctx, v->nid, pub, &dead) || envelope_verify(p, n, pub) || !ack_body(v, &ack))
		return;
	if (ack.term != j->term || !ack.index || (dead && ack.index >= dead))
		return;
	if (!l->entry(l->ctx, ack.index, &entry) || memcmp(entry.hash, ack.hash, sizeof(ack.hash)) ||
	    entry.generation != v->generation)
		return;
	j->v[j->n++] = (struct counted){ v->nid, ack.index };
}

static u64 set_acked(const struct judge *j, const struct order_voters *set)
{
	u64 acked[LIM_VOTERS];
	u32 n = 0;

	for (u32 i = 0; i < set->n; i++)
		for (u32 k = 0; k < j->n; k++)
			if (j->v[k].nid == set->nid[i])
				rank(acked, &n, j->v[k].index);
	return n && n >= set->n / 2 + 1 ? acked[set->n / 2] : 0;
}

static bool of_term(const struct judge *j, u64 index)
{
	struct proof_entry e;

	return index && j->l->entry(j->l->ctx, index, &e) && e.term == j->term;
}

/* order_commit.c's commit_reached(), over as many changes as the log has: each needs the set before it and the
 * one it makes, at an entry of the term. */
static u64 reached(const struct judge *j)
{
	const struct proof_log *l = j->l;
	u64 commit = l->commit;

	for (u32 i = 0; i < l->n_sets; i++) {
		u64 to = set_acked(j, &l->sets[i]);

		if (i + 1 < l->n_sets) {
			u64 change = l->sets[i + 1].index, both = MIN(to, set_acked(j, &l->sets[i + 1]));

			if (both >= change && of_term(j, both)) {
				commit = MAX(commit, change);
				continue;
			}
			to = MIN(to, change - 1);
		}
		return of_term(j, to) ? MAX(commit, to) : commit;
	}
	return commit;
}

int proof_check(const struct proof_log *l, const u8 *p, size_t n, u64 *ret)
{
	struct judge j = { .l = l };
	struct rbuf in;
	u32 last = 0;

	*ret = l->commit;
	rbuf_init(&in, p, n);
	u8 version = rbuf_u8(&in);

	j.term = rbuf_u64(&in);
	u32 count = rbuf_u32(&in);

	if (!rbuf_ok(&in))
		return -DSI_ETRUNC;
	if (version != PROOF_VERSION)
		return -DSI_EVERSION;
	if (count > PROOF_ACKS)
		return -DSI_ELIMIT;
	for (u32 i = 0; i < count; i++) {
		struct envelope v;
		size_t len;
		const u8 *raw = rbuf_blob(&in, PROOF_ACK_MAX, &len);
		int rc = raw ? envelope_parse(&v, raw, len) : -DSI_ETRUNC;

		if (rc)
			return rc;
		if (v.nid <= last)
			return -DSI_EPARSE;
		last = v.nid;
		ack_judge(&j, &v, raw, len);
	}
	int rc = rbuf_end(&in);

	if (!rc)
		*ret = reached(&j);
	return rc;
}
