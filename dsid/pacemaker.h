/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's part of living beside Pacemaker: log in, jobs for the Pacemaker helper out. The node of the active server
 * asks, in a live and quorate view; when it is gone, its successor goes on: every node keeps which verdicts ask for
 * fencing, and Pacemaker is told how old a fencing may be to count, so nobody is shot twice; after an hour it is a
 * person's matter. What Pacemaker was told of `dsi-state` is forgotten with the view: the attribute does not outlive its
 * node's stay in the cluster.
 *
 * No Pacemaker here: said once, tried again every few minutes; a verdict that asks for fencing says so loudly.
 */
#ifndef DSI_DSID_PACEMAKER_H
#define DSI_DSID_PACEMAKER_H

#include "gcs/replica.h"

struct engine;
struct pacemaker;

struct pacemaker_counts { u64 fenced, fence_failed, state_set, state_failed; };

struct pacemaker *pacemaker_new(struct engine *g); /* before replica_start(); NULL on ENOMEM */
void pacemaker_free(struct pacemaker *p);
void pacemaker_applied(struct pacemaker *p, const struct entry *e, const struct state_result *r);
void pacemaker_changed(struct pacemaker *p); /* somebody was suspended, or the state is another */
void pacemaker_view(struct pacemaker *p);
void pacemaker_role(struct pacemaker *p, u32 active_nid);
void pacemaker_answered(struct pacemaker *p, const u8 *b, size_t n); /* UP_JOB */
const struct pacemaker_counts *pacemaker_counts(const struct pacemaker *p);

#endif
