/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session: three senders on a bus that the test delivers by hand, so that it can hold back, repeat, bend
 * and re-sign what passes. Every refusal reason must occur at least once (checked at the end).
 *
 *   a (NID 1, manager, node 1)     b (NID 2, manager, node 2)     s (NID 2, server, node 2)
 *           └────────────── bus: one queue, delivered to all ──────────────┘
 */
#include "gcs/session.h"

#include "lib/buf.h"
#include "tests/unit/gcs_fixture.h"

enum { PEERS = 3, BUS = 64 };

struct peer {
	struct gcs_backend b; /* first: a backend is its peer */
	struct bus *bus;
	struct fixture_keys k;
	struct session_config cfg;
	struct session *s;
	struct gcs_member me;
	int refuse_send; /* answer to the next sends */
	/* what its session told */
	u32 n_messages, n_views, n_quorums, n_downs, n_returned, n_told, ahead;
	u16 type;
	u32 from_nid;
	u64 value;
	char text[LIM_PATH];
	u32 seen_nids;
};

struct bus {
	struct peer peer[PEERS];
	bool dead[PEERS];
	struct {
		int from;
		size_t n;
		u8 p[LIM_RING_MSG];
	} q[BUS];
	int n;
	struct gcs_view view;
};

static bool covered[REFUSED_COUNT];
static struct bus bus;
#define A (&bus.peer[0])
#define B (&bus.peer[1])
#define S (&bus.peer[2])

/* --- bus ----------------------------------------------------------------------------------------- */

static int bus_send(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	struct peer *x = (struct peer *)b;

	if (x->refuse_send)
		return x->refuse_send;
	MUST(x->bus->n < BUS);
	x->bus->q[x->bus->n].from = (int)(x - x->bus->peer);
	x->bus->q[x->bus->n].n = n;
	memcpy(x->bus->q[x->bus->n++].p, p, n);
	return 0;
}

static void give(const struct peer *from, const u8 *p, size_t n)
{
	for (int i = 0; i < PEERS; i++)
		session_events.deliver(bus.peer[i].s, from->me, p, n);
}

static void drop(int at)
{
	memmove(&bus.q[at], &bus.q[at + 1], sizeof(bus.q[0]) * (size_t)(--bus.n - at));
}

static void run(void)
{
	while (bus.n > 0) {
		static u8 copy[LIM_RING_MSG];
		size_t n = bus.q[0].n;
		int from = bus.q[0].from;

		memcpy(copy, bus.q[0].p, n);
		drop(0);
		give(&bus.peer[from], copy, n);
	}
}

static void view_tell(void)
{
	for (int i = 0; i < PEERS; i++)
		session_events.view(bus.peer[i].s, &bus.view);
}

static void view_new(u64 ring_seq)
{
	bus.view.ring.seq = ring_seq;
	view_tell();
}

/* --- the callbacks ------------------------------------------------------------------------------- */

static bool on_binding(void *ctx, u32 nid, enum msg_role role, u8 ret_pub[CRYPTO_PUB], bool *ret_dead)
{
	for (int i = 0; i < PEERS; i++) {
		struct peer *x = &bus.peer[i];

		if (x->cfg.nid != nid || x->cfg.role != role)
			continue;
		memcpy(ret_pub, x->k.keys.pub.sign, CRYPTO_PUB);
		*ret_dead = bus.dead[i];
		return true;
	}
	return false;
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body,
		       const u8 *raw, size_t raw_len)
{
	struct peer *x = ctx;

	x->n_messages++;
	x->type = info->type;
	x->from_nid = from->nid;
	x->seen_nids |= 1u << from->nid;
	if (info->type == MSG_HEARTBEAT)
		x->value = ((const struct body_heartbeat *)body)->n;
	if (info->type == MSG_ALARM)
		snprintf(x->text, sizeof(x->text), "%s", ((const struct body_alarm *)body)->text);
	if (info->type == MSG_HELLO)
		snprintf(x->text, sizeof(x->text), "%s", ((const struct body_hello *)body)->direct);
	CHECK(raw_len >= ENVELOPE_MIN && memcmp(raw, "DSI1", 4) == 0);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	((struct peer *)ctx)->n_views++;
}

static void on_quorum(void *ctx, const struct gcs_view *v)
{
	((struct peer *)ctx)->n_quorums++;
}

static void on_down(void *ctx, const char *why)
{
	((struct peer *)ctx)->n_downs++;
}

static void on_refused(void *ctx, enum session_refusal why, u32 nid, u32 nodeid, u64 count)
{
	struct peer *x = ctx;

	covered[why] = true;
	CHECK((count & (count - 1)) == 0);
	x->n_told++;
}

static void on_returned(void *ctx, u16 type, const u8 *raw, size_t raw_len)
{
	((struct peer *)ctx)->n_returned++;
}

static void on_ahead(void *ctx, u32 generation)
{
	((struct peer *)ctx)->ahead = generation;
}

static const struct session_ops ops = {
	.binding = on_binding,
	.message = on_message,
	.view = on_view,
	.quorum = on_quorum,
	.down = on_down,
	.refused = on_refused,
	.returned = on_returned,
	.ahead = on_ahead,
};

/* --- set-up -------------------------------------------------------------------------------------- */

static void session_up(struct peer *x, u64 incarnation)
{
	struct err e = { 0 };

	x->cfg.incarnation = incarnation;
	session_free(x->s);
	MUST(session_new(&x->s, &x->cfg, &ops, x, &e) == 0);
	session_attach(x->s, &x->b);
	x->n_messages = x->n_views = x->n_returned = x->n_told = x->n_quorums = x->n_downs = 0;
}

/* All new, one view, all HELLOs delivered. */
static void fresh(void)
{
	bus.n = 0;
	memset(bus.dead, 0, sizeof(bus.dead));
	for (int i = 0; i < PEERS; i++) {
		bus.peer[i].refuse_send = 0;
		session_up(&bus.peer[i], 10);
	}
	bus.view = (struct gcs_view){ .ring = { .nodeid = 1, .seq = 100 }, .n = 3,
				      .members = { { 1, 11 }, { 2, 22 }, { 2, 23 } } };
	view_tell();
	CHECK(bus.n == 3); /* a HELLO each, unasked */
	run();
	for (int i = 0; i < PEERS; i++)
		CHECK(bus.peer[i].n_messages == 3);
}

static void set_up(void)
{
	static const struct {
		u32 nid;
		enum msg_role role;
		struct gcs_member me;
	} who[PEERS] = {
		{ 1, ROLE_MANAGER, { 1, 11 } }, { 2, ROLE_MANAGER, { 2, 22 } }, { 2, ROLE_SERVER, { 2, 23 } },
	};

	for (int i = 0; i < PEERS; i++) {
		struct peer *x = &bus.peer[i];

		fixture_keys_start(&x->k, who[i].role == ROLE_SERVER ? KEYFILE_SERVER : KEYFILE_NODE);
		x->b.send = bus_send;
		x->bus = &bus;
		x->me = who[i].me;
		x->cfg = (struct session_config){ .cluster = { 0xc1 }, .generation = 1, .nid = who[i].nid,
						  .role = who[i].role, .keys = &x->k.keys };
		snprintf(x->cfg.node, sizeof(x->cfg.node), "n%u", who[i].nid);
		snprintf(x->cfg.direct, sizeof(x->cfg.direct), "10.0.0.%u:6530", who[i].nid);
	}
}

static int beat(struct peer *x, u64 n)
{
	struct body_heartbeat h = { .n = n };

	return session_send(x->s, MSG_HEARTBEAT, GCS_NORMAL, &h);
}

static int alarm_of(struct peer *x, const char *text)
{
	struct body_alarm a = { .wall_ms = 1, .severity = 2 };

	snprintf(a.kind, sizeof(a.kind), "test");
	snprintf(a.text, sizeof(a.text), "%s", text);
	return session_send(x->s, MSG_ALARM, GCS_URGENT, &a);
}

/* --- forging: what a member could sign ------------------------------------------------------------- */

static u8 forged[LIM_RING_MSG + 1];
static size_t forged_len;

/* The message at the head of the queue, taken off it. Its body stays valid for some grabs. */
static void grab(struct envelope *v)
{
	static u8 copies[8][LIM_RING_MSG];
	static unsigned turn;
	u8 *copy = copies[turn++ % 8];

	MUST(bus.n > 0);
	forged_len = bus.q[0].n;
	memcpy(copy, bus.q[0].p, forged_len);
	memcpy(forged, copy, forged_len);
	drop(0);
	MUST(envelope_parse(v, copy, forged_len) == 0);
}

static void sign_again(struct peer *x, const struct envelope *v)
{
	struct wbuf w;
	u8 sig[CRYPTO_SIG];

	wbuf_fixed(&w, forged, sizeof(forged));
	envelope_encode(v, &w);
	MUST(keys_sign(&x->k.keys, SIGN_ENVELOPE, w.data, w.len, sig) == 0);
	wbuf_bytes(&w, sig, sizeof(sig));
	MUST(wbuf_ok(&w));
	forged_len = w.len;
}

/* B's judgement of the forged bytes as coming from x: the reason, or -1 when it was accepted. */
static int judged_from(struct gcs_member from)
{
	u64 before[REFUSED_COUNT];
	u32 messages = B->n_messages;

	memcpy(before, session_refusals(B->s), sizeof(before));
	session_events.deliver(B->s, from, forged, forged_len);
	for (int i = 0; i < REFUSED_COUNT; i++) {
		if (session_refusals(B->s)[i] == before[i])
			continue;
		CHECK(B->n_messages == messages);
		return i;
	}
	CHECK(B->n_messages == messages + 1);
	return -1;
}

static int judged(const struct peer *x)
{
	return judged_from(x->me);
}

/* --- tests ------------------------------------------------------------------------------------------- */

static void test_agreed(void)
{
	fresh();
	CHECK(strcmp(B->text, "10.0.0.2:6530") == 0);
	CHECK(beat(A, 7) == 0 && beat(S, 8) == 0);
	run();
	CHECK(A->n_messages == 5 && B->n_messages == 5 && S->n_messages == 5);
	CHECK(B->value == 8 && B->from_nid == 2 && B->n_told == 0);
}

static void test_send_rules(void)
{
	struct body_entry entry = { 0 };
	struct body_hello hello = { 0 };

	fresh();
	CHECK(session_send(A->s, MSG_ENTRY, GCS_NORMAL, &entry) == -DSI_EROLE);
	CHECK(session_send(A->s, 999, GCS_NORMAL, &entry) == -DSI_EINVAL);
	CHECK(session_send(A->s, MSG_HELLO, GCS_NORMAL, &hello) == -DSI_EINVAL);
	CHECK(alarm_of(A, "no key") == -DSI_EAGAIN);
	session_events.down(A->s, "gone");
	CHECK(A->n_downs == 1 && beat(A, 1) == -DSI_EAGAIN && bus.n == 0);
}

static void test_hello_first(void)
{
	struct envelope v;

	fresh();
	A->refuse_send = -DSI_EAGAIN;
	view_new(101);
	bus.n = 0;
	CHECK(beat(A, 1) == -DSI_EAGAIN && bus.n == 0);
	A->refuse_send = 0;
	CHECK(beat(A, 1) == 0 && bus.n == 2);
	grab(&v);
	CHECK(v.type == MSG_HELLO && v.seq == 0 && v.opening == 2);
	CHECK(judged(A) == -1);
	grab(&v);
	CHECK(v.type == MSG_HEARTBEAT && judged(A) == -1);
}

static void test_shape(void)
{
	struct envelope v, w;

	fresh();
	CHECK(beat(A, 1) == 0);
	grab(&v);
	forged_len--;
	CHECK(judged(A) == REFUSED_SHORT);
	forged_len += 2;
	CHECK(judged(A) == REFUSED_SHORT);
	forged_len = 3;
	CHECK(judged(A) == REFUSED_SHORT);
	forged_len = LIM_RING_MSG + 1;
	CHECK(judged(A) == REFUSED_TOOBIG);
	sign_again(A, &v);
	forged[0] = 'X';
	CHECK(judged(A) == REFUSED_MAGIC);
	w = v, w.version = 2, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_VERSION);
	w = v, w.cluster[3]++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_CLUSTER);
	w = v, w.generation++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_GENERATION);
	CHECK(B->ahead == w.generation);
	B->ahead = 0;
	w = v, w.generation--, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_GENERATION && B->ahead == 0); /* of an earlier one there is nothing to learn */
	CHECK(session_refusals_of(B->s, 1, ROLE_MANAGER)[REFUSED_GENERATION] == 0); /* not verified */
	sign_again(A, &v);
	CHECK(judged(A) == -1);
}

static void test_sender(void)
{
	struct envelope v, w;

	fresh();
	CHECK(beat(A, 1) == 0);
	grab(&v);
	w = v, w.nid = 9, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_UNKNOWN);
	w = v, w.nid = 0, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_UNKNOWN);
	w = v, w.nid = LIM_NIDS + 1, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_UNKNOWN);
	w = v, w.role = ROLE_OPERATOR, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_UNKNOWN);
	w = v, w.nid = 2, sign_again(A, &w); /* says it is B */
	CHECK(judged(A) == REFUSED_NODEID);
	CHECK(judged_from(B->me) == REFUSED_SIGNATURE); /* and forges the nodeid too */
	CHECK(session_refusals_of(B->s, 2, ROLE_MANAGER)[REFUSED_SIGNATURE] == 0); /* B is not blamed */
	sign_again(A, &v);
	CHECK(judged_from((struct gcs_member){ 7, 7 }) == REFUSED_NODEID);  /* not in the view */
	CHECK(judged_from(B->me) == REFUSED_NODEID);                       /* A's words from B's place */
	bus.dead[0] = true;
	CHECK(judged(A) == REFUSED_DEAD);
	bus.dead[0] = false;
	CHECK(judged(A) == -1);
}

/* A bit anywhere: refused, whatever the reason; and only A's true bytes pass. */
static void test_bits(void)
{
	struct envelope v;

	fresh();
	CHECK(beat(A, 1) == 0);
	grab(&v);
	for (size_t i = 0; i < forged_len; i++) {
		forged[i] ^= 1;
		CHECK(judged(A) != -1);
		forged[i] ^= 1;
	}
	CHECK(judged(A) == -1);
}

static void test_sequence(void)
{
	struct envelope first, second, third;

	fresh();
	CHECK(beat(A, 1) == 0 && beat(A, 2) == 0 && beat(A, 3) == 0);
	grab(&first);
	CHECK(judged(A) == -1);
	CHECK(judged(A) == REFUSED_REPLAY);
	grab(&second);
	grab(&third);
	CHECK(judged(A) == REFUSED_GAP);
	sign_again(A, &second);
	CHECK(judged(A) == -1);
	sign_again(A, &third);
	CHECK(judged(A) == -1 && B->value == 3);
	CHECK(session_refusals_of(B->s, 1, ROLE_MANAGER)[REFUSED_REPLAY] == 1);
	third.opening--; /* of an opening that is over */
	sign_again(A, &third);
	CHECK(judged(A) == REFUSED_REPLAY);
	third.opening += 2; /* of one whose HELLO nobody saw */
	sign_again(A, &third);
	CHECK(judged(A) == REFUSED_HELLO);
}

/* Urgent overtakes, and still nothing is missing. */
static void test_priorities(void)
{
	struct body_heartbeat h = { .n = 50 };
	struct envelope v;

	fresh();
	CHECK(beat(A, 1) == 0);
	CHECK(session_send(A->s, MSG_HEARTBEAT, GCS_BULK, &h) == 0);
	CHECK(session_send(A->s, MSG_HEARTBEAT, GCS_URGENT, &h) == 0);
	for (int i = 2; i >= 0; i--) {
		forged_len = bus.q[i].n;
		memcpy(forged, bus.q[i].p, forged_len);
		CHECK(judged(A) == -1);
	}
	MUST(envelope_parse(&v, forged, forged_len) == 0);
	v.flags |= ENVELOPE_PRIO_MASK; /* priority 3 does not exist */
	sign_again(A, &v);
	CHECK(judged(A) == REFUSED_REPLAY);
}

static void test_own_gap(void)
{
	fresh();
	CHECK(beat(A, 1) == 0 && beat(A, 2) == 0 && beat(A, 3) == 0);
	drop(0); /* corosync lost it */
	run();
	CHECK(A->n_returned == 2);
	CHECK(beat(A, 4) == 0);
	run();
	CHECK(A->value == 4 && B->value == 4 && S->value == 4);
	CHECK(session_refusals(B->s)[REFUSED_GAP] == 2);
}

static void test_incarnation(void)
{
	struct envelope v, hello;

	fresh();
	session_up(A, 11); /* restart: same NID, next incarnation */
	session_events.view(A->s, &bus.view);
	CHECK(beat(A, 5) == 0);
	grab(&hello);
	grab(&v);
	CHECK(judged(A) == REFUSED_HELLO); /* the new start's HELLO comes first */
	sign_again(A, &hello);
	CHECK(judged(A) == -1);
	sign_again(A, &v);
	CHECK(judged(A) == -1 && B->value == 5);
	v.incarnation = 10; /* the old start, still alive somewhere */
	v.seq++;
	sign_again(A, &v);
	CHECK(judged(A) == REFUSED_INCARNATION);
	session_up(A, 11); /* a copy of the disk: same incarnation, another random */
	session_events.view(A->s, &bus.view);
	session_events.view(A->s, &bus.view);
	grab(&v);
	grab(&v);
	CHECK(v.opening == 2 && judged(A) == REFUSED_INCARNATION);
}

static void test_hello_rules(void)
{
	struct envelope hello, w;

	fresh();
	view_new(102);
	grab(&hello);
	w = hello, w.seq = 1, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_REPLAY);
	w = hello, w.flags = GCS_NORMAL << ENVELOPE_PRIO_SHIFT, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_REPLAY);
	w = hello, w.opening = 1, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_REPLAY);
	w = hello, w.opening = 1u << 30, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_REPLAY);
	sign_again(A, &hello);
	CHECK(judged(A) == -1);
	CHECK(judged(A) == REFUSED_REPLAY);
	bus.n = 0;
}

/* What was sent in one view and comes in another: refused by all, sender told (rule 4 of the facts). */
static void test_views(void)
{
	struct envelope v;

	fresh();
	CHECK(beat(A, 1) == 0);
	view_new(103);
	CHECK(A->n_views == 2);
	run();
	CHECK(A->n_returned == 1 && B->value != 1);
	CHECK(session_refusals(A->s)[REFUSED_VIEW] == 1 && session_refusals(B->s)[REFUSED_VIEW] == 1);
	CHECK(beat(A, 2) == 0);
	run();
	CHECK(B->value == 2);

	/* a process left: same ring, other members */
	CHECK(beat(A, 3) == 0);
	bus.view.n = 2;
	view_tell();
	grab(&v);
	CHECK(v.ring.seq == 103 && judged(A) == REFUSED_VIEW);
	bus.n = 0;

	/* HELLO of this view missing */
	view_new(104);
	CHECK(beat(A, 4) == 0);
	while (bus.n > 0) {
		grab(&v);
		if (v.type == MSG_HEARTBEAT)
			break;
	}
	CHECK(v.type == MSG_HEARTBEAT && judged(A) == REFUSED_HELLO);
	bus.n = 0;
}

static void test_quorum_opens_nothing(void)
{
	fresh();
	bus.view.quorate = true;
	for (int i = 0; i < PEERS; i++)
		session_events.quorum(bus.peer[i].s, &bus.view);
	CHECK(bus.n == 0 && A->n_quorums == 1 && A->n_views == 1);
	CHECK(beat(A, 6) == 0);
	run();
	CHECK(B->value == 6);
}

static void test_term(void)
{
	struct envelope v;

	fresh();
	session_set_term(A->s, 5);
	session_set_term(A->s, 4); /* never back */
	CHECK(beat(A, 1) == 0 && beat(A, 2) == 0);
	grab(&v);
	CHECK(v.term == 5 && judged(A) == -1);
	grab(&v);
	v.term = 4;
	sign_again(A, &v);
	CHECK(judged(A) == REFUSED_TERM);
}

static void test_types(void)
{
	struct envelope v, w;
	u64 seq;

	fresh();
	CHECK(beat(A, 1) == 0);
	grab(&v);
	seq = v.seq;
	w = v, w.type = 999, w.seq = seq++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_TYPE);
	w = v, w.channel = CH_AUDIT, w.seq = seq++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_CHANNEL);
	w = v, w.type = MSG_ENTRY, w.seq = seq++, sign_again(A, &w); /* a manager plays server */
	CHECK(judged(A) == REFUSED_ROLE);
	w = v, w.flags |= ENVELOPE_SEALED, w.seq = seq++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_SEAL);
	w = v, w.flags |= 0x80, w.seq = seq++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_SEAL);
	w = v, w.body_len--, w.seq = seq++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_BODY);
	w = v, w.body = (const u8 *)"tpl", w.body_len = 3, w.seq = seq++, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_BODY);
	w = v, w.seq = seq, sign_again(A, &w); /* bad bodies used their numbers up, no gap */
	CHECK(judged(A) == -1);
	CHECK(session_refusals_of(B->s, 1, ROLE_MANAGER)[REFUSED_BODY] == 2);
}

static void keys_all(u32 gen, u8 byte)
{
	u8 key[CRYPTO_KEY];

	memset(key, byte, sizeof(key));
	for (int i = 0; i < PEERS; i++)
		session_key(bus.peer[i].s, gen, key);
}

static void test_sealed(void)
{
	u8 key[CRYPTO_KEY] = { 3 }, body[512];
	struct envelope v, w;

	fresh();
	keys_all(1, 1);
	CHECK(alarm_of(A, "first secret") == 0);
	MUST(bus.n == 1);
	CHECK(!memmem(bus.q[0].p, bus.q[0].n, "secret", 6));
	run();
	CHECK(strcmp(B->text, "first secret") == 0 && strcmp(A->text, "first secret") == 0);

	/* B and S move on; A's message under the old key still opens, one older does not */
	CHECK(alarm_of(A, "old key") == 0);
	keys_all(2, 2);
	run();
	CHECK(strcmp(B->text, "old key") == 0);
	CHECK(alarm_of(A, "older key") == 0);
	keys_all(3, 3);
	keys_all(4, 4);
	run();
	CHECK(strcmp(B->text, "old key") == 0 && session_refusals(B->s)[REFUSED_NOKEY] == 1);

	/* a key B does not have */
	session_key(A->s, 5, key);
	CHECK(alarm_of(A, "key 5") == 0);
	grab(&v);
	CHECK(v.keygen == 5 && judged(A) == REFUSED_NOKEY);

	/* re-signed by its sender but not what was sealed */
	session_key(B->s, 5, key);
	CHECK(alarm_of(A, "bent") == 0);
	grab(&v);
	memcpy(body, v.body, v.body_len);
	body[20] ^= 1;
	w = v, w.body = body, sign_again(A, &w);
	CHECK(judged(A) == REFUSED_SEAL);

	/* a sealed type in clear */
	CHECK(alarm_of(A, "clear") == 0);
	grab(&v);
	v.flags &= (u8)~ENVELOPE_SEALED;
	sign_again(A, &v);
	CHECK(judged(A) == REFUSED_SEAL);
}

/* Somebody else's sealed body cannot be put into one's own envelope. */
static void test_sealed_stolen(void)
{
	struct envelope v, w;

	fresh();
	keys_all(1, 1);
	CHECK(alarm_of(A, "mine") == 0 && alarm_of(S, "thine") == 0);
	grab(&v);
	grab(&w);
	w.body = v.body;
	CHECK(w.body_len == v.body_len + 1);
	w.body_len = v.body_len;
	sign_again(S, &w);
	CHECK(judged(S) == REFUSED_SEAL);
}

static void test_counting(void)
{
	fresh();
	forged_len = ENVELOPE_MIN;
	memset(forged, 0, forged_len);
	for (int i = 0; i < 9; i++)
		CHECK(judged(A) == REFUSED_MAGIC);
	CHECK(session_refusals(B->s)[REFUSED_MAGIC] == 9 && B->n_told == 4); /* 1, 2, 4, 8 */
	CHECK(strcmp(session_refusal_name(REFUSED_GAP), "GAP") == 0);
	CHECK(strcmp(session_refusal_text(REFUSED_DEAD), "sender revoked, removed or suspended") == 0);
	CHECK(!session_refusals_of(B->s, 9, ROLE_MANAGER) && !session_refusals_of(B->s, 1, ROLE_OPERATOR));
}

static void test_config(void)
{
	struct session_config c = A->cfg;
	struct session *s = NULL;
	struct err e;

	c.nid = 0;
	CHECK(session_new(&s, &c, &ops, A, &e) == -DSI_EINVAL);
	c = A->cfg, c.role = ROLE_OPERATOR;
	CHECK(session_new(&s, &c, &ops, A, &e) == -DSI_EINVAL);
	c = A->cfg, c.incarnation = 0;
	CHECK(session_new(&s, &c, &ops, A, &e) == -DSI_EINVAL && !s);
	session_free(NULL);
}

int main(void)
{
	set_up();
	RUN(test_agreed);
	RUN(test_send_rules);
	RUN(test_hello_first);
	RUN(test_shape);
	RUN(test_sender);
	RUN(test_bits);
	RUN(test_sequence);
	RUN(test_priorities);
	RUN(test_own_gap);
	RUN(test_incarnation);
	RUN(test_hello_rules);
	RUN(test_views);
	RUN(test_quorum_opens_nothing);
	RUN(test_term);
	RUN(test_types);
	RUN(test_sealed);
	RUN(test_sealed_stolen);
	RUN(test_counting);
	RUN(test_config);
	for (int i = 0; i < REFUSED_COUNT; i++)
		if (!covered[i]) {
			fprintf(stderr, "refusal %s never occurred\n", session_refusal_name((enum session_refusal)i));
			fixture_failed++;
		}
	for (int i = 0; i < PEERS; i++) {
		session_free(bus.peer[i].s);
		fixture_keys_stop(&bus.peer[i].k);
	}
	return fixture_end("gcs_session");
}
