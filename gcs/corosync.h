/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adapter of the port on corosync: CPG (model v1) carries, QUORUM (model v1) has an opinion, CMAP tells
 * timing, votes and whether the ring is encrypted. The only file that includes corosync/ headers.
 *
 * Runs in the channel process only: its synchronous calls hang for ever on a stopped corosync
 * (facts: corosync.md §1.5), which is why that process exists. One thread, the loop's; it needs more
 * than 1 MiB of stack (the CPG library puts its buffer there), so the main thread.
 *
 * A view is announced when the totem rings of CPG and quorum agree. While quorum is behind, nothing is
 * taken from CPG, so no message comes before its view. When quorum is ahead, CPG's ring is history:
 * its view is announced as not quorate, so that what belongs to it is still delivered like everywhere.
 *
 * Never sleeps: TRY_AGAIN is a timer and a look at every dispatch.
 */
#ifndef DSI_GCS_COROSYNC_H
#define DSI_GCS_COROSYNC_H

#include "gcs/gcs.h"
#include "lib/loop.h"

#define COROSYNC_GROUP "dsi"

struct corosync_ops {
	struct gcs_events events;
	/* n messages left the queue: given to corosync, or dropped with the connection. May be NULL. */
	void (*sent)(void *ctx, u32 n);
};

/* Connects by itself, now and after every loss, with growing pauses (0.2 s to 5 s). events.down says why
 * it is not connected, with what to do about it; it comes once for each different reason. */
int corosync_new(struct gcs_backend **ret, struct loop *l, const char *group, const struct corosync_ops *ops,
		 void *ctx);
/* Take nothing more from CPG until resumed: the reader is full. corosync's own memory grows meanwhile, so
 * after COROSYNC_STALL_NS the group is left; it is joined again when resumed. */
void corosync_pause(struct gcs_backend *b, bool pause);
#define COROSYNC_STALL_NS (5ull * 1000000000)

#endif
