/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session: judges what the ring delivers and vouches for what we send. Must never let a byte of a body
 * be parsed before its sender, signature, view and place are known good, and never count against a node
 * what it did not sign. The order of judgement is a table in session_judge.c, nowhere else.
 *
 * Every member judges by the stream alone (plus the caller's replicated bindings), so members of one view
 * accept the same messages.
 */
#include "gcs/session_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/knows.h"

#ifndef DSI_VERSION
#define DSI_VERSION "0"
#endif

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

static struct sender *sender_find(const struct session *s, u32 nid, u32 role)
{
	int slot = session_role_slot(role);

	return slot < 0 || nid > LIM_NIDS ? NULL : s->senders[nid][slot];
}

static void sender_free(struct sender *x)
{
	if (!x)
		return;
	crypto_wipe(x, sizeof(*x));
	free(x);
}

static void senders_close(struct session *s)
{
	for (u32 nid = 0; nid <= LIM_NIDS; nid++)
		for (int r = 0; r < ROLES; r++)
			if (s->senders[nid][r])
				s->senders[nid][r]->opened = false;
}

/* --- the view ------------------------------------------------------------------------------------ */

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
	knows_text(DSI_VERSION, h.version, sizeof(h.version));
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

/* --- receiving ----------------------------------------------------------------------------------- */

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
	why = session_judge(s, &m);
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

	if (session_role_slot(cfg->role) < 0 || cfg->nid == 0 || cfg->nid > LIM_NIDS || cfg->incarnation == 0 || !cfg->keys)
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
