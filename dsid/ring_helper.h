/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring helper: `dsid -x ring`, root without a capability, started by the monitor for one job of the engine's and
 * gone after its answer. It is the only process of dsid that touches corosync's files, and the one that parses
 * them: neither the monitor (which parses nothing) nor the engine (which is not root) does.
 */
#ifndef DSI_DSID_RING_HELPER_H
#define DSI_DSID_RING_HELPER_H

#include "dsid/conf.h"

enum { RING_FRAME_JOB = 1, RING_FRAME_ANSWER = 2 };

int ring_helper_run(const struct dsid_conf *conf, int fd); /* body of the process; exit status */

#endif
