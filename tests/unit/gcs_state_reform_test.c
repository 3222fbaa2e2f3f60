/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new generation in the state: whom it keeps, what it cuts, that nobody can make another of it. */
#include "tests/unit/gcs_world.h"

START_TEST(reform_keeps_the_dead)
{
	struct world *w = w_three();
	u8 voters[8], servers[4];
	struct body_dead d = { .nid = 5, .name = "n5", .status = NODE_REVOKED, .reason = "in a log that was lost" };
	struct body_s_reform f = { .new_generation = 2, .next_nid = 7, .voters = { voters, 8 }, .servers = { servers, 4 } };
	struct blob dead[1], v;
	struct token t;
	u8 exporter[32] = { 1 };

	w_join(w, "n4", "n4", NODE_MEMBER);
	v = w_verdict(w, "vera", 4); /* signed in generation 1, ordered in 2 */
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 2)), 0);
	struct body_node five;

	w_describe(w, &five, "n5", "n5", NODE_MEMBER);
	memcpy(d.sign, five.sign, 32);
	memcpy(d.kem, five.kem, 32);
	dead[0] = w_blob(w, &schema_dead, &d);
	f.dead = (struct blobs){ dead, 1 };
	f.base_index = w->s->applied;
	memcpy(f.base_hash, w->prev, 32);
	w_le32(voters, 3);
	w_le32(voters + 4, 4);
	w_le32(servers, 3);
	w->author = 3;

	ck_assert_int_eq(w_reform_put(w, w_reform_as(w, 2, &f, "alice"), true), -DSI_EAUTH);
	f.new_generation = 1;
	ck_assert_int_eq(w_check(w, w_reform_as(w, 1, &f, "root"), NULL, 0), -DSI_ESTALE);
	f.new_generation = 2;
	f.base_index++;
	ck_assert_int_eq(w_check(w, w_reform_as(w, 2, &f, "root"), NULL, 0), -DSI_ECONFLICT);
	f.base_index--;
	w_le32(voters, 2);
	ck_assert_int_eq(w_check(w, w_reform_as(w, 2, &f, "root"), NULL, 0), -DSI_ENOENT); /* revoked */
	w_le32(voters, 3);
	ck_assert_int_eq(w_check(w, w_reform_as(w, 2, &f, "root"), NULL, 0), 0);
	ck_assert_int_eq(w_reform_put(w, w_reform_as(w, 2, &f, "root"), true), 0);

	ck_assert_uint_eq(w->s->generation, 2);
	ck_assert_uint_eq(w->s->voters[0].n, 2);
	ck_assert_uint_eq(w->s->voters[0].nid[0], 3);
	ck_assert_uint_eq(w->s->n_server, 1);
	ck_assert_uint_eq(w->s->next_nid, 7);
	ck_assert_int_eq(state_node(w->s, 2)->status, NODE_REVOKED);
	ck_assert_int_eq(state_node(w->s, 5)->status, NODE_REVOKED);
	ck_assert_int_eq(state_node(w->s, 1)->status, NODE_BOUND);
	ck_assert(!(state_node(w->s, 1)->roles & NODE_VOTER));
	w_keys[3] = "n3";
	ck_assert_int_eq(w_term(w, 3), 0);
	ck_assert_int_eq(w_order(w, v), 0);
	/* the dead key stays dead in the new generation */
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 5)), 0);
	w_token(w, &t, "alice", "n5", "t5", NODE_MEMBER, w->now + 1000);
	ck_assert_int_eq(w_order(w, (struct blob){ t.statement, t.statement_len }), 0);
	ck_assert_int_eq(w_put(w, ENTRY_ENROL, w_enrol_body(w, w_request(w, &t, "n5", "n5", NODE_MEMBER, exporter))), -DSI_EREVOKED);
	ck_assert_int_eq(w_put(w, ENTRY_ENROL, w_enrol_body(w, w_request(w, &t, "n5", "n5 new", NODE_MEMBER, exporter))), 0);
	ck_assert_uint_eq(w->res.nid, 7);
	/* statements of the old generation are void, except verdicts */
	struct statement st;

	w_header(w, &st, ENTRY_REMOVE, "alice");
	st.generation = 1;
	struct body_s_node_op op = { .nid = 1, .name = "n1" };

	ck_assert_int_eq(w_order(w, w_sign(w, &st, "alice", w_blob(w, &schema_s_node_op, &op))), -DSI_ESTALE);
	w_free(w);
}
END_TEST

/* Nothing in the entry is anybody's choice: whoever takes the same statement in has the same bytes. */
START_TEST(reform_entry_is_a_function_of_its_statement)
{
	struct world *w = w_three();
	struct blob s = w_reform(w, 2, 3), one, two;
	struct reform_place at;
	struct statement st;
	struct entry e, f;

	ck_assert_int_eq(statement_open(&st, s.p, s.n), 0);
	ck_assert_int_eq(reform_place(&st, &at, &w->err), 0);
	ck_assert_uint_eq(at.generation, 2);
	ck_assert_uint_eq(at.base_index, w->s->applied);
	ck_assert_mem_eq(at.base_hash, w->prev, 32);
	ck_assert_uint_eq(at.author, 3);
	one = w_reform_entry(w, s, &e);
	two = w_reform_entry(w, s, &f);
	ck_assert_uint_eq(one.n, two.n);
	ck_assert_mem_eq(one.p, two.p, one.n);
	ck_assert_uint_eq(e.index, w->s->applied + 1);
	ck_assert_uint_eq(e.wall_ms, w->now);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), 0);
	f = e, f.author_nid = 1;
	ck_assert_int_eq(state_verify_entry(w->s, &f, &w->err), -DSI_EINVAL);
	f = e, f.wall_ms++;
	ck_assert_int_eq(state_verify_entry(w->s, &f, &w->err), -DSI_EINVAL);
	f = e, f.term++;
	ck_assert_int_eq(state_verify_entry(w->s, &f, &w->err), -DSI_EINVAL);
	f = e, f.generation++;
	ck_assert_int_eq(state_verify_entry(w->s, &f, &w->err), -DSI_EINVAL);
	f = e, f.author_role = ROLE_MANAGER;
	ck_assert_int_eq(state_verify_entry(w->s, &f, &w->err), -DSI_EINVAL);
	f = e, f.prev[0] ^= 1;
	ck_assert_int_eq(state_verify_entry(w->s, &f, &w->err), -DSI_ECONFLICT);
	f = e, f.sig[0] ^= 1;
	ck_assert_int_eq(state_verify_entry(w->s, &f, &w->err), -DSI_ESIG);
	s = w_policy(w, "alice", "p", 0);
	ck_assert_int_eq(statement_open(&st, s.p, s.n), 0);
	ck_assert_int_eq(reform_place(&st, &at, &w->err), -DSI_EINVAL);
	w_free(w);
}
END_TEST

/* On an older base: what came after it is gone, also what was committed; the rest is what a replay makes of it. */
START_TEST(reform_on_an_older_base)
{
	struct world *w = w_three();
	struct state *cut = state_new(), *again = state_new();
	struct state_result res;
	u8 base_hash[32], a[32], b[32];
	u64 base;
	struct entry e;
	struct blob s;
	u8 one[4];
	struct body_s_reform f = { .new_generation = 2, .voters = { one, 4 }, .servers = { one, 4 } };

	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "kept", 0)), 0);
	base = w->s->applied;
	memcpy(base_hash, w->prev, 32);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "given up", 0)), 0);
	w_le32(one, 3);
	f.base_index = base;
	f.next_nid = w->s->next_nid;
	memcpy(f.base_hash, base_hash, 32);
	s = w_reform_as(w, 2, &f, "root");
	ck_assert_int_eq(w_check(w, s, NULL, 0), -DSI_ECONFLICT); /* this log is past it: cut it first */
	w_expect_text(w, "but this log is at");
	for (u64 i = 0; i < base; i++) {
		ck_assert_int_eq(entry_decode(&e, w->log[i].p, w->log[i].n), 0);
		ck_assert_int_eq(state_apply(cut, &e, &res), 0);
		ck_assert_int_eq(res.code, 0);
	}
	w_reform_entry(w, s, &e);
	ck_assert_int_eq(state_verify_entry(cut, &e, &w->err), 0);
	ck_assert_int_eq(state_apply(cut, &e, &res), 0);
	ck_assert_int_eq(res.code, 0);
	ck_assert_uint_eq(cut->policy.version, 1);
	ck_assert_str_eq(cut->policy.name, "kept");
	ck_assert_uint_eq(cut->generation, 2);
	ck_assert_uint_eq(cut->voters[0].n, 1);
	ck_assert_uint_eq(cut->active_nid, 3);
	/* who is not named follows and gets no vote back by a server alone */
	ck_assert(state_nid_live(cut, 1) && !state_learner(cut, 1) && !state_learner(cut, 2));
	/* the same on whoever replays it */
	for (u64 i = 0; i < base; i++) {
		struct entry old;

		ck_assert_int_eq(entry_decode(&old, w->log[i].p, w->log[i].n), 0);
		ck_assert_int_eq(state_apply(again, &old, &res), 0);
	}
	ck_assert_int_eq(state_apply(again, &e, &res), 0);
	w_digest(cut, a);
	w_digest(again, b);
	ck_assert_mem_eq(a, b, 32);
	state_free(cut);
	state_free(again);
	w_free(w);
}
END_TEST

LIB_TESTS("gcs_state_reform", reform_keeps_the_dead, reform_entry_is_a_function_of_its_statement,
	  reform_on_an_older_base)
