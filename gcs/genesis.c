/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making and checking what root makes: entry 1, and the entry of a REFORM. Core: keys are used through callbacks.
 *
 * Must never: hand out a first entry that the check would refuse; make two different entries of one reform.
 */
#include <string.h>

#include "gcs/genesis.h"

enum { GENESIS_ARENA = 256 << 10 };

int genesis_root_hash(const u8 root[CRYPTO_PUB], u8 ret[CRYPTO_HASH])
{
	return crypto_sha256(root, CRYPTO_PUB, ret);
}

static int encode_blob(const struct body_schema *schema, const void *body, struct arena *a, struct blob *ret)
{
	struct wbuf w;
	u8 *copy = NULL;
	int rc;

	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = body_encode(schema, body, &w);
	if (!rc) {
		copy = arena_alloc(a, w.len);
		if (copy)
			memcpy(copy, w.data, w.len);
		else
			rc = -DSI_ENOMEM;
	}
	*ret = (struct blob){ copy, rc ? 0 : w.len };
	wbuf_fini(&w);
	return rc;
}

/* The statement's body, out of its parts. */
static int genesis_body(const struct genesis *g, struct arena *a, struct blob *ret)
{
	struct body_s_genesis b;
	int rc = 0;

	memset(&b, 0, sizeof(b));
	memcpy(b.cluster, g->cluster, sizeof(b.cluster));
	memcpy(b.root, g->root, sizeof(b.root));
	b.operators.v = arena_array(a, (size_t)g->n_operators + 1, sizeof(*b.operators.v));
	if (!b.operators.v)
		return -DSI_ENOMEM;
	b.operators.n = g->n_operators;
	for (u32 i = 0; !rc && i < g->n_operators; i++)
		rc = encode_blob(&schema_operator, &g->operators[i], a, &b.operators.v[i]);
	if (!rc)
		rc = encode_blob(&schema_node, &g->node, a, &b.node);
	return rc ? rc : encode_blob(&schema_s_genesis, &b, a, ret);
}

static int genesis_statement(const struct genesis *g, const u8 id[CRYPTO_HASH], statement_sign_fn *sign, void *ctx,
			     struct arena *a, struct wbuf *w)
{
	struct statement st = { .signer = S_ROOT, .kind = ENTRY_GENESIS, .generation = 1 };
	struct blob body;
	int rc = genesis_body(g, a, &body);

	if (rc)
		return rc;
	memcpy(st.cluster, id, sizeof(st.cluster));
	memcpy(st.request, g->request, sizeof(st.request));
	memcpy(st.pub, g->root, sizeof(st.pub));
	st.body = body.p;
	st.body_len = body.n;
	return statement_make(&st, sign, ctx, w);
}

static int genesis_entry(const struct genesis *g, const u8 id[CRYPTO_HASH], const struct wbuf *statement,
			 statement_sign_fn *sign, void *ctx, struct arena *a, struct wbuf *ret)
{
	const struct body_e_statement body = { { statement->data, statement->len } };
	struct entry e = { .type = ENTRY_GENESIS, .author_role = ROLE_SERVER, .author_nid = 1, .generation = 1,
			   .index = 1, .wall_ms = g->wall_ms };
	struct blob b;
	int rc = encode_blob(&schema_e_statement, &body, a, &b);

	if (rc)
		return rc;
	memcpy(e.cluster, id, sizeof(e.cluster));
	e.body = b.p;
	e.body_len = b.n;
	rc = entry_encode(&e, ret);
	if (!rc)
		rc = sign(ctx, SIGN_ENTRY, e.hash, sizeof(e.hash), e.sig);
	if (rc)
		return rc;
	wbuf_bytes(ret, e.sig, sizeof(e.sig));
	return wbuf_ok(ret) ? 0 : -DSI_ENOMEM;
}

static int genesis_prove(const struct wbuf *w, size_t start, const u8 hash[CRYPTO_HASH], struct err *e)
{
	struct state *s = state_new();
	int rc = s ? genesis_verify(w->data + start, w->len - start, hash, s, e) : err_set(e, -DSI_ENOMEM, "genesis");

	state_free(s);
	return rc;
}

int genesis_make(const struct genesis *g, statement_sign_fn *root_sign, void *root_ctx, statement_sign_fn *server_sign,
		 void *server_ctx, struct wbuf *ret_entry, struct err *e)
{
	size_t start = ret_entry->len;
	u8 hash[CRYPTO_HASH];
	struct wbuf statement;
	struct arena a;
	int rc = genesis_root_hash(g->root, hash);

	wbuf_init(&statement, STATEMENT_MAX);
	arena_init(&a, GENESIS_ARENA);
	if (!rc)
		rc = genesis_statement(g, hash, root_sign, root_ctx, &a, &statement);
	if (!rc)
		rc = genesis_entry(g, hash, &statement, server_sign, server_ctx, &a, ret_entry);
	if (rc)
		err_set(e, rc, "cluster record: %s", err_text(rc));
	else if ((rc = genesis_prove(ret_entry, start, hash, e)))
		err_wrap(e, "cluster record");
	arena_fini(&a);
	wbuf_fini(&statement);
	return rc;
}

int genesis_verify(const u8 *p, size_t n, const u8 root_hash[CRYPTO_HASH], struct state *s, struct err *e)
{
	struct state_result res;
	struct entry entry;
	u8 hash[CRYPTO_HASH];
	int rc = entry_decode(&entry, p, n);

	if (rc)
		return err_set(e, rc, "entry 1: %s", err_text(rc));
	rc = state_verify_entry(s, &entry, e); /* an empty state lets nothing but GENESIS pass */
	if (rc)
		return rc;
	if (s->applied)
		return err_set(e, -DSI_EINVAL, "entry 1: the state is not fresh");
	rc = state_apply(s, &entry, &res);
	if (rc || res.code)
		return err_set(e, rc ? rc : res.code, "entry 1: %s", rc ? err_text(rc) : res.text);
	rc = genesis_root_hash(s->root, hash);
	if (!rc && root_hash && !crypto_equal(hash, root_hash, sizeof(hash)))
		rc = -DSI_ECLUSTER;
	return rc ? err_set(e, rc, "entry 1: another cluster's (its root is not the one that was expected)") : 0;
}

/* --- REFORM ------------------------------------------------------------------------------------------- */

int reform_place(const struct statement *st, struct reform_place *ret, struct err *e)
{
	struct body_s_reform f;
	struct arena a;
	struct rbuf r;
	int rc;

	if (st->kind != ENTRY_REFORM)
		return err_set(e, -DSI_EINVAL, "reform: a %s statement is none", entry_type_name(st->kind));
	arena_init(&a, GENESIS_ARENA);
	rc = body_decode(&schema_s_reform, st->body, st->body_len, &f, &a);
	if (!rc) {
		rbuf_init(&r, f.servers.p, f.servers.n);
		*ret = (struct reform_place){ .generation = f.new_generation, .base_index = f.base_index,
					      .author = rbuf_u32(&r) };
		memcpy(ret->base_hash, f.base_hash, CRYPTO_HASH);
		rc = rbuf_ok(&r) && f.base_index && f.base_index < UINT64_MAX ? 0 : -DSI_EINVAL;
	}
	arena_fini(&a);
	return rc ? err_set(e, rc, "reform: %s", err_text(rc)) : 0;
}

int reform_entry(const struct statement *st, u64 base_term, struct wbuf *ret_entry, struct err *e)
{
	const struct body_e_statement body = { { st->raw, st->raw_len } };
	struct reform_place at;
	struct entry en;
	struct arena a;
	struct blob b;
	int rc = reform_place(st, &at, e);

	if (rc)
		return rc;
	en = (struct entry){ .type = ENTRY_REFORM, .author_role = ROLE_SERVER, .author_nid = at.author,
			     .generation = at.generation, .term = base_term, .index = at.base_index + 1,
			     .wall_ms = st->base };
	memcpy(en.cluster, st->cluster, sizeof(en.cluster));
	memcpy(en.prev, at.base_hash, sizeof(en.prev));
	arena_init(&a, GENESIS_ARENA);
	rc = encode_blob(&schema_e_statement, &body, &a, &b);
	if (!rc) {
		en.body = b.p;
		en.body_len = b.n;
		rc = entry_encode(&en, ret_entry);
	}
	arena_fini(&a);
	wbuf_bytes(ret_entry, st->sig, sizeof(st->sig));
	if (!rc && !wbuf_ok(ret_entry))
		rc = -DSI_ENOMEM;
	return rc ? err_set(e, rc, "reform: %s", err_text(rc)) : 0;
}

int reform_statement(const struct entry *e, struct arena *a, struct statement *st, struct err *err)
{
	struct body_e_statement body;
	int rc = e->type == ENTRY_REFORM ? body_decode(&schema_e_statement, e->body, e->body_len, &body, a) : -DSI_EINVAL;

	if (!rc)
		rc = statement_open(st, body.statement.p, body.statement.n);
	return rc ? err_set(err, rc, "reform: %s", err_text(rc)) : 0;
}
