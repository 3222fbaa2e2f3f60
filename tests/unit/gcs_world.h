/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole cluster's worth of keys and a log, without a network: makes signed statements and entries by the names of
 * those who would make them, and applies them. Shared by the tests of state, statements, tokens and enrolment.
 *
 * Keys: seed = SHA-256 of a label, so every run has the same bytes. Operators: alice (all roles), paula (policy
 * only), vera (verdict only). Nodes: w_node() by name; the first is n1.
 */
#ifndef DSI_TESTS_GCS_WORLD_H
#define DSI_TESTS_GCS_WORLD_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/genesis.h"
#include "gcs/token.h"
#include "tests/unit/lib_check.h"

#define W DSI_UNUSED static

enum { W_ENTRIES = 12288 };

struct world {
	struct state *s;
	u64 now;       /* wall time, ms */
	u64 term;
	u32 author;    /* NID of the server that writes */
	u8 prev[CRYPTO_HASH];
	u32 n_request;
	struct blob log[W_ENTRIES]; /* [index - 1] */
	struct state_result res;
	struct err err;
	struct arena arena;
	u8 genesis_root[CRYPTO_HASH];
};

W void w_seed(const char *label, u8 ret[CRYPTO_SEED])
{
	ck_assert_int_eq(crypto_sha256(label, strlen(label), ret), 0);
}

W void w_seed2(const char *name, const char *what, u8 ret[CRYPTO_SEED])
{
	char label[128];

	snprintf(label, sizeof(label), "%s/%s", name, what);
	w_seed(label, ret);
}

W void w_pub(const char *label, u8 ret[CRYPTO_PUB])
{
	u8 seed[CRYPTO_SEED];

	w_seed(label, seed);
	ck_assert_int_eq(crypto_sign_pub(seed, ret), 0);
}

/* What was written, as bytes that stay as long as the world; b is used up. */
W struct blob w_keep(struct world *w, struct wbuf *b)
{
	u8 *p = arena_alloc(&w->arena, b->len);
	struct blob ret = { p, b->len };

	ck_assert_ptr_nonnull(p);
	memcpy(p, b->data, b->len);
	wbuf_fini(b);
	return ret;
}

W struct blob w_blob(struct world *w, const struct body_schema *schema, const void *body)
{
	struct wbuf b;

	wbuf_init(&b, LIM_BODY);
	ck_assert_int_eq(body_encode(schema, body, &b), 0);
	return w_keep(w, &b);
}

/* --- nodes -------------------------------------------------------------------------------------------- */

/* Where a node can be reached; NULL: nowhere. Set before the world is made. */
static const char *(*w_direct_of)(const char *name);

/* key: what the keys are made from, so that a node of the same name can come with other keys, or the same. */
W void w_describe(struct world *w, struct body_node *b, const char *name, const char *key, u32 roles)
{
	u8 seed[CRYPTO_SEED];
	u8 *addr = arena_alloc(&w->arena, 4);
	struct blob *list = arena_array(&w->arena, 1, sizeof(*list));

	memset(b, 0, sizeof(*b));
	snprintf(b->name, sizeof(b->name), "%s", name);
	w_seed2(key, "sign", seed);
	ck_assert_int_eq(crypto_sign_pub(seed, b->sign), 0);
	w_seed2(key, "kem", seed);
	ck_assert_int_eq(crypto_kem_pub(seed, b->kem), 0);
	if (roles & NODE_SERVER) {
		w_seed2(key, "server_sign", seed);
		ck_assert_int_eq(crypto_sign_pub(seed, b->server_sign), 0);
		w_seed2(key, "server_kem", seed);
		ck_assert_int_eq(crypto_kem_pub(seed, b->server_kem), 0);
	}
	w_seed2(name, "address", seed);
	memcpy(addr, seed, 4);
	list[0] = (struct blob){ addr, 4 };
	b->addrs = (struct blobs){ list, 1 };
	if (w_direct_of)
		snprintf(b->direct, sizeof(b->direct), "%s", w_direct_of(name));
	else
		snprintf(b->direct, sizeof(b->direct), "10.0.%u.%u:5407", addr[2], addr[3]);
	b->roles = roles;
}

/* Which key label a NID was enrolled with: kept by name@nid convention of the tests below. */
static const char *w_keys[LIM_NIDS];

/* --- statements and entries --------------------------------------------------------------------------- */

W void w_header(struct world *w, struct statement *st, u16 kind, const char *signer)
{
	memset(st, 0, sizeof(*st));
	st->signer = strcmp(signer, "root") ? S_OPERATOR : S_ROOT;
	st->kind = kind;
	memcpy(st->cluster, w->s->cluster, sizeof(st->cluster));
	st->generation = w->s->generation;
	memcpy(st->request, &w->n_request, sizeof(w->n_request));
	w->n_request++;
	st->request[15] = 1;
	st->expires_ms = w->now + 600000;
	w_pub(signer, st->pub);
}

W struct blob w_sign(struct world *w, struct statement *st, const char *signer, struct blob body)
{
	u8 seed[CRYPTO_SEED];
	struct wbuf b;

	st->body = body.p;
	st->body_len = body.n;
	w_seed(signer, seed);
	wbuf_init(&b, STATEMENT_MAX);
	ck_assert_int_eq(statement_make(st, statement_sign_seed, seed, &b), 0);
	return w_keep(w, &b);
}

W struct blob w_statement(struct world *w, u16 kind, const char *signer, const struct body_schema *schema, const void *body)
{
	struct statement st;

	w_header(w, &st, kind, signer);
	if (kind == ENTRY_POLICY)
		st.base = w->s->policy.version;
	return w_sign(w, &st, signer, w_blob(w, schema, body));
}

/* Bytes of an entry by the current author, at the end of the log; e points into them. */
W void w_entry(struct world *w, struct entry *e, u16 type, const void *body, size_t n)
{
	u8 seed[CRYPTO_SEED];
	struct blob kept;
	struct wbuf b;

	*e = (struct entry){ .type = type, .author_role = ROLE_SERVER, .author_nid = w->author, .term = w->term,
			     .generation = w->s->generation, .index = w->s->applied + 1, .wall_ms = w->now };
	memcpy(e->cluster, w->s->cluster, sizeof(e->cluster));
	memcpy(e->prev, w->prev, sizeof(e->prev));
	e->body = body;
	e->body_len = n;
	wbuf_init(&b, ENTRY_MAX);
	ck_assert_int_eq(entry_encode(e, &b), 0);
	w_seed2(w_keys[w->author], "server_sign", seed);
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENTRY, e->hash, sizeof(e->hash), e->sig), 0);
	wbuf_bytes(&b, e->sig, sizeof(e->sig));
	kept = w_keep(w, &b);
	ck_assert_int_eq(entry_decode(e, kept.p, kept.n), 0);
	ck_assert_uint_le(e->index, W_ENTRIES);
	w->log[e->index - 1] = kept;
}

/* Applies whatever it is; the code of refusal, 0 when it took effect. */
W int w_apply(struct world *w, const struct entry *e)
{
	ck_assert_int_eq(state_apply(w->s, e, &w->res), 0);
	ck_assert_uint_eq(w->s->applied, e->index);
	ck_assert(w->res.code <= 0 && (w->res.code == 0) == (w->res.text[0] == 0));
	memcpy(w->prev, e->hash, sizeof(w->prev));
	return w->res.code;
}

W int w_put(struct world *w, u16 type, struct blob body)
{
	struct entry e;

	w_entry(w, &e, type, body.p, body.n);
	return w_apply(w, &e);
}

W int w_verify_put(struct world *w, u16 type, struct blob body)
{
	struct entry e;
	int rc;

	w_entry(w, &e, type, body.p, body.n);
	memset(&w->err, 0, sizeof(w->err));
	rc = state_verify_entry(w->s, &e, &w->err);
	return rc ? rc : w_apply(w, &e);
}

/* The entry body that a server makes of a statement. */
W struct blob w_body(struct world *w, struct blob statement, u32 keygen, const struct blobs *wraps)
{
	struct statement st;
	struct wbuf b;

	ck_assert_int_eq(statement_open(&st, statement.p, statement.n), 0);
	wbuf_init(&b, LIM_ENTRY_BODY);
	ck_assert_int_eq(state_make_body(&st, keygen, wraps, &b), 0);
	return w_keep(w, &b);
}

/* Order a statement as an honest server would have to if it skipped state_check(). */
W int w_order(struct world *w, struct blob statement)
{
	struct statement st;

	ck_assert_int_eq(statement_open(&st, statement.p, statement.n), 0);
	return w_put(w, st.kind, w_body(w, statement, 0, NULL));
}

W int w_check(struct world *w, struct blob statement, const u32 *live, u32 n_live)
{
	struct statement st;

	memset(&w->err, 0, sizeof(w->err));
	ck_assert_int_eq(statement_open(&st, statement.p, statement.n), 0);
	return state_check(w->s, &st, w->now, live, n_live, &w->err);
}

W int w_say(struct world *w, u16 kind, const char *signer, const struct body_schema *schema, const void *body)
{
	return w_order(w, w_statement(w, kind, signer, schema, body));
}

/* Part of why the last one was refused. */
W void w_expect_text(const struct world *w, const char *part)
{
	ck_assert_msg(strstr(w->err.text, part) != NULL, "\"%s\" not in \"%s\"", part, w->err.text);
}

/* --- what people say ---------------------------------------------------------------------------------- */

W struct blob w_node_op(struct world *w, u16 kind, const char *signer, u32 nid)
{
	struct body_s_node_op b = { .nid = nid, .reason = "because" };
	const struct state_node *n = state_node(w->s, nid);

	snprintf(b.name, sizeof(b.name), "%s", n ? n->name : "nobody");
	return w_statement(w, kind, signer, &schema_s_node_op, &b);
}

W struct blob w_verdict_until(struct world *w, const char *signer, u32 nid, u64 until_ms)
{
	struct body_s_verdict b = { .nid = nid, .reason = "caught", .until_ms = until_ms };
	const struct state_node *n = state_node(w->s, nid);

	snprintf(b.name, sizeof(b.name), "%s", n ? n->name : "nobody");
	return w_statement(w, ENTRY_VERDICT, signer, &schema_s_verdict, &b);
}

W struct blob w_verdict(struct world *w, const char *signer, u32 nid)
{
	return w_verdict_until(w, signer, nid, 0);
}

W struct body_s_policy w_policy_body(struct world *w, const char *name, u32 confirm_s)
{
	struct body_s_policy b = { .version = w->s->policy.version + 1, .size = 1000, .confirm_s = confirm_s };

	snprintf(b.name, sizeof(b.name), "%s", name);
	w_seed2(name, "image", b.digest);
	if (confirm_s)
		memcpy(b.back_digest, w->s->policy.digest, sizeof(b.back_digest));
	return b;
}

W struct blob w_policy(struct world *w, const char *signer, const char *name, u32 confirm_s)
{
	struct body_s_policy b = w_policy_body(w, name, confirm_s);

	return w_statement(w, ENTRY_POLICY, signer, &schema_s_policy, &b);
}

/* label: makes id and secret. */
W void w_token(struct world *w, struct token *t, const char *signer, const char *name, const char *label, u32 roles,
	       u64 expires_ms)
{
	u8 seed[CRYPTO_SEED];
	struct statement st;

	memset(t, 0, sizeof(*t));
	w_header(w, &st, ENTRY_TOKEN, signer);
	snprintf(t->said.name, sizeof(t->said.name), "%s", name);
	w_seed2(label, "token id", seed);
	memcpy(t->said.token, seed, 16);
	w_seed2(label, "token secret", t->secret);
	t->said.roles = roles;
	t->said.expires_ms = expires_ms;
	ck_assert_int_eq(genesis_root_hash(w->s->root, t->said.root), 0);
	snprintf(t->direct[0], sizeof(t->direct[0]), "10.0.0.1:5407");
	t->n_direct = 1;
	w_seed(signer, seed);
	ck_assert_int_eq(token_make(t, &st, statement_sign_seed, seed, &w->err), 0);
}

/* What the newcomer sends. key: its keys. */
W struct blob w_request(struct world *w, const struct token *t, const char *name, const char *key, u32 roles,
			const u8 exporter[CRYPTO_HASH])
{
	struct body_node node;
	u8 seed[CRYPTO_SEED];
	struct wbuf b;

	w_describe(w, &node, name, key, roles);
	w_seed2(key, "sign", seed);
	wbuf_init(&b, LIM_ENTRY_BODY);
	ck_assert_int_eq(token_enrol(t, &node, exporter, statement_sign_seed, seed, &b, &w->err), 0);
	return w_keep(w, &b);
}

W struct blob w_enrol_body(struct world *w, struct blob request)
{
	struct wbuf b;

	wbuf_init(&b, LIM_ENTRY_BODY);
	ck_assert_int_eq(state_make_enrol(w->s, request.p, request.n, &b), 0);
	return w_keep(w, &b);
}

W int w_promote(struct world *w, u32 nid)
{
	struct body_e_voter b = { .nid = nid };
	const struct state_node *n = state_node(w->s, nid);

	if (n)
		memcpy(b.token, n->token, sizeof(b.token));
	return w_put(w, ENTRY_VOTER_ADD, w_blob(w, &schema_e_voter, &b));
}

/* Token, enrolment, promotion: all that makes a member. Returns its NID. key must stay (a literal). */
W u32 w_join(struct world *w, const char *name, const char *key, u32 roles)
{
	static const u8 exporter[CRYPTO_HASH] = { 7 };
	struct token t;
	u32 nid;

	w_token(w, &t, "alice", name, key, roles, w->now + 600000);
	ck_assert_int_eq(w_order(w, (struct blob){ t.statement, t.statement_len }), 0);
	ck_assert_int_eq(w_put(w, ENTRY_ENROL, w_enrol_body(w, w_request(w, &t, name, key, roles, exporter))), 0);
	nid = w->res.nid;
	w_keys[nid] = key;
	if (roles & NODE_VOTER)
		ck_assert_int_eq(w_promote(w, nid), 0);
	token_wipe(&t);
	return nid;
}

/* --- what servers say --------------------------------------------------------------------------------- */

W struct blob w_term_body(struct world *w, u64 term, u32 author, u32 keygen, const struct blobs *wraps, const u32 *nid, u32 n)
{
	struct body_e_term b = { .ring_nodeid = 1, .ring_seq = term, .keygen = keygen };
	const struct gcs_ring ring = { 1, term };
	struct blob *v = arena_array(&w->arena, n + 1, sizeof(*v));

	for (u32 i = 0; i < n; i++) {
		struct body_promise p = { .nid = nid[i] };
		u8 seed[CRYPTO_SEED], bytes[PROMISE_BYTES];

		w_seed2(w_keys[nid[i]], "sign", seed);
		promise_encode(w->s->cluster, w->s->generation, &ring, term, nid[i], author, bytes);
		ck_assert_int_eq(crypto_sign(seed, SIGN_PROMISE, bytes, sizeof(bytes), p.sig), 0);
		v[i] = w_blob(w, &schema_promise, &p);
	}
	b.promises = (struct blobs){ v, n };
	if (wraps)
		b.wraps = *wraps;
	return w_blob(w, &schema_e_term, &b);
}

/* The server on nid takes the next term with all voters' promises and a fresh key for everybody. */
W int w_term(struct world *w, u32 nid)
{
	static const u8 key[CRYPTO_KEY] = { 9 };
	struct blobs wraps;
	u32 keygen = w->s->keygen + 1;

	ck_assert_int_eq(state_make_wraps(w->s, keygen, key, 0, &w->arena, &wraps), 0);
	w->author = nid;
	w->term++;
	return w_verify_put(w, ENTRY_TERM,
			    w_term_body(w, w->term, nid, keygen, &wraps, w->s->voters[0].nid, w->s->voters[0].n));
}

/* 0: this node (its manager, its server) gets the key that the entry brings. */
W int w_unwrap(struct world *w, const struct entry *e, u32 nid, enum msg_role role, u8 ret[CRYPTO_KEY])
{
	u8 wrap[CRYPTO_WRAP], info[64], seed[CRYPTO_SEED];
	size_t n;
	u32 keygen;
	int rc = state_find_wrap(w->s, e, nid, role, &keygen, wrap, info, &n);

	if (rc)
		return rc;
	ck_assert_uint_le(n, sizeof(info));
	w_seed2(w_keys[nid], role == ROLE_SERVER ? "server_kem" : "kem", seed);
	return crypto_unwrap(seed, info, n, wrap, ret);
}

/* The server goes back from version `of`, unconfirmed in time. */
W int w_go_back(struct world *w, u64 of)
{
	struct body_e_policy b = { .back_of = of };

	return w_put(w, ENTRY_POLICY, w_blob(w, &schema_e_policy, &b));
}

/* --- reform ------------------------------------------------------------------------------------------- */

W void w_le32(u8 *p, u32 v)
{
	for (u32 i = 0; i < 4; i++)
		p[i] = (u8)(v >> 8 * i);
}

W struct blob w_reform_as(struct world *w, u32 generation, const struct body_s_reform *f, const char *signer)
{
	struct statement st;

	w_header(w, &st, ENTRY_REFORM, signer);
	st.signer = S_ROOT;
	st.expires_ms = 0;
	st.generation = generation;
	st.base = w->now;
	return w_sign(w, &st, signer, w_blob(w, &schema_s_reform, f));
}

/* One voter, who is the one server, on the end of this log. */
W struct blob w_reform(struct world *w, u32 generation, u32 nid)
{
	u8 one[4];
	struct body_s_reform f = { .new_generation = generation, .base_index = w->s->applied, .next_nid = w->s->next_nid,
				   .voters = { one, 4 }, .servers = { one, 4 } };

	w_le32(one, nid);
	memcpy(f.base_hash, w->prev, sizeof(f.base_hash));
	return w_reform_as(w, generation, &f, "root");
}

/* The entry that a REFORM statement becomes; e points into the arena. */
W struct blob w_reform_entry(struct world *w, struct blob statement, struct entry *e)
{
	struct statement st;
	struct blob ret;
	struct wbuf b;

	ck_assert_int_eq(statement_open(&st, statement.p, statement.n), 0);
	wbuf_init(&b, ENTRY_MAX);
	ck_assert_msg(reform_entry(&st, w->s->term, &b, &w->err) == 0, "%s", w->err.text);
	ret = w_keep(w, &b);
	ck_assert_int_eq(entry_decode(e, ret.p, ret.n), 0);
	return ret;
}

W int w_reform_put(struct world *w, struct blob statement, bool verify)
{
	struct entry e;
	struct blob bytes = w_reform_entry(w, statement, &e);
	int rc = 0;

	memset(&w->err, 0, sizeof(w->err));
	if (verify)
		rc = state_verify_entry(w->s, &e, &w->err);
	if (rc)
		return rc;
	w->log[e.index - 1] = bytes;
	return w_apply(w, &e);
}

/* --- life --------------------------------------------------------------------------------------------- */

W void w_genesis(struct world *w, struct genesis *g, struct body_operator ops[3])
{
	static const struct { const char *name; u32 roles; } who[3] = {
		{ "alice", OP_ALL }, { "paula", OP_POLICY }, { "vera", OP_VERDICT },
	};

	memset(g, 0, sizeof(*g));
	snprintf(g->cluster, sizeof(g->cluster), "demo");
	w_pub("root", g->root);
	g->request[0] = 0xee;
	g->wall_ms = w->now;
	for (u32 i = 0; i < 3; i++) {
		memset(&ops[i], 0, sizeof(ops[i]));
		snprintf(ops[i].name, sizeof(ops[i].name), "%s", who[i].name);
		w_pub(who[i].name, ops[i].pub);
		ops[i].roles = who[i].roles;
	}
	g->operators = ops;
	g->n_operators = 3;
	w_describe(w, &g->node, "n1", "n1", NODE_MEMBER | NODE_VOTER | NODE_SERVER);
}

W int w_genesis_bytes(struct world *w, const struct genesis *g, struct wbuf *b)
{
	u8 root[CRYPTO_SEED], server[CRYPTO_SEED];

	w_seed("root", root);
	w_seed2("n1", "server_sign", server);
	memset(&w->err, 0, sizeof(w->err));
	return genesis_make(g, statement_sign_seed, root, statement_sign_seed, server, b, &w->err);
}

W struct world *w_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct body_operator ops[3];
	struct genesis g;
	struct entry e;
	struct wbuf b;

	ck_assert_ptr_nonnull(w);
	arena_init(&w->arena, 512 << 20);
	memset(w_keys, 0, sizeof(w_keys));
	w_keys[1] = "n1";
	w->now = 1700000000000;
	w->n_request = 1;
	w->author = 1;
	w->s = state_new();
	ck_assert_ptr_nonnull(w->s);
	w_genesis(w, &g, ops);
	wbuf_init(&b, ENTRY_MAX);
	ck_assert_msg(w_genesis_bytes(w, &g, &b) == 0, "%s", w->err.text);
	ck_assert_int_eq(genesis_root_hash(g.root, w->genesis_root), 0);
	ck_assert_msg(genesis_verify(b.data, b.len, w->genesis_root, w->s, &w->err) == 0, "%s", w->err.text);
	ck_assert_int_eq(entry_decode(&e, b.data, b.len), 0);
	memcpy(w->prev, e.hash, sizeof(w->prev));
	w->log[0] = w_keep(w, &b);
	ck_assert_msg(w_term(w, 1) == 0, "%s %s", w->err.text, w->res.text);
	return w;
}

W const u32 w_all3[] = { 1, 2, 3 };

/* n1 voter and server, n2 and n3 too: the demo's shape, with one server more. */
W struct world *w_three(void)
{
	struct world *w = w_new();

	ck_assert_uint_eq(w_join(w, "n2", "n2", NODE_MEMBER | NODE_VOTER | NODE_SERVER), 2);
	ck_assert_uint_eq(w_join(w, "n3", "n3", NODE_MEMBER | NODE_VOTER | NODE_SERVER), 3);
	return w;
}

W void w_free(struct world *w)
{
	state_free(w->s);
	arena_fini(&w->arena);
	free(w);
}

W void w_save(const struct state *s, struct wbuf *b)
{
	wbuf_init(b, 8 << 20);
	ck_assert_int_eq(state_save(s, b), 0);
}

W void w_digest(const struct state *s, u8 ret[CRYPTO_HASH])
{
	ck_assert_int_eq(state_digest(s, ret), 0);
}

#undef W
#endif
