/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which function carries out which action; ticks, and the step itself with order_check's look at it. */
static void do_alarm(struct proc *p, const struct order_action *a)
{
	trace(p, "ALARM %s (%u)", a->u.alarm.text, a->u.alarm.nid);
	if (!strstr(a->u.alarm.text, "log"))
		fail(p->c, a->u.alarm.text);
}

static void do_halt(struct proc *p, const struct order_action *a)
{
	(void)a;
	fail(p->c, "an honest run halts a node");
}

static void do_relearnt(struct proc *p, const struct order_action *a)
{
	(void)a;
	trace(p, "relearnt");
	p->disk.stale = false;
}

static void (*const action_table[])(struct proc *p, const struct order_action *a) = {
	[ORDER_SEND] = do_send, [ORDER_PROMISE] = do_promise, [ORDER_APPEND] = do_append, [ORDER_DELIVERED] = do_delivered,
	[ORDER_URGENT] = do_urgent, [ORDER_COMMIT] = do_commit, [ORDER_ROLE] = do_role, [ORDER_FETCH] = do_fetch,
	[ORDER_BODIES] = do_bodies, [ORDER_MAKE_TERM] = do_make_term, [ORDER_ALARM] = do_alarm, [ORDER_HALT] = do_halt,
	[ORDER_RELEARNT] = do_relearnt,
};

static void tick(void *ctx, u64 arg)
{
	struct proc *p = ctx;
	struct order_actions acts;

	if (!p->alive || p->hung || p->life != (u32)arg || sim_now(p->c->s) < p->tick_at || !p->tick_at)
		return;
	p->tick_at = 0;
	order_tick(p->o, sim_now(p->c->s), &acts);
	run(p, &acts);
}

static void run(struct proc *p, const struct order_actions *acts)
{
	u64 suspended = p->disk.suspended, deposed = p->disk.deposed, at, now = sim_now(p->c->s);

	assert(!p->stepping);
	p->stepping = true;
	for (u32 i = 0; i < acts->n; i++)
		action_table[acts->v[i].type](p, &acts->v[i]);
	p->stepping = false;
	if (suspended != p->disk.suspended || deposed != p->disk.deposed) {
		recheck(p);
		return;
	}
	at = order_next_tick(p->o);
	if (at && (!p->tick_at || at < p->tick_at)) {
		p->tick_at = at;
		sim_at(p->c->s, at > now ? at - now : 1, tick, p, p->life);
	}
}

static void recheck(struct proc *p)
{
	struct order_actions acts;

	order_recheck(p->o, sim_now(p->c->s), &acts);
	run(p, &acts);
}
