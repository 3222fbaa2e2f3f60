/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two files of the ring on this machine, and corosync's reload: what the ring helper does, and dsi-admin enroll.
 * Blocking. Both files change together or neither; what was there stays beside them as NAME.dsi-previous. Files that
 * are not this user's, or no plain files, are left alone.
 */
#ifndef DSI_GCS_RING_FILES_H
#define DSI_GCS_RING_FILES_H

#include "gcs/ring_job.h"

#define RING_DIR "/etc/corosync"
#define RING_CONF_PATH "/etc/corosync/corosync.conf"
#define RING_KEY_PATH "/etc/corosync/authkey"

struct ring_files {
	const char *conf, *key; /* paths */
	const char *self;       /* this node's name in the node list */
};
struct ring_done {
	bool changed;
	u32 before, after;      /* nodes in the list */
	u32 nodeid, old_nodeid; /* ours, corosync's number; 0 none. A changed one takes a restart, not a reload */
	u8 *conf, *key;         /* READ; ring_done_fini() */
	size_t conf_len, key_len;
	bool on[RING_MEMBERS];
};
/* READ, FOLLOW or TAKE. -DSI_ENOENT: no corosync.conf (TAKE: the member's does not list us yet); -DSI_ECONFIG;
 * -DSI_ENOTSAFE; -DSI_EPERM; -DSI_EIO, -DSI_ENOSPC. After a failure the files are as before. */
int ring_files_do(const struct ring_files *f, const struct ring_job *j, struct ring_done *ret,
		  struct err *e) DSI_MUST_CHECK;
void ring_done_fini(struct ring_done *d); /* wipes the key */

/* Every node of the ring reads its own files again. -DSI_ENOTCONN: no corosync runs here; -DSI_EAGAIN; -DSI_EFAIL. */
int ring_reload(struct err *e) DSI_MUST_CHECK;

#endif
