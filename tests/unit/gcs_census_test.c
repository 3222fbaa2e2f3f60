/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How others count a node by what it says of its own kernel: only who enforces the newest policy counts as enforcing. */
#include <string.h>

#include "gcs/census.h"
#include "gcs/entry.h"
#include "lib/knows.h"
#include "tests/unit/lib_check.h"

enum { NODES = 5 };

static const struct {
	u32 mode;
	u64 policy;
	bool present;
	u32 enforced, lagging, not_enforcing, absent;
} rows[NODES] = {
	{ MODE_ENFORCING, 7, true, 1, 0, 0, 0 },
	{ MODE_ENFORCING, 6, true, 0, 1, 0, 0 },
	{ MODE_PERMISSIVE, 7, true, 0, 0, 1, 0 }, /* dsi=permissive, mode = permissive */
	{ MODE_NONE, 0, true, 0, 0, 1, 0 },       /* dsi=off, no BPF LSM */
	{ MODE_ENFORCING, 7, false, 0, 0, 0, 1 },
};

static struct census_sum sum_of(u32 i, bool reported)
{
	static struct census c;
	struct body_report r = { .mode = rows[i].mode, .policy_version = rows[i].policy };
	struct order_status o = { .present_n = rows[i].present, .present_nid = { 1 } };
	struct state *s = state_new();
	struct census_sum sum;

	memset(&c, 0, sizeof(c));
	s->policy.version = 7;
	s->n_node = 1;
	s->node[0].nid = 1;
	s->node[0].status = NODE_BOUND;
	if (reported)
		census_report(&c, 1, &r);
	census_sum(&c, s, &o, &sum);
	s->n_node = 0;
	state_free(s);
	return sum;
}

START_TEST(counted_by_what_it_says)
{
	for (u32 i = 0; i < NODES; i++) {
		struct census_sum sum = sum_of(i, true);

		ck_assert_msg(sum.enforced == rows[i].enforced && sum.lagging == rows[i].lagging &&
			      sum.not_enforcing == rows[i].not_enforcing && sum.absent == rows[i].absent &&
			      sum.present == rows[i].present, "row %u", i);
	}
}
END_TEST

START_TEST(silence_is_no_enforcement)
{
	ck_assert_uint_eq(sum_of(0, false).not_enforcing, 1);
	ck_assert_uint_eq(sum_of(0, false).enforced, 0);
}
END_TEST

/* The level of each HELLO, of managers and servers alike; nobody is asked who is not there. */
START_TEST(who_is_too_old)
{
	static struct census c;
	struct body_hello now = { .version = "0.2.0/3" }, old = { .version = "0.1.0" }, middle = { .version = "0.1.9/2" };
	struct order_status o = { .present_n = 2, .present_nid = { 1, 2 }, .server_n = 2, .server_nid = { 1, 4 } };
	char text[96];

	census_hello(&c, 1, ROLE_MANAGER, &now);
	census_hello(&c, 1, ROLE_SERVER, &now);
	census_hello(&c, 2, ROLE_MANAGER, &middle);
	census_hello(&c, 3, ROLE_MANAGER, &old); /* not there */
	census_hello(&c, 4, ROLE_SERVER, &now);
	ck_assert_str_eq(census_row(&c, 2)->version, "0.1.9");
	ck_assert_uint_eq(census_too_old(&c, &o, 2, text, sizeof(text)), 0);
	ck_assert_uint_eq(census_too_old(&c, &o, 3, text, sizeof(text)), 2);
	ck_assert_str_eq(text, "dsid of version 0.1.9, level 2");
	census_hello(&c, 2, ROLE_MANAGER, &now); /* upgraded */
	ck_assert_uint_eq(census_too_old(&c, &o, 3, text, sizeof(text)), 0);
	census_hello(&c, 4, ROLE_SERVER, &old);
	ck_assert_uint_eq(census_too_old(&c, &o, 3, text, sizeof(text)), 4);
	ck_assert_str_eq(text, "dsi-ss of version 0.1.0, level 1");
	o.present_nid[1] = 9;
	ck_assert_uint_eq(census_too_old(&c, &o, 2, text, sizeof(text)), 9);
	ck_assert_str_eq(text, "dsid that has not said its version yet");
	ck_assert_uint_eq(census_too_old(&c, &o, KNOWS_FIRST, text, sizeof(text)), 0); /* what all know is never held up */
	ck_assert_uint_ne(census_too_old(&c, &o, KNOWS_NOBODY, text, sizeof(text)), 0);
	census_hello(&c, 3, ROLE_MANAGER, &(struct body_hello){ .version = "\x1b[31m\xff 0123456789012345678901234567890/9" });
	ck_assert_str_eq(census_row(&c, 3)->version, "?[31m??012345678901234567890123");
	ck_assert_uint_eq(census_row(&c, 3)->level, 9);
}
END_TEST

/* No member may keep itself from being revoked by claiming to be old. */
START_TEST(verdicts_need_no_level)
{
	static const u16 always[] = { ENTRY_TERM, ENTRY_VERDICT, ENTRY_WITHDRAW, ENTRY_DEPOSE, ENTRY_GROUPKEY, ENTRY_REMOVE };

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		ck_assert_uint_eq(entry_type_level(always[i]), KNOWS_FIRST);
	for (u16 t = 1; t < ENTRY_TYPE_MAX; t++)
		ck_assert_uint_le(entry_type_level(t), KNOWS_NOW);
	ck_assert_uint_eq(entry_type_level(0), KNOWS_NOBODY);
	ck_assert_uint_eq(entry_type_level(ENTRY_TYPE_MAX), KNOWS_NOBODY);
}
END_TEST

LIB_TESTS("census", counted_by_what_it_says, silence_is_no_enforcement, who_is_too_old, verdicts_need_no_level)
