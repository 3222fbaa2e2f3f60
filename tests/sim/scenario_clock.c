/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wrong clocks: of a liar, of a follower, of the leader, and one that jumps. Included by order_test.c. */

/* A lying server dates an entry a day ahead, so that what it carries has expired when it is applied: no disk of an
 * honest voter has it, and the next server's log does not. Nor a day back, so that what has expired counts. */
static void dated_by_a_liar(void)
{
	for (int day = -1; day <= 1; day += 2) {
		struct cluster *c = start(3, 3, 2);
		u64 lie, index;

		commit_one(c);
		cluster_clock(c, 1, ROLE_SERVER, day * 86400000ll);
		lie = order_one(c, ENTRY_POLICY, 0, false);
		cluster_run(c, 300 * MS);
		for (u32 i = 1; i <= 3; i++)
			CHECK(proc_commit(c, i) < lie && c->proc[0][i]->log.n < lie, "manager %u has what is dated %d days off", i, day);
		CHECK(proc_status(c, 2, ROLE_MANAGER).live, "a lie about time ends the view");
		CHECK(is_active(c, 1), "led off at once");
		CHECK(cluster_until(c, is_active, 2, 2000 * MS), "no other server takes over");
		index = order_one(c, ENTRY_VERDICT, 3, false);
		CHECK(cluster_until(c, is_committed, index, 500 * MS), "the verdict is not final");
		cluster_free(c);
	}
}

/* Whoever has the wrong clock itself lags by a beat and follows what the others committed; it blocks nobody, and its
 * disk counts again when the clock is right. */
static void wrong_clock_follows(void)
{
	for (int hour = -1; hour <= 1; hour += 2) {
		struct cluster *c = start(3, 3, 2);
		u64 index = 0;

		cluster_clock(c, 3, ROLE_MANAGER, hour * 3600000ll);
		for (int i = 0; i < 20; i++) {
			u64 t = sim_now(cluster_sim(c));

			index = order_one(c, ENTRY_POLICY, 0, false);
			while (proc_commit(c, 1) < index && sim_now(cluster_sim(c)) < t + 500 * MS)
				sim_step(cluster_sim(c));
			CHECK(sim_now(cluster_sim(c)) - t < 20 * MS, "one wrong clock slows the others");
		}
		CHECK(cluster_until(c, is_committed, index, 1500 * MS), "does not follow");
		CHECK(proc_status(c, 3, ROLE_MANAGER).live, "not live");
		cluster_calm(c);
		cluster_crash(c, 2); /* now its disk is needed */
		cluster_run(c, opening_ns(c));
		CHECK(cluster_active(c) == 1, "no server");
		commit_one(c);
		cluster_free(c);
	}
}

/* The clock of a node jumps and comes back: half the voters hold what the other half did not take. The server finds its
 * term spoilt, and the next TERM, its own here, carries everybody over it. */
static void clock_jumps_and_comes_back(void)
{
	for (u32 voters = 2; voters <= 4; voters += 2) {
		struct cluster *c = start(voters, voters, 1);
		u64 index;

		commit_one(c);
		cluster_clock(c, 1, ROLE_SERVER, 86400000);
		for (u32 i = 1; i <= voters / 2; i++)
			cluster_clock(c, i, ROLE_MANAGER, 86400000);
		index = order_one(c, ENTRY_POLICY, 0, false);
		cluster_run(c, 2000 * MS);
		CHECK(c->proc[0][1]->log.n == index && c->proc[0][voters]->log.n < index, "not what is tested here");
		cluster_calm(c);
		CHECK(cluster_until(c, is_committed, index, 5000 * MS), "%u voters never agree again", voters);
		CHECK(cluster_until(c, is_active, 1, 5000 * MS), "no server");
		commit_one(c);
		cluster_free(c);
	}
}

/* A server with a wrong clock gets no term, the next after it does. */
static void wrong_clock_leads_nobody(void)
{
	struct cluster *c = start(5, 5, 3);

	commit_one(c);
	cluster_clock(c, 2, ROLE_SERVER, 3600000);
	cluster_kill(c, 1, ROLE_SERVER);
	CHECK(cluster_until(c, is_active, 3, 30000 * MS), "nobody leads");
	commit_one(c);
	cluster_free(c);
}
