/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of cluster.c share: a process, its disk, the cluster, and how a failure is told. The parts are included
 * as source, in cluster.c's order.
 */
#ifndef DSI_TESTS_SIM_CLUSTER_IMPL_H
#define DSI_TESTS_SIM_CLUSTER_IMPL_H

#include "tests/sim/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/state.h"
#include "lib/err.h"

#define URGENT_DEPOSE 0x80000000u /* else a verdict */
enum { APP_MAX = 96, ROLES = 2, QUEUE_MAX = 4096, NID_MAX = C_NODES + 1, GENERATIONS = 4 };

struct sent { /* an entry as bytes; never moves, shared by all who hold it */
	struct entry e;
	u64 holders[2][NID_MAX / 64 + 1]; /* who has its body; [role] */
	size_t n;
	u8 bytes[];
};

enum dop_kind { DOP_APPEND, DOP_PROMISE, DOP_HINT };
struct dop {
	enum dop_kind kind;
	u64 value;
	struct sent *e;
};

struct entries {
	struct sent **v; /* v[i] is index i + 1 */
	u64 n, cap;
};

struct disk { /* survives the process */
	struct entries log, lost; /* lost: what an older image does not have any more */
	u64 promised, hint, incarnation;
	u64 suspended, deposed; /* NIDs below 64: verdicts delivered */
	bool stale;
	u32 generation;
	u64 reform; /* index of its REFORM; 0 in the first */
};

enum app_kind { APP_SET, APP_DEAD, APP_DEPOSED };
struct app { /* what an entry of the log means to order */
	u64 index;
	enum app_kind kind;
	u32 nid;
	struct order_voters set;
};

struct sender {
	u64 incarnation, seq;
};

struct proc {
	struct cluster *c;
	u32 nid;
	enum msg_role role;
	bool alive;
	u32 life;
	struct order *o;
	struct gcs_backend *b;
	struct order_watch watch;
	struct disk disk;
	struct entries log; /* as this process sees it, durable or not */
	struct dop *queue;
	u32 queue_n, queue_cap, batch;
	bool syncing;
	u64 fsync_ns;
	u32 fail_syncs;
	struct app app[APP_MAX];
	u32 n_app;
	struct gcs_ring ring;
	u64 fold, seq;
	bool in_view;
	struct sender from[ROLES][NID_MAX];
	u64 tick_at;
	bool active;
	u64 active_term;
	bool stepping, hung, hint_armed, hint_due, looking;
	int64_t clock_ms; /* how wrong its clock is; survives the process */
	u64 last_wall_ms; /* date of the last entry that it knows committed */
};

struct cluster {
	struct cluster_config cfg;
	struct sim *s;
	/* One a generation: what order promises (commit never goes back, nothing committed is replaced) it promises
	 * inside one. Between two only root decides. */
	struct order_check *check, *later[GENERATIONS];
	struct proc *proc[ROLES][NID_MAX]; /* made once, alive or not */
	struct sent **all;
	u32 n_all, cap_all;
	u64 random_body;
	u32 messages[64];
	bool no_fetch;
	u64 dead; /* NIDs a verdict was proposed against */
};

static struct order_check *check_of(const struct proc *p)
{
	return p->disk.generation > 1 ? p->c->later[p->disk.generation] : p->c->check;
}

static u64 wall_ms(const struct proc *p)
{
	return 1700000000000ull + sim_now(p->c->s) / MS + (u64)p->clock_ms;
}

static u32 role_at(enum msg_role role)
{
	return role == ROLE_SERVER;
}

static void trace(struct proc *p, const char *fmt, ...)
{
	va_list ap;

	if (!cluster_trace)
		return;
	printf("%10.3f %s%u: ", (double)sim_now(p->c->s) / 1e6, p->role == ROLE_SERVER ? "S" : "m", p->nid);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void fail(struct cluster *c, const char *text)
{
	if (cluster_failed)
		cluster_failed(c, text);
	fprintf(stderr, "%s\n", text);
	abort();
}

static void check_failed(void *ctx, const char *text)
{
	fail(ctx, text);
}

#endif
