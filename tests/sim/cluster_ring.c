/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ordered leg: what arrives from gcs/sim, after a look at session and generation, and views. */
static u64 view_fold(const struct gcs_view *v)
{
	u64 h = v->ring.seq * 1000003 + v->ring.nodeid;

	for (u32 i = 0; i < v->n; i++)
		h = (h ^ (v->members[i].nodeid * 7919ull + v->members[i].pid)) * 0x100000001b3ull;
	return h;
}

static void look_soon(struct proc *p, u32 nid);

/* What gcs/session.c lets through: this generation, this view, this life of the sender, nothing twice, nothing of the
 * dead. */
static bool session_passes(struct proc *p, const struct wire *w)
{
	struct sender *f = &p->from[role_at(w->role)][w->nid];

	if (w->generation != p->disk.generation) {
		if (w->generation > p->disk.generation)
			look_soon(p, w->nid);
		return false;
	}
	if (w->ring.seq != p->ring.seq || w->ring.nodeid != p->ring.nodeid || w->fold != p->fold)
		return false;
	if (nid_dead(p, w->nid))
		return false;
	if (w->incarnation < f->incarnation || (w->incarnation == f->incarnation && w->seq < f->seq))
		return false;
	f->incarnation = w->incarnation;
	f->seq = w->seq + 1;
	return true;
}

static void on_submit(struct proc *p, u64 suspended, u64 deposed)
{
	p->disk.suspended |= suspended;
	p->disk.deposed |= deposed;
	recheck(p);
}

static void on_deliver(void *ctx, struct gcs_member from, const u8 *bytes, size_t n)
{
	struct proc *p = ctx;
	struct blob urgent[64];
	struct order_actions acts;
	struct wire w;

	if (p->hung)
		return;
	memcpy(&w, bytes, n);
	if (!session_passes(p, &w))
		return;
	if (w.type == MSG_OPEN)
		w.body.open.voters = (struct blob){ (const u8 *)w.extra, 4 * w.n };
	if (w.type == MSG_SUBMIT) {
		on_submit(p, w.body.heartbeat.n, w.body.heartbeat.commit);
		return;
	}
	if (w.type == MSG_STATE) {
		for (u32 i = 0; i < w.n; i++)
			urgent[i] = (struct blob){ (const u8 *)&w.extra[i], 4 };
		w.body.state.urgent = (struct blobs){ urgent, w.n };
	}
	order_message(p->o, sim_now(p->c->s), from, w.nid, w.role, w.type, &w.body, &acts);
	run(p, &acts);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	struct proc *p = ctx;
	struct order_actions acts;

	if (p->hung)
		return;
	p->ring = v->ring;
	p->fold = view_fold(v);
	trace(p, "VIEW ring %llu, %u members%s", (unsigned long long)v->ring.seq, v->n, v->quorate ? "" : ", not quorate");
	send(p, MSG_HELLO, NULL, 0);
	send_submit(p);
	order_view(p->o, sim_now(p->c->s), v, &acts);
	run(p, &acts);
}

static const struct gcs_events events = { .deliver = on_deliver, .view = on_view };
