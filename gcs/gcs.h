/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port: the ordered leg of the secure communication channel, and the portability layer the article asks
 * for. Backends: corosync.c (CPG + quorum; only ever runs inside the channel process), channel_proxy.c
 * (the same port across a link to that process: what dsid's engine and dsi-ss use), local.c (one node,
 * no daemon), sim.c (deterministic, tests).
 *
 * What a backend promises: agreed order of what it delivers inside one ring; a sender's messages in its
 * order; a view callback before the first message of that view. What it does not: durability, quorum,
 * authenticity (facts: corosync.md §0). Everything above assumes only the promise.
 *
 * A message sent in one view can be delivered in a later one, or never. Order is kept within one
 * priority; an urgent message overtakes what still waits in this process and in the channel.
 */
#ifndef DSI_GCS_GCS_H
#define DSI_GCS_GCS_H

#include "lib/err.h"
#include "lib/limits.h"

struct gcs_ring {
	u32 nodeid; /* of the ring's representative */
	u64 seq;
};
struct gcs_member {
	u32 nodeid; /* corosync's, never a NID */
	u32 pid;
};
struct gcs_view {
	struct gcs_ring ring;
	bool quorate;     /* corosync's opinion: necessary, never sufficient */
	u32 expected, total; /* votes */
	u64 token_ns, consensus_ns; /* runtime values: the lease is computed from them */
	u32 n;
	struct gcs_member members[LIM_NODES]; /* of the process group, ascending */
};

enum gcs_prio { GCS_URGENT = 0, GCS_NORMAL = 1, GCS_BULK = 2 };

struct gcs_events {
	void (*deliver)(void *ctx, struct gcs_member from, const u8 *p, size_t n);
	/* Ring or members changed. The struct is valid during the call. */
	void (*view)(void *ctx, const struct gcs_view *v);
	/* Same ring, same members; quorate, votes or token changed. Not at the same place in the stream on
	 * every member: opens nothing. May be NULL. */
	void (*quorum)(void *ctx, const struct gcs_view *v);
	void (*down)(void *ctx, const char *why);          /* backend lost; it reconnects by itself */
};

struct gcs_backend {
	/* Queue a message. 0; -DSI_EAGAIN (bounded queue full: back-pressure to the caller); -DSI_ELIMIT;
	 * -DSI_ENOTCONN. Never blocks. Delivery to oneself comes back like everybody else's. */
	int (*send)(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n);
	void (*free)(struct gcs_backend *b); /* leaves the group */
	/* Leave the group and join it again: a new view follows, for all. What was queued may be lost. */
	void (*again)(struct gcs_backend *b);
	struct gcs_member self; /* valid from the first view on */
};

#endif
