/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A control socket that serves on a loop in this process, under a name of its own, and callers in children. */
#ifndef DSI_TESTS_LIB_IPC_FIXTURE_H
#define DSI_TESTS_LIB_IPC_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ipc.h"

static struct loop *loop;
static struct ipc_server *server;
static char name[64];

static inline void ipc_named(int pid) /* the service of the process pid that began it */
{
	snprintf(name, sizeof(name), "dsi-test-%d", pid);
}

static void ipc_begin(ipc_handler *const handlers[CTL_COUNT])
{
	struct err e = { 0 };

	ipc_named((int)getpid());
	loop = loop_new();
	ck_assert_msg(!ipc_server_new(&server, loop, name, CTL_BY_DSID, handlers, NULL, &e), "%s", e.text);
}

static void ipc_end(void)
{
	ipc_server_free(server);
	loop_free(loop);
}

static void ipc_on_child(void *ctx, int pid, int status)
{
	loop_stop(loop, WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
}

/* Runs fn in a child while the server serves; its exit status, or 100 and the signal that ended it. */
static int with_client(int (*fn)(void))
{
	int pid = fork();

	if (!pid)
		_exit(fn());
	ck_assert_int_eq(loop_child(loop, pid, ipc_on_child, NULL), 0);
	return loop_run(loop);
}

#endif
