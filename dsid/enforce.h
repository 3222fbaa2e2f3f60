/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's side of the privileged operations: asynchronous calls to the monitor, answered in order.
 * Must never block, interpret a record, or keep a key longer than the call.
 */
#ifndef DSI_DSID_ENFORCE_H
#define DSI_DSID_ENFORCE_H

#include "dsid/monop.h"
#include "lib/err.h"
#include "lib/link.h"

struct enforce;
struct enforce_ops {
	void (*event)(void *ctx, const struct dsi_event *ev);
	void (*kernel)(void *ctx, const struct monop_kernel *k); /* at start, before anything else */
	void (*ring)(void *ctx, const u8 *p, size_t n);          /* the ring helper's answer; n 0: it gave none */
	void (*drained)(void *ctx);                              /* the queue takes more after -DSI_EAGAIN */
	void (*closed)(void *ctx, const char *why);              /* the monitor is gone: exit */
};
/* code 0 or negative with text; p: what the operation returns. */
typedef void enforce_fn(void *ctx, int code, const char *text, const void *p, size_t n);

struct enforce *enforce_new(struct loop *l, int fd, const struct enforce_ops *ops, void *ctx);
void enforce_free(struct enforce *x);
/* 0; -DSI_EAGAIN: queue full, wait for drained(). fn may be NULL. */
int enforce_call(struct enforce *x, enum monop op, const void *p, size_t n, enforce_fn *fn, void *ctx);

#endif
