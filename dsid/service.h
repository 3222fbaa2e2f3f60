/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service socket: connections and packets in, the registry's steps, packets out. Shell around dsid/registry.h.
 *
 * Who is at the other end is what the kernel says, never what a frame says and never /proc: SO_PEERCRED names the process
 * that connected, SCM_CREDENTIALS the one that sent this very packet. They must be the same process, and it must
 * still be the one that connected (its pidfd, opened at accept, is watched: a connection ends with its process). So a
 * descriptor handed to another process, or kept by a forked child, is of no use to it: its packet ends the connection.
 * The context (SID) is the answer of `sid`; 0: not known, which is the case wherever this kernel does not label tasks, and
 * before Linux 6.5: without SO_PEERPIDFD a pid may have been given to another process before we accept. The start time
 * in a frame's task is 0, not known, as yet.
 *
 * Must never: block; let one program's full queue hold up another's (who does not read is dropped).
 */
#ifndef DSI_DSID_SERVICE_H
#define DSI_DSID_SERVICE_H

#include "dsid/registry.h"
#include "lib/loop.h"

struct service;
struct service_ops {
	u32 (*nid)(void *ctx);
	u32 (*sid)(void *ctx, const struct svc_task *t); /* 0: not known */
	/* 0, or why not: -DSI_EPERM. Asked for each ANNOUNCE. */
	int (*may_announce)(void *ctx, const struct svc_task *t, const char *name);
};

/*
 * Takes over `listener`, a listening SOCK_SEQPACKET socket that does not block. SO_PASSCRED is set on it here, but whoever
 * makes it should before listen(): a packet of one who connected earlier may have no sender, and is refused (seen on
 * 6.18). NULL: no memory, or not a socket.
 */
struct service *service_new(struct loop *l, int listener, const struct service_ops *ops, void *ctx);
void service_free(struct service *s); /* NULL-safe; closes everything */
struct registry *service_registry(struct service *s); /* to show; lives as long as s */

#endif
