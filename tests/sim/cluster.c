/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole cluster in one process: see cluster.h. */
#include "tests/sim/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/state.h"
#include "lib/err.h"

#define URGENT_DEPOSE 0x80000000u /* else a verdict */
enum { APP_MAX = 96, ROLES = 2, QUEUE_MAX = 4096, NID_MAX = C_NODES + 1, GENERATIONS = 4 };

bool cluster_trace;
void (*cluster_failed)(struct cluster *c, const char *text);

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

/* --- entries ----------------------------------------------------------------------------------------- */

static void entries_put(struct entries *l, u64 index, struct sent *e)
{
	if (index > l->cap) {
		l->cap = MAX(64, 2 * l->cap);
		l->v = realloc(l->v, l->cap * sizeof(*l->v));
		assert(l->v);
	}
	assert(index <= l->n + 1);
	l->n = index;
	l->v[index - 1] = e;
}

static struct sent *entries_at(const struct entries *l, u64 index)
{
	return index && index <= l->n ? l->v[index - 1] : NULL;
}

static void entries_copy(struct entries *to, const struct entries *from)
{
	to->n = 0;
	for (u64 i = 1; i <= from->n; i++)
		entries_put(to, i, from->v[i - 1]);
}

static void sign(const struct entry *e, u8 ret[CRYPTO_SIG])
{
	memcpy(ret, e->hash, CRYPTO_HASH);
	memset(ret + CRYPTO_HASH, (int)(e->author_nid * 2 + role_at(e->author_role)), CRYPTO_HASH);
}

static struct sent *sent_new(struct cluster *c, struct entry *e)
{
	u8 buf[2048], sig[CRYPTO_SIG];
	struct wbuf w;
	struct sent *s;

	wbuf_fixed(&w, buf, sizeof(buf));
	if (entry_encode(e, &w))
		abort();
	sign(e, sig);
	wbuf_bytes(&w, sig, sizeof(sig));
	assert(wbuf_ok(&w));
	s = calloc(1, sizeof(*s) + w.len);
	assert(s);
	memcpy(s->bytes, buf, w.len);
	s->n = w.len;
	if (entry_decode(&s->e, s->bytes, s->n))
		abort();
	if (c->n_all == c->cap_all) {
		c->cap_all = c->cap_all ? 2 * c->cap_all : 256;
		c->all = realloc(c->all, c->cap_all * sizeof(*c->all));
		assert(c->all);
	}
	c->all[c->n_all++] = s;
	return s;
}

static struct sent *sent_of(const u8 *bytes)
{
	return container_of((u8 *)(uintptr_t)bytes, struct sent, bytes[0]);
}

/* Bodies of the application: u8 needs a blob, u32 target, u32 n, voters[n]; TERM: ring and promises. */
struct body {
	bool blob;
	u32 target;
	struct order_voters set;
};

static bool body_read(const struct entry *e, struct body *b)
{
	struct rbuf r;

	memset(b, 0, sizeof(*b));
	if (e->type == ENTRY_TERM)
		return false;
	rbuf_init(&r, e->body, e->body_len);
	b->blob = rbuf_u8(&r);
	b->target = rbuf_u32(&r);
	b->set.n = rbuf_u32(&r);
	for (u32 i = 0; i < b->set.n && i < LIM_VOTERS; i++)
		b->set.nid[i] = rbuf_u32(&r);
	b->set.index = e->index;
	return rbuf_ok(&r);
}

/* --- the application's state at the end of the log ------------------------------------------------------ */

static void app_cut(struct proc *p, u64 from)
{
	while (p->n_app && p->app[p->n_app - 1].index >= from)
		p->n_app--;
}

static struct app *app_push(struct proc *p, u64 index, enum app_kind kind)
{
	assert(p->n_app < APP_MAX);
	p->app[p->n_app] = (struct app){ .index = index, .kind = kind };
	return &p->app[p->n_app++];
}

static void app_add(struct proc *p, const struct sent *s)
{
	struct body b;

	if (!body_read(&s->e, &b))
		return;
	if (s->e.type == ENTRY_VERDICT)
		app_push(p, s->e.index, APP_DEAD)->nid = b.target;
	if (s->e.type == ENTRY_VERDICT || s->e.type == ENTRY_DEPOSE)
		app_push(p, s->e.index, APP_DEPOSED)->nid = b.target;
	if (b.set.n)
		app_push(p, s->e.index, APP_SET)->set = b.set;
}

static const struct order_voters *app_set(const struct proc *p, u64 below, u32 back)
{
	for (u32 i = p->n_app; i; i--)
		if (p->app[i - 1].kind == APP_SET && p->app[i - 1].index < below && !back--)
			return &p->app[i - 1].set;
	return NULL;
}

static bool app_has(const struct proc *p, enum app_kind kind, u32 nid, u64 upto)
{
	for (u32 i = 0; i < p->n_app; i++)
		if (p->app[i].kind == kind && p->app[i].nid == nid && p->app[i].index <= upto)
			return true;
	return false;
}

static bool nid_dead(const struct proc *p, u32 nid)
{
	return (nid < 64 && (p->disk.suspended >> nid & 1)) || app_has(p, APP_DEAD, nid, p->watch.commit);
}

static u32 server_rank(const struct proc *p, u32 nid)
{
	if (nid > p->c->cfg.servers || nid_dead(p, nid) || app_has(p, APP_DEPOSED, nid, p->watch.commit) ||
	    (nid < 64 && (p->disk.deposed >> nid & 1)))
		return 0;
	return nid;
}

/* --- env ------------------------------------------------------------------------------------------------ */

static u32 env_voters(void *ctx, struct order_voters ret[2])
{
	struct proc *p = ctx;
	const struct order_voters *now = app_set(p, UINT64_MAX, 0), *old = app_set(p, UINT64_MAX, 1);

	if (!now)
		return 0;
	ret[0] = old ? *old : *now;
	if (old)
		ret[1] = *now;
	return old ? 2 : 1;
}

static u32 env_server_rank(void *ctx, u32 nid)
{
	return server_rank(ctx, nid);
}

static bool env_nid_dead(void *ctx, u32 nid)
{
	return nid_dead(ctx, nid);
}

static bool env_bodies_present(void *ctx, const struct entry *e)
{
	struct proc *p = ctx;
	struct body b;

	if (!body_read(e, &b) || !b.blob)
		return true;
	for (u32 i = p->c->n_all; i; i--) {
		struct sent *s = p->c->all[i - 1];

		if (!memcmp(s->e.hash, e->hash, CRYPTO_HASH))
			return s->holders[role_at(p->role)][p->nid / 64] >> p->nid % 64 & 1;
	}
	return false;
}

static const u8 *env_read_entry(void *ctx, u64 index, size_t *ret_len)
{
	struct proc *p = ctx;
	struct sent *s = entries_at(&p->log, index);

	if (!s)
		return NULL;
	*ret_len = s->n;
	return s->bytes;
}

static void promise_sig(const struct proc *p, const struct gcs_ring *ring, u64 term, u32 nid, u32 leader, u8 ret[CRYPTO_SIG])
{
	static const u8 cluster[16];

	memset(ret, 0x5a, CRYPTO_SIG);
	promise_encode(cluster, p->disk.generation, ring, term, nid, leader, ret);
}

static bool env_verify_promise(void *ctx, u32 nid, const struct gcs_ring *ring, u64 term, u32 leader, const u8 sig[CRYPTO_SIG])
{
	u8 want[CRYPTO_SIG];

	promise_sig(ctx, ring, term, nid, leader, want);
	return !memcmp(want, sig, CRYPTO_SIG);
}

static u32 env_term_promises(void *ctx, const struct entry *e, u32 ret[LIM_VOTERS])
{
	struct rbuf r;
	u32 n;

	(void)ctx;
	rbuf_init(&r, e->body, e->body_len);
	rbuf_u32(&r);
	rbuf_u64(&r);
	n = rbuf_u32(&r);
	for (u32 i = 0; i < n && i < LIM_VOTERS; i++) {
		ret[i] = rbuf_u32(&r);
		rbuf_bytes(&r, CRYPTO_SIG);
	}
	return rbuf_ok(&r) ? MIN(n, (u32)LIM_VOTERS) : 0;
}

static bool term_verify(struct proc *p, const struct entry *e)
{
	const struct order_voters *set = app_set(p, e->index, 0);
	struct gcs_ring ring;
	u32 votes = 0, n;
	struct rbuf r;

	rbuf_init(&r, e->body, e->body_len);
	ring.nodeid = rbuf_u32(&r);
	ring.seq = rbuf_u64(&r);
	n = rbuf_u32(&r);
	for (u32 i = 0; i < n; i++) {
		u32 nid = rbuf_u32(&r);
		const u8 *sig = rbuf_bytes(&r, CRYPTO_SIG);

		if (!sig || !env_verify_promise(p, nid, &ring, e->term, e->author_nid, sig))
			return false;
		for (u32 k = 0; set && k < set->n; k++)
			votes += set->nid[k] == nid;
	}
	return set && votes >= set->n / 2 + 1;
}

static bool env_verify_entry(void *ctx, const struct entry *e)
{
	struct proc *p = ctx;
	u8 sig[CRYPTO_SIG];

	sign(e, sig);
	if (memcmp(sig, e->sig, CRYPTO_SIG))
		return false;
	return e->type != ENTRY_TERM || term_verify(p, e);
}

static bool env_timely(void *ctx, const struct entry *e)
{
	struct proc *p = ctx;

	return state_timely(e->wall_ms, wall_ms(p), p->last_wall_ms);
}

static bool env_changes_voters(void *ctx, const struct entry *e)
{
	struct body b;

	(void)ctx;
	return body_read(e, &b) && b.set.n;
}

static void env_urgent(void *ctx, struct blobs *ret)
{
	static _Thread_local u32 nid[64];
	static _Thread_local struct blob v[64];
	struct proc *p = ctx;

	ret->v = v;
	ret->n = 0;
	for (u32 i = 1; i < 64; i++)
		for (u32 depose = 0; depose < 2; depose++) {
			u64 set = depose ? p->disk.deposed : p->disk.suspended;

			if (!(set >> i & 1) || app_has(p, depose ? APP_DEPOSED : APP_DEAD, i, p->watch.commit) || ret->n == 64)
				continue;
			nid[ret->n] = i | (depose ? URGENT_DEPOSE : 0);
			v[ret->n] = (struct blob){ (const u8 *)&nid[ret->n], sizeof(u32) };
			ret->n++;
		}
}

/* --- actions --------------------------------------------------------------------------------------------- */

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

/* --- the direct leg -------------------------------------------------------------------------------------- */

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

/* --- TERM ------------------------------------------------------------------------------------------------- */

struct making {
	struct proc *p;
	u32 life, n;
	u64 term;
	struct gcs_ring ring;
	struct order_promise_proof proofs[LIM_VOTERS];
};

static int propose(struct proc *p, u16 type, const void *body, size_t n, u64 *ret)
{
	struct order_actions acts;
	struct entry e = { .type = type, .author_role = ROLE_SERVER, .author_nid = p->nid, .generation = p->disk.generation, .body = body,
			   .body_len = n, .wall_ms = wall_ms(p) };
	struct sent *s;
	struct body b;
	int rc = order_next(p->o, &e.term, &e.index, e.prev);

	if (rc)
		return rc;
	s = sent_new(p->c, &e);
	s->holders[1][p->nid / 64] |= 1ull << p->nid % 64;
	s->holders[0][p->nid / 64] |= 1ull << p->nid % 64;
	if (p->role == ROLE_SERVER && type != ENTRY_TERM && body_read(&s->e, &b) && b.target && type == ENTRY_VERDICT &&
	    b.target < 64)
		p->c->dead |= 1ull << b.target;
	rc = order_propose(p->o, sim_now(p->c->s), s->bytes, s->n, &acts);
	if (!rc)
		run(p, &acts);
	if (!rc && ret)
		*ret = e.index;
	return rc;
}

static bool log_has(void *ctx, u64 index, const u8 hash[CRYPTO_HASH])
{
	struct proc *p = ctx;
	struct sent *s = entries_at(&p->log, index);

	return s && !memcmp(s->e.hash, hash, CRYPTO_HASH);
}

static void make_term(void *ctx, u64 arg)
{
	struct making *m = ctx;
	struct proc *p = m->p;
	u8 buf[2048];
	struct wbuf w;
	u64 index;

	(void)arg;
	if (p->alive && p->life == m->life) {
		wbuf_fixed(&w, buf, sizeof(buf));
		wbuf_u32(&w, m->ring.nodeid);
		wbuf_u64(&w, m->ring.seq);
		wbuf_u32(&w, m->n);
		for (u32 i = 0; i < m->n; i++) {
			wbuf_u32(&w, m->proofs[i].nid);
			wbuf_bytes(&w, m->proofs[i].sig, CRYPTO_SIG);
		}
		if (!propose(p, ENTRY_TERM, buf, w.len, &index))
			order_check_term(check_of(p), &p->watch, &entries_at(&p->log, index)->e, log_has, p);
	}
	free(m);
}

static void do_make_term(struct proc *p, const struct order_action *a)
{
	struct making *m = malloc(sizeof(*m));

	assert(m);
	*m = (struct making){ .p = p, .life = p->life, .n = a->u.make_term.n, .term = a->u.make_term.term, .ring = a->u.make_term.ring };
	memcpy(m->proofs, a->u.make_term.proofs, m->n * sizeof(m->proofs[0]));
	sim_at(p->c->s, MS / 10, make_term, m, 0);
}

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

/* --- disk -------------------------------------------------------------------------------------------------- */

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

/* --- the ordered leg ------------------------------------------------------------------------------------------ */

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

/* --- processes ------------------------------------------------------------------------------------------------- */

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

/* --- generations ------------------------------------------------------------------------------------------------ */

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

/* --- proposals --------------------------------------------------------------------------------------------------- */

static bool set_after(const struct proc *p, u16 type, u32 target, struct order_voters *ret)
{
	const struct order_voters *now = app_set(p, UINT64_MAX, 0);
	bool in = false;

	ret->n = 0;
	for (u32 i = 0; now && i < now->n; i++) {
		in |= now->nid[i] == target;
		if (now->nid[i] != target)
			ret->nid[ret->n++] = now->nid[i];
	}
	if (type == ENTRY_VOTER_ADD) {
		if (in || ret->n == LIM_VOTERS || nid_dead(p, target))
			return false;
		ret->nid[ret->n++] = target;
		return true;
	}
	if (type == ENTRY_VOTER_REMOVE)
		return in;
	if (type == ENTRY_VERDICT && !in)
		ret->n = 0; /* no voter: nothing changes */
	return type == ENTRY_VERDICT;
}

int cluster_propose(struct cluster *c, u32 nid, u16 type, u32 target, bool with_body, u64 *ret)
{
	struct proc *p = cluster_proc(c, nid, ROLE_SERVER);
	struct order_voters set = { 0 };
	u8 buf[256];
	struct wbuf w;

	if (!p || !p->active)
		return -DSI_EROLE;
	if ((type == ENTRY_VOTER_ADD || type == ENTRY_VOTER_REMOVE || type == ENTRY_VERDICT) && !set_after(p, type, target, &set))
		return -DSI_EINVAL;
	if (type == ENTRY_VERDICT && app_has(p, APP_DEAD, target, UINT64_MAX))
		return -DSI_EEXIST;
	wbuf_fixed(&w, buf, sizeof(buf));
	wbuf_u8(&w, with_body);
	wbuf_u32(&w, target);
	wbuf_u32(&w, set.n);
	for (u32 i = 0; i < set.n; i++)
		wbuf_u32(&w, set.nid[i]);
	wbuf_u64(&w, c->random_body++);
	return propose(p, type, buf, w.len, ret);
}

void cluster_urgent(struct cluster *c, u32 nid, u16 type, u32 target)
{
	struct proc *p = cluster_proc(c, nid, ROLE_MANAGER);

	if (type == ENTRY_VERDICT && target < 64)
		c->dead |= 1ull << target;
	urgent_take(p, target | (type == ENTRY_DEPOSE ? URGENT_DEPOSE : 0));
	recheck(p);
}

int cluster_yield(struct cluster *c, u32 nid)
{
	struct proc *p = cluster_proc(c, nid, ROLE_SERVER);
	struct order_actions acts;
	int rc = p && !p->hung ? order_yield(p->o, sim_now(c->s), &acts) : -DSI_EROLE;

	if (!rc) {
		trace(p, "YIELD");
		run(p, &acts);
	}
	return rc;
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
