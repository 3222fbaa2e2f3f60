/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policy versions in the state: built on the newest, remembered, confirmed or gone back on. */
#include "tests/unit/gcs_world.h"

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
	ck_assert_int_eq(w_check(w, stale, w_all3, 3), -DSI_ECONFLICT);
	w_expect_text(w, "made on version 1, but version 2 (three, by alice) is in force");
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

	ck_assert_int_eq(w_go_back(w, 2), -DSI_EAUTH); /* too early */
	w_expect_text(w, "");
	ck_assert_msg(strstr(w->res.text, "can still be confirmed") != NULL, "%s", w->res.text);
	w->now += 60001;
	ck_assert_int_eq(w_say(w, ENTRY_CONFIRM, "alice", &schema_s_confirm, &c), -DSI_EEXPIRED);
	ck_assert_int_eq(w_go_back(w, 1), -DSI_ECONFLICT);
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
	ck_assert_int_eq(w_go_back(w, 3), -DSI_EAUTH); /* nothing asks to be confirmed */

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
	ck_assert_int_eq(w_go_back(w, 4), -DSI_EAUTH);
	w_free(w);
}
END_TEST

LIB_TESTS("gcs_state_policy", policy_versions, history_is_bounded, confirm_within)
