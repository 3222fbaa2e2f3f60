/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The primitives DSI uses, and no others: SHA-256, Ed25519, X25519, HKDF-SHA-256, AES-256-GCM.
 * lib/crypto.c is (with the TLS and X.509 adapters) the only file that includes OpenSSL.
 *
 * Every signature is over  "DSI1" || u8 purpose || u32 len || bytes  so that no signature made for one
 * purpose can be shown for another. TLS handshake signatures (purpose SIGN_TLS) are raw, as the
 * protocol demands; they start with 64 spaces, which no other purpose does.
 */
#ifndef DSI_LIB_CRYPTO_H
#define DSI_LIB_CRYPTO_H

#include "lib/compiler.h"

enum {
	CRYPTO_HASH = 32, CRYPTO_SEED = 32, CRYPTO_PUB = 32, CRYPTO_SIG = 64,
	CRYPTO_KEY = 32, CRYPTO_NONCE = 12, CRYPTO_TAG = 16,
};

#define SIGN_PURPOSE_TABLE(X)                                                                          \
	X(ENVELOPE, 1)  /* a message on either leg */                                                 \
	X(ENTRY, 2)     /* a log entry, by its author */                                              \
	X(PROMISE, 3)   /* a voter's promise of a term */                                             \
	X(STATEMENT, 4) /* an operator's statement */                                                 \
	X(ROOT, 5)      /* cluster record, reform */                                                  \
	X(ENROL, 6)     /* newcomer's request: by the token key and by the new node key */            \
	X(TLS, 7)       /* TLS 1.3 CertificateVerify of the direct leg: raw */                        \
	X(STATE, 8)     /* digest of replicated state */                                              \
	X(CERT, 9)      /* X.509 to-be-signed bytes: raw */

enum sign_purpose {
#define X(name, n) SIGN_##name = n,
	SIGN_PURPOSE_TABLE(X)
#undef X
	SIGN_PURPOSE_COUNT
};

/* Load everything OpenSSL will need, before a sandbox closes. Optional otherwise. */
int crypto_init(void) DSI_MUST_CHECK;

/* All return 0 or -DSI_ECRYPTO / -DSI_ESIG; none fails for another reason. */
int crypto_random(void *dst, size_t n) DSI_MUST_CHECK;
int crypto_sha256(const void *p, size_t n, u8 ret[CRYPTO_HASH]);
struct crypto_sha256;
struct crypto_sha256 *crypto_sha256_new(void);
void crypto_sha256_add(struct crypto_sha256 *h, const void *p, size_t n);
int crypto_sha256_end(struct crypto_sha256 *h, u8 ret[CRYPTO_HASH]); /* frees h */

int crypto_sign_pub(const u8 seed[CRYPTO_SEED], u8 ret_pub[CRYPTO_PUB]);
int crypto_sign(const u8 seed[CRYPTO_SEED], enum sign_purpose purpose, const void *p, size_t n,
		u8 ret_sig[CRYPTO_SIG]) DSI_MUST_CHECK;
int crypto_verify(const u8 pub[CRYPTO_PUB], enum sign_purpose purpose, const void *p, size_t n,
		  const u8 sig[CRYPTO_SIG]) DSI_MUST_CHECK;

int crypto_kem_pub(const u8 seed[CRYPTO_SEED], u8 ret_pub[CRYPTO_PUB]);
int crypto_dh(const u8 seed[CRYPTO_SEED], const u8 peer[CRYPTO_PUB], u8 ret[CRYPTO_KEY]) DSI_MUST_CHECK;
int crypto_hkdf(const void *salt, size_t salt_len, const void *ikm, size_t ikm_len,
		const void *info, size_t info_len, u8 *ret, size_t ret_len) DSI_MUST_CHECK;
int crypto_seal(const u8 key[CRYPTO_KEY], const u8 nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
		const void *in, size_t n, u8 *ret /* n + CRYPTO_TAG */) DSI_MUST_CHECK;
int crypto_open(const u8 key[CRYPTO_KEY], const u8 nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
		const void *in, size_t n, u8 *ret /* n - CRYPTO_TAG */) DSI_MUST_CHECK;

/* A key wrapped to a KEM key (ephemeral X25519, HKDF, AES-256-GCM; info binds the context). */
enum { CRYPTO_WRAP = CRYPTO_PUB + CRYPTO_KEY + CRYPTO_TAG };
int crypto_wrap(const u8 pub[CRYPTO_PUB], const void *info, size_t info_len, const u8 key[CRYPTO_KEY],
		u8 ret[CRYPTO_WRAP]) DSI_MUST_CHECK;
int crypto_unwrap(const u8 seed[CRYPTO_SEED], const void *info, size_t info_len, const u8 wrap[CRYPTO_WRAP],
		  u8 ret_key[CRYPTO_KEY]) DSI_MUST_CHECK;

bool crypto_equal(const void *a, const void *b, size_t n); /* constant time */
void crypto_wipe(void *p, size_t n);

/* Text forms. hex: 2n+1 bytes. base64: standard alphabet, padded; decode returns the length or -DSI_EPARSE. */
char *crypto_hex(const void *p, size_t n, char *ret);
int crypto_unhex(const char *s, void *ret, size_t n) DSI_MUST_CHECK; /* exactly n bytes */
char *crypto_base64(const void *p, size_t n); /* malloc'ed; NULL on ENOMEM */
int crypto_unbase64(const char *s, size_t len, u8 **ret, size_t *ret_len) DSI_MUST_CHECK;

#endif
