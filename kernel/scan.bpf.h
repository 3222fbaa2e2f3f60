/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Iterators that label what ran before a policy came, and tell the loader how the kernel names what the
 * loader opened. Each writes fixed-size records. inode storage is not available here: labels are walked.
 */
#ifndef DSI_KERNEL_SCAN_BPF_H
#define DSI_KERNEL_SCAN_BPF_H

#include "kernel/hook_exec.bpf.h"

TABLE(scan, BPF_MAP_TYPE_ARRAY, 1, 0, u32, struct dsi_scan);

static __always_inline struct dsi_scan *scan_get(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&scan, &zero);
}

/* The context that a running program's exec entry would have given it. */
static __always_inline u32 scan_entry(struct task_struct *t, const struct dsi_scan *scan)
{
	struct mm_struct *mm = t->mm;
	struct file *exe;

	if (!mm)
		return 0;
	exe = mm->exe_file;
	return exe ? named_entry(exe->f_path.dentry, DSI_SID_DEFAULT, scan->gen % DSI_SLOTS) : 0;
}

SEC("syscall")
int dsi_ask(struct dsi_query *q)
{
	struct policy p = { .gen = q->gen, .slot = q->gen % DSI_SLOTS };
	struct dsi_rule_key key = q->key;
	struct dsi_answer a;

	dsi_decide(&p, &key, q->perm, &a);
	q->allow = a.allow;
	q->reason = a.reason;
	q->granted = a.granted;
	q->rule = a.rule;
	return 0;
}

SEC("iter/task")
int dsi_scan_tasks(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *t = ctx->task;
	struct dsi_scan *scan = scan_get();
	struct dsi_scan_task out = {};
	struct dsi_task_label *l;
	u32 sid, to = 0;

	if (!t || !scan || (scan->tgid && scan->tgid != (u32)t->tgid))
		return 0;
	sid = task_sid(t);
	if (scan->op == DSI_SCAN_LABEL)
		to = scan->sid;
	else if (scan->op == DSI_SCAN_EXECS && sid == DSI_SID_DEFAULT)
		to = scan_entry(t, scan);
	if (to && to != sid) {
		l = bpf_task_storage_get(&task_labels, t, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (l) {
			l->sid = to;
			sid = to;
			out.changed = 1;
		} else {
			sid = DSI_SID_NONE;
		}
	}
	out.pid = t->pid;
	out.tgid = t->tgid;
	out.sid = sid;
	if (out.changed || scan->op == DSI_SCAN_TELL || (to && !sid))
		bpf_seq_write(seq, &out, sizeof(out));
	return 0;
}

SEC("iter/task_file")
int dsi_scan_fds(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *t = ctx->task;
	struct file *f = ctx->file;
	struct dsi_scan *scan = scan_get();
	struct dsi_scan_fd out = {};
	struct inode *inode;
	struct vfsmount *mnt;

	if (!t || !f || !scan || scan->tgid != (u32)t->tgid)
		return 0;
	inode = f->f_path.dentry->d_inode;
	if (!inode)
		return 0;
	out.ino = inode->i_ino;
	out.dev = inode->i_sb->s_dev;
	mnt = f->f_path.mnt;
	out.mnt = (u64)mnt;
	out.fd = ctx->fd;
	bpf_seq_write(seq, &out, sizeof(out));
	return 0;
}

/* TCP sockets of labelled tasks that were made before the task had its label; LABEL: those of the task, in any case. */
SEC("iter/task_file")
int dsi_scan_socks(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *f = ctx->file;
	struct dsi_scan *scan = scan_get();
	struct dsi_sock_label *l;
	struct socket *sock;
	struct sock *sk;
	u32 sid;

	if (!t || !f || !scan || (scan->tgid && scan->tgid != (u32)t->tgid) || !t->bpf_storage)
		return 0;
	sid = task_sid(t);
	if (sid == DSI_SID_NONE || (sid == DSI_SID_DEFAULT && scan->op != DSI_SCAN_LABEL))
		return 0;
	sock = bpf_sock_from_file(f);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (!sk)
		return 0;
	if ((sk->__sk_common.skc_family != AF_INET_ && sk->__sk_common.skc_family != AF_INET6_) || sk->sk_type != SOCK_STREAM_)
		return 0;
	l = bpf_sk_storage_get(&sock_labels, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (l && (!l->sid || scan->op == DSI_SCAN_LABEL))
		l->sid = sid;
	return 0;
}

#endif
