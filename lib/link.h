/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A link joins two processes of one daemon: framed messages over a SOCK_SEQPACKET socketpair, with a
 * bounded outgoing queue of two priorities (urgent frames overtake) and optional descriptor passing.
 * Both ends are our own code, but the ends do not trust each other: a frame that is too short, too long
 * or unknown makes the receiver call on_bad and drop the link.
 *
 * Frame: u16 type, u16 flags, u32 id, payload (<= LIM_LINK_FRAME - 8). `id` ties replies to requests.
 */
#ifndef DSI_LIB_LINK_H
#define DSI_LIB_LINK_H

#include "lib/compiler.h"
#include "lib/loop.h"

struct link;
struct link_ops {
	/* Payload is valid during the call only. fd is -1 or becomes the callee's. */
	void (*frame)(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd);
	void (*closed)(void *ctx, const char *why); /* link is dead; free it when convenient */
	void (*drained)(void *ctx);                 /* queue fell below half after -DSI_EAGAIN; may be NULL */
};

struct link *link_new(struct loop *l, int fd, size_t max_queued_bytes, const struct link_ops *ops, void *ctx);
void link_free(struct link *k); /* closes the descriptor */
/* 0, -DSI_EAGAIN (queue full, nothing taken), -DSI_ELIMIT, -DSI_ENOTCONN. */
int link_send(struct link *k, bool urgent, u16 type, u32 id, const void *p, size_t n, int fd);
size_t link_queued(const struct link *k);

/* Blocking request and reply on a link's descriptor that no loop watches (key service client, start-up).
 * Fails with -DSI_ETIMEDOUT, -DSI_ENOTCONN, -DSI_EPEER (reply of another type or id). */
int link_call(int fd, u16 type, const void *p, size_t n, u16 reply_type, void *ret, size_t cap, size_t *ret_len,
	      int timeout_ms) DSI_MUST_CHECK;
/* Blocking, for the serving side of link_call (the key service): next frame, then its reply. */
int link_recv(int fd, u16 *ret_type, u32 *ret_id, void *buf, size_t cap, size_t *ret_len) DSI_MUST_CHECK;
int link_reply(int fd, u16 type, u32 id, const void *p, size_t n) DSI_MUST_CHECK;

#endif
