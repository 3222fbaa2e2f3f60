/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fork and re-exec. Between fork and exec only async-signal-safe calls. Must never: let a descriptor through
 * that was not named, or the environment, or a blocked or ignored signal.
 */
#include "lib/privsep.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HIGH = 64, ARGS_MAX = 16 };

/* First all up and out of each other's way, to free numbers from HIGH on, then down to their places. */
static bool place_fds(const struct privsep_child *c)
{
	int high[PRIVSEP_FDS_MAX];

	for (int i = 0; i < c->n_fds; i++) {
		high[i] = c->fds[i] < 0 ? -1 : fcntl(c->fds[i], F_DUPFD_CLOEXEC, HIGH);
		if (c->fds[i] >= 0 && high[i] < 0)
			return false;
	}
	for (int i = 0; i < c->n_fds; i++) {
		if (high[i] < 0)
			close(PRIVSEP_FD + i);
		else if (dup2(high[i], PRIVSEP_FD + i) < 0)
			return false;
	}
	return !syscall(SYS_close_range, PRIVSEP_FD + c->n_fds, ~0u, 0);
}

void privsep_drop_inherited(void)
{
	syscall(SYS_close_range, PRIVSEP_FD, ~0u, 0); /* cannot fail with these */
}

static void plain_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_exec(const struct privsep_child *c, char **argv, pid_t parent)
{
	static char *const no_env[] = { NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	plain_signals();
	if (getppid() == parent && place_fds(c))
		execve("/proc/self/exe", argv, no_env);
	_exit(127);
}

int privsep_spawn(const char *program, const struct privsep_child *c, int *ret_pid, struct err *e)
{
	char *argv[ARGS_MAX + 4], title[64];
	pid_t parent = getpid(), pid;
	int n = 0;

	assert(c->n_fds <= PRIVSEP_FDS_MAX);
	snprintf(title, sizeof(title), "%s: %s", program, c->role);
	argv[n++] = title;
	argv[n++] = (char *)"-x";
	argv[n++] = (char *)c->role;
	for (int i = 0; c->args && c->args[i] && i < ARGS_MAX; i++)
		argv[n++] = (char *)c->args[i];
	argv[n] = NULL;
	pid = fork();
	if (pid < 0)
		return err_errno(e, -DSI_EFAIL, "%s: fork", c->role);
	if (!pid)
		child_exec(c, argv, parent);
	*ret_pid = pid;
	return 0;
}

int privsep_pair(int ret[2], struct err *e)
{
	int room = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret))
		return err_errno(e, -DSI_EIO, "socketpair");
	for (int i = 0; i < 2; i++)
		if (setsockopt(ret[i], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
			setsockopt(ret[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return 0;
}

const char *privsep_role(int argc, char **argv)
{
	return argc >= 3 && !strcmp(argv[1], "-x") ? argv[2] : NULL;
}
