/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dsi-ss's key tables. */
#include "ss-ha/conf.h"

#include <stdio.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/ctl.h"

static const char *const level_names[] = { "err", "warning", "notice", "info", "debug", NULL };

#define AT(member) CONF_AT(struct ss_conf, member)
static const struct conf_key node_keys[] = {
	{ "", "nid", CONF_U32, AT(nid), .help = "Number given at enrolment. The log decides; this is for people." },
	{ "", "name", CONF_STR, AT(node), .help = "Name of this node, as enrolled." },
	{ "", "direct", CONF_STR, AT(direct), .help = "host:port of this node's direct leg (dsid's)." },
	{ "", "roles", CONF_STR, AT(roles), .help = "Roles granted at enrolment. The log decides." },
	{ "", "peer", CONF_LIST, AT(peers), .help = "Direct address of another member, to learn the log from; may be repeated." },
};
static const struct conf_key ss_keys[] = {
	{ "", "log-level", CONF_ENUM, AT(log_level), .choices = level_names, .value = "info", .help = "Least important line logged." },
};

int ss_conf_load(struct ss_conf *c, struct err *e)
{
	int rc;

	memset(c, 0, sizeof(*c));
	rc = conf_load(ss_keys, ARRAY_SIZE(ss_keys), PATH_SS_CONF, /* missing_ok= */ true, c, e);
	if (!rc)
		rc = conf_load(node_keys, ARRAY_SIZE(node_keys), PATH_NODE, /* missing_ok= */ false, c, e);
	if (rc)
		return err_wrap(e, "this node hosts no server yet (dsi-admin init --server, or enroll with a server token)");
	snprintf(c->log_dir, sizeof(c->log_dir), "%s", PATH_SS_LOG);
	snprintf(c->cluster_file, sizeof(c->cluster_file), "%s", PATH_CLUSTER);
	snprintf(c->key_file, sizeof(c->key_file), "%s", PATH_SERVER_KEY);
	return 0;
}

u32 ss_conf_peers(const struct ss_conf *c, char ret[LIM_VOTERS][LIM_PATH])
{
	const char *p = c->peers;
	u32 n = 0;

	snprintf(ret[n++], LIM_PATH, "%s", c->direct);
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
