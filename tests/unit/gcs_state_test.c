/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replicated state: each row of the table, the operator's texts, snapshots, and random histories. */
#include "tests/unit/gcs_world.h"

static const u32 all3[] = { 1, 2, 3 };

static void expect_text(const struct world *w, const char *part)
{
	ck_assert_msg(strstr(w->err.text, part) != NULL, "\"%s\" not in \"%s\"", part, w->err.text);
}

START_TEST(genesis_state)
{
	struct world *w = w_new();
	const struct state *s = w->s;

	ck_assert_uint_eq(s->applied, 2);
	ck_assert_uint_eq(s->generation, 1);
	ck_assert_str_eq(s->name, "demo");
	ck_assert_uint_eq(s->n_op, 3);
	ck_assert_uint_eq(s->n_node, 1);
	ck_assert_uint_eq(s->next_nid, 2);
	ck_assert_uint_eq(s->n_voters, 1);
	ck_assert_uint_eq(s->voters[0].n, 1);
	ck_assert_uint_eq(s->voters[0].nid[0], 1);
	ck_assert_uint_eq(state_majority(s), 1);
	ck_assert_uint_eq(s->n_server, 1);
	ck_assert_uint_eq(s->term, 1);
	ck_assert_uint_eq(s->active_nid, 1);
	ck_assert_uint_eq(s->keygen, 1);
	ck_assert(state_nid_live(s, 1) && !state_nid_live(s, 2) && !state_nid_live(s, 0));
	ck_assert_ptr_eq(state_node_named(s, "n1"), state_node(s, 1));
	ck_assert_ptr_eq(state_node_keyed(s, state_node(s, 1)->sign), state_node(s, 1));
	ck_assert_ptr_eq(state_node_keyed(s, state_node(s, 1)->server_sign), state_node(s, 1));
	ck_assert_ptr_null(state_node_keyed(s, (const u8[32]){ 0 }));
	w_free(w);
}
END_TEST

START_TEST(entries_come_in_order)
{
	struct world *w = w_new();
	struct state_result res;
	struct entry e;
	u8 before[32], after[32];

	w_entry(w, &e, ENTRY_NOP, NULL, 0);
	w_digest(w->s, before);
	e.index++;
	ck_assert_int_eq(state_apply(w->s, &e, &res), -DSI_EINVAL);
	w_digest(w->s, after);
	ck_assert_mem_eq(before, after, 32);
	e.index--;
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert_int_eq(state_apply(w->s, &e, &res), -DSI_EINVAL);
	w_free(w);
}
END_TEST

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

START_TEST(dates_are_bounded)
{
	const u64 now = 1700000000000, skew = LIM_SKEW_MS;

	ck_assert(state_timely(now, now, now));
	ck_assert(state_timely(now + skew, now, now) && !state_timely(now + skew + 1, now, now));
	ck_assert(state_timely(now - skew, now, now) && !state_timely(now - skew - 1, now, now));
	ck_assert(!state_timely(UINT64_MAX, now, now) && !state_timely(0, now, now));
	/* a tail of long ago, found after the cluster was off for a year: behind our clock, not behind the log */
	ck_assert(state_timely(now - 31536000000, now, now - 31536000000));
	/* the log's last date is itself from the future: clocks were set right, the cluster goes on */
	ck_assert(state_timely(now, now, now + 31536000000));
	ck_assert(state_timely(now, now, 0)); /* nothing committed yet */
}
END_TEST

START_TEST(policy_versions)
{
	struct world *w = w_three();
	struct blob stale;
	struct body_s_policy p;

	ck_assert_int_eq(w_say(w, ENTRY_POLICY, "paula", &schema_s_policy, (p = w_policy_body(w, "base", 0), &p)), 0);
	ck_assert_uint_eq(w->res.changed, CHANGED_POLICY);
	ck_assert_uint_eq(w->s->policy.version, 1);
	ck_assert_str_eq(w->s->policy.author, "paula");
	ck_assert_uint_eq(w->s->n_history, 1);
	stale = w_policy(w, "alice", "two", 0);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "three", 0)), 0);
	ck_assert_int_eq(w_check(w, stale, all3, 3), -DSI_ECONFLICT);
	expect_text(w, "made on version 1, but version 2 (three, by alice) is in force");
	ck_assert_int_eq(w_order(w, stale), -DSI_ECONFLICT);
	ck_assert_uint_eq(w->s->policy.version, 2);
	ck_assert_uint_eq(w->s->history[1].version, 1);
	p = w_policy_body(w, "jump", 0);
	p.version++;
	struct statement st;

	w_header(w, &st, ENTRY_POLICY, "alice");
	st.base = 2;
	ck_assert_int_eq(w_order(w, w_sign(w, &st, "alice", w_blob(w, &schema_s_policy, &p))), -DSI_EINVAL);
	p = w_policy_body(w, "big", 0);
	p.size = (u64)LIM_POLICY + 1;
	ck_assert_int_eq(w_say(w, ENTRY_POLICY, "alice", &schema_s_policy, &p), -DSI_EINVAL);
	p = w_policy_body(w, "nodigest", 0);
	memset(p.digest, 0, sizeof(p.digest));
	ck_assert_int_eq(w_say(w, ENTRY_POLICY, "alice", &schema_s_policy, &p), -DSI_EINVAL);
	w_free(w);
}
END_TEST

START_TEST(history_is_bounded)
{
	struct world *w = w_new();
	char name[32];

	for (u32 i = 0; i < STATE_HISTORY + 5; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		ck_assert_int_eq(w_order(w, w_policy(w, "alice", name, 0)), 0);
	}
	ck_assert_uint_eq(w->s->n_history, STATE_HISTORY);
	ck_assert_uint_eq(w->s->history[0].version, STATE_HISTORY + 5);
	ck_assert_uint_eq(w->s->history[STATE_HISTORY - 1].version, 6);
	w_free(w);
}
END_TEST

static int go_back(struct world *w, u64 of)
{
	struct body_e_policy b = { .back_of = of };

	return w_put(w, ENTRY_POLICY, w_blob(w, &schema_e_policy, &b));
}

START_TEST(confirm_within)
{
	struct world *w = w_three();
	struct body_s_confirm c = { .version = 2 };
	struct body_s_policy p;
	struct entry e;
	u8 digest[32];
	u64 size;

	p = w_policy_body(w, "first", 60);
	memset(p.back_digest, 1, 32);
	ck_assert_int_eq(w_say(w, ENTRY_POLICY, "alice", &schema_s_policy, &p), -DSI_EINVAL);
	ck_assert_int_eq(w_order(w, w_policy(w, "safe", "first", 0)), -DSI_EAUTH);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "safe", 0)), 0);
	p = w_policy_body(w, "risky", 60);
	memset(p.back_digest, 9, 32);
	ck_assert_int_eq(w_say(w, ENTRY_POLICY, "alice", &schema_s_policy, &p), -DSI_EINVAL);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "risky", 60)), 0);
	ck_assert_uint_eq(w->s->policy.confirm_by_ms, w->now + 60000);
	ck_assert(!state_policy_overdue(w->s, w->now + 60000));
	ck_assert(state_policy_overdue(w->s, w->now + 60001));

	ck_assert_int_eq(go_back(w, 2), -DSI_EAUTH); /* too early */
	expect_text(w, "");
	ck_assert_msg(strstr(w->res.text, "can still be confirmed") != NULL, "%s", w->res.text);
	w->now += 60001;
	ck_assert_int_eq(w_say(w, ENTRY_CONFIRM, "alice", &schema_s_confirm, &c), -DSI_EEXPIRED);
	ck_assert_int_eq(go_back(w, 1), -DSI_ECONFLICT);
	struct wbuf b;

	wbuf_init(&b, 1000);
	ck_assert_int_eq(state_make_back(w->s, &b), 0);
	w_entry(w, &e, ENTRY_POLICY, b.data, b.len);
	wbuf_fini(&b);
	ck_assert_int_eq(state_entry_blob(w->s, &e, digest, &size), 0);
	ck_assert_mem_eq(digest, w->s->history[1].digest, 32);
	ck_assert_uint_eq(size, 1000);
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert_uint_eq(w->s->policy.version, 3);
	ck_assert_str_eq(w->s->policy.name, "safe");
	ck_assert_mem_eq(w->s->policy.digest, w->s->history[2].digest, 32);
	ck_assert_uint_eq(w->s->policy.confirm_by_ms, 0);
	ck_assert_int_eq(go_back(w, 3), -DSI_EAUTH); /* nothing asks to be confirmed */

	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "risky2", 60)), 0);
	c.version = 3;
	ck_assert_int_eq(w_say(w, ENTRY_CONFIRM, "alice", &schema_s_confirm, &c), -DSI_ECONFLICT);
	c.version = 4;
	ck_assert_int_eq(w_say(w, ENTRY_CONFIRM, "vera", &schema_s_confirm, &c), -DSI_EAUTH);
	ck_assert_int_eq(w_say(w, ENTRY_CONFIRM, "paula", &schema_s_confirm, &c), 0);
	ck_assert_uint_eq(w->s->policy.confirm_by_ms, 0);
	ck_assert_uint_eq(w->s->history[0].confirm_by_ms, 0);
	ck_assert_int_eq(w_say(w, ENTRY_CONFIRM, "paula", &schema_s_confirm, &c), -DSI_EEXIST);
	w->now += 100000;
	ck_assert_int_eq(go_back(w, 4), -DSI_EAUTH);
	w_free(w);
}
END_TEST

START_TEST(verdict_takes_vote_and_office)
{
	struct world *w = w_three();
	struct blob v = w_verdict(w, "vera", 2);
	const struct state_node *n;

	ck_assert_int_eq(w_check(w, v, all3, 3), 0);
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
	ck_assert_int_eq(w_check(w, w_verdict(w, "vera", 2), all3, 3), -DSI_EREVOKED);
	expect_text(w, "n2 (node 2) is revoked already, since entry");
	expect_text(w, "caught");
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

	ck_assert_int_eq(w_check(w, v, all3, 3), 0);
	ck_assert_int_eq(w_check(w, v, other, 2), 0); /* the target is the one that is off */
	ck_assert_int_eq(w_check(w, v, two, 2), -DSI_EQUORUM);
	expect_text(w, "revoke n3: would leave 1 live voter besides the target; a majority of the present 3 is 2: refused");
	ck_assert_int_eq(w_check(w, v, NULL, 0), 0);
	ck_assert_int_eq(w_order(w, v), 0);

	v = w_verdict(w, "vera", 2);
	ck_assert_int_eq(w_check(w, v, other, 2), -DSI_ENOTSAFE); /* two voters: suspends, never final */
	expect_text(w, "one of 2 voters");
	expect_text(w, "cluster reform");
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
	ck_assert_int_eq(w_check(w, w_verdict(w, "vera", 1), all3, 3), -DSI_ENOTSAFE);
	expect_text(w, "revoke n1: it hosts the last security server");
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_REMOVE, "alice", 1), all3, 3), -DSI_ENOTSAFE);
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_DEPOSE, "alice", 1), all3, 3), -DSI_ENOTSAFE);
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

START_TEST(voters_one_at_a_time)
{
	struct world *w = w_three();
	static const u32 only1[] = { 1 }, with4[] = { 1, 2, 4 };

	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER), 4);
	ck_assert(!state_learner(w->s, 4));
	ck_assert_int_eq(w_promote(w, 4), -DSI_EAUTH);
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 4), with4, 3), 0);
	ck_assert_int_eq(w_check(w, w_node_op(w, ENTRY_VOTER_ADD, "alice", 4), all3, 2), -DSI_EQUORUM);
	expect_text(w, "2 of the 4 voters there would be are present; a majority is 3");
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
	ck_assert_int_eq(state_check_promotion(w->s, 4, all3, 3, &w->err), -DSI_EAUTH);
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

START_TEST(names_and_numbers_must_agree)
{
	struct world *w = w_three();
	struct body_s_node_op b = { .nid = 2, .name = "n3" };

	ck_assert_int_eq(w_say(w, ENTRY_REMOVE, "alice", &schema_s_node_op, &b), -DSI_EINVAL);
	ck_assert_msg(strstr(w->res.text, "node 2 is n2, not n3") != NULL, "%s", w->res.text);
	b.nid = 77;
	ck_assert_int_eq(w_say(w, ENTRY_REMOVE, "alice", &schema_s_node_op, &b), -DSI_ENOENT);
	w_free(w);
}
END_TEST

START_TEST(sid_blocks)
{
	struct world *w = w_three();
	struct body_e_sidblock b = { .nid = 2, .first = STATE_SID_FIRST, .count = 4096 };

	ck_assert_int_eq(w_put(w, ENTRY_SIDBLOCK, w_blob(w, &schema_e_sidblock, &b)), 0);
	ck_assert_uint_eq(state_node(w->s, 2)->sid_first, STATE_SID_FIRST);
	ck_assert_int_eq(w_put(w, ENTRY_SIDBLOCK, w_blob(w, &schema_e_sidblock, &b)), -DSI_ECONFLICT);
	b.first = w->s->next_sid;
	b.count = STATE_SID_BLOCK + 1;
	ck_assert_int_eq(w_put(w, ENTRY_SIDBLOCK, w_blob(w, &schema_e_sidblock, &b)), -DSI_ELIMIT);
	b.count = 1;
	b.nid = 9;
	ck_assert_int_eq(w_put(w, ENTRY_SIDBLOCK, w_blob(w, &schema_e_sidblock, &b)), -DSI_ENOENT);
	w_free(w);
}
END_TEST

/* --- group keys --------------------------------------------------------------------------------------- */

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

/* --- terms -------------------------------------------------------------------------------------------- */

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
	expect_text(w, "promises of 1 of 3 voters; a majority is 2");
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

/* --- reform ------------------------------------------------------------------------------------------- */

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
	expect_text(w, "but this log is at");
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

/* --- requests ------------------------------------------------------------------------------------------ */

START_TEST(requests_are_remembered_until_they_expire)
{
	struct world *w = w_new();
	struct state_request *r = w->s->request;
	struct blob st;

	w->s->n_request = STATE_REQUESTS;
	for (u32 i = 0; i < STATE_REQUESTS; i++) {
		memset(&r[i], 0, sizeof(r[i]));
		memcpy(r[i].id, &i, 4);
		r[i].id[14] = 1;
		r[i].expires_ms = w->now + 1;
	}
	st = w_policy(w, "alice", "a", 0);
	ck_assert_int_eq(w_check(w, st, NULL, 0), -DSI_ELIMIT);
	ck_assert_int_eq(w_order(w, st), -DSI_ELIMIT);
	r[100].expires_ms = w->now - 1;
	ck_assert_int_eq(w_check(w, st, NULL, 0), 0);
	ck_assert_int_eq(w_order(w, st), 0);
	ck_assert_uint_eq(w->s->n_request, STATE_REQUESTS);
	ck_assert_uint_eq(r[100].id[0], 101);
	ck_assert_int_eq(w_check(w, st, NULL, 0), -DSI_ELIMIT);
	w_free(w);
}
END_TEST

/* --- snapshots ----------------------------------------------------------------------------------------- */

static void save(const struct state *s, struct wbuf *b)
{
	wbuf_init(b, 8 << 20);
	ck_assert_int_eq(state_save(s, b), 0);
}

static struct world *busy(void)
{
	struct world *w = w_three();

	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "one", 0)), 0);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "two", 30)), 0);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 3)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), 0);
	w_join(w, "n3", "n3 second", NODE_MEMBER | NODE_VOTER | NODE_WITNESS);
	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 2, w->now + 9)), 0);
	return w;
}

START_TEST(snapshot_round_trip)
{
	struct world *w = busy();
	struct state *t = state_new();
	struct wbuf a, b;
	u8 d1[32], d2[32];

	save(w->s, &a);
	ck_assert_int_eq(state_load(t, a.data, a.len), 0);
	save(t, &b);
	ck_assert_uint_eq(a.len, b.len);
	ck_assert_mem_eq(a.data, b.data, a.len);
	w_digest(w->s, d1);
	w_digest(t, d2);
	ck_assert_mem_eq(d1, d2, 32);
	ck_assert_uint_eq(t->policy.version, 2);
	ck_assert_uint_eq(t->n_voters, 1);
	ck_assert_mem_eq(&t->policy, &t->history[0], sizeof(t->policy));
	wbuf_fini(&a);
	wbuf_fini(&b);
	state_free(t);
	w_free(w);
}
END_TEST

START_TEST(empty_snapshot)
{
	struct state *s = state_new(), *t = state_new();
	struct wbuf a;

	save(s, &a);
	ck_assert_int_eq(state_load(t, a.data, a.len), 0);
	wbuf_fini(&a);
	state_free(s);
	state_free(t);
}
END_TEST

START_TEST(snapshot_cut_and_flipped)
{
	struct world *w = busy();
	struct state *t = state_new();
	struct wbuf a;
	u8 before[32], after[32];
	u32 accepted = 0;

	save(w->s, &a);
	w_digest(t, before);
	for (size_t n = 0; n < a.len; n++) {
		u8 *cut = malloc(n ? n : 1);

		memcpy(cut, a.data, n);
		ck_assert_int_ne(state_load(t, cut, n), 0);
		free(cut);
	}
	wbuf_u8(&a, 0);
	ck_assert_int_ne(state_load(t, a.data, a.len), 0);
	a.len--;
	w_digest(t, after);
	ck_assert_mem_eq(before, after, 32); /* as it was, after every refusal */
	for (size_t i = 0; i < a.len; i++) {
		struct wbuf b;

		a.data[i] ^= 0x81;
		if (!state_load(t, a.data, a.len)) { /* another valid state: harmless, its digest differs */
			save(t, &b);
			ck_assert_mem_eq(a.data, b.data, a.len);
			wbuf_fini(&b);
			accepted++;
		}
		a.data[i] ^= 0x81;
	}
	ck_assert_uint_gt(accepted, 0); /* keys, digests: any bytes are as good */
	wbuf_fini(&a);
	state_free(t);
	w_free(w);
}
END_TEST

START_TEST(clone_is_apart)
{
	struct world *w = w_three();
	struct state *c = state_clone(w->s);
	u8 d1[32], d2[32];

	w_digest(w->s, d1);
	w_digest(c, d2);
	ck_assert_mem_eq(d1, d2, 32);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 3)), 0);
	ck_assert(state_nid_live(c, 3) && !state_nid_live(w->s, 3));
	w_digest(c, d1);
	ck_assert_mem_eq(d1, d2, 32);
	state_free(c);
	w_free(w);
}
END_TEST

/* --- random histories ----------------------------------------------------------------------------------- */

static u32 rnd_state;

static u32 rnd(u32 n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state % n;
}

/* Something that somebody might sign, wrong as often as right. */
static struct blob random_statement(struct world *w)
{
	static const char *who[] = { "alice", "alice", "alice", "paula", "vera", "mallory" };
	static const u16 ops[] = { ENTRY_WITHDRAW, ENTRY_READMIT, ENTRY_REMOVE, ENTRY_DEPOSE, ENTRY_VOTER_ADD, ENTRY_VOTER_REMOVE };
	const char *signer = who[rnd(ARRAY_SIZE(who))];
	u32 nid = 1 + rnd(w->s->next_nid);
	struct body_s_confirm c = { .version = w->s->policy.version };
	char name[16];

	switch (rnd(6)) {
	case 0:
		return w_verdict_until(w, signer, nid, rnd(3) ? w->now + 1000 : 0);
	case 1:
		snprintf(name, sizeof(name), "p%u", rnd(5));
		return w_policy(w, signer, name, rnd(2) ? 5 : 0);
	case 2:
		return w_statement(w, ENTRY_CONFIRM, signer, &schema_s_confirm, &c);
	default:
		return w_node_op(w, ops[rnd(ARRAY_SIZE(ops))], signer, nid);
	}
}

static char keys_of_run[64][16];

static void random_join(struct world *w, u32 step)
{
	u8 exporter[32] = { (u8)step };
	u32 roles = NODE_MEMBER | rnd(8) << 1;
	char name[16];
	struct token t;

	if (w->s->next_nid >= 60)
		return;
	snprintf(name, sizeof(name), "r%u", rnd(6));
	snprintf(keys_of_run[step % 64], 16, "k%u", rnd(40));
	w_token(w, &t, "alice", name, keys_of_run[step % 64], roles, w->now + rnd(4000));
	w_order(w, (struct blob){ t.statement, t.statement_len });
	w->now += rnd(2000);
	if (w_put(w, ENTRY_ENROL, w_enrol_body(w, w_request(w, &t, name, keys_of_run[step % 64], roles, exporter))))
		return;
	w_keys[w->res.nid] = keys_of_run[step % 64];
	w_promote(w, w->res.nid);
}

static void random_step(struct world *w, u32 step)
{
	w->now += rnd(3000);
	switch (rnd(5)) {
	case 0:
		random_join(w, step);
		break;
	case 1:
		go_back(w, w->s->policy.version);
		break;
	case 2:
		if (w->s->n_server)
			w_term(w, w->s->server_order[rnd(w->s->n_server)]);
		break;
	default:
		w_order(w, random_statement(w));
	}
}

static void invariants(const struct state *s)
{
	const struct order_voters *v = &s->voters[0];

	ck_assert_uint_ge(v->n, 1);
	ck_assert_uint_ge(s->n_server, 1);
	for (u32 i = 0; i < v->n; i++)
		ck_assert(state_nid_live(s, v->nid[i]) && (!i || v->nid[i] > v->nid[i - 1]));
	for (u32 i = 0; i < s->n_server; i++)
		ck_assert(state_nid_live(s, s->server_order[i]) && !state_node(s, s->server_order[i])->deposed);
	for (u32 i = 0; i < s->n_node; i++)
		for (u32 k = 0; k < i; k++)
			ck_assert_mem_ne(s->node[i].sign, s->node[k].sign, 32);
}

/* Replays the log of w on a second state that is saved and loaded now and then: the same at every step. */
static void replay(const struct world *w)
{
	struct state *t = state_new();
	struct state_result res;
	u8 d1[32], d2[32];

	for (u64 i = 0; i < w->s->applied; i++) {
		struct entry e;

		ck_assert_int_eq(entry_decode(&e, w->log[i].p, w->log[i].n), 0);
		ck_assert_int_eq(state_apply(t, &e, &res), 0);
		if (i % 7 == 3) {
			struct state *u = state_new();
			struct wbuf b;

			save(t, &b);
			ck_assert_int_eq(state_load(u, b.data, b.len), 0);
			wbuf_fini(&b);
			state_free(t);
			t = u;
		}
	}
	w_digest(w->s, d1);
	w_digest(t, d2);
	ck_assert_mem_eq(d1, d2, 32);
	state_free(t);
}

START_TEST(random_histories)
{
	struct world *w = w_three();

	rnd_state = 0x9e3779b9u * (u32)(_i + 1);
	for (u32 step = 0; step < 60; step++) {
		u8 before[32], after[32];
		u64 at = w->s->applied;

		w_digest(w->s, before);
		random_step(w, step);
		w_digest(w->s, after);
		ck_assert((at == w->s->applied) == !memcmp(before, after, 32));
		invariants(w->s);
	}
	replay(w);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_state");
	TCase *t = tcase_create("rows"), *r = tcase_create("random");

	tcase_set_timeout(t, 120);
	tcase_set_timeout(r, 120);
	tcase_add_test(t, genesis_state);
	tcase_add_test(t, entries_come_in_order);
	tcase_add_test(t, suspension_ends_by_itself);
	tcase_add_test(t, dates_are_bounded);
	tcase_add_test(t, policy_versions);
	tcase_add_test(t, history_is_bounded);
	tcase_add_test(t, confirm_within);
	tcase_add_test(t, verdict_takes_vote_and_office);
	tcase_add_test(t, arithmetic_of_revoke);
	tcase_add_test(t, last_of_its_kind_stays);
	tcase_add_test(t, suspension_ends_by_entry);
	tcase_add_test(t, voters_one_at_a_time);
	tcase_add_test(t, learner_then_voter);
	tcase_add_test(t, preview_shows_both_sets);
	tcase_add_test(t, remove_is_final_but_frees_the_name);
	tcase_add_test(t, depose_keeps_the_node);
	tcase_add_test(t, names_and_numbers_must_agree);
	tcase_add_test(t, sid_blocks);
	tcase_add_test(t, group_keys_reach_members);
	tcase_add_test(t, verdict_brings_the_next_key);
	tcase_add_test(t, unwrappable_member_does_not_stop_the_key);
	tcase_add_test(t, term_needs_promises);
	tcase_add_test(t, reform_keeps_the_dead);
	tcase_add_test(t, reform_entry_is_a_function_of_its_statement);
	tcase_add_test(t, reform_on_an_older_base);
	tcase_add_test(t, requests_are_remembered_until_they_expire);
	tcase_add_test(t, snapshot_round_trip);
	tcase_add_test(t, empty_snapshot);
	tcase_add_test(t, snapshot_cut_and_flipped);
	tcase_add_test(t, clone_is_apart);
	tcase_add_loop_test(r, random_histories, 0, 12);
	suite_add_tcase(s, t);
	suite_add_tcase(s, r);
	return check_main(s);
}
