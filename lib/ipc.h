/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: libqb IPC (socket transport) driven by lib/loop. lib/ipc.c is the only file that
 * includes qb/qbipcs.h, lib/ipc_client.c the only one with qb/qbipcc.h. What is said is lib/ctl.h.
 *
 * Server: the verb is looked up in CTL_TABLE, the caller checked against its column, and only then the
 * handler runs. A verb that this service does not serve, or without handler, is refused here. Handlers
 * answer once, now or later (the connection may be gone by then: the answer is dropped).
 * Client: believes an answer only when the process at the other end runs as root, _dsid or _dsiss.
 *
 * Texts above one packet travel in parts, so the socket's buffers bound what a connection can hold of the
 * kernel's memory; at most LIM_CTL each way, one request at a time per connection.
 */
#ifndef DSI_LIB_IPC_H
#define DSI_LIB_IPC_H

#include <jansson.h>
#include <sys/types.h>

#include "lib/ctl.h"
#include "lib/err.h"
#include "lib/loop.h"

struct ipc_server;
struct ipc_request;

struct ipc_caller {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	u32 who; /* enum ctl_who bits that hold: CTL_ANY always; CTL_GROUP: group "dsi" or root; CTL_ROOT */
};

/* On the loop's thread. args is an object (empty when none were given), borrowed for the call. */
typedef void ipc_handler(void *ctx, struct ipc_request *rq, const json_t *args);

/* handlers: indexed by enum ctl_verb, NULL where none; must outlive the server. by: which of CTL_TABLE's
 * rows are this service's. name: CTL_DSID, CTL_SERVER (made unique by the network namespace). */
int ipc_server_new(struct ipc_server **ret, struct loop *l, const char *name, enum ctl_served by,
		   ipc_handler *const handlers[CTL_COUNT], void *ctx, struct err *e);
/* Drops connections and listener. Requests not answered yet may still be answered (to nobody). */
void ipc_server_free(struct ipc_server *s);

/* Exactly once per request. Consumes rq and data (may be NULL: {}); text may be NULL: that of the code. */
void ipc_answer(struct ipc_request *rq, int code, const char *text, json_t *data);
const struct ipc_caller *ipc_caller(const struct ipc_request *rq); /* of the request, valid until answered */

/* Blocking: connect, one request, one answer, close. *ret is malloc'ed, NUL-terminated JSON text.
 * 0, -DSI_ENOTCONN (nobody there, or not one of ours), -DSI_ETIMEDOUT, -DSI_ELIMIT, -DSI_EPEER. */
int ipc_call(const char *name, const char *request, size_t n, int timeout_ms, char **ret, size_t *ret_len,
	     struct err *e);

#endif
