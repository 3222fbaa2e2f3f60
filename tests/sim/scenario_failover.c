/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The leader goes, is asked to go, or was never good: who leads next, and with what tail. Included by order_test.c. */

/* "active server dies: standby commits a new term at the view" and no ring change is needed for it. */
static void server_killed(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 t;

	commit_one(c);
	t = sim_now(cluster_sim(c));
	cluster_kill(c, 1, ROLE_SERVER);
	CHECK(cluster_until(c, is_active, 2, 100 * MS), "no failover within 100 ms");
	CHECK(sim_now(cluster_sim(c)) - t <= 20 * MS, "failover of %llu us", (unsigned long long)(sim_now(cluster_sim(c)) - t) / 1000);
	commit_one(c);
	/* No automatic fail-back. */
	cluster_start(c, 1, ROLE_SERVER);
	cluster_run(c, opening_ns(c));
	CHECK(cluster_active(c) == 2, "failed back to %u", cluster_active(c));
	commit_one(c);
	cluster_free(c);
}

/* Planned hand-over under load: one new term, by the next; nothing that was committed is lost, nothing comes back by
 * itself, and it can be handed back. */
static void handed_over(struct cluster *c, u32 from, u32 to)
{
	u64 term = proc_status(c, from, ROLE_SERVER).term, t, index = 0, last = 0;
	u32 terms = cluster_messages(c, MSG_OPEN);

	for (int i = 0; i < 20; i++) {
		index = order_one(c, ENTRY_POLICY, 0, false);
		cluster_run(c, MS / 2);
	}
	t = sim_now(cluster_sim(c));
	last = order_check_committed(cluster_check(c)); /* acknowledged by now; order_check sees to all of it */
	CHECK(!cluster_yield(c, from), "not taken");
	while (cluster_active(c) == from) { /* the load goes on until the server itself says no */
		cluster_propose(c, from, ENTRY_POLICY, 0, false, &index);
		cluster_run(c, MS / 10);
	}
	CHECK(cluster_until(c, is_active, to, 100 * MS), "no hand-over within 100 ms");
	CHECK(sim_now(cluster_sim(c)) - t <= 20 * MS, "took %llu us", (unsigned long long)(sim_now(cluster_sim(c)) - t) / 1000);
	CHECK(proc_status(c, to, ROLE_SERVER).term == term + 1, "more than one new term");
	CHECK(cluster_messages(c, MSG_OPEN) == terms + 1, "more than one opening");
	CHECK(c->proc[0][3]->log.n >= last, "log is shorter than what was acknowledged");
	commit_one(c);
	cluster_run(c, opening_ns(c));
	CHECK(cluster_active(c) == to && proc_status(c, to, ROLE_SERVER).term == term + 1, "it did not stay");
}

static void planned_failover(void)
{
	struct cluster *c = start(3, 3, 2);

	CHECK(cluster_yield(c, 2) == -DSI_EROLE, "a standby yields");
	handed_over(c, 1, 2);
	cluster_kill(c, 3, ROLE_MANAGER); /* no automatic fail-back, in a later view either */
	cluster_start(c, 3, ROLE_MANAGER);
	cluster_run(c, opening_ns(c));
	CHECK(cluster_active(c) == 2, "failed back to %u", cluster_active(c));
	handed_over(c, 2, 1);
	handed_over(c, 1, 2);
	cluster_kill(c, 1, ROLE_SERVER);
	cluster_run(c, opening_ns(c));
	CHECK(cluster_yield(c, 2) == -DSI_ENOTSAFE, "the only server yields");
	commit_one(c);
	cluster_free(c);
}

/* A server that hangs (its channel process lives on, so nobody leaves): the next one leads. */
static void silent_server(void)
{
	struct cluster *c = start(3, 3, 2);

	commit_one(c);
	cluster_hang(c, 1, ROLE_SERVER);
	CHECK(cluster_until(c, is_active, 2, 5000 * MS), "nobody takes over from a silent server");
	commit_one(c);
	cluster_free(c);
}

/* "nothing acknowledged is lost": committed, then every node loses power at once, unsynced writes and all. */
static void all_lose_power(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index = 0;

	for (int i = 0; i < 30; i++)
		index = order_one(c, ENTRY_POLICY, 0, false);
	CHECK(cluster_until(c, is_committed, index, 500 * MS), "not committed");
	order_one(c, ENTRY_POLICY, 0, false);
	cluster_run(c, MS / 2);
	for (u32 i = 1; i <= 3; i++)
		cluster_crash(c, i);
	for (u32 i = 1; i <= 3; i++)
		cluster_boot(c, i);
	CHECK(cluster_until(c, is_active, 0, 2 * opening_ns(c)), "no server after the power cut");
	commit_one(c);
	CHECK(c->proc[0][1]->log.n > index, "log is shorter than what was acknowledged");
	cluster_free(c);
}

/* All servers die: views still open, labels stay live, nothing is committed; a server that comes back takes
 * the log from the managers. */
static void servers_gone_and_back(void)
{
	struct cluster *c = start(3, 3, 2);

	commit_one(c);
	cluster_kill(c, 1, ROLE_SERVER);
	cluster_kill(c, 2, ROLE_SERVER);
	cluster_run(c, 1000 * MS);
	CHECK(proc_status(c, 1, ROLE_MANAGER).live, "without a server nobody is live");
	c->proc[1][2]->disk.log.n = 1; /* and its store is gone */
	cluster_start(c, 2, ROLE_SERVER);
	CHECK(cluster_until(c, is_active, 2, 500 * MS), "no server");
	CHECK(c->proc[1][2]->log.n >= order_check_committed(cluster_check(c)), "server lacks committed entries");
	commit_one(c);
	cluster_free(c);
}

/* The leader takes the best tail, by term then index, not its own. */
static void leader_fetches_best_tail(void)
{
	struct cluster *c = start(5, 5, 2);
	u64 index = 0;

	cluster_kill(c, 2, ROLE_SERVER);
	cluster_run(c, 100 * MS);
	for (int i = 0; i < 200; i++)
		index = order_one(c, ENTRY_POLICY, 0, false);
	CHECK(cluster_until(c, is_committed, index, 2000 * MS), "not committed");
	cluster_kill(c, 1, ROLE_SERVER);
	cluster_start(c, 2, ROLE_SERVER);
	CHECK(cluster_until(c, is_active, 2, 1000 * MS), "behind server never leads");
	CHECK(c->proc[1][2]->log.n > index, "leads without the log");
	commit_one(c);
	cluster_free(c);
}

/* A claimed tail counts only once it was fetched and verified: who has it but cannot be reached is asked again,
 * and without it there is no TERM. */
static void no_term_without_the_tail(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 before;

	cluster_kill(c, 2, ROLE_SERVER);
	cluster_run(c, 100 * MS);
	for (int i = 0; i < 10; i++)
		commit_one(c);
	cluster_no_fetch(c, true);
	cluster_kill(c, 1, ROLE_SERVER);
	cluster_start(c, 2, ROLE_SERVER);
	before = order_check_committed(cluster_check(c));
	cluster_run(c, 3000 * MS);
	CHECK(cluster_active(c) == 0, "leads without what was committed");
	cluster_no_fetch(c, false);
	CHECK(cluster_until(c, is_active, 2, 10000 * MS), "never asks again");
	CHECK(order_check_committed(cluster_check(c)) > before, "nothing new");
	cluster_free(c);
}

/* A follower that was away catches up by ORDER_FETCH, and votes again. */
static void follower_catches_up(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index = 0;

	cluster_crash(c, 3);
	cluster_run(c, opening_ns(c));
	for (int i = 0; i < 240; i++)
		index = order_one(c, ENTRY_POLICY, 0, i % 50 == 0);
	CHECK(cluster_until(c, is_committed, index, 3000 * MS), "not committed by two of three");
	cluster_boot(c, 3);
	cluster_run(c, 2 * opening_ns(c));
	commit_one(c);
	CHECK(proc_commit(c, 3) > index, "node 3 did not catch up");
	cluster_crash(c, 2);
	cluster_run(c, 2 * opening_ns(c));
	commit_one(c);
	cluster_free(c);
}
