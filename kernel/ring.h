/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events from the kernel's ring buffer, for an event loop: watch ring_fd() for reading, then call
 * ring_consume(). Never blocks. A refused SYN is answered with a RST here, so that the client hears
 * "connection refused" at once instead of a time-out; the refusal itself does not depend on it.
 */
#ifndef DSI_KERNEL_RING_H
#define DSI_KERNEL_RING_H

#include "kernel/loader.h"

struct ring;

/* ev is valid during the call only. */
typedef void (*ring_fn)(void *ctx, const struct dsi_event *ev);

int ring_open(struct kern *k, ring_fn fn, void *ctx, struct ring **ret, struct err *e) DSI_MUST_CHECK;
int ring_fd(const struct ring *r);
/* At most max events (0: all that are there); returns how many, or a negative code. Records of another
 * size or ABI are counted, not delivered. */
int ring_consume(struct ring *r, u32 max);
u64 ring_malformed(const struct ring *r);
void ring_close(struct ring *r); /* NULL-safe; before kern_close() */

/* Texts; always NUL-terminate. */
const char *event_type_text(u32 type);
const char *event_reason_text(u32 reason); /* "unknown reason" for one of a newer ABI */
/* ".../html/index.html" or "" when the event has no file; cap >= 1. */
void event_path(const struct dsi_event *ev, char *dst, size_t cap);
/* "10.0.0.1:41000 -> 10.0.0.3:6379" or "". */
void event_tuple(const struct dsi_event *ev, char *dst, size_t cap);

#endif
