/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Voters in the state: one at a time, learners first, both sets while one change is not committed. */
#include "tests/unit/gcs_world.h"

START_TEST(voters_one_at_a_time)
{
	struct world *w = w_three();
	static const u32 only1[] = { 1 }, with4[] = { 1, 2, 4 };

	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER), 4);
	ck_assert(!state_learner(w->s, 4));
	ck_assert_int_eq(w_promote(w, 4), -DSI_EAUTH);
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 4), with4, 3), 0);
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 4), w_all3, 2), -DSI_EQUORUM);
	w_expect_text(w, "2 of the 4 voters there would be are present; a majority is 3");
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 4), only1, 1), -DSI_EQUORUM);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 4)), 0);
	ck_assert_uint_eq(w->res.changed, CHANGED_VOTERS | CHANGED_NODES);
	ck_assert_uint_eq(w->s->voters[0].n, 4);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 4)), -DSI_EEXIST);
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 4), with4, 3), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 4)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 4)), -DSI_ENOENT);
	ck_assert_int_eq(w_promote(w, 4), -DSI_EAUTH);
	ck_assert(!state_learner(w->s, 4));
	ck_assert_int_eq(state_check_promotion(w->s, 4, w_all3, 3, &w->err), -DSI_EAUTH);
	w_free(w);
}
END_TEST

START_TEST(learner_then_voter)
{
	struct world *w = w_new();
	static const u32 both[] = { 1, 2 };

	w_join(w, "n2", "n2", NODE_MEMBER);
	struct token t;

	w_token(w, &t, "alice", "n3", "t3", NODE_MEMBER | NODE_VOTER, w->now + 1000);
	ck_assert_int_eq(w_order(w, (struct blob){ t.statement, t.statement_len }), 0);
	ck_assert_int_eq(w_put(w, ENTRY_ENROL, w_enrol_body(w, w_request(w, &t, "n3", "n3", NODE_MEMBER | NODE_VOTER, t.secret))), 0);
	ck_assert(state_learner(w->s, 3));
	ck_assert(!(state_node(w->s, 3)->roles & NODE_VOTER));
	ck_assert_uint_eq(w->s->voters[0].n, 1);
	ck_assert_int_eq(state_check_promotion(w->s, 3, both, 2, &w->err), -DSI_EQUORUM);
	ck_assert_int_eq(state_check_promotion(w->s, 3, (const u32[]){ 1, 3 }, 2, &w->err), 0);
	struct wbuf b;

	wbuf_init(&b, 1000);
	ck_assert_int_eq(state_make_promotion(w->s, 3, &b), 0);
	ck_assert_int_eq(w_put(w, ENTRY_VOTER_ADD, (struct blob){ b.data, b.len }), 0);
	wbuf_fini(&b);
	ck_assert(!state_learner(w->s, 3));
	ck_assert_uint_eq(w->s->voters[0].n, 2);
	w_free(w);
}
END_TEST

START_TEST(preview_shows_both_sets)
{
	struct world *w = w_three();
	struct order_voters sets[2];
	struct entry e[2];
	const struct entry *ptr[2] = { &e[0], &e[1] };
	struct blob body = w_body(w, w_verdict(w, "vera", 3), 0, NULL);
	u8 before[32], after[32];
	u32 n;

	w_digest(w->s, before);
	state_preview(w->s, NULL, 0, sets, &n);
	ck_assert_uint_eq(n, 1);
	w_entry(w, &e[0], ENTRY_NOP, NULL, 0);
	state_preview(w->s, ptr, 1, sets, &n);
	ck_assert_uint_eq(n, 1);
	w_entry(w, &e[1], ENTRY_VERDICT, body.p, body.n);
	e[1].index++; /* behind the NOP */
	state_preview(w->s, ptr, 2, sets, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(sets[0].n, 3);
	ck_assert_uint_eq(sets[1].n, 2);
	ck_assert_uint_eq(sets[1].index, e[1].index);
	/* the caller left out what cannot matter, and the entry is of the next term */
	e[1].term++;
	state_preview(w->s, &ptr[1], 1, sets, &n);
	ck_assert_uint_eq(n, 2);
	/* a refused one changes nothing */
	body = w_body(w, w_verdict(w, "paula", 3), 0, NULL);
	w_entry(w, &e[1], ENTRY_VERDICT, body.p, body.n);
	state_preview(w->s, &ptr[1], 1, sets, &n);
	ck_assert_uint_eq(n, 1);
	w_digest(w->s, after);
	ck_assert_mem_eq(before, after, 32);
	ck_assert_uint_eq(state_verdict_target(&e[1]), 3);
	ck_assert_uint_eq(state_depose_target(&e[1]), 3);
	ck_assert_uint_eq(state_verdict_target(&e[0]), 0);
	w_free(w);
}
END_TEST

LIB_TESTS("gcs_state_voter", voters_one_at_a_time, learner_then_voter, preview_shows_both_sets)
