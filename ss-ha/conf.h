/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dsi-ss's configuration: /etc/dsi/dsi-ss.conf over /etc/dsi/node.conf (dsid/conf.h has the same two layers). */
#ifndef DSI_SS_HA_CONF_H
#define DSI_SS_HA_CONF_H

#include "lib/err.h"
#include "lib/limits.h"

struct ss_conf {
	u32 nid;
	char node[LIM_NAME], roles[LIM_NAME], direct[LIM_PATH];
	char peers[LIM_VOTERS * LIM_PATH];
	u32 log_level;
	char log_dir[LIM_PATH], cluster_file[LIM_PATH], key_file[LIM_PATH];
};

int ss_conf_load(struct ss_conf *c, struct err *e);
/* Direct addresses to learn from: our own node's manager first. */
u32 ss_conf_peers(const struct ss_conf *c, char ret[LIM_VOTERS][LIM_PATH]);

#endif
