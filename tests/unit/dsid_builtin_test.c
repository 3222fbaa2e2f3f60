/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services of dsid's own: announced, called, found broken and started again with growing pauses, replaced while requests
 * are open, restarted with requests in hand, stopped and back. The world is one process: the loop turns on the clock's word.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dsid/builtin.h"
#include "lib/log.h"
#include "tests/unit/lib_check.h"

struct instance {
	int number;
	bool stopped;
	struct service_call call[8]; /* not answered yet */
	u32 n;
};
static struct instance made[64];
static int n_made, start_code, health_code;
static struct loop *loop;
static struct service *shell;
static struct builtins *b;
static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static socklen_t addr_len;
static bool answers_at_once;

static int start(void *env, void **ret)
{
	if (start_code)
		return start_code;
	made[n_made].number = n_made + 1;
	*ret = &made[n_made++];
	return 0;
}

static void stop(void *instance)
{
	((struct instance *)instance)->stopped = true;
}

static void reply(struct instance *i, const struct service_call *c)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", i->number);
	service_local_answer(c->s, c->at, c->ticket, 0, text, strlen(text));
}

static void request(void *instance, const struct service_call *c)
{
	struct instance *i = instance;

	if (answers_at_once)
		reply(i, c);
	else
		i->call[i->n++] = *c;
}

static int health(void *instance, char *why, size_t cap)
{
	snprintf(why, cap, "%s", health_code ? "made ill" : "");
	return health_code;
}

static const struct service_ops ops = { .name = "dsi.test", .api = 1, .start = start, .stop = stop, .request = request, .health = health };

static u32 nid(void *ctx)
{
	return 1;
}

static u64 asked;
static void tell(void *ctx)
{
	service_told(shell, asked, 0, &(struct monop_peer){ .pid = (u32)getpid(), .sid = 64, .start = 5 });
}

static int who(void *ctx, u32 pid, u64 token)
{
	asked = token;
	return loop_defer(loop, tell, NULL);
}

static int may(void *ctx, const struct svc_task *t, const char *comm, const char *name, u32 perm)
{
	return 0;
}

static int user = -1;
static u8 in[LIM_SVC_FRAME];
static struct svc_frame got;
static bool have;
static u64 until;

static void on_step(void *ctx)
{
	loop_stop(loop, 0);
}

/* Turns the loop until done() or, when there is none, for ms. */
static void turn(bool (*done)(void), u64 ms)
{
	struct loop_timer *t = loop_timer_new(loop, on_step, NULL);

	until = loop_boottime() + ms * 1000000;
	while (!(done && done()) && loop_boottime() < until) {
		loop_timer_set(t, 1000000);
		loop_run(loop);
	}
	loop_timer_free(t);
	if (done)
		ck_assert_msg(done(), "in time");
}

static bool heard(void)
{
	ssize_t n = recv(user, in, sizeof(in), MSG_DONTWAIT);

	if (n > 0) {
		ck_assert_int_eq(svc_decode(&got, SVC_MANAGER, in, (size_t)n), 0);
		have = true;
	}
	return have;
}

static struct svc_frame hear(void)
{
	have = false;
	turn(heard, 10000);
	return got;
}

static void say(u32 id)
{
	struct svc_frame f = { .type = SVC_CALL, .id = id, .name = "dsi.test", .api = 1, .data = (const u8 *)"x", .len = 1 };
	u8 p[256];
	size_t n;

	ck_assert_int_eq(svc_encode(&f, p, sizeof(p), &n), 0);
	ck_assert_int_eq(send(user, p, n, 0), n);
}

static int call_now(u32 id)
{
	char text[16] = "";

	say(id);
	ck_assert_uint_eq(hear().id, id);
	if (got.code)
		return -(int)got.code;
	memcpy(text, got.data, MIN(got.len, sizeof(text) - 1));
	return atoi(text);
}

static void begin(void)
{
	static const struct service_env env = { .nid = nid, .who = who, .may = may };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	log_start("test", LOG_CRIT, false);
	memset(made, 0, sizeof(made));
	n_made = start_code = health_code = 0;
	answers_at_once = true;
	loop = loop_new();
	addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			       (size_t)snprintf(addr.sun_path + 1, 60, "dsi-builtin-test-%d", (int)getpid()));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, addr_len), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	shell = service_new(loop, fd, &env, NULL);
	b = builtins_new(loop, shell, NULL);
	user = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(user, (struct sockaddr *)&addr, addr_len), 0);
	ck_assert_uint_eq(hear().type, SVC_ME);
}

static void end(void)
{
	close(user);
	builtins_free(b);
	service_free(shell);
	loop_free(loop);
}

static struct builtin_row row(void)
{
	struct builtin_row r;

	ck_assert(builtins_row(b, 0, &r) && !builtins_row(b, 1, &(struct builtin_row){ 0 }));
	return r;
}

START_TEST(announces_itself_and_answers)
{
	begin();
	ck_assert_int_eq(builtins_add(b, &ops), 0);
	ck_assert_int_eq(call_now(1), 1);
	ck_assert(row().conn && !row().health && !row().restarts);
	ck_assert_int_eq(builtins_replace(b, "dsi.other"), -DSI_ENOENT);
	end();
	ck_assert(made[0].stopped);
}
END_TEST

static bool first_has_one(void)
{
	return made[0].n == 1;
}
static bool second_has_one(void)
{
	return made[1].n == 1;
}
static bool first_stopped(void)
{
	return made[0].stopped;
}

/* New requests go to the second while the first still has one; each is answered by who had it; then the first is freed. */
START_TEST(replaced_with_a_request_open)
{
	begin();
	answers_at_once = false;
	ck_assert_int_eq(builtins_add(b, &ops), 0);
	say(1);
	turn(first_has_one, 10000);
	ck_assert_int_eq(builtins_replace(b, "dsi.test"), 0);
	say(2);
	turn(second_has_one, 10000);
	ck_assert(!made[0].stopped);
	reply(&made[1], &made[1].call[0]);
	ck_assert_uint_eq(hear().id, 2);
	reply(&made[0], &made[0].call[0]);
	ck_assert_uint_eq(hear().id, 1);
	ck_assert(got.len == 1 && got.data[0] == '1');
	turn(first_stopped, 10000);
	ck_assert(!made[1].stopped);
	reply(&made[0], &made[0].call[0]); /* late and twice: nobody's */
	end();
}
END_TEST

START_TEST(restarted_with_a_request_in_hand)
{
	begin();
	answers_at_once = false;
	ck_assert_int_eq(builtins_add(b, &ops), 0);
	say(1);
	turn(first_has_one, 10000);
	answers_at_once = true;
	ck_assert_int_eq(builtins_restart(b, "dsi.test"), 0);
	ck_assert(made[0].stopped);
	ck_assert_uint_eq(hear().id, 1);
	ck_assert(got.data[0] == '2' && !got.code);
	end();
}
END_TEST

static bool second_made(void)
{
	return n_made == 2;
}
static bool third_made(void)
{
	return n_made == 3;
}

/* Broken: at once the first time, then after pauses; one that works again is trusted again. */
START_TEST(broken_is_started_again)
{
	u64 began;

	begin();
	ck_assert_int_eq(builtins_add(b, &ops), 0);
	health_code = -DSI_EFAIL;
	turn(second_made, 10000);
	began = loop_boottime();
	ck_assert(made[0].stopped);
	turn(third_made, 20000);
	ck_assert_uint_ge(loop_boottime() - began, 1900000000ull);
	ck_assert_uint_eq(row().restarts, 2);
	health_code = 0;
	ck_assert_int_eq(call_now(1), 3);
	end();
}
END_TEST

START_TEST(what_does_not_start_is_tried_again)
{
	begin();
	start_code = -DSI_ENOMEM;
	ck_assert_int_eq(builtins_add(b, &ops), 0);
	ck_assert(!row().conn && row().health == -DSI_ENOMEM);
	ck_assert_int_eq(call_now(1), -DSI_ENOENT);
	start_code = 0;
	while (!n_made)
		turn(NULL, 10);
	ck_assert_int_eq(call_now(2), 1);
	end();
}
END_TEST

START_TEST(stopped_and_back)
{
	begin();
	ck_assert_int_eq(builtins_add(b, &ops), 0);
	ck_assert_int_eq(builtins_stop(b, "dsi.test"), 0);
	turn(first_stopped, 10000);
	ck_assert(row().stopped && !row().conn);
	ck_assert_int_eq(call_now(1), -DSI_ENOENT);
	turn(NULL, 2200); /* the supervisor looked, and left it */
	ck_assert_int_eq(n_made, 1);
	ck_assert_int_eq(builtins_restart(b, "dsi.test"), 0);
	ck_assert_int_eq(call_now(2), 2);
	ck_assert(!row().stopped);
	end();
}
END_TEST

LIB_TESTS("builtin", announces_itself_and_answers, replaced_with_a_request_open, restarted_with_a_request_in_hand,
	  broken_is_started_again, what_does_not_start_is_tried_again, stopped_and_back)
