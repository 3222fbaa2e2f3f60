/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operator and root key files: what gives authority over the cluster. Only dsi-admin reads them.
 *
 *	"DSIO" u8 version(1) u8 kind u8 protection u8 zero | str name | key pub |
 *	protection 0: seed32
 *	protection 1: u8 log2(N) u8 r u8 p u8 zero | salt16 | nonce12 | AES-256-GCM(seed32) under
 *	              scrypt(passphrase, salt, N, r, p), all bytes before as associated data
 *	| SHA-256 of all before
 *
 * The public half is in clear, so that who it is can be shown without the passphrase. A key that does not
 * match it is refused. Everything is bounded before it is used, also N: a hostile file costs 256 MB at most.
 */
#ifndef DSI_CLI_OPKEY_H
#define DSI_CLI_OPKEY_H

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/err.h"
#include "lib/limits.h"

enum opkey_kind { OPKEY_OPERATOR = 1, OPKEY_ROOT = 2 };
enum { OPKEY_MAX_FILE = 512 };

struct opkey {
	enum opkey_kind kind;
	char name[LIM_NAME];
	u8 pub[CRYPTO_PUB];
	bool sealed;              /* needs a passphrase */
	u8 seed[CRYPTO_SEED];     /* wiped by opkey_wipe(); zero while sealed */
};

/* Fresh key in memory. */
int opkey_generate(struct opkey *k, enum opkey_kind kind, const char *name, struct err *e);
/* File bytes; passphrase NULL: unprotected. */
int opkey_encode(const struct opkey *k, const char *passphrase, struct wbuf *w, struct err *e);
/* Everything but the secret: k->sealed says whether opkey_unseal needs a passphrase (else NULL). */
int opkey_decode(struct opkey *k, const u8 *p, size_t n, struct err *e);
int opkey_unseal(struct opkey *k, const u8 *p, size_t n, const char *passphrase, struct err *e);
/* A statement_sign_fn; ctx is a struct opkey. The seam for keys that stay in a token (PKCS#11). */
int opkey_sign(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG]);
void opkey_wipe(struct opkey *k);

/* scrypt, in kdf_openssl.c. */
int kdf_scrypt(const char *passphrase, const u8 *salt, size_t salt_len, u32 log2n, u32 r, u32 p,
	       u8 ret[CRYPTO_KEY]) DSI_MUST_CHECK;

#endif
