/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes and nodes: started, killed, hung, without power, wiped, split, with wrong clocks. */
struct proc *cluster_proc(struct cluster *c, u32 nid, enum msg_role role)
{
	struct proc *p = nid < NID_MAX ? c->proc[role_at(role)][nid] : NULL;

	return p && p->alive ? p : NULL;
}

void cluster_start(struct cluster *c, u32 nid, enum msg_role role)
{
	struct proc *p = c->proc[role_at(role)][nid];
	struct order_env env = { .ctx = p, .voters = env_voters, .server_rank = env_server_rank, .nid_dead = env_nid_dead,
				 .bodies_present = env_bodies_present, .read_entry = env_read_entry,
				 .verify_entry = env_verify_entry, .verify_promise = env_verify_promise,
				 .term_promises = env_term_promises, .changes_voters = env_changes_voters, .urgent = env_urgent,
				 .timely = env_timely };
	struct order_config cfg = { .nid = nid, .role = role, .generation = p->disk.generation, .open_wait_ns = 50 * MS, .heartbeat_ns = 200 * MS };
	struct sent *tail;

	if (p->alive)
		return;
	entries_copy(&p->log, &p->disk.log);
	p->n_app = 0;
	p->last_wall_ms = 0;
	for (u64 i = 1; i <= p->log.n; i++)
		app_add(p, p->log.v[i - 1]);
	tail = entries_at(&p->log, p->log.n);
	cfg.promised = p->disk.promised;
	cfg.tail_term = tail->e.term;
	cfg.tail_index = tail->e.index;
	memcpy(cfg.tail_hash, tail->e.hash, CRYPTO_HASH);
	cfg.commit = MIN(MAX(MAX(p->disk.hint, p->disk.reform), 1), tail->e.index);
	cfg.stale_disk = p->disk.stale;
	p->disk.incarnation++;
	p->alive = true;
	p->life++;
	p->tick_at = 0;
	p->active = p->hung = p->hint_armed = p->hint_due = p->looking = false;
	p->syncing = false;
	p->queue_n = 0;
	p->seq = 0;
	memset(p->from, 0, sizeof(p->from));
	memset(&p->ring, 0, sizeof(p->ring));
	p->o = order_new(&cfg, &env);
	assert(p->o);
	order_check_begin(check_of(p), &p->watch, nid, role, cfg.promised, cfg.commit);
	trace(p, "starts: promised %llu tail %llu.%llu commit %llu%s", (unsigned long long)cfg.promised,
	      (unsigned long long)cfg.tail_term, (unsigned long long)cfg.tail_index, (unsigned long long)cfg.commit,
	      cfg.stale_disk ? " stale" : "");
	if (sim_join(c->s, nid - 1, &events, p, &p->b))
		abort();
}

void cluster_kill(struct cluster *c, u32 nid, enum msg_role role)
{
	struct proc *p = cluster_proc(c, nid, role);

	if (!p)
		return;
	trace(p, "dies");
	if (p->syncing && sim_chance(c->s, 50)) /* the sync under way may have reached the platter */
		for (u32 i = 0; i < p->batch; i++)
			disk_apply(&p->disk, &p->queue[i]);
	p->alive = false;
	p->b->free(p->b);
	p->b = NULL;
	order_free(p->o);
	p->o = NULL;
	p->active = false;
}

void cluster_hang(struct cluster *c, u32 nid, enum msg_role role)
{
	c->proc[role_at(role)][nid]->hung = true;
	c->proc[role_at(role)][nid]->active = false;
}

void cluster_crash(struct cluster *c, u32 nid)
{
	cluster_kill(c, nid, ROLE_MANAGER);
	if (c->proc[1][nid])
		cluster_kill(c, nid, ROLE_SERVER);
	sim_node_down(c->s, nid - 1);
}

void cluster_boot(struct cluster *c, u32 nid)
{
	sim_node_up(c->s, nid - 1);
	cluster_start(c, nid, ROLE_MANAGER);
	if (c->proc[1][nid])
		cluster_start(c, nid, ROLE_SERVER);
}

void cluster_wipe(struct cluster *c, u32 nid)
{
	struct proc *p = c->proc[0][nid];

	assert(!p->alive);
	for (u64 i = 1, n = p->disk.lost.n; i <= MAX(p->disk.log.n, n); i++)
		entries_put(&p->disk.lost, i, i <= p->disk.log.n ? p->disk.log.v[i - 1] : p->disk.lost.v[i - 1]);
	p->disk.log.n = 1 + sim_below(c->s, p->disk.log.n);
	p->disk.promised = MIN(p->disk.promised, entries_at(&p->disk.log, p->disk.log.n)->e.term);
	p->disk.hint = MIN(p->disk.hint, p->disk.log.n);
	p->disk.stale = true;
	trace(p, "disk goes back to %llu", (unsigned long long)p->disk.log.n);
}

void cluster_split(struct cluster *c, const u32 *side)
{
	for (u32 a = 0; a < c->cfg.nodes; a++)
		for (u32 b = 0; b < c->cfg.nodes; b++)
			sim_link(c->s, a, b, side[a] == side[b]);
}

void cluster_fsync(struct cluster *c, u32 nid, u64 ns)
{
	c->proc[0][nid]->fsync_ns = ns;
}

void cluster_disk_fails(struct cluster *c, u32 nid, u32 count)
{
	c->proc[0][nid]->fail_syncs = count;
}

void cluster_clock(struct cluster *c, u32 nid, enum msg_role role, int64_t ms)
{
	c->proc[role_at(role)][nid]->clock_ms = ms;
}

void cluster_no_fetch(struct cluster *c, bool on)
{
	c->no_fetch = on;
}

void cluster_calm(struct cluster *c)
{
	c->cfg.fsync_fail_percent = c->cfg.fetch_fail_percent = 0;
	c->no_fetch = false;
	for (u32 r = 0; r < ROLES; r++)
		for (u32 i = 1; i <= c->cfg.nodes; i++)
			if (c->proc[r][i]) {
				c->proc[r][i]->clock_ms = 0;
				c->proc[r][i]->fsync_ns = c->cfg.fsync_ns;
				c->proc[r][i]->fail_syncs = 0;
			}
}
