/* SPDX-License-Identifier: GPL-2.0-only */
/* Which node an address belongs to, and what the cluster thinks of that node. */
#ifndef DSI_KERNEL_PEER_BPF_H
#define DSI_KERNEL_PEER_BPF_H

#include "kernel/label.bpf.h"
#include "kernel/synmac.h"

struct peer {
	u32 nid;   /* own NID: this node; 0: no member */
	u32 state; /* enum dsi_node_state; MEMBER for this node */
	bool local;
	struct dsi_node *node; /* NULL for this node and for hosts that are no members */
};

static __always_inline void addr_set4(struct dsi_addr *a, u32 be)
{
	__builtin_memset(a, 0, 10);
	a->a[10] = 0xff;
	a->a[11] = 0xff;
	*(u32 *)&a->a[12] = be;
}

static __always_inline bool addr_is_loopback(const struct dsi_addr *a)
{
	u64 low = dsi_be64(a->a + 8);

	if (dsi_be64(a->a))
		return false;
	return low <= 1 || low >> 24 == (0xffffull << 8 | 127) || low == 0xffffull << 32;
}

static __always_inline void peer_get(const struct dsi_addr *addr, struct peer *ret)
{
	u32 *nid, own = READ_ONCE(state.own_nid);

	ret->node = NULL;
	ret->local = true;
	ret->nid = own;
	ret->state = DSI_NODE_MEMBER;
	if (addr_is_loopback(addr))
		return;
	nid = bpf_map_lookup_elem(&addrs, addr);
	if (nid && *nid == own)
		return;
	ret->local = false;
	ret->nid = nid ? *nid : 0;
	ret->state = DSI_NODE_NONE;
	if (!nid)
		return;
	ret->node = bpf_map_lookup_elem(&nodes, nid);
	/* an address without its node is a gap in what we were told: no trust */
	ret->state = ret->node ? ret->node->state : DSI_NODE_SUSPENDED;
}

/* Not static: verified once (emit.bpf.h). */
__noinline int port_exempt(u8 proto, u16 port, u8 flag)
{
	for (int i = 0; i < DSI_EXEMPT_MAX; i++) {
		const struct dsi_exempt *e = &state.exempt[i];

		if (!e->proto)
			break;
		if (e->port == port && e->proto == proto)
			return e->flags & flag;
	}
	return false;
}

static __always_inline bool peer_cut_off(const struct peer *p)
{
	return p->state == DSI_NODE_SUSPENDED || p->state == DSI_NODE_REVOKED;
}

static __always_inline u32 peer_reason(const struct peer *p)
{
	return p->state == DSI_NODE_REVOKED ? DSI_REASON_REVOKED : DSI_REASON_SUSPENDED;
}

static __always_inline u32 peer_nclass(const struct peer *p, const struct policy *pol)
{
	if (p->local)
		return DSI_NCLASS_LOCAL;
	return p->nid ? policy_nclass(pol, p->nid) : DSI_NCLASS_OUTSIDE;
}

static __always_inline bool lease_valid(void)
{
	return bpf_ktime_get_boot_ns() < READ_ONCE(state.lease_deadline);
}

#endif
