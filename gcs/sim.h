/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Simulated group communication: a whole cluster's ring on one virtual clock, one event queue, one seeded
 * PRNG. A run is a function of its seed. Implements the port gcs/gcs.h, one backend per simulated process.
 *
 * It promises no more than corosync (facts: corosync.md §0): agreed order inside a ring; at a ring's end
 * those who go on together have delivered the same, others less, and a cut-off sender delivers its own
 * messages alone (rule 1); messages of a former ring come late or never (4); a node is in left and joined
 * at once (5, 9); the quorum flag can be wrong (2, 13); a ring can go silent without a word (3).
 */
#ifndef DSI_GCS_SIM_H
#define DSI_GCS_SIM_H

#include "gcs/gcs.h"

struct sim;

struct sim_config {
	u32 nodes;               /* node i has corosync nodeid i + 1; at most 128 */
	u64 token_ns, consensus_ns;
	u64 hop_ns;              /* mean time from queue to delivery */
	u32 interim_percent;     /* a merge shows each old side its own view first */
	u32 drop_percent;        /* what waited in a sender's queue is lost at a ring change, else comes late */
	u32 forge_percent;       /* a minority is told that it is quorate */
};

struct sim *sim_new(u64 seed, const struct sim_config *cfg); /* NULL on ENOMEM; all nodes up, all links whole */
void sim_free(struct sim *s);

u64 sim_now(const struct sim *s);
u64 sim_events(const struct sim *s); /* processed so far */
u64 sim_random(struct sim *s);
u64 sim_below(struct sim *s, u64 n); /* [0, n); 0 when n = 0 */
bool sim_chance(struct sim *s, u32 percent);

typedef void sim_fn(void *ctx, u64 arg);
void sim_at(struct sim *s, u64 after_ns, sim_fn *fn, void *ctx, u64 arg);
bool sim_step(struct sim *s); /* one event; false: nothing left to happen */

/* A process on this node joins the group; its backend's free() is its death (or leaving). */
int sim_join(struct sim *s, u32 node, const struct gcs_events *ev, void *ctx, struct gcs_backend **ret);

/* Faults. The ring notices them about token + consensus later. */
void sim_node_down(struct sim *s, u32 node); /* power off: its backends must be freed by the caller too */
void sim_node_up(struct sim *s, u32 node);
void sim_link(struct sim *s, u32 from, u32 to, bool up); /* one way */
void sim_heal(struct sim *s);                            /* every link, pause and silence */
void sim_pause(struct sim *s, u32 node, bool on);        /* SIGSTOP of its corosync */
void sim_silence(struct sim *s, u32 node, u64 for_ns);   /* its ring passes nothing and says nothing */
bool sim_reaches(const struct sim *s, u32 a, u32 b);     /* both up, both ways: a direct connection works */
void sim_replay(struct sim *s);                          /* an old message turns up again */
void sim_expect(struct sim *s, u32 votes);               /* corosync-quorumtool -e: what quorum is counted by from now on */
void sim_lag(struct sim *s, u32 node, u32 factor);       /* this node is slow to deliver; 1 normal */

#endif
