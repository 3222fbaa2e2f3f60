/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside kernel/ only: the handle and the two tables (maps, programs) that loader, map sets, nodes, ring
 * and sweep share. Everything a later dsid needs is found by the names in these tables under the pin
 * directory: maps/NAME, progs/NAME, links/NAME.
 */
#ifndef DSI_KERNEL_KERN_IMPL_H
#define DSI_KERNEL_KERN_IMPL_H

#include "kernel/loader.h"
#include "kernel/mapset.h"

#define KERN_MAP_TABLE(X)                                                                              \
	X(STATE, ".bss")                                                                              \
	X(RULES, "rules")                                                                             \
	X(CONTEXTS, "contexts")                                                                       \
	X(NCLASSES, "nclasses")                                                                       \
	X(PORTS, "ports")                                                                             \
	X(LABELS, "labels")                                                                           \
	X(EXECS, "execs")                                                                             \
	X(TASK_LABELS, "task_labels")                                                                 \
	X(INODE_LABELS, "inode_labels")                                                               \
	X(SOCK_LABELS, "sock_labels")                                                                 \
	X(NODES, "nodes")                                                                             \
	X(ADDRS, "addrs")                                                                             \
	X(CONNS, "conns")                                                                             \
	X(STATS, "stats")                                                                             \
	X(RATES, "rates")                                                                             \
	X(EVENTS, "events")                                                                           \
	X(SCAN, "scan")                                                                               \
	X(STOPPED, "stopped")                                                                         \
	X(LISTENING, "listening")                                                                     \
	X(GUARDED, "guarded")

enum kern_map {
#define X(id, name) KM_##id,
	KERN_MAP_TABLE(X)
#undef X
	KM_COUNT
};

/* How a program is held. */
enum kern_hold {
	HOLD_LSM,    /* attached always, link pinned */
	HOLD_CGROUP, /* attached always to the cgroup root, link pinned */
	HOLD_ARM,    /* LSM, attached only while something is revalidated */
	HOLD_ARM_CGROUP, /* cgroup root, attached only while a node is suspended or revoked */
	HOLD_RUN,    /* iterator or test run: never attached, program pinned */
};
/* Which kernels have it. */
enum kern_when { WHEN_ALWAYS, WHEN_SETATTR_PLAIN, WHEN_SETATTR_IDMAP, WHEN_SOCK_DESTROY, WHEN_NO_SOCK_DESTROY };

#define KERN_PROG_TABLE(X)                                                                             \
	X(TASK_ALLOC, dsi_task_alloc, LSM, ALWAYS)                                                    \
	X(BPRM_CREDS, dsi_bprm_creds, LSM, ALWAYS)                                                    \
	X(BPRM_CHECK, dsi_bprm_check, LSM, ALWAYS)                                                    \
	X(BPRM_COMMITTED, dsi_bprm_committed, LSM, ALWAYS)                                            \
	X(FILE_OPEN, dsi_file_open, LSM, ALWAYS)                                                      \
	X(MMAP_FILE, dsi_mmap_file, LSM, ALWAYS)                                                      \
	X(FILE_MPROTECT, dsi_file_mprotect, LSM, ALWAYS)                                              \
	X(CREATE, dsi_create, LSM, ALWAYS)                                                            \
	X(MKDIR, dsi_mkdir, LSM, ALWAYS)                                                              \
	X(MKNOD, dsi_mknod, LSM, ALWAYS)                                                              \
	X(SYMLINK, dsi_symlink, LSM, ALWAYS)                                                          \
	X(UNLINK, dsi_unlink, LSM, ALWAYS)                                                            \
	X(RMDIR, dsi_rmdir, LSM, ALWAYS)                                                              \
	X(LINK, dsi_link, LSM, ALWAYS)                                                                \
	X(RENAME, dsi_rename, LSM, ALWAYS)                                                            \
	X(SETATTR, dsi_setattr, LSM, SETATTR_PLAIN)                                                   \
	X(SETATTR_IDMAP, dsi_setattr_idmap, LSM, SETATTR_IDMAP)                                       \
	X(SETXATTR, dsi_setxattr, LSM, ALWAYS)                                                        \
	X(REMOVEXATTR, dsi_removexattr, LSM, ALWAYS)                                                  \
	X(TASK_KILL, dsi_task_kill, LSM, ALWAYS)                                                      \
	X(PTRACE, dsi_ptrace, LSM, ALWAYS)                                                            \
	X(TRACEME, dsi_traceme, LSM, ALWAYS)                                                          \
	X(SOCKET_CREATE, dsi_socket_create, LSM, ALWAYS)                                              \
	X(SOCKET_POST_CREATE, dsi_socket_post_create, LSM, ALWAYS)                                    \
	X(SOCKET_BIND, dsi_socket_bind, LSM, ALWAYS)                                                  \
	X(SOCKET_LISTEN, dsi_socket_listen, LSM, ALWAYS)                                              \
	X(SOCKET_CONNECT, dsi_socket_connect, LSM, ALWAYS)                                            \
	X(CONN_REQUEST, dsi_conn_request, LSM, ALWAYS)                                                \
	X(CSK_CLONE, dsi_csk_clone, LSM, ALWAYS)                                                      \
	X(SOCKOPS, dsi_sockops, CGROUP, ALWAYS)                                                       \
	X(BPF_MAP, dsi_bpf_map, LSM, ALWAYS)                                                          \
	X(BPF_PROG, dsi_bpf_prog, LSM, ALWAYS)                                                        \
	X(BPF, dsi_bpf, LSM, ALWAYS)                                                                  \
	X(UMOUNT, dsi_umount, LSM, ALWAYS)                                                            \
	X(REMOUNT, dsi_remount, LSM, ALWAYS)                                                          \
	X(LOCKED_DOWN, dsi_locked_down, LSM, ALWAYS)                                                  \
	X(SYSCTL, dsi_sysctl, CGROUP, ALWAYS)                                                         \
	X(ASK, dsi_ask, RUN, ALWAYS)                                                                  \
	X(SCAN_TASKS, dsi_scan_tasks, RUN, ALWAYS)                                                    \
	X(SCAN_FDS, dsi_scan_fds, RUN, ALWAYS)                                                        \
	X(SCAN_SOCKS, dsi_scan_socks, RUN, ALWAYS)                                                    \
	X(FILE_PERMISSION, dsi_file_permission, ARM, ALWAYS)                                          \
	X(QUARANTINE_IN, dsi_quarantine_in, ARM_CGROUP, ALWAYS)                                       \
	X(QUARANTINE_OUT, dsi_quarantine_out, ARM_CGROUP, ALWAYS)                                     \
	X(SWEEP_FILES, dsi_sweep_files, RUN, ALWAYS)                                                  \
	X(SWEEP_MAPS, dsi_sweep_maps, RUN, ALWAYS)                                                    \
	X(SWEEP_TCP, dsi_sweep_tcp, RUN, NO_SOCK_DESTROY)                                             \
	X(DESTROY_TCP, dsi_destroy_tcp, RUN, SOCK_DESTROY)

enum kern_prog {
#define X(id, name, hold, when) KP_##id,
	KERN_PROG_TABLE(X)
#undef X
	KP_COUNT
};

struct kern_prog_info {
	const char *name; /* function in dsi.bpf.c, and pin */
	enum kern_hold hold;
	enum kern_when when;
};
extern const struct kern_prog_info kern_progs[KP_COUNT];
extern const char *const kern_maps[KM_COUNT];

/* A path of the policy in force that could not be resolved. */
struct kern_missing {
	u32 kind, sid, from;
	int error;
	char *path;
};

struct kern {
	char pin_dir[128];
	char self[256]; /* path of this program, as it was started: an upgrade may have replaced the file since */
	struct kern_probe probe;
	bool adopted;
	int cgroup_fd;
	int maps[KM_COUNT];  /* -1: not open */
	int progs[KP_COUNT]; /* -1: not on this kernel */
	int armed[KP_COUNT]; /* links of HOLD_ARM*, -1: not attached */
	struct dsi_state *state; /* mapped, shared with the programs */
	size_t state_bytes;
	struct mapset *under_way;
	struct kern_missing *missing;
	u32 n_missing;
	int *held; /* O_PATH descriptors of labelled roots of the set in force: keep their inodes' numbers */
	u32 n_held;
	u32 n_rules;
	u32 offenders; /* open files still stopped */
};

/* Run an iterator to its end; fn gets each record of `size` bytes (fn may be NULL: output is dropped). */
typedef void (*kern_record_fn)(void *ctx, const void *record);
int kern_iterate(struct kern *k, enum kern_prog prog, u32 pid, size_t size, kern_record_fn fn, void *ctx, struct err *e);
int kern_scan_set(struct kern *k, const struct dsi_scan *scan, struct err *e);
/* Attach what HOLD_ARM* programs say; idempotent; pinned, so that it outlives us. */
int kern_arm(struct kern *k, enum kern_prog prog, struct err *e);
int kern_disarm(struct kern *k, enum kern_prog prog, struct err *e);
/* Ids of our objects, for the guard; kind 1 map, 2 program. */
int kern_guard_id(struct kern *k, u32 kind, int fd, struct err *e);
void kern_unguard_id(struct kern *k, u32 map_id); /* a map that is gone */
/* How the kernel names the directory behind an O_PATH descriptor of ours. */
int kern_name_fd(struct kern *k, int fd, struct dsi_scan_fd *ret, struct err *e);
/* What the set in force (m NULL) or being built lets a program enter; 0: nothing. */
u32 kern_exec_entry(struct kern *k, const struct mapset *m, const char *path, u32 from);
/* Wait until every hook that runs now has returned. */
void kern_settle(void);
u64 kern_now_us(void);

#endif
