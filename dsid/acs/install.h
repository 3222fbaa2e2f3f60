/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access control service, user part: turns a compiled policy image into the kernel's records for this
 * node and feeds them to the monitor, at the pace the monitor takes them.
 *
 * One installation at a time; asking for another while one is under way replaces what comes next.
 */
#ifndef DSI_DSID_ACS_INSTALL_H
#define DSI_DSID_ACS_INSTALL_H

#include "dsid/enforce.h"
#include "gcs/state.h"

struct install;

/* code 0: in force. text: one line for status (missing paths, or the error). */
typedef void install_fn(void *ctx, int code, u64 version, const struct monop_committed *done, const char *text);

struct install *install_new(struct enforce *x, const char *own_node, install_fn *fn, void *ctx);
void install_free(struct install *i);
/* Takes the image bytes (freed when done). fn is called exactly once for each call, in order. */
void install_policy(struct install *i, u64 version, const u8 digest[CRYPTO_HASH], u8 *image, size_t len,
		    const struct state *nodes);
void install_drained(struct install *i); /* call from enforce_ops.drained */
bool install_busy(const struct install *i);

#endif
