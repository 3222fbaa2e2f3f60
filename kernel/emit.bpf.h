/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One place where a refusal becomes a record and a verdict. Never fails the caller: a full ring or a
 * subject over its rate is counted.
 */
#ifndef DSI_KERNEL_EMIT_BPF_H
#define DSI_KERNEL_EMIT_BPF_H

#include "kernel/policy.bpf.h"

/* What was asked; lives on the hook's stack. Set by the hook: policy, key, perm and the target fields. Judged and
 * recorded by functions that are not static: the verifier looks at such a one once, not again in every state that
 * a hook can call it in. So pointers in here are numbers to them, to be read by probe. */
struct ask {
	struct policy policy;
	struct dsi_rule_key key;
	u32 perm;
	struct dsi_answer answer;
	u32 snid;
	u32 isn;
	u16 type;  /* enum dsi_event_type */
	u16 flags; /* enum dsi_event_flag */
	bool in_task; /* current is the subject */
	struct dentry *dentry; /* NULL: no file */
};

/* A second's worth per subject; *ret_suppressed is what was left out before this one. */
static __always_inline bool rate_ok(u32 ssid, u32 snid, u32 *ret_suppressed)
{
	u64 key = (u64)snid << 32 | ssid, now = bpf_ktime_get_boot_ns();
	u32 limit = READ_ONCE(state.rate);
	struct rate *r, fresh = { .window = now, .sent = 1 };

	*ret_suppressed = 0;
	if (!limit)
		return true;
	r = bpf_map_lookup_elem(&rates, &key);
	if (!r) {
		bpf_map_update_elem(&rates, &key, &fresh, BPF_ANY);
		return true;
	}
	if (now - r->window > 1000000000ull) {
		r->window = now;
		r->sent = 0;
	}
	if (r->sent >= limit) {
		r->suppressed++;
		return false;
	}
	r->sent++;
	*ret_suppressed = r->suppressed;
	r->suppressed = 0;
	return true;
}

/* Names from the file up to where they still fit. */
static __always_inline void emit_path(struct dsi_event *ev, struct dentry *d)
{
	u32 off = 0;

	for (int i = 0; i < 6; i++) {
		struct dentry *up = BPF_CORE_READ(d, d_parent);
		long n;

		if (off > DSI_EVENT_PATH - 40)
			break;
		n = bpf_probe_read_kernel_str(&ev->path[off], 40, BPF_CORE_READ(d, d_name.name));
		if (n <= 1 || n > 40)
			break;
		off += n;
		if (up == d)
			break;
		d = up;
	}
	if (off < DSI_EVENT_PATH)
		ev->path[off] = 0;
}

/* tuple: NULL when it is about no connection. */
__noinline int emit(struct ask *a, const struct dsi_conn_key *tuple, u32 flags)
{
	struct dsi_event *ev;
	struct dentry *d;
	u32 suppressed;

	if (!a)
		return 0;
	d = a->dentry;
	if (!rate_ok(a->key.ssid, a->snid, &suppressed)) {
		stat(DSI_STAT_EVENTS_LIMITED);
		return 0;
	}
	ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);
	if (!ev) {
		stat(DSI_STAT_EVENTS_LOST);
		return 0;
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->abi = DSI_ABI_VERSION;
	ev->type = a->type;
	ev->reason = a->answer.reason;
	ev->ssid = a->key.ssid;
	ev->tsid = a->key.tsid;
	ev->snid = a->snid;
	ev->nclass = a->key.nclass;
	ev->cls = a->key.cls;
	ev->qual = a->key.qual;
	ev->asked = a->perm;
	ev->missing = a->perm & ~a->answer.granted;
	ev->rule = a->answer.rule;
	ev->generation = a->policy.gen;
	ev->policy_version = policy_slot(&a->policy)->policy_version;
	ev->boottime = bpf_ktime_get_boot_ns();
	ev->suppressed = suppressed;
	if (a->in_task) {
		ev->pid = bpf_get_current_pid_tgid() >> 32;
		ev->uid = (u32)bpf_get_current_uid_gid();
		bpf_get_current_comm(ev->comm, sizeof(ev->comm));
	}
	if (tuple) {
		flags |= DSI_EVENT_TUPLE;
		ev->saddr = tuple->saddr;
		ev->daddr = tuple->daddr;
		ev->sport = tuple->sport;
		ev->dport = tuple->dport;
		ev->isn = a->isn;
	}
	if (d) {
		struct inode *inode = BPF_CORE_READ(d, d_inode);

		flags |= DSI_EVENT_FILE;
		if (inode) {
			ev->ino = BPF_CORE_READ(inode, i_ino);
			ev->dev = BPF_CORE_READ(inode, i_sb, s_dev);
		}
		emit_path(ev, d);
	}
	ev->flags = flags;
	bpf_ringbuf_submit(ev, 0);
	stat(DSI_STAT_EVENTS);
	return 0;
}

/* The answer was no. Record it; true when the refusal is to be enforced. */
__noinline int refuse(struct ask *a, const struct dsi_conn_key *tuple)
{
	struct policy p;
	int enforce;

	if (!a)
		return 1;
	p = a->policy; /* a key of a map must be on the stack of who looks it up */
	enforce = !policy_permissive(&p, a->key.ssid);
	stat(enforce ? DSI_STAT_DENIED : DSI_STAT_PERMISSIVE);
	emit(a, tuple, a->flags | (enforce ? DSI_EVENT_ENFORCED : 0));
	return enforce;
}

/* Decide a->key and a->perm; true when it is to be refused. */
__noinline int judge(struct ask *a, const struct dsi_conn_key *tuple)
{
	struct dsi_rule_key key;
	struct policy p;

	if (!a)
		return 1;
	p = a->policy;
	key = a->key;
	dsi_decide(&p, &key, a->perm, &a->answer);
	return !a->answer.allow && refuse(a, tuple);
}

static __always_inline void ask_init(struct ask *a, const struct policy *p, u32 ssid, u32 cls)
{
	__builtin_memset(a, 0, sizeof(*a));
	a->policy = *p;
	a->key.ssid = ssid;
	a->key.cls = cls;
	a->type = DSI_EVENT_DENY;
	a->in_task = true;
}

/* About no connection. */
static __always_inline bool denied(struct ask *a)
{
	return judge(a, NULL);
}

/* Refuse without asking the rules. */
static __always_inline bool denied_because(struct ask *a, const struct dsi_conn_key *tuple, u32 reason)
{
	a->answer = (struct dsi_answer){ .reason = reason, .rule = DSI_RULE_NONE };
	return refuse(a, tuple);
}

#endif
