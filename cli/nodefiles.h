/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What init and enroll leave on a node, below --root:
 *	/etc/dsi/cluster          0644  GENESIS entry, canonical bytes; written last, it makes the node a member
 *	/etc/dsi/node.conf        0644  "key = value" of lib/conf: nid, name, direct, roles, and one line "peer" each
 *	/etc/dsi/dsid.conf, dsi-ss.conf  0644, when absent
 *	/etc/dsi/keys/node.key    0440 root:_dsikey
 *	/etc/dsi/keys/server.key  0440 root:_dsisskey, where a server is hosted
 *	/var/lib/dsi/dsid         0700 _dsid     /var/lib/dsi/dsi-ss  0700 _dsiss
 * A list of what was made allows a failed command to leave nothing behind.
 */
#ifndef DSI_CLI_NODEFILES_H
#define DSI_CLI_NODEFILES_H

#include "cli/cli.h"
#include "gcs/statement.h"
#include "lib/keyservice.h"

enum { NODEFILES_MAX = 12 };

struct nodefiles {
	const struct cli *c;
	char made[NODEFILES_MAX][CLI_PATH]; /* files made by this command, to be undone */
	u32 n_made;
};

void nodefiles_init(struct nodefiles *f, const struct cli *c);
/* Refuses when this machine is a member already. */
int nodefiles_fresh(const struct nodefiles *f, struct err *e);
/* Renames what an ended membership left (keys, log, cluster record) to PATH.old-WALLMS; nothing to do when no
 * membership was ever completed. The daemons must be stopped: the caller sees to that. */
int nodefiles_set_aside(struct nodefiles *f, struct err *e);
int nodefiles_dirs(struct nodefiles *f, bool server, struct err *e);
/* Makes the key file, or with keep uses the one that is there. */
int nodefiles_key(struct nodefiles *f, enum keyfile_kind kind, bool keep, struct keyfile_pub *ret, struct err *e);
int nodefiles_write(struct nodefiles *f, const char *path, mode_t mode, const void *p, size_t n, struct err *e);
void nodefiles_made(struct nodefiles *f, const char *path); /* path with root: made by somebody else */
struct nodefiles_conf {
	u32 nid;
	const char *name, *direct;
	u32 roles;
	const char *const *peers; /* direct addresses of other members */
	u32 n_peers;
};
int nodefiles_conf(struct nodefiles *f, const struct nodefiles_conf *conf, struct err *e);
/* Default daemon configurations and the cluster file. */
int nodefiles_finish(struct nodefiles *f, const u8 *genesis, size_t n, struct err *e);
void nodefiles_undo(struct nodefiles *f); /* removes what was made, newest first */

/* --address and --addr -> node description; blobs point into addr. */
struct nodefiles_addrs {
	u8 bytes[LIM_ADDRS][16];
	struct blob v[LIM_ADDRS];
};
int nodefiles_addresses(const struct cli *c, struct body_node *node, struct nodefiles_addrs *addrs, struct err *e);
u32 nodefiles_roles_text(u32 roles, char *ret, size_t cap);

/* A statement_sign_fn; ctx is the path of a key file. */
int nodefiles_sign(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG]);

#endif
