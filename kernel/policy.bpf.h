/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy set in force. A hook takes one snapshot of `active` and passes it on: so it never sees
 * half of two policies. The set a snapshot names stays unchanged until every hook that took it is done
 * (kernel/mapset.c waits for that before it fills the slot again).
 */
#ifndef DSI_KERNEL_POLICY_BPF_H
#define DSI_KERNEL_POLICY_BPF_H

#include "kernel/maps.bpf.h"

struct policy {
	u32 gen;  /* 0: none yet */
	u32 slot; /* < DSI_SLOTS */
};
typedef struct policy dsi_policy_t;

static __always_inline bool policy_get(struct policy *p)
{
	p->gen = READ_ONCE(state.active);
	p->slot = p->gen % DSI_SLOTS;
	return p->gen;
}

static __always_inline const struct dsi_rule_value *dsi_policy_rule(const struct policy *p, const struct dsi_rule_key *key)
{
	void *inner = bpf_map_lookup_elem(&rules, &p->slot);

	return inner ? bpf_map_lookup_elem(inner, key) : NULL;
}

static __always_inline const struct dsi_slot *policy_slot(const struct policy *p)
{
	return &state.slots[p->slot % DSI_SLOTS];
}

static __always_inline u32 dsi_policy_flags(const struct policy *p, u32 sid)
{
	void *inner;
	u32 *flags;

	if (sid == DSI_SID_DEFAULT)
		return policy_slot(p)->default_flags;
	inner = bpf_map_lookup_elem(&contexts, &p->slot);
	if (!inner)
		return 0;
	flags = bpf_map_lookup_elem(inner, &sid);
	return flags ? *flags : 0;
}

static __always_inline u32 policy_nclass(const struct policy *p, u32 nid)
{
	void *inner = bpf_map_lookup_elem(&nclasses, &p->slot);
	u32 *c = inner ? bpf_map_lookup_elem(inner, &nid) : NULL;

	return c ? *c : DSI_NCLASS_MEMBER;
}

static __always_inline u32 policy_pclass(const struct policy *p, u16 port)
{
	void *inner = bpf_map_lookup_elem(&ports, &p->slot);
	u32 zero = 0;
	struct dsi_ports *t = inner ? bpf_map_lookup_elem(inner, &zero) : NULL;

	return t ? t->pclass[port] : DSI_PCLASS_OTHER;
}

#include "kernel/decide.h"

/* Refusals are recorded only, in this mode, for this subject. */
static __always_inline bool policy_permissive(const struct policy *p, u32 ssid)
{
	return READ_ONCE(state.mode) != DSI_MODE_ENFORCING || policy_slot(p)->policy_flags & DSI_POLICY_PERMISSIVE ||
	       (ssid && dsi_policy_flags(p, ssid) & DSI_CTX_PERMISSIVE);
}

#endif
