/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Terms in the state, and the group keys that come with them and with verdicts. */
#include "tests/unit/gcs_world.h"

START_TEST(group_keys_reach_members)
{
	struct world *w = w_three();
	static const u8 key[CRYPTO_KEY] = { 5, 6 };
	struct body_e_groupkey b = { .keygen = w->s->keygen + 1 };
	struct entry e;
	u8 got[CRYPTO_KEY];
	struct blob body;

	ck_assert_int_eq(state_make_wraps(w->s, b.keygen, key, 0, &w->arena, &b.wraps), 0);
	ck_assert_uint_eq(b.wraps.n, 6);
	body = w_blob(w, &schema_e_groupkey, &b);
	w_entry(w, &e, ENTRY_GROUPKEY, body.p, body.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), 0);
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert_uint_eq(w->res.changed, CHANGED_KEY);
	ck_assert_uint_eq(w->s->keygen, b.keygen);
	for (u32 nid = 1; nid <= 3; nid++) {
		ck_assert_int_eq(w_unwrap(w, &e, nid, ROLE_MANAGER, got), 0);
		ck_assert_mem_eq(got, key, sizeof(key));
		ck_assert_int_eq(w_unwrap(w, &e, nid, ROLE_SERVER, got), 0);
		ck_assert_mem_eq(got, key, sizeof(key));
	}
	ck_assert_int_eq(w_unwrap(w, &e, 4, ROLE_MANAGER, got), -DSI_ENOENT);
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, body), -DSI_ESTALE);
	w_free(w);
}
END_TEST

START_TEST(verdict_brings_the_next_key)
{
	struct world *w = w_three();
	static const u8 key[CRYPTO_KEY] = { 7 };
	u32 keygen = w->s->keygen + 1;
	struct blobs wraps;
	struct blob body;
	struct entry e;
	u8 got[CRYPTO_KEY];

	ck_assert_int_eq(state_make_wraps(w->s, keygen, key, 2, &w->arena, &wraps), 0);
	ck_assert_uint_eq(wraps.n, 4);
	body = w_body(w, w_verdict(w, "vera", 2), keygen, &wraps);
	w_entry(w, &e, ENTRY_VERDICT, body.p, body.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), 0);
	ck_assert_int_eq(w_unwrap(w, &e, 3, ROLE_MANAGER, got), 0); /* already at delivery */
	ck_assert_int_eq(w_unwrap(w, &e, 2, ROLE_MANAGER, got), -DSI_ENOENT);
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert(w->res.changed & CHANGED_KEY);
	ck_assert_uint_eq(w->s->keygen, keygen);
	ck_assert_int_eq(w_unwrap(w, &e, 3, ROLE_MANAGER, got), 0);
	ck_assert_mem_eq(got, key, sizeof(key));
	ck_assert_uint_eq(state_node(w->s, 2)->status, NODE_REVOKED);
	w_free(w);
}
END_TEST

START_TEST(unwrappable_member_does_not_stop_the_key)
{
	struct world *w = w_three();
	static const u8 key[CRYPTO_KEY] = { 7 };
	struct blobs wraps;

	memset(w->s->node[1].kem, 0, 32); /* the all-zero point: X25519 gives zero with everybody */
	ck_assert_int_eq(state_make_wraps(w->s, 9, key, 0, &w->arena, &wraps), 0);
	ck_assert_uint_eq(wraps.n, 5);
	w_free(w);
}
END_TEST

START_TEST(term_needs_promises)
{
	struct world *w = w_three();
	static const u32 one[] = { 1 }, two[] = { 1, 3 };
	struct entry e;
	struct blob b;

	w->author = 2;
	w->term = 2;
	b = w_term_body(w, 2, 2, 0, NULL, one, 1);
	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EQUORUM);
	w_expect_text(w, "promises of 1 of 3 voters; a majority is 2");
	b = w_term_body(w, 3, 2, 0, NULL, two, 2); /* promises of another term */
	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ESIG);
	b = w_term_body(w, 2, 3, 0, NULL, two, 2); /* promised to another server */
	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ESIG);
	b = w_term_body(w, 2, 2, 0, NULL, (const u32[]){ 1, 1 }, 2); /* one voter counted twice */
	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EPARSE);
	b = w_term_body(w, 2, 2, 0, NULL, two, 2);
	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), 0);
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert_uint_eq(w->s->active_nid, 2);
	ck_assert_uint_eq(w->res.changed, CHANGED_TERM); /* no key came with it */
	w->author = 1; /* the one before writes on */
	w->term = 1;
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), -DSI_EROLE);
	w->term = 2;
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), -DSI_EROLE);
	w->author = 2;
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	ck_assert_int_eq(w_put(w, ENTRY_TERM, b), -DSI_ESTALE);
	w_free(w);
}
END_TEST

LIB_TESTS("gcs_state_term", group_keys_reach_members, verdict_brings_the_next_key,
	  unwrappable_member_does_not_stop_the_key, term_needs_promises)
