/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: somebody holds the ring's key (root on any member, a stolen authkey) but not a node's signing
 * key. On the ring he can be any nodeid, send any bytes, hold back, repeat and splice what others sent. He
 * must not make a session accept anything its sender did not send in this view, at this place; nor reach
 * the parser of bodies; nor have a node blamed for what it did not sign. And a member with a good key but
 * bad intent can break only what is his own.
 *
 *   DSI_SEED=n replays a run; a failure prints it.
 */
#include "gcs/session.h"

#include <time.h>

#include "lib/buf.h"
#include "tests/unit/gcs_fixture.h"

enum { KEEP = 32, ROUNDS = 4000 };

struct end {
	struct gcs_backend b;
	struct fixture_keys k;
	struct session_config cfg;
	struct session *s;
	u64 accepted, blamed;
};

struct bytes {
	size_t n;
	u8 p[LIM_RING_MSG + 64];
};

static struct end A, B; /* A sends, B judges */
static struct bytes sent[KEEP];
static u32 n_sent;
static struct gcs_view view = { .ring = { 1, 50 }, .n = 2, .members = { { 1, 11 }, { 2, 22 } } };
static u64 seed;

static u64 draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int keep(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	if (b == &A.b && n_sent < KEEP) {
		sent[n_sent].n = n;
		memcpy(sent[n_sent++].p, p, n);
	}
	return 0;
}

static bool on_binding(void *ctx, u32 nid, enum msg_role role, u8 pub[CRYPTO_PUB], bool *ret_dead)
{
	struct end *x = nid == 1 ? &A : &B;

	memcpy(pub, x->k.keys.pub.sign, CRYPTO_PUB);
	return role == ROLE_MANAGER && (nid == 1 || nid == 2);
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body,
		       const u8 *raw, size_t raw_len)
{
	((struct end *)ctx)->accepted++;
}

static void on_view(void *ctx, const struct gcs_view *v)
{
}

static void on_down(void *ctx, const char *why)
{
}

static void on_refused(void *ctx, enum session_refusal why, u32 nid, u32 nodeid, u64 count)
{
	((struct end *)ctx)->blamed += nid == 1;
}

static const struct session_ops ops = {
	.binding = on_binding, .message = on_message, .view = on_view, .down = on_down, .refused = on_refused,
};

static void end_up(struct end *x, u32 nid)
{
	struct err e;
	u8 key[CRYPTO_KEY] = { 1 };

	x->cfg = (struct session_config){ .generation = 1, .nid = nid, .role = ROLE_MANAGER, .incarnation = 1,
					  .keys = &x->k.keys };
	x->b.send = keep;
	session_free(x->s);
	x->s = NULL;
	MUST(session_new(&x->s, &x->cfg, &ops, x, &e) == 0);
	session_attach(x->s, &x->b);
	session_key(x->s, 1, key);
	x->accepted = x->blamed = 0;
}

/* A's HELLO and six messages, all kinds; none delivered yet. */
static void record(void)
{
	struct body_heartbeat h = { .n = 1 };
	struct body_alarm a = { .kind = "k", .text = "sealed" };

	n_sent = 0;
	end_up(&A, 1);
	end_up(&B, 2);
	view.ring.seq++;
	session_events.view(A.s, &view);
	session_events.view(B.s, &view);
	for (u64 i = 0; i < 3; i++) {
		h.n = i;
		MUST(session_send(A.s, MSG_HEARTBEAT, GCS_NORMAL, &h) == 0);
		MUST(session_send(A.s, MSG_ALARM, GCS_URGENT, &a) == 0);
	}
	MUST(n_sent == 7);
}

static void give(const u8 *p, size_t n, u32 nodeid)
{
	session_events.deliver(B.s, (struct gcs_member){ nodeid, nodeid * 11 }, p, n);
}

/* --- the outsider ------------------------------------------------------------------------------------ */

static void mutate(struct bytes *b)
{
	const struct bytes *other = &sent[draw() % n_sent];
	size_t at = draw() % b->n, n;

	switch (draw() % 6) {
	case 0: /* bits */
		b->p[at] ^= (u8)(1 << draw() % 8);
		break;
	case 1: /* cut */
		b->n = at;
		break;
	case 2: /* grow */
		n = 1 + draw() % 64;
		memset(b->p + b->n, (int)draw(), n);
		b->n += n;
		break;
	case 3: /* a field of another message at its own place */
		n = 1 + draw() % 16;
		if (at + n <= b->n && at + n <= other->n)
			memcpy(b->p + at, other->p + at, n);
		break;
	case 4: /* another's body or signature */
		if (at < other->n) {
			memcpy(b->p + at, other->p + at, other->n - at);
			b->n = other->n;
		}
		break;
	default: /* noise over the header */
		for (size_t i = 0; i < 8; i++)
			b->p[draw() % MIN(b->n, (size_t)ENVELOPE_HEADER)] = (u8)draw();
	}
}

static bool was_sent(const struct bytes *b)
{
	for (u32 i = 0; i < n_sent; i++)
		if (sent[i].n == b->n && memcmp(sent[i].p, b->p, b->n) == 0)
			return true;
	return false;
}

static void test_mutations(void)
{
	static struct bytes b;

	for (int round = 0; round < ROUNDS; round++) {
		if (round % 500 == 0) {
			record();
			give(sent[0].p, sent[0].n, 1);
			MUST(B.accepted == 1);
		}
		b.n = sent[1 + draw() % 6].n;
		memcpy(b.p, sent[1 + draw() % 6].p, b.n);
		for (u64 i = 1 + draw() % 3; i > 0 && b.n > 0; i--)
			mutate(&b);
		if (was_sent(&b))
			continue;
		give(b.p, b.n, 1 + (u32)(draw() % 2));
		CHECK(B.accepted == 1 && B.blamed == 0);
		if (fixture_failed)
			return;
	}
	/* nothing of it moved A's place in the sequence */
	for (u32 i = 1; i < n_sent; i++)
		give(sent[i].p, sent[i].n, 1);
	CHECK(B.accepted == 7);
}

/* All that was sent, in any order, any number of times, from any nodeid: each at most once, in order. */
static void test_replay(void)
{
	u64 before;

	for (int turn = 0; turn < 8; turn++) {
		record();
		for (int i = 0; i < 200; i++) {
			const struct bytes *m = &sent[draw() % n_sent];

			give(m->p, m->n, 1 + (u32)(draw() % 3));
		}
		CHECK(B.accepted <= 7);
		/* the next view: all of it is history */
		before = B.accepted;
		view.ring.seq++;
		session_events.view(B.s, &view);
		for (u32 i = 0; i < n_sent; i++)
			give(sent[i].p, sent[i].n, 1);
		CHECK(B.accepted == before);
	}
}

/* B restarted and knows nothing: what A sent in an earlier view does not open a session with it. */
static void test_replay_after_restart(void)
{
	record();
	end_up(&B, 2);
	view.ring.seq++;
	session_events.view(B.s, &view);
	for (u32 i = 0; i < n_sent; i++)
		give(sent[i].p, sent[i].n, 1);
	CHECK(B.accepted == 0 && session_refusals(B.s)[REFUSED_VIEW] == 1);  /* the HELLO */
	CHECK(session_refusals(B.s)[REFUSED_HELLO] == n_sent - 1);
}

/* Raw garbage never gets further than the first look. */
static void test_garbage(void)
{
	static struct bytes b;

	record();
	for (int i = 0; i < ROUNDS; i++) {
		b.n = draw() % (i % 16 ? 256 : sizeof(b.p));
		for (size_t at = 0; at < b.n; at++)
			b.p[at] = (u8)draw();
		if (b.n > 4 && i % 2)
			memcpy(b.p, "DSI1\1", 5);
		give(b.p, b.n, 1);
	}
	CHECK(B.accepted == 0 && B.blamed == 0);
}

/* --- the insider: a good key, bad bodies ------------------------------------------------------------------ */

static void test_insider_bodies(void)
{
	static struct bytes b;
	struct envelope v;
	struct wbuf w;
	u8 sig[CRYPTO_SIG], body[512];
	u64 ok;

	record();
	give(sent[0].p, sent[0].n, 1);
	MUST(envelope_parse(&v, sent[1].p, sent[1].n) == 0 && v.type == MSG_HEARTBEAT);
	for (u64 i = 0; i < 500; i++) {
		size_t n = v.body_len;

		memcpy(body, v.body, n);
		for (u64 k = draw() % 4; k > 0; k--)
			body[draw() % n] = (u8)draw();
		if (draw() % 4 == 0)
			n = draw() % n;
		struct envelope x = v;
		x.seq = i;
		x.body = body;
		x.body_len = n;
		wbuf_fixed(&w, b.p, sizeof(b.p));
		envelope_encode(&x, &w);
		MUST(keys_sign(&A.k.keys, SIGN_ENVELOPE, w.data, w.len, sig) == 0);
		wbuf_bytes(&w, sig, sizeof(sig));
		give(b.p, w.len, 1);
	}
	/* every one was judged, none stopped the next; his bad bodies stand against him alone */
	ok = B.accepted - 1 + session_refusals_of(B.s, 1, ROLE_MANAGER)[REFUSED_BODY];
	CHECK(ok == 500);
}

int main(void)
{
	const char *given = getenv("DSI_SEED");

	seed = given ? strtoull(given, NULL, 0) : (u64)time(NULL) * 2654435761u + 1;
	u64 first = seed = seed ? seed : 1;
	fixture_keys_start(&A.k, KEYFILE_NODE);
	fixture_keys_start(&B.k, KEYFILE_NODE);
	RUN(test_mutations);
	RUN(test_replay);
	RUN(test_replay_after_restart);
	RUN(test_garbage);
	RUN(test_insider_bodies);
	session_free(A.s);
	session_free(B.s);
	fixture_keys_stop(&A.k);
	fixture_keys_stop(&B.k);
	if (fixture_failed)
		fprintf(stderr, "again with DSI_SEED=%llu\n", (unsigned long long)first);
	return fixture_end("sec envelope");
}
