/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The direct leg: a log or the bodies of an entry from another node, later, or not at all. */
struct fetch {
	struct proc *p;
	u32 life, nid;
	u64 from, to;
};

static void fetched(void *ctx, u64 arg)
{
	struct fetch *f = ctx;
	struct proc *p = f->p, *src = f->nid < NID_MAX ? p->c->proc[0][f->nid] : NULL;
	struct sim *s = p->c->s;
	struct order_actions acts;
	struct blob v[160];
	u32 n = 0, max = 1 + (u32)sim_below(s, 150);

	(void)arg;
	if (p->alive && p->life == f->life) {
		if (src && src->alive && sim_reaches(s, p->nid - 1, f->nid - 1) &&
		    !sim_chance(s, p->c->cfg.fetch_fail_percent) && !p->c->no_fetch)
			for (u64 i = f->from; i <= f->to && i <= src->log.n && n < max; i++) {
				struct sent *e = entries_at(&src->log, i);

				v[n++] = (struct blob){ e->bytes, e->n };
			}
		trace(p, "fetched %u entries from %u", n, f->nid);
		order_fetched(p->o, sim_now(s), f->nid, v, n, &acts);
		run(p, &acts);
	}
	free(f);
}

static void do_fetch(struct proc *p, const struct order_action *a)
{
	struct fetch *f = malloc(sizeof(*f));

	assert(f);
	*f = (struct fetch){ p, p->life, a->u.fetch.nid, a->u.fetch.from, a->u.fetch.to };
	trace(p, "fetch %llu..%llu from %u", (unsigned long long)f->from, (unsigned long long)f->to, f->nid);
	if (p->c->cfg.fetch_fail_percent && sim_chance(p->c->s, 2)) {
		free(f); /* never answered */
		return;
	}
	sim_at(p->c->s, MS / 2 + sim_below(p->c->s, MS), fetched, f, 0);
}

static void bodies(void *ctx, u64 arg)
{
	struct fetch *f = ctx;
	struct proc *p = f->p;
	struct order_actions acts;
	struct sent *s;

	(void)arg;
	if (p->alive && p->life == f->life) {
		bool ok = !sim_chance(p->c->s, p->c->cfg.fetch_fail_percent);

		s = entries_at(&p->log, f->from);
		if (s && ok)
			s->holders[role_at(p->role)][p->nid / 64] |= 1ull << p->nid % 64;
		order_bodies_ready(p->o, sim_now(p->c->s), f->from, ok, &acts);
		run(p, &acts);
	}
	free(f);
}

static void do_bodies(struct proc *p, const struct order_action *a)
{
	struct fetch *f = malloc(sizeof(*f));

	assert(f);
	*f = (struct fetch){ p, p->life, a->u.bodies.nid, a->u.bodies.index, 0 };
	sim_at(p->c->s, MS + sim_below(p->c->s, 2 * MS), bodies, f, 0);
}
