/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What corosync can do to order: the rules of facts/corosync.md, one scenario each. Included by order_test.c. */

/* Rule 1: a message delivered to yourself is not committed. Rule 2: nor does the quorate flag make it so. Many
 * partitions, until enough of them showed a cut-off sender its own entry. */
static bool self_delivery(u64 seed)
{
	struct cluster_config cfg = { .seed = seed, .nodes = 3, .voters = 3, .servers = 2, .forge_percent = 100 };
	struct cluster *c = cluster_new(&cfg);
	u64 index;
	bool alone;

	CHECK(cluster_until(c, is_active, 1, opening_ns(c)), "not active");
	commit_one(c);
	split(c, 1); /* node 1, with the active server, alone; it still believes in three */
	for (int i = 0; i < 8; i++) {
		CHECK(!cluster_propose(c, 1, ENTRY_POLICY, 0, false, &index), "the cut-off server does not believe in its view");
		cluster_run(c, MS / 2);
	}
	CHECK(cluster_until(c, is_active, 2, 2 * opening_ns(c)), "majority has no server");
	cluster_run(c, 500 * MS); /* node 1 has long delivered all it will ever deliver; it is told it is quorate */
	index = c->proc[0][1]->log.n;
	alone = c->proc[0][1]->log.v[index - 1] != entries_at(&c->proc[0][2]->log, index);
	if (alone)
		CHECK(proc_commit(c, 1) < index, "seed %llu: committed alone", (unsigned long long)seed);
	commit_one_at(c, 2);
	sim_heal(cluster_sim(c)); /* merge: its tail is truncated, nothing that was ever committed is lost */
	cluster_run(c, 2 * opening_ns(c));
	commit_one(c);
	CHECK(proc_commit(c, 1) == proc_commit(c, 3), "did not catch up");
	cluster_free(c);
	return alone;
}

static void rule_1_self_delivery_is_not_commit(void)
{
	u32 alone = 0;

	for (u64 seed = 1; seed <= 200; seed++)
		alone += self_delivery(seed);
	CHECK(alone >= 5, "only %u of 60 partitions showed what is tested here", alone);
}

static void minority_commits_nothing(void)
{
	struct cluster *c = start(5, 5, 2);
	u64 before;

	split(c, 1 | 2); /* both servers with two voters of five */
	cluster_run(c, opening_ns(c));
	before = proc_commit(c, 1);
	cluster_run(c, 2000 * MS);
	CHECK(!cluster_active(c) || cluster_propose(c, cluster_active(c), ENTRY_POLICY, 0, false, NULL), "minority takes proposals");
	CHECK(proc_commit(c, 1) == before && proc_commit(c, 4) == before, "something was committed");
	CHECK(!proc_status(c, 1, ROLE_MANAGER).live, "a minority calls itself live");
	CHECK(proc_status(c, 4, ROLE_MANAGER).live, "the majority side is not live without a server");
	sim_heal(cluster_sim(c));
	CHECK(cluster_until(c, is_active, 0, 2 * opening_ns(c)), "no server after the merge");
	cluster_run(c, 500 * MS);
	commit_one(c);
	cluster_free(c);
}

/* Rule 3: the view you last heard may be dead. Our own heartbeat does not return: stop answering. */
static void rule_3_silent_ring(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index;

	commit_one(c);
	sim_silence(cluster_sim(c), 0, 20000 * MS);
	cluster_run(c, 661 * MS); /* token + consensus */
	for (u32 i = 1; i <= 3; i++)
		CHECK(!proc_status(c, i, ROLE_MANAGER).live, "manager %u calls a silent ring live", i);
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, &index) == -DSI_EAGAIN, "proposals are taken in a silent ring");
	cluster_run(c, 20000 * MS);
	CHECK(cluster_until(c, is_active, 1, opening_ns(c)), "incumbent lost by silence alone");
	CHECK(proc_status(c, 2, ROLE_MANAGER).live, "not live again");
	commit_one(c);
	cluster_free(c);
}

/* Rule 4: messages from a previous life, or of another view, change nothing. */
static void rule_4_old_messages(void)
{
	struct cluster *c = start(3, 3, 2);

	for (int i = 0; i < 60; i++) {
		commit_one(c);
		sim_replay(cluster_sim(c));
		if (i % 20 == 10)
			cluster_kill(c, 2, ROLE_MANAGER);
		if (i % 20 == 15) {
			cluster_start(c, 2, ROLE_MANAGER);
			cluster_run(c, 200 * MS);
		}
	}
	cluster_free(c);
}

/* Rules 5 and 9: a node that was frozen, or restarted within one membership change, is a newcomer. */
static void rule_9_left_and_joined(void)
{
	struct cluster *c = start(3, 3, 2);

	commit_one(c);
	cluster_crash(c, 3);
	cluster_boot(c, 3); /* before anybody noticed */
	cluster_run(c, 2 * opening_ns(c));
	CHECK(cluster_active(c), "no server");
	commit_one(c);
	sim_pause(cluster_sim(c), 0, true);
	cluster_run(c, opening_ns(c));
	CHECK(cluster_active(c) == 2 || cluster_active(c) == 1, "no server");
	sim_pause(cluster_sim(c), 0, false);
	cluster_run(c, 2 * opening_ns(c));
	commit_one(c);
	cluster_free(c);
}

/* Rule 7: a ghost in the member list. Time-outs send: OPEN goes out with a majority after open_wait. */
static void ghost_events(void *ctx, struct gcs_member from, const u8 *p, size_t n)
{
	(void)ctx, (void)from, (void)p, (void)n;
}

static void ghost_view(void *ctx, const struct gcs_view *v)
{
	(void)ctx, (void)v;
}

static void rule_7_ghost_member(void)
{
	static const struct gcs_events mute = { .deliver = ghost_events, .view = ghost_view };
	struct cluster *c = start(3, 3, 2);
	struct gcs_backend *ghost;

	CHECK(!sim_join(cluster_sim(c), 1, &mute, NULL, &ghost), "no ghost");
	cluster_run(c, 300 * MS); /* opens again with the ghost in the list */
	CHECK(proc_status(c, 3, ROLE_MANAGER).phase == ORDER_OPEN, "waits for a ghost");
	commit_one(c);
	ghost->free(ghost);
	cluster_run(c, 300 * MS);
	commit_one(c);
	cluster_free(c);
}

/* "Each voter drains its log thread, then sends STATE" and the promise is durable before OPENACK: order_check
 * looks; here the disks are so slow that every step would be wrong without waiting. */
static void drains_before_state(void)
{
	struct cluster *c = start(3, 3, 2);

	for (u32 i = 1; i <= 3; i++)
		cluster_fsync(c, i, 200 * MS);
	for (int i = 0; i < 10; i++)
		order_one(c, ENTRY_POLICY, 0, false);
	cluster_run(c, 10 * MS);
	cluster_kill(c, 1, ROLE_SERVER);
	CHECK(cluster_until(c, is_active, 2, 5000 * MS), "no failover");
	commit_one(c);
	cluster_free(c);
}
