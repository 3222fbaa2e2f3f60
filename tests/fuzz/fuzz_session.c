/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session and what a ring could do to it. The input is a script of records {op, type, length, bytes}:
 *   raw     the bytes as they are, from any nodeid
 *   signed  the bytes as a body of that type in an envelope that is right in everything, signed by a member
 *   sealed  the same, sealed
 *   bent    the same as signed, but the first bytes overwrite the header before it is signed
 *   view    another ring, the member opens again
 *   down
 * It must never crash, and never accept a message whose envelope was not signed by the member.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/seal.h"
#include "lib/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const u8 member_seed[CRYPTO_SEED] = { 7 };
static const u8 group_key[CRYPTO_KEY] = { 9 };
static u8 member_pub[CRYPTO_PUB];
static bool by_member;
static u64 sum;

static bool on_binding(void *ctx, u32 nid, enum msg_role role, u8 ret_pub[CRYPTO_PUB], bool *ret_dead)
{
	memcpy(ret_pub, member_pub, CRYPTO_PUB);
	*ret_dead = nid == 3;
	return nid <= 3;
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body,
		       const u8 *raw, size_t raw_len)
{
	if (!by_member)
		abort();
	for (u32 i = 0; i < info->schema->n_fields; i++)
		sum += ((const u8 *)body)[info->schema->fields[i].offset];
}

static void on_view(void *ctx, const struct gcs_view *v)
{
}

static void on_down(void *ctx, const char *why)
{
}

static const struct session_ops ops = { .binding = on_binding, .message = on_message, .view = on_view, .down = on_down };

static int no_send(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	return 0;
}

struct member { /* what it would keep about itself */
	struct session *s;
	struct gcs_view view;
	struct envelope v;
	u64 seq;
	struct seal_ring ring;
	struct seal_subkey sub;
};

static u16 fold(struct gcs_view *v)
{
	u8 list[16], hash[CRYPTO_HASH];
	struct wbuf w;

	wbuf_fixed(&w, list, sizeof(list));
	for (u32 i = 0; i < v->n; i++) {
		wbuf_u32(&w, v->members[i].nodeid);
		wbuf_u32(&w, v->members[i].pid);
	}
	if (crypto_sha256(list, w.len, hash) != 0)
		abort();
	return (u16)(hash[0] | hash[1] << 8);
}

static void give(struct member *m, struct wbuf *w)
{
	u8 sig[CRYPTO_SIG];

	if (crypto_sign(member_seed, SIGN_ENVELOPE, w->data, w->len, sig) != 0)
		abort();
	wbuf_bytes(w, sig, sizeof(sig));
	if (!wbuf_ok(w))
		return;
	by_member = true;
	session_events.deliver(m->s, m->view.members[0], w->data, w->len);
	by_member = false;
}

static void say(struct member *m, u16 type, const u8 *p, size_t n, bool sealed, size_t bend)
{
	const struct msg_info *info = msg_info(type);
	u8 cipher[LIM_BODY + CRYPTO_TAG], header[ENVELOPE_HEADER];
	struct wbuf w;

	m->v.type = type;
	m->v.channel = info ? info->channel : 0;
	m->v.flags = (u8)(GCS_NORMAL << ENVELOPE_PRIO_SHIFT | (sealed ? ENVELOPE_SEALED : 0));
	m->v.keygen = sealed;
	m->v.seq = m->seq++;
	m->v.body = p;
	m->v.body_len = MIN(n, (size_t)LIM_BODY);
	if (sealed) { /* the header with the length that will be */
		size_t plain = m->v.body_len;

		m->v.body = cipher;
		m->v.body_len += CRYPTO_TAG;
		memset(cipher, 0, m->v.body_len);
		wbuf_init(&w, LIM_RING_MSG);
		envelope_encode(&m->v, &w);
		memcpy(header, w.data, sizeof(header));
		wbuf_fini(&w);
		if (seal_close(&m->sub, &m->v, header, p, plain, cipher) != 0)
			abort();
	}
	wbuf_init(&w, LIM_RING_MSG);
	envelope_encode(&m->v, &w);
	if (bend)
		memcpy(w.data, p, MIN(bend, (size_t)ENVELOPE_HEADER));
	give(m, &w);
	wbuf_fini(&w);
}

static void open_view(struct member *m)
{
	struct body_hello h = { .random = { 5 }, .node = "n1", .version = "1", .direct = "d" };
	struct wbuf body, w;

	m->view.ring.seq++;
	session_events.view(m->s, &m->view);
	m->seq = 0;
	m->v.ring = m->view.ring;
	m->v.opening++;
	wbuf_init(&body, LIM_BODY);
	if (body_encode(&schema_hello, &h, &body) != 0)
		abort();
	m->v.type = MSG_HELLO;
	m->v.channel = CH_DISCOVERY;
	m->v.flags = GCS_URGENT << ENVELOPE_PRIO_SHIFT;
	m->v.keygen = 0;
	m->v.seq = 0;
	m->v.body = body.data;
	m->v.body_len = body.len;
	wbuf_init(&w, LIM_RING_MSG);
	envelope_encode(&m->v, &w);
	give(m, &w);
	wbuf_fini(&w);
	wbuf_fini(&body);
}

static void set_up(struct member *m, struct gcs_backend *b, struct keys *no_keys)
{
	struct session_config cfg = { .generation = 1, .nid = 2, .role = ROLE_MANAGER, .incarnation = 1, .keys = no_keys };
	struct seal_sender who = { .nid = 1, .role = ROLE_MANAGER, .incarnation = 1, .random = { 5 } };

	memset(m, 0, sizeof(*m));
	b->send = no_send;
	if (crypto_sign_pub(member_seed, member_pub) != 0 || session_new(&m->s, &cfg, &ops, m, NULL) != 0)
		abort();
	session_attach(m->s, b);
	session_key(m->s, 1, group_key);
	seal_key(&m->ring, 1, group_key);
	if (subkey_get(&m->sub, &m->ring, 1, &who) != 0)
		abort();
	m->view = (struct gcs_view){ .ring = { 1, 1 }, .n = 2, .members = { { 1, 11 }, { 2, 22 } } };
	m->v = (struct envelope){ .version = ENVELOPE_VERSION, .role = ROLE_MANAGER, .generation = 1, .nid = 1,
				  .incarnation = 1, .view = fold(&m->view) };
	open_view(m);
}

static void record(struct member *m, u8 op, u16 type, const u8 *p, size_t n)
{
	switch (op % 6) {
	case 0:
		session_events.deliver(m->s, m->view.members[op >> 3 & 1], p, n);
		break;
	case 1:
		say(m, type, p, n, false, 0);
		break;
	case 2:
		say(m, type, p, n, true, 0);
		break;
	case 3:
		say(m, type, p, n, false, n);
		break;
	case 4:
		open_view(m);
		break;
	default:
		session_events.down(m->s, "down");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keys no_keys = { .fd = -1 };
	struct gcs_backend b = { 0 };
	struct member m;
	struct rbuf r;

	set_up(&m, &b, &no_keys);
	rbuf_init(&r, data, size);
	for (int i = 0; i < 64 && rbuf_left(&r) >= 5; i++) {
		u8 op = rbuf_u8(&r);
		u16 type = rbuf_u16(&r);
		size_t len = rbuf_u16(&r), n = MIN(len, rbuf_left(&r));
		const u8 *p = rbuf_bytes(&r, n);
		u8 *exact = malloc(n ? n : 1);

		if (!exact)
			abort();
		if (n)
			memcpy(exact, p, n);
		record(&m, op, type, exact, n);
		free(exact);
	}
	session_free(m.s);
	return sum == UINT64_MAX;
}
