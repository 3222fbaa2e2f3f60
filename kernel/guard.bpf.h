/* SPDX-License-Identifier: GPL-2.0-only */
/* What other hooks ask of the guard: is it on, is this ours, does the caller pass. */
#ifndef DSI_KERNEL_GUARD_BPF_H
#define DSI_KERNEL_GUARD_BPF_H

#include "kernel/label.bpf.h"

static __always_inline bool guard_on(void)
{
	return READ_ONCE(state.guard) == DSI_GUARD_ON && READ_ONCE(state.mode) == DSI_MODE_ENFORCING;
}

/* Not DSI itself: record, and refuse. */
static __noinline int guard_refuses(struct dentry *d)
{
	u32 sid = task_sid(bpf_get_current_task_btf());
	struct policy p;
	struct ask a;

	if (sid == DSI_SID_DSI || sid == DSI_SID_KERNEL)
		return 0;
	policy_get(&p);
	ask_init(&a, &p, sid, 0);
	a.type = DSI_EVENT_GUARD;
	a.key.tsid = DSI_SID_DSI;
	a.answer.reason = DSI_REASON_GUARDED;
	a.answer.rule = DSI_RULE_NONE;
	a.dentry = d;
	stat(DSI_STAT_GUARDED);
	emit(&a, NULL, DSI_EVENT_ENFORCED);
	return 1;
}

static long climb_pins(u32 i, struct climb *c)
{
	struct dentry *d = c->d, *up = d->d_parent;
	struct inode *inode = d->d_inode;

	if (inode && inode->i_ino == state.guard_ino) {
		c->sid = 1;
		return 1;
	}
	if (up == d)
		return 1;
	c->d = up;
	return 0;
}

/* Is this one of our pins, or above them in bpffs? */
static __noinline int is_pin(struct dentry *d)
{
	struct climb c = { .d = d };

	if (d->d_sb->s_dev != state.guard_dev)
		return 0;
	bpf_loop(8, climb_pins, &c, 0);
	return c.sid;
}

/* A rule of the signed policy names the caller (being unconfined is no rule): dsi-admin, which makes these files. */
static __always_inline bool guard_ruled(const struct policy *p, u32 perm)
{
	struct dsi_rule_key key = { .ssid = task_sid(bpf_get_current_task_btf()), .tsid = DSI_SID_DSI, .cls = DSI_CLASS_FILE };
	const struct dsi_rule_value *v = key.ssid ? dsi_policy_rule(p, &key) : NULL;

	return v && !(perm & ~v->allow);
}

/* Doing `perm` (DSI_PERM_FILE_*) to this entry touches DSI, and the caller may not. `d` may be negative. */
static __noinline int guard_denies(struct dentry *d, u32 perm)
{
	struct policy p;

	if (!guard_on() || !d)
		return 0;
	if (state.guard_dev && is_pin(d))
		return guard_refuses(d);
	if (!policy_get(&p) || !policy_slot(&p)->n_labels || walk(d, &p) != DSI_SID_DSI || guard_ruled(&p, perm))
		return 0;
	return guard_refuses(d);
}

#endif
