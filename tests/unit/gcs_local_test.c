/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The backend of one node: a view first, everything comes back, nothing from inside a call, bounded. */
#include "gcs/local.h"

#include "gcs/session.h"
#include "tests/unit/gcs_fixture.h"

struct seen {
	struct loop *loop;
	struct gcs_backend *b;
	u32 views, delivered, stop_at;
	u64 ring_seq;
	bool inside; /* a call of ours is on the stack */
	u8 order[8];
};

static void on_deliver(void *ctx, struct gcs_member from, const u8 *p, size_t n)
{
	struct seen *x = ctx;

	CHECK(x->views == 1 && !x->inside && from.nodeid == x->b->self.nodeid && n >= 1);
	if (x->delivered < sizeof(x->order))
		x->order[x->delivered] = p[0];
	if (++x->delivered == x->stop_at)
		loop_stop(x->loop, 0);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	struct seen *x = ctx;

	CHECK(v->n == 1 && v->quorate && v->expected == 1 && v->total == 1 && !x->inside);
	CHECK(v->members[0].nodeid == x->b->self.nodeid && v->members[0].pid == (u32)getpid());
	CHECK(v->token_ns > 0 && v->consensus_ns > 0);
	x->ring_seq = v->ring.seq;
	x->views++;
	x->inside = true;
	CHECK(x->b->send(x->b, GCS_BULK, "b", 1) == 0);
	CHECK(x->b->send(x->b, GCS_NORMAL, "n", 1) == 0);
	CHECK(x->b->send(x->b, GCS_NORMAL, "o", 1) == 0);
	CHECK(x->b->send(x->b, GCS_URGENT, "u", 1) == 0);
	x->inside = false;
}

static void on_down(void *ctx, const char *why)
{
	CHECK(!"never down");
}

static const struct gcs_events events = { .deliver = on_deliver, .view = on_view, .down = on_down };

static void test_order(void)
{
	struct seen x = { .loop = loop_new(), .stop_at = 4 };

	MUST(x.loop && local_new(&x.b, x.loop, &events, &x) == 0);
	CHECK(x.views == 0 && x.b->send(x.b, GCS_NORMAL, "x", 1) == -DSI_ENOTCONN);
	CHECK(loop_run(x.loop) == 0);
	CHECK(memcmp(x.order, "unob", 4) == 0 && x.ring_seq != 0);
	/* again: what waits is lost, a new view follows */
	{
		u64 seq = x.ring_seq;

		CHECK(x.b->send(x.b, GCS_NORMAL, "x", 1) == 0);
		x.b->again(x.b);
		CHECK(x.b->send(x.b, GCS_NORMAL, "x", 1) == -DSI_ENOTCONN);
		x.views = x.delivered = 0;
		CHECK(loop_run(x.loop) == 0 && x.ring_seq > seq && x.views == 1 && memcmp(x.order, "unob", 4) == 0);
	}
	x.b->free(x.b);
	loop_free(x.loop);
}

static void test_bounds(void)
{
	static u8 big[LIM_RING_MSG + 1];
	struct seen x = { .loop = loop_new(), .stop_at = 4 };

	MUST(x.loop && local_new(&x.b, x.loop, &events, &x) == 0);
	CHECK(loop_run(x.loop) == 0);
	CHECK(x.b->send(x.b, GCS_NORMAL, big, sizeof(big)) == -DSI_ELIMIT);
	CHECK(x.b->send(x.b, (enum gcs_prio)3, big, 1) == -DSI_ELIMIT);
	CHECK(x.b->send(x.b, GCS_NORMAL, big, LIM_RING_MSG) == 0);
	for (int i = 1; i < LIM_QUEUE; i++)
		CHECK(x.b->send(x.b, GCS_NORMAL, "x", 1) == 0);
	CHECK(x.b->send(x.b, GCS_NORMAL, "x", 1) == -DSI_EAGAIN);
	x.stop_at = 4 + LIM_QUEUE;
	CHECK(loop_run(x.loop) == 0 && x.delivered == 4 + LIM_QUEUE);
	CHECK(x.b->send(x.b, GCS_NORMAL, "x", 1) == 0);
	x.b->free(x.b); /* with a message waiting */
	loop_free(x.loop);
}

/* The whole way: session over the local backend, as a cluster of one has it. */
struct node {
	struct loop *loop;
	struct fixture_keys k;
	struct session *s;
	u64 value;
};

static bool on_binding(void *ctx, u32 nid, enum msg_role role, u8 ret_pub[CRYPTO_PUB], bool *ret_dead)
{
	struct node *x = ctx;

	memcpy(ret_pub, x->k.keys.pub.sign, CRYPTO_PUB);
	return nid == 1 && role == ROLE_MANAGER;
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body,
		       const u8 *raw, size_t raw_len)
{
	struct node *x = ctx;

	if (info->type != MSG_HEARTBEAT)
		return;
	x->value = ((const struct body_heartbeat *)body)->n;
	loop_stop(x->loop, 0);
}

static void on_session_view(void *ctx, const struct gcs_view *v)
{
	struct node *x = ctx;
	struct body_heartbeat h = { .n = 77 };

	CHECK(session_send(x->s, MSG_HEARTBEAT, GCS_NORMAL, &h) == 0);
}

static void test_session(void)
{
	static const struct session_ops ops = { .binding = on_binding, .message = on_message, .view = on_session_view,
						.down = on_down };
	struct node x = { .loop = loop_new() };
	struct session_config cfg = { .generation = 1, .nid = 1, .role = ROLE_MANAGER, .incarnation = 1,
				      .keys = &x.k.keys };
	struct gcs_backend *b;
	struct err e;

	fixture_keys_start(&x.k, KEYFILE_NODE);
	MUST(x.loop && session_new(&x.s, &cfg, &ops, &x, &e) == 0);
	MUST(local_new(&b, x.loop, &session_events, x.s) == 0);
	session_attach(x.s, b);
	CHECK(loop_run(x.loop) == 0 && x.value == 77);
	b->free(b);
	session_free(x.s);
	loop_free(x.loop);
	fixture_keys_stop(&x.k);
}

int main(void)
{
	RUN(test_order);
	RUN(test_bounds);
	RUN(test_session);
	return fixture_end("gcs_local");
}
