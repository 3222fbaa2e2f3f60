/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/opkey.h"

#include <stdio.h>
#include <string.h>

#include "cli/args.h"

enum {
	OPKEY_VERSION = 1,
	SALT = 16,
	LOG2N = 15, LOG2N_MIN = 10, LOG2N_MAX = 18, /* 32 MB when made here; 256 MB at most when read */
	SCRYPT_R = 8, SCRYPT_P = 1,
	SEALED = CRYPTO_SEED + CRYPTO_TAG,
};

/* Where the secret part lies in a file. */
struct layout {
	bool sealed;
	u8 log2n, r, p;
	const u8 *salt, *nonce, *secret;
	size_t aad_len; /* bytes before the secret */
};

void opkey_wipe(struct opkey *k)
{
	crypto_wipe(k->seed, sizeof(k->seed));
}

int opkey_generate(struct opkey *k, enum opkey_kind kind, const char *name, struct err *e)
{
	int r;

	memset(k, 0, sizeof(*k));
	r = args_name("key name", name, e);
	if (r < 0)
		return r;
	k->kind = kind;
	snprintf(k->name, sizeof(k->name), "%s", name);
	if (crypto_random(k->seed, sizeof(k->seed)) < 0 || crypto_sign_pub(k->seed, k->pub) < 0)
		return err_set(e, -DSI_ECRYPTO, "cannot make a key");
	return 0;
}

static int encode_sealed(const struct opkey *k, const char *passphrase, struct wbuf *w)
{
	u8 salt[SALT], nonce[CRYPTO_NONCE], key[CRYPTO_KEY], sealed[SEALED];
	int r = -DSI_ECRYPTO;

	if (crypto_random(salt, sizeof(salt)) < 0 || crypto_random(nonce, sizeof(nonce)) < 0)
		return r;
	wbuf_u8(w, LOG2N);
	wbuf_u8(w, SCRYPT_R);
	wbuf_u8(w, SCRYPT_P);
	wbuf_u8(w, 0);
	wbuf_bytes(w, salt, sizeof(salt));
	wbuf_bytes(w, nonce, sizeof(nonce));
	if (!wbuf_ok(w))
		return -DSI_ENOMEM;
	r = kdf_scrypt(passphrase, salt, sizeof(salt), LOG2N, SCRYPT_R, SCRYPT_P, key);
	if (r == 0)
		r = crypto_seal(key, nonce, w->data, w->len, k->seed, sizeof(k->seed), sealed);
	crypto_wipe(key, sizeof(key));
	if (r == 0)
		wbuf_bytes(w, sealed, sizeof(sealed));
	return r;
}

int opkey_encode(const struct opkey *k, const char *passphrase, struct wbuf *w, struct err *e)
{
	u8 hash[CRYPTO_HASH];
	int r = 0;

	wbuf_bytes(w, "DSIO", 4);
	wbuf_u8(w, OPKEY_VERSION);
	wbuf_u8(w, (u8)k->kind);
	wbuf_u8(w, passphrase ? 1 : 0);
	wbuf_u8(w, 0);
	wbuf_str(w, k->name);
	wbuf_bytes(w, k->pub, sizeof(k->pub));
	if (passphrase)
		r = encode_sealed(k, passphrase, w);
	else
		wbuf_bytes(w, k->seed, sizeof(k->seed));
	if (r == 0 && wbuf_ok(w))
		r = crypto_sha256(w->data, w->len, hash);
	wbuf_bytes(w, hash, sizeof(hash));
	if (r < 0 || !wbuf_ok(w))
		return err_set(e, r < 0 ? r : -DSI_ENOMEM, "cannot write the key file");
	return 0;
}

static int parse(struct opkey *k, struct layout *l, const u8 *p, size_t n)
{
	struct rbuf b;
	u8 hash[CRYPTO_HASH];
	const u8 *s;
	u8 kind, protection, zero;
	u16 len;

	if (n < 4 || memcmp(p, "DSIO", 4))
		return -DSI_EPARSE;
	if (n < 8 + CRYPTO_HASH || n > OPKEY_MAX_FILE)
		return -DSI_ETRUNC;
	if (p[4] != OPKEY_VERSION)
		return -DSI_EVERSION;
	if (crypto_sha256(p, n - CRYPTO_HASH, hash) < 0)
		return -DSI_ECRYPTO;
	if (memcmp(hash, p + n - CRYPTO_HASH, CRYPTO_HASH))
		return -DSI_ETRUNC;
	rbuf_init(&b, p + 5, n - 5 - CRYPTO_HASH);
	kind = rbuf_u8(&b);
	protection = rbuf_u8(&b);
	zero = rbuf_u8(&b);
	len = rbuf_u16(&b);
	if ((kind != OPKEY_OPERATOR && kind != OPKEY_ROOT) || protection > 1 || zero || len >= LIM_NAME)
		return -DSI_EPARSE;
	k->kind = kind;
	k->sealed = l->sealed = protection == 1;
	s = rbuf_bytes(&b, len);
	if (s)
		memcpy(k->name, s, len);
	s = rbuf_bytes(&b, CRYPTO_PUB);
	if (s)
		memcpy(k->pub, s, CRYPTO_PUB);
	if (l->sealed) {
		l->log2n = rbuf_u8(&b);
		l->r = rbuf_u8(&b);
		l->p = rbuf_u8(&b);
		zero |= rbuf_u8(&b);
		l->salt = rbuf_bytes(&b, SALT);
		l->nonce = rbuf_bytes(&b, CRYPTO_NONCE);
	}
	l->aad_len = 5 + b.pos;
	l->secret = rbuf_bytes(&b, l->sealed ? SEALED : CRYPTO_SEED);
	if (rbuf_end(&b) < 0)
		return rbuf_end(&b);
	if (zero || strlen(k->name) != len || args_name("key name", k->name, NULL) < 0)
		return -DSI_EPARSE;
	if (l->sealed && (l->log2n < LOG2N_MIN || l->log2n > LOG2N_MAX || l->r != SCRYPT_R || l->p < 1 || l->p > 4))
		return -DSI_ELIMIT;
	return 0;
}

static int open_file(struct opkey *k, struct layout *l, const u8 *p, size_t n, struct err *e)
{
	int r;

	memset(k, 0, sizeof(*k));
	memset(l, 0, sizeof(*l));
	r = parse(k, l, p, n);
	if (r == 0)
		return 0;
	memset(k, 0, sizeof(*k));
	return err_set(e, r, "not a DSI key file, or damaged (%s)", err_text(r));
}

int opkey_decode(struct opkey *k, const u8 *p, size_t n, struct err *e)
{
	struct layout l;

	return open_file(k, &l, p, n, e);
}

static int unseal(struct opkey *k, const struct layout *l, const u8 *p, const char *passphrase)
{
	u8 key[CRYPTO_KEY];
	int r;

	if (!l->sealed) {
		memcpy(k->seed, l->secret, CRYPTO_SEED);
		return 0;
	}
	r = kdf_scrypt(passphrase, l->salt, SALT, l->log2n, l->r, l->p, key);
	if (r == 0)
		r = crypto_open(key, l->nonce, p, l->aad_len, l->secret, SEALED, k->seed);
	crypto_wipe(key, sizeof(key));
	return r;
}

int opkey_unseal(struct opkey *k, const u8 *p, size_t n, const char *passphrase, struct err *e)
{
	struct layout l;
	u8 pub[CRYPTO_PUB];
	int r = open_file(k, &l, p, n, e);

	if (r < 0)
		return r;
	if (l.sealed && !passphrase)
		return err_set(e, -DSI_EAUTH, "the key of \"%s\" is protected by a passphrase", k->name);
	r = unseal(k, &l, p, passphrase);
	if (r < 0) {
		opkey_wipe(k);
		return err_set(e, -DSI_EAUTH, "wrong passphrase for the key of \"%s\"", k->name);
	}
	if (crypto_sign_pub(k->seed, pub) < 0 || !crypto_equal(pub, k->pub, sizeof(pub))) {
		opkey_wipe(k);
		return err_set(e, -DSI_EPARSE, "the key file of \"%s\" holds another key than it says", k->name);
	}
	k->sealed = false;
	return 0;
}

int opkey_sign(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	const struct opkey *k = ctx;

	return crypto_sign(k->seed, purpose, p, n, ret);
}
