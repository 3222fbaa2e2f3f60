/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pre-emption: a right that ends while something is open. Armed only around a policy change.
 * What is judged is *loss*: the policy before granted it, the one in force does not. A descriptor that
 * was inherited without ever having had a right is not our business here (open and exec are).
 * Regular files of mountable filesystems only: pipes, memfd and the like were never judged at open.
 */
#ifndef DSI_KERNEL_REVAL_BPF_H
#define DSI_KERNEL_REVAL_BPF_H

#include "kernel/hook_file.bpf.h"
#include "kernel/scan.bpf.h"
#include "kernel/wirelabel.bpf.h"

static __always_inline void policy_before(const struct policy *now, struct policy *ret)
{
	ret->gen = now->gen - 1;
	ret->slot = ret->gen % DSI_SLOTS;
}

static __always_inline bool judged_at_open(const struct file *f, const struct inode *inode)
{
	return !(f->f_mode & (FMODE_NOACCOUNT | FMODE_PATH)) && (inode->i_mode & S_IFMT_) == S_IFREG_ &&
	       !(inode->i_sb->s_flags >> SB_NOUSER_BIT & 1);
}

/* Permissions of the key under a policy, everything when it would be let through anyway. Not static: verified once. */
__noinline u32 granted_by(const struct policy *policy, const struct dsi_rule_key *asked)
{
	struct dsi_answer answer;
	struct dsi_rule_key key;
	struct policy p;

	if (!policy || !asked)
		return 0;
	p = *policy;
	key = *asked;
	dsi_decide(&p, &key, ~0u, &answer);
	if (policy_slot(&p)->policy_flags & DSI_POLICY_PERMISSIVE || dsi_policy_flags(&p, key.ssid) & DSI_CTX_PERMISSIVE)
		return ~0u;
	return answer.granted;
}

static __always_inline u32 file_granted(struct policy *p, u32 ssid, struct dentry *d)
{
	struct dsi_rule_key key = { .ssid = ssid, .cls = DSI_CLASS_FILE };

	key.tsid = walk(d, p);
	return granted_by(p, &key);
}

/* Did the subject lose perm on this file? Remembers that it did. */
static __noinline int file_lost(struct policy *p, u32 ssid, struct file *f, u32 perm)
{
	struct dentry *d = f->f_path.dentry;
	struct inode *inode = d->d_inode;
	struct dsi_stop_key key = { .ssid = ssid };
	struct policy before;
	u32 mode = READ_ONCE(state.revalidate), *was;

	if (!inode || !mode || !(perm & ~file_granted(p, ssid, d)))
		return 0;
	key.ino = inode->i_ino;
	key.dev = inode->i_sb->s_dev;
	was = bpf_map_lookup_elem(&stopped, &key);
	if (was)
		return 1;
	if (mode != DSI_REVALIDATE_LOST)
		return 0;
	policy_before(p, &before);
	if (perm & ~file_granted(&before, ssid, d))
		return 0;
	bpf_map_update_elem(&stopped, &key, &p->gen, BPF_ANY);
	return 1;
}

SEC("lsm/file_permission")
int BPF_PROG(dsi_file_permission, struct file *file, int mask)
{
	struct inode *inode = file->f_inode;
	struct subject s;
	struct ask a;
	u32 perm = 0;

	if (!READ_ONCE(state.revalidate) || !judged_at_open(file, inode) || !subject_confined(&s))
		return 0;
	if (mask & MAY_READ)
		perm |= DSI_PERM_FILE_READ;
	if (mask & MAY_WRITE)
		perm |= DSI_PERM_FILE_WRITE;
	if (!perm || !file_lost(&s.policy, s.sid, file, perm))
		return 0;
	ask_init(&a, &s.policy, s.sid, DSI_CLASS_FILE);
	a.key.tsid = walk(file->f_path.dentry, &s.policy);
	a.perm = perm;
	a.dentry = file->f_path.dentry;
	a.flags = DSI_EVENT_REVALIDATED;
	if (!denied_because(&a, NULL, DSI_REASON_NO_RULE))
		return 0;
	stat(DSI_STAT_STOPPED);
	return opaque(-EACCES);
}

/* --- offenders ------------------------------------------------------------------------------------ */

static __always_inline bool confined_task(struct task_struct *t, struct policy *p, u32 *ret_sid)
{
	if (!policy_get(p) || READ_ONCE(state.mode) != DSI_MODE_ENFORCING)
		return false;
	*ret_sid = task_sid(t);
	return *ret_sid && (*ret_sid != DSI_SID_DEFAULT || !(policy_slot(p)->default_flags & DSI_CTX_UNCONFINED));
}

SEC("iter/task_file")
int dsi_sweep_files(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *t = ctx->task;
	struct file *f = ctx->file;
	struct dsi_scan_open out = {};
	struct inode *inode;
	struct policy p;
	u32 sid, perm;

	if (!t || !f)
		return 0;
	inode = f->f_inode;
	if (!inode || !judged_at_open(f, inode) || !confined_task(t, &p, &sid))
		return 0;
	perm = open_perms(f);
	out.pid = t->tgid;
	out.fd = ctx->fd;
	out.gone = perm && file_lost(&p, sid, f, perm);
	bpf_seq_write(seq, &out, sizeof(out));
	return 0;
}

/* A mapping outlives every check: its process must be ended. */
static __always_inline u32 map_lacks(u32 granted, unsigned long flags)
{
	if (flags & VM_EXEC_)
		return !(granted & DSI_PERM_FILE_MAP);
	if (flags & VM_WRITE_ && flags & VM_SHARED_)
		return !(granted & DSI_PERM_FILE_WRITE);
	return flags & VM_READ_ && !(granted & (DSI_PERM_FILE_READ | DSI_PERM_FILE_MAP));
}

SEC("iter/task_vma")
int dsi_sweep_maps(struct bpf_iter__task_vma *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *t = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct dsi_scan_open out = {};
	struct policy p, before;
	struct mm_struct *mm;
	struct file *f, *exe;
	struct inode *inode;
	unsigned long flags;
	u32 sid;

	if (!t || !vma || !t->bpf_storage || READ_ONCE(state.revalidate) != DSI_REVALIDATE_LOST)
		return 0;
	f = vma->vm_file;
	mm = t->mm;
	if (!f || !mm || !confined_task(t, &p, &sid))
		return 0;
	inode = f->f_inode;
	exe = mm->exe_file;
	if (!inode || !judged_at_open(f, inode) || (exe && exe->f_inode == inode))
		return 0;
	flags = vma->vm_flags;
	if (!map_lacks(file_granted(&p, sid, f->f_path.dentry), flags))
		return 0;
	policy_before(&p, &before);
	if (map_lacks(file_granted(&before, sid, f->f_path.dentry), flags))
		return 0;
	out.pid = t->tgid;
	out.gone = 1;
	bpf_seq_write(seq, &out, sizeof(out));
	return 0;
}

/* --- connections ---------------------------------------------------------------------------------- */

struct live {
	struct dsi_scan_sock out;
	struct dsi_rule_key key;
	struct peer peer;
	bool judge; /* the key can be asked */
};

static __always_inline struct dsi_listening *listening_get(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&listening, &zero);
}

/* A socket without label storage does not say who called whom: somebody listening there answers it. */
static __always_inline bool was_accepted(const struct dsi_sock_label *l, u16 lport)
{
	struct dsi_listening *set;

	if (l)
		return l->flags & DSI_SOCK_ACCEPTED;
	set = listening_get();
	return set && set->bits[lport >> 3] >> (lport & 7) & 1;
}

static __always_inline void live_addrs(const struct sock_common *skc, struct dsi_scan_sock *out)
{
	if (skc->skc_family == AF_INET_) {
		addr_set4(&out->local, skc->skc_rcv_saddr);
		addr_set4(&out->remote, skc->skc_daddr);
	} else {
		bpf_probe_read_kernel(&out->local, 16, &skc->skc_v6_rcv_saddr);
		bpf_probe_read_kernel(&out->remote, 16, &skc->skc_v6_daddr);
	}
	out->family = skc->skc_family;
	out->state = skc->skc_state;
	out->lport = skc->skc_num;
	out->rport = bpf_ntohs(skc->skc_dport);
}

/* The question that was asked when it came about. */
static __noinline int live_key(struct live *v, struct dsi_sock_label *l, struct policy *p)
{
	u32 own = l ? l->sid : DSI_SID_DEFAULT;

	v->key.cls = DSI_CLASS_TCP;
	if (v->out.state == TCP_LISTEN_) {
		v->key.ssid = own;
		v->key.tsid = own;
		v->key.qual = policy_pclass(p, v->out.lport);
		v->judge = true;
		return DSI_PERM_TCP_LISTEN;
	}
	v->key.nclass = peer_nclass(&v->peer, p);
	v->judge = true;
	if (!was_accepted(l, v->out.lport)) {
		v->key.ssid = own;
		v->key.tsid = DSI_SID_ANY;
		v->key.qual = policy_pclass(p, v->out.rport);
		return DSI_PERM_TCP_CONNECT;
	}
	v->key.tsid = own;
	v->key.qual = policy_pclass(p, v->out.lport);
	v->key.ssid = DSI_SID_OUTSIDE;
	if (v->peer.local || v->peer.nid)
		v->key.ssid = l ? l->peer_sid : DSI_SID_NONE;
	if (v->key.ssid && !v->peer.local && v->peer.nid && !lease_valid())
		v->key.ssid = DSI_SID_STALE;
	/* older than the first policy, or to a port that needs no label */
	v->judge = v->key.ssid && !port_exempt(IPPROTO_TCP_, v->out.lport, DSI_EXEMPT_LABEL);
	return DSI_PERM_TCP_ACCEPT;
}

static __noinline int live_gone(struct live *v, struct dsi_sock_label *l, u32 op)
{
	struct policy p, before;
	u32 perm;

	if (v->out.state != TCP_LISTEN_) {
		peer_of_tuple(&v->out.local, &v->out.remote, &v->peer);
		if (peer_cut_off(&v->peer) && !port_exempt(IPPROTO_TCP_, v->out.lport, DSI_EXEMPT_REVOKED) &&
		    !port_exempt(IPPROTO_TCP_, v->out.rport, DSI_EXEMPT_REVOKED))
			return READ_ONCE(state.mode) == DSI_MODE_ENFORCING;
	}
	if (op != DSI_SCAN_POLICY || READ_ONCE(state.mode) != DSI_MODE_ENFORCING || !policy_get(&p))
		return 0;
	perm = live_key(v, l, &p);
	if (!v->judge || granted_by(&p, &v->key) & perm)
		return 0;
	policy_before(&p, &before);
	__builtin_memset(&v->key, 0, sizeof(v->key));
	perm = live_key(v, l, &before);
	return granted_by(&before, &v->key) & perm;
}

static __always_inline int sweep_one(struct sock_common *skc, struct live *v)
{
	struct dsi_scan *scan = scan_get();
	struct dsi_sock_label *l;
	struct tcp_sock *tp;

	if (!scan)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	live_addrs(skc, &v->out);
	if (v->out.state == TCP_LISTEN_) {
		struct dsi_listening *set = listening_get();

		if (set)
			set->bits[v->out.lport >> 3] |= 1 << (v->out.lport & 7);
	}
	l = bpf_sk_storage_get(&sock_labels, tp, NULL, 0);
	v->out.gone = live_gone(v, l, scan->op) != 0;
	return v->out.gone;
}

SEC("iter/tcp")
int dsi_sweep_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct live v = {};

	if (!skc)
		return 0;
	sweep_one(skc, &v);
	if (v.out.family)
		bpf_seq_write(ctx->meta->seq, &v.out, sizeof(v.out));
	return 0;
}

extern int bpf_sock_destroy(struct sock_common *sk) __ksym __weak;

SEC("iter/tcp")
int dsi_destroy_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct live v = {};

	if (!skc)
		return 0;
	if (sweep_one(skc, &v))
		v.out.destroyed = !bpf_sock_destroy(skc);
	if (v.out.family)
		bpf_seq_write(ctx->meta->seq, &v.out, sizeof(v.out));
	return 0;
}

#endif
