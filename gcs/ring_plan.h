/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync.conf as text in, text out: who leaves or enters the ring when the log says so. Core.
 *
 * A strict subset of what corosync reads (corosync.conf(5)): comments, `name {`, `key: value`, `}`, one per line.
 * What is not understood is refused with line and column, never guessed; what is not meant stays byte for byte.
 * The same text in gives the same text out on every node, so all write the same config_version.
 *
 * The caller (the ring helper) changes node list and ring key in one reload, never one alone (facts: peers-pki.md B2).
 */
#ifndef DSI_GCS_RING_PLAN_H
#define DSI_GCS_RING_PLAN_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/limits.h"

enum { RING_CONF_MAX = 256 << 10, RING_LINKS = 8, RING_ADDR = 64 };

struct ring_node {
	u32 nodeid;                       /* corosync's, never a NID */
	char name[LIM_NAME];              /* empty when the file has none */
	char addr[RING_LINKS][RING_ADDR]; /* ring0_addr ... without holes */
	u32 n_addr;
	u32 first, last;                  /* lines of `node {` and its `}` */
};

struct ring_conf {
	u64 config_version;               /* 0 when the file has none */
	char cluster_name[LIM_NAME], transport[16], cipher[16], hash[16]; /* as in force, defaults filled in */
	u32 expected_votes;               /* 0 not set */
	bool two_node;
	bool tabs;                        /* how its nodes are indented */
	char keyfile[LIM_PATH];           /* empty: corosync's own place */
	bool inline_key;                  /* totem.key: the key stands in the file itself */
	bool device;                      /* a quorum device */
	struct ring_node node[LIM_NODES];
	u32 n_node;
	/* lines, 1-based; 0 absent */
	u32 totem_open, version_line, expected_line, two_node_line, nodelist_close;
};

/* 0; -DSI_EPARSE, -DSI_ELIMIT with "line L, column C: ...". name: of the file, for the text. */
int ring_plan_read(struct ring_conf *c, const char *name, const char *text, size_t n, struct err *e) DSI_MUST_CHECK;
/* 0 when the ring is encrypted and authenticated; -DSI_ECONFIG with the lines to add. */
int ring_plan_crypto(const struct ring_conf *c, const char *name, struct err *e) DSI_MUST_CHECK;
/* By name, or by address where the file has no names; NULL. */
const struct ring_node *ring_plan_find(const struct ring_conf *c, const char *node);

/* New texts, appended to w (NUL not included). version: config_version to write, above the present one; 0: one more.
 * drop: -DSI_ENOENT when it is not there (done already), -DSI_ENOTSAFE when it is the last. Follows in the quorum
 * section: expected_votes where set, two_node off when the nodes are not two. */
int ring_plan_drop(const char *name, const char *text, size_t n, const char *node, u64 version, struct wbuf *w,
		   struct err *e) DSI_MUST_CHECK;
/* node->nodeid 0: the lowest free. -DSI_EEXIST when name, nodeid or an address is there; -DSI_EINVAL when it has
 * another number of addresses than the others. */
int ring_plan_add(const char *name, const char *text, size_t n, const struct ring_node *node, u64 version,
		  struct wbuf *w, struct err *e) DSI_MUST_CHECK;
/* Both at once, under one new version. gone: [as many as ring_plan_read() finds], or NULL. With nothing to do only the
 * version changes. -DSI_ENOTSAFE when nobody would be left. */
int ring_plan_change(const char *name, const char *text, size_t n, const bool *gone, const struct ring_node *add,
		     u32 n_add, u64 version, struct wbuf *w, struct err *e) DSI_MUST_CHECK;
/* A member's text taken over: of totem, quorum and nodelist the keys of a list that can do no harm (none names a file,
 * a program or a host to call), then our other sections as they stand. text NULL: we have none. *ret_same: ours says
 * the same already, nothing was appended. -DSI_ECONFIG when the member's ring is not encrypted, -DSI_ENOTSAFE with a
 * quorum device. */
int ring_plan_take(const char *name, const char *text, size_t n, const char *peer, size_t peer_n, bool *ret_same,
		   struct wbuf *w, struct err *e) DSI_MUST_CHECK;

#endif
