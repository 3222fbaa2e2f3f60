/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control protocol: what dsi-admin asks of dsid and dsi-ss on its own node, over libqb IPC (lib/ipc.h),
 * JSON text both ways.
 *
 *   request  {"verb": "status", "args": {...}}
 *   reply    {"code": 0, "name": "OK", "text": "", "data": {...}}     code: negative dsi_err, see lib/err.h
 *
 * Who may ask is a column, so it cannot be forgotten: ANY local user, ROOT or group "dsi". Nothing here
 * gives authority over the cluster: what changes it is an operator-signed statement inside SUBMIT, which
 * any local caller in the group may hand in.
 *
 * X(NAME, "verb", served by: D dsid, S dsi-ss, who, args, data)
 */
#ifndef DSI_LIB_CTL_H
#define DSI_LIB_CTL_H

#define CTL_DSID "dsid"
#define CTL_SERVER "dsi-ss"

enum ctl_served { CTL_BY_DSID = 1, CTL_BY_SERVER = 2 };
enum ctl_who { CTL_ANY = 1, CTL_GROUP = 2, CTL_ROOT = 4 };

#define CTL_TABLE(X)                                                                                   \
	X(STATUS, "status", CTL_BY_DSID | CTL_BY_SERVER, CTL_ANY)                                     \
	/* -> the status document, doc/status.md */                                                   \
	X(NODES, "nodes", CTL_BY_DSID | CTL_BY_SERVER, CTL_ANY)                                       \
	/* -> {"nodes": [{nid, name, status, roles[], present, mode, policy, applied, lagging, reason, keys}]} */ \
	X(CLUSTER, "cluster", CTL_BY_DSID | CTL_BY_SERVER, CTL_ANY)                                   \
	/* -> {cluster, id, generation, root, log {index, commit, term}, policy {version, digest}, servers[], voters[], \
	 *     operators[], tail_hash}: what a statement needs to be made offline or online */        \
	X(SUBMIT, "submit", CTL_BY_DSID, CTL_GROUP)                                                   \
	/* {statement: base64, wait_ms, blob: hex digest put before (policy)} -> {index, ms, commit_ms, \
	 *     enforced: [{nid, name, suspended_ms, final_ms}], missing: [names], text, \
	 *     through: the member that had it ordered while our ring was silent, else ""} */         \
	X(BLOB_PUT, "blob-put", CTL_BY_DSID, CTL_GROUP)                                               \
	/* {digest, size, offset, data: base64} -> {have: bytes} ; complete when have == size */      \
	X(BLOB_GET, "blob-get", CTL_BY_DSID, CTL_GROUP)                                               \
	/* {digest, offset} -> {size, data: base64} */                                                \
	X(HISTORY, "history", CTL_BY_DSID | CTL_BY_SERVER, CTL_ANY)                                   \
	/* -> {"versions": [{version, digest, name, comment, author, wall_ms, index, current}]} */    \
	X(DENIALS, "denials", CTL_BY_DSID | CTL_BY_SERVER, CTL_GROUP)                                 \
	/* {since_id, since_ms, node, subject, max} -> {"denials": [{id, wall_ms, node, nid, type, reason, subject, \
	 *     subject_node, target, class, perms, qual, detail, comm, pid, policy, rule, enforced, count}], lost} */ \
	X(EXPLAIN, "explain", CTL_BY_DSID | CTL_BY_SERVER, CTL_GROUP)                                 \
	/* {id} -> {denial, rule: {file, line, text}, version, why, candidates[]} */                  \
	X(LOG, "log", CTL_BY_DSID | CTL_BY_SERVER, CTL_GROUP)                                         \
	/* {from, max} -> {"entries": [{index, term, type, author, wall_ms, hash, text}]} */          \
	X(COUNTERS, "counters", CTL_BY_DSID | CTL_BY_SERVER, CTL_ANY)                                 \
	X(ISOLATE, "isolate", CTL_BY_DSID, CTL_ROOT)                                                  \
	/* {node, undo} -> {}: this node's kernel refuses that node, no quorum, no server */          \
	X(FAILOVER, "failover", CTL_BY_SERVER, CTL_ROOT)                                              \
	/* {} -> {from, to, term, ms}: the active server steps aside for the next by rank */

enum ctl_verb {
#define X(name, verb, served, who) CTL_##name,
	CTL_TABLE(X)
#undef X
	CTL_COUNT
};

/* Files both the daemons and dsi-admin know (relative to --root, default /). */
#define PATH_ETC "/etc/dsi"
#define PATH_CLUSTER PATH_ETC "/cluster"        /* GENESIS entry, canonical bytes: pins the root */
#define PATH_NODE PATH_ETC "/node.conf"         /* nid, name, direct addresses; written by init and enroll */
#define PATH_DSID_CONF PATH_ETC "/dsid.conf"
#define PATH_SS_CONF PATH_ETC "/dsi-ss.conf"
#define PATH_KEYS PATH_ETC "/keys"
#define PATH_NODE_KEY PATH_KEYS "/node.key"
#define PATH_SERVER_KEY PATH_KEYS "/server.key"
#define PATH_OPERATORS PATH_ETC "/operators"    /* only on machines that operators use; not needed by daemons */
#define PATH_STATE "/var/lib/dsi"
#define PATH_DSID_LOG PATH_STATE "/dsid"
#define PATH_SS_LOG PATH_STATE "/dsi-ss"
#define PATH_RUN "/run/dsi"
#define PATH_POLICIES "/usr/share/dsi/policies"

#endif
