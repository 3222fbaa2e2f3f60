/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: a helper inherits what is not its own: descriptors, environment, signals, its parent's death unseen.
 * The program runs itself again as helper: `-x look` says what it got, on descriptor 3.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/link.h"
#include "lib/notify.h"
#include "lib/privsep.h"
#include "tests/unit/lib_check.h"

extern char **environ;

static int look(int argc, char **argv)
{
	char text[256], fds[64] = "";
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	struct sigaction sa;
	sigset_t blocked;
	int highest = -1;

	while ((e = readdir(d))) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] == '.' || fd == dirfd(d))
			continue;
		highest = fd > highest ? fd : highest;
		snprintf(fds + strlen(fds), sizeof(fds) - strlen(fds), "%d", fd);
	}
	closedir(d);
	sigaction(SIGUSR1, NULL, &sa);
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	snprintf(text, sizeof(text), "%s role=%s args=%s env=%d usr1=%d blocked=%d", fds, privsep_role(argc, argv),
		 argc > 3 ? argv[3] : "", environ && environ[0] ? 1 : 0, sa.sa_handler != SIG_DFL, sigismember(&blocked, SIGUSR2));
	return write(PRIVSEP_FD, text, strlen(text)) < 0;
}

static int sleep_forever(void)
{
	if (write(PRIVSEP_FD, "x", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* A daemon started under flock(1), or by any tool that leaks, must not hold the lock for as long as it lives. */
START_TEST(what_the_starter_left_open_is_dropped)
{
	int pid = fork(), status = 0;

	if (!pid) {
		dup2(2, 3);
		dup2(2, 9);
		dup2(2, 200);
		privsep_drop_inherited();
		_exit(fcntl(2, F_GETFD) < 0 || fcntl(3, F_GETFD) >= 0 || fcntl(9, F_GETFD) >= 0 || fcntl(200, F_GETFD) >= 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(gets_what_it_was_given_and_nothing_else)
{
	static const char *const args[] = { "hello", NULL };
	struct privsep_child c = { .role = "look", .n_fds = 3, .args = args };
	char got[256] = "";
	struct err e = { 0 };
	int sv[2], pid, stray = dup2(0, 67), status;
	sigset_t usr2;

	(void)stray;
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	ck_assert_int_eq(privsep_pair(sv, &e), 0);
	/* the ones to pass stand where others are to come: 65 becomes 3, 4 stays away, 3 becomes 5 */
	dup2(sv[1], 65);
	c.fds[0] = 65;
	c.fds[1] = -1;
	c.fds[2] = sv[1];
	ck_assert_msg(!privsep_spawn("test", &c, &pid, &e), "%s", e.text);
	close(sv[1]);
	close(65);
	ck_assert_int_gt((int)read(sv[0], got, sizeof(got) - 1), 0);
	waitpid(pid, &status, 0);
	ck_assert_str_eq(got, "01235 role=look args=hello env=0 usr1=0 blocked=0");
	close(sv[0]);
}
END_TEST

START_TEST(dies_with_its_parent)
{
	struct err e = { 0 };
	char c;
	int sv[2], middle;

	ck_assert_int_eq(privsep_pair(sv, &e), 0);
	middle = fork();
	if (!middle) {
		struct privsep_child k = { .role = "sleep", .fds = { sv[1] }, .n_fds = 1 };
		int pid;

		close(sv[0]);
		if (privsep_spawn("test", &k, &pid, NULL))
			_exit(1);
		close(sv[1]);
		for (;;)
			pause();
	}
	close(sv[1]);
	ck_assert_int_eq((int)read(sv[0], &c, 1), 1);
	kill(middle, SIGKILL);
	waitpid(middle, NULL, 0);
	ck_assert_int_eq((int)read(sv[0], &c, 1), 0); /* the helper's end is closed: it is gone */
	close(sv[0]);
}
END_TEST

START_TEST(pair_carries_whole_link_frames)
{
	struct err e = { 0 };
	u8 *big = calloc(1, 128 << 10);
	int sv[2];

	ck_assert_int_eq(privsep_pair(sv, &e), 0);
	ck_assert_int_eq((int)send(sv[0], big, 128 << 10, MSG_DONTWAIT), 128 << 10);
	ck_assert_int_eq((int)recv(sv[1], big, 128 << 10, 0), 128 << 10);
	ck_assert_int_eq(fcntl(sv[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	free(big);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

START_TEST(role_only_from_its_place)
{
	char *plain[] = { "dsid", "--foreground", NULL }, *role[] = { "dsid: x", "-x", "engine", NULL }, *bare[] = { "a", "-x", NULL };

	ck_assert_ptr_null(privsep_role(2, plain));
	ck_assert_str_eq(privsep_role(3, role), "engine");
	ck_assert_ptr_null(privsep_role(2, bare));
}
END_TEST

START_TEST(service_manager_hears)
{
	int sv[2];
	char got[64] = "";

	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(notify_open(), -1);
	notify_ready(); /* nobody to tell: nothing happens */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
	notify_use(sv[0]);
	notify_ready();
	ck_assert_int_gt((int)recv(sv[1], got, sizeof(got) - 1, 0), 0);
	ck_assert_str_eq(got, "READY=1");
	memset(got, 0, sizeof(got));
	notify_status("policy 42");
	ck_assert_int_gt((int)recv(sv[1], got, sizeof(got) - 1, 0), 0);
	ck_assert_str_eq(got, "STATUS=policy 42");
	close(sv[1]);
	notify_watchdog(); /* it is gone: no signal */
	notify_stopping();
}
END_TEST

int main(int argc, char **argv)
{
	const char *role = privsep_role(argc, argv);
	const TTest *const cases[] = { gets_what_it_was_given_and_nothing_else,
				       what_the_starter_left_open_is_dropped, dies_with_its_parent,
				       pair_carries_whole_link_frames, role_only_from_its_place, service_manager_hears };

	if (role)
		return !strcmp(role, "look") ? look(argc, argv) : sleep_forever();
	return lib_tests_run("privsep", cases, ARRAY_SIZE(cases));
}
