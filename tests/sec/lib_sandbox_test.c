/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: a process of ours runs an attacker's code. After the drop sequence the key service cannot open a
 * file or a socket, the others cannot become root, gain by exec, trace, load BPF or dump; a call outside the
 * profile ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sandbox.h"
#include "tests/unit/lib_check.h"

enum { ENTER_FAILED = 77, FINE = 0 };

/* Exit status, or 1000 + signal. The users of the profiles may not exist here: nobody stands for them. */
static int confined(enum sandbox_profile p, int (*fn)(void))
{
	int pid = fork(), status;

	if (!pid) {
		struct err e = { 0 };

		if (p != SANDBOX_MONITOR && p != SANDBOX_RING && !geteuid() && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
			_exit(ENTER_FAILED);
		if (sandbox_enter(p, &e))
			_exit(ENTER_FAILED);
		_exit(fn());
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int nothing(void)
{
	char c = 0;

	return write(-1, &c, 1) == -1 ? FINE : 1;
}

static int opens_file(void)
{
	return open("/etc/passwd", O_RDONLY) < 0;
}

static int opens_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static int forks(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0;
}

static int execs(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static int traces(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), 0, 0) ? 5 : 0;
}

static int loads_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) ? 5 : 0;
}

static int mounts(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL) ? 5 : 0;
}

static int writes_other_memory(void)
{
	return syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0) ? 5 : 0;
}

static int keeps_nothing(void)
{
	struct rlimit core;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	if (prctl(PR_GET_DUMPABLE) != 0)
		return 2;
	getrlimit(RLIMIT_CORE, &core);
	if (core.rlim_cur || core.rlim_max)
		return 3;
	return FINE;
}

static bool sanitized(void)
{
#ifdef __SANITIZE_ADDRESS__
	static bool said; /* one line per case, each runs in a process of its own */

	if (!said)
		printf("SKIP: the sanitizer's own system calls are outside the profiles\n");
	said = true;
	return true;
#else
	return false;
#endif
}

static const struct {
	const char *what;
	int (*fn)(void);
	bool keys, engine, channel, ring; /* must end by SIGSYS there */
} tries[] = {
	{ "open a file", opens_file, true, false, false, false },
	{ "open a socket", opens_socket, true, false, false, false },
	{ "fork", forks, true, false, false, true },
	{ "exec", execs, true, true, true, true },
	{ "trace another process", traces, true, true, true, true },
	{ "load BPF", loads_bpf, true, true, true, true },
	{ "mount", mounts, true, true, true, true },
	{ "write another's memory", writes_other_memory, true, true, true, true },
};

static void try_all(enum sandbox_profile p, int column)
{
	if (sanitized())
		return;
	ck_assert_int_eq(confined(p, nothing), FINE);
	ck_assert_int_eq(confined(p, keeps_nothing), column == 0 ? 1000 + SIGSYS : FINE);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		bool killed = column == 0   ? tries[i].keys :
			      column == 1 ? tries[i].engine :
			      column == 2 ? tries[i].channel : tries[i].ring;
		int got = confined(p, tries[i].fn);

		ck_assert_msg((got == 1000 + SIGSYS) == killed, "%s: %d", tries[i].what, got);
	}
}

START_TEST(key_services)
{
	try_all(SANDBOX_NODE_KEYS, 0);
	try_all(SANDBOX_SERVER_KEYS, 0);
}
END_TEST

START_TEST(engine_and_server)
{
	try_all(SANDBOX_ENGINE, 1);
	try_all(SANDBOX_SERVER, 1);
}
END_TEST

START_TEST(channel)
{
	try_all(SANDBOX_CHANNEL, 2);
}
END_TEST

static int has_no_caps(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long long prm = ~0ull;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "CapPrm: %llx", &prm);
	return prm ? 1 : FINE;
}

/* Root by its files alone: it reads and writes what root owns, and that is all. */
START_TEST(ring_helper)
{
	try_all(SANDBOX_RING, 3);
	if (!sanitized())
		ck_assert_int_eq(confined(SANDBOX_RING, has_no_caps), FINE);
}
END_TEST

static int caps_are_bounded(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long long prm = ~0ull;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "CapPrm: %llx", &prm);
	/* CAP_SETGID 6, CAP_SETUID 7, CAP_SETPCAP 8, CAP_SYS_MODULE 16, CAP_SYS_RAWIO 17, CAP_SYS_PTRACE 19, CAP_SYS_BOOT 22,
	 * CAP_MKNOD 27, CAP_SETFCAP 31, CAP_MAC_ADMIN 33 */
	return prm & (7ull << 6 | 1ull << 16 | 1ull << 17 | 1ull << 19 | 1ull << 22 | 1ull << 27 | 1ull << 31 | 1ull << 33) ? 1 : FINE;
}

/* A job of root's that the monitor starts: it runs, and no privilege comes back with it. */
static int starts_a_program(void)
{
	int status, pid = fork();

	if (!pid)
		execl("/bin/sh", "sh", "-c", "exec grep -q '^Seccomp:.*2' /proc/self/status", (char *)NULL);
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? 1 : FINE;
}

static int becomes_somebody(void)
{
	return setuid(65534) ? FINE : 1;
}

START_TEST(monitor_keeps_only_its_capabilities)
{
	if (geteuid()) {
		printf("SKIP: monitor_keeps_only_its_capabilities: needs root\n");
		return;
	}
	ck_assert_int_eq(confined(SANDBOX_MONITOR, caps_are_bounded), FINE);
	ck_assert_int_eq(confined(SANDBOX_MONITOR, keeps_nothing), FINE);
	if (sanitized())
		return;
	ck_assert_int_eq(confined(SANDBOX_MONITOR, starts_a_program), FINE);
	ck_assert_int_eq(confined(SANDBOX_MONITOR, mounts), 1000 + SIGSYS);
	ck_assert_int_eq(confined(SANDBOX_MONITOR, traces), 1000 + SIGSYS);
	ck_assert_int_eq(confined(SANDBOX_MONITOR, writes_other_memory), 1000 + SIGSYS);
	ck_assert_int_eq(confined(SANDBOX_MONITOR, becomes_somebody), 1000 + SIGSYS);
}
END_TEST

LIB_TESTS("sandbox", key_services, engine_and_server, channel, ring_helper, monitor_keeps_only_its_capabilities)
