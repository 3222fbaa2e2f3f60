/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests told, compared.
 *
 * Must never: let fewer than a majority of the voters call anybody odd, or a voter count twice.
 */
#include "gcs/agree.h"

#include <string.h>

static const struct agree_word *said_at(const struct agree_said *s, u64 index)
{
	for (u32 i = 0; i < AGREE_PLACES; i++)
		if (s->word[i].index == index)
			return &s->word[i];
	return NULL;
}

static void said(struct agree_said *s, u64 index, const u8 digest[CRYPTO_HASH])
{
	struct agree_word *oldest = &s->word[0];

	if (!index || said_at(s, index))
		return;
	for (u32 i = 1; i < AGREE_PLACES; i++)
		if (s->word[i].index < oldest->index)
			oldest = &s->word[i];
	if (oldest->index > index)
		return;
	oldest->index = index;
	memcpy(oldest->digest, digest, CRYPTO_HASH);
}

static u64 newest(const struct agree_said *s)
{
	u64 ret = 0;

	for (u32 i = 0; i < AGREE_PLACES; i++)
		ret = MAX(ret, s->word[i].index);
	return ret;
}

/* Full: whoever has been silent longest was a voter once. */
static struct agree_said *voter_at(struct agree *a, u32 nid)
{
	struct agree_said *ret = &a->voter[0];

	for (u32 i = 0; i < AGREE_VOTERS; i++) {
		if (a->voter[i].nid == nid)
			return &a->voter[i];
		if (newest(&a->voter[i]) < newest(ret))
			ret = &a->voter[i];
	}
	memset(ret, 0, sizeof(*ret));
	ret->nid = nid;
	return ret;
}

void agree_own(struct agree *a, u64 index, const u8 digest[CRYPTO_HASH])
{
	said(&a->own, index, digest);
}

void agree_told(struct agree *a, u32 nid, u64 index, const u8 digest[CRYPTO_HASH])
{
	if (nid)
		said(voter_at(a, nid), index, digest);
}

static const struct agree_word *told_by(const struct agree *a, u32 nid, u64 index)
{
	for (u32 i = 0; i < AGREE_VOTERS; i++)
		if (a->voter[i].nid == nid)
			return said_at(&a->voter[i], index);
	return NULL;
}

static enum agree_verdict judge(const struct agree *a, const struct agree_word *own, const struct order_voters *set,
				u8 ret_digest[CRYPTO_HASH])
{
	u32 told = 0, most = 0, majority = set->n / 2 + 1;

	for (u32 i = 0; i < set->n; i++) {
		const struct agree_word *w = told_by(a, set->nid[i], own->index), *other;
		u32 same = 0;

		told += !!w;
		for (u32 k = 0; w && k < set->n; k++) {
			other = told_by(a, set->nid[k], own->index);
			same += other && !memcmp(other->digest, w->digest, CRYPTO_HASH);
		}
		if (same > most) {
			most = same;
			memcpy(ret_digest, w->digest, CRYPTO_HASH);
		}
	}
	if (most >= majority)
		return memcmp(ret_digest, own->digest, CRYPTO_HASH) ? AGREE_ODD : AGREE_SAME;
	return most + (set->n - told) < majority ? AGREE_NONE : AGREE_OPEN;
}

enum agree_verdict agree_judge(struct agree *a, const struct order_voters *set, u64 *ret_index,
			       u8 ret_digest[CRYPTO_HASH])
{
	enum agree_verdict best = AGREE_OPEN;

	*ret_index = 0;
	for (u32 i = 0; i < AGREE_PLACES && set->n; i++) {
		const struct agree_word *own = &a->own.word[i];
		u8 digest[CRYPTO_HASH] = { 0 };
		enum agree_verdict v;

		if (own->index <= a->judged || own->index < *ret_index)
			continue;
		v = judge(a, own, set, digest);
		if (v == AGREE_OPEN)
			continue;
		best = v;
		*ret_index = own->index;
		memcpy(ret_digest, digest, CRYPTO_HASH);
	}
	a->judged = MAX(a->judged, *ret_index);
	return best;
}
