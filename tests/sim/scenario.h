/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the scenarios of order_test.c share: CHECK, a cluster that has begun, entries that must commit. Included as source. */
#ifndef DSI_TESTS_SIM_SCENARIO_H
#define DSI_TESTS_SIM_SCENARIO_H

#include <stdio.h>
#include <stdlib.h>

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

#endif
