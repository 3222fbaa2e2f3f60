/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who the other nodes are, to the kernel: NID -> state, keys, addresses; and the lease of remote trust.
 * Independent of policy generations: a verdict needs no policy. Every call takes effect at once for new
 * packets; node_set() to suspended or revoked also destroys what is live before it returns.
 */
#ifndef DSI_KERNEL_NODES_H
#define DSI_KERNEL_NODES_H

#include "kernel/loader.h"
#include "kernel/sweep.h"

enum { NODE_ADDRS_MAX = 16 };

struct node_info {
	u32 nid;                /* 1..DSI_NID_MAX */
	enum dsi_node_state state;
	u32 nclass;             /* class in the policy in force, DSI_NCLASS_MEMBER when no group names it;
				 * ignored when the policy's own records name this NID */
	u32 n_addrs;
	struct dsi_addr addrs[NODE_ADDRS_MAX]; /* replace those set before; a revoked node's stay blocked */
	u32 keygen;             /* generation of key; only the low 8 bits travel in a label */
	bool has_key, has_previous;
	u8 key[16];             /* pairwise with this node; ignored for the own NID */
	u8 previous[16];        /* of keygen - 1: still accepted, never used for new labels */
};

/*
 * Make the node what *n says. DSI_NODE_NONE forgets it: its addresses are OUTSIDE from then on. An
 * address belongs to one node: -DSI_EEXIST when another has it. ret_sweep may be NULL.
 */
int node_set(struct kern *k, const struct node_info *n, struct sweep_report *ret_sweep, struct err *e) DSI_MUST_CHECK;
/* *ret without keys. -DSI_ENOENT. */
int node_get(struct kern *k, u32 nid, struct node_info *ret, struct err *e);
/* This node's number; its addresses come by node_set() with the same nid. 0: not enrolled. */
int node_own_set(struct kern *k, u32 nid, struct err *e);
/* IPv4 or IPv6 text to 16 bytes. -DSI_EINVAL. */
int node_addr_parse(const char *text, struct dsi_addr *ret);
/* "10.0.0.1" or "fe80::1"; cap >= 46. */
void node_addr_text(const struct dsi_addr *a, char *dst, size_t cap);

/* Remote labels are trusted until then (CLOCK_BOOTTIME ns; 0: no longer). One store: renew as often as you like. */
void lease_set(struct kern *k, u64 deadline_ns);
/* CLOCK_BOOTTIME now, ns. */
u64 lease_now(void);

#endif
