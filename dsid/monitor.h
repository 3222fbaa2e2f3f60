/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor: dsid's root half. Brings the BPF programs in (or re-adopts them), starts channel, engine and
 * key service, serves the privileged operations (monop.h), reads the kernel's event ring and passes events
 * on. When a child dies, it ends: the service manager starts all again, and the kernel goes on enforcing.
 *
 * Must never: parse policy or bytes from the network, hold a key longer than the call that brings it.
 */
#ifndef DSI_DSID_MONITOR_H
#define DSI_DSID_MONITOR_H

#include "dsid/conf.h"
#include "dsid/monop.h"
#include "kernel/mapset.h"
#include "kernel/ring.h"
#include "lib/link.h"

struct monitor {
	struct loop *loop;
	struct dsid_conf conf;
	struct kern *kern;  /* NULL: this kernel cannot enforce */
	struct ring *ring;
	struct loop_fd *ring_watch;
	struct loop_timer *sweep_timer, *retry_timer;
	struct link *engine;
	struct mapset *set; /* being filled */
	bool in_set;        /* between BEGIN and COMMIT or ABORT, also when it failed */
	int set_code;       /* first error of the set; sticks until its end */
	char set_text[256];
	struct monop_kernel kernel;
	u64 events_dropped; /* the engine's queue was full */
	bool stopping;
	int children;
	struct link *helper; /* of the job under way; NULL none */
	struct loop_timer *helper_timer;
	int helper_pid;      /* 0: it has ended */
};

int monitor_run(const struct dsid_conf *conf); /* body of the first process; returns the exit status */

/* monop_root.c: one request from the engine. false: it broke the table, end it. */
bool monop_serve(struct monitor *m, u16 op, u32 id, const u8 *p, size_t n);
/* monitor.c: start the ring helper on this job. -DSI_EAGAIN while one is under way: it never runs twice. */
int monitor_ring(struct monitor *m, const u8 *p, size_t n, struct err *e);
void monop_kernel_fill(struct monitor *m); /* m->kernel from the kernel */
/* Guard on where the configuration wants it and the policy in force lets dsid through it, off where not; both said. */
void monop_guard_follow(struct monitor *m);

#endif
