/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The documents that dsid and dsi-ss both answer (doc/status.md, lib/ctl.h): status, nodes, cluster,
 * history, log. Pure functions from replicated state to JSON. With policies/denial.c the renderers that
 * include jansson below the daemons.
 */
#ifndef DSI_GCS_STATUS_H
#define DSI_GCS_STATUS_H

#include <jansson.h>

#include "gcs/census.h"
#include "gcs/log.h"

struct status_input {
	const char *by;             /* "dsid" or "dsi-ss" */
	const char *node;
	u32 nid;
	const struct state *state;
	const struct order_status *order;
	const struct census *census;
	const struct gcs_view *view; /* NULL: none yet */
	const struct status_local *local; /* NULL: dsi-ss */
	struct blobs verdicts;       /* statements delivered, not committed (replica_urgent_kept()) */
	const u8 *on_ring; /* bits by NID: who is in corosync's node list here; NULL: not known */
};
struct status_local { /* of the node's own kernel */
	u32 mode;
	u64 policy;
	const char *detail; /* why not enforcing, or what is wrong; "" */
	bool guard;         /* DSI's own files, pins and processes are guarded */
	u64 lease_ms;
	u64 events_lost;
};

json_t *status_document(const struct status_input *in); /* new reference; NULL on ENOMEM, like all below */
json_t *status_nodes(const struct status_input *in);
json_t *status_cluster(const struct status_input *in);
json_t *status_history(const struct state *s);
json_t *status_log(struct log *g, u64 from, u32 max);
json_t *status_refusals(const u64 *refusals);

#endif
