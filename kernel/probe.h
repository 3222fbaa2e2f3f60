/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel can do for DSI, found out by looking, not by trying to enforce. Needs root for a full
 * answer; without it the unknown parts count as missing. Never changes anything.
 */
#ifndef DSI_KERNEL_PROBE_H
#define DSI_KERNEL_PROBE_H

#include "lib/compiler.h"
#include "lib/err.h"

enum kern_lockdown { KERN_LOCKDOWN_NONE, KERN_LOCKDOWN_INTEGRITY, KERN_LOCKDOWN_CONFIDENTIALITY };

struct kern_probe {
	char release[65];      /* uname -r */
	u32 version;           /* major << 16 | minor << 8 | patch */
	char lsms[256];        /* active list, "" when securityfs cannot be read */
	bool lsm_bpf;          /* "bpf" is in that list */
	bool btf;              /* /sys/kernel/btf/vmlinux is there */
	bool bpffs, cgroup2;   /* mounted where we need them */
	char cgroup_path[128]; /* where cgroup v2 is mounted */
	enum kern_lockdown lockdown;
	bool preempt_full;     /* running with full preemption (or -rt) */
	bool setattr_idmap;    /* inode_setattr takes struct mnt_idmap first (6.3+) */
	bool sock_destroy;     /* kfunc bpf_sock_destroy (6.5+) */
	u32 ovl_inuse;         /* I_OVL_INUSE, a number that kernels change */
	bool ftrace_off;       /* kernel.ftrace_enabled = 0: LSM programs are not called */
	bool boot_off, boot_permissive; /* dsi=off, dsi=permissive on the kernel's command line */
	bool can_enforce;
	char missing[768];     /* one line per obstacle with what to add; "" when can_enforce */
};

/* Fills *ret always; 0, or -DSI_EKERNEL with the obstacles in *e when this kernel cannot enforce. */
int kern_probe(struct kern_probe *ret, struct err *e);

#endif
