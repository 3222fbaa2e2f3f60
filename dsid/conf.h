/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dsid's configuration: /etc/dsi/dsid.conf (an administrator's) over /etc/dsi/node.conf (written by
 * `dsi-admin init` and `enroll`: who this node is). The key tables document themselves
 * (dsid --print-config; man dsid.conf).
 */
#ifndef DSI_DSID_CONF_H
#define DSI_DSID_CONF_H

#include "lib/err.h"
#include "lib/limits.h"

enum conf_mode { CONF_MODE_OFF, CONF_MODE_PERMISSIVE, CONF_MODE_ENFORCING }; /* = enum dsi_mode */

enum conf_backend { CONF_COROSYNC, CONF_LOCAL };

struct dsid_conf {
	/* node.conf */
	u32 nid;                /* as of enrolment; the log decides */
	char node[LIM_NAME];
	char roles[LIM_NAME];
	char direct[LIM_PATH];  /* host:port others reach our direct leg at */
	char peers[LIM_VOTERS * LIM_PATH]; /* direct addresses of others, a line each */
	/* dsid.conf */
	char listen[LIM_PATH];  /* empty: as direct */
	u32 mode;               /* enum conf_mode */
	bool guard;
	u32 ring_port;          /* corosync's, needs no label */
	u32 log_level;
	u32 enforce_rate;       /* events per second and subject */
	u32 backend;            /* enum conf_backend */
	char corosync_conf[LIM_PATH], corosync_key[LIM_PATH];
	/* not in files */
	char log_dir[LIM_PATH], cluster_file[LIM_PATH], key_file[LIM_PATH];
};

/* root: prefix of all paths, "" for /. */
int dsid_conf_load(struct dsid_conf *c, const char *root, struct err *e);
u32 dsid_conf_peers(const struct dsid_conf *c, char ret[LIM_VOTERS][LIM_PATH]);

#endif
