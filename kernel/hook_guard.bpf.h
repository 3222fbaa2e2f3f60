/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DSI guards itself: maps, programs, pins, the mount below the pins, its processes, files of type `dsi`,
 * and the switches that turn BPF LSM off or read kernel memory. Only tasks in DSI_SID_DSI pass, root or
 * not, while the mode is enforcing and the guard is on. The policy has a say in one thing: which contexts
 * besides may change files of type `dsi` that are no pins (guard.bpf.h).
 */
#ifndef DSI_KERNEL_HOOK_GUARD_BPF_H
#define DSI_KERNEL_HOOK_GUARD_BPF_H

#include "kernel/guard.bpf.h"

enum { GUARD_MAP = 1, GUARD_PROG = 2 };

static __always_inline bool guarded_id(u32 kind, u32 id)
{
	u64 key = (u64)kind << 32 | id;

	return bpf_map_lookup_elem(&guarded, &key);
}

SEC("lsm/bpf_map")
int BPF_PROG(dsi_bpf_map, struct bpf_map *map, unsigned int fmode)
{
	if (guard_on() && guarded_id(GUARD_MAP, map->id) && guard_refuses(NULL))
		return opaque(-EPERM);
	return 0;
}

SEC("lsm/bpf_prog")
int BPF_PROG(dsi_bpf_prog, struct bpf_prog *prog)
{
	if (guard_on() && guarded_id(GUARD_PROG, prog->aux->id) && guard_refuses(NULL))
		return opaque(-EPERM);
	return 0;
}

/* Links can be opened but not cut; programs that could stand in front of ours are not loaded. */
SEC("lsm/bpf")
int BPF_PROG(dsi_bpf, int cmd, union bpf_attr *attr, unsigned int size)
{
	u32 type = 0, attach = 0;

	if (!guard_on())
		return 0;
	if (cmd == BPF_PROG_LOAD) {
		bpf_probe_read_kernel(&type, sizeof(type), (void *)attr);
		bpf_probe_read_kernel(&attach, sizeof(attach), (void *)attr + offsetof(union bpf_attr, expected_attach_type));
		if (type != BPF_PROG_TYPE_SOCK_OPS && type != BPF_PROG_TYPE_EXT && type != BPF_PROG_TYPE_STRUCT_OPS &&
		    !(type == BPF_PROG_TYPE_TRACING && attach == BPF_MODIFY_RETURN))
			return 0;
	} else if (cmd != BPF_LINK_DETACH && cmd != BPF_LINK_UPDATE) {
		return 0;
	}
	if (guard_refuses(NULL))
		return opaque(-EPERM);
	return 0;
}

struct up_mount {
	unsigned long at, target;
	bool found;
};

static long climb_mounts(u32 i, struct up_mount *u)
{
	struct mount *m = (void *)u->at;
	unsigned long parent = (unsigned long)BPF_CORE_READ(m, mnt_parent);

	if (u->at == u->target) {
		u->found = true;
		return 1;
	}
	if (!parent || parent == u->at)
		return 1;
	u->at = parent;
	return 0;
}

/* Unmounting an ancestor lazily takes the pins along, and only the ancestor is asked about. */
SEC("lsm/sb_umount")
int BPF_PROG(dsi_umount, struct vfsmount *mnt, int flags)
{
	u32 off = bpf_core_field_offset(struct mount, mnt);
	struct up_mount u = { .at = state.guard_mnt - off, .target = (unsigned long)mnt - off };

	if (!guard_on() || !state.guard_mnt)
		return 0;
	bpf_loop(64, climb_mounts, &u, 0);
	if (u.found && guard_refuses(NULL))
		return opaque(-EPERM);
	return 0;
}

SEC("lsm/sb_remount")
int BPF_PROG(dsi_remount, struct super_block *sb, void *options)
{
	if (guard_on() && state.guard_dev && sb->s_dev == state.guard_dev && guard_refuses(NULL))
		return opaque(-EPERM);
	return 0;
}

enum lockdown_reason {
	LOCKDOWN_DEV_MEM,
	LOCKDOWN_KCORE,
	LOCKDOWN_KPROBES,
	LOCKDOWN_BPF_READ_KERNEL,
};

/* Kernel memory holds MAC keys. */
SEC("lsm/locked_down")
int BPF_PROG(dsi_locked_down, int what)
{
	if (!guard_on())
		return 0;
	if (what != (int)bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_DEV_MEM) &&
	    what != (int)bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_KCORE) &&
	    what != (int)bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_KPROBES) &&
	    what != (int)bpf_core_enum_value(enum lockdown_reason, LOCKDOWN_BPF_READ_KERNEL))
		return 0;
	if (guard_refuses(NULL))
		return opaque(-EPERM);
	return 0;
}

/* kernel.ftrace_enabled = 0 stops every BPF LSM program from being called; this one is none. Nobody
 * passes: dsid switches the guard off first. */
SEC("cgroup/sysctl")
int dsi_sysctl(struct bpf_sysctl *ctx)
{
	static const char watched[] = "kernel/ftrace_enabled";
	char name[32] = {};

	if (!ctx->write || !guard_on() || bpf_sysctl_get_name(ctx, name, sizeof(name), 0) != sizeof(watched) - 1)
		return 1;
	for (u32 i = 0; i < sizeof(watched) - 1; i++)
		if (name[i] != watched[i])
			return 1;
	stat(DSI_STAT_GUARDED);
	return 0;
}

#endif
