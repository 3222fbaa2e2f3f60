/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How others count a node by what it says of its own kernel: only who enforces the newest policy counts as enforcing. */
#include <string.h>

#include "gcs/census.h"
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

LIB_TESTS("census", counted_by_what_it_says, silence_is_no_enforcement)
