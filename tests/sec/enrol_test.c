/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: somebody wants in who was not invited. He has watched a whole enrolment, byte for byte, and replays it;
 * or sits between newcomer and server; or holds a token for another name, an expired one, a used one; or was thrown
 * out and comes back with the key he had. Or he holds a server and wants a friend to vote.
 *
 * Expected: refused with the reason, at the server (state_check_enrol) and again by every member when applied.
 */
#include "tests/unit/gcs_world.h"

static const u8 session[CRYPTO_HASH] = { 1, 2, 3 }, other_session[CRYPTO_HASH] = { 9 };
enum { MV = NODE_MEMBER | NODE_VOTER };

static void give(struct world *w, struct token *t, const char *name, const char *label, u32 roles)
{
	w_token(w, t, "alice", name, label, roles, w->now + 60000);
	ck_assert_int_eq(w_order(w, (struct blob){ t->statement, t->statement_len }), 0);
}

static int at_server(struct world *w, struct blob rq, const u8 exporter[CRYPTO_HASH])
{
	memset(&w->err, 0, sizeof(w->err));
	return state_check_enrol(w->s, rq.p, rq.n, exporter, w->now, &w->err);
}

static int applied(struct world *w, struct blob rq)
{
	return w_put(w, ENTRY_ENROL, w_enrol_body(w, rq));
}

/* Both doors. */
static void refused(struct world *w, struct blob rq, int code)
{
	u32 n = w->s->n_node;

	ck_assert_int_eq(at_server(w, rq, session), code);
	ck_assert_int_eq(applied(w, rq), code);
	ck_assert_uint_eq(w->s->n_node, n);
}

START_TEST(invited)
{
	struct world *w = w_three();
	struct token t;
	struct blob rq;

	give(w, &t, "n4", "t4", MV);
	rq = w_request(w, &t, "n4", "n4", MV, session);
	ck_assert_msg(at_server(w, rq, session) == 0, "%s", w->err.text);
	ck_assert_int_eq(applied(w, rq), 0);
	ck_assert_uint_eq(w->res.nid, 4);
	ck_assert_uint_eq(w->res.changed, CHANGED_NODES | CHANGED_TOKENS);
	ck_assert_uint_eq(w->s->next_nid, 5);
	ck_assert_mem_eq(state_node(w->s, 4)->token, t.said.token, 16);
	w_free(w);
}
END_TEST

START_TEST(whole_enrolment_replayed)
{
	struct world *w = w_three();
	struct token t;
	struct blob rq;

	give(w, &t, "n4", "t4", MV);
	rq = w_request(w, &t, "n4", "n4", MV, session);
	/* before the true one arrives: another session has another exporter */
	ck_assert_int_eq(at_server(w, rq, other_session), -DSI_EREPLAY);
	ck_assert_int_eq(applied(w, rq), 0);
	w_keys[4] = "n4";
	/* after it: the token is used, in whatever session */
	refused(w, rq, -DSI_EREPLAY);
	refused(w, w_request(w, &t, "n4", "n4 other keys", MV, session), -DSI_EREPLAY);
	/* after the node left again, and its name is free: still used */
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_REMOVE, "alice", 4)), 0);
	refused(w, rq, -DSI_EREPLAY);
	/* after the token is forgotten: no such token; its statement counts once */
	ck_assert_int_eq(w_order(w, (struct blob){ t.statement, t.statement_len }), -DSI_EREPLAY);
	w_free(w);
}
END_TEST

/* A man in the middle has two sessions with two exporters; he can only hand on what was signed for his own. */
START_TEST(man_in_the_middle)
{
	struct world *w = w_three();
	struct body_e_enrol b;
	struct token t;
	struct blob rq;

	give(w, &t, "n4", "t4", MV);
	rq = w_request(w, &t, "n4", "n4", MV, other_session); /* signed for the session with him */
	ck_assert_int_eq(at_server(w, rq, session), -DSI_EREPLAY);
	ck_assert_int_eq(body_decode(&schema_e_enrol, rq.p, rq.n, &b, &w->arena), 0);
	memcpy(b.exporter, session, 32); /* so he writes his own */
	refused(w, w_blob(w, &schema_e_enrol, &b), -DSI_ESIG);
	/* the node's own key, with the token's signature left as it was */
	struct body_node node;

	w_describe(w, &node, "n4", "mallory", MV);
	memcpy(b.exporter, other_session, 32);
	b.node = w_blob(w, &schema_node, &node);
	ck_assert_int_eq(at_server(w, w_blob(w, &schema_e_enrol, &b), other_session), -DSI_ESIG);
	w_free(w);
}
END_TEST

START_TEST(key_not_held)
{
	struct world *w = w_three();
	struct body_node node;
	struct body_e_enrol b;
	struct token t;
	struct blob rq;
	u8 seed[32];
	struct wbuf out;

	give(w, &t, "n4", "t4", MV);
	w_describe(w, &node, "n4", "n4", MV);
	w_seed("mallory", seed); /* signs as the node, without its key */
	wbuf_init(&out, LIM_ENTRY_BODY);
	ck_assert_int_eq(token_enrol(&t, &node, session, statement_sign_seed, seed, &out, &w->err), 0);
	refused(w, (struct blob){ out.data, out.len }, -DSI_ESIG);
	wbuf_fini(&out);
	/* signatures swapped, zero */
	rq = w_request(w, &t, "n4", "n4", MV, session);
	ck_assert_int_eq(body_decode(&schema_e_enrol, rq.p, rq.n, &b, &w->arena), 0);
	u8 tmp[64];

	memcpy(tmp, b.node_sig, 64);
	memcpy(b.node_sig, b.token_sig, 64);
	memcpy(b.token_sig, tmp, 64);
	refused(w, w_blob(w, &schema_e_enrol, &b), -DSI_ESIG);
	memset(b.token_sig, 0, 64);
	refused(w, w_blob(w, &schema_e_enrol, &b), -DSI_ESIG);
	w_free(w);
}
END_TEST

START_TEST(token_for_another_name)
{
	struct world *w = w_three();
	struct token t;
	struct blob rq;

	give(w, &t, "n4", "t4", MV);
	snprintf(t.said.name, sizeof(t.said.name), "n5"); /* the newcomer's copy says what he likes */
	rq = w_request(w, &t, "n5", "n5", MV, session);
	refused(w, rq, -DSI_EAUTH);
	w_free(w);
}
END_TEST

START_TEST(token_expired_unknown_void)
{
	struct world *w = w_three();
	struct token t, u;
	struct blob rq;

	give(w, &t, "n4", "t4", MV);
	rq = w_request(w, &t, "n4", "n4", MV, session);
	w->now += 60001;
	refused(w, rq, -DSI_EEXPIRED);
	w_token(w, &u, "alice", "n4", "never ordered", MV, w->now + 1000);
	refused(w, w_request(w, &u, "n4", "n4", MV, session), -DSI_EAUTH);
	/* one that is old when it is ordered */
	w_token(w, &u, "alice", "n4", "old", MV, w->now - 1);
	ck_assert_int_eq(w_order(w, (struct blob){ u.statement, u.statement_len }), -DSI_EEXPIRED);
	/* two for one name; the node is revoked: the second is void, before and after readmission */
	give(w, &t, "n4", "t4b", MV);
	give(w, &u, "n4", "t4c", MV);
	ck_assert_int_eq(applied(w, w_request(w, &t, "n4", "n4", MV, session)), 0);
	refused(w, w_request(w, &u, "n4", "n4 second", MV, session), -DSI_EEXIST);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 4)), 0);
	refused(w, w_request(w, &u, "n4", "n4 second", MV, session), -DSI_EREPLAY);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 4)), 0);
	refused(w, w_request(w, &u, "n4", "n4 second", MV, session), -DSI_EREPLAY);
	w_free(w);
}
END_TEST

START_TEST(more_roles_than_granted)
{
	struct world *w = w_three();
	struct token t;

	give(w, &t, "n4", "t4", NODE_MEMBER);
	t.said.roles = ~0u; /* in the newcomer's copy */
	refused(w, w_request(w, &t, "n4", "n4", MV, session), -DSI_EAUTH);
	refused(w, w_request(w, &t, "n4", "n4", NODE_MEMBER | NODE_SERVER, session), -DSI_EAUTH);
	refused(w, w_request(w, &t, "n4", "n4", NODE_MEMBER | 64, session), -DSI_EAUTH);
	ck_assert_int_eq(applied(w, w_request(w, &t, "n4", "n4", NODE_MEMBER, session)), 0);
	w_free(w);
}
END_TEST

START_TEST(old_key_comes_back)
{
	struct world *w = w_three();
	struct token t;
	struct body_node node, old;
	u8 seed[32];
	struct wbuf out;

	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 3)), 0);
	/* not even a token before an operator readmits the name */
	w_token(w, &t, "alice", "n3", "t3", MV, w->now + 1000);
	ck_assert_int_eq(w_order(w, (struct blob){ t.statement, t.statement_len }), -DSI_EREVOKED);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), -DSI_EEXIST);
	give(w, &t, "n3", "t3 again", MV);
	refused(w, w_request(w, &t, "n3", "n3", MV, session), -DSI_EREVOKED);
	/* one old key among new ones, in any place */
	w_describe(w, &old, "n3", "n3", NODE_MEMBER | NODE_SERVER);
	const u8 *keys[] = { old.sign, old.kem, old.server_sign, old.server_kem };

	for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
		w_describe(w, &node, "n3", "n3 new", MV);
		memcpy(node.kem, keys[i], 32);
		w_seed("n3 new/sign", seed);
		wbuf_init(&out, LIM_ENTRY_BODY);
		ck_assert_int_eq(token_enrol(&t, &node, session, statement_sign_seed, seed, &out, &w->err), 0);
		refused(w, (struct blob){ out.data, out.len }, -DSI_EREVOKED);
		wbuf_fini(&out);
	}
	/* another member's, the root's, the operator's, the token's own */
	u8 root[32], alice[32];

	w_pub("root", root);
	w_pub("alice", alice);
	const u8 *taken[] = { state_node(w->s, 1)->sign, root, alice, t.said.token_pub };

	for (u32 i = 0; i < ARRAY_SIZE(taken); i++) {
		w_describe(w, &node, "n3", "n3 new", MV);
		memcpy(node.kem, taken[i], 32);
		wbuf_init(&out, LIM_ENTRY_BODY);
		ck_assert_int_eq(token_enrol(&t, &node, session, statement_sign_seed, seed, &out, &w->err), 0);
		refused(w, (struct blob){ out.data, out.len }, -DSI_EREVOKED);
		wbuf_fini(&out);
	}
	/* all new: a new number, and the old one stays dead */
	ck_assert_int_eq(applied(w, w_request(w, &t, "n3", "n3 new", MV, session)), 0);
	ck_assert_uint_eq(w->res.nid, 4);
	ck_assert_int_eq(state_node(w->s, 3)->status, NODE_REVOKED);
	ck_assert(!state_nid_live(w->s, 3));
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), -DSI_EEXIST);
	w_free(w);
}
END_TEST

START_TEST(number_of_his_choice)
{
	struct world *w = w_three();
	struct body_e_enrol b;
	struct token t;
	struct blob rq;

	give(w, &t, "n4", "t4", MV);
	rq = w_request(w, &t, "n4", "n4", MV, session);
	ck_assert_int_eq(body_decode(&schema_e_enrol, rq.p, rq.n, &b, &w->arena), 0);
	static const u32 bad[] = { 0, 1, 3, 5, 0xffffffff };

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		b.nid = bad[i];
		ck_assert_int_eq(w_put(w, ENTRY_ENROL, w_blob(w, &schema_e_enrol, &b)), -DSI_ECONFLICT);
	}
	b.nid = 4; /* the newcomer does not choose it */
	ck_assert_int_eq(at_server(w, w_blob(w, &schema_e_enrol, &b), session), -DSI_ECONFLICT);
	w_free(w);
}
END_TEST

START_TEST(description_that_harms)
{
	struct world *w = w_three();
	static const char *direct[] = { "", "host", ":5407", "host:", "a b:1", "a\x1b[2J:1", "a\":1", "h:123456", "h:1x" };
	struct body_node node, good;
	struct token t;
	u8 seed[32];
	struct wbuf out;

	give(w, &t, "n4", "t4", MV);
	w_seed("n4/sign", seed);
	w_describe(w, &good, "n4", "n4", MV);
	struct blob six[6] = { good.addrs.v[0], good.addrs.v[0], good.addrs.v[0], good.addrs.v[0], good.addrs.v[0], good.addrs.v[0] };
	struct body_node first;

	w_describe(w, &first, "n1", "n1", MV);
	for (u32 i = 0; i < ARRAY_SIZE(direct) + 5; i++) {
		int code = -DSI_EINVAL;
		struct blob bad = { (const u8 *)"12345", 5 };

		node = good;
		if (i < ARRAY_SIZE(direct))
			snprintf(node.direct, sizeof(node.direct), "%s", direct[i]);
		else if (i == ARRAY_SIZE(direct))
			node.addrs = (struct blobs){ six, 6 };
		else if (i == ARRAY_SIZE(direct) + 1)
			node.addrs = (struct blobs){ &bad, 1 };
		else if (i == ARRAY_SIZE(direct) + 2) {
			node.addrs = first.addrs; /* another member's address: its traffic would be judged as his */
			code = -DSI_EEXIST;
		} else if (i == ARRAY_SIZE(direct) + 3)
			node.roles = NODE_VOTER;
		else
			node.server_sign[0] = 1;
		wbuf_init(&out, LIM_ENTRY_BODY);
		ck_assert_int_eq(token_enrol(&t, &node, session, statement_sign_seed, seed, &out, &w->err), 0);
		refused(w, (struct blob){ out.data, out.len }, code);
		wbuf_fini(&out);
	}
	w_free(w);
}
END_TEST

START_TEST(server_adds_a_voter_nobody_granted)
{
	struct world *w = w_three();
	struct body_e_voter b = { .nid = 4 };

	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER), 4);
	ck_assert_uint_eq(w_join(w, "n5", "n5", MV), 5);
	/* its own token did not grant it */
	ck_assert_int_eq(w_promote(w, 4), -DSI_EAUTH);
	/* another node's token did */
	memcpy(b.token, state_node(w->s, 5)->token, 16);
	ck_assert_int_eq(w_put(w, ENTRY_VOTER_ADD, w_blob(w, &schema_e_voter, &b)), -DSI_EAUTH);
	/* a learner, but on a token that is not its own */
	struct token t;

	give(w, &t, "n6", "t6", MV);
	ck_assert_int_eq(applied(w, w_request(w, &t, "n6", "n6", MV, session)), 0);
	b.nid = 6;
	ck_assert_int_eq(w_put(w, ENTRY_VOTER_ADD, w_blob(w, &schema_e_voter, &b)), -DSI_EAUTH);
	/* a node that an operator took the vote from, on the old token */
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 5)), 0);
	ck_assert_int_eq(w_promote(w, 5), -DSI_EAUTH);
	/* the first node has no token; none is all zeros */
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 1)), 0);
	ck_assert_int_eq(w_promote(w, 1), -DSI_EAUTH);
	/* nobody */
	b.nid = 0;
	ck_assert_int_eq(w_put(w, ENTRY_VOTER_ADD, w_blob(w, &schema_e_voter, &b)), -DSI_ENOENT);
	b.nid = 99;
	ck_assert_int_eq(w_put(w, ENTRY_VOTER_ADD, w_blob(w, &schema_e_voter, &b)), -DSI_ENOENT);
	ck_assert_uint_eq(w->s->voters[0].n, 2);
	w_free(w);
}
END_TEST

START_TEST(tokens_do_not_pile_up)
{
	struct world *w = w_new();
	struct token t;
	char name[16];

	for (u32 i = 0; i < LIM_TOKENS; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		w_token(w, &t, "alice", name, name, NODE_MEMBER, w->now + (i == 5 ? 1 : 60000));
		ck_assert_int_eq(w_order(w, (struct blob){ t.statement, t.statement_len }), 0);
	}
	w_token(w, &t, "alice", "y", "y", NODE_MEMBER, w->now + 60000);
	ck_assert_int_eq(w_check(w, (struct blob){ t.statement, t.statement_len }, NULL, 0), -DSI_ELIMIT);
	w->now += 2; /* one has expired: its place is taken */
	ck_assert_int_eq(w_order(w, (struct blob){ t.statement, t.statement_len }), 0);
	ck_assert_uint_eq(w->s->n_token, LIM_TOKENS);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sec_enrol");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, invited);
	tcase_add_test(t, whole_enrolment_replayed);
	tcase_add_test(t, man_in_the_middle);
	tcase_add_test(t, key_not_held);
	tcase_add_test(t, token_for_another_name);
	tcase_add_test(t, token_expired_unknown_void);
	tcase_add_test(t, more_roles_than_granted);
	tcase_add_test(t, old_key_comes_back);
	tcase_add_test(t, number_of_his_choice);
	tcase_add_test(t, description_that_harms);
	tcase_add_test(t, server_adds_a_voter_nobody_granted);
	tcase_add_test(t, tokens_do_not_pile_up);
	suite_add_tcase(s, t);
	return check_main(s);
}
