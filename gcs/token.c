/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Join tokens: text, checks, and the newcomer's request. Core.
 *
 * Must never: leave the secret or what is derived from it behind; take a token whose secret is not the one its
 * statement was signed for.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/token.h"
#include "lib/arena.h"

static const char token_label[11] = "dsi-token-1";
enum { TOKEN_VERSION = 1, TOKEN_SUM = 8, TOKEN_ARENA = 64 << 10, TOKEN_BYTES = TOKEN_TEXT_MAX / 4 * 3 };

static int token_seed(const struct token *t, u8 ret[CRYPTO_SEED])
{
	u8 info[sizeof(token_label) + sizeof(t->said.token)];

	memcpy(info, token_label, sizeof(token_label));
	memcpy(info + sizeof(token_label), t->said.token, sizeof(t->said.token));
	return crypto_hkdf(NULL, 0, t->secret, sizeof(t->secret), info, sizeof(info), ret, CRYPTO_SEED);
}

static int token_pub(const struct token *t, u8 ret[CRYPTO_PUB])
{
	u8 seed[CRYPTO_SEED];
	int rc = token_seed(t, seed);

	if (!rc)
		rc = crypto_sign_pub(seed, ret);
	crypto_wipe(seed, sizeof(seed));
	return rc;
}

void token_wipe(struct token *t)
{
	crypto_wipe(t, sizeof(*t));
}

/* --- make --------------------------------------------------------------------------------------------- */

static int token_sign(struct token *t, const struct statement *header, statement_sign_fn *sign, void *ctx)
{
	struct statement st = *header;
	struct wbuf body, out;
	int rc;

	wbuf_init(&body, LIM_ENTRY_BODY);
	wbuf_fixed(&out, t->statement, sizeof(t->statement));
	rc = body_encode(&schema_s_token, &t->said, &body);
	st.signer = S_OPERATOR;
	st.kind = ENTRY_TOKEN;
	st.base = 0;
	st.body = body.data;
	st.body_len = body.len;
	if (!rc)
		rc = statement_make(&st, sign, ctx, &out);
	t->statement_len = out.len;
	wbuf_fini(&body);
	return rc;
}

int token_make(struct token *t, const struct statement *header, statement_sign_fn *sign, void *ctx, struct err *e)
{
	int rc;

	if (!statement_name_ok(t->said.name))
		return err_set(e, -DSI_EINVAL, "\"%s\" is no node name: lower case letters, digits and '-' inside", t->said.name);
	if (!t->n_direct || t->n_direct > TOKEN_ADDRS)
		return err_set(e, -DSI_EINVAL, "join token: 1 to %d addresses to ask", TOKEN_ADDRS);
	memcpy(t->cluster, header->cluster, sizeof(t->cluster));
	t->generation = header->generation;
	rc = token_pub(t, t->said.token_pub);
	if (!rc)
		rc = token_sign(t, header, sign, ctx);
	return rc ? err_set(e, rc, "join token: %s", err_text(rc)) : 0;
}

static int token_encode(const struct token *t, struct wbuf *w)
{
	u8 sum[CRYPTO_HASH];
	int rc;

	wbuf_u8(w, TOKEN_VERSION);
	wbuf_blob(w, t->statement, t->statement_len);
	wbuf_bytes(w, t->secret, sizeof(t->secret));
	wbuf_u8(w, (u8)t->n_direct);
	for (u32 i = 0; i < t->n_direct; i++)
		wbuf_str(w, t->direct[i]);
	if (!wbuf_ok(w))
		return -DSI_ELIMIT;
	rc = crypto_sha256(w->data, w->len, sum);
	wbuf_bytes(w, sum, TOKEN_SUM);
	return rc ? rc : wbuf_ok(w) ? 0 : -DSI_ELIMIT;
}

char *token_text(const struct token *t)
{
	u8 bytes[TOKEN_BYTES];
	char *code = NULL, *text = NULL;
	struct wbuf w;

	wbuf_fixed(&w, bytes, sizeof(bytes));
	if (!token_encode(t, &w))
		code = crypto_base64(bytes, w.len);
	if (code)
		text = malloc(sizeof(TOKEN_PREFIX) + strlen(code));
	if (text) {
		memcpy(text, TOKEN_PREFIX, sizeof(TOKEN_PREFIX) - 1);
		memcpy(text + sizeof(TOKEN_PREFIX) - 1, code, strlen(code) + 1);
	}
	if (code)
		crypto_wipe(code, strlen(code));
	free(code);
	crypto_wipe(bytes, sizeof(bytes));
	return text;
}

/* --- parse -------------------------------------------------------------------------------------------- */

static int token_sum_ok(const u8 *p, size_t n)
{
	u8 sum[CRYPTO_HASH];
	int rc;

	if (n <= TOKEN_SUM)
		return -DSI_ETRUNC;
	rc = crypto_sha256(p, n - TOKEN_SUM, sum);
	return rc ? rc : memcmp(sum, p + n - TOKEN_SUM, TOKEN_SUM) ? -DSI_EPARSE : 0;
}

static int token_decode(struct token *t, const u8 *p, size_t n)
{
	struct rbuf r;
	const u8 *st;

	rbuf_init(&r, p, n);
	if (rbuf_u8(&r) != TOKEN_VERSION)
		return -DSI_EVERSION;
	st = rbuf_blob(&r, sizeof(t->statement), &t->statement_len);
	if (!st)
		return -DSI_ETRUNC;
	memcpy(t->statement, st, t->statement_len);
	rbuf_copy(&r, t->secret, sizeof(t->secret));
	t->n_direct = rbuf_u8(&r);
	if (!rbuf_ok(&r) || !t->n_direct || t->n_direct > TOKEN_ADDRS)
		return -DSI_EPARSE;
	for (u32 i = 0; i < t->n_direct; i++)
		if (!rbuf_str(&r, t->direct[i], sizeof(t->direct[i])) || !t->direct[i][0])
			return -DSI_EPARSE;
	return rbuf_end(&r);
}

/* The statement's header and body into t; st points into t->statement. */
static int token_open(struct token *t, struct statement *st)
{
	struct arena a;
	int rc = statement_open(st, t->statement, t->statement_len);

	if (rc)
		return rc;
	if (st->kind != ENTRY_TOKEN || st->signer != S_OPERATOR)
		return -DSI_EAUTH;
	arena_init(&a, TOKEN_ARENA);
	rc = body_decode(&schema_s_token, st->body, st->body_len, &t->said, &a);
	arena_fini(&a);
	memcpy(t->cluster, st->cluster, sizeof(t->cluster));
	t->generation = st->generation;
	return rc;
}

static int token_secret_ok(const struct token *t)
{
	u8 pub[CRYPTO_PUB];
	int rc = token_pub(t, pub);

	return rc ? rc : crypto_equal(pub, t->said.token_pub, sizeof(pub)) ? 0 : -DSI_EAUTH;
}

static int token_bytes(struct token *t, const u8 *p, size_t n, struct err *e)
{
	struct statement st;
	int rc = token_sum_ok(p, n);

	if (!rc)
		rc = token_decode(t, p, n - TOKEN_SUM);
	if (rc)
		return err_set(e, rc, "join token is damaged or cut off (%s): copy it again, whole", err_text(rc));
	rc = token_open(t, &st);
	if (rc)
		return err_set(e, rc, "join token: the operator's statement in it: %s", err_text(rc));
	rc = token_secret_ok(t);
	return rc ? err_set(e, rc, "join token: its secret belongs to another token") : 0;
}

int token_parse(struct token *t, const char *text, size_t n, struct err *e)
{
	const size_t prefix = sizeof(TOKEN_PREFIX) - 1;
	u8 *p = NULL;
	size_t len = 0;
	int rc;

	memset(t, 0, sizeof(*t));
	if (n && text[n - 1] == '\n')
		n--;
	if (n > TOKEN_TEXT_MAX)
		return err_set(e, -DSI_ELIMIT, "this is no join token: too long");
	if (n < prefix || memcmp(text, TOKEN_PREFIX, prefix))
		return err_set(e, -DSI_EPARSE, "this is no join token: it must begin with \"%s\"", TOKEN_PREFIX);
	rc = crypto_unbase64(text + prefix, n - prefix, &p, &len);
	if (rc)
		return err_set(e, rc, "join token is damaged: not base64");
	rc = token_bytes(t, p, len, e);
	crypto_wipe(p, len);
	free(p);
	if (rc)
		token_wipe(t);
	return rc;
}

/* --- use ---------------------------------------------------------------------------------------------- */

/* Not state_check(): the token's own entry lies in a log that a newcomer does not have yet. */
int token_check(const struct token *t, const struct state *s, u64 wall_ms, struct err *e)
{
	struct token copy = *t;
	struct statement st;
	u8 hash[CRYPTO_HASH];
	int rc = token_open(&copy, &st);

	if (!rc)
		rc = crypto_sha256(s->root, sizeof(s->root), hash);
	if (rc)
		err_set(e, rc, "join token: %s", err_text(rc));
	else if (memcmp(hash, copy.said.root, sizeof(hash)) || memcmp(copy.cluster, s->cluster, sizeof(s->cluster)))
		rc = err_set(e, -DSI_ECLUSTER, "join token: it is for another cluster");
	else if (wall_ms && copy.said.expires_ms < wall_ms)
		rc = err_set(e, -DSI_EEXPIRED, "join token: it has expired: ask for a new one");
	token_wipe(&copy);
	if (rc)
		return rc;
	for (u32 i = 0; i < s->n_op; i++)
		if (!memcmp(s->op[i].pub, st.pub, CRYPTO_PUB) && s->op[i].roles & OP_NODES)
			return 0;
	return err_set(e, -DSI_EAUTH, "join token: signed by nobody who may admit nodes to this cluster");
}

static int enrol_sign(const struct token *t, struct body_e_enrol *b, statement_sign_fn *node_sign, void *ctx)
{
	u8 seed[CRYPTO_SEED];
	struct wbuf w;
	int rc;

	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = statement_enrol_bytes(b->exporter, b->token, b->node.p, b->node.n, &w);
	if (!rc)
		rc = node_sign(ctx, SIGN_ENROL, w.data, w.len, b->node_sig);
	if (!rc)
		rc = token_seed(t, seed);
	if (!rc)
		rc = crypto_sign(seed, SIGN_ENROL, w.data, w.len, b->token_sig);
	crypto_wipe(seed, sizeof(seed));
	wbuf_fini(&w);
	return rc;
}

int token_enrol(const struct token *t, const struct body_node *node, const u8 exporter[CRYPTO_HASH],
		statement_sign_fn *node_sign, void *ctx, struct wbuf *ret, struct err *e)
{
	struct body_e_enrol b;
	struct wbuf w;
	int rc;

	if (strcmp(node->name, t->said.name))
		return err_set(e, -DSI_EAUTH, "the token is for %s, this node is %s", t->said.name, node->name);
	if (node->roles & ~t->said.roles)
		return err_set(e, -DSI_EAUTH, "the token does not grant all roles this node asks for");
	memset(&b, 0, sizeof(b));
	memcpy(b.token, t->said.token, sizeof(b.token));
	memcpy(b.exporter, exporter, sizeof(b.exporter));
	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = body_encode(&schema_node, node, &w);
	b.node = (struct blob){ w.data, w.len };
	if (!rc)
		rc = enrol_sign(t, &b, node_sign, ctx);
	if (!rc)
		rc = body_encode(&schema_e_enrol, &b, ret);
	wbuf_fini(&w);
	return rc ? err_set(e, rc, "enrolment request: %s", err_text(rc)) : 0;
}
