/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links: order and priority, the bound and its release, descriptors, hostile peers, the blocking calls. */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/limits.h"
#include "lib/link.h"
#include "tests/unit/lib_check.h"

static struct loop *loop;
static struct link *a, *b;
static int sv[2];
static char got[4096];
static const char *why;
static int drained, last_fd = -1, stop_after;

static void on_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	if (n == 1)
		got[strlen(got)] = (char)*p;
	else
		got[strlen(got)] = '#';
	if (fd >= 0)
		last_fd = fd;
	if (--stop_after == 0)
		loop_stop(loop, 0);
}

static void on_closed(void *ctx, const char *text)
{
	why = text;
	loop_stop(loop, 1);
}

static void on_drained(void *ctx)
{
	drained++;
}

static const struct link_ops ops = { on_frame, on_closed, on_drained };

static void open_pair(size_t max)
{
	loop = loop_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	a = link_new(loop, sv[0], max, &ops, NULL);
	b = link_new(loop, sv[1], max, &ops, NULL);
}

static void close_pair(void)
{
	link_free(a);
	link_free(b);
	loop_free(loop);
}

START_TEST(frames_arrive_in_order_with_descriptors)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	open_pair(1 << 20);
	ck_assert_int_eq(link_send(a, false, 1, 7, "1", 1, -1), 0);
	ck_assert_int_eq(link_send(a, false, 1, 7, "2", 1, fd), 0);
	ck_assert_int_eq(link_send(a, false, 1, 7, "", 0, -1), 0);
	close(fd);
	stop_after = 3;
	loop_run(loop);
	ck_assert_str_eq(got, "12#");
	ck_assert_int_ge(last_fd, 0);
	ck_assert_int_eq(fcntl(last_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(last_fd);
	close_pair();
}
END_TEST

START_TEST(bounded_and_urgent_overtakes)
{
	static u8 big[60000];
	int n = 0, at;

	open_pair(1 << 20);
	while (link_send(a, false, 1, 0, big, sizeof(big), -1) == 0)
		n++;
	ck_assert_int_gt(n, 14);
	ck_assert_int_lt(n, 40);
	ck_assert_uint_le(link_queued(a), 1 << 20);
	ck_assert_int_eq(link_send(a, false, 1, 0, big, sizeof(big), -1), -DSI_EAGAIN);
	/* bulk is shut out, an alarm is not, and it comes before the bulk that waits */
	ck_assert_int_eq(link_send(a, true, 1, 0, "!", 1, -1), 0);
	ck_assert_int_eq(link_send(a, true, 1, 0, "?", 1, -1), 0);
	stop_after = n + 2;
	loop_run(loop);
	at = (int)(strchr(got, '!') - got);
	ck_assert_int_lt(at, n / 2);
	ck_assert_int_eq(got[at + 1], '?');
	ck_assert_int_eq(drained, 1);
	ck_assert_uint_eq(link_queued(a), 0);
	ck_assert_int_eq(link_send(a, false, 1, 0, big, LIM_LINK_FRAME - 7, -1), -DSI_ELIMIT);
	ck_assert_int_eq(link_send(a, false, 1, 0, big, 0, -1), 0);
	close_pair();
}
END_TEST

START_TEST(largest_frame_fits)
{
	u8 *big = calloc(1, LIM_LINK_FRAME);

	open_pair(1 << 20);
	ck_assert_int_eq(link_send(a, false, 1, 0, big, LIM_LINK_FRAME - 8, -1), 0);
	stop_after = 1;
	loop_run(loop);
	ck_assert_str_eq(got, "#");
	free(big);
	close_pair();
}
END_TEST

static void free_in_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	link_free(b);
	b = NULL;
	loop_stop(loop, 0);
}

START_TEST(freed_inside_a_callback)
{
	static const struct link_ops freeing = { free_in_frame, on_closed, NULL };

	open_pair(1 << 20);
	link_free(b);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	link_free(a);
	a = link_new(loop, sv[0], 1000, &ops, NULL);
	b = link_new(loop, sv[1], 1000, &freeing, NULL);
	ck_assert_int_eq(link_send(a, false, 1, 0, "1", 1, -1), 0);
	ck_assert_int_eq(link_send(a, false, 1, 0, "2", 1, -1), 0);
	loop_run(loop);
	ck_assert_ptr_null(b);
	ck_assert_int_eq(link_send(a, false, 1, 0, "3", 1, -1), -DSI_ENOTCONN);
	ck_assert_int_eq(loop_run(loop), 1); /* a hears of it */
	ck_assert_int_eq(link_send(a, false, 1, 0, "3", 1, -1), -DSI_ENOTCONN);
	close_pair();
}
END_TEST

/* Threat: the process at the other end is taken over and sends what no frame is. */
START_TEST(nonsense_drops_the_link)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = { { "1234567", 7 }, { "\1\0\1\0\0\0\0\0x", 9 }, { NULL, LIM_LINK_FRAME + 1 } };
	u8 *big = calloc(1, LIM_LINK_FRAME + 1);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		loop = loop_new();
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
		b = link_new(loop, sv[1], 1000, &ops, NULL);
		ck_assert_int_eq((int)send(sv[0], bad[i].bytes ? (const void *)bad[i].bytes : big, bad[i].n, 0), (int)bad[i].n);
		why = NULL;
		ck_assert_int_eq(loop_run(loop), 1);
		ck_assert_ptr_nonnull(why);
		ck_assert_str_eq(got, "");
		link_free(b);
		close(sv[0]);
		loop_free(loop);
	}
	free(big);
}
END_TEST

static void *serve(void *fd)
{
	u8 buf[64];
	size_t n;
	u16 type;
	u32 id;

	while (!link_recv(*(int *)fd, &type, &id, buf, sizeof(buf), &n)) {
		if ((type == 1 || type == 3) && link_reply(*(int *)fd, 2, type == 1 ? id : id + 1, buf, n))
			break;
	}
	return NULL;
}

START_TEST(blocking_calls)
{
	u8 ret[8], big[100] = { 0 };
	size_t n;
	pthread_t t;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	pthread_create(&t, NULL, serve, &sv[1]);
	ck_assert_int_eq(link_call(sv[0], 1, "abc", 3, 2, ret, sizeof(ret), &n, 5000), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_mem_eq(ret, "abc", 3);
	ck_assert_int_eq(link_call(sv[0], 3, "abc", 3, 2, ret, sizeof(ret), &n, 5000), -DSI_EPEER);
	ck_assert_int_eq(link_call(sv[0], 1, "abc", 3, 9, ret, sizeof(ret), &n, 5000), -DSI_EPEER);
	ck_assert_int_eq(link_call(sv[0], 1, "123456789", 9, 2, ret, sizeof(ret), &n, 5000), -DSI_EPEER);
	ck_assert_int_eq(link_call(sv[0], 5, "", 0, 2, ret, sizeof(ret), &n, 30), -DSI_ETIMEDOUT);
	/* the server gives up at a frame too long for it */
	ck_assert_int_eq(link_call(sv[0], 1, big, sizeof(big), 2, ret, sizeof(ret), &n, 200), -DSI_ETIMEDOUT);
	pthread_join(t, NULL);
	close(sv[1]);
	ck_assert_int_eq(link_call(sv[0], 1, "abc", 3, 2, ret, sizeof(ret), &n, 5000), -DSI_ENOTCONN);
	close(sv[0]);
}
END_TEST

LIB_TESTS("link", frames_arrive_in_order_with_descriptors, bounded_and_urgent_overtakes, largest_frame_fits,
	  freed_inside_a_callback, nonsense_drops_the_link, blocking_calls)
