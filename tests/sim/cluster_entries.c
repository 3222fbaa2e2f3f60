/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries as bytes, the logs that hold them, and the tiny application that they mean: voters, dead, deposed. */
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
