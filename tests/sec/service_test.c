/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: any local program on the service socket. It hands its descriptor to another process, sends descriptors, too
 * much or nonsense, opens many connections, takes a name that is another's or that it has no right to, reads nothing.
 * It may not be served as somebody else, provide without a right, or hold up or lose another's request.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsid/service.h"
#include "tests/unit/lib_check.h"

static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static socklen_t addr_len;
static pid_t server;

static u32 nid(void *ctx)
{
	return 3;
}

static u32 sid(void *ctx, const struct svc_task *t)
{
	return 0;
}

static int may_announce(void *ctx, const struct svc_task *t, const char *name)
{
	return strncmp(name, "forbidden", 9) ? 0 : -DSI_EPERM;
}

/* The manager is a process of its own, as it is in life; it ends with the test. */
static void begin(void)
{
	static const struct service_ops ops = { nid, sid, may_announce };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			       (size_t)snprintf(addr.sun_path + 1, 60, "dsi-service-test-%d", (int)getpid()));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, addr_len), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)), 0);
	ck_assert_int_eq(listen(fd, 128), 0);
	server = fork();
	if (!server) {
		struct loop *l = loop_new();

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!l || !service_new(l, fd, &ops, NULL))
			_exit(1);
		_exit(loop_run(l));
	}
	close(fd);
}

static void end(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, addr_len), 0);
	return fd;
}

static void say(int fd, u16 type, u32 id, const char *name, const char *data)
{
	struct svc_frame f = { .type = type, .id = id, .version = "1", .api = 1, .data = (const u8 *)data, .len = strlen(data) };
	u8 p[512];
	size_t n;

	strcpy(f.name, name);
	ck_assert_int_eq(svc_encode(&f, p, sizeof(p), &n), 0);
	ck_assert_int_eq(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* The next frame; type 0: the connection was ended; fails when nothing comes. */
static struct svc_frame hear(int fd)
{
	static u8 p[LIM_SVC_FRAME];
	struct pollfd pfd = { fd, POLLIN, 0 };
	struct svc_frame f = { 0 };
	ssize_t n;

	ck_assert_int_eq(poll(&pfd, 1, 10000), 1);
	n = recv(fd, p, sizeof(p), 0);
	if (n > 0)
		ck_assert_int_eq(svc_decode(&f, SVC_MANAGER, p, (size_t)n), 0);
	return f;
}

static struct svc_frame ask(int fd, u16 type, const char *name)
{
	say(fd, type, 7, name, "");
	return hear(fd);
}

START_TEST(who_am_i)
{
	struct svc_frame f;

	begin();
	f = ask(dial(), SVC_WHOAMI, "");
	ck_assert_uint_eq(f.type, SVC_ME);
	ck_assert(f.id == 7 && f.task.pid == (u32)getpid() && f.task.uid == getuid() && f.task.nid == 3 && f.task.sid == 0);
	end();
}
END_TEST

START_TEST(a_descriptor_in_other_hands_is_of_no_use)
{
	int fd, status;

	begin();
	fd = dial();
	ck_assert_uint_eq(ask(fd, SVC_WHOAMI, "").type, SVC_ME);
	if (!fork()) {
		say(fd, SVC_WHOAMI, 1, "", "");
		_exit(hear(fd).type);
	}
	wait(&status);
	ck_assert_int_eq(status, 0); /* ended, not answered */
	ck_assert_uint_eq(hear(fd).type, 0);
	end();
}
END_TEST

START_TEST(a_connection_ends_with_its_process)
{
	int pair[2], fd;
	struct msghdr m = { 0 };
	struct iovec iov = { &(char){ 0 }, 1 };
	union {
		char b[CMSG_SPACE(sizeof(int))];
		struct cmsghdr h;
	} ctl = { 0 };

	begin();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	m = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	if (!fork()) { /* announces, hands the descriptor on, dies */
		fd = dial();
		if (ask(fd, SVC_ANNOUNCE, "time").code)
			_exit(1);
		ctl.h.cmsg_level = SOL_SOCKET, ctl.h.cmsg_type = SCM_RIGHTS, ctl.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(fd));
		_exit(sendmsg(pair[0], &m, 0) != 1);
	}
	ck_assert_int_eq(recvmsg(pair[1], &m, 0), 1);
	memcpy(&fd, CMSG_DATA(&ctl.h), sizeof(fd));
	ck_assert_uint_eq(hear(fd).type, 0);
	ck_assert_uint_eq(ask(dial(), SVC_LOOKUP, "time").code, DSI_ENOENT);
	end();
}
END_TEST

START_TEST(nonsense_ends_only_its_sender)
{
	static u8 big[LIM_SVC_FRAME + 100];
	int honest, fd;

	begin();
	honest = dial();
	fd = dial();
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	ck_assert_uint_eq(hear(fd).type, 0);
	fd = dial();
	ck_assert_int_eq(send(fd, big, sizeof(big), 0), sizeof(big));
	ck_assert_uint_eq(hear(fd).type, 0);
	fd = dial();
	say(fd, SVC_ANSWER, 1, "", ""); /* of no provider */
	ck_assert_uint_eq(hear(fd).type, 0);
	ck_assert_uint_eq(ask(honest, SVC_WHOAMI, "").type, SVC_ME);
	end();
}
END_TEST

START_TEST(names)
{
	int a, b;

	begin();
	a = dial();
	b = dial();
	ck_assert_uint_eq(ask(a, SVC_ANNOUNCE, "forbidden.x").code, DSI_EPERM);
	ck_assert_uint_eq(ask(b, SVC_LOOKUP, "forbidden.x").code, DSI_ENOENT);
	ck_assert_uint_eq(ask(b, SVC_CALL, "forbidden.x").code, DSI_ENOENT);
	ck_assert_uint_eq(ask(a, SVC_ANNOUNCE, "time").code, 0);
	ck_assert_uint_eq(ask(a, SVC_ANNOUNCE, "date").code, DSI_EEXIST);
	ck_assert_uint_eq(ask(b, SVC_LOOKUP, "time").code, 0);
	end();
}
END_TEST

/* Called through two providers, one replaced by the other half way: each request is answered, by whoever had it. */
START_TEST(replaced_without_a_lost_request)
{
	int a, b, user;
	struct svc_frame f, g;

	begin();
	a = dial(), b = dial(), user = dial();
	ck_assert_uint_eq(ask(a, SVC_ANNOUNCE, "time").code, 0);
	say(user, SVC_CALL, 1, "time", "one");
	f = hear(a);
	ck_assert(f.type == SVC_REQUEST && f.task.pid == (u32)getpid() && f.len == 3);
	say(b, SVC_ANNOUNCE, 7, "time", "");
	ck_assert_uint_eq(hear(b).type, SVC_ANNOUNCED);
	ck_assert_uint_eq(hear(a).type, SVC_DRAIN);
	say(user, SVC_CALL, 2, "time", "two");
	g = hear(b);
	ck_assert_uint_eq(g.type, SVC_REQUEST);
	say(a, SVC_ANSWER, f.id, "", "1");
	ck_assert_uint_eq(hear(user).id, 1);
	ck_assert_uint_eq(hear(a).type, 0);
	close(b); /* dies with a request: the next one gets it */
	b = dial();
	do
		say(b, SVC_LOOKUP, 1, "time", ""), f = hear(b);
	while (!f.code);
	say(b, SVC_ANNOUNCE, 7, "time", "");
	ck_assert_uint_eq(hear(b).type, SVC_ANNOUNCED);
	ck_assert_uint_eq(hear(b).id, g.id);
	say(b, SVC_ANSWER, g.id, "", "2");
	ck_assert_uint_eq(hear(user).id, 2);
	end();
}
END_TEST

/* A kernel holds few packets of a socket (10 by default): the rest waits with the manager, for who reads late. */
START_TEST(who_reads_late_gets_all)
{
	int a, user;

	begin();
	a = dial(), user = dial();
	ck_assert_uint_eq(ask(a, SVC_ANNOUNCE, "time").code, 0);
	for (u32 i = 1; i <= LIM_SVC_EACH + 1; i++)
		say(user, SVC_CALL, i, "time", "x");
	ck_assert_uint_eq(hear(user).code, DSI_ELIMIT);
	ck_assert_uint_eq(ask(dial(), SVC_WHOAMI, "").type, SVC_ME);
	for (u32 i = 1; i <= LIM_SVC_EACH; i++)
		say(a, SVC_ANSWER, hear(a).id, "", "");
	for (u32 i = 1; i <= LIM_SVC_EACH; i++)
		ck_assert_uint_eq(hear(user).id, i);
	end();
}
END_TEST

LIB_TESTS("service", who_am_i, a_descriptor_in_other_hands_is_of_no_use, a_connection_ends_with_its_process,
	  nonsense_ends_only_its_sender, names, replaced_without_a_lost_request, who_reads_late_gets_all)
