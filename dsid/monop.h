/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileged operations: everything the unprivileged engine can make the root monitor do, as a table of
 * bounded requests over their link (lib/link.h). The monitor checks sizes and ranges, never a policy;
 * an operation that is not here, too long, too short or out of its phase ends the engine. Inside a policy set the first error sticks: every later operation of the
 * set answers it too, and its COMMIT or ABORT ends the set.
 *
 * X(NAME, number, smallest payload, largest payload, phases it is allowed in)
 */
#ifndef DSI_DSID_MONOP_H
#define DSI_DSID_MONOP_H

#include "kernel/abi.h"
#include "kernel/nodes.h"
#include "lib/limits.h"

enum monop_phase { PHASE_IDLE = 1, PHASE_POLICY = 2 }; /* POLICY: between BEGIN and COMMIT or ABORT */

enum { MONOP_PAYLOAD = LIM_LINK_FRAME - 64, MONOP_PUT_HEAD = 8 };

#define MONOP_TABLE(X)                                                                                 \
	X(POLICY_BEGIN, 1, sizeof(struct monop_begin), sizeof(struct monop_begin), PHASE_IDLE)        \
	X(POLICY_PUT, 2, MONOP_PUT_HEAD, MONOP_PAYLOAD, PHASE_POLICY) /* u32 kind, u32 n, records */  \
	X(POLICY_COMMIT, 3, 0, 0, PHASE_POLICY)                                                       \
	X(POLICY_ABORT, 4, 0, 0, PHASE_POLICY)                                                        \
	X(NODE_SET, 5, sizeof(struct node_info), sizeof(struct node_info), PHASE_IDLE | PHASE_POLICY) \
	X(NODE_OWN, 6, 4, 4, PHASE_IDLE | PHASE_POLICY)               /* u32 NID */                   \
	X(LEASE, 7, 8, 8, PHASE_IDLE | PHASE_POLICY)                  /* u64 boottime ns; no reply */ \
	X(LABELS_RETRY, 8, 0, 0, PHASE_IDLE)                                                          \
	X(KERNEL, 9, 0, 0, PHASE_IDLE | PHASE_POLICY)                 /* -> struct monop_kernel */    \
	X(DOOR, 10, 4, 4, PHASE_IDLE | PHASE_POLICY) /* u32: 1 the direct leg is open to readmitted nodes */ \
	X(RING, 16, 2, MONOP_PAYLOAD, PHASE_IDLE | PHASE_POLICY) /* gcs/ring_job.h, for the ring helper: not read here */

enum monop {
#define X(name, n, min, max, phase) MONOP_##name = n,
	MONOP_TABLE(X)
#undef X
};

/* Frames from the monitor. */
enum monop_up {
	UP_REPLY = 64,   /* struct monop_reply, then what the operation returns */
	UP_EVENT = 65,   /* struct dsi_event */
	UP_KERNEL = 66,  /* struct monop_kernel: at start */
	UP_RING = 67,    /* the ring helper's answer, not read; empty: it gave none. One for each RING that was answered 0 */
};

struct monop_begin {
	u64 policy_version;
	u32 policy_flags;
	u32 counts[DSI_REC_COUNT];
	u8 digest[32];
};

struct monop_reply {
	int32_t code;
	u32 op;
	char text[256];
};

struct monop_committed { /* POLICY_COMMIT returns it */
	u32 generation, missing, tasks_labelled, sockets_destroyed, files_stopped, mappings_stopped;
	u64 arm_us, swap_us, sweep_us, total_us;
	char missing_path[256]; /* the first of them */
};

struct monop_node_done { /* NODE_SET returns it */
	u32 nid, sockets_destroyed;
	u64 us;
};

struct monop_kernel {
	u32 can_enforce; /* programs are attached */
	u32 mode;        /* enum dsi_mode in force */
	u32 adopted;
	u32 n_rules;
	u32 guard;       /* enum dsi_guard */
	u32 zero;
	u64 policy_version;
	u8 digest[32];
	char text[768];  /* what is missing and what to add; "" when it can enforce */
	char release[65];
	u64 stats[DSI_STAT_COUNT];
};

#endif
