/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: any local user. The sockets are abstract and their names are in /proc/net/unix, so he can connect, send
 * to other people's connections, name impossible lengths, open and say nothing, ask and not listen. He may not
 * be served as somebody else, harm the daemon's memory, or hold up other callers.
 */
#include <qb/qbipcc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/ipc.h"
#include "lib/ipc_wire.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/lib_ipc_fixture.h"

static int isolated, asked;

static void on_isolate(void *ctx, struct ipc_request *rq, const json_t *args)
{
	isolated++;
	ipc_answer(rq, 0, NULL, NULL);
}

static void on_status(void *ctx, struct ipc_request *rq, const json_t *args)
{
	asked++;
	ipc_answer(rq, 0, NULL, NULL);
}

static ipc_handler *const handlers[CTL_COUNT] = { [CTL_STATUS] = on_status, [CTL_ISOLATE] = on_isolate };

static void setup(void)
{
	ipc_begin(handlers);
}

static u64 ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

/* An honest caller is answered, and soon. */
static int honest(u64 within_ms)
{
	u64 start = ms();
	char *text;
	size_t n;
	int rc = ipc_call(name, "{\"verb\":\"status\"}", 17, 3000, &text, &n, NULL);

	if (!rc)
		free(text);
	return rc || ms() - start > within_ms;
}

/* The abstract address of a socket of ours that ends in `tail`, newest first. */
static socklen_t find_socket(const char *tail, struct sockaddr_un *ret)
{
	char line[512], *at;
	FILE *f = fopen("/proc/net/unix", "r");
	socklen_t len = 0;

	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		at = strchr(line, '@');
		if (!at || !strstr(at, name))
			continue;
		for (char *end = at + strlen(at); end > at && end[-1] == '@'; end--)
			end[-1] = 0; /* the address is padded with NULs, shown as @ */
		if (strlen(at) < strlen(tail) || strcmp(at + strlen(at) - strlen(tail), tail))
			continue;
		memset(ret, 0, sizeof(*ret));
		ret->sun_family = AF_UNIX;
		memcpy(ret->sun_path + 1, at + 1, strlen(at + 1));
		len = sizeof(*ret);
	}
	fclose(f);
	return len;
}

static size_t message(u8 *m, size_t cap, const char *text, size_t claimed)
{
	size_t n = strlen(text);
	struct ipc_part h = { .h = { .id = IPC_PART, .size = (int32_t)(claimed ? claimed : sizeof(h) + n) }, .last = 1, .n = (u32)n };

	memset(m, ' ', cap);
	memcpy(m, &h, sizeof(h));
	memcpy(m + sizeof(h), text, n);
	return sizeof(h) + n;
}

static const char isolate[] = "{\"verb\":\"isolate\",\"args\":{}}";

/* Into root's connection, by another process: must not be taken for root's. */
static int injector(void)
{
	u8 m[256];
	struct sockaddr_un a;
	qb_ipcc_connection_t *c = qb_ipcc_connect(name, IPC_BUFFER);
	int pid, status;

	if (!c)
		return 10;
	pid = fork();
	if (!pid) {
		int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		socklen_t len = find_socket("-request", &a);
		size_t n = message(m, sizeof(m), isolate, 0);
		struct sockaddr_un own = { .sun_family = AF_UNIX };

		snprintf(own.sun_path + 1, sizeof(own.sun_path) - 1, "dsi-injector-%d", (int)getpid());
		if (!len || bind(fd, (struct sockaddr *)&own, sizeof(own)))
			_exit(11);
		_exit(sendto(fd, m, n, 0, (struct sockaddr *)&a, len) == (ssize_t)n ? 0 : 12);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return WEXITSTATUS(status);
	usleep(100000);
	qb_ipcc_disconnect(c);
	return honest(1000);
}

START_TEST(nobody_speaks_on_anothers_connection)
{
	setup();
	ck_assert_int_eq(with_client(injector), 0);
	ck_assert_int_eq(isolated, 0);
	ck_assert_int_eq(asked, 1);
	ipc_end();
}
END_TEST

/* Lengths that libqb would believe. */
static int liar(void)
{
	static u8 m[200000];
	static const size_t claims[] = { 0, 1, 15, 16, 23, 200000, 0x7fffffff, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
		qb_ipcc_connection_t *c = qb_ipcc_connect(name, IPC_BUFFER);
		int fd = socket(AF_UNIX, SOCK_DGRAM, 0), room = 1 << 20;
		struct sockaddr_un a, own = { .sun_family = AF_UNIX };
		socklen_t len;

		if (!c)
			return 20;
		len = find_socket("-request", &a);
		snprintf(own.sun_path + 1, sizeof(own.sun_path) - 1, "dsi-liar-%d-%zu", (int)getpid(), i);
		bind(fd, (struct sockaddr *)&own, sizeof(own));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		message(m, sizeof(m), isolate, claims[i] ? claims[i] : 1);
		sendto(fd, m, i % 2 ? sizeof(m) : 60, MSG_DONTWAIT, (struct sockaddr *)&a, len);
		close(fd);
		usleep(20000);
		qb_ipcc_disconnect(c);
	}
	return honest(1000);
}

START_TEST(lengths_are_checked_before_libqb_copies)
{
	setup();
	ck_assert_int_eq(with_client(liar), 0);
	ck_assert_int_eq(isolated, 0);
	ipc_end();
}
END_TEST

/* The socket that libqb bound for this connection's answers, in this process. */
static int answer_socket(void)
{
	for (int fd = 3; fd < 64; fd++) {
		struct sockaddr_un a = { 0 };
		socklen_t len = sizeof(a);

		if (!getsockname(fd, (struct sockaddr *)&a, &len) && a.sun_family == AF_UNIX && strstr(a.sun_path + 1, name) &&
		    strstr(a.sun_path + 1, "-response"))
			return fd;
	}
	return -1;
}

/* Asks, and its socket is gone when the answer comes: libqb would sleep a second for it. */
static int deaf(void)
{
	u8 m[256];

	for (int i = 0; i < 3; i++) {
		qb_ipcc_connection_t *c = qb_ipcc_connect(name, IPC_BUFFER);
		size_t n = message(m, sizeof(m), "{\"verb\":\"status\"}", 0);
		int fd = c ? answer_socket() : -1;

		if (fd < 0)
			return 30;
		kill(getppid(), SIGSTOP);
		if (send(fd, m, n, 0) != (ssize_t)n)
			return 31;
		close(fd);
		kill(getppid(), SIGCONT);
	}
	return honest(500);
}

START_TEST(nobody_waits_for_who_does_not_listen)
{
	setup();
	ck_assert_int_eq(with_client(deaf), 0);
	ck_assert_int_eq(asked, 4);
	ipc_end();
}
END_TEST

static int greedy(void)
{
	qb_ipcc_connection_t *c = qb_ipcc_connect(name, 4 << 20);

	if (c) {
		qb_ipcc_disconnect(c);
		return 40;
	}
	return honest(1000);
}

START_TEST(no_buffers_of_the_callers_choice)
{
	setup();
	ck_assert_int_eq(with_client(greedy), 0);
	ipc_end();
}
END_TEST

/* Opens and says nothing, many times. */
static int silent(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int opened = 0;

	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", name);
	for (int i = 0; i < 100; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		opened += !connect(fd, (struct sockaddr *)&a, (socklen_t)sizeof(a));
		if (i % 10 == 9)
			usleep(10000);
	}
	return opened < 50 ? 50 : honest(1000);
}

START_TEST(silence_shuts_nobody_out)
{
	setup();
	ck_assert_int_eq(with_client(silent), 0);
	ipc_end();
}
END_TEST

/* A squatter under the daemon's name is not believed. */
static int squatter_ready[2];
static void squat(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(9);
	setup();
	if (write(squatter_ready[1], "x", 1) != 1)
		_exit(8);
	loop_run(loop);
}

START_TEST(answers_of_strangers_are_not_believed)
{
	struct err e = { 0 };
	char *text, c;
	size_t n;
	int pid;

	if (geteuid()) {
		printf("SKIP: answers_of_strangers_are_not_believed: needs root to be a stranger\n");
		return;
	}
	ck_assert_int_eq(pipe(squatter_ready), 0);
	pid = fork();
	if (!pid)
		squat();
	ck_assert_int_eq((int)read(squatter_ready[0], &c, 1), 1);
	ipc_named(pid);
	ck_assert_int_eq(ipc_call(name, "{\"verb\":\"status\"}", 17, 2000, &text, &n, &e), -DSI_ENOTCONN);
	ck_assert_ptr_nonnull(strstr(e.text, "not DSI"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

/* A daemon that is stopped costs its caller the deadline and no more. */
START_TEST(a_stopped_daemon_costs_the_deadline)
{
	struct err e = { 0 };
	char *text, c;
	size_t n;
	u64 start;
	int pid, ready[2];

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		setup();
		if (write(ready[1], "x", 1) != 1)
			_exit(8);
		_exit(loop_run(loop));
	}
	ck_assert_int_eq((int)read(ready[0], &c, 1), 1);
	ipc_named(pid);
	kill(pid, SIGSTOP);
	start = ms();
	ck_assert_int_eq(ipc_call(name, "{\"verb\":\"status\"}", 17, 400, &text, &n, &e), -DSI_ETIMEDOUT);
	ck_assert_uint_ge(ms() - start, 350);
	ck_assert_uint_le(ms() - start, 1500);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

LIB_TESTS("ipc threats", nobody_speaks_on_anothers_connection, lengths_are_checked_before_libqb_copies,
	  nobody_waits_for_who_does_not_listen, no_buffers_of_the_callers_choice, silence_shuts_nobody_out,
	  answers_of_strangers_are_not_believed, a_stopped_daemon_costs_the_deadline)
