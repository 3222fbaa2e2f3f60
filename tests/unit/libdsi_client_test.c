/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libdsi against the service socket as dsid runs it: who am I, look up, call, watch, announce, serve; a provider replaced
 * under load with no request lost, killed and back; a manager that goes away.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsid/service.h"
#include "libdsi/dsi.h"
#include "tests/unit/lib_check.h"

static char dir[64] = "/tmp/dsi-libdsi-XXXXXX", path[96];
static pid_t manager;

static u32 nid(void *ctx)
{
	return 3;
}

struct asked {
	struct service *s;
	u64 token;
	u32 pid;
};
static struct service *served;
static struct loop *served_by;

static void tell(void *ctx)
{
	struct asked *a = ctx;

	service_told(served, a->token, 0, &(struct monop_peer){ .pid = a->pid, .sid = 64, .start = 77 });
	free(a);
}

static int who(void *ctx, u32 pid, u64 token)
{
	struct asked *a = malloc(sizeof(*a));

	*a = (struct asked){ served, token, pid };
	return loop_defer(served_by, tell, a);
}

static int may(void *ctx, const struct svc_task *t, const char *comm, const char *name, u32 perm)
{
	return strncmp(name, "forbidden", 9) ? 0 : -DSI_EPERM;
}

static void begin(void)
{
	static const struct service_env env = { .nid = nid, .who = who, .may = may };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strstr(dir, "XXXXXX"))
		ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dsi.sock", dir);
	unlink(path);
	strcpy(a.sun_path, path);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 128), 0);
	manager = fork();
	if (!manager) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		served_by = loop_new();
		served = served_by ? service_new(served_by, fd, &env, NULL) : NULL;
		_exit(served ? loop_run(served_by) : 1);
	}
	close(fd);
}

static void end(void)
{
	kill(manager, SIGKILL);
	waitpid(manager, NULL, 0);
	unlink(path);
	rmdir(dir);
}

static struct dsi *opened(void)
{
	struct dsi *d = NULL;

	ck_assert_int_eq(dsi_open(&d, path), 0);
	return d;
}

static int upper(void *ctx, const struct dsi_request *rq, const void **ret, size_t *ret_len)
{
	static char out[100];

	if (rq->len == 4 && !memcmp(rq->data, "fail", 4))
		return ENOSPC;
	*ret_len = (size_t)snprintf(out, sizeof(out), "%s:%.*s", (const char *)ctx, (int)rq->len, (const char *)rq->data);
	*ret = out;
	return 0;
}

/* A provider; returns when it has announced. Ends with 0 when drained. */
static pid_t provide(const char *name, const char *version)
{
	int up[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(up), 0);
	pid = fork();
	if (!pid) {
		struct dsi *d = NULL;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dsi_open(&d, path) || dsi_announce(d, name, version, 2, 1) || write(up[1], "x", 1) != 1)
			_exit(1);
		_exit(dsi_serve(d, upper, (void *)version) ? 2 : 0);
	}
	close(up[1]);
	ck_assert_int_eq(read(up[0], &byte, 1), 1);
	close(up[0]);
	return pid;
}

static int ended(pid_t pid)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void answers(struct dsi *d, const char *text, const char *want)
{
	void *p = NULL;
	size_t n;

	ck_assert_int_eq(dsi_call(d, "time", 1, 0, text, strlen(text), &p, &n), 0);
	ck_assert_str_eq(p, want);
	ck_assert_uint_eq(n, strlen(want));
	free(p);
}

START_TEST(who_and_which)
{
	struct dsi_service s;
	struct dsi_task t;
	struct dsi *d;
	size_t n;
	void *p;

	begin();
	d = opened();
	ck_assert_int_eq(dsi_whoami(d, &t), 0);
	ck_assert(t.pid == (u32)getpid() && t.uid == getuid() && t.node == 3 && t.context == 64 && t.start == 77);
	ck_assert_int_eq(dsi_peer(d, 0, &t), -EOPNOTSUPP);
	ck_assert_int_eq(dsi_lookup(d, "time", &s), -ENOENT);
	provide("time", "one");
	ck_assert_int_eq(dsi_lookup(d, "time", &s), 0);
	ck_assert(!strcmp(s.version, "one") && s.api == 2 && s.caps == 1);
	answers(d, "noon", "one:noon");
	answers(d, "", "one:");
	ck_assert_int_eq(dsi_call(d, "time", 1, 0, "fail", 4, &p, &n), -ENOSPC);
	ck_assert_int_eq(dsi_call(d, "time", 3, 0, "x", 1, &p, &n), -EPROTONOSUPPORT);
	ck_assert_int_eq(dsi_call(d, "time", 1, 2, "x", 1, &p, &n), -EPROTONOSUPPORT);
	ck_assert_int_eq(dsi_call(d, "date", 1, 0, "x", 1, &p, &n), -ENOENT);
	dsi_close(d);
	end();
}
END_TEST

START_TEST(bad_arguments_are_not_sent)
{
	static char big[DSI_DATA_MAX + 1];
	struct dsi_service s;
	struct dsi *d = NULL;
	size_t n;
	void *p;

	begin();
	ck_assert_int_eq(dsi_open(&d, "/nowhere/at/all"), -ENOTCONN);
	ck_assert_ptr_null(d);
	d = opened();
	ck_assert_int_eq(dsi_lookup(d, "Time", &s), -EINVAL);
	ck_assert_int_eq(dsi_lookup(d, "", &s), -EINVAL);
	ck_assert_int_eq(dsi_call(d, "time", 0, 0, "x", 1, &p, &n), -EINVAL);
	ck_assert_int_eq(dsi_call(d, "time", 1, 0, big, sizeof(big), &p, &n), -EMSGSIZE);
	ck_assert_int_eq(dsi_announce(d, "time", "a version longer than any frame takes", 1, 0), -EINVAL);
	ck_assert_int_eq(dsi_announce(d, "time", "has space", 1, 0), -EINVAL);
	ck_assert_int_eq(dsi_announce(d, "forbidden.x", "1", 1, 0), -EPERM);
	ck_assert_int_eq(dsi_lookup(d, "time", &s), -ENOENT); /* and the connection is as good as before */
	dsi_close(d);
	dsi_close(NULL);
	end();
}
END_TEST

/* 2000 requests of one client, each answered once, while the provider is replaced again and again; every old one ends by itself. */
START_TEST(replaced_under_load)
{
	char version[16], want[32];
	struct dsi *d;
	pid_t old;

	begin();
	d = opened();
	old = provide("time", "v0");
	answers(d, "x", "v0:x");
	for (int i = 1; i <= 10; i++) {
		pid_t load = fork(), next;

		if (!load) {
			struct dsi *mine = NULL;
			int lost = dsi_open(&mine, path) != 0;

			for (int k = 0; k < 200 && !lost; k++) {
				void *p;
				size_t n;

				lost = dsi_call(mine, "time", 1, 0, "x", 1, &p, &n) != 0;
			}
			_exit(lost);
		}
		snprintf(version, sizeof(version), "v%d", i);
		next = provide("time", version);
		ck_assert_int_eq(ended(old), 0);
		ck_assert_int_eq(ended(load), 0);
		snprintf(want, sizeof(want), "%s:x", version);
		answers(d, "x", want);
		old = next;
	}
	dsi_close(d);
	end();
}
END_TEST

/* A provider dies with requests in hand: they wait for the next one. */
START_TEST(killed_and_back)
{
	struct dsi_request rq;
	struct dsi *a, *user;
	pid_t caller, next;

	begin();
	a = opened();
	user = opened();
	ck_assert_int_eq(dsi_announce(a, "time", "one", 2, 1), 0);
	caller = fork();
	if (!caller) {
		struct dsi *d = NULL;
		void *p = NULL;
		size_t n;

		_exit(dsi_open(&d, path) || dsi_call(d, "time", 1, 0, "x", 1, &p, &n) || strcmp(p, "two:x"));
	}
	ck_assert_int_eq(dsi_next(a, 10000, &rq), 1);
	ck_assert(rq.len == 1 && rq.caller.pid == (u32)caller);
	dsi_close(a); /* dead */
	next = provide("time", "two");
	ck_assert_int_eq(ended(caller), 0);
	kill(next, SIGKILL);
	(void)ended(next);
	dsi_close(user);
	end();
}
END_TEST

START_TEST(watched)
{
	struct dsi_service s;
	char name[64];
	struct dsi *d;
	pid_t one, two;

	begin();
	d = opened();
	ck_assert_int_eq(dsi_watch(d, "time"), 0);
	ck_assert_int_eq(dsi_changed(d, 10000, name, &s), 1);
	ck_assert(!strcmp(name, "time") && !s.api);
	one = provide("time", "one");
	ck_assert_int_eq(dsi_changed(d, 10000, name, &s), 1);
	ck_assert(s.api == 2 && !strcmp(s.version, "one"));
	two = provide("time", "two");
	ck_assert_int_eq(ended(one), 0);
	answers(d, "x", "two:x"); /* what came meanwhile is kept */
	ck_assert_int_eq(dsi_changed(d, 10000, name, &s), 1);
	ck_assert_str_eq(s.version, "two");
	kill(two, SIGKILL);
	(void)ended(two);
	ck_assert_int_eq(dsi_changed(d, 10000, name, &s), 1);
	ck_assert_uint_eq(s.api, 0);
	ck_assert_int_eq(dsi_changed(d, 0, name, &s), 0);
	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		ck_assert_int_eq(dsi_watch(d, name), 0);
	}
	ck_assert_int_eq(dsi_watch(d, "one.more"), -EDQUOT);
	dsi_close(d);
	end();
}
END_TEST

START_TEST(the_manager_goes_away)
{
	struct dsi_service s;
	struct dsi_request rq;
	struct dsi *d;

	begin();
	d = opened();
	ck_assert_int_eq(dsi_announce(d, "time", "one", 1, 0), 0);
	kill(manager, SIGKILL);
	ck_assert_int_eq(dsi_next(d, -1, &rq), -ECONNRESET);
	ck_assert_int_eq(dsi_draining(d), 0);
	ck_assert_int_eq(dsi_lookup(d, "time", &s), -ECONNRESET);
	dsi_close(d);
	end();
}
END_TEST

LIB_TESTS("libdsi", who_and_which, bad_arguments_are_not_sent, replaced_under_load, killed_and_back, watched,
	  the_manager_goes_away)
