/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Brings the BPF programs into the kernel and keeps hold of them. Used by the dsid monitor only (root,
 * CAP_BPF, CAP_SYS_ADMIN, CAP_NET_ADMIN). One thread drives everything in kernel/; nothing here logs.
 *
 * Life: kern_open() either loads, attaches every hook or none, and pins (mode DSI_MODE_OFF, no policy), or
 * finds the pins of an earlier dsid and takes them over: enforcement never stopped. kern_close() lets go
 * of descriptors only; what is pinned goes on enforcing. Only kern_detach_all() ends enforcement.
 */
#ifndef DSI_KERNEL_LOADER_H
#define DSI_KERNEL_LOADER_H

#include "kernel/abi.h"
#include "kernel/probe.h"
#include "lib/err.h"

#define KERN_PIN_DIR "/sys/fs/bpf/dsi"

struct kern;

struct kern_options {
	const char *pin_dir; /* NULL: KERN_PIN_DIR; must be below a bpffs */
	const char *cgroup;  /* NULL: where cgroup v2 is mounted (kern_probe) */
	bool adopt_only;     /* never load: -DSI_ENOENT when there are no pins */
};

/*
 * 0; -DSI_EKERNEL (cannot enforce here: e->text says what to add), -DSI_EVERSION (pins of another ABI:
 * kern_detach_all_at() or reboot), -DSI_EIO. Blocks while hooks attach: about 0.2 s each on 6.1 for the
 * first use, some seconds in all; adoption takes milliseconds.
 * `o` may be NULL.
 */
int kern_open(struct kern **ret, const struct kern_options *o, struct err *e) DSI_MUST_CHECK;
bool kern_adopted(const struct kern *k); /* found running, not loaded by us */
void kern_close(struct kern *k);         /* NULL-safe; enforcement goes on */
/* Ends enforcement and closes k (always, also on error): links, then programs, then maps are unpinned. */
int kern_detach_all(struct kern *k, struct err *e);
/* The same by path, for pins that kern_open() refuses. 0 when nothing is there. pin_dir may be NULL. */
int kern_detach_all_at(const char *pin_dir, struct err *e);

/* The shared state page, mapped; valid until kern_close(). Readers may look at any field at any time. */
const struct dsi_state *kern_state(const struct kern *k);

/*
 * Settings; each takes effect with one store, the next hook sees it. Enforcing is refused
 * (-DSI_EKERNEL) where it would fail open: 6.1 with full preemption, ftrace switched off.
 */
int kern_mode_set(struct kern *k, enum dsi_mode mode, struct err *e);
/*
 * Guard on: -DSI_ENOTSAFE unless the policy in force gives this program (by its path) the context dsi and this
 * process is in it; so whoever is to go on working is let in first.
 */
int kern_guard_set(struct kern *k, enum dsi_guard guard, struct err *e);
bool kern_guard_fits(struct kern *k); /* the policy in force gives this program the context dsi */
void kern_rate_set(struct kern *k, u32 events_per_second);
/* Replace the whole list; n <= DSI_EXEMPT_MAX, -DSI_ELIMIT else. */
int kern_exempt_set(struct kern *k, const struct dsi_exempt *list, size_t n, struct err *e);

/*
 * Give a running process (all its threads) and optionally the sockets it holds a label: dsid does this
 * for DSI's own processes, DSI_SID_DSI, before the guard goes on. Everything else gets labels by exec
 * entries. -DSI_ENOENT: no such process.
 */
int kern_label_task(struct kern *k, u32 pid, u32 sid, struct err *e);
/* The kernel's view of a process; DSI_SID_NONE when it cannot be told. -DSI_ENOENT: no such process. */
int kern_task_sid(struct kern *k, u32 pid, u32 *ret_sid, struct err *e);

/* Put a question to the decision in force, in the kernel: q->key and q->perm in, the rest out. */
int kern_ask(struct kern *k, struct dsi_query *q, struct err *e);

struct kern_status {
	u32 abi, mode, generation, guard;
	u64 policy_version; /* 0: none */
	u8 digest[32];
	u32 n_rules;
	bool attached;      /* every link is there and its program's id still is ours */
	bool ftrace_off;    /* somebody switched all LSM programs off: alarm */
	u64 lease_deadline; /* CLOCK_BOOTTIME ns */
	bool lease_valid;
	u64 recursion_misses; /* sum over programs; != 0 is a health alarm */
	u64 stats[DSI_STAT_COUNT];
};
int kern_status(struct kern *k, struct kern_status *ret, struct err *e);

#endif
