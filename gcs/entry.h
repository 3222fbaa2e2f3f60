/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log entry: everything that is state is one. Core: no I/O.
 *
 * Canonical bytes, little-endian, in this order:
 *   "DSIE" u8 version(1) u8 author_role u16 type | id16 cluster | u32 generation | u64 term | u64 index |
 *   hash prev | u32 author_nid | u64 wall_ms | u32 body_len | body | sig author
 * hash = SHA-256 of all bytes before the signature; the signature (purpose ENTRY) is over the hash. A REFORM has no
 * author: its signature is the root's over the statement it carries, its fields follow from that (gcs/genesis.h).
 * The body is a tpl image of the schema of the type (or, for those an operator authorises, that of
 * gcs/statement.h plus what the server adds).
 */
#ifndef DSI_GCS_ENTRY_H
#define DSI_GCS_ENTRY_H

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/knows.h"
#include "lib/limits.h"

/* X(NAME, number, level): a member of a lower level refuses it and stops following (lib/knows.h) */
#define ENTRY_TABLE(X)                                                                                 \
	X(GENESIS, 1, 1)         /* root-signed cluster record: index 1 of a generation */             \
	X(TERM, 2, 1)            /* a server takes a term: promises of a majority, fresh group key wraps */ \
	X(NOP, 3, 1)                                                                                   \
	X(TOKEN, 4, 1)           /* a join token's public half */                                      \
	X(ENROL, 5, 1)           /* node bound: NID, keys, addresses */                                \
	X(VOTER_ADD, 6, 1)                                                                             \
	X(VOTER_REMOVE, 7, 1)                                                                          \
	X(POLICY, 8, 1)          /* its image may need more */                                         \
	X(VERDICT, 9, 1)                                                                               \
	X(WITHDRAW, 10, 1)       /* a suspension ends without becoming final */                        \
	X(READMIT, 11, 1)                                                                              \
	X(REMOVE, 12, 1)         /* planned leave */                                                   \
	X(DEPOSE, 13, 1)                                                                               \
	X(GROUPKEY, 14, 1)                                                                             \
	X(SIDBLOCK, 15, 1)                                                                             \
	X(REFORM, 16, 1)         /* root-signed new generation */                                      \
	X(CONFIRM, 17, 1)        /* a policy pushed with --confirm-within stays */

enum entry_type {
#define X(name, n, level) ENTRY_##name = n,
	ENTRY_TABLE(X)
#undef X
	ENTRY_TYPE_MAX
};

struct entry {
	u16 type;
	u8 author_role; /* enum msg_role */
	u32 author_nid;
	u8 cluster[16];
	u32 generation;
	u64 term, index, wall_ms;
	u8 prev[CRYPTO_HASH];
	const u8 *body; /* points into the decoded bytes */
	size_t body_len;
	/* set by entry_decode and entry_seal */
	u8 hash[CRYPTO_HASH];
	u8 sig[CRYPTO_SIG];
};

enum { ENTRY_OVERHEAD = 4 + 1 + 1 + 2 + 16 + 4 + 8 + 8 + 32 + 4 + 8 + 4 + 64,
       ENTRY_MAX = LIM_ENTRY_BODY + ENTRY_OVERHEAD };

const char *entry_type_name(u16 type);
u32 entry_type_level(u16 type); /* KNOWS_NOBODY for a type that is not in the table */
/* Canonical bytes without the signature into w; sets e->hash. The caller signs e->hash and appends 64 bytes. */
int entry_encode(struct entry *e, struct wbuf *w) DSI_MUST_CHECK;
/* Strict; does not verify the signature. e points into p. */
int entry_decode(struct entry *e, const u8 *p, size_t n) DSI_MUST_CHECK;

#endif
