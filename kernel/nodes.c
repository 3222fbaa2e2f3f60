// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The node table and the lease. Order matters: what cuts off is written before what could still let in
 * (state, then addresses), what lets in after what it needs (keys, class, then addresses).
 */
#include "kernel/nodes.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/kern_impl.h"

u64 lease_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

void lease_set(struct kern *k, u64 deadline_ns)
{
	__atomic_store_n(&k->state->lease_deadline, deadline_ns, __ATOMIC_SEQ_CST);
}

int node_addr_parse(const char *text, struct dsi_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, ret->a + 12) == 1) {
		ret->a[10] = ret->a[11] = 0xff;
		return 0;
	}
	return inet_pton(AF_INET6, text, ret->a) == 1 ? 0 : -DSI_EINVAL;
}

void node_addr_text(const struct dsi_addr *a, char *dst, size_t cap)
{
	static const u8 mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = !memcmp(a->a, mapped, sizeof(mapped));

	if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->a + 12 : a->a, dst, (socklen_t)cap) && cap)
		dst[0] = '\0';
}

int node_own_set(struct kern *k, u32 nid, struct err *e)
{
	if (nid > DSI_NID_MAX)
		return err_set(e, -DSI_EINVAL, "node number %u", nid);
	__atomic_store_n(&k->state->own_nid, nid, __ATOMIC_SEQ_CST);
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------------ */

static u32 addr_owner(struct kern *k, const struct dsi_addr *a)
{
	u32 nid = 0;

	return bpf_map_lookup_elem(k->maps[KM_ADDRS], a, &nid) ? 0 : nid;
}

static bool addr_listed(const struct node_info *n, const struct dsi_addr *a)
{
	for (u32 i = 0; i < n->n_addrs; i++)
		if (!memcmp(&n->addrs[i], a, sizeof(*a)))
			return true;
	return false;
}

/* All addresses of nid, at most cap. */
static u32 addrs_of(struct kern *k, u32 nid, struct dsi_addr *dst, u32 cap)
{
	struct dsi_addr key, *prev = NULL;
	u32 n = 0;

	while (!bpf_map_get_next_key(k->maps[KM_ADDRS], prev, &key)) {
		if (addr_owner(k, &key) == nid && n < cap)
			dst[n++] = key;
		prev = &key;
	}
	return n;
}

static int addrs_put(struct kern *k, const struct node_info *n, struct err *e)
{
	for (u32 i = 0; i < n->n_addrs; i++)
		if (bpf_map_update_elem(k->maps[KM_ADDRS], &n->addrs[i], &n->nid, BPF_ANY))
			return err_errno(e, -DSI_EIO, "register an address of node %u", n->nid);
	return 0;
}

static void addrs_drop(struct kern *k, const struct node_info *n, bool all)
{
	struct dsi_addr old[DSI_ADDRS_MAX / 16];
	u32 count = addrs_of(k, n->nid, old, ARRAY_SIZE(old));

	for (u32 i = 0; i < count; i++)
		if (all || !addr_listed(n, &old[i]))
			bpf_map_delete_elem(k->maps[KM_ADDRS], &old[i]);
}

/* --- nodes ---------------------------------------------------------------------------------------- */

static bool cut_off(u32 state)
{
	return state == DSI_NODE_SUSPENDED || state == DSI_NODE_REVOKED;
}

static u32 count_cut_off(struct kern *k)
{
	u32 key, n = 0, *prev = NULL;
	struct dsi_node node;

	while (!bpf_map_get_next_key(k->maps[KM_NODES], prev, &key)) {
		if (!bpf_map_lookup_elem(k->maps[KM_NODES], &key, &node))
			n += cut_off(node.state);
		prev = &key;
	}
	return n;
}

static int check(struct kern *k, const struct node_info *n, struct err *e)
{
	if (!n->nid || n->nid > DSI_NID_MAX || n->state >= DSI_NODE_STATE_COUNT || n->n_addrs > NODE_ADDRS_MAX)
		return err_set(e, -DSI_EINVAL, "node record out of range");
	if (n->nclass && (n->nclass < DSI_NCLASS_MEMBER || n->nclass > DSI_NCLASS_MAX))
		return err_set(e, -DSI_EINVAL, "node class %u", n->nclass);
	for (u32 i = 0; i < n->n_addrs; i++) {
		u32 owner = addr_owner(k, &n->addrs[i]);
		char text[64];

		node_addr_text(&n->addrs[i], text, sizeof(text));
		/* a dead node's address may be given to a new one: readmission is a new number */
		if (owner && owner != n->nid) {
			struct dsi_node other = { 0 };

			if (bpf_map_lookup_elem(k->maps[KM_NODES], &owner, &other) || other.state != DSI_NODE_REVOKED ||
			    n->state != DSI_NODE_MEMBER)
				return err_set(e, -DSI_EEXIST, "%s belongs to node %u", text, owner);
		}
	}
	return 0;
}

static u64 le64(const u8 *p)
{
	u64 v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static void fill(struct dsi_node *dst, const struct node_info *n)
{
	memset(dst, 0, sizeof(*dst));
	dst->state = n->state;
	dst->keygen = n->keygen;
	if (n->has_key) {
		dst->key[0][0] = le64(n->key);
		dst->key[0][1] = le64(n->key + 8);
	}
	if (n->has_key && n->has_previous) {
		dst->key[1][0] = le64(n->previous);
		dst->key[1][1] = le64(n->previous + 8);
		dst->has_previous = 1;
	}
}

/* The policy's own word on a node stands; we only fill in what it does not know. */
static void nclass_put(struct kern *k, const struct node_info *n)
{
	u32 slot = k->state->active % DSI_SLOTS, id;
	int fd;

	if (!k->state->active || n->nclass <= DSI_NCLASS_MEMBER ||
	    bpf_map_lookup_elem(k->maps[KM_NCLASSES], &slot, &id))
		return;
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return;
	bpf_map_update_elem(fd, &n->nid, &n->nclass, BPF_NOEXIST);
	close(fd);
}

int node_set(struct kern *k, const struct node_info *n, struct sweep_report *ret_sweep, struct err *e)
{
	struct sweep_report unused;
	struct dsi_node old = { 0 }, node;
	int r = check(k, n, e);

	if (!ret_sweep)
		ret_sweep = &unused;
	memset(ret_sweep, 0, sizeof(*ret_sweep));
	if (r)
		return r;
	bpf_map_lookup_elem(k->maps[KM_NODES], &n->nid, &old);
	if (n->state == DSI_NODE_NONE) {
		addrs_drop(k, n, /* all= */ true);
		bpf_map_delete_elem(k->maps[KM_NODES], &n->nid);
	} else {
		fill(&node, n);
		nclass_put(k, n);
		if (bpf_map_update_elem(k->maps[KM_NODES], &n->nid, &node, BPF_ANY))
			return err_errno(e, -DSI_EIO, "node %u", n->nid);
		r = addrs_put(k, n, e);
		if (!r && !cut_off(n->state))
			addrs_drop(k, n, /* all= */ false);
	}
	__atomic_store_n(&k->state->quarantined, count_cut_off(k), __ATOMIC_SEQ_CST);
	if (!r && (cut_off(n->state) || cut_off(old.state)))
		r = sweep_nodes(k, ret_sweep, e);
	return r;
}

int node_get(struct kern *k, u32 nid, struct node_info *ret, struct err *e)
{
	struct dsi_node node;

	memset(ret, 0, sizeof(*ret));
	if (bpf_map_lookup_elem(k->maps[KM_NODES], &nid, &node))
		return err_set(e, -DSI_ENOENT, "node %u is not known to the kernel", nid);
	ret->nid = nid;
	ret->state = (enum dsi_node_state)node.state;
	ret->keygen = node.keygen;
	ret->has_key = node.key[0][0] | node.key[0][1];
	ret->has_previous = node.has_previous;
	ret->n_addrs = addrs_of(k, nid, ret->addrs, NODE_ADDRS_MAX);
	return 0;
}
