/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port across the link to a channel process: what dsid's engine and dsi-ss use. Takes link_fd. When
 * the channel process ends, events.down is called once and every send fails with -DSI_ENOTCONN; free it,
 * start another channel and make another proxy. Frames from the channel are judged like a stranger's.
 */
#ifndef DSI_GCS_CHANNEL_PROXY_H
#define DSI_GCS_CHANNEL_PROXY_H

#include "gcs/gcs.h"
#include "lib/loop.h"

int channel_proxy_new(struct gcs_backend **ret, struct loop *l, int link_fd, const struct gcs_events *events, void *ctx);
/* Messages handed over and not yet taken by corosync. */
u32 channel_proxy_queued(struct gcs_backend *b);

#endif
