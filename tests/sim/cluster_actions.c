/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Order's actions, one function each: sending, promising, appending, verdicts at delivery, commit, role. */
static void run(struct proc *p, const struct order_actions *acts);
static void disk_kick(struct proc *p);

struct wire {
	u32 nid;
	enum msg_role role;
	u16 type;
	u32 generation;
	u64 incarnation, seq, fold;
	struct gcs_ring ring;
	union order_body body;
	u32 n;
	u32 extra[64]; /* OPEN's voters, STATE's urgent */
};

static void send(struct proc *p, u16 type, const union order_body *body, u32 leader)
{
	struct wire w;

	memset(&w, 0, offsetof(struct wire, extra));
	w.nid = p->nid;
	w.role = p->role;
	w.type = type;
	w.generation = p->disk.generation;
	w.incarnation = p->disk.incarnation;
	w.seq = p->seq++;
	w.fold = p->fold;
	w.ring = p->ring;
	if (body)
		w.body = *body;
	if (type == MSG_OPENACK)
		promise_sig(p, &p->ring, body->openack.term, p->nid, leader, w.body.openack.promise);
	if (type == MSG_OPEN) {
		w.n = (u32)body->open.voters.n / 4;
		memcpy(w.extra, body->open.voters.p, body->open.voters.n);
	}
	if (type == MSG_STATE)
		for (u32 i = 0; i < body->state.urgent.n; i++)
			memcpy(&w.extra[w.n++], body->state.urgent.v[i].p, 4);
	p->c->messages[type]++;
	if (p->b)
		p->b->send(p->b, GCS_URGENT, &w, offsetof(struct wire, extra) + w.n * sizeof(u32));
}

/* What a server holds of verdicts and depositions not committed it submits again in every view: STATE is the
 * managers'. The shell's business, here as DESIGN has it: through any member. */
static void send_submit(struct proc *p)
{
	union order_body b = { .heartbeat = { .n = p->disk.suspended, .commit = p->disk.deposed } };

	if (p->role == ROLE_SERVER && (p->disk.suspended || p->disk.deposed))
		send(p, MSG_SUBMIT, &b, 0);
}

static void dop_push(struct proc *p, enum dop_kind kind, u64 value, struct sent *e)
{
	if (p->queue_n == p->queue_cap) {
		p->queue_cap = p->queue_cap ? 2 * p->queue_cap : 64;
		p->queue = realloc(p->queue, p->queue_cap * sizeof(*p->queue));
		assert(p->queue);
	}
	p->queue[p->queue_n++] = (struct dop){ kind, value, e };
}

static struct order_disk disk_seen(const struct proc *p, u64 index)
{
	struct sent *s = entries_at(&p->disk.log, index);

	return (struct order_disk){ .promised = p->disk.promised, .tail = p->disk.log.n, .hash = s ? s->e.hash : NULL };
}

static void do_send(struct proc *p, const struct order_action *a)
{
	const union order_body *b = a->u.send.body;
	struct order_disk d;

	if (a->u.send.type == MSG_ACK) {
		struct sent *s = entries_at(&p->log, b->ack.index);

		d = disk_seen(p, b->ack.index);
		trace(p, "ACK term %llu index %llu", (unsigned long long)b->ack.term, (unsigned long long)b->ack.index);
		order_check_ack(check_of(p), &p->watch, &b->ack, s ? s->e.author_nid : 0, &d);
		if (nid_dead(p, p->nid))
			fail(p->c, "a dead voter that knows it acknowledges");
	} else if (a->u.send.type == MSG_OPENACK) {
		d = disk_seen(p, 0);
		trace(p, "OPENACK term %llu leader %u", (unsigned long long)b->openack.term, a->u.send.leader);
		order_check_openack(check_of(p), &p->watch, b->openack.term, a->u.send.leader, &d);
	} else if (a->u.send.type == MSG_STATE)
		trace(p, "STATE promised %llu tail %llu.%llu", (unsigned long long)b->state.promised,
		      (unsigned long long)b->state.tail_term, (unsigned long long)b->state.tail_index);
	else if (a->u.send.type == MSG_OPEN)
		trace(p, "OPEN term %llu leader %u, %zu voters", (unsigned long long)b->open.term, *(const u32 *)b->open.voters.p,
		      b->open.voters.n / 4 - 1);
	if ((a->u.send.type == MSG_STATE || a->u.send.type == MSG_ACK || a->u.send.type == MSG_OPENACK) && p->disk.stale)
		fail(p->c, "a disk that forgot votes");
	send(p, a->u.send.type, b, a->u.send.leader);
}

static void do_promise(struct proc *p, const struct order_action *a)
{
	trace(p, "promise %llu", (unsigned long long)a->u.promise.term);
	order_check_promise(check_of(p), &p->watch, a->u.promise.term);
	dop_push(p, DOP_PROMISE, a->u.promise.term, NULL);
	disk_kick(p);
}

static void do_append(struct proc *p, const struct order_action *a)
{
	struct sent *s = a->u.append.n ? sent_of(a->u.append.p) : NULL;

	trace(p, "append %llu %s term %llu", (unsigned long long)a->u.append.index, s ? entry_type_name(s->e.type) : "(cut)",
	      s ? (unsigned long long)s->e.term : 0);
	order_check_append(check_of(p), &p->watch, a->u.append.index, s ? &s->e : NULL);
	app_cut(p, a->u.append.index);
	p->log.n = MIN(p->log.n, a->u.append.index - 1);
	if (s) {
		entries_put(&p->log, a->u.append.index, s);
		app_add(p, s);
	}
	dop_push(p, DOP_APPEND, a->u.append.index, s);
	disk_kick(p);
}

static void recheck(struct proc *p);

static void suspend(struct proc *p, u32 nid)
{
	if (!nid || nid >= 64 || (p->disk.suspended >> nid & 1))
		return;
	trace(p, "suspends %u", nid);
	p->disk.suspended |= 1ull << nid;
}

static void do_delivered(struct proc *p, const struct order_action *a)
{
	struct sent *s = sent_of(a->u.delivered.p);
	struct body b;

	if (!body_read(&s->e, &b))
		return;
	if (s->e.type == ENTRY_VERDICT)
		suspend(p, b.target);
	if (s->e.type == ENTRY_DEPOSE && b.target < 64)
		p->disk.deposed |= 1ull << b.target;
}

static void urgent_take(struct proc *p, u32 what)
{
	u32 nid = what & ~URGENT_DEPOSE;

	if (!(what & URGENT_DEPOSE))
		suspend(p, nid);
	else if (nid < 64 && !(p->disk.deposed >> nid & 1)) {
		trace(p, "deposes %u", nid);
		p->disk.deposed |= 1ull << nid;
	}
}

static void do_urgent(struct proc *p, const struct order_action *a)
{
	u32 nid;

	memcpy(&nid, a->u.delivered.p, sizeof(nid));
	urgent_take(p, nid);
}

static void hint_write(void *ctx, u64 arg)
{
	struct proc *p = ctx;

	if (!p->alive || p->life != (u32)arg)
		return;
	p->hint_armed = false;
	p->hint_due = true;
	disk_kick(p);
}

static bool node_has(struct cluster *c, u32 nid, const struct entry *e)
{
	struct proc *p = c->proc[0][nid];
	struct sent *s = entries_at(&p->disk.log, e->index), *l = entries_at(&p->disk.lost, e->index);

	return (s && !memcmp(s->e.hash, e->hash, CRYPTO_HASH)) || (l && !memcmp(l->e.hash, e->hash, CRYPTO_HASH));
}

static bool on_majority(void *ctx, const struct entry *e)
{
	struct proc *p = ctx;
	const struct order_voters *set = app_set(p, e->index + 1, 0);
	u32 n = 0;

	if (e->index == 1)
		return true;
	for (u32 i = 0; set && i < set->n; i++)
		n += node_has(p->c, set->nid[i], e);
	return set && n >= set->n / 2 + 1;
}

static void do_commit(struct proc *p, const struct order_action *a)
{
	u64 from = p->watch.commit;

	trace(p, "commit %llu", (unsigned long long)a->u.commit.index);
	for (u64 i = MIN(from, a->u.commit.index) + 1; i <= a->u.commit.index; i++) {
		struct sent *s = entries_at(&p->log, i);

		if (!s)
			fail(p->c, "commits what it does not have");
		p->last_wall_ms = s->e.wall_ms;
		order_check_commit(check_of(p), &p->watch, entries_at(&p->log, a->u.commit.index)->e.term, i, &s->e, on_majority, p);
	}
	dop_push(p, DOP_HINT, a->u.commit.index, NULL);
	if (!p->hint_armed) { /* log_sqlite.c writes it with the next append, or after a second */
		p->hint_armed = true;
		sim_at(p->c->s, 1000 * MS, hint_write, p, p->life);
	}
}

static void do_role(struct proc *p, const struct order_action *a)
{
	trace(p, "role %s term %llu (active is %u)", a->u.role.active ? "active" : "standby", (unsigned long long)a->u.role.term,
	      a->u.role.active_nid);
	p->active = a->u.role.active;
	p->active_term = a->u.role.term;
}
