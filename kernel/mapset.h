/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy generation, built record by record and put in force by one store. The root monitor serves
 * this for the unprivileged engine: it checks sizes, counts and ranges of records, never a policy.
 *
 *	mapset_begin -> mapset_put... -> [mapset_prepare] -> mapset_commit | mapset_abort
 *
 * At most one is under way. Nothing changes for any process before commit; abort leaves no trace.
 * Commit: 1. arm  programs that judge reads, writes and messages on what is already open are attached;
 *         2. swap the new generation is in force for every new open, exec, connect (one store);
 *         3. sweep open files, mappings and connections whose right is gone are found; connections are
 *                 destroyed, files stay stopped until none is open;
 *         4. disarm when no offender lives.
 * prepare does 1 ahead of time (two-phase roll-out: prepare on all nodes, commit by the log).
 */
#ifndef DSI_KERNEL_MAPSET_H
#define DSI_KERNEL_MAPSET_H

#include "kernel/loader.h"
#include "kernel/sweep.h"

struct mapset;

struct mapset_head {
	u64 policy_version; /* > 0 */
	u32 policy_flags;   /* enum dsi_policy_flag */
	u32 counts[DSI_REC_COUNT]; /* exactly how many of each kind will be put; [0] unused */
	u8 digest[32];      /* image digest, kept with the generation */
};

/* A path that could not be labelled: not there (yet), or not resolvable. The rest is in force. */
struct mapset_missing {
	const char *path; /* valid until the next commit, retry or kern_close() */
	u32 kind;         /* DSI_REC_LABEL, DSI_REC_EXEC */
	int error;        /* errno */
};

struct mapset_report {
	u32 generation;
	u32 missing;      /* entries for mapset_missing() */
	u32 tasks_labelled; /* running programs that exec entries moved into a context */
	bool guard_lost;  /* the policy does not give this program the context dsi: the guard is off since before the swap */
	u64 arm_us, swap_us, sweep_us, total_us;
	struct sweep_report sweep;
};

/* -DSI_EAGAIN: one is under way; -DSI_ELIMIT, -DSI_EINVAL, -DSI_ENOMEM, -DSI_EIO. */
int mapset_begin(struct kern *k, const struct mapset_head *head, struct mapset **ret, struct err *e) DSI_MUST_CHECK;
/*
 * n records of one kind, any order of kinds, any number of calls. Refused without effect on the set in
 * force: unknown kind, more than announced, a record out of range (-DSI_EINVAL, -DSI_ELIMIT). Ports must
 * be disjoint ranges; a key given twice is refused (-DSI_EEXIST). Rules come in strictly rising key order
 * over all calls, as image_rules_for() gives them.
 */
int mapset_put(struct mapset *m, u32 kind, const void *records, u32 n, struct err *e) DSI_MUST_CHECK;
/* Size of one record of a kind; 0: unknown kind. */
size_t mapset_record_size(u32 kind);
/* Resolve paths, check counts, arm revalidation. Optional; commit does what was not done. */
int mapset_prepare(struct mapset *m, struct err *e) DSI_MUST_CHECK;
/*
 * In force when 0 is returned. Frees m in any case; on error the old generation stays in force. Processes of an
 * unconfined context that the new policy does not know become `default` before the swap. Where it does not give this
 * program the context dsi, DSI's own do, the guard going off before them: at no moment are they refused what they
 * need. Turning the guard on is the caller's (kern_guard_set()).
 */
int mapset_commit(struct mapset *m, struct mapset_report *ret, struct err *e) DSI_MUST_CHECK;
void mapset_abort(struct mapset *m); /* NULL-safe */

/* i < report.missing of the last commit or retry. */
bool mapset_missing(const struct kern *k, u32 i, struct mapset_missing *ret);
/*
 * Try the missing paths again (a package was installed, a directory made); after adoption by a new dsid
 * this needs a commit of the same policy first, since paths are not kept in the kernel. *ret_fixed: how
 * many were found. Cheap when none is missing.
 */
int kern_labels_retry(struct kern *k, u32 *ret_fixed, struct err *e);

#endif
