/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs of root's: helper processes that the monitor starts for one job of the engine's each and that are gone after their
 * answer. The monitor reads neither job nor answer. One of a kind at a time; kinds run beside each other.
 */
#ifndef DSI_DSID_JOB_H
#define DSI_DSID_JOB_H

#include "lib/err.h"

struct monitor;
struct job_side;

/* X(NAME, number, role, seconds for its answer). The numbers are a format between the processes of one package. */
#define JOB_TABLE(X)                                                                                   \
	X(RING, 1, "ring", 30)           /* dsid/ring_helper.h: by MONOP_RING, answered by UP_RING */  \
	X(PACEMAKER, 2, "pacemaker", 90) /* dsid/pacemaker_helper.h */
enum job_kind {
#define X(name, n, role, seconds) JOB_##name = n,
	JOB_TABLE(X)
#undef X
	JOB_KINDS,
};
enum { JOB_FRAME_JOB = 1, JOB_FRAME_ANSWER = 2 }; /* of every helper */

struct job_side *job_side_new(struct monitor *m); /* NULL on ENOMEM */
void job_side_free(struct job_side *s);
/* Starts the helper of that kind on this job. 0: one answer follows. -DSI_EAGAIN while one is under way; -DSI_EINVAL: no
 * such kind. */
int job_start(struct job_side *s, u32 kind, const u8 *p, size_t n, struct err *e);

#endif
