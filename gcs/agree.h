/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Do the members hold the same state? Each manager tells the digest of its state at the same places of the log (each
 * TERM, and every LIM_DIGEST_EVERY entries); this compares ours with what a majority of voters told. Core.
 *
 * One that differs from a majority is the odd one out. No majority possible any more: nobody knows who is right.
 * Only digests of our own format (state_save()'s) are to be compared: two versions may write one state in two ways.
 */
#ifndef DSI_GCS_AGREE_H
#define DSI_GCS_AGREE_H

#include "gcs/order.h"

enum { AGREE_PLACES = 8, AGREE_VOTERS = 2 * LIM_VOTERS };

enum agree_verdict { AGREE_OPEN = 0, AGREE_SAME, AGREE_ODD, AGREE_NONE };

struct agree_word {
	u64 index; /* 0: none */
	u8 digest[CRYPTO_HASH];
};
struct agree_said { /* each has room of its own: nobody pushes out what another said */
	u32 nid; /* 0: free */
	struct agree_word word[AGREE_PLACES];
};
struct agree {
	u64 judged; /* places up to here have had their verdict */
	struct agree_said own, voter[AGREE_VOTERS];
};

void agree_own(struct agree *a, u64 index, const u8 digest[CRYPTO_HASH]);
/* Of a voter: who calls knows that it is one now; agree_judge() counts those of its set. A second word of one voter
 * about one place does not replace its first. */
void agree_told(struct agree *a, u32 nid, u64 index, const u8 digest[CRYPTO_HASH]);
/* The newest place of ours that has a verdict not given yet; AGREE_OPEN: none. ret_digest: what the majority has
 * (SAME, ODD). Each place gets one verdict, an older one than the last none. */
enum agree_verdict agree_judge(struct agree *a, const struct order_voters *set, u64 *ret_index,
			       u8 ret_digest[CRYPTO_HASH]);

#endif
