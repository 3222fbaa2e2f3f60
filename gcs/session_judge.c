/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session's judgement of one message: the table `steps`, in its order, and nowhere else.
 *
 * Must never: let a byte of a body be parsed before its sender, signature, view and place are known good.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/session_impl.h"

static struct sender *sender_get(struct session *s, u32 nid, u32 role)
{
	struct sender **at = &s->senders[nid][session_role_slot(role)];

	if (!*at)
		*at = calloc(1, sizeof(**at));
	return *at;
}

/* A new start: nothing of the old one holds. */
static void sender_restart(struct sender *x, u64 incarnation)
{
	for (int i = 0; i < SEAL_KEYS; i++)
		subkey_fini(&x->sub[i]);
	x->incarnation = incarnation;
	x->known_random = false;
	x->opening = 0;
	x->term = 0;
}

static bool ring_same(const struct gcs_ring *a, const struct gcs_ring *b)
{
	return a->nodeid == b->nodeid && a->seq == b->seq;
}

static bool member_same(const struct gcs_member *a, const struct gcs_member *b)
{
	return a->nodeid == b->nodeid && a->pid == b->pid;
}

static bool view_has(const struct gcs_view *v, const struct gcs_member *m)
{
	for (u32 i = 0; i < v->n; i++)
		if (member_same(&v->members[i], m))
			return true;
	return false;
}

static int judge_shape(struct session *s, struct incoming *m)
{
	(void)s;
	if (m->n > LIM_RING_MSG)
		return REFUSED_TOOBIG;
	switch (envelope_parse(&m->v, m->raw, m->n)) {
	case 0:
		return ACCEPTED;
	case -DSI_EPARSE:
		return REFUSED_MAGIC;
	case -DSI_ELIMIT:
		return REFUSED_TOOBIG;
	default:
		return REFUSED_SHORT;
	}
}

static int judge_version(struct session *s, struct incoming *m)
{
	(void)s;
	return m->v.version == ENVELOPE_VERSION ? ACCEPTED : REFUSED_VERSION;
}

static int judge_cluster(struct session *s, struct incoming *m)
{
	return memcmp(m->v.cluster, s->cfg.cluster, sizeof(s->cfg.cluster)) == 0 ? ACCEPTED : REFUSED_CLUSTER;
}

static int judge_generation(struct session *s, struct incoming *m)
{
	if (m->v.generation > s->cfg.generation && s->ops->ahead)
		s->ops->ahead(s->ctx, m->v.generation);
	return m->v.generation == s->cfg.generation ? ACCEPTED : REFUSED_GENERATION;
}

static int judge_binding(struct session *s, struct incoming *m)
{
	bool dead = false, known;

	if (m->v.nid == 0 || m->v.nid > LIM_NIDS || session_role_slot(m->v.role) < 0)
		return REFUSED_UNKNOWN;
	known = s->ops->binding(s->ctx, m->v.nid, m->v.role, m->pub, &dead);
	if (dead)
		return REFUSED_DEAD;
	return known ? ACCEPTED : REFUSED_UNKNOWN;
}

/* A NID lives on one corosync node, a {NID, role} in one process of it, for the length of a view. The
 * converse is not asked: who forges a nodeid would only shut out the node that really has it. */
static int judge_nodeid(struct session *s, struct incoming *m)
{
	if (!s->in_view || !view_has(&s->view, &m->from))
		return REFUSED_NODEID;
	for (int r = 0; r < ROLES; r++) {
		const struct sender *x = s->senders[m->v.nid][r];

		if (!x || !x->opened)
			continue;
		if (x->member.nodeid != m->from.nodeid)
			return REFUSED_NODEID;
		if (r == session_role_slot(m->v.role) && x->member.pid != m->from.pid)
			return REFUSED_NODEID;
	}
	return ACCEPTED;
}

static int judge_signature(struct session *s, struct incoming *m)
{
	if (envelope_verify(m->raw, m->n, m->pub) != 0)
		return REFUSED_SIGNATURE;
	m->sender = sender_get(s, m->v.nid, m->v.role);
	if (!m->sender)
		return REFUSED_UNKNOWN; /* no memory */
	m->own = m->v.nid == s->cfg.nid && m->v.role == s->cfg.role;
	return ACCEPTED;
}

static int judge_incarnation(struct session *s, struct incoming *m)
{
	(void)s;
	if (m->v.incarnation < m->sender->incarnation)
		return REFUSED_INCARNATION;
	if (m->v.incarnation > m->sender->incarnation && m->v.type != MSG_HELLO)
		return REFUSED_HELLO;
	return ACCEPTED;
}

static int judge_view(struct session *s, struct incoming *m)
{
	return ring_same(&m->v.ring, &s->view.ring) && m->v.view == s->view_tag ? ACCEPTED : REFUSED_VIEW;
}

/* A HELLO is only ever the first message of an opening. What it says is taken over in hello_apply(). */
static int judge_opening(struct incoming *m)
{
	struct sender *x = m->sender;

	if (m->v.seq != 0 || envelope_prio(&m->v) != GCS_URGENT || m->v.opening > OPENING_MAX)
		return REFUSED_REPLAY;
	if (m->v.incarnation > x->incarnation)
		sender_restart(x, m->v.incarnation);
	if (m->v.opening <= x->opening)
		return REFUSED_REPLAY;
	x->opened = false;
	x->opening = m->v.opening;
	memset(x->next, 0, sizeof(x->next));
	x->next[GCS_URGENT] = 1;
	return ACCEPTED;
}

static int judge_sequence(struct session *s, struct incoming *m)
{
	struct sender *x = m->sender;
	unsigned prio = envelope_prio(&m->v);

	(void)s;
	if (prio >= PRIOS)
		return REFUSED_REPLAY;
	if (m->v.type == MSG_HELLO)
		return judge_opening(m);
	if (x->opened && m->v.opening < x->opening)
		return REFUSED_REPLAY;
	if (!x->opened || m->v.opening != x->opening)
		return REFUSED_HELLO;
	if (m->v.seq < x->next[prio])
		return REFUSED_REPLAY;
	if (m->v.seq > x->next[prio])
		return REFUSED_GAP;
	x->next[prio]++; /* used up, whatever is wrong with the rest */
	return ACCEPTED;
}

static int judge_term(struct session *s, struct incoming *m)
{
	(void)s;
	if (m->v.term < m->sender->term)
		return REFUSED_TERM;
	m->sender->term = m->v.term;
	return ACCEPTED;
}

static int judge_type(struct session *s, struct incoming *m)
{
	(void)s;
	m->info = msg_info(m->v.type);
	if (!m->info)
		return REFUSED_TYPE;
	if (m->info->flags & MSG_DIRECT || m->info->channel != m->v.channel)
		return REFUSED_CHANNEL;
	return m->info->roles & m->v.role ? ACCEPTED : REFUSED_ROLE;
}

static struct seal_subkey *subkey_slot(struct sender *x, u32 gen)
{
	for (int i = 0; i < SEAL_KEYS; i++)
		if (x->sub[i].gen == gen)
			return &x->sub[i];
	return x->sub[0].gen < x->sub[1].gen ? &x->sub[0] : &x->sub[1];
}

static int judge_seal(struct session *s, struct incoming *m)
{
	bool sealed = m->v.flags & ENVELOPE_SEALED;
	struct seal_sender who = { .nid = m->v.nid, .role = m->v.role, .incarnation = m->v.incarnation };
	struct seal_subkey *k;

	if (sealed != !!(m->info->flags & MSG_SEALED) || m->v.flags & ~(ENVELOPE_SEALED | ENVELOPE_PRIO_MASK))
		return REFUSED_SEAL;
	if (!sealed) {
		m->body = m->v.body;
		m->body_len = m->v.body_len;
		return m->body_len > LIM_BODY ? REFUSED_TOOBIG : ACCEPTED;
	}
	if (!seal_find(&s->keys, m->v.keygen))
		return REFUSED_NOKEY;
	memcpy(who.cluster, s->cfg.cluster, sizeof(who.cluster));
	memcpy(who.random, m->sender->random, sizeof(who.random));
	k = subkey_slot(m->sender, m->v.keygen);
	if (subkey_get(k, &s->keys, m->v.keygen, &who) != 0 || seal_open(k, &m->v, m->raw, s->plain) != 0)
		return REFUSED_SEAL;
	m->body = s->plain;
	m->body_len = m->v.body_len - CRYPTO_TAG;
	return ACCEPTED;
}

static int judge_body(struct session *s, struct incoming *m)
{
	(void)s;
	assert(m->info->schema->size <= sizeof(m->st));
	return body_decode(m->info->schema, m->body, m->body_len, &m->st, &m->arena) == 0 ? ACCEPTED : REFUSED_BODY;
}

static int hello_apply(struct session *s, struct incoming *m)
{
	const struct body_hello *h = &m->st.m_HELLO;
	struct sender *x = m->sender;

	(void)s;
	if (m->v.type != MSG_HELLO)
		return ACCEPTED;
	/* one start has one random: two randoms are two starts that share an incarnation */
	if (x->known_random && !crypto_equal(x->random, h->random, sizeof(x->random)))
		return REFUSED_INCARNATION;
	memcpy(x->random, h->random, sizeof(x->random));
	x->known_random = true;
	x->member = m->from;
	x->opened = true;
	return ACCEPTED;
}

typedef int judge_fn(struct session *s, struct incoming *m);
static judge_fn *const steps[] = {
	judge_shape, judge_version, judge_cluster, judge_generation, judge_binding, judge_nodeid, judge_signature,
	judge_incarnation, judge_view, judge_sequence, judge_term, judge_type, judge_seal, judge_body, hello_apply,
};

int session_judge(struct session *s, struct incoming *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int why = steps[i](s, m);

		if (why != ACCEPTED)
			return why;
	}
	return ACCEPTED;
}
