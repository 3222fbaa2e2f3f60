/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks: writes in order, synced after a time or not; what was not is lost with the power. */
static void disk_apply(struct disk *d, const struct dop *op)
{
	switch (op->kind) {
	case DOP_APPEND:
		d->log.n = MIN(d->log.n, op->value - 1);
		if (op->e)
			entries_put(&d->log, op->value, op->e);
		break;
	case DOP_PROMISE:
		d->promised = op->value;
		break;
	case DOP_HINT:
		d->hint = op->value;
		break;
	}
}

static void disk_failed(struct proc *p)
{
	struct order_actions acts;

	trace(p, "disk fails");
	p->queue_n = 0;
	p->watch.promised = p->disk.promised;
	entries_copy(&p->log, &p->disk.log);
	p->n_app = 0;
	for (u64 i = 1; i <= p->log.n; i++)
		app_add(p, p->log.v[i - 1]);
	order_log_failed(p->o, sim_now(p->c->s), -DSI_ENOSPC, &acts);
	run(p, &acts);
	disk_kick(p);
}

static void disk_synced(void *ctx, u64 arg)
{
	struct proc *p = ctx;
	struct dop done[256];
	u32 n = p->batch;

	if (!p->alive || p->life != (u32)arg)
		return;
	p->syncing = false;
	if (p->fail_syncs || sim_chance(p->c->s, p->c->cfg.fsync_fail_percent)) {
		p->fail_syncs -= p->fail_syncs > 0;
		disk_failed(p);
		return;
	}
	for (u32 i = 0; i < n; i++)
		disk_apply(&p->disk, &p->queue[i]);
	memcpy(done, p->queue, n * sizeof(*done));
	p->queue_n -= n;
	memmove(p->queue, p->queue + n, p->queue_n * sizeof(*p->queue));
	disk_kick(p);
	for (u32 i = 0; i < n && p->alive; i++) {
		struct order_actions acts;

		if (done[i].kind == DOP_HINT)
			continue;
		if (done[i].kind == DOP_PROMISE)
			order_promised(p->o, sim_now(p->c->s), done[i].value, &acts);
		else
			order_appended(p->o, sim_now(p->c->s), done[i].value, &acts);
		run(p, &acts);
	}
}

static void disk_kick(struct proc *p)
{
	bool worth = p->hint_due && p->queue_n;

	for (u32 i = 0; i < p->queue_n; i++)
		worth |= p->queue[i].kind != DOP_HINT;
	if (p->syncing || !worth)
		return;
	p->syncing = true;
	p->hint_due = false;
	p->batch = MIN(p->queue_n, 256);
	sim_at(p->c->s, p->fsync_ns / 2 + sim_below(p->c->s, p->fsync_ns), disk_synced, p, p->life);
}
