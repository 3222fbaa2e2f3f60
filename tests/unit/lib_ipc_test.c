/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket end to end: answers now and later, in parts, to the gone; rights by the table's column. */
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ipc.h"
#include "lib/limits.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/lib_ipc_fixture.h"

static struct ipc_request *kept;
static int handled;

static void on_status(void *ctx, struct ipc_request *rq, const json_t *args)
{
	handled++;
	ipc_answer(rq, 0, NULL, json_pack("{s:O, s:i}", "echo", args, "uid", (int)ipc_caller(rq)->uid));
}

static void on_nodes(void *ctx, struct ipc_request *rq, const json_t *args)
{
	handled++;
	if (kept)
		ipc_answer(kept, 0, NULL, NULL);
	kept = rq; /* later */
}

static void on_log(void *ctx, struct ipc_request *rq, const json_t *args)
{
	size_t n = (size_t)json_integer_value(json_object_get(args, "n"));
	char *s = malloc(n + 1);

	memset(s, 'x', n);
	s[n] = 0;
	handled++;
	ipc_answer(rq, 0, NULL, json_pack("{s:s}", "s", s));
	free(s);
}

static void on_isolate(void *ctx, struct ipc_request *rq, const json_t *args)
{
	handled++;
	ipc_answer(rq, -DSI_EQUORUM, "not \"now\"\n", NULL);
}

static ipc_handler *const handlers[CTL_COUNT] = {
	[CTL_STATUS] = on_status, [CTL_NODES] = on_nodes, [CTL_LOG] = on_log, [CTL_ISOLATE] = on_isolate,
	[CTL_FAILOVER] = on_isolate,
};

static void setup(void)
{
	ipc_begin(handlers);
}

/* Code of the answer, or of the call; *ret_doc may be NULL. */
static int ask(const char *request, int ms, json_t **ret_doc)
{
	struct err e = { 0 };
	char *text;
	size_t n;
	int rc = ipc_call(name, request, strlen(request), ms, &text, &n, &e);
	json_t *doc;

	if (rc) {
		fprintf(stderr, "call: %s\n", e.text);
		return rc;
	}
	doc = json_loadb(text, n, 0, NULL);
	rc = (int)json_integer_value(json_object_get(doc, "code"));
	free(text);
	if (ret_doc)
		*ret_doc = doc;
	else
		json_decref(doc);
	return rc;
}

#define MUST(cond)                                                                                     \
	do {                                                                                           \
		if (!(cond)) {                                                                         \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond);                             \
			return 1;                                                                      \
		}                                                                                      \
	} while (0)

static int plain_client(void)
{
	json_t *doc, *echo;

	MUST(ask("{\"verb\":\"status\",\"args\":{\"a\":[1,2]}}", 5000, &doc) == 0);
	echo = json_object_get(json_object_get(doc, "data"), "echo");
	MUST(json_array_size(json_object_get(echo, "a")) == 2);
	MUST(ask("{\"verb\":\"status\"}", 5000, NULL) == 0);
	MUST(ask("{\"verb\":\"nonsense\"}", 5000, NULL) == -DSI_EUSAGE);
	MUST(ask("{\"verb\":\"failover\"}", 5000, NULL) == -DSI_EUSAGE); /* dsi-ss's, not ours */
	MUST(ask("{\"verb\":\"submit\"}", 5000, NULL) == -DSI_EUSAGE);   /* no handler */
	MUST(ask("{\"verb\":7}", 5000, NULL) == -DSI_EPARSE);
	MUST(ask("{\"verb\":\"status\",\"args\":[]}", 5000, NULL) == -DSI_EPARSE);
	MUST(ask("[]", 5000, NULL) == -DSI_EPARSE);
	MUST(ask("{\"verb\":\"status\",\"verb\":\"nodes\"}", 5000, NULL) == -DSI_EPARSE);
	MUST(ask("", 5000, NULL) == -DSI_EPARSE);
	MUST(ask("{\"verb\":\"isolate\"}", 5000, NULL) == (geteuid() ? -DSI_EPERM : -DSI_EQUORUM));
	return 0;
}

START_TEST(requests_and_refusals)
{
	setup();
	ck_assert_int_eq(with_client(plain_client), 0);
	ipc_end();
}
END_TEST

static int long_client(void)
{
	char *big = malloc(LIM_CTL + 1);
	json_t *doc;
	int head;

	MUST(ask("{\"verb\":\"log\",\"args\":{\"n\":500000}}", 5000, &doc) == 0);
	MUST(json_string_length(json_object_get(json_object_get(doc, "data"), "s")) == 500000);
	MUST(ask("{\"verb\":\"log\",\"args\":{\"n\":2000000}}", 5000, NULL) == -DSI_ELIMIT);
	/* a request of exactly the limit, in parts */
	head = sprintf(big, "{\"verb\":\"status\",\"args\":{\"x\":\"");
	memset(big + head, 'y', (size_t)(LIM_CTL - head));
	strcpy(big + LIM_CTL - 3, "\"}}");
	MUST(strlen(big) == LIM_CTL);
	MUST(ask(big, 5000, NULL) == -DSI_ELIMIT); /* taken; its echo does not fit an answer */
	strcpy(big + 700000, "\"}}");
	MUST(ask(big, 5000, &doc) == 0);
	free(big);
	return 0;
}

START_TEST(long_texts_travel_in_parts)
{
	setup();
	ck_assert_int_eq(with_client(long_client), 0);
	ck_assert_int_eq(handled, 4);
	ipc_end();
}
END_TEST

static void answer_kept(void *ctx)
{
	if (kept)
		ipc_answer(kept, 0, "later", NULL);
	else
		loop_timer_set(*(struct loop_timer **)ctx, 10000000);
	kept = NULL;
}

static int late_client(void)
{
	return ask("{\"verb\":\"nodes\"}", 5000, NULL);
}

static int impatient_client(void)
{
	return ask("{\"verb\":\"nodes\"}", 100, NULL) == -DSI_ETIMEDOUT ? 0 : 1;
}

START_TEST(answers_may_come_later_or_to_nobody)
{
	struct loop_timer *t;

	setup();
	t = loop_timer_new(loop, answer_kept, &t);
	loop_timer_set(t, 50000000);
	ck_assert_int_eq(with_client(late_client), 0);
	loop_timer_set(t, 0);
	ck_assert_int_eq(with_client(impatient_client), 0);
	ck_assert_ptr_nonnull(kept);
	ck_assert_int_eq(with_client(plain_client), 0); /* the server goes on, and has seen the end */
	ipc_answer(kept, 0, NULL, json_object());
	/* a request outlives the server */
	kept = NULL;
	ck_assert_int_eq(with_client(impatient_client), 0);
	loop_timer_free(t);
	ipc_end();
	ipc_answer(kept, 0, NULL, NULL);
}
END_TEST

static int killed_client(void)
{
	if (!fork()) {
		ask("{\"verb\":\"nodes\"}", 5000, NULL);
		_exit(0);
	}
	usleep(50000);
	kill(0, SIGKILL);
	return 0;
}

START_TEST(killed_clients_leave_nothing)
{
	setup();
	for (int i = 0; i < 5; i++) {
		int pid = fork();

		if (!pid) {
			setpgid(0, 0);
			_exit(killed_client());
		}
		ck_assert_int_eq(loop_child(loop, pid, ipc_on_child, NULL), 0);
		ck_assert_int_eq(loop_run(loop), 100 + SIGKILL);
	}
	ck_assert_int_eq(with_client(plain_client), 0);
	if (kept)
		ipc_answer(kept, 0, NULL, NULL);
	ipc_end();
}
END_TEST

START_TEST(nobody_there)
{
	struct err e = { 0 };
	char *text;
	size_t n;

	ck_assert_int_eq(ipc_call("dsi-test-nobody", "{}", 2, 1000, &text, &n, &e), -DSI_ENOTCONN);
	ck_assert_ptr_nonnull(strstr(e.text, "not running"));
}
END_TEST

static int as_nobody(void)
{
	if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
		return 9;
	MUST(ask("{\"verb\":\"status\"}", 5000, NULL) == 0);
	MUST(ask("{\"verb\":\"log\",\"args\":{\"n\":1}}", 5000, NULL) == -DSI_EPERM);
	MUST(ask("{\"verb\":\"isolate\"}", 5000, NULL) == -DSI_EPERM);
	return 0;
}

START_TEST(rights_by_column)
{
	if (geteuid()) {
		printf("SKIP: rights_by_column: needs root to become another user\n");
		return;
	}
	setup();
	ck_assert_int_eq(with_client(as_nobody), 0);
	ck_assert_int_eq(handled, 1);
	ipc_end();
}
END_TEST

/* The engine's case: the server is not root, the caller another user (or root). */
static int nobodys_server(void)
{
	int status;

	if (setgroups(0, NULL) || setgid(65533) || setuid(65533))
		return 9;
	setup();
	status = with_client(plain_client);
	if (status)
		return status;
	ipc_end();
	return 0;
}

START_TEST(server_that_is_not_root)
{
	int pid, status;

	if (geteuid()) {
		printf("SKIP: server_that_is_not_root: needs root to become another user\n");
		return;
	}
	pid = fork();
	if (!pid)
		_exit(nobodys_server());
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

LIB_TESTS("ipc", requests_and_refusals, long_texts_travel_in_parts, answers_may_come_later_or_to_nobody,
	  killed_clients_leave_nothing, nobody_there, rights_by_column, server_that_is_not_root)
