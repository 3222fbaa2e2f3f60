/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A member's log, fetched over the direct leg and believed only as far as it proves itself: GENESIS under
 * the root that the caller pins, then entry by entry chain, author, signatures, rules. What a peer says
 * about commit is only used to stop early.
 */
#ifndef DSI_CLI_LOGCOPY_H
#define DSI_CLI_LOGCOPY_H

#include "gcs/direct.h"
#include "gcs/state.h"
#include "lib/buf.h"

struct logcopy {
	struct state *state;       /* all committed entries applied */
	struct wbuf entries;       /* blobs, committed ones only, from 1 */
	struct wbuf tail;          /* blobs, the peer's uncommitted ones, not verified */
	u8 hash[CRYPTO_HASH];      /* of the last applied entry */
	struct wbuf genesis;       /* entry 1 */
};

int logcopy_init(struct logcopy *l, struct err *e);
void logcopy_fini(struct logcopy *l);
/* One canonical entry, the next one. root_hash: SHA-256 of the root's key, checked at entry 1. */
int logcopy_add(struct logcopy *l, const u8 *p, size_t n, const u8 root_hash[CRYPTO_HASH], struct err *e);
/* All committed entries of that member that we do not have. */
int logcopy_fetch(struct logcopy *l, struct direct_client *peer, const u8 root_hash[CRYPTO_HASH], struct err *e);
/* Connect with this key, fetch, check that the peer is live in the log it gave. */
int logcopy_from(struct logcopy *l, const char *address, const char *keyfile, const u8 root_hash[CRYPTO_HASH],
		 struct err *e);
/* The state with the uncommitted tail applied as far as it verifies; NULL on ENOMEM. state_free() it. */
struct state *logcopy_with_tail(const struct logcopy *l);

#endif
