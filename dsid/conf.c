/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dsid's key tables. */
#include "dsid/conf.h"

#include <stdio.h>
#include <string.h>

#include "gcs/ring_files.h"
#include "lib/conf.h"
#include "lib/ctl.h"

static const char *const mode_names[] = { "off", "permissive", "enforcing", NULL };
static const char *const backend_names[] = { "corosync", "local", NULL };
static const char *const level_names[] = { "err", "warning", "notice", "info", "debug", NULL };

#define AT(member) CONF_AT(struct dsid_conf, member)
static const struct conf_key node_keys[] = {
	{ "", "nid", CONF_U32, AT(nid), .help = "Number given at enrolment. The log decides; this is for people." },
	{ "", "name", CONF_STR, AT(node), .help = "Name of this node, as enrolled." },
	{ "", "direct", CONF_STR, AT(direct), .help = "host:port at which others reach this node's direct leg." },
	{ "", "roles", CONF_STR, AT(roles), .help = "Roles granted at enrolment. The log decides." },
	{ "", "peer", CONF_LIST, AT(peers), .help = "Direct address of another member, to learn the log from; may be repeated." },
};
static const struct conf_key dsid_keys[] = {
	{ "", "mode", CONF_ENUM, AT(mode), .choices = mode_names, .value = "enforcing",
	  .help = "What the kernel does with refusals. Boot parameter dsi=permissive or dsi=off goes before." },
	{ "", "guard", CONF_BOOL, AT(guard), .value = "on", .help = "Protect DSI's own programs, pins and processes, from root too." },
	{ "", "listen", CONF_STR, AT(listen), .help = "host:port the direct leg listens at; empty: the address in node.conf." },
	{ "", "ring-port", CONF_U32, AT(ring_port), .min = 1, .max = 65535, .value = "5405",
	  .help = "Corosync's UDP port: it carries no label and stays open to revoked nodes until they are expelled." },
	{ "", "backend", CONF_ENUM, AT(backend), .choices = backend_names, .value = "corosync",
	  .help = "Ordered leg: corosync, or local for one node without a cluster." },
	{ "", "corosync-conf", CONF_STR, AT(corosync_conf), .value = RING_CONF_PATH,
	  .help = "Corosync's configuration: its node list follows the log. The key below changes with it." },
	{ "", "corosync-key", CONF_STR, AT(corosync_key), .value = RING_KEY_PATH, .help = "Corosync's key file." },
	{ "", "event-rate", CONF_U32, AT(enforce_rate), .min = 1, .max = 100000, .value = "64",
	  .help = "Refusals a second that the kernel reports for one subject." },
	{ "", "log-level", CONF_ENUM, AT(log_level), .choices = level_names, .value = "info", .help = "Least important line logged." },
};

static void under(char dst[LIM_PATH], const char *root, const char *path)
{
	snprintf(dst, LIM_PATH, "%s%s", root, path);
}

int dsid_conf_load(struct dsid_conf *c, const char *root, struct err *e)
{
	char path[LIM_PATH];
	int rc;

	memset(c, 0, sizeof(*c));
	under(path, root, PATH_DSID_CONF);
	conf_defaults(node_keys, ARRAY_SIZE(node_keys), c);
	rc = conf_load(dsid_keys, ARRAY_SIZE(dsid_keys), path, /* missing_ok= */ true, c, e);
	if (rc)
		return rc;
	under(path, root, PATH_NODE);
	rc = conf_load(node_keys, ARRAY_SIZE(node_keys), path, /* missing_ok= */ false, c, e);
	if (rc)
		return err_wrap(e, "this node is in no cluster yet (dsi-admin init, or dsi-admin enroll)");
	if (!c->listen[0])
		snprintf(c->listen, sizeof(c->listen), "%s", c->direct);
	under(c->log_dir, root, PATH_DSID_LOG);
	under(c->cluster_file, root, PATH_CLUSTER);
	under(c->key_file, root, PATH_NODE_KEY);
	return 0;
}

u32 dsid_conf_peers(const struct dsid_conf *c, char ret[LIM_VOTERS][LIM_PATH])
{
	const char *p = c->peers;
	u32 n = 0;

	while (n < LIM_VOTERS) {
		size_t len;

		p += strspn(p, "\n");
		len = strcspn(p, "\n");
		if (!len)
			break;
		snprintf(ret[n++], LIM_PATH, "%.*s", (int)MIN(len, (size_t)LIM_PATH - 1), p);
		p += len;
	}
	return n;
}
