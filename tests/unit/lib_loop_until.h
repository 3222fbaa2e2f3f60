/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A loop run until something is so, for tests: looked at every 5 ms, for a minute at most. One at a time. */
#ifndef DSI_TESTS_LIB_LOOP_UNTIL_H
#define DSI_TESTS_LIB_LOOP_UNTIL_H

#include "lib/loop.h"

static struct {
	struct loop *loop;
	struct loop_timer *timer;
	bool (*cond)(void);
	u64 deadline;
} loop_look;

static void loop_on_look(void *ctx)
{
	(void)ctx;
	if (loop_look.cond() || loop_now(loop_look.loop) > loop_look.deadline)
		loop_stop(loop_look.loop, 0);
	else
		loop_timer_set(loop_look.timer, 5000000);
}

static bool loop_until(struct loop *l, bool (*cond)(void)) /* false: the minute is over */
{
	loop_look.loop = l;
	loop_look.cond = cond;
	loop_look.deadline = loop_now(l) + 60ull * 1000000000;
	loop_look.timer = loop_timer_new(l, loop_on_look, NULL);
	loop_timer_set(loop_look.timer, 1);
	loop_run(l);
	loop_timer_free(loop_look.timer);
	return cond();
}

#endif
