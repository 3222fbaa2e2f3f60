/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: anybody who reaches the port of the direct leg. He sends garbage, old TLS, no certificate, a
 * certificate of a stranger; he opens connections and says nothing, or says one byte at a time; he announces
 * frames he never sends; he speaks when he was not asked. And a server that is not what it seems does the
 * same to a caller. Members must be served meanwhile, memory must stay bounded, nobody unproved may get a
 * request through.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "gcs/direct.h"
#include "gcs/direct_wire.h"
#include "gcs/tls.h"
#include "lib/buf.h"
#include "tests/unit/gcs_fixture.h"

#define SECOND 1000000000ull

static struct fixture_keys server_keys, member_keys, stranger_keys;
static struct loop *loop;
static struct direct *server, *member;
static u32 requests, answers;
static int code;
static char address[64];

static u32 on_binding(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role)
{
	*ret_role = 1;
	if (memcmp(pub, server_keys.keys.pub.sign, CRYPTO_PUB) == 0)
		return 1;
	return memcmp(pub, member_keys.keys.pub.sign, CRYPTO_PUB) == 0 ? 2 : 0;
}

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	requests++;
	direct_reply(rq, 0, p, n);
}

static const struct direct_ops ops = { .binding = on_binding, .request = on_request };

static void on_answer(void *ctx, int rc, const struct direct_peer *peer, const u8 *p, size_t n)
{
	code = rc;
	answers++;
	loop_stop(loop, 0);
}

static void stop(void *ctx)
{
	loop_stop(loop, 0);
}

static void run_for(u64 ns)
{
	struct loop_timer *t = loop_timer_new(loop, stop, NULL);

	loop_timer_set(t, ns);
	loop_run(loop);
	loop_timer_free(t);
}

static int ask(const char *where)
{
	u32 before = answers;

	MUST(direct_call(member, where, NULL, DIRECT_BLOB, "x", 1, 20 * SECOND, on_answer, NULL) == 0);
	while (answers == before)
		loop_run(loop);
	return code;
}

static void up(void)
{
	struct err e = { 0 };

	MUST((loop = loop_new()));
	MUST(direct_new(&server, loop, &server_keys.keys, "127.0.0.1:0", &ops, NULL, &e) == 0);
	MUST(direct_new(&member, loop, &member_keys.keys, NULL, &ops, NULL, &e) == 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", direct_port(server));
	requests = 0;
	alarm(120);
}

static void down(void)
{
	direct_free(member);
	direct_free(server);
	loop_free(loop);
	alarm(0);
}

/* --- a raw socket ------------------------------------------------------------------------------------- */

static int raw(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(direct_port(server)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

/* True when the server has closed it, within the time. */
static bool cut(int fd, u64 ns)
{
	for (u64 end = loop_boottime() + ns; loop_boottime() < end;) {
		u8 sink[4096];
		ssize_t n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		run_for(SECOND / 50);
	}
	return false;
}

static void test_garbage(void)
{
	static const char *const says[] = { "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\xff\xff", "SSH-2.0-x\r\n",
					    "\x80\x2e\x01\x03\x01 a hello of SSL 2, and more of it than it promises" };
	u8 noise[4096];

	up();
	for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
		int fd = raw();

		MUST(send(fd, says[i], strlen(says[i]), 0) > 0);
		CHECK(cut(fd, 2 * SECOND));
		close(fd);
	}
	for (int i = 0; i < 50; i++) {
		int fd = raw();

		MUST(crypto_random(noise, sizeof(noise)) == 0);
		noise[0] &= 0x0f; /* no record's first byte, nor SSLv2's: else it may be a beginning, which has ten seconds */
		if (i % 2)
			memcpy(noise, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11); /* a ClientHello of noise */
		(void)!send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
		CHECK(cut(fd, 2 * SECOND));
		close(fd);
	}
	CHECK(requests == 0 && ask(address) == 0 && requests == 1);
	down();
}

/* Silence, and one byte at a time: the handshake has one deadline. Members get in meanwhile. */
static void test_slow(void)
{
	int silent[DIRECT_CONNS_ADDRESS / 2], drip, more;
	u64 began;

	up();
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		silent[i] = raw();
	drip = raw();
	began = loop_boottime();
	CHECK(ask(address) == 0);
	MUST(send(drip, "\x16\x03\x01\x02\x00", 5, 0) == 5);
	while (loop_boottime() - began < DIRECT_HANDSHAKE_NS + SECOND) {
		(void)!send(drip, "\1", 1, MSG_NOSIGNAL);
		run_for(SECOND / 4);
	}
	CHECK(cut(drip, SECOND));
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		CHECK(cut(silent[i], SECOND / 10));
		close(silent[i]);
	}
	close(drip);
	more = raw();
	CHECK(!cut(more, SECOND / 10)); /* places are free again */
	close(more);
	down();
}

/* One address cannot take all places; and who waits longest makes room for who comes. */
static void test_many(void)
{
	int fd[DIRECT_CONNS_ADDRESS + 4], open = 0;

	up();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = raw();
		run_for(SECOND / 100);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		open += !cut(fd[i], SECOND / 50);
		close(fd[i]);
	}
	CHECK(open == DIRECT_CONNS_ADDRESS);
	run_for(SECOND / 20);
	CHECK(ask(address) == 0);
	down();
}

/* openssl's client as a peer that is not ours. True when it believes in a handshake. */
static bool s_client(const char *options)
{
	char cmd[512];
	FILE *f;
	bool done = false;
	char line[512];

	snprintf(cmd, sizeof(cmd), "(sleep 1; echo x) 2>/dev/null | timeout 10 openssl s_client -connect %s %s 2>&1", address,
		 options);
	f = popen(cmd, "r");
	MUST(f);
	for (struct pollfd p = { .fd = fileno(f), .events = POLLIN };;) {
		run_for(SECOND / 50);
		if (poll(&p, 1, 0) == 0)
			continue;
		if (!fgets(line, sizeof(line), f))
			break;
		done |= strstr(line, "Cipher is") && !strstr(line, "(NONE)");
	}
	pclose(f);
	return done;
}

static void test_foreign_tls(void)
{
	up();
	CHECK(!s_client("-tls1_2"));
	CHECK(!s_client("-tls1_3 -groups P-256"));
	CHECK(!s_client("-tls1_3 -sigalgs ECDSA+SHA256"));
	(void)s_client("-tls1_3"); /* no certificate: TLS 1.3 lets him believe, until he speaks */
	CHECK(requests == 0 && ask(address) == 0);
	down();
}

/* --- a peer that has TLS right and frames wrong ---------------------------------------------------------- */

static int sign_with(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	return keys_sign(ctx, purpose, p, n, ret);
}

struct bad_peer {
	struct tls *tls;
	struct tls_conn *c;
	int fd;
};

static void bad_flush(struct bad_peer *b)
{
	const u8 *p;
	size_t n;

	while ((n = tls_output(b->c, &p)) > 0) {
		ssize_t done = send(b->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done <= 0)
			return;
		tls_output_done(b->c, (size_t)done);
	}
}

static void bad_pump(struct bad_peer *b)
{
	u8 buf[4096];
	ssize_t n;

	bad_flush(b);
	run_for(SECOND / 100);
	n = recv(b->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0)
		tls_input(b->c, buf, (size_t)n);
	bad_flush(b);
}

static void bad_open(struct bad_peer *b, struct fixture_keys *k, int fd, bool as_server)
{
	struct tls_key key = { .sign = sign_with, .ctx = &k->keys };
	struct err e = { 0 };

	memcpy(key.pub, k->keys.pub.sign, CRYPTO_PUB);
	MUST(tls_new(&b->tls, &key, &e) == 0);
	MUST((b->c = tls_conn_new(b->tls, as_server)));
	b->fd = fd;
	if (!as_server)
		tls_input(b->c, NULL, 0);
	for (int i = 0; i < 300 && tls_state(b->c) == TLS_HANDSHAKE; i++)
		bad_pump(b);
	for (int i = 0; i < 3; i++)
		bad_pump(b);
}

static void bad_close(struct bad_peer *b)
{
	close(b->fd);
	tls_conn_free(b->c);
	tls_free(b->tls);
}

static void bad_say(struct bad_peer *b, u32 len, u16 kind, u16 reply_code, u32 id, const void *p, size_t n)
{
	u8 head[DIRECT_HEAD];
	struct wbuf w;

	wbuf_fixed(&w, head, sizeof(head));
	wbuf_u32(&w, len);
	wbuf_u16(&w, kind);
	wbuf_u16(&w, reply_code);
	wbuf_u32(&w, id);
	MUST(tls_write(b->c, head, sizeof(head)) == 0);
	if (n)
		MUST(tls_write(b->c, p, n) == 0);
	bad_flush(b);
}

static void test_frames(void)
{
	static const struct {
		const char *what;
		u32 len;
		u16 kind, code;
		bool stranger;
	} bad[] = {
		{ "length below the head", 7, DIRECT_BLOB, 0, false },
		{ "length over the limit", LIM_DIRECT_FRAME - 3, DIRECT_BLOB, 0, false },
		{ "length of 4 GiB", UINT32_MAX, DIRECT_BLOB, 0, false },
		{ "stranger over his limit", DIRECT_FRAME_NEWCOMER - 3, DIRECT_ENROL, 0, true },
		{ "a reply to nothing", 8, DIRECT_BLOB | DIRECT_REPLY, 0, false },
		{ "a request with a code", 8, DIRECT_BLOB, 3, false },
	};

	up();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bad_peer b;
		u64 began;

		bad_open(&b, bad[i].stranger ? &stranger_keys : &member_keys, raw(), false);
		CHECK(tls_state(b.c) == TLS_OPEN);
		began = loop_boottime();
		bad_say(&b, bad[i].len, bad[i].kind, bad[i].code, 1, NULL, 0);
		if (!cut(b.fd, 3 * SECOND) || loop_boottime() - began > 2 * SECOND) {
			fprintf(stderr, "not cut at once: %s\n", bad[i].what);
			fixture_failed++;
		}
		bad_close(&b);
	}
	CHECK(requests == 0);
	down();
}

/* The limits themselves are fine; one more byte is not. */
static void test_frame_edges(void)
{
	static u8 big[LIM_DIRECT_FRAME];
	struct bad_peer b;

	up();
	bad_open(&b, &stranger_keys, raw(), false);
	bad_say(&b, DIRECT_FRAME_NEWCOMER - 4, DIRECT_ENROL, 0, 1, big, DIRECT_FRAME_NEWCOMER - DIRECT_HEAD);
	for (int i = 0; i < 100 && requests == 0; i++)
		bad_pump(&b);
	CHECK(requests == 1);
	bad_close(&b);
	bad_open(&b, &stranger_keys, raw(), false);
	bad_say(&b, 8, 99, 0, 1, NULL, 0); /* a kind that does not exist: answered, not cut */
	CHECK(!cut(b.fd, SECOND / 5));
	bad_close(&b);
	down();
}

/* A stranger who floods requests and never reads what comes back: he stops, we do not grow. */
static void test_never_reads(void)
{
	static u8 body[32 << 10];
	struct bad_peer b;
	u32 seen;

	up();
	bad_open(&b, &member_keys, raw(), false);
	for (u32 i = 1; i < 2000; i++) {
		bad_say(&b, sizeof(body) + 8, DIRECT_BLOB, 0, i, body, sizeof(body));
		if (i % 8 == 0)
			run_for(SECOND / 1000);
	}
	run_for(SECOND);
	seen = requests;
	run_for(SECOND);
	CHECK(requests == seen && seen < 2000); /* not read any further */
	CHECK(ask(address) == 0);
	bad_close(&b);
	down();
}

/* --- a server that is not what it seems -------------------------------------------------------------------- */

static int listener(u16 *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, 4) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static void test_bad_server(void)
{
	static const struct {
		const char *what;
		u32 len;
		u16 kind, code;
		u32 id;
	} bad[] = {
		{ "asks its caller", 8, DIRECT_ENTRIES, 0, 1 },
		{ "answers what was not asked", 8, DIRECT_BLOB | DIRECT_REPLY, 0, 77 },
		{ "answers with another kind", 8, DIRECT_ENTRIES | DIRECT_REPLY, 0, 1 },
		{ "answers with a code that is none", 8, DIRECT_BLOB | DIRECT_REPLY, 5000, 1 },
		{ "answers with a length over the limit", LIM_DIRECT_FRAME, DIRECT_BLOB | DIRECT_REPLY, 0, 1 },
	};
	char where[64];
	u16 port;
	int l;

	up();
	l = listener(&port);
	snprintf(where, sizeof(where), "127.0.0.1:%u", port);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bad_peer b;
		u32 before = answers;
		int fd = -1;

		MUST(direct_call(member, where, NULL, DIRECT_BLOB, "x", 1, 20 * SECOND, on_answer, NULL) == 0);
		while ((fd = accept(l, NULL, NULL)) < 0)
			run_for(SECOND / 100);
		bad_open(&b, &server_keys, fd, true);
		CHECK(tls_state(b.c) == TLS_OPEN);
		bad_say(&b, bad[i].len, bad[i].kind, bad[i].code, bad[i].id, NULL, 0);
		while (answers == before)
			loop_run(loop);
		if (code != -DSI_EPEER && code != -DSI_ELIMIT) {
			fprintf(stderr, "a server that %s: code %d\n", bad[i].what, code);
			fixture_failed++;
		}
		bad_close(&b);
	}
	close(l);
	down();
}

/* A man in the middle has a key of his own: the member sees that it is not in the log. */
static void test_middle(void)
{
	struct bad_peer b;
	char where[64];
	u32 before = answers;
	u16 port;
	int l, fd;

	up();
	l = listener(&port);
	snprintf(where, sizeof(where), "127.0.0.1:%u", port);
	MUST(direct_call(member, where, NULL, DIRECT_BLOB, "secret", 6, 20 * SECOND, on_answer, NULL) == 0);
	while ((fd = accept(l, NULL, NULL)) < 0)
		run_for(SECOND / 100);
	bad_open(&b, &stranger_keys, fd, true);
	while (answers == before)
		loop_run(loop);
	CHECK(code == -DSI_EAUTH);
	u8 buf[16];
	CHECK(tls_read(b.c, buf, sizeof(buf)) <= 0); /* and says nothing to him */
	bad_close(&b);
	close(l);
	down();
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	fixture_keys_start(&server_keys, KEYFILE_SERVER);
	fixture_keys_start(&member_keys, KEYFILE_NODE);
	fixture_keys_start(&stranger_keys, KEYFILE_NODE);
	RUN(test_garbage);
	RUN(test_many);
	RUN(test_foreign_tls);
	RUN(test_frames);
	RUN(test_frame_edges);
	RUN(test_never_reads);
	RUN(test_bad_server);
	RUN(test_middle);
	RUN(test_slow);
	fixture_keys_stop(&server_keys);
	fixture_keys_stop(&member_keys);
	fixture_keys_stop(&stranger_keys);
	return fixture_end("sec direct");
}
