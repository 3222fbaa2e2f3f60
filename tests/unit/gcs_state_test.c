/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replicated state: genesis, entries in order, dates, names and numbers, requests. */
#include "tests/unit/gcs_world.h"

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

LIB_TESTS("gcs_state", genesis_state, entries_come_in_order, dates_are_bounded, names_and_numbers_must_agree,
	  sid_blocks, requests_are_remembered_until_they_expire)
