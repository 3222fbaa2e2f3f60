/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seal: the group keys this process knows and the subkeys made from them. One ring of two keys: the
 * newest seals, it and one predecessor open. A subkey belongs to one start of one sender; its nonces
 * are {opening, priority, seq}, which a start never repeats, and a restored disk starts with another
 * random. No I/O. The caller owns the structs; seal_fini and subkey_fini wipe them.
 */
#ifndef DSI_GCS_SEAL_H
#define DSI_GCS_SEAL_H

#include "gcs/session.h"

enum { SEAL_KEYS = 2 };

struct seal_ring {
	struct {
		u32 gen; /* 0: empty; group keys count from 1 */
		u8 key[CRYPTO_KEY];
	} slot[SEAL_KEYS]; /* [0] newest */
};

/* What a subkey is bound to. */
struct seal_sender {
	u8 cluster[16];
	u32 nid;
	enum msg_role role;
	u64 incarnation;
	u8 random[32];
};

struct seal_subkey {
	u32 gen; /* 0: none derived */
	u8 key[CRYPTO_KEY];
};

void seal_key(struct seal_ring *r, u32 gen, const u8 key[CRYPTO_KEY]);
const u8 *seal_find(const struct seal_ring *r, u32 gen); /* NULL when unknown */
u32 seal_newest(const struct seal_ring *r);              /* 0 when none */
void seal_fini(struct seal_ring *r);

/* k holds the subkey of gen for the sender afterwards; derived only when it did not before.
 * 0, -DSI_ENOENT (group key unknown), -DSI_ECRYPTO. */
int subkey_get(struct seal_subkey *k, const struct seal_ring *r, u32 gen, const struct seal_sender *s) DSI_MUST_CHECK;
void subkey_fini(struct seal_subkey *k);

/* header: the envelope's first ENVELOPE_HEADER bytes, body_len already counting the tag. */
int seal_close(const struct seal_subkey *k, const struct envelope *v, const u8 *header, const u8 *in, size_t n,
	       u8 *ret /* n + CRYPTO_TAG */) DSI_MUST_CHECK;
int seal_open(const struct seal_subkey *k, const struct envelope *v, const u8 *header,
	      u8 *ret /* body_len - CRYPTO_TAG */) DSI_MUST_CHECK;

#endif
