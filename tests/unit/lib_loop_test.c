/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop: order and one-shot nature of timers, freeing inside callbacks, wake from a thread, children. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop.h"
#include "tests/unit/lib_check.h"

static struct loop *loop;
static char trace[64];
static size_t traced;

static void mark(void *ctx)
{
	trace[traced++] = *(const char *)ctx;
	if (*(const char *)ctx == 'z')
		loop_stop(loop, 7);
}

START_TEST(timers_fire_once_in_order)
{
	struct loop_timer *t[4];
	u64 start;

	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	t[0] = loop_timer_new(loop, mark, "c");
	t[1] = loop_timer_new(loop, mark, "a");
	t[2] = loop_timer_new(loop, mark, "z");
	t[3] = loop_timer_new(loop, mark, "x");
	start = loop_boottime();
	loop_timer_set(t[0], 3000000);
	loop_timer_set(t[1], 1000000);
	loop_timer_set(t[2], 9000000);
	loop_timer_set(t[3], 2000000);
	loop_timer_set(t[3], 0);
	ck_assert(loop_timer_active(t[0]));
	ck_assert(!loop_timer_active(t[3]));
	ck_assert_int_eq(loop_run(loop), 7);
	ck_assert_str_eq(trace, "acz");
	ck_assert_uint_ge(loop_boottime() - start, 9000000);
	ck_assert_uint_ge(loop_now(loop), start);
	for (int i = 0; i < 4; i++)
		loop_timer_free(t[i]);
	loop_free(loop);
}
END_TEST

/* Against a slow obvious twin: many timers set, reset and stopped at random fire in order of their time. */
static u64 due[200], last_due;
static int left;
static void in_order(void *ctx)
{
	u64 *d = ctx;

	ck_assert_uint_le(last_due, *d);
	last_due = *d;
	if (--left == 0)
		loop_stop(loop, 0);
}

START_TEST(timer_heap_keeps_order)
{
	struct loop_timer *t[200];
	unsigned seed = 1;

	loop = loop_new();
	for (int i = 0; i < 200; i++)
		t[i] = loop_timer_new(loop, in_order, &due[i]);
	for (int k = 0; k < 1000; k++) {
		int i = rand_r(&seed) % 200;

		due[i] = rand_r(&seed) % 5 ? (u64)(1 + rand_r(&seed) % 30) * 1000000 : 0;
		loop_timer_set(t[i], due[i]);
	}
	for (int i = 0; i < 200; i++)
		left += loop_timer_active(t[i]);
	/* due[] is relative to slightly different moments: compare on a millisecond grid, set close together */
	for (int i = 0; i < 200; i++) {
		if (loop_timer_active(t[i]))
			loop_timer_set(t[i], due[i] * 10);
	}
	ck_assert_int_gt(left, 50);
	loop_run(loop);
	ck_assert_int_eq(left, 0);
	for (int i = 0; i < 200; i++)
		loop_timer_free(t[i]);
	loop_free(loop);
}
END_TEST

static struct loop_fd *watch;
static void on_pipe(void *ctx, int events)
{
	char c;

	ck_assert_int_eq(events, LOOP_READ);
	ck_assert_int_eq((int)read(*(int *)ctx, &c, 1), 1);
	loop_fd_free(watch); /* inside its own callback */
	watch = NULL;
	loop_stop(loop, 3);
}

START_TEST(fd_freed_inside_its_callback)
{
	int p[2];

	loop = loop_new();
	ck_assert_int_eq(pipe(p), 0);
	watch = loop_fd_new(loop, p[0], 0, on_pipe, &p[0]);
	loop_fd_set(watch, LOOP_READ);
	ck_assert_int_eq((int)write(p[1], "ab", 2), 2);
	ck_assert_int_eq(loop_run(loop), 3);
	ck_assert_ptr_null(watch);
	close(p[0]);
	close(p[1]);
	loop_free(loop);
}
END_TEST

static void defer_again(void *ctx)
{
	trace[traced++] = 'd';
	loop_defer(loop, mark, "z");
}

START_TEST(deferred_runs_after_and_may_defer)
{
	loop = loop_new();
	ck_assert_int_eq(loop_defer(loop, mark, "a"), 0);
	ck_assert_int_eq(loop_defer(loop, defer_again, NULL), 0);
	ck_assert_int_eq(loop_defer(loop, mark, "b"), 0);
	ck_assert_int_eq(loop_run(loop), 7);
	ck_assert_str_eq(trace, "adbz");
	loop_free(loop);
}
END_TEST

static void *waker(void *w)
{
	loop_wake(w);
	return NULL;
}

START_TEST(wake_from_another_thread)
{
	struct loop_wake *w;
	pthread_t t;

	loop = loop_new();
	w = loop_wake_new(loop, mark, "z");
	pthread_create(&t, NULL, waker, w);
	ck_assert_int_eq(loop_run(loop), 7);
	pthread_join(t, NULL);
	loop_wake_free(w);
	loop_free(loop);
}
END_TEST

static int awaited = 2, exit_status;
static void arrived(void)
{
	if (--awaited == 0)
		loop_stop(loop, exit_status);
}

static void on_usr1(void *ctx)
{
	arrived();
}

static void on_child(void *ctx, int pid, int status)
{
	ck_assert_int_eq(pid, *(int *)ctx);
	ck_assert(WIFEXITED(status));
	exit_status = WEXITSTATUS(status);
	arrived();
}

START_TEST(child_and_signal)
{
	int pid;

	loop = loop_new();
	ck_assert_int_eq(loop_signal(loop, SIGUSR1, on_usr1, NULL), 0);
	pid = fork();
	if (!pid) {
		kill(getppid(), SIGUSR1);
		_exit(5);
	}
	ck_assert_int_eq(loop_child(loop, pid, on_child, &pid), 0);
	ck_assert_int_eq(loop_run(loop), 5);
	ck_assert_int_ne(loop_child(loop, -5, on_child, NULL), 0);
	loop_free(loop);
}
END_TEST

LIB_TESTS("loop", timers_fire_once_in_order, timer_heap_keeps_order, fd_freed_inside_its_callback,
	  deferred_runs_after_and_may_defer, wake_from_another_thread, child_and_signal)
