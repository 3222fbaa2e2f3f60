/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole cluster in one process: see cluster.h. The parts below are one program with it, in this order. */
#include "tests/sim/cluster_impl.h"

bool cluster_trace;
void (*cluster_failed)(struct cluster *c, const char *text);

#include "tests/sim/cluster_entries.c"
#include "tests/sim/cluster_env.c"
#include "tests/sim/cluster_actions.c"
#include "tests/sim/cluster_direct.c"
#include "tests/sim/cluster_term.c"
#include "tests/sim/cluster_step.c"
#include "tests/sim/cluster_disk.c"
#include "tests/sim/cluster_ring.c"
#include "tests/sim/cluster_process.c"
#include "tests/sim/cluster_reform.c"
#include "tests/sim/cluster_propose.c"

/* --- what a test sees ------------------------------------------------------------------------------------------- */

struct order_status proc_status(struct cluster *c, u32 nid, enum msg_role role)
{
	struct order_status st = { 0 };
	struct proc *p = cluster_proc(c, nid, role);

	if (p)
		order_status(p->o, sim_now(c->s), &st);
	return st;
}

u64 proc_commit(struct cluster *c, u32 nid)
{
	return cluster_proc(c, nid, ROLE_MANAGER) ? c->proc[0][nid]->watch.commit : 0;
}

u32 cluster_active(struct cluster *c)
{
	u64 term = 0;
	u32 nid = 0;

	for (u32 i = 1; i <= c->cfg.servers; i++)
		if (c->proc[1][i]->alive && c->proc[1][i]->active && c->proc[1][i]->active_term > term) {
			term = c->proc[1][i]->active_term;
			nid = i;
		}
	return nid;
}

bool cluster_dead(struct cluster *c, u32 nid)
{
	return nid < 64 && (c->dead >> nid & 1);
}

bool cluster_committed(struct cluster *c, u64 index)
{
	for (u32 i = 1; i <= c->cfg.nodes; i++)
		if (c->proc[0][i]->alive && !cluster_dead(c, i) && c->proc[0][i]->watch.commit < index)
			return false;
	return true;
}

u32 cluster_messages(struct cluster *c, u16 type)
{
	return c->messages[type];
}

u64 cluster_digest(struct cluster *c)
{
	u64 h = sim_now(c->s) ^ sim_events(c->s) * 31;

	for (u32 r = 0; r < ROLES; r++)
		for (u32 i = 1; i <= c->cfg.nodes; i++) {
			struct proc *p = c->proc[r][i];

			if (!p)
				continue;
			h = h * 0x100000001b3ull ^ p->disk.log.n ^ p->disk.promised << 20 ^ p->watch.commit << 40;
			if (p->disk.log.n)
				h ^= p->disk.log.v[p->disk.log.n - 1]->e.hash[0];
		}
	return h;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static struct sent *genesis(struct cluster *c)
{
	u8 buf[256];
	struct wbuf w;
	struct entry e = { .type = ENTRY_GENESIS, .author_role = ROLE_OPERATOR, .generation = 1, .index = 1, .body = buf };

	wbuf_fixed(&w, buf, sizeof(buf));
	wbuf_u8(&w, 0);
	wbuf_u32(&w, 0);
	wbuf_u32(&w, c->cfg.voters);
	for (u32 i = 1; i <= c->cfg.voters; i++)
		wbuf_u32(&w, i);
	e.body_len = w.len;
	return sent_new(c, &e);
}

struct cluster *cluster_new(const struct cluster_config *cfg)
{
	struct cluster *c = calloc(1, sizeof(*c));
	struct sim_config sc = { .nodes = cfg->nodes, .token_ns = cfg->token_ns ? cfg->token_ns : 300 * MS, .hop_ns = MS / 4,
				 .interim_percent = cfg->interim_percent, .drop_percent = cfg->drop_percent,
				 .forge_percent = cfg->forge_percent };
	struct sent *first;

	assert(c);
	c->cfg = *cfg;
	if (!c->cfg.fsync_ns)
		c->cfg.fsync_ns = MS;
	sc.consensus_ns = sc.token_ns / 5 * 6;
	c->s = sim_new(cfg->seed, &sc);
	c->check = order_check_new(check_failed, c);
	assert(c->s && c->check);
	first = genesis(c);
	for (u32 r = 0; r < ROLES; r++)
		for (u32 i = 1; i <= (r ? cfg->servers : cfg->nodes); i++) {
			struct proc *p = calloc(1, sizeof(*p));

			assert(p);
			p->c = c;
			p->nid = i;
			p->role = r ? ROLE_SERVER : ROLE_MANAGER;
			p->fsync_ns = c->cfg.fsync_ns;
			entries_put(&p->disk.log, 1, first);
			p->disk.generation = 1;
			c->proc[r][i] = p;
		}
	for (u32 i = 1; i <= cfg->nodes; i++) {
		cluster_start(c, i, ROLE_MANAGER);
		if (c->proc[1][i])
			cluster_start(c, i, ROLE_SERVER);
	}
	return c;
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	while (sim_now(c->s) < UINT64_MAX / 2 && c->proc[0][1]) { /* end what is under way: fetches own memory */
		for (u32 i = 1; i <= c->cfg.nodes; i++) {
			cluster_kill(c, i, ROLE_MANAGER);
			if (c->proc[1][i])
				cluster_kill(c, i, ROLE_SERVER);
		}
		break;
	}
	while (sim_step(c->s))
		;
	for (u32 r = 0; r < ROLES; r++)
		for (u32 i = 1; i <= c->cfg.nodes; i++) {
			struct proc *p = c->proc[r][i];

			if (!p)
				continue;
			free(p->disk.log.v);
			free(p->disk.lost.v);
			free(p->log.v);
			free(p->queue);
			free(p);
		}
	for (u32 i = 0; i < c->n_all; i++)
		free(c->all[i]);
	free(c->all);
	order_check_free(c->check);
	for (u32 g = 0; g < GENERATIONS; g++)
		order_check_free(c->later[g]);
	sim_free(c->s);
	free(c);
}

struct sim *cluster_sim(struct cluster *c)
{
	return c->s;
}

struct order_check *cluster_check(struct cluster *c)
{
	return c->check;
}

static void nothing(void *ctx, u64 arg)
{
	(void)ctx, (void)arg;
}

void cluster_run(struct cluster *c, u64 ns)
{
	u64 end = sim_now(c->s) + ns;

	sim_at(c->s, ns, nothing, NULL, 0);
	while (sim_now(c->s) < end && sim_step(c->s))
		;
}

bool cluster_until(struct cluster *c, bool (*done)(struct cluster *c, u64 arg), u64 arg, u64 ns)
{
	u64 end = sim_now(c->s) + ns;

	sim_at(c->s, ns, nothing, NULL, 0);
	while (!done(c, arg)) {
		if (sim_now(c->s) >= end)
			return false;
		sim_step(c->s);
	}
	return true;
}
