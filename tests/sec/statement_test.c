/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: the active server is compromised. It holds its own keys, may order what it likes, sees and keeps every
 * statement that ever was, and lies about time. It wants the cluster to do what no operator signed: a policy, a
 * revocation of the honest, a vote for its friend, a token. Or: somebody with an operator's key of a small role
 * wants more; somebody has the statement of another cluster, or of yesterday.
 *
 * Expected: each refused by everybody alike, nothing but `applied` moves, and what is refused is never taken later.
 */
#include "tests/unit/gcs_world.h"

/* Digest without `applied` and without used-up requests: what an attack must not change. */
static void essence(const struct world *w, u8 ret[32])
{
	struct state *c = state_clone(w->s);

	c->applied = 0;
	c->n_request = 0;
	w_digest(c, ret);
	state_free(c);
}

#define REFUSED(w, attack, code)                                                                       \
	do {                                                                                           \
		u8 before_[32], after_[32];                                                            \
		essence(w, before_);                                                                   \
		ck_assert_int_eq(attack, code);                                                        \
		essence(w, after_);                                                                    \
		ck_assert_mem_eq(before_, after_, 32);                                                 \
	} while (0)

START_TEST(forged_operator)
{
	struct world *w = w_three();
	struct body_s_policy p = w_policy_body(w, "evil", 0);
	struct statement st;
	struct blob s;

	/* a key of his own */
	REFUSED(w, w_order(w, w_policy(w, "mallory", "evil", 0)), -DSI_EAUTH);
	REFUSED(w, w_check(w, w_policy(w, "mallory", "evil", 0), NULL, 0), -DSI_EAUTH);
	/* alice's public key over his signature */
	w_header(w, &st, ENTRY_POLICY, "alice");
	s = w_sign(w, &st, "mallory", w_blob(w, &schema_s_policy, &p));
	ck_assert_int_eq(statement_open(&st, s.p, s.n), -DSI_ESIG);
	const struct body_e_statement e = { s };

	REFUSED(w, w_put(w, ENTRY_POLICY, w_blob(w, &schema_e_policy, &(struct body_e_policy){ .statement = s })), -DSI_ESIG);
	REFUSED(w, w_put(w, ENTRY_REMOVE, w_blob(w, &schema_e_statement, &e)), -DSI_ESIG);
	/* the server's and the root's own keys are no operators */
	REFUSED(w, w_order(w, w_policy(w, "n1/server_sign", "evil", 0)), -DSI_EAUTH);
	REFUSED(w, w_order(w, w_policy(w, "n1/sign", "evil", 0)), -DSI_EAUTH);
	w_header(w, &st, ENTRY_POLICY, "root");
	REFUSED(w, w_order(w, w_sign(w, &st, "root", w_blob(w, &schema_s_policy, &p))), -DSI_EAUTH);
	w_header(w, &st, ENTRY_POLICY, "alice");
	st.signer = S_TOKEN;
	REFUSED(w, w_order(w, w_sign(w, &st, "alice", w_blob(w, &schema_s_policy, &p))), -DSI_EAUTH);
	w_free(w);
}
END_TEST

START_TEST(wrong_role)
{
	struct world *w = w_three();
	static const u16 nodes[] = { ENTRY_VOTER_REMOVE, ENTRY_REMOVE, ENTRY_READMIT, ENTRY_VOTER_ADD };
	struct token t;

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++) {
		REFUSED(w, w_order(w, w_node_op(w, nodes[i], "vera", 2)), -DSI_EAUTH);
		REFUSED(w, w_order(w, w_node_op(w, nodes[i], "paula", 2)), -DSI_EAUTH);
	}
	REFUSED(w, w_order(w, w_policy(w, "vera", "p", 0)), -DSI_EAUTH);
	REFUSED(w, w_order(w, w_verdict(w, "paula", 2)), -DSI_EAUTH);
	REFUSED(w, w_order(w, w_node_op(w, ENTRY_DEPOSE, "paula", 2)), -DSI_EAUTH);
	w_token(w, &t, "vera", "n9", "t9", NODE_MEMBER, w->now + 1000);
	REFUSED(w, w_order(w, (struct blob){ t.statement, t.statement_len }), -DSI_EAUTH);
	ck_assert_int_eq(w_check(w, w_verdict(w, "paula", 2), NULL, 0), -DSI_EAUTH);
	ck_assert_msg(strstr(w->err.text, "operator paula does not have the role \"verdict\""), "%s", w->err.text);
	w_free(w);
}
END_TEST

START_TEST(server_authors_by_itself)
{
	struct world *w = w_three();
	static const u16 types[] = { ENTRY_TOKEN, ENTRY_VOTER_REMOVE, ENTRY_VERDICT, ENTRY_WITHDRAW, ENTRY_READMIT,
				     ENTRY_REMOVE, ENTRY_DEPOSE, ENTRY_REFORM, ENTRY_CONFIRM, ENTRY_GENESIS };
	struct body_e_policy back = { .back_of = 1 };

	/* empty statements */
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		const struct body_e_statement e = { 0 };
		const struct body_e_verdict v = { 0 };
		struct blob b = types[i] == ENTRY_VERDICT ? w_blob(w, &schema_e_verdict, &v) : w_blob(w, &schema_e_statement, &e);

		REFUSED(w, w_put(w, types[i], b), -DSI_EUNSIGNED);
	}
	/* a policy, dressed as a way back that nobody signed */
	REFUSED(w, w_put(w, ENTRY_POLICY, w_blob(w, &schema_e_policy, &back)), -DSI_ECONFLICT);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "good", 0)), 0);
	REFUSED(w, w_put(w, ENTRY_POLICY, w_blob(w, &schema_e_policy, &back)), -DSI_EAUTH);
	/* the way back before its time */
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "better", 60)), 0);
	back.back_of = 2;
	REFUSED(w, w_put(w, ENTRY_POLICY, w_blob(w, &schema_e_policy, &back)), -DSI_EAUTH);
	/* verify alone, at delivery, stops those that no one signed too: they are not even acknowledged */
	const struct body_e_statement none = { 0 };
	struct blob b = w_blob(w, &schema_e_statement, &none);
	struct entry e;

	w_entry(w, &e, ENTRY_DEPOSE, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EUNSIGNED);
	w_free(w);
}
END_TEST

START_TEST(statement_in_another_entry)
{
	struct world *w = w_three();
	struct blob s = w_node_op(w, ENTRY_WITHDRAW, "vera", 2);
	const struct body_e_statement e = { s };

	/* vera withdrew; the server makes it a removal */
	REFUSED(w, w_put(w, ENTRY_REMOVE, w_blob(w, &schema_e_statement, &e)), -DSI_EAUTH);
	REFUSED(w, w_put(w, ENTRY_DEPOSE, w_blob(w, &schema_e_statement, &e)), -DSI_EAUTH);
	/* one that signs a policy does not sign a group key or a term with it */
	s = w_policy(w, "alice", "p", 0);
	REFUSED(w, w_put(w, ENTRY_GROUPKEY, s), -DSI_EPARSE);
	w_free(w);
}
END_TEST

START_TEST(replayed_stale_foreign)
{
	struct world *w = w_three();
	struct blob remove4, add, p;
	struct body_s_node_op op = { .nid = 2, .name = "n2" };
	struct statement st;

	/* the same vote given twice: once taken away, it does not come back by replay */
	w_join(w, "n4", "n4", NODE_MEMBER);
	add = w_node_op(w, ENTRY_VOTER_ADD, "alice", 4);
	ck_assert_int_eq(w_order(w, add), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 4)), 0);
	REFUSED(w, w_order(w, add), -DSI_EREPLAY);
	ck_assert_int_eq(w_check(w, add, NULL, 0), -DSI_EREPLAY);
	/* one that was refused is used up: not kept for a better moment */
	p = w_policy(w, "alice", "one", 0);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "other", 0)), 0);
	REFUSED(w, w_order(w, p), -DSI_ECONFLICT);
	REFUSED(w, w_order(w, p), -DSI_EREPLAY);
	/* yesterday's */
	remove4 = w_node_op(w, ENTRY_REMOVE, "alice", 4);
	w->now += 600001;
	REFUSED(w, w_order(w, remove4), -DSI_EEXPIRED);
	w->now -= 600001;
	REFUSED(w, w_order(w, remove4), -DSI_EREPLAY); /* nor with the clock turned back */
	/* of nobody's day */
	w_header(w, &st, ENTRY_REMOVE, "alice");
	st.expires_ms = 0;
	REFUSED(w, w_order(w, w_sign(w, &st, "alice", w_blob(w, &schema_s_node_op, &op))), -DSI_EINVAL);
	/* of another cluster, another generation */
	w_header(w, &st, ENTRY_REMOVE, "alice");
	st.cluster[0] ^= 1;
	REFUSED(w, w_order(w, w_sign(w, &st, "alice", w_blob(w, &schema_s_node_op, &op))), -DSI_ECLUSTER);
	w_header(w, &st, ENTRY_REMOVE, "alice");
	st.generation = 2;
	REFUSED(w, w_order(w, w_sign(w, &st, "alice", w_blob(w, &schema_s_node_op, &op))), -DSI_ESTALE);
	w_free(w);
}
END_TEST

START_TEST(reform_by_an_operator)
{
	struct world *w = w_three();
	u8 one[4] = { 1 };
	struct body_s_reform f = { .new_generation = 2, .base_index = w->s->applied, .next_nid = 4,
				   .voters = { one, 4 }, .servers = { one, 4 } };
	struct statement st;
	struct blob s;

	w_header(w, &st, ENTRY_REFORM, "alice");
	st.generation = 2;
	s = w_sign(w, &st, "alice", w_blob(w, &schema_s_reform, &f));
	ck_assert_int_eq(w_check(w, s, NULL, 0), -DSI_EAUTH);
	REFUSED(w, w_order(w, s), -DSI_EAUTH);
	w_header(w, &st, ENTRY_REFORM, "alice");
	st.generation = 2;
	st.signer = S_ROOT; /* says it is the root */
	s = w_sign(w, &st, "alice", w_blob(w, &schema_s_reform, &f));
	ck_assert_int_eq(w_check(w, s, NULL, 0), -DSI_EAUTH);
	w_free(w);
}
END_TEST

/* A server, in office or out of it, has no say in generations; nor has a reform that was there already. */
START_TEST(reform_by_a_server)
{
	struct world *w = w_three();
	struct blob s = w_reform(w, 2, 3), old, body;
	struct entry e;
	u8 seed[32];

	/* the root's statement, with the server's own place, time and signature */
	body = w_body(w, s, 0, NULL);
	w->s->generation = 2;
	w_entry(w, &e, ENTRY_REFORM, body.p, body.n);
	w->s->generation = 1;
	ck_assert_int_ne(state_verify_entry(w->s, &e, &w->err), 0);
	REFUSED(w, w_put(w, ENTRY_REFORM, body), -DSI_ESIG);
	/* a key of its own over a reform that makes it the only voter */
	w = (w_free(w), w_three());
	u8 one[4] = { 1 };
	struct body_s_reform f = { .new_generation = 2, .base_index = w->s->applied, .next_nid = 4,
				   .voters = { one, 4 }, .servers = { one, 4 } };

	memcpy(f.base_hash, w->prev, 32);
	REFUSED(w, w_reform_put(w, w_reform_as(w, 2, &f, "n1/server_sign"), true), -DSI_EAUTH);
	/* the root's signature over something else */
	old = w_reform(w, 2, 3);
	s = w_reform_entry(w, old, &e);
	w_seed("n1/server_sign", seed);
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENTRY, e.hash, 32, e.sig), 0);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ESIG);
	/* replayed: on the log it made, on another log, after the next generation */
	ck_assert_int_eq(w_reform_put(w, old, true), 0);
	ck_assert_uint_eq(w->s->generation, 2);
	REFUSED(w, w_check(w, old, NULL, 0), -DSI_EREPLAY);
	ck_assert_int_eq(entry_decode(&e, s.p, s.n), 0);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ESTALE);
	w->author = 3;
	ck_assert_int_eq(w_term(w, 3), 0);
	ck_assert_int_eq(w_reform_put(w, w_reform(w, 3, 3), true), 0);
	REFUSED(w, w_check(w, old, NULL, 0), -DSI_EREPLAY);
	REFUSED(w, w_check(w, w_reform(w, 2, 1), NULL, 0), -DSI_ESTALE);
	w_free(w);
	/* in a log that went on from its base */
	w = w_three();
	old = w_reform(w, 2, 3);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "p", 0)), 0);
	w_reform_entry(w, old, &e);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ECONFLICT);
	REFUSED(w, w_check(w, old, NULL, 0), -DSI_ECONFLICT);
	w_free(w);
}
END_TEST

/* Not the server in office, not a server at all, another's signature, another cluster's entry. */
START_TEST(entry_by_others)
{
	struct world *w = w_three();
	struct entry e;
	u8 seed[32];

	w_join(w, "n4", "n4", NODE_MEMBER);
	w_entry(w, &e, ENTRY_NOP, NULL, 0);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), 0);
	e.author_role = ROLE_MANAGER;
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EROLE);
	e.author_role = ROLE_SERVER;
	e.author_nid = 2;
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ESIG);
	e.author_nid = 4;
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EAUTH);
	e.author_nid = 99;
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EAUTH);
	e.author_nid = 1;
	w_seed("n1/sign", seed); /* the manager's key instead of the server's */
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENTRY, e.hash, 32, e.sig), 0);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ESIG);
	e.cluster[3] ^= 1;
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ECLUSTER);
	e.cluster[3] ^= 1;
	e.generation = 2;
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_ESTALE);
	e.generation = 1;
	e.type = ENTRY_GENESIS;
	ck_assert_int_ne(state_verify_entry(w->s, &e, &w->err), 0);
	e.type = 200;
	w_seed("n1/server_sign", seed);
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENTRY, e.hash, 32, e.sig), 0);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EVERSION);
	w_free(w);
}
END_TEST

/* Bodies with anything in them: applied as refusals, never more, under ASan. */
START_TEST(mangled_bodies)
{
	struct world *w = w_three();
	struct blob s = w_body(w, w_verdict(w, "vera", 2), 0, NULL);
	u8 *p = arena_alloc(&w->arena, s.n);
	u32 same = 0;

	for (size_t i = 0; i < s.n; i++) {
		struct state *c = state_clone(w->s);
		struct state_result res;
		struct entry e;

		memcpy(p, s.p, s.n);
		p[i] ^= 0x10;
		w_entry(w, &e, ENTRY_VERDICT, p, s.n);
		ck_assert_int_eq(state_apply(c, &e, &res), 0);
		if (!res.code) /* what the server adds, its key number, is not the operator's: no key comes of it */
			ck_assert(++same <= 4 && c->keygen == w->s->keygen && !(res.changed & CHANGED_KEY));
		state_free(c);
		ck_assert_int_ne(w_put(w, ENTRY_VERDICT, (struct blob){ s.p, i }), 0);
	}
	ck_assert(state_nid_live(w->s, 2));
	for (u16 type = 1; type < ENTRY_TYPE_MAX; type++)
		if (type != ENTRY_VERDICT)
			ck_assert_int_ne(w_put(w, type, s), 0);
	ck_assert_int_eq(w_put(w, ENTRY_VERDICT, s), 0);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sec_statement");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, forged_operator);
	tcase_add_test(t, wrong_role);
	tcase_add_test(t, server_authors_by_itself);
	tcase_add_test(t, statement_in_another_entry);
	tcase_add_test(t, replayed_stale_foreign);
	tcase_add_test(t, reform_by_an_operator);
	tcase_add_test(t, reform_by_a_server);
	tcase_add_test(t, entry_by_others);
	tcase_add_test(t, mangled_bodies);
	suite_add_tcase(s, t);
	return check_main(s);
}
