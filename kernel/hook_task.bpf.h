/* SPDX-License-Identifier: GPL-2.0-only */
/* One process touching another: signals and ptrace (also /proc/PID/mem, fds, pidfd_getfd). */
#ifndef DSI_KERNEL_HOOK_TASK_BPF_H
#define DSI_KERNEL_HOOK_TASK_BPF_H

#include "kernel/guard.bpf.h"

static __noinline int process_denied(u32 ssid, u32 tsid, struct policy *p, u32 perm)
{
	struct ask a;

	ask_init(&a, p, ssid, DSI_CLASS_PROCESS);
	a.key.tsid = tsid;
	a.perm = perm;
	return denied(&a);
}

/* The service manager may stop DSI, nobody else who is not DSI. */
static __always_inline bool guard_protects(struct task_struct *p)
{
	return guard_on() && task_sid(p) == DSI_SID_DSI && (u32)(bpf_get_current_pid_tgid() >> 32) != 1 && guard_refuses(NULL);
}

SEC("lsm/task_kill")
int BPF_PROG(dsi_task_kill, struct task_struct *p, struct kernel_siginfo *info, int sig)
{
	struct subject s;

	if (sig && guard_protects(p))
		return opaque(-EPERM);
	if (!sig || !subject_confined(&s) || s.sid == DSI_SID_KERNEL)
		return 0;
	if (process_denied(s.sid, task_sid(p), &s.policy, DSI_PERM_PROCESS_SIGNAL))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(dsi_ptrace, struct task_struct *child, unsigned int mode)
{
	struct subject s;

	if (mode & PTRACE_MODE_ATTACH_ && guard_protects(child))
		return opaque(-EPERM);
	if (!subject_confined(&s))
		return 0;
	if (process_denied(s.sid, task_sid(child), &s.policy, DSI_PERM_PROCESS_PTRACE))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(dsi_traceme, struct task_struct *parent)
{
	struct subject s;
	u32 tracer;

	if (!subject_get(&s))
		return 0;
	tracer = task_sid(parent);
	if (process_denied(tracer, s.sid, &s.policy, DSI_PERM_PROCESS_PTRACE))
		return opaque(-EACCES);
	return 0;
}

#endif
