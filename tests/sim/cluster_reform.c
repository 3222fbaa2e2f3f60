/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generations: root's word on one node, seen by the others when they hear of it. */
/* What gcs/replica_reform.c does, as one step: the old order ends, the log becomes src's up to its REFORM, everything
 * begins anew. A process that joins again stands for the group joined again. */
static void reform_take(struct proc *p, const struct entries *src, u64 reform)
{
	struct cluster *c = p->c;
	bool was_alive = p->alive;

	if (was_alive)
		cluster_kill(c, p->nid, p->role);
	p->disk.log.n = MIN(p->disk.log.n, reform - 1);
	while (p->disk.log.n && memcmp(entries_at(&p->disk.log, p->disk.log.n)->e.hash, entries_at(src, p->disk.log.n)->e.hash, CRYPTO_HASH))
		p->disk.log.n--;
	for (u64 i = p->disk.log.n + 1; i <= reform; i++)
		entries_put(&p->disk.log, i, entries_at(src, i));
	p->disk.lost.n = 0;
	p->disk.reform = p->disk.hint = reform;
	p->disk.generation = entries_at(src, reform)->e.generation;
	trace(p, "takes generation %u in, entry %llu", p->disk.generation, (unsigned long long)reform);
	if (was_alive)
		cluster_start(c, p->nid, p->role);
}

static void look(void *ctx, u64 arg)
{
	struct proc *p = ctx, *src = p->c->proc[0][arg >> 32];

	if (!p->alive || p->life != (u32)arg)
		return;
	p->looking = false;
	if (src && src->alive && src->disk.generation > p->disk.generation && sim_reaches(p->c->s, p->nid - 1, src->nid - 1) &&
	    !sim_chance(p->c->s, p->c->cfg.fetch_fail_percent) && !p->c->no_fetch)
		reform_take(p, &src->disk.log, src->disk.reform);
}

static void look_soon(struct proc *p, u32 nid)
{
	if (p->looking)
		return;
	p->looking = true;
	sim_at(p->c->s, MS + sim_below(p->c->s, 2 * MS), look, p, (u64)nid << 32 | p->life);
}

u64 cluster_reform(struct cluster *c, u32 nid, u64 base, const u32 *voters, u32 n)
{
	struct proc *p = c->proc[0][nid];
	const struct sent *at = entries_at(&p->disk.log, base);
	struct entry e = { .type = ENTRY_REFORM, .author_role = ROLE_SERVER, .generation = p->disk.generation + 1, .term = at->e.term,
			   .index = base + 1 };
	struct entries chain = { 0 };
	u8 buf[256];
	struct wbuf w;

	assert(e.generation < GENERATIONS);
	wbuf_fixed(&w, buf, sizeof(buf));
	wbuf_u8(&w, 0);
	wbuf_u32(&w, 0);
	wbuf_u32(&w, n);
	for (u32 i = 0; i < n; i++)
		wbuf_u32(&w, voters[i]);
	e.body = buf;
	e.body_len = w.len;
	e.author_nid = nid;
	memcpy(e.prev, at->e.hash, CRYPTO_HASH);
	if (!c->later[e.generation])
		c->later[e.generation] = order_check_new(check_failed, c);
	assert(c->later[e.generation]);
	for (u64 i = 1; i <= base; i++)
		entries_put(&chain, i, entries_at(&p->disk.log, i));
	entries_put(&chain, base + 1, sent_new(c, &e));
	reform_take(p, &chain, base + 1);
	free(chain.v);
	return base + 1;
}

u32 cluster_generation(struct cluster *c, u32 nid, enum msg_role role)
{
	return c->proc[role_at(role)][nid]->disk.generation;
}
