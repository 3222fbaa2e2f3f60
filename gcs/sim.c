/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Simulated group communication: see sim.h. Every ring numbers what it orders; every node has a queue of
 * what was ordered and it has not delivered yet. A ring change filters these queues, and that is all the
 * magic there is.
 *
 * Must never: deliver to two nodes of one ring in different orders, or depend on anything but the seed.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/sim.h"

enum { NODES = LIM_NODES, PROCS = 4, OLD = 32, MSG_MAX = 1 << 20 };

struct msg {
	u32 ref;
	struct gcs_member from;
	u32 node;
	size_t n;
	u8 p[];
};

struct item {
	u64 ring, pos;
	struct msg *msg;       /* or */
	struct gcs_view *view; /* shared, counted by view_ref */
	u32 *view_ref;
};

struct fifo {
	struct item *v;
	u32 head, n, cap;
};

struct ring {
	u64 seq;
	u32 rep;
	u64 next_pos;
	u64 freeze_at;    /* passes nothing from then on; UINT64_MAX: works */
	bool broken;      /* lost a member or a link: cannot go on as it is */
	bool view_waits;  /* processes changed while frozen */
	u32 ref;
};

struct proc {
	struct gcs_backend b;
	struct sim *s;
	struct gcs_events ev;
	void *ctx;
	u32 node;
	bool alive, in;
};

struct node {
	bool up, paused, deliver_armed, order_armed;
	struct ring *ring;
	struct fifo in, out;
	struct proc *proc[PROCS];
	u32 lag;
	u64 hold;                /* misses what the broken ring ordered from here on, until the ring changes */
	u64 link[NODES / 64]; /* whom we reach */
};

struct event {
	u64 at, seq;
	sim_fn *fn;
	void *ctx;
	u64 arg;
};

struct sim {
	struct sim_config cfg;
	u64 now, prng[2], events, event_seq, ring_seq;
	u32 next_pid, expected;
	struct event *heap;
	u32 heap_n, heap_cap;
	struct node node[NODES];
	struct msg *old[OLD];
	u32 old_n;
	bool reform_armed;
};

/* --- PRNG, clock, queue ----------------------------------------------------------------------------- */

static u64 splitmix(u64 *x)
{
	u64 z = (*x += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

u64 sim_random(struct sim *s)
{
	u64 a = s->prng[0], b = s->prng[1], r = a + b;

	s->prng[0] = b;
	a ^= a << 23;
	s->prng[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
	return r;
}

u64 sim_below(struct sim *s, u64 n)
{
	return n ? sim_random(s) % n : 0;
}

bool sim_chance(struct sim *s, u32 percent)
{
	return sim_below(s, 100) < percent;
}

u64 sim_now(const struct sim *s)
{
	return s->now;
}

u64 sim_events(const struct sim *s)
{
	return s->events;
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void sim_at(struct sim *s, u64 after_ns, sim_fn *fn, void *ctx, u64 arg)
{
	struct event e = { s->now + after_ns, s->event_seq++, fn, ctx, arg };
	u32 i;

	if (s->heap_n == s->heap_cap) {
		s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 256;
		s->heap = realloc(s->heap, s->heap_cap * sizeof(*s->heap));
		assert(s->heap);
	}
	for (i = s->heap_n++; i && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = e;
}

bool sim_step(struct sim *s)
{
	struct event e, last;
	u32 i = 0;

	if (!s->heap_n)
		return false;
	e = s->heap[0];
	last = s->heap[--s->heap_n];
	for (;;) {
		u32 c = 2 * i + 1;

		if (c >= s->heap_n)
			break;
		if (c + 1 < s->heap_n && before(&s->heap[c + 1], &s->heap[c]))
			c++;
		if (!before(&s->heap[c], &last))
			break;
		s->heap[i] = s->heap[c];
		i = c;
	}
	s->heap[i] = last;
	s->now = e.at;
	s->events++;
	e.fn(e.ctx, e.arg);
	return true;
}

/* --- queues ------------------------------------------------------------------------------------------ */

static void msg_unref(struct msg *m)
{
	if (m && !--m->ref)
		free(m);
}

static void item_free(struct item *it)
{
	msg_unref(it->msg);
	if (it->view && !--*it->view_ref) {
		free(it->view);
		free(it->view_ref);
	}
}

static void fifo_push(struct fifo *f, const struct item *it)
{
	if (f->n == f->cap) {
		u32 cap = f->cap ? 2 * f->cap : 16;
		struct item *v = malloc(cap * sizeof(*v));

		assert(v);
		for (u32 i = 0; i < f->n; i++)
			v[i] = f->v[(f->head + i) & (f->cap - 1)];
		free(f->v);
		f->v = v;
		f->head = 0;
		f->cap = cap;
	}
	f->v[(f->head + f->n++) & (f->cap - 1)] = *it;
	if (it->msg)
		it->msg->ref++;
	if (it->view)
		++*it->view_ref;
}

static struct item fifo_pop(struct fifo *f)
{
	struct item it = f->v[f->head];

	f->head = (f->head + 1) & (f->cap - 1);
	f->n--;
	return it;
}

static void fifo_clear(struct fifo *f)
{
	while (f->n) {
		struct item it = fifo_pop(f);

		item_free(&it);
	}
}

/* --- ordering and delivering -------------------------------------------------------------------------- */

static u64 hop(struct sim *s, u32 factor)
{
	return (s->cfg.hop_ns / 4 + sim_below(s, s->cfg.hop_ns)) * factor;
}

static void deliver_arm(struct sim *s, u32 n);

static void deliver_item(struct node *n, const struct item *it)
{
	for (u32 i = 0; i < PROCS; i++) {
		struct proc *p = n->proc[i];

		if (!p || !p->alive)
			continue;
		if (it->view) {
			for (u32 k = 0; k < it->view->n; k++)
				p->in |= it->view->members[k].pid == p->b.self.pid;
			if (p->in)
				p->ev.view(p->ctx, it->view);
		} else if (p->in)
			p->ev.deliver(p->ctx, it->msg->from, it->msg->p, it->msg->n);
	}
}

static bool held(const struct node *n)
{
	const struct item *it = &n->in.v[n->in.head];

	return n->ring && it->ring == n->ring->seq && it->pos >= n->hold;
}

static void on_deliver(void *ctx, u64 arg)
{
	struct sim *s = ctx;
	struct node *n = &s->node[arg];
	struct item it;

	n->deliver_armed = false;
	if (!n->up || n->paused || !n->in.n || held(n))
		return;
	it = fifo_pop(&n->in);
	deliver_item(n, &it);
	item_free(&it);
	deliver_arm(s, (u32)arg);
}

static void deliver_arm(struct sim *s, u32 at)
{
	struct node *n = &s->node[at];

	if (n->deliver_armed || !n->up || n->paused || !n->in.n || held(n))
		return;
	n->deliver_armed = true;
	sim_at(s, hop(s, n->lag), on_deliver, s, at);
}

/* The ring orders it: the same place in every member's queue. */
static void ring_push(struct sim *s, struct ring *r, struct item *it)
{
	it->ring = r->seq;
	it->pos = r->next_pos++;
	for (u32 i = 0; i < s->cfg.nodes; i++)
		if (s->node[i].up && s->node[i].ring == r) {
			fifo_push(&s->node[i].in, it);
			deliver_arm(s, i);
		}
}

static bool ring_works(const struct sim *s, const struct ring *r)
{
	return r && s->now < r->freeze_at;
}

static void order_arm(struct sim *s, u32 at);

static void on_order(void *ctx, u64 arg)
{
	struct sim *s = ctx;
	struct node *n = &s->node[arg];

	n->order_armed = false;
	if (!n->up || n->paused || !ring_works(s, n->ring))
		return;
	for (u32 k = 1 + (u32)sim_below(s, 4); k && n->out.n; k--) {
		struct item it = fifo_pop(&n->out);

		if (sim_chance(s, 5)) { /* remembered: may turn up again one day */
			u32 slot = s->old_n++ % OLD;

			msg_unref(s->old[slot]);
			s->old[slot] = it.msg;
			it.msg->ref++;
		}
		ring_push(s, n->ring, &it);
		item_free(&it);
	}
	order_arm(s, (u32)arg);
}

static void order_arm(struct sim *s, u32 at)
{
	struct node *n = &s->node[at];

	if (n->order_armed || !n->up || n->paused || !n->out.n || !ring_works(s, n->ring))
		return;
	n->order_armed = true;
	sim_at(s, hop(s, 1), on_order, s, at);
}

/* --- views -------------------------------------------------------------------------------------------- */

static struct item view_item(struct sim *s, const struct ring *r, const bool *among)
{
	struct gcs_view *v = calloc(1, sizeof(*v));
	u32 *ref = calloc(1, sizeof(*ref)), nodes = 0;

	assert(v && ref);
	*ref = 1;
	v->ring.nodeid = r->rep;
	v->ring.seq = r->seq;
	v->token_ns = s->cfg.token_ns;
	v->consensus_ns = s->cfg.consensus_ns;
	v->expected = s->expected;
	for (u32 i = 0; i < s->cfg.nodes; i++) {
		if (s->node[i].ring == r && s->node[i].up)
			nodes++;
		for (u32 k = 0; among[i] && k < PROCS; k++)
			if (s->node[i].proc[k] && s->node[i].proc[k]->alive && v->n < LIM_NODES)
				v->members[v->n++] = s->node[i].proc[k]->b.self;
	}
	v->total = nodes;
	v->quorate = nodes > s->expected / 2 || sim_chance(s, s->cfg.forge_percent);
	return (struct item){ .ring = r->seq, .view = v, .view_ref = ref };
}

static void ring_nodes(struct sim *s, const struct ring *r, bool *ret)
{
	for (u32 i = 0; i < s->cfg.nodes; i++)
		ret[i] = s->node[i].up && s->node[i].ring == r;
}

/* A process came or went: a view inside the ring, at one place of its order. */
static void ring_regroup(struct sim *s, struct ring *r)
{
	bool among[NODES];
	struct item it;

	if (!r || r->broken)
		return; /* the next ring tells */
	if (!ring_works(s, r)) {
		r->view_waits = true;
		return;
	}
	ring_nodes(s, r, among);
	it = view_item(s, r, among);
	ring_push(s, r, &it);
	item_free(&it);
}

/* --- ring changes -------------------------------------------------------------------------------------- */

static bool reaches(const struct sim *s, u32 a, u32 b)
{
	return a == b || (s->node[a].link[b / 64] >> b % 64 & 1);
}

static bool both_ways(const struct sim *s, u32 a, u32 b)
{
	return reaches(s, a, b) && reaches(s, b, a);
}

static void ring_unref(struct ring *r)
{
	if (r && !--r->ref)
		free(r);
}

/* Those who leave a ring together have delivered the same of it: all up to p, and beyond p, up to q, only
 * what they sent themselves. */
static void cut(struct sim *s, struct ring *r, const bool *going)
{
	u64 hi = 0, p, q;

	for (u32 i = 0; i < s->cfg.nodes; i++) {
		u64 at = r->next_pos;

		if (!going[i] || s->node[i].ring != r)
			continue;
		for (u32 k = 0; k < s->node[i].in.n; k++) {
			const struct item *it = &s->node[i].in.v[(s->node[i].in.head + k) & (s->node[i].in.cap - 1)];

			if (it->ring == r->seq) {
				at = it->pos;
				break;
			}
		}
		hi = MAX(hi, at);
	}
	p = sim_chance(s, 50) ? r->next_pos : hi + sim_below(s, r->next_pos - hi + 1);
	q = p + sim_below(s, r->next_pos - p + 1);
	for (u32 i = 0; i < s->cfg.nodes; i++) {
		struct fifo *f = &s->node[i].in;

		if (!going[i] || s->node[i].ring != r)
			continue;
		for (u32 k = f->n; k; k--) {
			struct item it = fifo_pop(f);
			bool keep = it.ring != r->seq || it.pos < p ||
				    (it.msg && it.pos < q && going[it.msg->node] && s->node[it.msg->node].ring == r);

			if (keep)
				fifo_push(f, &it);
			item_free(&it);
		}
	}
}

static void views_of_change(struct sim *s, struct ring *r, struct ring *const *old, const bool *going)
{
	struct item full;

	for (u32 i = 0; i < s->cfg.nodes; i++) {
		bool side[NODES] = { false };
		bool first = true;
		struct item it;

		for (u32 k = 0; k < i; k++)
			first &= !(going[k] && old[k] == old[i]);
		if (!going[i] || !old[i] || !first || !sim_chance(s, s->cfg.interim_percent))
			continue;
		for (u32 k = 0; k < s->cfg.nodes; k++)
			side[k] = going[k] && old[k] == old[i];
		it = view_item(s, r, side);
		it.pos = r->next_pos; /* before anything of the ring */
		for (u32 k = 0; k < s->cfg.nodes; k++)
			if (side[k])
				fifo_push(&s->node[k].in, &it);
		item_free(&it);
	}
	full = view_item(s, r, going);
	ring_push(s, r, &full);
	item_free(&full);
}

static void ring_form(struct sim *s, const bool *going)
{
	struct ring *r = calloc(1, sizeof(*r)), *old[NODES] = { NULL };

	assert(r);
	s->ring_seq += 4;
	r->seq = s->ring_seq;
	r->freeze_at = UINT64_MAX;
	for (u32 i = 0; i < s->cfg.nodes; i++) {
		struct ring *o = s->node[i].ring;
		bool first = true;

		if (!going[i])
			continue;
		if (!r->rep)
			r->rep = i + 1;
		old[i] = o;
		for (u32 k = 0; k < i; k++)
			first &= !(going[k] && old[k] == o);
		if (o && first)
			cut(s, o, going);
	}
	for (u32 i = 0; i < s->cfg.nodes; i++) {
		if (!going[i])
			continue;
		s->node[i].ring = r;
		s->node[i].hold = UINT64_MAX;
		r->ref++;
		if (sim_chance(s, s->cfg.drop_percent))
			fifo_clear(&s->node[i].out);
	}
	views_of_change(s, r, old, going);
	for (u32 i = 0; i < s->cfg.nodes; i++) {
		if (!going[i])
			continue;
		ring_unref(old[i]);
		order_arm(s, i);
		deliver_arm(s, i);
	}
}

static bool ring_stands(struct sim *s, const bool *going, u32 any)
{
	const struct ring *r = s->node[any].ring;

	if (!r || r->broken)
		return false;
	for (u32 i = 0; i < s->cfg.nodes; i++)
		if (going[i] != (s->node[i].up && s->node[i].ring == r))
			return false;
	return true;
}

static void reform_arm(struct sim *s, u64 after);

static void on_reform(void *ctx, u64 arg)
{
	struct sim *s = ctx;
	bool taken[NODES] = { false };
	u32 start = (u32)sim_below(s, s->cfg.nodes);

	(void)arg;
	s->reform_armed = false;
	for (u32 k = 0; k < s->cfg.nodes; k++) {
		u32 a = (start + k) % s->cfg.nodes;
		bool going[NODES] = { false };

		if (taken[a] || !s->node[a].up || s->node[a].paused)
			continue;
		going[a] = taken[a] = true;
		for (u32 j = 1; j < s->cfg.nodes; j++) { /* all must hear all */
			u32 b = (a + j) % s->cfg.nodes;
			bool fits = !taken[b] && s->node[b].up && !s->node[b].paused;

			for (u32 c = 0; fits && c < s->cfg.nodes; c++)
				fits = !going[c] || both_ways(s, b, c);
			if (fits)
				going[b] = taken[b] = true;
		}
		if (!ring_stands(s, going, a))
			ring_form(s, going);
	}
}

static void reform_arm(struct sim *s, u64 after)
{
	if (s->reform_armed)
		return;
	s->reform_armed = true;
	sim_at(s, after, on_reform, s, 0);
}

/* Something in this ring broke: soon it passes nothing, and one detection later there is another. */
static void ring_break(struct sim *s, struct ring *r)
{
	if (r && !r->broken) {
		r->broken = true;
		r->freeze_at = MIN(r->freeze_at, s->now + sim_below(s, 20 * s->cfg.hop_ns));
		for (u32 i = 0; i < s->cfg.nodes; i++) /* some hear no more at once, a cut-off sender hears itself */
			if (s->node[i].ring == r && sim_chance(s, 70))
				s->node[i].hold = r->next_pos + sim_below(s, 4);
	}
	reform_arm(s, s->cfg.token_ns + s->cfg.consensus_ns - sim_below(s, s->cfg.token_ns / 3));
}

/* --- faults ---------------------------------------------------------------------------------------------- */

void sim_node_down(struct sim *s, u32 node)
{
	struct node *n = &s->node[node];

	if (!n->up)
		return;
	n->up = false;
	n->paused = false;
	fifo_clear(&n->in);
	fifo_clear(&n->out);
	ring_break(s, n->ring);
	ring_unref(n->ring);
	n->ring = NULL;
}

void sim_node_up(struct sim *s, u32 node)
{
	s->node[node].up = true;
	reform_arm(s, s->cfg.token_ns / 2 + sim_below(s, s->cfg.token_ns));
}

void sim_link(struct sim *s, u32 from, u32 to, bool up)
{
	u64 bit = 1ull << to % 64, *word = &s->node[from].link[to / 64];

	if (!!(*word & bit) == up)
		return;
	*word ^= bit;
	if (up)
		reform_arm(s, s->cfg.token_ns / 2 + sim_below(s, s->cfg.token_ns));
	else if (s->node[from].ring && s->node[from].ring == s->node[to].ring)
		ring_break(s, s->node[from].ring);
}

void sim_pause(struct sim *s, u32 node, bool on)
{
	struct node *n = &s->node[node];

	if (!n->up || n->paused == on)
		return;
	n->paused = on;
	if (on)
		ring_break(s, n->ring);
	else {
		if (n->ring)
			n->ring->broken = true;
		deliver_arm(s, node);
		reform_arm(s, sim_below(s, s->cfg.token_ns));
	}
}

static void on_sound(void *ctx, u64 arg)
{
	struct sim *s = ctx;
	struct ring *r = s->node[arg].ring;

	if (!r || r->broken)
		return;
	r->freeze_at = UINT64_MAX;
	if (r->view_waits) {
		r->view_waits = false;
		ring_regroup(s, r);
	}
	for (u32 i = 0; i < s->cfg.nodes; i++)
		if (s->node[i].ring == r)
			order_arm(s, i);
}

void sim_silence(struct sim *s, u32 node, u64 for_ns)
{
	struct ring *r = s->node[node].ring;

	if (!r || r->broken)
		return;
	r->freeze_at = s->now;
	sim_at(s, for_ns, on_sound, s, node);
}

void sim_heal(struct sim *s)
{
	for (u32 a = 0; a < s->cfg.nodes; a++) {
		for (u32 b = 0; b < s->cfg.nodes; b++)
			sim_link(s, a, b, true);
		sim_pause(s, a, false);
		s->node[a].lag = 1;
		on_sound(s, a);
	}
	reform_arm(s, s->cfg.token_ns);
}

void sim_replay(struct sim *s)
{
	struct msg *m = s->old[sim_below(s, OLD)];
	struct ring *r = s->node[sim_below(s, s->cfg.nodes)].ring;
	struct item it = { .msg = m };

	if (m && ring_works(s, r))
		ring_push(s, r, &it);
}

bool sim_reaches(const struct sim *s, u32 a, u32 b)
{
	return s->node[a].up && s->node[b].up && both_ways(s, a, b);
}

void sim_expect(struct sim *s, u32 votes)
{
	s->expected = votes;
}

void sim_lag(struct sim *s, u32 node, u32 factor)
{
	s->node[node].lag = MAX(factor, 1);
}

/* --- the port ------------------------------------------------------------------------------------------- */

static int proc_send(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	struct proc *pr = container_of(b, struct proc, b);
	struct node *node = &pr->s->node[pr->node];
	struct item it = { .msg = NULL };

	(void)prio;
	if (n > MSG_MAX)
		return -DSI_ELIMIT;
	if (!pr->alive || !node->up)
		return -DSI_ENOTCONN;
	if (node->out.n >= LIM_QUEUE)
		return -DSI_EAGAIN;
	it.msg = malloc(sizeof(*it.msg) + n);
	assert(it.msg);
	it.msg->ref = 1;
	it.msg->from = b->self;
	it.msg->node = pr->node;
	it.msg->n = n;
	memcpy(it.msg->p, p, n);
	fifo_push(&node->out, &it);
	item_free(&it);
	order_arm(pr->s, pr->node);
	return 0;
}

static void proc_free(struct gcs_backend *b)
{
	struct proc *p = container_of(b, struct proc, b);
	struct sim *s = p->s;
	struct node *n = &s->node[p->node];

	for (u32 i = 0; i < PROCS; i++)
		if (n->proc[i] == p)
			n->proc[i] = NULL;
	if (n->up)
		ring_regroup(s, n->ring);
	free(p);
}

int sim_join(struct sim *s, u32 node, const struct gcs_events *ev, void *ctx, struct gcs_backend **ret)
{
	struct proc *p = calloc(1, sizeof(*p));
	struct node *n = &s->node[node];

	assert(node < s->cfg.nodes);
	if (!p)
		return -DSI_ENOMEM;
	p->b = (struct gcs_backend){ .send = proc_send, .free = proc_free, .self = { node + 1, ++s->next_pid } };
	p->s = s;
	p->ev = *ev;
	p->ctx = ctx;
	p->node = node;
	p->alive = true;
	for (u32 i = 0; i < PROCS; i++)
		if (!n->proc[i]) {
			n->proc[i] = p;
			*ret = &p->b;
			if (n->up)
				ring_regroup(s, n->ring);
			return 0;
		}
	free(p);
	return -DSI_ELIMIT;
}

/* --- life ------------------------------------------------------------------------------------------------ */

struct sim *sim_new(u64 seed, const struct sim_config *cfg)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert(cfg->nodes && cfg->nodes <= NODES);
	if (!s)
		return NULL;
	s->cfg = *cfg;
	s->expected = cfg->nodes;
	s->prng[0] = splitmix(&seed);
	s->prng[1] = splitmix(&seed) | 1;
	for (u32 i = 0; i < cfg->nodes; i++) {
		s->node[i].up = true;
		s->node[i].lag = 1;
		s->node[i].hold = UINT64_MAX;
		memset(s->node[i].link, 0xff, sizeof(s->node[i].link));
	}
	reform_arm(s, cfg->token_ns);
	return s;
}

void sim_free(struct sim *s)
{
	if (!s)
		return;
	for (u32 i = 0; i < s->cfg.nodes; i++) {
		struct node *n = &s->node[i];

		fifo_clear(&n->in);
		fifo_clear(&n->out);
		free(n->in.v);
		free(n->out.v);
		for (u32 k = 0; k < PROCS; k++)
			free(n->proc[k]);
		ring_unref(n->ring);
	}
	for (u32 i = 0; i < OLD; i++)
		msg_unref(s->old[i]);
	free(s->heap);
	free(s);
}
