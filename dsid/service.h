/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service socket: connections and packets in, the registry's steps, packets out. Shell around dsid/registry.h.
 *
 * Who is at the other end is what the kernel says, never what a frame says. SO_PEERCRED names the process that connected;
 * its pidfd, opened at accept, is watched: a connection ends with its process. The manager asks for that
 * process's context and start time (`who`) and speaks first: a ME of id 0. Who sends before that is ended. From then on each
 * packet must carry SCM_CREDENTIALS of that very process, and the context is asked anew when a packet has been read and
 * before it is served: one that changed ends the connection (a process that entered another context by exec connects
 * anew). So:
 *   - a descriptor handed to another process, or kept by a forked child, is of no use to it;
 *   - a pid that was given to another process between connect and accept is of no use: who has the descriptor is not
 *     that process, and that process does not have the descriptor;
 *   - a packet sent in one context is never served in another (not even one sent before we accepted).
 * Root with CAP_SYS_ADMIN may put another's pid into SCM_CREDENTIALS: SECURITY.md says what follows.
 *
 * Must never: block; let one program's full queue hold up another's (who does not read is dropped).
 */
#ifndef DSI_DSID_SERVICE_H
#define DSI_DSID_SERVICE_H

#include "dsid/monop.h"
#include "dsid/registry.h"
#include "lib/loop.h"

struct service;
struct service_env {
	u32 (*nid)(void *ctx);
	/* Asks what process `pid` is; service_told() brings the answer, later. 0, or why it could not be asked. */
	int (*who)(void *ctx, u32 pid, u64 token);
	/* 0, or why not: -DSI_EPERM. perm: DSI_PERM_SERVICE_*. Asked for each ANNOUNCE and each CALL. */
	int (*may)(void *ctx, const struct svc_task *t, const char *comm, const char *name, u32 perm);
	/* Services came, went or drain: may be NULL. Not for each request. */
	void (*changed)(void *ctx);
};

/* What was refused on the socket, counted. X(NAME, "what") */
#define SERVICE_REFUSED_TABLE(X)                                                                       \
	X(CONNECTION, "connection") /* too many, of all or of one user */                              \
	X(EARLY, "early")           /* sent before the manager spoke */                                \
	X(SENDER, "sender")         /* a packet of another process, with descriptors, or with no sender */ \
	X(FRAME, "frame")           /* nonsense, too long, or not this program's to send */            \
	X(CONTEXT, "context")       /* the process is in another context than when it connected */     \
	X(SLOW, "slow")             /* too much waits for it: it does not read */                      \
	X(DESCRIPTORS, "descriptors") /* accept failed: we have none left */

enum service_refused {
#define X(name, text) SERVICE_##name,
	SERVICE_REFUSED_TABLE(X)
#undef X
	SERVICE_REFUSED_COUNT
};

/*
 * Takes over `listener`, a listening SOCK_SEQPACKET socket that does not block, made by who owns its directory, with
 * SO_PASSCRED on from before listen(): a packet of one who connected earlier may have no sender, and is refused (seen on
 * 6.18). NULL: no memory, or not a socket.
 */
struct service *service_new(struct loop *l, int listener, const struct service_env *env, void *ctx);
void service_free(struct service *s); /* NULL-safe; closes everything */
/* The answer to who(): code 0 and p, or -DSI_E*, which ends the connection. A token that is no longer known is ignored. */
void service_told(struct service *s, u64 token, int code, const struct monop_peer *p);
/*
 * Providers inside this process. fn gets their REQUEST and DRAIN frames, never from inside another call of this file, and
 * NULL when the connection is at its end (gone by itself; not after service_local_gone()).
 */
typedef void service_local_fn(void *ctx, const struct svc_frame *f);
int service_local_announce(struct service *s, const char *name, const char *version, u32 api, u32 caps, service_local_fn *fn, void *ctx,
			   reg_conn *ret) DSI_MUST_CHECK;
/* Late ones, to what is no longer this provider's, are ignored. data is copied. */
void service_local_answer(struct service *s, reg_conn at, u32 ticket, int code, const void *data, size_t len);
void service_local_gone(struct service *s, reg_conn at);

/* By an administrator: the current provider is told to end, by DRAIN. -DSI_ENOENT. */
int service_stop(struct service *s, const char *name) DSI_MUST_CHECK;
struct registry *service_registry(struct service *s); /* to show; lives as long as s */
u64 service_refused(const struct service *s, enum service_refused what);
const char *service_refused_name(enum service_refused what);
u32 service_connections(const struct service *s);

#endif
