/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Pacemaker helper: `dsid -x pacemaker`, root with one capability, started by the monitor for one job of the engine's
 * and gone after its answer. It runs stonith_admin or attrd_updater, by fixed paths, without a shell, with names of nodes
 * as their only free argument; they inherit its filter and can gain nothing. No daemon of DSI's is in the group haclient,
 * for whose members Pacemaker does anything.
 */
#ifndef DSI_DSID_PACEMAKER_HELPER_H
#define DSI_DSID_PACEMAKER_HELPER_H

enum {
	PACEMAKER_FRAME_JOB = 1, PACEMAKER_FRAME_ANSWER = 2,
	PACEMAKER_FENCE_S = 60,  /* stonith_admin's own time-out */
};

int pacemaker_helper_run(int fd); /* body of the process; exit status */

#endif
