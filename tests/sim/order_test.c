/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Order under fault. Scenarios first, each named after the sentence or rule it shows (DESIGN.md §4,
 * facts/corosync.md §0); then random histories: SEEDS=n of them, or one by SEED=n (TRACE=1 shows it).
 * gcs/order_check.c looks at every step of every process of all of them.
 *
 * BENCH=1 prints events per second of the random histories; BIG=1 runs one of 64 and one of 128 nodes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/scenario.h"
#include "tests/sim/scenario_failover.c"
#include "tests/sim/scenario_clock.c"
#include "tests/sim/scenario_ring.c"
#include "tests/sim/scenario_disk.c"
#include "tests/sim/scenario_verdict.c"
#include "tests/sim/scenario_reform.c"

static void happy(void)
{
	struct cluster *c = start(3, 3, 2);

	for (int i = 0; i < 20; i++)
		commit_one(c);
	for (u32 i = 1; i <= 3; i++)
		CHECK(proc_status(c, i, ROLE_MANAGER).live, "manager %u is not live", i);
	cluster_free(c);
}

/* One voter (local backend): commit = own disk. */
static void one_voter(void)
{
	struct cluster *c = start(1, 1, 1);

	for (int i = 0; i < 5; i++)
		commit_one(c);
	cluster_free(c);
}

static void same_seed_same_run(void)
{
	u64 digest[2];

	for (int i = 0; i < 2; i++) {
		struct cluster *c = start(5, 3, 2);

		commit_one(c);
		cluster_crash(c, 1);
		cluster_run(c, 3000 * MS);
		digest[i] = cluster_digest(c);
		cluster_free(c);
	}
	CHECK(digest[0] == digest[1], "two runs of one seed differ");
}

static const struct {
	const char *name;
	void (*fn)(void);
} scenarios[] = {
	{ "happy path", happy },
	{ "one voter", one_voter },
	{ "verdict: message rounds", verdict_rounds },
	{ "active server killed", server_killed },
	{ "planned failover", planned_failover },
	{ "dated by a liar", dated_by_a_liar },
	{ "wrong clock follows", wrong_clock_follows },
	{ "wrong clock leads nobody", wrong_clock_leads_nobody },
	{ "clock jumps and comes back", clock_jumps_and_comes_back },
	{ "rule 1, 2: self-delivery is not commit", rule_1_self_delivery_is_not_commit },
	{ "minority commits nothing", minority_commits_nothing },
	{ "rule 3: silent ring", rule_3_silent_ring },
	{ "rule 4: old messages", rule_4_old_messages },
	{ "rule 5, 9: left and joined at once", rule_9_left_and_joined },
	{ "rule 7: ghost member", rule_7_ghost_member },
	{ "commit waits for disks", commit_waits_for_disks },
	{ "one slow disk is no brake", slow_disk_is_no_brake },
	{ "body before acknowledgement", body_before_acknowledgement },
	{ "drains before STATE", drains_before_state },
	{ "all lose power", all_lose_power },
	{ "servers gone and back", servers_gone_and_back },
	{ "leader fetches the best tail", leader_fetches_best_tail },
	{ "no TERM without the tail", no_term_without_the_tail },
	{ "follower catches up", follower_catches_up },
	{ "voters change one at a time", voters_change },
	{ "a change needs both sets", change_needs_both_sets },
	{ "verdict on a voter", verdict_on_voter },
	{ "deposed at delivery", deposed_at_delivery },
	{ "urgent verdicts travel with STATE", urgent_reaches_the_others },
	{ "second path: deposition", deposed_by_the_second_path },
	{ "second path: verdict on the server", verdict_on_the_server_by_the_second_path },
	{ "second path: a minority suspends", minority_suspends },
	{ "silent server", silent_server },
	{ "disk full on a minority", disk_full_on_a_minority },
	{ "disk full on the leader", disk_full_on_the_leader },
	{ "disk goes back in time", disk_goes_back },
	{ "reform after a lost majority", reform_after_a_lost_majority },
	{ "same seed, same run", same_seed_same_run },
};

#include "tests/sim/churn.c"

int main(void)
{
	const char *seeds = getenv("SEEDS"), *seed = getenv("SEED"), *only = getenv("SCENARIO");
	u32 n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	cluster_failed = on_failed;
	cluster_trace = getenv("TRACE") != NULL;
	if (seed)
		return churn_one(strtoull(seed, NULL, 0));
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (only && !strstr(scenarios[i].name, only))
			continue;
		scenario = scenarios[i].name;
		scenarios[i].fn();
		printf("ok %s\n", scenario);
		n++;
	}
	printf("%u scenarios\n", n);
	if (!n)
		return 1;
	return only ? 0 : churn_all(seeds ? strtoull(seeds, NULL, 0) : 2000);
}
