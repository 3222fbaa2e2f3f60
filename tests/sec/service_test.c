/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: any local program on the service socket. It hands its descriptor to another process, sends descriptors, too
 * much or nonsense, opens many connections, takes a name that is another's or that it has no right to, reads nothing.
 * It may not be served as somebody else, provide without a right, or hold up or lose another's request.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsid/service.h"
#include "tests/unit/lib_check.h"

static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static socklen_t addr_len;
static pid_t server;

/* Shared with the manager's process: what the kernel would say. */
static struct {
	u32 sid;     /* of every process */
	bool silent; /* who() is not answered */
	u64 refused[SERVICE_REFUSED_COUNT];
	u32 asked;
} *world;
static struct service *served;
static struct loop *served_by;
static struct told {
	u64 token;
	u32 pid;
} told[512];
static u32 n_told;

static u32 nid(void *ctx)
{
	return 3;
}

static void tell(void *ctx)
{
	struct told t = told[0];
	struct monop_peer p = { .pid = t.pid, .sid = world->sid, .start = 77, .comm = "test" };

	memmove(told, told + 1, --n_told * sizeof(told[0]));
	service_told(served, t.token, 0, &p);
	for (u32 i = 0; i < SERVICE_REFUSED_COUNT; i++)
		world->refused[i] = service_refused(served, i);
}

static int who(void *ctx, u32 pid, u64 token)
{
	world->asked++;
	if (world->silent)
		return 0;
	told[n_told++] = (struct told){ token, pid };
	return loop_defer(served_by, tell, NULL);
}

static int may(void *ctx, const struct svc_task *t, const char *comm, const char *name, u32 perm)
{
	return strncmp(name, perm == DSI_PERM_SERVICE_USE ? "secret" : "forbidden", 6) ? 0 : -DSI_EPERM;
}

static rlim_t few_descriptors; /* of the manager; 0: as we have */

/* The manager is a process of its own, as it is in life; it ends with the test. */
static void begin(void)
{
	static const struct service_env env = { .nid = nid, .who = who, .may = may };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			       (size_t)snprintf(addr.sun_path + 1, 60, "dsi-service-test-%d", (int)getpid()));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, addr_len), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)), 0);
	ck_assert_int_eq(listen(fd, 128), 0);
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(world, MAP_FAILED);
	world->sid = 64;
	server = fork();
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (few_descriptors)
			setrlimit(RLIMIT_NOFILE, &(struct rlimit){ few_descriptors, few_descriptors });
		served_by = loop_new();
		served = served_by ? service_new(served_by, fd, &env, NULL) : NULL;
		if (!served)
			_exit(1);
		_exit(loop_run(served_by));
	}
	close(fd);
}

static void end(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

/* Connected; the manager has not spoken yet. */
static int dial_early(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, addr_len), 0);
	return fd;
}

static void say(int fd, u16 type, u32 id, const char *name, const char *data)
{
	struct svc_frame f = { .type = type, .id = id, .version = "1", .api = 1, .data = (const u8 *)data, .len = strlen(data) };
	static u8 p[LIM_SVC_FRAME];
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

static int dial(void)
{
	int fd = dial_early();
	struct svc_frame f = hear(fd);

	ck_assert(f.type == SVC_ME && f.id == 0 && f.task.pid == (u32)getpid());
	return fd;
}

static struct svc_frame ask(int fd, u16 type, const char *name)
{
	say(fd, type, 7, name, "");
	return hear(fd);
}

/* Past what else comes. */
static struct svc_frame ask_later(int fd, u16 type)
{
	struct svc_frame f;

	say(fd, type, 7000, "", "");
	do
		f = hear(fd);
	while (f.type && f.id != 7000);
	return f;
}

START_TEST(who_am_i)
{
	struct svc_frame f;

	begin();
	f = ask(dial(), SVC_WHOAMI, "");
	ck_assert_uint_eq(f.type, SVC_ME);
	ck_assert(f.id == 7 && f.task.pid == (u32)getpid() && f.task.uid == getuid() && f.task.nid == 3 && f.task.sid == 64 && f.task.start == 77);
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
	ck_assert_uint_eq(ask(b, SVC_CALL, "secret.x").code, DSI_EPERM);
	end();
}
END_TEST

/* A packet sent in one context, served in another: the program sends, then enters a domain that may more. */
START_TEST(what_was_sent_before_the_manager_spoke_is_not_served)
{
	int fd;

	begin();
	ck_assert_uint_eq(ask(dial(), SVC_WHOAMI, "").type, SVC_ME); /* it runs */
	kill(server, SIGSTOP);
	fd = dial_early();
	say(fd, SVC_ANNOUNCE, 1, "time", "");
	kill(server, SIGCONT);
	ck_assert_uint_eq(hear(fd).type, 0);
	ck_assert_uint_eq(ask(dial(), SVC_LOOKUP, "time").code, DSI_ENOENT);
	ck_assert_uint_eq(world->refused[SERVICE_EARLY], 1);
	end();
}
END_TEST

START_TEST(another_context_ends_the_connection)
{
	int fd;

	begin();
	fd = dial();
	ck_assert_uint_eq(ask(fd, SVC_ANNOUNCE, "time").code, 0);
	world->sid = 65;
	say(fd, SVC_WHOAMI, 1, "", "");
	ck_assert_uint_eq(hear(fd).type, 0);
	ck_assert_uint_eq(ask(dial(), SVC_LOOKUP, "time").code, DSI_ENOENT);
	ck_assert_uint_eq(world->refused[SERVICE_CONTEXT], 1);
	end();
}
END_TEST

/* The answer to who() comes when its process is gone, and the number may be another's: it goes nowhere. */
START_TEST(an_answer_about_a_dead_process_goes_nowhere)
{
	int status;

	begin();
	if (!fork()) {
		ask(dial(), SVC_ANNOUNCE, "time");
		kill(server, SIGSTOP);
		say(dial_early(), SVC_WHOAMI, 1, "", "");
		_exit(0);
	}
	wait(&status);
	kill(server, SIGCONT);
	do
		status = (int)ask(dial(), SVC_LOOKUP, "time").code;
	while (!status);
	ck_assert_int_eq(status, DSI_ENOENT);
	end();
}
END_TEST

START_TEST(refused_packets_are_counted)
{
	int fd;

	begin();
	fd = dial();
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	ck_assert_uint_eq(hear(fd).type, 0);
	fd = dial();
	if (!fork()) {
		say(fd, SVC_WHOAMI, 1, "", "");
		_exit(0);
	}
	wait(NULL);
	ck_assert_uint_eq(hear(fd).type, 0);
	ck_assert_uint_eq(ask(dial(), SVC_WHOAMI, "").type, SVC_ME);
	ck_assert_uint_eq(world->refused[SERVICE_FRAME], 1);
	ck_assert_uint_eq(world->refused[SERVICE_SENDER], 1);
	end();
}
END_TEST

/* Descriptors, with a byte and with none: refused, and not kept. */
START_TEST(descriptors_are_not_kept)
{
	struct iovec iov = { &(char){ 0 }, 1 };
	union {
		char b[CMSG_SPACE(sizeof(int))];
		struct cmsghdr h;
	} ctl = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	int fd, pair[2];

	begin();
	for (int empty = 0; empty < 2; empty++) {
		ck_assert_int_eq(pipe(pair), 0);
		fd = dial();
		ctl.h.cmsg_level = SOL_SOCKET, ctl.h.cmsg_type = SCM_RIGHTS, ctl.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.h), &pair[1], sizeof(int));
		iov.iov_len = !empty;
		ck_assert_int_eq(sendmsg(fd, &m, 0), !empty);
		close(pair[1]);
		ck_assert_uint_eq(hear(fd).type, 0);
		ck_assert_int_eq(read(pair[0], &(char){ 0 }, 1), 0); /* nobody has the other end */
	}
	end();
}
END_TEST

/* 1000 connections of one user: the manager serves whom it has room for, and goes on serving. */
START_TEST(many_connections)
{
	int first, fds[1000];
	u32 ended = 0;

	begin();
	first = dial();
	for (u32 i = 0; i < 1000; i++) {
		fds[i] = dial_early();
		if (hear(fds[i]).type)
			continue;
		ended++;
		close(fds[i]);
		fds[i] = -1;
	}
	ck_assert_uint_ge(ended, 700);
	ck_assert_uint_eq(ask(first, SVC_WHOAMI, "").type, SVC_ME);
	ck_assert_uint_eq(world->refused[SERVICE_CONNECTION], ended);
	for (u32 i = 0; i < 1000; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	do { /* and there is room again */
		fds[0] = dial_early();
		ended = !hear(fds[0]).type;
		close(fds[0]);
	} while (ended);
	end();
}
END_TEST

/* No descriptor left: no spinning (few questions to the listener), and served again when there are some. */
START_TEST(descriptors_run_out)
{
	int fds[40], n = 0;
	struct pollfd p = { .events = POLLIN };

	few_descriptors = 40;
	begin();
	for (; n < 40; n++) {
		fds[n] = dial_early();
		p.fd = fds[n];
		if (!poll(&p, 1, 300))
			break; /* waits in the listener's queue */
		if (!hear(fds[n]).type)
			break;
	}
	ck_assert_int_lt(n, 40);
	ck_assert_uint_gt(world->asked, 0);
	ck_assert(!waitpid(server, NULL, WNOHANG)); /* it lives */
	for (int i = 0; i <= n; i++)
		close(fds[i]);
	do /* as soon as it has closed them too */
		fds[0] = dial_early();
	while (!hear(fds[0]).type);
	ck_assert_uint_le(world->refused[SERVICE_DESCRIPTORS], 100);
	end();
}
END_TEST

/* Bytes that wait for who does not read are bounded: it is dropped, its requests go to the next provider. */
START_TEST(who_reads_nothing_is_dropped)
{
	static char big[60000];
	int a, users[8];
	u32 sent = 0;

	begin();
	a = dial();
	memset(big, 'x', sizeof(big) - 1);
	ck_assert_uint_eq(ask(a, SVC_ANNOUNCE, "time").code, 0);
	for (u32 u = 0; u < 8; u++) {
		users[u] = dial();
		for (u32 i = 1; i <= LIM_SVC_EACH; i++, sent++)
			say(users[u], SVC_CALL, i, "time", big);
	}
	for (u32 u = 0; u < 8; u++) /* all are taken in */
		ck_assert_uint_eq(ask_later(users[u], SVC_WHOAMI).type, SVC_ME);
	ck_assert_uint_gt(sent * sizeof(big), LIM_SVC_QUEUED);
	ck_assert_uint_eq(world->refused[SERVICE_SLOW], 1);
	a = dial();
	ck_assert_uint_eq(ask(a, SVC_ANNOUNCE, "time").code, 0);
	ck_assert_uint_eq(hear(a).type, SVC_REQUEST);
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
	  nonsense_ends_only_its_sender, names, replaced_without_a_lost_request, who_reads_late_gets_all,
	  what_was_sent_before_the_manager_spoke_is_not_served, another_context_ends_the_connection,
	  an_answer_about_a_dead_process_goes_nowhere, refused_packets_are_counted, descriptors_are_not_kept, many_connections, descriptors_run_out,
	  who_reads_nothing_is_dropped)
