/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 on OpenSSL 3.0, with a private key that OpenSSL never sees: a provider of our own, built in,
 * in a library context of our own, holds the public half and passes signing to tls_key.sign. Must never
 * export anything private (it has nothing), and never accept a peer without a proved Ed25519 key.
 *
 * libcrypto asks the default provider to sign first; that needs our key exported, our export refuses,
 * and libcrypto then takes the SIGNATURE of the key's own provider (facts: peers-pki.md B1).
 */
#include "gcs/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "lib/buf.h"

struct tls {
	OSSL_LIB_CTX *lib;
	OSSL_PROVIDER *standard, *own;
	SSL_CTX *ssl;
	struct tls_key key;
};

struct tls_conn {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	enum tls_state state;
	u8 peer[CRYPTO_PUB];
	bool peer_known;
	char why[96];
};

/* --- provider: key management ---------------------------------------------------------------------
 * A key is the public half and a pointer to the signer; both travel as parameters of our own names. */

#define PARAM_SIGNER "dsi-signer"

struct remote_key {
	u8 pub[CRYPTO_PUB];
	bool have_pub;
	const struct tls_key *signer; /* NULL: a public key only */
};

static void *key_new(void *prov)
{
	(void)prov;
	return calloc(1, sizeof(struct remote_key));
}

static void key_free(void *k)
{
	free(k);
}

static int key_has(const void *k, int selection)
{
	const struct remote_key *x = k;

	if (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY && !x->have_pub)
		return 0;
	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY && !x->signer)
		return 0;
	return 1;
}

static int key_match(const void *a, const void *b, int selection)
{
	const struct remote_key *x = a, *y = b;

	(void)selection;
	return x->have_pub && y->have_pub && crypto_equal(x->pub, y->pub, sizeof(x->pub));
}

static int key_import(void *k, int selection, const OSSL_PARAM params[])
{
	struct remote_key *x = k;
	const OSSL_PARAM *pub = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	const OSSL_PARAM *signer = OSSL_PARAM_locate_const(params, PARAM_SIGNER);

	(void)selection;
	if (!pub || pub->data_type != OSSL_PARAM_OCTET_STRING || pub->data_size != sizeof(x->pub))
		return 0;
	memcpy(x->pub, pub->data, sizeof(x->pub));
	x->have_pub = true;
	if (signer && signer->data_size == sizeof(x->signer))
		memcpy(&x->signer, signer->data, sizeof(x->signer));
	return 1;
}

static int key_export(void *k, int selection, OSSL_CALLBACK *fn, void *arg)
{
	struct remote_key *x = k;
	OSSL_PARAM params[2];

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY || !x->have_pub)
		return 0;
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, x->pub, sizeof(x->pub));
	params[1] = OSSL_PARAM_construct_end();
	return fn(params, arg);
}

static const OSSL_PARAM *key_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_DEFN(OSSL_PKEY_PARAM_PUB_KEY, OSSL_PARAM_OCTET_STRING, NULL, 0),
		OSSL_PARAM_DEFN(PARAM_SIGNER, OSSL_PARAM_OCTET_STRING, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)selection;
	return types;
}

static int key_get_params(void *k, OSSL_PARAM params[])
{
	static const struct {
		const char *name;
		int value;
	} numbers[] = {
		{ OSSL_PKEY_PARAM_BITS, 256 },
		{ OSSL_PKEY_PARAM_SECURITY_BITS, 128 },
		{ OSSL_PKEY_PARAM_MAX_SIZE, CRYPTO_SIG },
	};
	const struct remote_key *x = k;
	OSSL_PARAM *p;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		p = OSSL_PARAM_locate(params, numbers[i].name);
		if (p && !OSSL_PARAM_set_int(p, numbers[i].value))
			return 0;
	}
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MANDATORY_DIGEST);
	if (p && !OSSL_PARAM_set_utf8_string(p, ""))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);
	return !p || OSSL_PARAM_set_octet_string(p, x->pub, sizeof(x->pub));
}

static const OSSL_PARAM *key_gettable(void *prov)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)prov;
	return types;
}

static const OSSL_DISPATCH key_functions[] = {
	{ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new },
	{ OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free },
	{ OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has },
	{ OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))key_match },
	{ OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))key_import },
	{ OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))key_types },
	{ OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))key_export },
	{ OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))key_types },
	{ OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))key_get_params },
	{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))key_gettable },
	{ 0, NULL },
};

/* --- provider: signature ------------------------------------------------------------------------- */

struct remote_sign {
	const struct remote_key *key;
};

static void *sign_new(void *prov, const char *propq)
{
	(void)prov, (void)propq;
	return calloc(1, sizeof(struct remote_sign));
}

static void sign_free(void *ctx)
{
	free(ctx);
}

static int sign_init(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct remote_sign *s = ctx;

	(void)params;
	if (digest && *digest)
		return 0;
	s->key = key;
	return s->key && s->key->signer;
}

static int sign_once(void *ctx, unsigned char *sig, size_t *sig_len, size_t cap, const unsigned char *p, size_t n)
{
	struct remote_sign *s = ctx;
	u8 made[CRYPTO_SIG];

	*sig_len = CRYPTO_SIG;
	if (!sig)
		return 1;
	if (cap < CRYPTO_SIG || s->key->signer->sign(s->key->signer->ctx, SIGN_TLS, p, n, made) != 0)
		return 0;
	memcpy(sig, made, sizeof(made));
	return 1;
}

static const OSSL_DISPATCH sign_functions[] = {
	{ OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))sign_new },
	{ OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))sign_free },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))sign_init },
	{ OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))sign_once },
	{ 0, NULL },
};

static const OSSL_ALGORITHM *provider_query(void *prov, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = { { "ED25519:1.3.101.112", "provider=dsi", key_functions, NULL },
					       { NULL, NULL, NULL, NULL } };
	static const OSSL_ALGORITHM signs[] = { { "ED25519:1.3.101.112", "provider=dsi", sign_functions, NULL },
						{ NULL, NULL, NULL, NULL } };

	(void)prov;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return keys;
	case OSSL_OP_SIGNATURE:
		return signs;
	default:
		return NULL;
	}
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ctx)
{
	static const OSSL_DISPATCH functions[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query },
		{ 0, NULL },
	};

	(void)in;
	*out = functions;
	*ctx = (void *)(uintptr_t)handle;
	return 1;
}

/* --- the certificate ------------------------------------------------------------------------------
 * Fixed but for the key: X.509 v3, serial 1, issuer = subject = CN "dsi", valid for ever. */

static const u8 cert_head[] = {
	0xa0, 0x03, 0x02, 0x01, 0x02,                               /* version 3 */
	0x02, 0x01, 0x01,                                           /* serial */
	0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,                   /* Ed25519 */
	0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, /* issuer: CN = */
	0x03, 0x0c, 0x03, 'd', 's', 'i',
	0x30, 0x20, 0x17, 0x0d, '0', '0', '0', '1', '0', '1',       /* 2000-01-01 to 9999-12-31 */
	'0', '0', '0', '0', '0', '0', 'Z',
	0x18, 0x0f, '9', '9', '9', '9', '1', '2', '3', '1',
	'2', '3', '5', '9', '5', '9', 'Z',
	0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x04, /* subject: CN = */
	0x03, 0x0c, 0x03, 'd', 's', 'i',
	0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, /* SubjectPublicKeyInfo */
};
static const u8 cert_tail[] = {
	0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, /* Ed25519 */
	0x03, 0x41, 0x00,                         /* signature */
};
enum { TBS_INNER = sizeof(cert_head) + CRYPTO_PUB, TBS = TBS_INNER + 2,
       CERT_INNER = TBS + sizeof(cert_tail) + CRYPTO_SIG, CERT = CERT_INNER + 3 };
_Static_assert(TBS_INNER < 128 && CERT_INNER > 127 && CERT_INNER < 256, "DER: shortest form of the lengths");

static int cert_make(const struct tls_key *key, u8 ret[CERT])
{
	u8 sig[CRYPTO_SIG];
	struct wbuf w;
	int rc;

	wbuf_fixed(&w, ret, CERT);
	wbuf_u8(&w, 0x30);
	wbuf_u8(&w, 0x81);
	wbuf_u8(&w, CERT_INNER);
	wbuf_u8(&w, 0x30);
	wbuf_u8(&w, TBS_INNER);
	wbuf_bytes(&w, cert_head, sizeof(cert_head));
	wbuf_bytes(&w, key->pub, CRYPTO_PUB);
	rc = key->sign(key->ctx, SIGN_CERT, ret + 3, TBS, sig);
	if (rc != 0)
		return rc;
	wbuf_bytes(&w, cert_tail, sizeof(cert_tail));
	wbuf_bytes(&w, sig, sizeof(sig));
	assert(wbuf_ok(&w) && w.len == CERT);
	return 0;
}

/* --- context ------------------------------------------------------------------------------------- */

static EVP_PKEY *remote_pkey(struct tls *t)
{
	const struct tls_key *signer = &t->key;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, t->key.pub, CRYPTO_PUB),
		OSSL_PARAM_construct_octet_string(PARAM_SIGNER, (void *)&signer, sizeof(signer)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(t->lib, "ED25519", "provider=dsi");
	EVP_PKEY *key = NULL;

	if (ctx && EVP_PKEY_fromdata_init(ctx) > 0)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* The chain is not looked at; the key is. Chain or no chain, the handshake proves the leaf's key. */
static int on_peer(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_conn *c = ssl ? SSL_get_app_data(ssl) : NULL;
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
	size_t n = CRYPTO_PUB;

	(void)arg;
	if (!c || !key || !EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_get_raw_public_key(key, c->peer, &n) != 1 ||
	    n != CRYPTO_PUB) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	c->peer_known = true;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static bool ssl_rules(SSL_CTX *s)
{
	SSL_CTX_set_options(s, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(s, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(s, on_peer, NULL);
	SSL_CTX_set_max_cert_list(s, 4096);
	SSL_CTX_set_mode(s, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
	return SSL_CTX_set_min_proto_version(s, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(s, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(s, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
	       SSL_CTX_set1_groups_list(s, "X25519") == 1 && SSL_CTX_set1_sigalgs_list(s, "ed25519") == 1 &&
	       SSL_CTX_set_num_tickets(s, 0) == 1 && SSL_CTX_set_max_early_data(s, 0) == 1;
}

static bool ssl_identity(struct tls *t, SSL_CTX *s)
{
	u8 der[CERT];
	const unsigned char *p = der;
	X509 *cert = X509_new_ex(t->lib, NULL);
	EVP_PKEY *key = remote_pkey(t);
	bool ok = cert && key && cert_make(&t->key, der) == 0 && d2i_X509(&cert, &p, CERT) != NULL &&
		  SSL_CTX_use_certificate(s, cert) == 1 && SSL_CTX_use_PrivateKey(s, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	return ok;
}

static int fail(struct err *e, struct tls *t, const char *doing)
{
	char text[128] = "";
	unsigned long code = ERR_peek_error();

	if (code)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	tls_free(t);
	return err_set(e, -DSI_ECRYPTO, "TLS: %s: %s", doing, text[0] ? text : "failed");
}

int tls_new(struct tls **ret, const struct tls_key *key, struct err *e)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, -DSI_ENOMEM, "TLS: out of memory");
	t->key = *key;
	t->lib = OSSL_LIB_CTX_new();
	if (!t->lib || !OSSL_PROVIDER_add_builtin(t->lib, "dsi", provider_init))
		return fail(e, t, "library context");
	t->standard = OSSL_PROVIDER_load(t->lib, "default"); /* first: everything but our one key is its */
	t->own = OSSL_PROVIDER_load(t->lib, "dsi");
	if (!t->standard || !t->own)
		return fail(e, t, "load providers");
	t->ssl = SSL_CTX_new_ex(t->lib, NULL, TLS_method());
	if (!t->ssl || !ssl_rules(t->ssl))
		return fail(e, t, "set the rules");
	if (!ssl_identity(t, t->ssl))
		return fail(e, t, "present the key");
	ERR_clear_error();
	*ret = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ssl);
	OSSL_PROVIDER_unload(t->own);
	OSSL_PROVIDER_unload(t->standard);
	OSSL_LIB_CTX_free(t->lib);
	free(t);
}

/* --- connections --------------------------------------------------------------------------------- */

struct tls_conn *tls_conn_new(struct tls *t, bool server)
{
	struct tls_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ssl = SSL_new(t->ssl);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	if (!c->ssl || !c->in || !c->out) {
		BIO_free(c->in);
		BIO_free(c->out);
		SSL_free(c->ssl);
		free(c);
		return NULL;
	}
	BIO_set_mem_eof_return(c->in, -1);
	SSL_set_bio(c->ssl, c->in, c->out);
	SSL_set_app_data(c->ssl, c);
	if (server)
		SSL_set_accept_state(c->ssl);
	else
		SSL_set_connect_state(c->ssl);
	return c;
}

void tls_conn_free(struct tls_conn *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	crypto_wipe(c, sizeof(*c));
	free(c);
}

static enum tls_state failed(struct tls_conn *c, const char *otherwise)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (c->state != TLS_FAILED)
		snprintf(c->why, sizeof(c->why), "%s", reason ? reason : otherwise);
	ERR_clear_error();
	return c->state = TLS_FAILED;
}

static enum tls_state handshake(struct tls_conn *c)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(c->ssl);
	if (rc == 1) {
		if (!c->peer_known || SSL_session_reused(c->ssl))
			return failed(c, "the peer proved no key");
		return c->state = TLS_OPEN;
	}
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return c->state;
	default:
		return failed(c, "handshake failed");
	}
}

enum tls_state tls_input(struct tls_conn *c, const void *p, size_t n)
{
	if (c->state == TLS_FAILED || c->state == TLS_CLOSED)
		return c->state;
	if (n > INT32_MAX || (n > 0 && BIO_write(c->in, p, (int)n) != (int)n))
		return failed(c, "out of memory");
	return c->state == TLS_HANDSHAKE ? handshake(c) : c->state;
}

size_t tls_output(struct tls_conn *c, const u8 **ret)
{
	char *p = NULL;
	long n = BIO_get_mem_data(c->out, &p);

	*ret = (const u8 *)p;
	return n > 0 ? (size_t)n : 0;
}

void tls_output_done(struct tls_conn *c, size_t n)
{
	u8 sink[4096];

	/* a memory BIO moves its read mark; what is copied here is thrown away */
	while (n > 0) {
		int got = BIO_read(c->out, sink, (int)MIN(n, sizeof(sink)));

		assert(got > 0);
		n -= (size_t)got;
	}
}

long tls_read(struct tls_conn *c, void *p, size_t cap)
{
	size_t got = 0;
	int rc;

	if (c->state != TLS_OPEN)
		return c->state == TLS_FAILED ? -DSI_EPEER : 0;
	ERR_clear_error();
	rc = SSL_read_ex(c->ssl, p, cap, &got);
	if (rc == 1)
		return (long)got;
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		c->state = TLS_CLOSED;
		return 0;
	default:
		failed(c, "broken record");
		return -DSI_EPEER;
	}
}

int tls_write(struct tls_conn *c, const void *p, size_t n)
{
	const u8 *at = p;

	if (c->state != TLS_OPEN)
		return -DSI_EPEER;
	while (n > 0) {
		size_t done = 0;

		ERR_clear_error();
		if (SSL_write_ex(c->ssl, at, n, &done) != 1) {
			failed(c, "cannot write");
			return -DSI_EPEER;
		}
		at += done;
		n -= done;
	}
	return 0;
}

enum tls_state tls_state(const struct tls_conn *c)
{
	return c->state;
}

const u8 *tls_peer(const struct tls_conn *c)
{
	return c->peer;
}

int tls_exporter(struct tls_conn *c, u8 ret[CRYPTO_HASH])
{
	static const char label[] = "EXPORTER-dsi-enrol";

	if (c->state != TLS_OPEN ||
	    SSL_export_keying_material(c->ssl, ret, CRYPTO_HASH, label, sizeof(label) - 1, NULL, 0, 0) != 1)
		return -DSI_ECRYPTO;
	return 0;
}

const char *tls_why(const struct tls_conn *c)
{
	return c->why;
}
