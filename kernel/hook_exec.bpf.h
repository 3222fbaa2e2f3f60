/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Labels of processes: inherited at fork, changed at exec by an entry of the policy, never otherwise.
 * Order within one exec: creds_for_exec (once, the file named) chooses; check_security (file and each
 * interpreter) asks execute; committed_creds (past the point of no return) enters.
 * A context change cannot set AT_SECURE from BPF: LD_PRELOAD is honoured across it. DSI's own binaries
 * are static or start from a clean environment for that reason.
 */
#ifndef DSI_KERNEL_HOOK_EXEC_BPF_H
#define DSI_KERNEL_HOOK_EXEC_BPF_H

#include "kernel/label.bpf.h"

SEC("lsm/task_alloc")
int BPF_PROG(dsi_task_alloc, struct task_struct *task, unsigned long clone_flags)
{
	struct task_struct *parent = bpf_get_current_task_btf();
	struct dsi_task_label *l, *child;

	if (!parent->bpf_storage)
		return 0;
	l = bpf_task_storage_get(&task_labels, parent, NULL, 0);
	if (!l) {
		stat(DSI_STAT_LABEL_UNKNOWN);
		return opaque(-ENOMEM);
	}
	child = bpf_task_storage_get(&task_labels, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!child)
		return opaque(-ENOMEM);
	child->sid = l->sid;
	return 0;
}

/* What this exec enters; `sid` itself: no change. */
static __always_inline u32 exec_target(struct dentry *d, u32 sid, const struct policy *p)
{
	u32 to = policy_slot(p)->n_execs ? named_entry(d, sid, p->slot) : 0;

	if (to || (sid != DSI_SID_DSI && sid != DSI_SID_KERNEL))
		return to ? to : sid;
	/* DSI's label stays with DSI's programs, whoever starts them. */
	if (policy_slot(p)->n_execs)
		to = named_entry(d, DSI_SID_DEFAULT, p->slot);
	return to == sid ? sid : DSI_SID_DEFAULT;
}

SEC("lsm/bprm_creds_for_exec")
int BPF_PROG(dsi_bprm_creds, struct linux_binprm *bprm)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct dsi_task_label *l;
	struct dentry *d = bprm->file->f_path.dentry;
	struct policy p;
	struct ask a;
	u32 sid, to;

	if (!policy_get(&p))
		return 0;
	sid = task_sid(t);
	to = sid ? exec_target(d, sid, &p) : sid;
	if (to != sid && to != DSI_SID_DEFAULT) {
		u32 unsafe = bprm->unsafe, bad = LSM_UNSAFE_PTRACE | LSM_UNSAFE_SHARE;

		ask_init(&a, &p, sid, DSI_CLASS_PROCESS);
		a.key.tsid = to;
		a.perm = DSI_PERM_PROCESS_TRANSITION;
		a.dentry = d;
		/* no_new_privs: what an unconfined service manager starts may only lose; others may not gain. */
		if (!(dsi_policy_flags(&p, sid) & DSI_CTX_UNCONFINED))
			bad |= LSM_UNSAFE_NO_NEW_PRIVS;
		if (READ_ONCE(state.mode) == DSI_MODE_OFF)
			goto enter;
		if (unsafe & bad ? denied_because(&a, NULL, DSI_REASON_UNSAFE_EXEC) : denied(&a))
			return opaque(-EACCES);
	}
enter:
	if (to == sid && !t->bpf_storage)
		return 0;
	l = bpf_task_storage_get(&task_labels, t, NULL, 0);
	if (!l) {
		if (to == sid)
			return 0; /* unknown stays unknown */
		l = bpf_task_storage_get(&task_labels, t, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!l)
			return opaque(-ENOMEM);
		l->sid = sid;
	}
	l->next = to == sid ? DSI_SID_NONE : to;
	return 0;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(dsi_bprm_check, struct linux_binprm *bprm)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct dsi_task_label *l;
	struct file *f = bprm->file;
	struct subject s;

	if (!subject_get(&s))
		return 0;
	l = t->bpf_storage ? bpf_task_storage_get(&task_labels, t, NULL, 0) : NULL;
	if (l && l->next != DSI_SID_NONE) {
		if (bprm->interp == bprm->filename)
			return 0; /* the entry itself: transition was asked */
		s.sid = l->next;
	} else if (s.sid == DSI_SID_DEFAULT && policy_slot(&s.policy)->default_flags & DSI_CTX_UNCONFINED) {
		return 0;
	}
	if (file_denied(&s, f->f_inode, f->f_path.dentry, DSI_PERM_FILE_EXECUTE, 0))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/bprm_committed_creds")
int BPF_PROG(dsi_bprm_committed, struct linux_binprm *bprm)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct dsi_task_label *l;

	if (!t->bpf_storage)
		return 0;
	l = bpf_task_storage_get(&task_labels, t, NULL, 0);
	if (l && l->next != DSI_SID_NONE) {
		l->sid = l->next;
		l->next = DSI_SID_NONE;
		stat(DSI_STAT_TRANSITIONS);
	}
	return 0;
}

#endif
