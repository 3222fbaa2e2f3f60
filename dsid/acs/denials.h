/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusals on their way from the kernel to people: alike ones folded, sent to the cluster in batches on
 * channel `audit`, the newest kept here for local questions. Bounded everywhere; what is lost is counted.
 */
#ifndef DSI_DSID_ACS_DENIALS_H
#define DSI_DSID_ACS_DENIALS_H

#include "gcs/replica.h"
#include "kernel/abi.h"

struct denials;

struct denials *denials_new(struct loop *l, struct replica *r);
void denials_free(struct denials *d);
/* From the monitor. */
void denials_event(struct denials *d, const struct dsi_event *ev);
/* From the stream, own ones included: kept for local questions. */
void denials_message(struct denials *d, u32 nid, const struct body_denials *m);

struct denial_seen {
	u64 id; /* local number, rising */
	u32 nid;
	struct body_denial d;
};
/* The newest first; i counts back. NULL past the end. */
const struct denial_seen *denials_newest(const struct denials *d, u32 i);
const struct denial_seen *denials_by_id(const struct denials *d, u64 id);
u64 denials_lost(const struct denials *d);

#endif
