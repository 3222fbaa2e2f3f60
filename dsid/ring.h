/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's part of the ring: log in, jobs for the ring helper out. Never touches a file of corosync's itself.
 *
 *   entry applied ──▶ FOLLOW ──▶ written ──RING, all ready or late──▶ RELOAD by the lowest NID ──▶ in force
 *   ring silent ──▶ DIRECT_RING of a member that is not here ──▶ TAKE ──▶ RELOAD of this node's corosync
 *
 * What survives a restart: for which verdict and entry the files were written, and whether corosync has read them
 * since. Every step may be done again.
 */
#ifndef DSI_DSID_RING_H
#define DSI_DSID_RING_H

#include "gcs/replica.h"
#include "lib/msg.h"

struct engine;
struct ring_side;

struct ring_side *ring_side_new(struct engine *g); /* before replica_start(); NULL on ENOMEM */
void ring_side_free(struct ring_side *s);
void ring_verdict_key(struct ring_side *s, const struct entry *e, const u8 key[CRYPTO_KEY]);
void ring_applied(struct ring_side *s, const struct entry *e, bool live);
void ring_rebuilt(struct ring_side *s); /* the state is a snapshot: entries were skipped */
void ring_joined(struct ring_side *s);
void ring_view(struct ring_side *s);
void ring_message(struct ring_side *s, u32 nid, const struct body_ring *m);
void ring_request(struct ring_side *s, struct direct_request *rq, const struct direct_peer *peer, size_t n);
void ring_answered(struct ring_side *s, const u8 *p, size_t n); /* UP_RING */
const u8 *ring_on(const struct ring_side *s); /* bits by NID, u8[LIM_NIDS / 8 + 1]; NULL: not known */

#endif
