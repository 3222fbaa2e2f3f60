/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry 1: what init makes, newcomers accept; nothing else passes for it. */
#include "tests/unit/gcs_world.h"

static struct world *blank(void)
{
	struct world *w = calloc(1, sizeof(*w));

	ck_assert_ptr_nonnull(w);
	arena_init(&w->arena, 64 << 20);
	w->now = 1700000000000;
	w->s = state_new();
	return w;
}

static int try_make(struct world *w, const struct genesis *g)
{
	struct wbuf b;
	int rc;

	wbuf_init(&b, ENTRY_MAX);
	rc = w_genesis_bytes(w, g, &b);
	wbuf_fini(&b);
	return rc;
}

START_TEST(made_is_accepted)
{
	struct world *w = blank();
	struct body_operator ops[3];
	struct genesis g;
	struct wbuf b, again;
	u8 hash[32];

	w_genesis(w, &g, ops);
	wbuf_init(&b, ENTRY_MAX);
	wbuf_init(&again, ENTRY_MAX);
	ck_assert_int_eq(w_genesis_bytes(w, &g, &b), 0);
	ck_assert_int_eq(w_genesis_bytes(w, &g, &again), 0);
	ck_assert_uint_eq(b.len, again.len);
	ck_assert_mem_eq(b.data, again.data, b.len); /* the same record, the same bytes */
	ck_assert_int_eq(genesis_root_hash(g.root, hash), 0);
	ck_assert_int_eq(genesis_verify(b.data, b.len, hash, w->s, &w->err), 0);
	ck_assert_mem_eq(w->s->cluster, hash, 16);
	ck_assert_str_eq(w->s->op[1].name, "paula");
	ck_assert_uint_eq(w->s->op[1].roles, OP_POLICY);
	ck_assert_uint_eq(w->s->applied, 1);
	ck_assert_int_ne(genesis_verify(b.data, b.len, hash, w->s, &w->err), 0); /* once */
	struct state *s = state_new();

	hash[0] ^= 1;
	ck_assert_int_eq(genesis_verify(b.data, b.len, hash, s, &w->err), -DSI_ECLUSTER);
	state_free(s);
	s = state_new();
	ck_assert_int_eq(genesis_verify(b.data, b.len, NULL, s, &w->err), 0);
	state_free(s);
	wbuf_fini(&b);
	wbuf_fini(&again);
	w_free(w);
}
END_TEST

START_TEST(every_cut_and_flip_is_refused)
{
	struct world *w = blank();
	struct body_operator ops[3];
	struct genesis g;
	struct wbuf b;
	u8 hash[32];

	w_genesis(w, &g, ops);
	wbuf_init(&b, ENTRY_MAX);
	ck_assert_int_eq(w_genesis_bytes(w, &g, &b), 0);
	ck_assert_int_eq(genesis_root_hash(g.root, hash), 0);
	for (size_t i = 0; i < b.len; i++) {
		u8 *cut = malloc(i ? i : 1);

		memcpy(cut, b.data, i);
		ck_assert_int_ne(genesis_verify(cut, i, hash, w->s, &w->err), 0);
		free(cut);
		b.data[i] ^= 1;
		ck_assert_int_ne(genesis_verify(b.data, b.len, hash, w->s, &w->err), 0);
		b.data[i] ^= 1;
		ck_assert_uint_eq(w->s->applied, 0);
	}
	ck_assert_int_eq(genesis_verify(b.data, b.len, hash, w->s, &w->err), 0);
	wbuf_fini(&b);
	w_free(w);
}
END_TEST

/* Never handed out in the first place. */
START_TEST(not_made)
{
	struct world *w = blank();
	struct body_operator ops[3];
	struct genesis g;

	w_genesis(w, &g, ops);
	ck_assert_int_eq(try_make(w, &g), 0);
	snprintf(g.cluster, sizeof(g.cluster), "My Cluster");
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	g.n_operators = 0;
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	memcpy(ops[1].pub, ops[0].pub, 32);
	ck_assert_int_eq(try_make(w, &g), -DSI_EEXIST);
	w_genesis(w, &g, ops);
	memcpy(ops[1].pub, g.root, 32);
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	ops[2].roles = 8;
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	snprintf(ops[2].name, sizeof(ops[2].name), "ve\x1bra");
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	g.node.roles = NODE_MEMBER | NODE_SERVER;
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	memset(g.node.kem, 0, 32);
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	memcpy(g.node.kem, g.node.sign, 32);
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	g.node.addrs.n = 0;
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	snprintf(g.node.direct, sizeof(g.node.direct), "10.0.0.1");
	ck_assert_int_eq(try_make(w, &g), -DSI_EINVAL);
	w_genesis(w, &g, ops);
	memcpy(g.root, ops[0].pub, 32); /* not the key that signs */
	ck_assert_int_eq(try_make(w, &g), -DSI_ESIG);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_genesis");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, made_is_accepted);
	tcase_add_test(t, every_cut_and_flip_is_refused);
	tcase_add_test(t, not_made);
	suite_add_tcase(s, t);
	return check_main(s);
}
