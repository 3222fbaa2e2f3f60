/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A majority is lost for good: root's word makes a new generation of what is left. Included by order_test.c. */

static bool all_in_generation(struct cluster *c, u64 g)
{
	for (u32 r = 0; r < ROLES; r++)
		for (u32 i = 1; i <= c->cfg.nodes; i++)
			if (c->proc[r][i] && c->proc[r][i]->alive && c->proc[r][i]->disk.generation != g)
				return false;
	return true;
}

static bool one_log(struct cluster *c, u64 upto)
{
	for (u64 i = 1; i <= upto; i++)
		for (u32 n = 2; n <= c->cfg.nodes; n++) {
			struct sent *a = entries_at(&c->proc[0][1]->log, i), *b = entries_at(&c->proc[0][n]->log, i);

			if (!a || !b || memcmp(a->e.hash, b->e.hash, CRYPTO_HASH))
				return false;
		}
	return true;
}

/* What a leader whose disk failed had proposed is lost: ask again, as a client would. */
static u64 commit_at_last(struct cluster *c, const char *when)
{
	u64 index = 0;

	for (int i = 0; i < 20; i++) {
		CHECK(cluster_until(c, is_active, 0, 20000 * MS), "no server is active %s", when);
		if (!cluster_propose(c, cluster_active(c), ENTRY_POLICY, 0, i & 1, &index) &&
		    cluster_until(c, is_committed, index, 3000 * MS))
			return index;
		cluster_run(c, 200 * MS);
	}
	CHECK(false, "nothing commits %s", when);
}

/* DESIGN §4 "When a majority is gone". Five voters; 1, 2 and 4 lose power, with a few entries on their way. Root
 * reforms on what 3 has, voters 3 and 5. Then the three come back, first among themselves: as the majority that they
 * were they commit in the old generation. When they meet the others they follow, and give that up: one history in each
 * generation, and nobody who was let go votes. */
static void reform_run(u64 seed, bool faults)
{
	struct cluster_config cfg = { .seed = seed, .nodes = 5, .voters = 5, .servers = 3, .fsync_fail_percent = faults ? 2 : 0,
				      .fetch_fail_percent = faults ? 10 : 0, .interim_percent = faults ? 30 : 0 };
	struct cluster *c = cluster_new(&cfg);
	static const u32 voters[] = { 3, 5 };
	u64 index, base;
	struct sim *s = cluster_sim(c);

	seed_now = 0;
	CHECK(cluster_until(c, is_active, 0, 20000 * MS), "no server became active");
	for (int i = 0; i < 5; i++) {
		if (cluster_active(c))
			cluster_propose(c, cluster_active(c), ENTRY_POLICY, 0, sim_chance(s, 20), NULL);
		cluster_run(c, sim_below(s, 20 * MS));
	}
	cluster_crash(c, 1);
	cluster_crash(c, 2);
	cluster_crash(c, 4);
	cluster_run(c, 2000 * MS);
	CHECK(!proc_status(c, 3, ROLE_MANAGER).live && !cluster_active(c), "two of five are live");
	base = MIN(proc_commit(c, 3), c->proc[0][3]->disk.log.n); /* its own disk may have failed */
	if (faults && base > 2 && sim_chance(s, 30))
		base--; /* below our own commit point: only root may */
	sim_expect(s, 3); /* the operator's part */
	index = cluster_reform(c, 3, base, voters, 2);
	CHECK(index == base + 1, "reform at %llu", (unsigned long long)index);
	CHECK(cluster_until(c, all_in_generation, 2, 10000 * MS), "5 and the server of 3 do not follow");
	CHECK(cluster_until(c, is_active, 3, 20000 * MS), "server 3 is not active after the reform");
	commit_at_last(c, "after the reform");

	split(c, 0x14); /* 3, 5 | 1, 2, 4 */
	cluster_boot(c, 1);
	cluster_boot(c, 2);
	cluster_boot(c, 4);
	cluster_run(c, 4000 * MS);
	for (u32 i = 1; i <= 2; i++)
		if (c->proc[1][i]->active)
			cluster_propose(c, i, ENTRY_POLICY, 0, false, NULL);
	cluster_run(c, 2000 * MS);
	CHECK(cluster_generation(c, 1, ROLE_MANAGER) == 1, "1 knows what nobody could tell it");
	if (!faults)
		CHECK(proc_commit(c, 1) > base, "the old majority could not go on alone");

	cluster_calm(c);
	sim_heal(s);
	CHECK(cluster_until(c, all_in_generation, 2, 20000 * MS), "the old majority does not follow");
	index = commit_at_last(c, "when all are back");
	for (u32 i = 1; i <= 5; i++)
		CHECK(proc_status(c, i, ROLE_MANAGER).voters == 2, "%u counts other voters", i);
	CHECK(one_log(c, index), "two histories in one generation");
	cluster_free(c);
}

static void reform_after_a_lost_majority(void)
{
	reform_run(7, false);
	for (u64 seed = 1; seed <= 200; seed++)
		reform_run(seed, true);
}
