/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channel process: corosync on one side, a link to its parent on the other. It holds no key, reads
 * no message and decides nothing; it exists because corosync's library calls can hang, its callbacks must
 * never wait, and its parent's crash must not be the ring's.
 *
 * Frames on the link (lib/link.h):
 *   SEND    parent -> channel  u8 prio, bytes     (prio urgent: urgent on the link too)
 *   SENT    channel -> parent  u32 n              n messages left the queue: credit
 *   DELIVER channel -> parent  u32 nodeid, u32 pid, bytes
 *   VIEW, QUORUM               self and struct gcs_view, see channel_view_put()
 *   DOWN    channel -> parent  text
 *   AGAIN   parent -> channel                     leave the group, join it again (DOWN, then VIEW)
 * All frames to the parent travel in one order. Bounds: the parent has at most LIM_QUEUE messages without
 * SENT; towards the parent CHANNEL_BYTES wait, then nothing more is taken from corosync.
 */
#ifndef DSI_GCS_CHANNEL_H
#define DSI_GCS_CHANNEL_H

#include "gcs/gcs.h"
#include "lib/buf.h"

enum channel_frame {
	CHANNEL_SEND = 1,
	CHANNEL_SENT,
	CHANNEL_DELIVER,
	CHANNEL_VIEW,
	CHANNEL_QUORUM,
	CHANNEL_DOWN,
	CHANNEL_AGAIN,
};
enum { CHANNEL_BYTES = 16 << 20 };

/* Body of the process, after its sandbox is in place. Main thread (stack > 1 MiB). Ends with the link. */
void channel_run(int link_fd) DSI_NORETURN;

void channel_view_put(struct wbuf *w, struct gcs_member self, const struct gcs_view *v);
int channel_view_get(struct rbuf *r, struct gcs_member *self, struct gcs_view *v) DSI_MUST_CHECK; /* strict */

#endif
