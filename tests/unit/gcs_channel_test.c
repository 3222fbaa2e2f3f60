/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channel and its proxy.
 *   scripted: the test plays the channel, byte by byte, against a real proxy
 *   whole:    a real channel process on a corosync of straw (corosync_new is defined here) against a real
 *             proxy: order, credit, back-pressure, the channel's death
 *   orphan:   what a channel says where no corosync runs is tested in tests/netns/20-cpg.sh
 */
#include "gcs/channel.h"

#include "gcs/channel_proxy.h"
#include "gcs/corosync.h"
#include "lib/link.h"
#include "lib/loop.h"
#include "tests/unit/gcs_fixture.h"

/* --- corosync of straw: echoes, floods, and obeys pause ------------------------------------------- */

struct straw {
	struct gcs_backend b;
	struct loop *loop;
	const struct corosync_ops *ops;
	void *ctx;
	struct loop_timer *turn;
	bool paused, told;
	u32 flood, flooded, pauses;
};

static const struct gcs_view straw_view = {
	.ring = { 3, 0x1122334455667788 }, .quorate = true, .expected = 3, .total = 2, .token_ns = 1125000000,
	.consensus_ns = 1350000000, .n = 2, .members = { { 1, 10 }, { 3, 30 } },
};

static void straw_deliver(struct straw *x, const void *p, size_t n)
{
	x->ops->events.deliver(x->ctx, (struct gcs_member){ 3, 30 }, p, n);
}

static void straw_turn(void *ctx)
{
	static u8 big[32 << 10];
	struct straw *x = ctx;

	if (!x->told) {
		x->told = true;
		x->ops->events.down(x->ctx, "not yet");
		x->ops->events.view(x->ctx, &straw_view);
		x->ops->events.quorum(x->ctx, &straw_view);
	}
	while (x->flooded < x->flood && !x->paused) {
		memcpy(big, &x->flooded, sizeof(x->flooded));
		x->flooded++;
		straw_deliver(x, big, sizeof(big));
		if (x->paused)
			x->pauses++;
	}
	if (x->flood && x->flooded == x->flood) {
		char text[64];

		x->flood = 0;
		straw_deliver(x, text, (size_t)snprintf(text, sizeof(text), "done %u", x->pauses));
	}
}

static int straw_send(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	struct straw *x = container_of(b, struct straw, b);

	if (n == 5 && memcmp(p, "crash", 5) == 0)
		_exit(9);
	if (n == 4 && memcmp(p, "drop", 4) == 0)
		return -DSI_ENOTCONN;
	if (n == 5 && memcmp(p, "flood", 5) == 0) {
		x->flood = 2000; /* 64 MiB: four times what may wait */
		loop_timer_set(x->turn, 1);
	} else {
		straw_deliver(x, p, n);
	}
	x->ops->sent(x->ctx, 1);
	return 0;
}

static void straw_again(struct gcs_backend *b)
{
	straw_deliver(container_of(b, struct straw, b), "again", 5);
}

static void straw_free(struct gcs_backend *b)
{
	struct straw *x = container_of(b, struct straw, b);

	loop_timer_free(x->turn);
	free(x);
}

int corosync_new(struct gcs_backend **ret, struct loop *l, const char *group, const struct corosync_ops *ops, void *ctx)
{
	struct straw *x = calloc(1, sizeof(*x));

	MUST(x && strcmp(group, "dsi") == 0);
	x->b.send = straw_send;
	x->b.free = straw_free;
	x->b.again = straw_again;
	x->b.self = (struct gcs_member){ 1, 10 };
	x->loop = l;
	x->ops = ops;
	x->ctx = ctx;
	x->turn = loop_timer_new(l, straw_turn, x);
	loop_timer_set(x->turn, 1);
	*ret = &x->b;
	return 0;
}

void corosync_pause(struct gcs_backend *b, bool pause)
{
	struct straw *x = container_of(b, struct straw, b);

	x->paused = pause;
	if (!pause)
		loop_timer_set(x->turn, 1);
}

/* --- the parent ----------------------------------------------------------------------------------- */

struct parent {
	struct loop *loop;
	struct gcs_backend *b;
	u32 views, quorums, downs, delivered, stop_at;
	u32 flood_next;
	unsigned pauses;
	bool done;
	char why[256], last[64];
	struct gcs_view view;
};

static void on_deliver(void *ctx, struct gcs_member from, const u8 *p, size_t n)
{
	struct parent *x = ctx;

	CHECK(from.nodeid == 3 && from.pid == 30);
	x->delivered++;
	if (n > sizeof(x->last)) {
		CHECK(memcmp(p, &x->flood_next, sizeof(x->flood_next)) == 0);
		x->flood_next++;
	} else {
		memcpy(x->last, p, n);
		x->last[MIN(n, sizeof(x->last) - 1)] = '\0';
		x->done = sscanf(x->last, "done %u", &x->pauses) == 1;
	}
	if (x->delivered == x->stop_at || x->done)
		loop_stop(x->loop, 0);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	struct parent *x = ctx;

	x->view = *v;
	x->views++;
}

static void on_quorum(void *ctx, const struct gcs_view *v)
{
	struct parent *x = ctx;

	x->quorums++;
	loop_stop(x->loop, 0);
}

static void on_down(void *ctx, const char *why)
{
	struct parent *x = ctx;

	x->downs++;
	snprintf(x->why, sizeof(x->why), "%s", why);
	if (x->downs > 1 || strcmp(why, "not yet") != 0)
		loop_stop(x->loop, 0);
}

static const struct gcs_events events = { .deliver = on_deliver, .view = on_view, .quorum = on_quorum, .down = on_down };

static void alarm_in(struct loop *l, int seconds)
{
	alarm((unsigned)seconds); /* the deadline of everything below: the test dies */
}

static int parent_up(struct parent *x)
{
	int sv[2];

	memset(x, 0, sizeof(*x));
	x->loop = loop_new();
	MUST(x->loop && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == 0);
	MUST(channel_proxy_new(&x->b, x->loop, sv[0], &events, x) == 0);
	alarm_in(x->loop, 60);
	return sv[1];
}

static void parent_down(struct parent *x)
{
	x->b->free(x->b);
	loop_free(x->loop);
	alarm(0);
}

static pid_t channel_up(struct parent *x)
{
	int fd = parent_up(x);
	pid_t pid;

	fflush(NULL);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		for (int i = 3; i < 64; i++)
			if (i != fd)
				close(i);
		channel_run(fd);
	}
	close(fd);
	CHECK(x->b->send(x->b, GCS_NORMAL, "early", 5) == -DSI_ENOTCONN);
	CHECK(loop_run(x->loop) == 0);
	CHECK(x->views == 1 && x->quorums == 1 && x->downs == 1 && strcmp(x->why, "not yet") == 0);
	return pid;
}

static int channel_end(struct parent *x, pid_t pid)
{
	int status;

	parent_down(x);
	MUST(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_whole(void)
{
	struct parent x;
	pid_t pid = channel_up(&x);

	CHECK(x.b->self.nodeid == 1 && x.b->self.pid == 10);
	CHECK(x.view.ring.nodeid == 3 && x.view.ring.seq == straw_view.ring.seq && x.view.n == 2);
	CHECK(x.view.quorate && x.view.expected == 3 && x.view.total == 2 && x.view.token_ns == straw_view.token_ns);
	CHECK(x.view.members[1].nodeid == 3 && x.view.members[1].pid == 30);
	x.stop_at = 3;
	CHECK(x.b->send(x.b, GCS_NORMAL, "one", 3) == 0 && x.b->send(x.b, GCS_NORMAL, "drop", 4) == 0);
	CHECK(x.b->send(x.b, GCS_BULK, "two", 3) == 0 && x.b->send(x.b, GCS_NORMAL, "three", 5) == 0);
	CHECK(channel_proxy_queued(x.b) == 4);
	CHECK(loop_run(x.loop) == 0 && strcmp(x.last, "three") == 0);
	x.stop_at++;
	x.b->again(x.b);
	CHECK(loop_run(x.loop) == 0 && strcmp(x.last, "again") == 0);
	CHECK(channel_end(&x, pid) == 0);
}

/* More than may wait on the link, while the parent sleeps: corosync is paused, not one message is lost. */
static void test_flood(void)
{
	struct parent x;
	pid_t pid = channel_up(&x);

	CHECK(x.b->send(x.b, GCS_NORMAL, "flood", 5) == 0);
	x.stop_at = 1;
	CHECK(loop_run(x.loop) == 0); /* it began */
	usleep(300000);
	x.stop_at = 0;
	CHECK(loop_run(x.loop) == 0);
	CHECK(x.done && x.flood_next == 2000 && x.pauses > 0);
	CHECK(channel_end(&x, pid) == 0);
}

static void test_credit(void)
{
	struct parent x;
	pid_t pid = channel_up(&x);
	u32 n = 0;

	while (x.b->send(x.b, GCS_NORMAL, "m", 1) == 0)
		n++;
	CHECK(n == LIM_QUEUE && x.b->send(x.b, GCS_URGENT, "m", 1) == -DSI_EAGAIN);
	x.stop_at = LIM_QUEUE;
	CHECK(loop_run(x.loop) == 0);
	CHECK(x.b->send(x.b, GCS_NORMAL, "again", 5) == 0);
	x.stop_at++;
	CHECK(loop_run(x.loop) == 0 && channel_proxy_queued(x.b) < LIM_QUEUE);
	CHECK(channel_end(&x, pid) == 0);
}

static void test_crash(void)
{
	struct parent x;
	pid_t pid = channel_up(&x);

	CHECK(x.b->send(x.b, GCS_NORMAL, "crash", 5) == 0);
	CHECK(loop_run(x.loop) == 0);
	CHECK(x.downs == 2 && strcmp(x.why, "the channel process ended") == 0);
	CHECK(x.b->send(x.b, GCS_NORMAL, "m", 1) == -DSI_ENOTCONN);
	CHECK(channel_end(&x, pid) == 9);
}

/* --- scripted ----------------------------------------------------------------------------------------- */

static void frame(int fd, u16 type, const void *p, size_t n)
{
	static u8 buf[LIM_LINK_FRAME + 16];
	struct wbuf w;

	wbuf_fixed(&w, buf, sizeof(buf));
	wbuf_u16(&w, type);
	wbuf_u16(&w, 0);
	wbuf_u32(&w, 0);
	wbuf_bytes(&w, p, n);
	MUST(wbuf_ok(&w) && write(fd, buf, w.len) == (ssize_t)w.len);
}

static size_t view_bytes(u8 *p, const struct gcs_view *v)
{
	struct wbuf w;

	wbuf_fixed(&w, p, 4096);
	channel_view_put(&w, (struct gcs_member){ 1, 10 }, v);
	MUST(wbuf_ok(&w));
	return w.len;
}

/* One nonsense each, after a good view: the proxy says so once and is deaf from then on. */
static void test_nonsense(void)
{
	static const u8 zeros[LIM_RING_MSG + 9];
	static const struct {
		u16 type;
		size_t n;
		const char *what;
	} bad[] = {
		{ 0, 0, "type 0" },
		{ 77, 4, "unknown type" },
		{ CHANNEL_SEND, 4, "its own type back" },
		{ CHANNEL_SENT, 3, "short credit" },
		{ CHANNEL_SENT, 5, "long credit" },
		{ CHANNEL_DELIVER, 7, "delivery without a sender" },
		{ CHANNEL_DELIVER, sizeof(zeros), "delivery too long" },
		{ CHANNEL_VIEW, 0, "empty view" },
		{ CHANNEL_VIEW, 49, "view of nobody" },
		{ CHANNEL_QUORUM, 10, "short quorum" },
		{ CHANNEL_DOWN, 3, "text of NULs" },
		{ CHANNEL_DOWN, 300, "text too long" },
	};
	u8 buf[4096];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct parent x;
		int fd = parent_up(&x);

		frame(fd, CHANNEL_VIEW, buf, view_bytes(buf, &straw_view));
		frame(fd, bad[i].type, zeros, bad[i].n);
		frame(fd, CHANNEL_VIEW, buf, view_bytes(buf, &straw_view));
		CHECK(loop_run(x.loop) == 0);
		if (x.downs != 1 || x.views != 1 || strcmp(x.why, "the channel process broke the protocol") != 0) {
			fprintf(stderr, "%s: %s (%u views)\n", bad[i].what, x.why, x.views);
			fixture_failed++;
		}
		CHECK(x.b->send(x.b, GCS_NORMAL, "m", 1) == -DSI_ENOTCONN);
		parent_down(&x);
		close(fd);
	}
}

static void test_credit_forged(void)
{
	struct parent x;
	int fd = parent_up(&x);
	u8 buf[4096];

	frame(fd, CHANNEL_VIEW, buf, view_bytes(buf, &straw_view));
	frame(fd, CHANNEL_SENT, "\1\0\0\0", 4); /* nothing was sent */
	CHECK(loop_run(x.loop) == 0 && x.downs == 1);
	parent_down(&x);
	close(fd);
}

static void test_deliver_without_view(void)
{
	struct parent x;
	int fd = parent_up(&x);

	frame(fd, CHANNEL_DELIVER, "\3\0\0\0\36\0\0\0x", 9);
	CHECK(loop_run(x.loop) == 0 && x.downs == 1 && x.delivered == 0);
	parent_down(&x);
	close(fd);
}

static int view_read(const u8 *p, size_t n)
{
	struct gcs_member self;
	struct gcs_view v;
	struct rbuf r;

	rbuf_init(&r, p, n);
	return channel_view_get(&r, &self, &v);
}

static void test_view_strict(void)
{
	struct gcs_view v = straw_view;
	u8 buf[4096];
	size_t n = view_bytes(buf, &v);

	CHECK(view_read(buf, n) == 0);
	for (size_t i = 0; i < n; i++)
		CHECK(view_read(buf, i) != 0);
	CHECK(view_read(buf, n + 1) != 0);
	v.members[1] = v.members[0]; /* twice the same */
	CHECK(view_read(buf, view_bytes(buf, &v)) != 0);
	v.members[1] = (struct gcs_member){ 1, 9 }; /* not ascending */
	CHECK(view_read(buf, view_bytes(buf, &v)) != 0);
	v = straw_view;
	n = view_bytes(buf, &v);
	buf[20] = 2; /* quorate */
	CHECK(view_read(buf, n) != 0);
	v.n = LIM_NODES;
	for (u32 i = 0; i < LIM_NODES; i++)
		v.members[i] = (struct gcs_member){ i + 1, 5 };
	CHECK(view_read(buf, view_bytes(buf, &v)) == 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	RUN(test_view_strict);
	RUN(test_nonsense);
	RUN(test_credit_forged);
	RUN(test_deliver_without_view);
	RUN(test_whole);
	RUN(test_flood);
	RUN(test_credit);
	RUN(test_crash);
	return fixture_end("gcs_channel");
}
