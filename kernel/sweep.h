/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-emption: what is already open when a right ends. Called by mapset_commit() and node_set(); the
 * daemon itself only calls sweep_tick() while sweep_pending().
 */
#ifndef DSI_KERNEL_SWEEP_H
#define DSI_KERNEL_SWEEP_H

#include "kernel/loader.h"

struct sweep_report {
	u32 sockets_seen, sockets_destroyed;
	u32 files_seen, files_stopped;   /* open files whose right is gone: every read and write fails */
	u32 mappings_stopped;            /* mapped files whose right is gone: their processes get SIGKILL */
	u64 us;
};

/* Attach the programs that judge what is already open; idempotent. They cost on each read and write. */
int sweep_arm(struct kern *k, struct err *e);
/* Look at everything once by the policy in force; destroy connections; report. */
int sweep_run(struct kern *k, struct sweep_report *ret, struct err *e);
/* Connections of suspended and revoked nodes only. */
int sweep_nodes(struct kern *k, struct sweep_report *ret, struct err *e);
/* Give up what sweep_arm() attached, when nobody is stopped. */
void sweep_disarm(struct kern *k);
/* Offenders are still open: call sweep_tick() about once a second. */
bool sweep_pending(const struct kern *k);
/* Look again; disarm when none is left. */
int sweep_tick(struct kern *k, struct sweep_report *ret, struct err *e);

#endif
