/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshot: the state at one entry, with the word of voters that it is theirs, for who would else replay all that led to
 * it. Core: no I/O, no clock.
 *
 * Every manager tells DIGEST {index, entry, format, digest} at the same places of the log (gcs/agree.h). Kept as the
 * signed envelopes they travelled in, they say to one who was not there: the state after this entry hashes to this. The
 * reader believes it if a majority of ITS OWN voters say so, and never fewer than two: not those that the snapshot
 * names, or one member could name itself (doc/order.md, 9). Then the image is authentic by its SHA-256, whoever gave it.
 *
 * DIRECT_SNAPSHOT asks:  u8 version (1) | u8 kind | OFFER: nothing; PART: digest, u64 offset; AT: u64 index
 * and is answered
 *   OFFER  u8 version | u64 index | entry as a blob | u32 format | digest | u64 size of the image | u32 n, n DIGEST
 *          envelopes as blobs, senders ascending, each once
 *   PART   u64 size | bytes from the offset
 *   AT     u8 version | u64 commit | u8 knows (1 the entry at index, 2 the state there too) | hash | digest
 */
#ifndef DSI_GCS_SNAPSHOT_H
#define DSI_GCS_SNAPSHOT_H

#include "gcs/agree.h"
#include "gcs/session.h"
#include "lib/err.h"

enum {
	SNAPSHOT_VERSION = 1,
	SNAPSHOT_LEAST = 2,      /* voters that must agree, however small the set: one alone could say anything */
	SNAPSHOT_WORDS = 32,     /* in an offer */
	SNAPSHOT_WORD_MAX = 512, /* bytes of one DIGEST envelope */
	SNAPSHOT_PLACES = 4,     /* kept of each voter: its newest */
	SNAPSHOT_KNOWS_ENTRY = 1, SNAPSHOT_KNOWS_STATE = 2,
};
_Static_assert((int)SNAPSHOT_WORDS >= (int)AGREE_VOTERS, "an offer holds the voters of a change");

enum snapshot_kind { SNAPSHOT_OFFER = 1, SNAPSHOT_PART, SNAPSHOT_AT };

/* --- collecting ------------------------------------------------------------------------------------------ */

struct snapshot_word {
	struct body_digest said; /* index 0: none */
	size_t len;
	u8 raw[SNAPSHOT_WORD_MAX];
};
struct snapshot_book { /* each voter has room of its own */
	struct { u32 nid; struct snapshot_word word[SNAPSHOT_PLACES]; } voter[AGREE_VOTERS];
};
/* Who calls has verified it (session), and knows the sender for a voter. A second word about one place is not noted. */
void snapshot_note(struct snapshot_book *b, u32 nid, const struct body_digest *m, const u8 *raw, size_t n);

/* --- what travels ---------------------------------------------------------------------------------------- */

struct snapshot_ask {
	enum snapshot_kind kind;
	u8 digest[CRYPTO_HASH];
	u64 offset, index;
};
struct snapshot_offer {
	u64 index;
	struct blob entry;
	u32 format;
	u8 digest[CRYPTO_HASH];
	u64 size;
	u32 n_word;
	struct blob word[SNAPSHOT_WORDS];
};
struct snapshot_at {
	u64 commit;
	u8 knows; /* SNAPSHOT_KNOWS_ bits; what it does not know is zero */
	u8 hash[CRYPTO_HASH], digest[CRYPTO_HASH];
};
enum { SNAPSHOT_ASK_MAX = 2 + CRYPTO_HASH + 8 };

/* Decoders are strict: what they take encodes to the same bytes. They point into p; *ret is zero on failure. */
int snapshot_ask_encode(const struct snapshot_ask *a, struct wbuf *w) DSI_MUST_CHECK;
int snapshot_ask_decode(struct snapshot_ask *ret, const u8 *p, size_t n) DSI_MUST_CHECK;
int snapshot_offer_encode(const struct snapshot_offer *o, struct wbuf *w) DSI_MUST_CHECK;
int snapshot_offer_decode(struct snapshot_offer *ret, const u8 *p, size_t n) DSI_MUST_CHECK;
int snapshot_at_encode(const struct snapshot_at *a, struct wbuf *w) DSI_MUST_CHECK;
int snapshot_at_decode(struct snapshot_at *ret, const u8 *p, size_t n) DSI_MUST_CHECK;

/* Fills o->word with all of the book that say what o does; they point into b. How many of them are of this set: a reader
 * who is behind may have another. */
u32 snapshot_words(const struct snapshot_book *b, const struct order_voters *set, const u8 entry[CRYPTO_HASH],
		   struct snapshot_offer *o);
u32 snapshot_needs(const struct order_voters *set); /* voters that must agree */

/* --- reading --------------------------------------------------------------------------------------------- */

struct snapshot_reader {
	void *ctx;
	u8 cluster[16];
	u32 generation, format;         /* its own */
	const struct order_voters *set; /* its own, as applied */
	/* The key a manager must have signed with; false: unknown, or not to be believed (a verdict is on it). */
	bool (*voter)(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB]);
};
/* May the image with o's digest be taken for the state at o->index? 0, and *ret_entry, pointing into o: the entry
 * there. -DSI_EVERSION another format; -DSI_EPARSE no entry of that place that a server wrote; -DSI_ECLUSTER; -DSI_ESTALE
 * another generation; -DSI_ELIMIT the image is too large; -DSI_EQUORUM too few of the reader's voters say so. */
int snapshot_check(const struct snapshot_reader *r, const struct snapshot_offer *o, struct entry *ret_entry) DSI_MUST_CHECK;

#endif
