/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases: what a silent ring may not outlive (facts: corosync.md §0 rule 3). Pure arithmetic, no clock.
 *
 * Two lengths from the same proof, our own heartbeat coming back in a live view:
 *   gate   token + consensus: past it we stop acknowledging, opening and proposing
 *   trust  longer than detection and opening together, so that another node's crash cuts nobody: past it
 *          remote labels are stale (DESIGN §5)
 * A heartbeat proves the moment it was sent, not the moment it came back. Leases gate what we send and
 * answer, never what we apply; no safety property of the log rests on them.
 */
#ifndef DSI_GCS_LEASE_H
#define DSI_GCS_LEASE_H

#include "lib/compiler.h"

enum { LEASE_SENT = 16 }; /* heartbeats under way that we remember */

struct lease {
	u64 gate, trust; /* lengths, ns */
	u64 proven;      /* boottime ns of the last proof; 0 none: nothing holds */
	u64 next;        /* number of the next heartbeat */
	u64 sent[LEASE_SENT];
};

/* token and consensus as corosync reports them at run time; 0 (a backend without): 1 s and 1.2 s. */
u64 lease_gate_ns(u64 token, u64 consensus);
u64 lease_trust_ns(u64 token, u64 consensus, u64 heartbeat, u64 open_wait);
/* How often to send so that a gate survives two lost beats: at most wanted. */
u64 lease_beat_ns(u64 gate, u64 wanted);

/* A view began: that is a proof by itself; heartbeats of earlier views count no more. */
void lease_begin(struct lease *l, u64 now, u64 gate, u64 trust);
void lease_end(struct lease *l);          /* no view: nothing holds */
u64 lease_sent(struct lease *l, u64 now); /* number to put into the heartbeat */
void lease_returned(struct lease *l, u64 n);
bool lease_holds(const struct lease *l, u64 now);
u64 lease_until(const struct lease *l); /* end of the gate; 0 none */
u64 lease_trust_until(const struct lease *l);

#endif
