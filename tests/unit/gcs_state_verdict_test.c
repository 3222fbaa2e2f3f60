/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts, suspensions, removal and deposition in the state, with the arithmetic that refuses them. */
#include "tests/unit/gcs_world.h"

START_TEST(suspension_ends_by_itself)
{
	struct world *w = w_three();
	u64 until = w->now + 5000;

	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 3, until)), 0);
	ck_assert_int_eq(state_node(w->s, 3)->status, NODE_SUSPENDED);
	ck_assert(!state_suspension_over(w->s, until - 1) && state_suspension_over(w->s, until));
	w->now = until - 1;
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	ck_assert_int_eq(state_node(w->s, 3)->status, NODE_SUSPENDED);
	w->now = until;
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	ck_assert_int_eq(state_node(w->s, 3)->status, NODE_BOUND);
	ck_assert_uint_eq(w->res.changed, CHANGED_VERDICT | CHANGED_NODES | CHANGED_SERVERS);
	ck_assert_str_eq(state_node(w->s, 3)->reason, "");
	ck_assert(state_learner(w->s, 3)); /* its vote comes by an entry of its own */
	ck_assert_uint_eq(w->s->server_order[w->s->n_server - 1], 3);
	ck_assert(!state_suspension_over(w->s, until + 1000));
	/* a revocation has no end, whatever the time */
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 3)), 0);
	w->now += 86400000;
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	ck_assert_int_eq(state_node(w->s, 3)->status, NODE_REVOKED);
	w_free(w);
}
END_TEST

START_TEST(verdict_takes_vote_and_office)
{
	struct world *w = w_three();
	struct blob v = w_verdict(w, "vera", 2);
	const struct state_node *n;

	ck_assert_int_eq(w_check(w, v, w_all3, 3), 0);
	ck_assert_int_eq(w_order(w, v), 0);
	ck_assert_uint_eq(w->res.nid, 2);
	ck_assert_uint_eq(w->res.changed, CHANGED_VERDICT | CHANGED_NODES | CHANGED_VOTERS | CHANGED_SERVERS);
	n = state_node(w->s, 2);
	ck_assert_int_eq(n->status, NODE_REVOKED);
	ck_assert_str_eq(n->reason, "caught");
	ck_assert_uint_eq(n->verdict_at, w->s->applied);
	ck_assert_uint_eq(w->s->last_verdict, w->s->applied);
	ck_assert_uint_eq(w->s->voters[0].n, 2);
	ck_assert_uint_eq(w->s->voters[0].index, w->s->applied);
	ck_assert_uint_eq(w->s->n_server, 2);
	ck_assert(!(n->roles & NODE_VOTER) && !state_nid_live(w->s, 2) && !state_node_named(w->s, "n2"));
	ck_assert_int_eq(w_check(w, w_verdict(w, "vera", 2), w_all3, 3), -DSI_EREVOKED);
	w_expect_text(w, "n2 (node 2) is revoked already, since entry");
	w_expect_text(w, "caught");
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 2)), -DSI_EREVOKED);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 2)), -DSI_EREVOKED);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_REMOVE, "alice", 2)), -DSI_ENOENT);
	ck_assert_int_eq(w_term(w, 2), -DSI_EREVOKED); /* its server writes no term any more */
	w_free(w);
}
END_TEST

START_TEST(arithmetic_of_revoke)
{
	struct world *w = w_three();
	static const u32 two[] = { 1, 3 }, other[] = { 1, 2 };
	struct blob v = w_verdict(w, "vera", 3);

	ck_assert_int_eq(w_check(w, v, w_all3, 3), 0);
	ck_assert_int_eq(w_check(w, v, other, 2), 0); /* the target is the one that is off */
	ck_assert_int_eq(w_check(w, v, two, 2), -DSI_EQUORUM);
	w_expect_text(w, "revoke n3: would leave 1 live voter besides the target; a majority of the present 3 is 2: refused");
	ck_assert_int_eq(w_check(w, v, NULL, 0), 0);
	ck_assert_int_eq(w_order(w, v), 0);

	v = w_verdict(w, "vera", 2);
	ck_assert_int_eq(w_check(w, v, other, 2), -DSI_ENOTSAFE); /* two voters: suspends, never final */
	w_expect_text(w, "one of 2 voters");
	w_expect_text(w, "cluster reform");
	w_join(w, "w4", "w4", NODE_MEMBER);
	ck_assert_int_eq(w_check(w, w_verdict(w, "vera", 4), other, 2), 0); /* no voter: any majority does */
	ck_assert_int_eq(w_check(w, w_verdict(w, "vera", 4), other, 1), -DSI_EQUORUM);
	w_free(w);
}
END_TEST

START_TEST(last_of_its_kind_stays)
{
	struct world *w = w_new();

	w_join(w, "n2", "n2", NODE_MEMBER | NODE_VOTER);
	w_join(w, "n3", "n3", NODE_MEMBER | NODE_VOTER);
	ck_assert_int_eq(w_check(w, w_verdict(w, "vera", 1), w_all3, 3), -DSI_ENOTSAFE);
	w_expect_text(w, "revoke n1: it hosts the last security server");
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_REMOVE, "alice", 1), w_all3, 3), -DSI_ENOTSAFE);
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_DEPOSE, "alice", 1), w_all3, 3), -DSI_ENOTSAFE);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_DEPOSE, "vera", 1)), -DSI_ENOTSAFE);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 2)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 3)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", 1)), -DSI_ENOTSAFE);
	ck_assert_uint_eq(w->s->voters[0].n, 1);
	w_free(w);
}
END_TEST

START_TEST(suspension_ends_by_entry)
{
	struct world *w = w_three();

	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 2, w->now - 1)), -DSI_EEXPIRED);
	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 2, w->now + 5000)), 0);
	ck_assert_int_eq(state_node(w->s, 2)->status, NODE_SUSPENDED);
	ck_assert_uint_eq(w->s->voters[0].n, 2);
	ck_assert(!state_nid_live(w->s, 2) && state_node_named(w->s, "n2"));
	w->now += 10000;
	ck_assert_int_eq(state_node(w->s, 2)->status, NODE_SUSPENDED); /* not by the clock */
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_REMOVE, "alice", 2)), -DSI_ENOTSAFE);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "paula", 2)), -DSI_EAUTH);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 2)), 0);
	ck_assert_int_eq(state_node(w->s, 2)->status, NODE_BOUND);
	ck_assert_uint_eq(w->s->n_server, 3);
	ck_assert_uint_eq(w->s->server_order[2], 2);
	ck_assert(state_learner(w->s, 2));
	ck_assert_int_eq(w_promote(w, 2), 0);
	ck_assert_uint_eq(w->s->voters[0].n, 3);
	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 2, w->now + 5000)), 0);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 2)), 0); /* made final */
	ck_assert_int_eq(state_node(w->s, 2)->status, NODE_REVOKED);
	/* one that began at delivery, without an entry of its own */
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 3)), 0);
	ck_assert_uint_eq(w->res.nid, 3);
	ck_assert_uint_eq(w->res.changed, CHANGED_VERDICT | CHANGED_NODES);
	w_free(w);
}
END_TEST

START_TEST(remove_is_final_but_frees_the_name)
{
	struct world *w = w_three();
	static const u32 two[] = { 1, 2 };

	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_REMOVE, "alice", 2), two, 2), -DSI_EQUORUM);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_REMOVE, "alice", 2)), 0);
	ck_assert_int_eq(state_node(w->s, 2)->status, NODE_REMOVED);
	ck_assert_uint_eq(w->s->voters[0].n, 2);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 2)), -DSI_ENOENT);
	ck_assert_uint_eq(w_join(w, "n2", "n2 again", NODE_MEMBER), 4);
	ck_assert_uint_eq(state_node_named(w->s, "n2")->nid, 4);
	w_free(w);
}
END_TEST

START_TEST(depose_keeps_the_node)
{
	struct world *w = w_three();

	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_DEPOSE, "alice", 2)), 0);
	ck_assert_uint_eq(w->s->n_server, 2);
	ck_assert(state_node(w->s, 2)->deposed && state_nid_live(w->s, 2));
	ck_assert_uint_eq(w->s->voters[0].n, 3);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_DEPOSE, "alice", 2)), -DSI_EEXIST);
	ck_assert_int_eq(w_term(w, 2), -DSI_EREVOKED);
	w->term--;
	ck_assert_int_eq(w_term(w, 3), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_DEPOSE, "alice", 1)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_DEPOSE, "alice", 3)), -DSI_ENOTSAFE);
	w_free(w);
}
END_TEST

LIB_TESTS("gcs_state_verdict", suspension_ends_by_itself, verdict_takes_vote_and_office, arithmetic_of_revoke,
	  last_of_its_kind_stays, suspension_ends_by_entry, remove_is_final_but_frees_the_name, depose_keeps_the_node)
