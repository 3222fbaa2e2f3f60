/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session: judges what the ring delivers and vouches for what we send. Must never let a byte of a body
 * be parsed before its sender, signature, view and place are known good, and never count against a node
 * what it did not sign. The order of judgement is the table `steps`, nowhere else.
 *
 * Every member judges by the stream alone (plus the caller's replicated bindings), so members of one view
 * accept the same messages.
 */
#include "gcs/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/seal.h"
#include "lib/arena.h"
#include "lib/buf.h"

#ifndef DSI_VERSION
#define DSI_VERSION "0"
#endif

enum { PRIOS = 3, ROLES = 2, OPENING_MAX = (1 << 30) - 1 };
enum { ACCEPTED = -1 };

union any_body {
#define MSG(name, n, ch, roles, flags, tag) struct body_##tag m_##name;
	MSG_TABLE(MSG)
#undef MSG
};

/* One {nid, role} that signed something once. Lives as long as the session: incarnations must not be
 * forgotten with the view. */
struct sender {
	u64 incarnation;
	bool opened; /* its HELLO of this view was accepted; random and member are valid */
	bool known_random;
	u32 opening;
	u64 next[PRIOS];
	u64 term;
	u8 random[32];
	struct gcs_member member;
	struct seal_subkey sub[SEAL_KEYS];
	u64 refused[REFUSED_COUNT];
};

struct session {
	struct session_config cfg;
	const struct session_ops *ops;
	void *ctx;
	struct gcs_backend *b;

	struct gcs_view view;
	u16 view_tag;
	bool in_view;
	bool hello_sent; /* in this opening */

	u8 random[32];
	u32 opening;
	u64 seq[PRIOS];
	u64 term, tail;
	struct seal_ring keys;
	struct seal_subkey own_sub;

	struct sender *senders[LIM_NIDS + 1][ROLES];
	u64 refused[REFUSED_COUNT];
	u64 unverified[REFUSED_COUNT];

	struct wbuf body, out;
	u8 plain[LIM_BODY];
};

struct incoming {
	struct gcs_member from;
	const u8 *raw;
	size_t n;
	struct envelope v;
	u8 pub[CRYPTO_PUB];
	struct sender *sender; /* NULL until the signature was good */
	bool own;
	const struct msg_info *info;
	const u8 *body;
	size_t body_len;
	union any_body st;
	struct arena arena;
};

static const char *const refusal_names[REFUSED_COUNT] = {
#define X(name, text) [REFUSED_##name] = #name,
	SESSION_REFUSAL_TABLE(X)
#undef X
};
static const char *const refusal_texts[REFUSED_COUNT] = {
#define X(name, text) [REFUSED_##name] = text,
	SESSION_REFUSAL_TABLE(X)
#undef X
};

const char *session_refusal_name(enum session_refusal why)
{
	return (unsigned)why < REFUSED_COUNT ? refusal_names[why] : "?";
}

const char *session_refusal_text(enum session_refusal why)
{
	return (unsigned)why < REFUSED_COUNT ? refusal_texts[why] : "?";
}

/* --- senders ------------------------------------------------------------------------------------- */

static int role_slot(u32 role)
{
	return role == ROLE_MANAGER ? 0 : role == ROLE_SERVER ? 1 : -1;
}

static struct sender *sender_find(const struct session *s, u32 nid, u32 role)
{
	int slot = role_slot(role);

	return slot < 0 || nid > LIM_NIDS ? NULL : s->senders[nid][slot];
}

static struct sender *sender_get(struct session *s, u32 nid, u32 role)
{
	struct sender **at = &s->senders[nid][role_slot(role)];

	if (!*at)
		*at = calloc(1, sizeof(**at));
	return *at;
}

static void sender_free(struct sender *x)
{
	if (!x)
		return;
	crypto_wipe(x, sizeof(*x));
	free(x);
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

static void senders_close(struct session *s)
{
	for (u32 nid = 0; nid <= LIM_NIDS; nid++)
		for (int r = 0; r < ROLES; r++)
			if (s->senders[nid][r])
				s->senders[nid][r]->opened = false;
}

/* --- the view ------------------------------------------------------------------------------------ */

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

static u16 view_fold(const struct gcs_view *v)
{
	u8 list[LIM_NODES * 8], hash[CRYPTO_HASH];
	struct wbuf w;

	wbuf_fixed(&w, list, sizeof(list));
	for (u32 i = 0; i < v->n; i++) {
		wbuf_u32(&w, v->members[i].nodeid);
		wbuf_u32(&w, v->members[i].pid);
	}
	assert(wbuf_ok(&w));
	if (crypto_sha256(list, w.len, hash) != 0)
		return 0;
	return (u16)(hash[0] | hash[1] << 8);
}

/* --- sending ------------------------------------------------------------------------------------- */

static int own_subkey(struct session *s)
{
	struct seal_sender me = { .nid = s->cfg.nid, .role = s->cfg.role, .incarnation = s->cfg.incarnation };
	u32 gen = seal_newest(&s->keys);

	memcpy(me.cluster, s->cfg.cluster, sizeof(me.cluster));
	memcpy(me.random, s->random, sizeof(me.random));
	return gen ? subkey_get(&s->own_sub, &s->keys, gen, &me) : -DSI_EAGAIN;
}

static void own_envelope(const struct session *s, const struct msg_info *info, enum gcs_prio prio, struct envelope *v)
{
	*v = (struct envelope){
		.version = ENVELOPE_VERSION,
		.channel = info->channel,
		.type = info->type,
		.role = (u8)s->cfg.role,
		.flags = (u8)((u32)prio << ENVELOPE_PRIO_SHIFT | (info->flags & MSG_SEALED ? ENVELOPE_SEALED : 0)),
		.view = s->view_tag,
		.generation = s->cfg.generation,
		.nid = s->cfg.nid,
		.keygen = info->flags & MSG_SEALED ? s->own_sub.gen : 0,
		.opening = s->opening,
		.incarnation = s->cfg.incarnation,
		.term = s->term,
		.seq = s->seq[prio],
		.ring = s->view.ring,
		.body = s->body.data,
		.body_len = s->body.len,
	};
	memcpy(v->cluster, s->cfg.cluster, sizeof(v->cluster));
}

/* The body in s->body, sealed in s->out behind its header. */
static int own_seal(struct session *s, struct envelope *v)
{
	size_t n = v->body_len;
	u8 *to;

	v->body = NULL;
	v->body_len = 0;
	wbuf_reset(&s->out);
	envelope_encode(v, &s->out);
	to = wbuf_reserve(&s->out, n + CRYPTO_TAG);
	if (!to)
		return -DSI_ENOMEM;
	/* the length is part of what the tag covers */
	u32 len = (u32)(n + CRYPTO_TAG);
	for (int i = 0; i < 4; i++)
		s->out.data[ENVELOPE_HEADER - 4 + i] = (u8)(len >> (8 * i));
	return seal_close(&s->own_sub, v, s->out.data, s->body.data, n, to);
}

static int own_sign(struct session *s)
{
	u8 sig[CRYPTO_SIG];
	int rc;

	if (!wbuf_ok(&s->out))
		return -DSI_ENOMEM;
	rc = keys_sign(s->cfg.keys, SIGN_ENVELOPE, s->out.data, s->out.len, sig);
	if (rc != 0)
		return rc;
	wbuf_bytes(&s->out, sig, sizeof(sig));
	return wbuf_ok(&s->out) ? 0 : -DSI_ENOMEM;
}

static int own_send(struct session *s, const struct msg_info *info, enum gcs_prio prio, const void *body)
{
	struct envelope v;
	int rc;

	wbuf_reset(&s->body);
	rc = body_encode(info->schema, body, &s->body);
	if (rc != 0)
		return rc;
	if (info->flags & MSG_SEALED) {
		rc = own_subkey(s);
		if (rc != 0)
			return rc;
	}
	own_envelope(s, info, prio, &v);
	if (info->flags & MSG_SEALED) {
		rc = own_seal(s, &v);
		if (rc != 0)
			return rc;
	} else {
		wbuf_reset(&s->out);
		envelope_encode(&v, &s->out);
	}
	rc = own_sign(s);
	if (rc != 0)
		return rc;
	rc = s->b->send(s->b, prio, s->out.data, s->out.len);
	if (rc == 0)
		s->seq[prio]++;
	return rc;
}

/* HELLO goes first in an opening or nothing goes. Tried again at every send and delivery. */
static int hello_send(struct session *s)
{
	struct body_hello h = { .tail_index = s->tail };
	int rc;

	if (!s->b || !s->in_view)
		return -DSI_EAGAIN;
	if (s->hello_sent)
		return 0;
	memcpy(h.random, s->random, sizeof(h.random));
	memcpy(h.node, s->cfg.node, sizeof(h.node));
	memcpy(h.direct, s->cfg.direct, sizeof(h.direct));
	snprintf(h.version, sizeof(h.version), "%s", DSI_VERSION);
	rc = own_send(s, msg_info(MSG_HELLO), GCS_URGENT, &h);
	s->hello_sent = rc == 0;
	return rc;
}

static int own_open(struct session *s)
{
	if (s->opening >= OPENING_MAX)
		return -DSI_ELIMIT; /* only a new incarnation helps */
	s->opening++;
	memset(s->seq, 0, sizeof(s->seq));
	s->hello_sent = false;
	return hello_send(s);
}

int session_send(struct session *s, u16 type, enum gcs_prio prio, const void *body)
{
	const struct msg_info *info = msg_info(type);
	int rc;

	if (!info || info->flags & MSG_DIRECT || type == MSG_HELLO || (unsigned)prio >= PRIOS)
		return -DSI_EINVAL;
	if (!(info->roles & s->cfg.role))
		return -DSI_EROLE;
	rc = hello_send(s);
	if (rc != 0)
		return rc == -DSI_ENOTCONN ? rc : -DSI_EAGAIN;
	return own_send(s, info, prio, body);
}

/* --- judging ------------------------------------------------------------------------------------- */

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

	if (m->v.nid == 0 || m->v.nid > LIM_NIDS || role_slot(m->v.role) < 0)
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
		if (r == role_slot(m->v.role) && x->member.pid != m->from.pid)
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

static int judge(struct session *s, struct incoming *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int why = steps[i](s, m);

		if (why != ACCEPTED)
			return why;
	}
	return ACCEPTED;
}

static bool power_of_two(u64 n)
{
	return (n & (n - 1)) == 0;
}

static void refuse(struct session *s, const struct incoming *m, enum session_refusal why)
{
	u64 *of = m->sender ? m->sender->refused : s->unverified;

	s->refused[why]++;
	of[why]++;
	if (s->ops->refused && power_of_two(of[why]))
		s->ops->refused(s->ctx, why, m->sender ? m->v.nid : 0, m->from.nodeid, of[why]);
}

/* What we sent did not reach its place: tell who sent it, and close a gap by opening again. */
static void own_refused(struct session *s, const struct incoming *m, enum session_refusal why)
{
	if (m->v.incarnation != s->cfg.incarnation)
		return;
	if (why == REFUSED_GAP && m->v.opening == s->opening)
		(void)own_open(s);
	if (s->ops->returned && m->v.type != MSG_HELLO &&
	    (why == REFUSED_VIEW || why == REFUSED_GAP || why == REFUSED_HELLO))
		s->ops->returned(s->ctx, m->v.type, m->raw, m->n);
}

static void on_deliver(void *ctx, struct gcs_member from, const u8 *p, size_t n)
{
	struct session *s = ctx;
	struct incoming m = { .from = from, .raw = p, .n = n };
	int why;

	(void)hello_send(s);
	arena_init(&m.arena, 4 * LIM_BODY);
	why = judge(s, &m);
	if (why == ACCEPTED) {
		struct session_sender who = { .nid = m.v.nid, .role = m.v.role, .incarnation = m.v.incarnation,
					      .member = from, .term = m.v.term };
		s->ops->message(s->ctx, &who, m.info, &m.st, p, n);
	} else {
		refuse(s, &m, (enum session_refusal)why);
		if (m.own)
			own_refused(s, &m, (enum session_refusal)why);
	}
	arena_fini(&m.arena);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	struct session *s = ctx;

	s->view = *v;
	s->view_tag = view_fold(v);
	s->in_view = true;
	senders_close(s);
	(void)own_open(s);
	s->ops->view(s->ctx, v);
}

static void on_quorum(void *ctx, const struct gcs_view *v)
{
	struct session *s = ctx;

	s->view = *v;
	if (s->ops->quorum)
		s->ops->quorum(s->ctx, v);
}

static void on_down(void *ctx, const char *why)
{
	struct session *s = ctx;

	s->in_view = false;
	s->hello_sent = false;
	senders_close(s);
	s->ops->down(s->ctx, why);
}

const struct gcs_events session_events = {
	.deliver = on_deliver,
	.view = on_view,
	.quorum = on_quorum,
	.down = on_down,
};

/* --- life ---------------------------------------------------------------------------------------- */

int session_new(struct session **ret, const struct session_config *cfg, const struct session_ops *ops, void *ctx,
		struct err *e)
{
	struct session *s;

	if (role_slot(cfg->role) < 0 || cfg->nid == 0 || cfg->nid > LIM_NIDS || cfg->incarnation == 0 || !cfg->keys)
		return err_set(e, -DSI_EINVAL, "session: NID %u, role %d, incarnation %llu: not a member's", cfg->nid,
			       (int)cfg->role, (unsigned long long)cfg->incarnation);
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -DSI_ENOMEM, "session: out of memory");
	s->cfg = *cfg;
	s->ops = ops;
	s->ctx = ctx;
	wbuf_init(&s->body, LIM_BODY);
	wbuf_init(&s->out, LIM_RING_MSG);
	if (crypto_random(s->random, sizeof(s->random)) != 0) {
		session_free(s);
		return err_set(e, -DSI_ECRYPTO, "session: no randomness");
	}
	*ret = s;
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	for (u32 nid = 0; nid <= LIM_NIDS; nid++)
		for (int r = 0; r < ROLES; r++)
			sender_free(s->senders[nid][r]);
	wbuf_fini(&s->body);
	wbuf_fini(&s->out);
	seal_fini(&s->keys);
	crypto_wipe(s, sizeof(*s));
	free(s);
}

void session_attach(struct session *s, struct gcs_backend *b)
{
	s->b = b;
}

void session_set_term(struct session *s, u64 term)
{
	s->term = MAX(s->term, term);
}

void session_set_tail(struct session *s, u64 index)
{
	s->tail = index;
}

void session_key(struct session *s, u32 keygen, const u8 key[CRYPTO_KEY])
{
	seal_key(&s->keys, keygen, key);
}

const u64 *session_refusals(const struct session *s)
{
	return s->refused;
}

const u64 *session_refusals_of(const struct session *s, u32 nid, enum msg_role role)
{
	const struct sender *x = sender_find(s, nid, role);

	return x ? x->refused : NULL;
}
