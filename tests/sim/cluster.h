/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole cluster in one process: order cores of managers and servers on gcs/sim, disks that forget what was
 * not synced, a direct leg, and a tiny replicated application (voter changes, verdicts, depositions, policy
 * bumps with bodies). Every step of every core passes gcs/order_check.
 *
 * Included as source: each test of tests/sim is one program. One noun per part, cluster_*.c; scenario_*.c are order_test.c's.
 */
#ifndef DSI_TESTS_SIM_CLUSTER_H
#define DSI_TESTS_SIM_CLUSTER_H

#include "gcs/order.h"
#include "gcs/order_check.h"
#include "gcs/sim.h"

enum { C_NODES = LIM_NODES };
#define MS 1000000ull

struct cluster_config {
	u64 seed;
	u32 nodes;       /* managers, NIDs 1..nodes */
	u32 voters;      /* NIDs 1..voters to begin with */
	u32 servers;     /* on nodes 1..servers */
	u64 fsync_ns;    /* mean */
	u32 fsync_fail_percent;
	u32 fetch_fail_percent;
	u32 interim_percent, drop_percent, forge_percent;
	u64 token_ns;
};

struct cluster;
struct proc;

struct cluster *cluster_new(const struct cluster_config *cfg);
void cluster_free(struct cluster *c);
struct sim *cluster_sim(struct cluster *c);
struct order_check *cluster_check(struct cluster *c);
void cluster_calm(struct cluster *c); /* no random disk or fetch failure any more */

void cluster_run(struct cluster *c, u64 ns);
bool cluster_until(struct cluster *c, bool (*done)(struct cluster *c, u64 arg), u64 arg, u64 ns); /* false: not within ns */

/* Processes. */
struct proc *cluster_proc(struct cluster *c, u32 nid, enum msg_role role); /* NULL: not running */
void cluster_start(struct cluster *c, u32 nid, enum msg_role role);
void cluster_kill(struct cluster *c, u32 nid, enum msg_role role);
void cluster_hang(struct cluster *c, u32 nid, enum msg_role role); /* lives in the ring, does nothing; until killed */
void cluster_crash(struct cluster *c, u32 nid); /* power off: both processes, corosync, unsynced writes */
void cluster_boot(struct cluster *c, u32 nid);
void cluster_wipe(struct cluster *c, u32 nid); /* while down: an older image of its disk */
void cluster_split(struct cluster *c, const u32 *side /* [nodes] */);
void cluster_fsync(struct cluster *c, u32 nid, u64 ns);
void cluster_disk_fails(struct cluster *c, u32 nid, u32 count); /* the next syncs of its manager fail */
void cluster_clock(struct cluster *c, u32 nid, enum msg_role role, int64_t ms); /* wrong by so much, until calm */
void cluster_no_fetch(struct cluster *c, bool on);

/* Root's word, on entry base of the log of nid's manager: a new generation with these voters. Returns its index. Others
 * see it when they hear its generation. */
u64 cluster_reform(struct cluster *c, u32 nid, u64 base, const u32 *voters, u32 n);
u32 cluster_generation(struct cluster *c, u32 nid, enum msg_role role);

struct order_status proc_status(struct cluster *c, u32 nid, enum msg_role role);
u64 proc_commit(struct cluster *c, u32 nid);
u32 cluster_active(struct cluster *c); /* NID of a server that says it is active in the highest term; 0 none */

/* Order an entry through the server on nid; 0: index in *ret. target: NID for voter changes and verdicts. */
int cluster_propose(struct cluster *c, u32 nid, u16 type, u32 target, bool with_body, u64 *ret);
/* A verdict or deposition comes to the manager on nid by the direct leg: no ring, no view needed. */
void cluster_urgent(struct cluster *c, u32 nid, u16 type, u32 target);
int cluster_yield(struct cluster *c, u32 nid); /* the active server on nid gives the lead away */
/* Every running, living manager of the majority has committed up to index. */
bool cluster_committed(struct cluster *c, u64 index);
u64 cluster_digest(struct cluster *c); /* of everything: equal for equal runs */
u32 cluster_messages(struct cluster *c, u16 type); /* sent so far */
bool cluster_dead(struct cluster *c, u32 nid);     /* a verdict was delivered somewhere */
extern bool cluster_trace;
extern void (*cluster_failed)(struct cluster *c, const char *text);

#endif
