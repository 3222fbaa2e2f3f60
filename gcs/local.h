/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend of one node without a daemon: a quorate view of one, messages come back from the loop in the
 * order they were sent, urgent ones first. Bounded like the others.
 */
#ifndef DSI_GCS_LOCAL_H
#define DSI_GCS_LOCAL_H

#include "gcs/gcs.h"
#include "lib/loop.h"

/* The view comes from the loop, not from inside this call. */
int local_new(struct gcs_backend **ret, struct loop *l, const struct gcs_events *events, void *ctx);

#endif
