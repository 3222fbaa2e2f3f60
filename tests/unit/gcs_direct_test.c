/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The direct leg: one server, callers with other keys, on one loop; the blocking client in a thread.
 *
 *   server (NID 1) ◀── member (NID 2), newcomer (unbound), blocking client (key file)
 */
#include "gcs/direct.h"

#include <pthread.h>

#include "gcs/direct_wire.h"
#include "gcs/tls.h"
#include "tests/unit/gcs_fixture.h"

#define SECOND 1000000000ull

struct bound {
	u8 pub[CRYPTO_PUB];
	u32 nid;
	bool dead;
};

static struct world {
	struct loop *loop;
	struct fixture_keys server_keys, member_keys, newcomer_keys;
	struct direct *server, *member, *newcomer;
	struct bound bound[4];
	char address[64];
	/* server's side */
	u32 requests;
	struct direct_peer peer;
	struct direct_request *held[DIRECT_CALLS];
	u32 n_held;
	bool hold;
	/* caller's side */
	u32 answers, wanted;
	int code;
	struct direct_peer proved;
	bool have_proved;
	size_t len;
	u8 *got;
	u64 order;
} W;

static u32 on_binding(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role)
{
	for (size_t i = 0; i < ARRAY_SIZE(W.bound); i++)
		if (W.bound[i].nid && !W.bound[i].dead && memcmp(W.bound[i].pub, pub, CRYPTO_PUB) == 0) {
			*ret_role = 1;
			return W.bound[i].nid;
		}
	return 0;
}

static bool on_dead(void *ctx, const u8 pub[CRYPTO_PUB])
{
	for (size_t i = 0; i < ARRAY_SIZE(W.bound); i++)
		if (W.bound[i].dead && memcmp(W.bound[i].pub, pub, CRYPTO_PUB) == 0)
			return true;
	return false;
}

/* SUBMIT is refused with a text; everything else is echoed, at once or when the test says so. */
static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	W.requests++;
	W.peer = *peer;
	if (W.hold)
		W.held[W.n_held++] = rq;
	else if (kind == DIRECT_SUBMIT)
		direct_reply(rq, -DSI_ENOTSAFE, "too \033few votes", 14);
	else
		direct_reply(rq, 0, p, n);
}

static const struct direct_ops ops = { .binding = on_binding, .request = on_request, .dead = on_dead };

static void on_answer(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	W.code = code;
	W.len = n;
	free(W.got);
	W.got = n ? malloc(n) : NULL;
	if (n)
		memcpy(W.got, p, n);
	W.have_proved = peer != NULL;
	if (peer)
		W.proved = *peer;
	W.order = W.order * 10 + (u64)(uintptr_t)ctx;
	if (++W.answers == W.wanted)
		loop_stop(W.loop, 0);
}

static void answers(u32 n)
{
	W.wanted = n;
	W.answers = 0;
	alarm(60);
	CHECK(loop_run(W.loop) == 0);
	alarm(0);
}

static int ask(struct direct *d, const u8 *expect, enum direct_kind kind, const void *p, size_t n)
{
	int rc = direct_call(d, W.address, expect, kind, p, n, 20 * SECOND, on_answer, NULL);

	if (rc != 0)
		return rc;
	W.code = 1;
	answers(1);
	return W.code;
}

static void stop(void *ctx)
{
	loop_stop(W.loop, 0);
}

static void run_for(u64 ns)
{
	struct loop_timer *t = loop_timer_new(W.loop, stop, NULL);

	loop_timer_set(t, ns);
	loop_run(W.loop);
	loop_timer_free(t);
}

static void bind_key(u32 at, const struct fixture_keys *k, u32 nid)
{
	memcpy(W.bound[at].pub, k->keys.pub.sign, CRYPTO_PUB);
	W.bound[at].nid = nid;
	W.bound[at].dead = false;
}

static void world_up(void)
{
	struct err e = { 0 };

	MUST((W.loop = loop_new()));
	bind_key(0, &W.server_keys, 1);
	bind_key(1, &W.member_keys, 2);
	W.bound[2].nid = 0;
	W.requests = W.n_held = 0;
	W.hold = false;
	W.order = 0;
	if (direct_new(&W.server, W.loop, &W.server_keys.keys, "127.0.0.1:0", &ops, NULL, &e) ||
	    direct_new(&W.member, W.loop, &W.member_keys.keys, NULL, &ops, NULL, &e) ||
	    direct_new(&W.newcomer, W.loop, &W.newcomer_keys.keys, NULL, &ops, NULL, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	snprintf(W.address, sizeof(W.address), "127.0.0.1:%u", direct_port(W.server));
	CHECK(direct_port(W.member) == 0);
}

static void world_down(void)
{
	direct_free(W.member);
	direct_free(W.newcomer);
	direct_free(W.server);
	loop_free(W.loop);
}

/* --- tests --------------------------------------------------------------------------------------------- */

static void test_member(void)
{
	world_up();
	CHECK(ask(W.member, NULL, DIRECT_BLOB, "hello", 5) == 0);
	CHECK(W.len == 5 && memcmp(W.got, "hello", 5) == 0);
	CHECK(W.peer.nid == 2 && W.peer.role == 1 && memcmp(W.peer.pub, W.member_keys.keys.pub.sign, 32) == 0);
	CHECK(W.have_proved && W.proved.nid == 1 && memcmp(W.proved.pub, W.server_keys.keys.pub.sign, 32) == 0);
	CHECK(memcmp(W.proved.exporter, W.peer.exporter, CRYPTO_HASH) == 0);
	CHECK(strncmp(W.peer.address, "127.0.0.1:", 10) == 0);
	CHECK(ask(W.member, W.server_keys.keys.pub.sign, DIRECT_ENTRIES, "", 0) == 0 && W.len == 0);
	world_down();
}

/* One connection carries many requests; answers come in the order the server likes. */
static void test_multiplex(void)
{
	struct direct_peer first;

	world_up();
	W.hold = true;
	for (uintptr_t i = 1; i <= 3; i++)
		CHECK(direct_call(W.member, W.address, NULL, DIRECT_BLOB, &i, 1, SECOND * 20, on_answer, (void *)i) == 0);
	W.answers = 0;
	while (W.n_held < 3)
		run_for(SECOND / 100);
	first = W.peer;
	for (int i = 2; i >= 0; i--)
		direct_reply(W.held[i], 0, NULL, 0);
	answers(3);
	CHECK(W.order == 321);
	W.hold = false;
	CHECK(ask(W.member, NULL, DIRECT_BLOB, "x", 1) == 0);
	CHECK(memcmp(&first, &W.peer, sizeof(first)) == 0); /* same port, same exporter: same connection */
	world_down();
}

static void test_large(void)
{
	size_t n = LIM_DIRECT_FRAME - DIRECT_HEAD;
	u8 *big = malloc(n + 1);

	MUST(big);
	for (size_t i = 0; i < n; i++)
		big[i] = (u8)(i * 7 + (i >> 9));
	world_up();
	for (int i = 0; i < 3; i++)
		CHECK(ask(W.member, NULL, DIRECT_BLOB_PUT, big, n) == 0 && W.len == n && memcmp(W.got, big, n) == 0);
	CHECK(ask(W.member, NULL, DIRECT_BLOB_PUT, big, n + 1) == -DSI_ELIMIT);
	W.hold = true;
	MUST(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, 20 * SECOND, on_answer, NULL) == 0);
	while (W.n_held < 1)
		run_for(SECOND / 100);
	direct_reply(W.held[0], 0, big, n + 1); /* the server's mistake is an error there, not a bad frame here */
	answers(1);
	CHECK(W.code == -DSI_ELIMIT);
	/* sixteen large answers at once: more than may wait, all arrive */
	W.n_held = 0;
	for (int i = 0; i < DIRECT_REQUESTS; i++)
		MUST(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, 40 * SECOND, on_answer, NULL) == 0);
	while (W.n_held < DIRECT_REQUESTS)
		run_for(SECOND / 100);
	for (u32 i = 0; i < W.n_held; i++)
		direct_reply(W.held[i], 0, big, n);
	answers(DIRECT_REQUESTS);
	CHECK(W.code == 0 && W.len == n);
	world_down();
	free(big);
}

static void test_newcomer(void)
{
	static u8 big[DIRECT_FRAME_NEWCOMER];

	world_up();
	CHECK(ask(W.newcomer, NULL, DIRECT_ROOTS, "r", 1) == 0 && W.requests == 1 && W.peer.nid == 0);
	CHECK(W.have_proved && memcmp(W.proved.exporter, W.peer.exporter, CRYPTO_HASH) == 0);
	CHECK(ask(W.newcomer, NULL, DIRECT_ENROL, "e", 1) == 0 && W.requests == 2);
	for (int kind = DIRECT_ENTRIES; kind <= DIRECT_SUBMIT; kind++) {
		if (kind == DIRECT_ENROL || kind == DIRECT_ROOTS)
			continue;
		CHECK(ask(W.newcomer, W.server_keys.keys.pub.sign, (enum direct_kind)kind, "x", 1) == -DSI_EAUTH);
	}
	CHECK(W.requests == 2);
	CHECK(ask(W.newcomer, NULL, DIRECT_ENTRIES, "x", 1) == -DSI_EAUTH && W.requests == 2);
	CHECK(ask(W.newcomer, NULL, DIRECT_ENROL, big, sizeof(big)) < 0 && W.requests == 2);
	/* enrolled meanwhile: the same connection is a member's now */
	CHECK(ask(W.newcomer, NULL, DIRECT_ROOTS, "r", 1) == 0);
	bind_key(2, &W.newcomer_keys, 3);
	CHECK(ask(W.newcomer, NULL, DIRECT_ENTRIES, "x", 1) == 0 && W.peer.nid == 3);
	world_down();
}

static void test_pin(void)
{
	world_up();
	CHECK(ask(W.member, W.member_keys.keys.pub.sign, DIRECT_BLOB, "x", 1) == -DSI_EAUTH && W.requests == 0);
	W.bound[0].nid = 0; /* the server's key is not in the log */
	CHECK(ask(W.member, NULL, DIRECT_BLOB, "x", 1) == -DSI_EAUTH);
	CHECK(ask(W.member, W.server_keys.keys.pub.sign, DIRECT_BLOB, "x", 1) == 0);
	world_down();
}

static void test_timeout(void)
{
	world_up();
	W.hold = true;
	MUST(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, SECOND / 5, on_answer, NULL) == 0);
	answers(1);
	CHECK(W.code == -DSI_ETIMEDOUT && !W.have_proved && W.n_held == 1);
	direct_reply(W.held[0], 0, "late", 4);
	W.hold = false;
	CHECK(ask(W.member, NULL, DIRECT_BLOB, "y", 1) == 0 && W.len == 1 && W.got[0] == 'y');
	world_down();
}

static void test_unreachable(void)
{
	world_up();
	snprintf(W.address, sizeof(W.address), "127.0.0.1:1");
	CHECK(ask(W.member, NULL, DIRECT_BLOB, "x", 1) == -DSI_ENOTCONN);
	CHECK(direct_call(W.member, "host.example:1", NULL, DIRECT_BLOB, "x", 1, 1, on_answer, NULL) == -DSI_EINVAL);
	CHECK(direct_call(W.member, W.address, NULL, (enum direct_kind)99, "x", 1, 1, on_answer, NULL) == -DSI_EINVAL);
	world_down();
}

/* A verdict: what is open is cut, what comes is not even a newcomer. */
static void test_revoked(void)
{
	world_up();
	W.hold = true;
	MUST(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, 20 * SECOND, on_answer, NULL) == 0);
	while (W.n_held < 1)
		run_for(SECOND / 100);
	direct_recheck(W.server); /* nothing changed: nothing happens */
	run_for(SECOND / 20);
	W.bound[1].dead = true;
	direct_recheck(W.server);
	answers(1);
	CHECK(W.code == -DSI_ENOTCONN);
	direct_reply(W.held[0], 0, "into the void", 13);
	W.hold = false;
	CHECK(ask(W.member, W.server_keys.keys.pub.sign, DIRECT_ROOTS, "x", 1) < 0 && W.requests == 1);
	/* without a recheck the next request on a kept connection is judged by the log of now */
	bind_key(1, &W.member_keys, 2);
	CHECK(ask(W.member, NULL, DIRECT_BLOB, "x", 1) == 0);
	W.bound[1].nid = 0;
	CHECK(ask(W.member, W.server_keys.keys.pub.sign, DIRECT_BLOB, "x", 1) == -DSI_ENOTCONN && W.requests == 2);
	world_down();
}

/* The caller's side of it: the server it speaks with is revoked. */
static void test_server_revoked(void)
{
	world_up();
	W.hold = true;
	MUST(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, 20 * SECOND, on_answer, NULL) == 0);
	while (W.n_held < 1)
		run_for(SECOND / 100);
	W.bound[0].dead = true;
	direct_recheck(W.member);
	answers(1);
	CHECK(W.code == -DSI_EREVOKED);
	direct_reply(W.held[0], 0, NULL, 0);
	CHECK(ask(W.member, NULL, DIRECT_BLOB, "x", 1) == -DSI_EREVOKED);
	world_down();
}

static void test_bounds(void)
{
	world_up();
	W.hold = true;
	for (int i = 0; i < DIRECT_CALLS; i++)
		CHECK(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, 20 * SECOND, on_answer, NULL) == 0);
	CHECK(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, 1, on_answer, NULL) == -DSI_EAGAIN);
	run_for(SECOND / 2);
	CHECK(W.n_held == DIRECT_REQUESTS); /* the rest waits unread */
	W.hold = false;
	for (u32 i = 0; i < W.n_held; i++)
		direct_reply(W.held[i], 0, NULL, 0);
	answers(DIRECT_CALLS);
	CHECK(W.code == 0 && W.requests == DIRECT_CALLS);
	world_down();
}

/* Freed with calls under way and requests unanswered: each is told, nothing leaks. */
static void test_free(void)
{
	world_up();
	W.hold = true;
	for (int i = 0; i < 3; i++)
		MUST(direct_call(W.member, W.address, NULL, DIRECT_BLOB, "x", 1, 20 * SECOND, on_answer, NULL) == 0);
	while (W.n_held < 3)
		run_for(SECOND / 100);
	W.answers = 0;
	direct_free(W.member);
	W.member = NULL;
	CHECK(W.answers == 3 && W.code == -DSI_ENOTCONN);
	run_for(SECOND / 20);
	direct_free(W.server);
	W.server = NULL;
	for (u32 i = 0; i < W.n_held; i++)
		direct_reply(W.held[i], 0, NULL, 0);
	world_down();
	direct_free(NULL);
}

/* --- the blocking client --------------------------------------------------------------------------------- */

static struct {
	struct loop_wake *wake;
	int rc_enrol, rc_submit, rc_entries;
	struct direct_peer peer;
	char text[1024];
	bool echoed;
} T;

static void *client_main(void *arg)
{
	struct direct_client *c = NULL;
	struct err e = { 0 };
	u8 *p = NULL;
	size_t n = 0;

	if (direct_connect(&c, W.address, W.newcomer_keys.path, 10000, &T.peer, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		goto out;
	}
	T.rc_enrol = direct_request(c, DIRECT_ENROL, "abc", 3, &p, &n, &e);
	T.echoed = T.rc_enrol == 0 && n == 3 && memcmp(p, "abc", 3) == 0;
	free(p);
	T.rc_entries = direct_request(c, DIRECT_ENTRIES, "", 0, &p, &n, &e);
	direct_close(c);
	c = NULL;
	bind_key(2, &W.newcomer_keys, 3);
	if (direct_connect(&c, W.address, W.newcomer_keys.path, 10000, &T.peer, &e) != 0)
		goto out;
	T.rc_submit = direct_request(c, DIRECT_SUBMIT, "", 0, &p, &n, &e);
	memcpy(T.text, e.text, sizeof(T.text));
out:
	direct_close(c);
	loop_wake(T.wake);
	return NULL;
}

static void test_client(void)
{
	pthread_t t;

	world_up();
	T.wake = loop_wake_new(W.loop, stop, NULL);
	MUST(T.wake && pthread_create(&t, NULL, client_main, NULL) == 0);
	alarm(60);
	loop_run(W.loop);
	alarm(0);
	pthread_join(t, NULL);
	CHECK(T.rc_enrol == 0 && T.echoed && T.rc_entries == -DSI_EAUTH && T.rc_submit == -DSI_ENOTSAFE);
	CHECK(strstr(T.text, "SUBMIT: not safe: too ?few votes")); /* no escape reaches the terminal */
	CHECK(memcmp(T.peer.pub, W.server_keys.keys.pub.sign, 32) == 0 && T.peer.nid == 0);
	CHECK(memcmp(T.peer.exporter, W.peer.exporter, CRYPTO_HASH) == 0);
	loop_wake_free(T.wake);
	world_down();
}

static void test_client_fails(void)
{
	struct direct_client *c = NULL;
	struct direct_peer peer;
	struct err e = { 0 };

	CHECK(direct_connect(&c, "127.0.0.1:1", W.newcomer_keys.path, 1000, &peer, &e) == -DSI_ENOTCONN && !c);
	CHECK(strstr(e.text, "127.0.0.1:1"));
	CHECK(direct_connect(&c, "nowhere", W.newcomer_keys.path, 1000, &peer, &e) == -DSI_EINVAL);
	CHECK(direct_connect(&c, "127.0.0.1:1", "/nonexistent", 1000, &peer, &e) < 0);
	direct_close(NULL);
}

/* --- wire ------------------------------------------------------------------------------------------------- */

static void test_wire(void)
{
	u8 b[64] = { 0 };
	struct direct_frame f;
	struct sockaddr_storage sa;
	socklen_t len;

	direct_head_put(b, DIRECT_BLOB | DIRECT_REPLY, 7, 9, 3);
	for (size_t n = 0; n < DIRECT_HEAD + 3; n++)
		CHECK(direct_frame_get(&f, b, n, 64) == 0);
	CHECK(direct_frame_get(&f, b, 64, 64) == DIRECT_HEAD + 3);
	CHECK(f.kind == DIRECT_BLOB && f.reply && f.code == 7 && f.id == 9 && f.n == 3 && f.p == b + DIRECT_HEAD);
	CHECK(direct_frame_get(&f, b, 4, DIRECT_HEAD + 2) == -DSI_ELIMIT);
	b[0] = 7;
	CHECK(direct_frame_get(&f, b, 4, 64) == -DSI_EPEER);
	CHECK(direct_kind_who(DIRECT_ENROL) == DIRECT_WHO_NEWCOMER && direct_kind_who(DIRECT_RING) == DIRECT_WHO_MEMBER);
	CHECK(direct_kind_who(0) == 0 && direct_kind_who(99) == 0 && strcmp(direct_kind_name(2), "BLOB") == 0);
	CHECK(direct_address("[::1]:80", false, &sa, &len, NULL) == 0 && sa.ss_family == AF_INET6);
	CHECK(direct_address("192.0.2.1:6530", false, &sa, &len, NULL) == 0 && sa.ss_family == AF_INET);
	static const char *const bad[] = { "", ":", "192.0.2.1", "192.0.2.1:", ":80", "::1:80", "[::1:80", "[]:80",
					   "1.2.3.4:123456", "1.2.3.4:x", "name:80" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(direct_address(bad[i], false, &sa, &len, NULL) == -DSI_EINVAL);
}

int main(void)
{
	fixture_keys_start(&W.server_keys, KEYFILE_SERVER);
	fixture_keys_start(&W.member_keys, KEYFILE_NODE);
	fixture_keys_start(&W.newcomer_keys, KEYFILE_NODE);
	RUN(test_wire);
	RUN(test_member);
	RUN(test_multiplex);
	RUN(test_large);
	RUN(test_newcomer);
	RUN(test_pin);
	RUN(test_timeout);
	RUN(test_unreachable);
	RUN(test_revoked);
	RUN(test_server_revoked);
	RUN(test_bounds);
	RUN(test_free);
	RUN(test_client);
	RUN(test_client_fails);
	free(W.got);
	fixture_keys_stop(&W.server_keys);
	fixture_keys_stop(&W.member_keys);
	fixture_keys_stop(&W.newcomer_keys);
	return fixture_end("gcs_direct");
}
