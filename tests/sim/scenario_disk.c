/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that are slow, full or went back in time, and bodies that are not there yet. Included by order_test.c. */

/* "committed = on the disks of a majority": not before they are synced. */
static void commit_waits_for_disks(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index;

	cluster_fsync(c, 2, 400 * MS);
	cluster_fsync(c, 3, 400 * MS);
	index = order_one(c, ENTRY_POLICY, 0, false);
	cluster_run(c, 150 * MS);
	CHECK(proc_commit(c, 1) < index, "committed on one disk of three");
	CHECK(cluster_until(c, is_committed, index, 2000 * MS), "slow disks never commit");
	cluster_free(c);
}

/* One slow disk is no brake. */
static void slow_disk_is_no_brake(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 t, index;

	cluster_fsync(c, 3, 1000 * MS);
	t = sim_now(cluster_sim(c));
	index = order_one(c, ENTRY_POLICY, 0, false);
	while (proc_commit(c, 1) < index)
		sim_step(cluster_sim(c));
	CHECK(sim_now(cluster_sim(c)) - t < 10 * MS, "took %llu us", (unsigned long long)(sim_now(cluster_sim(c)) - t) / 1000);
	cluster_free(c);
}

/* "acknowledges an entry only when every body it names is on its disk" */
static void body_before_acknowledgement(void)
{
	struct cluster *c = start(3, 3, 1);
	u64 index;

	c->cfg.fetch_fail_percent = 100; /* nobody can fetch the image */
	index = order_one(c, ENTRY_POLICY, 0, true);
	cluster_run(c, 1000 * MS);
	CHECK(proc_commit(c, 1) < index, "committed without the body on a majority");
	cluster_calm(c);
	CHECK(cluster_until(c, is_committed, index, 5000 * MS), "body fetched and still not committed");
	cluster_free(c);
}

/* "disk full, fsync error: refuse the change, keep the old state" and go on when it works again. */
static void disk_full_on_a_minority(void)
{
	struct cluster *c = start(3, 3, 2);

	cluster_disk_fails(c, 3, 1000);
	for (int i = 0; i < 5; i++) {
		u64 index = order_one(c, ENTRY_POLICY, 0, false);

		while (proc_commit(c, 1) < index)
			sim_step(cluster_sim(c));
	}
	cluster_run(c, 500 * MS);
	cluster_disk_fails(c, 3, 0);
	cluster_run(c, 3000 * MS);
	commit_one(c);
	CHECK(c->proc[0][3]->disk.log.n == c->proc[0][1]->disk.log.n, "did not fill up again");
	cluster_free(c);
}

static void disk_full_on_the_leader(void)
{
	struct cluster *c = start(3, 3, 2);

	commit_one(c);
	c->proc[1][1]->fail_syncs = 3;
	order_one(c, ENTRY_POLICY, 0, false);
	CHECK(cluster_until(c, is_active, 2, 5000 * MS), "a leader without a disk still leads");
	commit_one(c);
	cluster_free(c);
}

/* "a disk goes back in time: loses its vote until synced" */
static void disk_goes_back(void)
{
	struct cluster *c = start(3, 3, 2);

	for (int i = 0; i < 20; i++)
		commit_one(c);
	cluster_crash(c, 3);
	cluster_wipe(c, 3);
	cluster_crash(c, 2); /* so that a vote of 3 would make a majority */
	cluster_boot(c, 3);
	cluster_run(c, 3 * opening_ns(c));
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL), "a restored disk votes");
	cluster_boot(c, 2);
	CHECK(cluster_until(c, is_active, 0, 3 * opening_ns(c)), "no server");
	commit_one(c);
	cluster_run(c, 500 * MS);
	CHECK(!proc_status(c, 3, ROLE_MANAGER).stale_disk, "never relearnt");
	cluster_crash(c, 2); /* now its vote counts */
	cluster_run(c, 2 * opening_ns(c));
	commit_one(c);
	cluster_free(c);
}
