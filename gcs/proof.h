/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commit proof: the acknowledgements of a majority, kept as the signed envelopes they travelled in, so that one
 * who was not there need not take a member's word for what is committed. Core: no I/O, no clock.
 *
 * What it proves, to a reader who holds the entries: an ACK {term, index, hash} of a voter says that its disk
 * has the log up to there. As in order_commit.c: the highest index that a majority of a voter set acknowledged in
 * one term is committed if the entry there is of that term, and all before with it; a change of the set needs
 * the set before it and the one it makes. The sets are those of the *reader's* log, the hashes too: an ACK about
 * an entry that it does not have counts for nothing, nor does one of a voter whose verdict stands at or
 * before the acknowledged index. Ring, view and sequence of an envelope do not matter: what it says about a disk
 * in a term stays true as long as voters refuse what is below their promise (doc/order.md, 9).
 *
 * Bytes: u8 version (1) | u64 term | u32 n | n times a blob: an ACK envelope; senders ascending, each once.
 */
#ifndef DSI_GCS_PROOF_H
#define DSI_GCS_PROOF_H

#include "gcs/order.h"
#include "gcs/session.h"
#include "lib/err.h"

enum {
	PROOF_VERSION = 1,
	PROOF_ACKS = 32,       /* voters of two sets, and some who voted just before */
	PROOF_ACK_MAX = 512,   /* bytes of one ACK envelope */
	PROOF_MAX = 1 + 8 + 4 + PROOF_ACKS * (4 + PROOF_ACK_MAX),
};
_Static_assert(PROOF_ACKS > LIM_VOTERS + 1, "a proof holds the voters of a change");

/* --- collecting ------------------------------------------------------------------------------------------ */

/* The newest ACK of each voter. Who fills it has verified them (session). */
struct proof_book {
	u32 n;
	struct proof_note { u32 nid; u64 term, index; size_t len; u8 raw[PROOF_ACK_MAX]; } note[PROOF_ACKS];
};
/* An older one of the same voter, or one too long, is not noted; full: the oldest goes. */
void proof_note(struct proof_book *b, u32 nid, const struct body_ack *ack, const u8 *raw, size_t n);
/* Highest index that a majority of this set acknowledged in term, as far as noted; 0 none. */
u64 proof_noted(const struct proof_book *b, u64 term, const struct order_voters *set);
int proof_encode(const struct proof_book *b, u64 term, struct wbuf *w) DSI_MUST_CHECK; /* all noted of term */

/* --- reading --------------------------------------------------------------------------------------------- */

struct proof_entry {
	u64 term;
	u32 generation;
	u8 hash[CRYPTO_HASH];
};

struct proof_log { /* the reader's own log, and what it implies */
	void *ctx;
	u8 cluster[16];
	u64 commit;                       /* what it knows committed */
	const struct order_voters *sets;  /* sets[0] in force at commit, then each later one of the log, ascending */
	u32 n_sets;
	bool (*entry)(void *ctx, u64 index, struct proof_entry *ret); /* false: not in the log */
	/* The key a manager must have signed with; false: unknown. *ret_dead: index of the verdict on it; 0 none. */
	bool (*voter)(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB], u64 *ret_dead);
};

/* *ret: how far the log is committed by this proof, never below l->commit. 0; -DSI_EPARSE, -DSI_ETRUNC, -DSI_ETRAIL,
 * -DSI_ELIMIT, -DSI_EVERSION when the bytes are no proof. ACKs that do not count are no error: *ret tells. */
int proof_check(const struct proof_log *l, const u8 *p, size_t n, u64 *ret) DSI_MUST_CHECK;

#endif
