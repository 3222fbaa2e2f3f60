/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statements: their bytes and the schemas of all statement and entry bodies. Core.
 *
 * Must never: parse a body; decide whether a key may say what it says (state_check does).
 * Invariant: what statement_open() hands out was signed, byte for byte, by the key it names, under the
 * purpose that belongs to its kind of signer.
 */
#include <string.h>

#include "gcs/statement.h"

STATEMENT_BODIES(BODY_DEFINE)

static const u8 statement_magic[4] = { 'D', 'S', 'I', 'S' };
enum { STATEMENT_VERSION = 1 };

static enum sign_purpose statement_purpose(u8 signer)
{
	return signer == S_ROOT ? SIGN_ROOT : SIGN_STATEMENT;
}

static bool statement_head_ok(const struct statement *s)
{
	return s->signer >= S_ROOT && s->signer <= S_TOKEN && s->kind > 0 && s->kind < ENTRY_TYPE_MAX;
}

static void statement_encode(const struct statement *s, struct wbuf *w)
{
	wbuf_bytes(w, statement_magic, sizeof(statement_magic));
	wbuf_u8(w, STATEMENT_VERSION);
	wbuf_u8(w, s->signer);
	wbuf_u16(w, s->kind);
	wbuf_bytes(w, s->cluster, sizeof(s->cluster));
	wbuf_u32(w, s->generation);
	wbuf_bytes(w, s->request, sizeof(s->request));
	wbuf_u64(w, s->expires_ms);
	wbuf_u64(w, s->base);
	wbuf_bytes(w, s->pub, sizeof(s->pub));
	wbuf_blob(w, s->body, s->body_len);
}

int statement_make(struct statement *s, statement_sign_fn *sign, void *ctx, struct wbuf *ret_bytes)
{
	size_t start = ret_bytes->len;
	int rc;

	if (!statement_head_ok(s))
		return -DSI_EINVAL;
	if (s->body_len > STATEMENT_MAX - STATEMENT_OVERHEAD)
		return -DSI_ELIMIT;
	statement_encode(s, ret_bytes);
	if (!wbuf_ok(ret_bytes))
		return -DSI_ENOMEM;
	rc = sign(ctx, statement_purpose(s->signer), ret_bytes->data + start, ret_bytes->len - start, s->sig);
	if (rc)
		return rc;
	wbuf_bytes(ret_bytes, s->sig, sizeof(s->sig));
	return wbuf_ok(ret_bytes) ? 0 : -DSI_ENOMEM;
}

int statement_sign_seed(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	return crypto_sign(ctx, purpose, p, n, ret);
}

/* Shape only: fixed header, lengths. */
static int statement_decode(struct statement *s, const u8 *p, size_t n)
{
	struct rbuf r;
	const u8 *magic;

	if (n > STATEMENT_MAX)
		return -DSI_ELIMIT;
	rbuf_init(&r, p, n);
	magic = rbuf_bytes(&r, sizeof(statement_magic));
	if (!magic)
		return -DSI_ETRUNC;
	if (memcmp(magic, statement_magic, sizeof(statement_magic)))
		return -DSI_EPARSE;
	if (rbuf_u8(&r) != STATEMENT_VERSION)
		return rbuf_ok(&r) ? -DSI_EVERSION : -DSI_ETRUNC;
	s->signer = rbuf_u8(&r);
	s->kind = rbuf_u16(&r);
	rbuf_copy(&r, s->cluster, sizeof(s->cluster));
	s->generation = rbuf_u32(&r);
	rbuf_copy(&r, s->request, sizeof(s->request));
	s->expires_ms = rbuf_u64(&r);
	s->base = rbuf_u64(&r);
	rbuf_copy(&r, s->pub, sizeof(s->pub));
	s->body = rbuf_blob(&r, STATEMENT_MAX - STATEMENT_OVERHEAD, &s->body_len);
	rbuf_copy(&r, s->sig, sizeof(s->sig));
	s->raw = p;
	s->raw_len = n;
	return rbuf_end(&r);
}

int statement_open(struct statement *s, const u8 *p, size_t n)
{
	struct statement t = { 0 };
	int rc = statement_decode(&t, p, n);

	*s = (struct statement){ 0 };
	if (rc)
		return rc;
	if (!statement_head_ok(&t))
		return -DSI_EPARSE;
	rc = crypto_verify(t.pub, statement_purpose(t.signer), p, n - CRYPTO_SIG, t.sig);
	if (rc)
		return rc;
	*s = t;
	return 0;
}

int statement_enrol_bytes(const u8 exporter[CRYPTO_HASH], const u8 token[16], const void *node, size_t n,
			  struct wbuf *w)
{
	wbuf_bytes(w, exporter, CRYPTO_HASH);
	wbuf_bytes(w, token, 16);
	wbuf_blob(w, node, n);
	return wbuf_ok(w) ? 0 : -DSI_ENOMEM;
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool statement_name_ok(const char *name)
{
	size_t n = strnlen(name, LIM_NAME);

	if (!n || n >= LIM_NAME || !name_char(name[0]) || !name_char(name[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!name_char(name[i]) && name[i] != '-')
			return false;
	return true;
}
