/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Order under fault. Scenarios first, each named after the sentence or rule it shows (DESIGN.md §4,
 * facts/corosync.md §0); then random histories: SEEDS=n of them, or one by SEED=n (TRACE=1 shows it).
 * gcs/order_check.c looks at every step of every process of all of them.
 *
 * BENCH=1 prints events per second of the random histories; BIG=1 runs one of 64 and one of 128 nodes.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/cluster.c"

static const char *scenario;
static u64 seed_now;

#define CHECK(cond, ...)                                                                               \
	do {                                                                                           \
		if (!(cond)) {                                                                         \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, scenario);                  \
			fprintf(stderr, __VA_ARGS__);                                                  \
			fputc('\n', stderr);                                                           \
			exit(1);                                                                       \
		}                                                                                      \
	} while (0)

static void on_failed(struct cluster *c, const char *text)
{
	fprintf(stderr, "FAILED %s: %s\n  seed %llu, event %llu, virtual time %.3f ms\n", scenario, text,
		(unsigned long long)seed_now, (unsigned long long)sim_events(cluster_sim(c)), (double)sim_now(cluster_sim(c)) / 1e6);
	if (seed_now)
		fprintf(stderr, "  again: SEED=%llu TRACE=1 build/tests/sim/order_test\n", (unsigned long long)seed_now);
	exit(1);
}

static bool is_active(struct cluster *c, u64 nid)
{
	u32 active = cluster_active(c);

	return nid ? active == nid : active != 0;
}

static bool is_committed(struct cluster *c, u64 index)
{
	return cluster_committed(c, index);
}

/* Detection, then opening: token + consensus, half a token to join, a few waits. */
static u64 opening_ns(const struct cluster *c)
{
	u64 token = c->cfg.token_ns ? c->cfg.token_ns : 300 * MS;

	return 4 * token + 50 * MS * 4;
}

static struct cluster *start(u32 nodes, u32 voters, u32 servers)
{
	struct cluster_config cfg = { .seed = 7, .nodes = nodes, .voters = voters, .servers = servers };
	struct cluster *c = cluster_new(&cfg);

	CHECK(cluster_until(c, is_active, 1, opening_ns(c)), "server 1 did not become active");
	return c;
}

static u64 order_one(struct cluster *c, u16 type, u32 target, bool body)
{
	u64 index;
	int rc = cluster_propose(c, cluster_active(c), type, target, body, &index);

	CHECK(!rc, "%s refused: %d", entry_type_name(type), rc);
	return index;
}

static void commit_one(struct cluster *c)
{
	u64 index = order_one(c, ENTRY_POLICY, 0, false);

	CHECK(cluster_until(c, is_committed, index, 500 * MS), "entry %llu not committed", (unsigned long long)index);
}

/* Committed by the others, whatever this node hears. */
static void commit_one_at(struct cluster *c, u32 nid)
{
	u64 index = order_one(c, ENTRY_POLICY, 0, false), end = sim_now(cluster_sim(c)) + 500 * MS;

	while (proc_commit(c, nid) < index && sim_now(cluster_sim(c)) < end)
		sim_step(cluster_sim(c));
	CHECK(proc_commit(c, nid) >= index, "entry %llu not committed", (unsigned long long)index);
}

static void split(struct cluster *c, u64 mask)
{
	u32 side[C_NODES];

	for (u32 i = 0; i < c->cfg.nodes; i++)
		side[i] = mask >> i & 1;
	cluster_split(c, side);
}

/* --- scenarios --------------------------------------------------------------------------------------------- */

static void happy(void)
{
	struct cluster *c = start(3, 3, 2);

	for (int i = 0; i < 20; i++)
		commit_one(c);
	for (u32 i = 1; i <= 3; i++)
		CHECK(proc_status(c, i, ROLE_MANAGER).live, "manager %u is not live", i);
	cluster_free(c);
}

/* GOALS: message rounds counted: suspension 1 (the entry), final 2 (entry, acknowledgements). */
static void verdict_rounds(void)
{
	struct cluster *c = start(5, 5, 2);
	u32 entries = cluster_messages(c, MSG_ENTRY), acks = cluster_messages(c, MSG_ACK);
	u64 index = order_one(c, ENTRY_VERDICT, 5, false);

	CHECK(cluster_until(c, is_committed, index, 500 * MS), "verdict not final");
	CHECK(cluster_messages(c, MSG_ENTRY) - entries == 1, "more than one entry message");
	CHECK(cluster_messages(c, MSG_ACK) - acks <= 4, "more than one acknowledgement each");
	cluster_free(c);
}

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

/* "The voter set changes one node at a time, committed in the old and the new set" */
static void voters_change(void)
{
	struct cluster *c = start(5, 1, 1);
	u64 index;

	for (u32 i = 2; i <= 5; i++) {
		index = order_one(c, ENTRY_VOTER_ADD, i, false);
		CHECK(cluster_propose(c, 1, ENTRY_VOTER_REMOVE, 1, false, NULL) == -DSI_EAGAIN, "two changes at a time");
		CHECK(cluster_until(c, is_committed, index, 1000 * MS), "voter %u not added", i);
	}
	CHECK(proc_status(c, 1, ROLE_MANAGER).voters == 5, "not five voters");
	index = order_one(c, ENTRY_VOTER_REMOVE, 1, false);
	CHECK(cluster_until(c, is_committed, index, 1000 * MS), "not removed");
	/* The new set of four needs three: two are not enough. */
	split(c, 1 | 2 | 4);
	cluster_run(c, 2 * opening_ns(c));
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL), "two of four voters are enough");
	sim_heal(cluster_sim(c));
	CHECK(cluster_until(c, is_active, 1, 3 * opening_ns(c)), "not active");
	commit_one(c);
	cluster_free(c);
}

/* "Two voters: changes need both" and an uncommitted change needs both sets, also to open a view. */
static void change_needs_both_sets(void)
{
	struct cluster *c = start(4, 2, 1);
	u64 index, before;

	split(c, 1 | 4); /* voter 1 with node 3, away from voter 2 */
	cluster_run(c, 2 * opening_ns(c));
	CHECK(cluster_propose(c, 1, ENTRY_VOTER_ADD, 3, false, &index), "one of two voters changes the set");
	sim_heal(cluster_sim(c));
	CHECK(cluster_until(c, is_active, 1, 3 * opening_ns(c)), "not active");
	index = order_one(c, ENTRY_VOTER_ADD, 3, false);
	for (u32 i = 1; i <= 3; i++) /* delivered, on no disk acknowledged yet */
		cluster_fsync(c, i, 5 * MS);
	cluster_run(c, MS);
	split(c, 1 | 4); /* 1 and 3: a majority of {1,2,3}, not of {1,2} */
	before = proc_commit(c, 1);
	cluster_run(c, 3 * opening_ns(c));
	CHECK(proc_commit(c, 1) == before, "committed by the new set alone");
	sim_heal(cluster_sim(c));
	cluster_run(c, 3 * opening_ns(c));
	commit_one(c);
	cluster_free(c);
}

/* "A verdict on a voter is also the entry that removes it: from its index on, its acknowledgements count for
 * nothing; majority of the old set, the target not counted, and of the new." */
static void verdict_on_voter(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index;

	cluster_fsync(c, 2, 300 * MS); /* slow: without it only 1 and the target could agree */
	index = order_one(c, ENTRY_VERDICT, 3, false);
	cluster_run(c, 50 * MS);
	CHECK(proc_commit(c, 1) < index, "the target's acknowledgement was counted");
	CHECK(c->proc[0][1]->disk.suspended >> 3 & 1, "not suspended at delivery");
	cluster_calm(c);
	CHECK(cluster_until(c, is_committed, index, 3000 * MS), "verdict never final");
	CHECK(proc_status(c, 1, ROLE_MANAGER).voters == 2, "target still votes");
	commit_one(c);
	cluster_crash(c, 2);
	cluster_run(c, 2 * opening_ns(c));
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL), "the revoked voter helps a majority");
	cluster_free(c);
}

/* "A verdict on a server's node acts as a deposition, is ordered by the next server"; and a deposition takes the
 * active server out at delivery, without any membership change. */
static void deposed_at_delivery(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 t = sim_now(cluster_sim(c));

	order_one(c, ENTRY_DEPOSE, 1, false); /* it orders its own end, once */
	CHECK(cluster_until(c, is_active, 2, 500 * MS), "deposed server still leads");
	CHECK(sim_now(cluster_sim(c)) - t < 50 * MS, "took %llu ms", (unsigned long long)(sim_now(cluster_sim(c)) - t) / MS);
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL) == -DSI_EROLE, "deposed server orders");
	commit_one(c);
	cluster_free(c);
}

/* The second path of a deposition: one manager is told over the direct leg, the active server withholds it. Its STATE
 * tells the others, and the next server leads, without any membership change. */
static void deposed_by_the_second_path(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 t;

	commit_one(c);
	t = sim_now(cluster_sim(c));
	cluster_urgent(c, 3, ENTRY_DEPOSE, 1);
	CHECK(cluster_until(c, is_active, 2, 500 * MS), "deposed server still leads");
	CHECK(sim_now(cluster_sim(c)) - t < 50 * MS, "took %llu ms", (unsigned long long)(sim_now(cluster_sim(c)) - t) / MS);
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL) == -DSI_EROLE, "deposed server orders");
	commit_one(c);
	cluster_free(c);
}

/* The same on the node of the active server: a verdict that it withholds. */
static void verdict_on_the_server_by_the_second_path(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index;

	cluster_urgent(c, 2, ENTRY_VERDICT, 1);
	cluster_urgent(c, 3, ENTRY_VERDICT, 1);
	CHECK(cluster_until(c, is_active, 2, 500 * MS), "the server under verdict still leads");
	index = order_one(c, ENTRY_VERDICT, 1, false);
	CHECK(cluster_until(c, is_committed, index, 500 * MS), "not final");
	cluster_free(c);
}

/* A member alone, its view not open, suspends at once; when it is back, everybody does, and the verdict becomes final. */
static void minority_suspends(void)
{
	struct cluster *c = start(5, 5, 2);
	u64 index;

	split(c, 1u << 3);
	cluster_run(c, 2 * opening_ns(c));
	CHECK(!proc_status(c, 4, ROLE_MANAGER).live, "a minority of one is live");
	cluster_urgent(c, 4, ENTRY_VERDICT, 5);
	CHECK(nid_dead(c->proc[0][4], 5), "not suspended where it was told");
	commit_one_at(c, 1);
	CHECK(!nid_dead(c->proc[0][1], 5), "the others cannot know yet");
	sim_heal(cluster_sim(c));
	cluster_run(c, 2 * opening_ns(c));
	for (u32 i = 1; i <= 4; i++)
		CHECK(nid_dead(c->proc[0][i], 5), "manager %u was not told by STATE", i);
	index = order_one(c, ENTRY_VERDICT, 5, false);
	CHECK(cluster_until(c, is_committed, index, 500 * MS), "not final");
	cluster_free(c);
}

/* A verdict that was delivered and not committed is carried by STATE.urgent to those who never saw it. */
static void urgent_reaches_the_others(void)
{
	struct cluster *c = start(5, 5, 2);

	c->proc[0][3]->disk.suspended |= 1 << 5; /* delivered here in a view that died */
	cluster_kill(c, 1, ROLE_SERVER);
	cluster_run(c, 200 * MS);
	for (u32 i = 1; i <= 4; i++)
		CHECK(c->proc[0][i]->disk.suspended >> 5 & 1, "manager %u does not know of the verdict", i);
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
	const char *seeds = getenv("SEEDS"), *seed = getenv("SEED"), *only = getenv("ONLY");
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
	return only ? 0 : churn_all(seeds ? strtoull(seeds, NULL, 0) : 2000);
}
