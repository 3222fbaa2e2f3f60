/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The primitives on OpenSSL's EVP. With the TLS and X.509 adapters, the only file that includes OpenSSL.
 *
 * Must never: leave a key on the stack or heap behind; offer a choice of algorithm; read configuration
 * files or environment (crypto_init() is called before a sandbox closes, then nothing more is loaded).
 * Invariant: nothing is signed without its purpose in front, and what is signed raw cannot be taken for
 * something that is not: TLS starts with 64 spaces, a certificate with a DER SEQUENCE, ours with "DSI1".
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/err.h"

static struct {
	EVP_MD *sha256;
	EVP_CIPHER *gcm;
	EVP_KDF *hkdf;
} alg;
static pthread_once_t alg_once = PTHREAD_ONCE_INIT;

static void alg_fetch(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
	alg.sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	alg.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	alg.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

static bool alg_ready(void)
{
	pthread_once(&alg_once, alg_fetch);
	return alg.sha256 && alg.gcm && alg.hkdf;
}

/* A refused signature is no event for whoever looks at OpenSSL's error queue next (TLS does). */
static int settle(int rc)
{
	if (rc)
		ERR_clear_error();
	return rc;
}

int crypto_init(void)
{
	u8 seed[CRYPTO_SEED] = { 1 }, pub[CRYPTO_PUB], out[CRYPTO_SIG];

	/* One of each, so that providers, error strings and random state are loaded before the sandbox. */
	if (!alg_ready() || crypto_random(out, sizeof(out)) || crypto_sign_pub(seed, pub) ||
	    crypto_sign(seed, SIGN_ENVELOPE, "", 0, out) || crypto_verify(pub, SIGN_ENVELOPE, "", 0, out) ||
	    crypto_kem_pub(seed, pub) || crypto_dh(seed, pub, out) || crypto_hkdf("", 0, out, 32, "", 0, out, 32))
		return -DSI_ECRYPTO;
	return 0;
}

int crypto_random(void *dst, size_t n)
{
	return n <= INT32_MAX && RAND_bytes(dst, (int)n) == 1 ? 0 : -DSI_ECRYPTO;
}

/* --- hashing -------------------------------------------------------------------------------------- */

int crypto_sha256(const void *p, size_t n, u8 ret[CRYPTO_HASH])
{
	if (!alg_ready() || EVP_Digest(p ? p : "", n, ret, NULL, alg.sha256, NULL) != 1)
		return -DSI_ECRYPTO;
	return 0;
}

struct crypto_sha256 {
	EVP_MD_CTX *md;
	bool failed;
};

struct crypto_sha256 *crypto_sha256_new(void)
{
	struct crypto_sha256 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->md = alg_ready() ? EVP_MD_CTX_new() : NULL;
	if (!h->md || EVP_DigestInit_ex(h->md, alg.sha256, NULL) != 1) {
		EVP_MD_CTX_free(h->md);
		free(h);
		return NULL;
	}
	return h;
}

void crypto_sha256_add(struct crypto_sha256 *h, const void *p, size_t n)
{
	if (n && EVP_DigestUpdate(h->md, p, n) != 1)
		h->failed = true;
}

int crypto_sha256_end(struct crypto_sha256 *h, u8 ret[CRYPTO_HASH])
{
	int rc = !h->failed && EVP_DigestFinal_ex(h->md, ret, NULL) == 1 ? 0 : -DSI_ECRYPTO;

	EVP_MD_CTX_free(h->md);
	free(h);
	return rc;
}

/* --- signatures ----------------------------------------------------------------------------------- */

static int raw_pub(int type, const u8 *seed, u8 *ret)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(type, NULL, seed, 32);
	size_t len = 32;
	int rc = key && EVP_PKEY_get_raw_public_key(key, ret, &len) == 1 && len == 32 ? 0 : -DSI_ECRYPTO;

	EVP_PKEY_free(key);
	return rc;
}

int crypto_sign_pub(const u8 seed[CRYPTO_SEED], u8 ret_pub[CRYPTO_PUB])
{
	return raw_pub(EVP_PKEY_ED25519, seed, ret_pub);
}

static bool raw_purpose_ok(enum sign_purpose purpose, const u8 *p, size_t n)
{
	static const char spaces[] = "                                                                ";

	_Static_assert(sizeof(spaces) == 64 + 1, "RFC 8446 4.4.3");
	if (purpose == SIGN_TLS)
		return n > 64 && !memcmp(p, spaces, 64);
	return n > 2 && p[0] == 0x30; /* CERT: DER SEQUENCE */
}

/* The bytes that are signed. Small messages, the rule, are built in `room`; *ret_heap is to be freed. */
enum { SIGN_HEAD = 4 + 1 + 4, SIGN_ROOM = 1024 };
static const u8 *signed_bytes(enum sign_purpose purpose, const u8 *p, size_t n, u8 room[SIGN_ROOM], u8 **ret_heap,
			      size_t *ret_len)
{
	u8 *b = room;

	*ret_heap = NULL;
	if (purpose <= 0 || purpose >= SIGN_PURPOSE_COUNT || n > UINT32_MAX)
		return NULL;
	if (purpose == SIGN_TLS || purpose == SIGN_CERT) {
		*ret_len = n;
		return raw_purpose_ok(purpose, p, n) ? p : NULL;
	}
	if (n > SIGN_ROOM - SIGN_HEAD)
		b = *ret_heap = malloc(SIGN_HEAD + n);
	if (!b)
		return NULL;
	memcpy(b, "DSI1", 4);
	b[4] = (u8)purpose;
	for (int i = 0; i < 4; i++)
		b[5 + i] = (u8)(n >> (8 * i));
	if (n)
		memcpy(b + SIGN_HEAD, p, n);
	*ret_len = SIGN_HEAD + n;
	return b;
}

int crypto_sign(const u8 seed[CRYPTO_SEED], enum sign_purpose purpose, const void *p, size_t n,
		u8 ret_sig[CRYPTO_SIG])
{
	u8 room[SIGN_ROOM], *heap;
	size_t len, sig_len = CRYPTO_SIG;
	const u8 *b = signed_bytes(purpose, p, n, room, &heap, &len);
	EVP_PKEY *key = b ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32) : NULL;
	EVP_MD_CTX *md = key ? EVP_MD_CTX_new() : NULL;
	int rc = -DSI_ECRYPTO;

	if (md && EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(md, ret_sig, &sig_len, b, len) == 1 && sig_len == CRYPTO_SIG)
		rc = 0;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	free(heap);
	return settle(rc);
}

/* The points of small order, y little-endian, sign bit clear, with the encodings of 0 and 1 that are not reduced.
 * Under such a "key" a signature can be made that holds for other messages too, by nobody's secret; OpenSSL takes
 * them. */
static bool small_order(const u8 pub[CRYPTO_PUB])
{
	static const u8 point[][CRYPTO_PUB] = {
		{ 0 },
		{ 1 },
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		  0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		  0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
	};
	u8 y[CRYPTO_PUB];

	memcpy(y, pub, sizeof(y));
	y[31] &= 0x7f;
	for (size_t i = 0; i < ARRAY_SIZE(point); i++)
		if (!memcmp(y, point[i], sizeof(y)))
			return true;
	/* p - 1, p, p + 1: 0xec..0xee, all ones between, 0x7f */
	for (size_t i = 1; i < 31; i++)
		if (y[i] != 0xff)
			return false;
	return y[31] == 0x7f && y[0] >= 0xec && y[0] <= 0xee;
}

int crypto_verify(const u8 pub[CRYPTO_PUB], enum sign_purpose purpose, const void *p, size_t n,
		  const u8 sig[CRYPTO_SIG])
{
	u8 room[SIGN_ROOM], *heap;
	size_t len;
	const u8 *b = signed_bytes(purpose, p, n, room, &heap, &len);
	EVP_PKEY *key = b && !small_order(pub) ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, 32) : NULL;
	EVP_MD_CTX *md = key ? EVP_MD_CTX_new() : NULL;
	int rc = -DSI_ESIG;

	if (md && EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(md, sig, CRYPTO_SIG, b, len) == 1)
		rc = 0;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	free(heap);
	return settle(rc);
}

/* --- key agreement and sealing -------------------------------------------------------------------- */

int crypto_kem_pub(const u8 seed[CRYPTO_SEED], u8 ret_pub[CRYPTO_PUB])
{
	return raw_pub(EVP_PKEY_X25519, seed, ret_pub);
}

int crypto_dh(const u8 seed[CRYPTO_SEED], const u8 peer[CRYPTO_PUB], u8 ret[CRYPTO_KEY])
{
	static const u8 zero[CRYPTO_KEY];
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, seed, 32);
	EVP_PKEY *other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer, 32);
	EVP_PKEY_CTX *c = own && other ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t len = CRYPTO_KEY;
	int rc = -DSI_ECRYPTO;

	if (c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, other) == 1 &&
	    EVP_PKEY_derive(c, ret, &len) == 1 && len == CRYPTO_KEY && CRYPTO_memcmp(ret, zero, len))
		rc = 0; /* a point of small order gives zero: refused */
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
	return settle(rc);
}

int crypto_hkdf(const void *salt, size_t salt_len, const void *ikm, size_t ikm_len, const void *info, size_t info_len,
		u8 *ret, size_t ret_len)
{
	char digest[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)ikm, ikm_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)(salt ? salt : ""), salt_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)(info ? info : ""), info_len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *c = alg_ready() ? EVP_KDF_CTX_new(alg.hkdf) : NULL;
	int rc = c && ret_len && EVP_KDF_derive(c, ret, ret_len, params) == 1 ? 0 : -DSI_ECRYPTO;

	EVP_KDF_CTX_free(c);
	return rc;
}

int crypto_seal(const u8 key[CRYPTO_KEY], const u8 nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
		const void *in, size_t n, u8 *ret)
{
	EVP_CIPHER_CTX *c = alg_ready() && n <= INT32_MAX && aad_len <= INT32_MAX ? EVP_CIPHER_CTX_new() : NULL;
	int len, rc = -DSI_ECRYPTO;

	if (c && EVP_EncryptInit_ex2(c, alg.gcm, key, nonce, NULL) == 1 &&
	    (!aad_len || EVP_EncryptUpdate(c, NULL, &len, aad, (int)aad_len) == 1) &&
	    (!n || EVP_EncryptUpdate(c, ret, &len, in, (int)n) == 1) && EVP_EncryptFinal_ex(c, ret + n, &len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG, ret + n) == 1)
		rc = 0;
	EVP_CIPHER_CTX_free(c);
	return rc;
}

int crypto_open(const u8 key[CRYPTO_KEY], const u8 nonce[CRYPTO_NONCE], const void *aad, size_t aad_len,
		const void *in, size_t n, u8 *ret)
{
	EVP_CIPHER_CTX *c;
	u8 tag[CRYPTO_TAG], last[16];
	int len, rc = -DSI_ESIG;

	if (n < CRYPTO_TAG || n > INT32_MAX || aad_len > INT32_MAX || !alg_ready())
		return -DSI_ESIG;
	n -= CRYPTO_TAG;
	memcpy(tag, (const u8 *)in + n, CRYPTO_TAG);
	c = EVP_CIPHER_CTX_new();
	if (c && EVP_DecryptInit_ex2(c, alg.gcm, key, nonce, NULL) == 1 &&
	    (!aad_len || EVP_DecryptUpdate(c, NULL, &len, aad, (int)aad_len) == 1) &&
	    (!n || EVP_DecryptUpdate(c, ret, &len, in, (int)n) == 1) &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG, tag) == 1 &&
	    EVP_DecryptFinal_ex(c, last, &len) == 1)
		rc = 0;
	EVP_CIPHER_CTX_free(c);
	if (rc && n)
		OPENSSL_cleanse(ret, n); /* nothing unauthenticated leaves */
	return settle(rc);
}

/* --- wrapping a key ------------------------------------------------------------------------------- */

/* The one-time key: HKDF(salt = both public halves, DH, "DSI1 wrap"); info is authenticated beside it. */
static int wrap_key(const u8 dh[CRYPTO_KEY], const u8 eph[CRYPTO_PUB], const u8 pub[CRYPTO_PUB], u8 ret[CRYPTO_KEY])
{
	u8 salt[2 * CRYPTO_PUB];

	memcpy(salt, eph, CRYPTO_PUB);
	memcpy(salt + CRYPTO_PUB, pub, CRYPTO_PUB);
	return crypto_hkdf(salt, sizeof(salt), dh, CRYPTO_KEY, "DSI1 wrap", 9, ret, CRYPTO_KEY);
}

static const u8 wrap_nonce[CRYPTO_NONCE]; /* zero: the key is used once */

int crypto_wrap(const u8 pub[CRYPTO_PUB], const void *info, size_t info_len, const u8 key[CRYPTO_KEY],
		u8 ret[CRYPTO_WRAP])
{
	u8 seed[CRYPTO_SEED], dh[CRYPTO_KEY], once[CRYPTO_KEY];
	int rc = -DSI_ECRYPTO;

	if (!crypto_random(seed, sizeof(seed)) && !crypto_kem_pub(seed, ret) && !crypto_dh(seed, pub, dh) &&
	    !wrap_key(dh, ret, pub, once))
		rc = crypto_seal(once, wrap_nonce, info, info_len, key, CRYPTO_KEY, ret + CRYPTO_PUB);
	OPENSSL_cleanse(seed, sizeof(seed));
	OPENSSL_cleanse(dh, sizeof(dh));
	OPENSSL_cleanse(once, sizeof(once));
	return rc;
}

int crypto_unwrap(const u8 seed[CRYPTO_SEED], const void *info, size_t info_len, const u8 wrap[CRYPTO_WRAP],
		  u8 ret_key[CRYPTO_KEY])
{
	u8 pub[CRYPTO_PUB], dh[CRYPTO_KEY], once[CRYPTO_KEY];
	int rc = -DSI_ECRYPTO;

	if (!crypto_kem_pub(seed, pub) && !crypto_dh(seed, wrap, dh) && !wrap_key(dh, wrap, pub, once))
		rc = crypto_open(once, wrap_nonce, info, info_len, wrap + CRYPTO_PUB, CRYPTO_KEY + CRYPTO_TAG, ret_key);
	OPENSSL_cleanse(dh, sizeof(dh));
	OPENSSL_cleanse(once, sizeof(once));
	return rc;
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
	return !CRYPTO_memcmp(a, b, n);
}

void crypto_wipe(void *p, size_t n)
{
	if (p)
		OPENSSL_cleanse(p, n);
}

/* --- text forms ----------------------------------------------------------------------------------- */

char *crypto_hex(const void *p, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const u8 *b = p;

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[b[i] >> 4];
		ret[2 * i + 1] = digits[b[i] & 15];
	}
	ret[2 * n] = 0;
	return ret;
}

static int unhex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int crypto_unhex(const char *s, void *ret, size_t n)
{
	u8 *b = ret;

	for (size_t i = 0; i < n; i++) {
		int hi = unhex(s[2 * i]), lo = hi < 0 ? -1 : unhex(s[2 * i + 1]);

		if (lo < 0)
			return -DSI_EPARSE;
		b[i] = (u8)(hi << 4 | lo);
	}
	return s[2 * n] ? -DSI_EPARSE : 0;
}

char *crypto_base64(const void *p, size_t n)
{
	char *s = n <= INT32_MAX / 2 ? malloc((n + 2) / 3 * 4 + 1) : NULL;

	if (s && EVP_EncodeBlock((unsigned char *)s, p, (int)n) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static int unbase64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict, unlike EVP_DecodeBlock: no white space, padding where it belongs, no stray bits. */
int crypto_unbase64(const char *s, size_t len, u8 **ret, size_t *ret_len)
{
	size_t pad = 0, n = 0;
	u8 *b;

	if (len % 4)
		return -DSI_EPARSE;
	while (pad < 2 && pad < len && s[len - 1 - pad] == '=')
		pad++;
	b = malloc(len / 4 * 3 + 1);
	if (!b)
		return -DSI_ENOMEM;
	for (size_t i = 0; i < len; i += 4) {
		size_t have = i + 4 == len ? 4 - pad : 4;
		u32 v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k < have ? unbase64(s[i + k]) : 0;

			if (d < 0)
				goto bad;
			v = v << 6 | (u32)d;
		}
		if ((have == 2 && v & 0xffff) || (have == 3 && v & 0xff))
			goto bad;
		for (size_t k = 0; k + 1 < have; k++)
			b[n++] = (u8)(v >> (16 - 8 * k));
	}
	*ret = b;
	*ret_len = n;
	return 0;
bad:
	free(b);
	return -DSI_EPARSE;
}
