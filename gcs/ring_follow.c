/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log to ring. Core.
 *
 * Must never: take the node itself off its own list, or anybody the log calls a member; plan a new key that a
 * ring node which stays could not have.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/ring_follow.h"

/* --- what the log wants ------------------------------------------------------------------------------- */

static bool lives(const struct state_node *n)
{
	return n->status == NODE_BOUND || n->status == NODE_SUSPENDED;
}

static bool same_address(const struct state_node *a, const struct state_node *b)
{
	return a->n_addr && b->n_addr && a->addr[0].len == b->addr[0].len &&
	       !memcmp(a->addr[0].bytes, b->addr[0].bytes, a->addr[0].len);
}

static bool lives_again(const struct state *s, const struct state_node *dead)
{
	for (u32 i = 0; i < s->n_node; i++)
		if (lives(&s->node[i]) && (!strcmp(s->node[i].name, dead->name) || same_address(&s->node[i], dead)))
			return true;
	return false;
}

static bool kept(const struct state_node *n)
{
	return n->verdict_flags & VERDICT_KEEP_ON_RING;
}

static void member_fill(struct ring_member *m, const struct state_node *n, enum ring_wish wish)
{
	memset(m, 0, sizeof(*m));
	m->nid = n->nid;
	m->wish = wish;
	memcpy(m->name, n->name, sizeof(m->name));
	for (u32 i = 0; i < n->n_addr && m->n_addr < LIM_ADDRS; i++)
		if (inet_ntop(n->addr[i].len == 16 ? AF_INET6 : AF_INET, n->addr[i].bytes, m->addr[m->n_addr],
			      RING_ADDR))
			m->n_addr++;
}

void ring_want(const struct state *s, u32 self, struct ring_want *ret)
{
	const struct state_node *own = state_node(s, self);
	u64 since = own ? own->enrolled_at : s->applied;

	memset(ret, 0, sizeof(*ret));
	for (u32 i = 0; i < s->n_node; i++)
		if (s->node[i].status == NODE_REVOKED && !kept(&s->node[i]))
			ret->key_index = MAX(ret->key_index, s->node[i].verdict_at);
	ret->index = ret->key_index;
	for (u32 i = 0; i < s->n_node && ret->n < RING_MEMBERS; i++) {
		const struct state_node *n = &s->node[i];

		if (!lives(n))
			continue;
		member_fill(&ret->member[ret->n++], n, n->enrolled_at > since ? RING_ON : RING_KNOWN);
		ret->index = MAX(ret->index, n->enrolled_at);
	}
	for (u32 i = s->n_node; i-- && ret->n < RING_MEMBERS;) { /* newest first, should they be too many */
		const struct state_node *n = &s->node[i];

		if (n->status == NODE_REVOKED && !lives_again(s, n))
			member_fill(&ret->member[ret->n++], n,
				    kept(n) && n->verdict_at > ret->key_index ? RING_KNOWN : RING_OFF);
	}
}

/* --- the node list ------------------------------------------------------------------------------------ */

static bool address_is(const char *text, const char *other)
{
	u8 a[16], b[16];
	int family = strchr(other, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, a) == 1 && inet_pton(family, other, b) == 1)
		return !memcmp(a, b, family == AF_INET6 ? 16 : 4);
	return !strcmp(text, other);
}

static bool numeric(const char *text)
{
	u8 a[16];

	return inet_pton(AF_INET, text, a) == 1 || inet_pton(AF_INET6, text, a) == 1;
}

static bool addresses_meet(const struct ring_node *n, const struct ring_member *m)
{
	for (u32 i = 0; i < n->n_addr; i++)
		for (u32 k = 0; k < m->n_addr; k++)
			if (address_is(n->addr[i], m->addr[k]))
				return true;
	return false;
}

/* Who of the log this ring node is; who lives goes before who is dead, names before addresses. */
static const struct ring_member *member_of(const struct ring_member *m, u32 n, const struct ring_node *node)
{
	for (int pass = 0; pass < 4; pass++)
		for (u32 i = 0; i < n; i++) {
			bool off = m[i].wish == RING_OFF;

			if (off == (pass >= 2) && (pass & 1 ? addresses_meet(node, &m[i]) :
							      node->name[0] && !strcmp(node->name, m[i].name)))
				return &m[i];
		}
	return NULL;
}

struct fitting {
	const struct ring_member *m;
	u32 n;
	struct ring_conf conf;
	const struct ring_member *who[LIM_NODES]; /* of each ring node; NULL a stranger */
	bool gone[LIM_NODES];
	struct ring_node add[LIM_NODES];
	u32 n_gone, n_add;
};

static const char *shown(const struct ring_node *n)
{
	return n->name[0] ? n->name : n->addr[0];
}

static bool listed(const struct fitting *f, const struct ring_member *m)
{
	for (u32 i = 0; i < f->conf.n_node; i++)
		if (f->who[i] == m)
			return true;
	return false;
}

static const struct ring_node *stranger(const struct fitting *f, bool by_host_name)
{
	for (u32 i = 0; i < f->conf.n_node; i++)
		if (!f->who[i] && (!by_host_name || !numeric(f->conf.node[i].addr[0])))
			return &f->conf.node[i];
	return NULL;
}

/* Known by neither name nor address may be somebody known by a host name only: then nobody guesses. */
static int plan_add(struct fitting *f, const struct ring_member *m, const char *name, struct err *e)
{
	const struct ring_node *other = stranger(f, true);
	u32 links = f->conf.n_node ? f->conf.node[0].n_addr : 1;
	struct ring_node *a = &f->add[f->n_add];

	if (other)
		return err_set(e, -DSI_ENOTSAFE, "%s: is %s the member %s? give it \"name: %s\", or add %s by hand",
			       name, shown(other), m->name, m->name, m->name);
	if (m->n_addr < links)
		return err_set(e, -DSI_ENOTSAFE,
			       "%s: the ring has %u links, %s enrolled with %u addresses: add it by hand, on every "
			       "node, then corosync-cfgtool -R",
			       name, links, m->name, m->n_addr);
	if (f->n_add == LIM_NODES)
		return err_set(e, -DSI_ELIMIT, "%s: too many nodes", name);
	memset(a, 0, sizeof(*a));
	memcpy(a->name, m->name, sizeof(a->name));
	memcpy(a->addr, m->addr, MIN(links, (u32)LIM_ADDRS) * sizeof(a->addr[0]));
	a->n_addr = links;
	f->n_add++;
	return 0;
}

static int plan(struct fitting *f, const char *self, bool new_key, const char *name, struct err *e)
{
	bool self_stays = false;
	int rc = 0;

	for (u32 i = 0; i < f->conf.n_node; i++) {
		const struct ring_member *m = f->who[i] = member_of(f->m, f->n, &f->conf.node[i]);

		f->gone[i] = m && m->wish == RING_OFF;
		f->n_gone += f->gone[i];
		self_stays |= m && !f->gone[i] && !strcmp(m->name, self);
	}
	if (!self_stays)
		return err_set(e, -DSI_ENOTSAFE, "%s: this node, %s, would not be in the node list: left alone", name,
			       self);
	if (new_key && stranger(f, false))
		return err_set(e, -DSI_ENOTSAFE,
			       "%s: %s is on the ring and is no member of the cluster, so it cannot have the new key: "
			       "enrol it, or take it off the node list on every node",
			       name, shown(stranger(f, false)));
	for (u32 i = 0; i < f->n && !rc; i++)
		if (f->m[i].wish == RING_ON && !listed(f, &f->m[i]))
			rc = plan_add(f, &f->m[i], name, e);
	return rc;
}

int ring_follow(const struct ring_member *m, u32 n, const char *self, u64 version, bool new_key, const char *name,
		const char *text, size_t text_n, struct ring_fit *ret, struct wbuf *w, struct err *e)
{
	struct fitting *f = calloc(1, sizeof(*f));
	int rc = f ? ring_plan_read(&f->conf, name, text, text_n, e)
		   : err_set(e, -DSI_ENOMEM, "%s: out of memory", name);

	memset(ret, 0, sizeof(*ret));
	if (!rc)
		rc = ring_plan_crypto(&f->conf, name, e);
	if (!rc) {
		f->m = m;
		f->n = n;
		rc = plan(f, self, new_key, name, e);
	}
	if (!rc) {
		ret->before = f->conf.n_node;
		ret->after = f->conf.n_node - f->n_gone + f->n_add;
		ret->change = f->n_gone || f->n_add;
		for (u32 i = 0; i < n; i++)
			ret->on[i] = m[i].wish == RING_ON || (m[i].wish == RING_KNOWN && listed(f, &m[i]));
	}
	if (!rc && ret->change)
		rc = ring_plan_change(name, text, text_n, f->gone, f->add, f->n_add,
				      version > f->conf.config_version ? version : 0, w, e);
	free(f);
	return rc;
}

/* --- whose turn --------------------------------------------------------------------------------------- */

static bool ready(const struct ring_word *w, u64 index)
{
	return w->index >= index && (w->stage == RING_WRITTEN || w->stage == RING_IN_FORCE);
}

enum ring_turn ring_turn(const struct ring_word *words, u32 n, u32 self, u64 index, u32 need, u64 waited_ns)
{
	u32 n_ready = 0, before_us = 0;

	for (u32 i = 0; i < n; i++) {
		n_ready += ready(&words[i], index);
		before_us += ready(&words[i], index) && words[i].nid < self;
	}
	if (2 * n_ready <= need)
		return RING_TOO_FEW;
	return waited_ns >= (before_us + (n_ready < n)) * RING_LATE_NS ? RING_RELOAD : RING_WAIT;
}

/* --- what survives ------------------------------------------------------------------------------------------ */

void ring_mark_encode(const struct ring_mark *m, u8 ret[RING_MARK_SIZE])
{
	struct wbuf w;

	wbuf_fixed(&w, ret, RING_MARK_SIZE);
	wbuf_u64(&w, m->key_index);
	wbuf_u64(&w, m->index);
	wbuf_u32(&w, m->before);
	wbuf_u8(&w, (u8)m->stage);
	wbuf_u32(&w, m->generation);
	assert(wbuf_ok(&w) && w.len == RING_MARK_SIZE);
}

int ring_mark_decode(struct ring_mark *ret, const u8 *p, size_t n)
{
	struct ring_mark m;
	struct rbuf r;

	if (n != RING_MARK_SIZE && n != RING_MARK_SIZE_1)
		return -DSI_EPARSE;
	rbuf_init(&r, p, n);
	m.key_index = rbuf_u64(&r);
	m.index = rbuf_u64(&r);
	m.before = rbuf_u32(&r);
	m.stage = rbuf_u8(&r) == RING_WRITTEN ? RING_WRITTEN : RING_IN_FORCE;
	m.generation = n == RING_MARK_SIZE ? rbuf_u32(&r) : UINT32_MAX;
	*ret = m;
	return 0;
}

bool ring_mark_reformed(struct ring_mark *m, u64 index, u32 generation, bool live)
{
	if (!live && generation <= m->generation)
		return false;
	m->key_index = MIN(m->key_index, index - 1);
	m->index = MIN(m->index, index - 1);
	m->generation = generation;
	return true;
}

void ring_mark_joined(struct ring_mark *m, u32 generation)
{
	if (m->generation < generation)
		m->key_index = m->index = 0;
	m->generation = generation;
}
