/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The drop sequence. Order matters: groups before ids, ids before capabilities are gone, filter last.
 * Must never: continue after a step that failed.
 */
#include "lib/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum filter { FILTER_KEYS, FILTER_CHANNEL, FILTER_ENGINE, FILTER_MONITOR, FILTER_RING, FILTER_COUNT };

static const struct {
	const char *name, *user;
	enum filter filter;
} profile_table[] = {
#define X(n, u, f) { #n, u, f },
	SANDBOX_TABLE(X)
#undef X
};

/* What any C program needs to run and to end. */
static const int calls_basic[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(brk),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(futex),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(restart_syscall), SCMP_SYS(getrusage), SCMP_SYS(sched_yield), SCMP_SYS(tgkill), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(rseq), SCMP_SYS(membarrier),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(mlock), SCMP_SYS(munlock),
};
/* libev, sockets of libqb and corosync, files in our own directories. */
static const int calls_loop[] = {
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_create), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(pipe2), SCMP_SYS(socket),
	SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
	SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(shutdown),
	SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(ftruncate), SCMP_SYS(truncate),
	SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(chmod),
	SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(fchown), SCMP_SYS(lchown), SCMP_SYS(umask),
	SCMP_SYS(getdents64), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(uname), SCMP_SYS(sysinfo),
	SCMP_SYS(getrlimit), SCMP_SYS(setrlimit), SCMP_SYS(prlimit64), SCMP_SYS(sched_getaffinity), SCMP_SYS(clone), SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list), SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_setscheduler), SCMP_SYS(ioctl), SCMP_SYS(msync),
	SCMP_SYS(flock), SCMP_SYS(utimensat), SCMP_SYS(sigaltstack), SCMP_SYS(kill), SCMP_SYS(getppid),
	SCMP_SYS(signalfd4), SCMP_SYS(prctl), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(fadvise64),
	SCMP_SYS(fchdir), SCMP_SYS(clock_getres), SCMP_SYS(times), SCMP_SYS(getgroups), SCMP_SYS(semop), SCMP_SYS(semtimedop),
	SCMP_SYS(sync_file_range), SCMP_SYS(syncfs), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(select), SCMP_SYS(pselect6),
};

/* The monitor's own: BPF; and what a job of root's needs from fork to exit: re-exec of this program, its dynamic
 * loader, exec of one tool, its own drop. */
static const int calls_monitor[] = {
	SCMP_SYS(bpf), SCMP_SYS(execve), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(pidfd_open),
	SCMP_SYS(close_range),
	SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address), SCMP_SYS(pipe), SCMP_SYS(getpgrp), SCMP_SYS(setsid), SCMP_SYS(getsid),
	SCMP_SYS(capget), SCMP_SYS(capset), SCMP_SYS(seccomp), SCMP_SYS(getresuid), SCMP_SYS(getresgid),
};

/* Two files written beside and renamed, and libqb's client end: a local socket and memory shared with corosync. No fork,
 * no exec, no listening. */
static const int calls_ring[] = {
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(shutdown), SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(stat), SCMP_SYS(lstat),
	SCMP_SYS(statx), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fchmod), SCMP_SYS(prlimit64), SCMP_SYS(uname), SCMP_SYS(getppid),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(prctl), SCMP_SYS(sysinfo),
};

enum { SETS = 3 };
static const struct {
	const int *v;
	size_t n;
} filter_sets[FILTER_COUNT][SETS] = {
	[FILTER_KEYS] = { { calls_basic, ARRAY_SIZE(calls_basic) } },
	[FILTER_CHANNEL] = { { calls_basic, ARRAY_SIZE(calls_basic) }, { calls_loop, ARRAY_SIZE(calls_loop) } },
	[FILTER_ENGINE] = { { calls_basic, ARRAY_SIZE(calls_basic) }, { calls_loop, ARRAY_SIZE(calls_loop) } },
	[FILTER_MONITOR] = { { calls_basic, ARRAY_SIZE(calls_basic) }, { calls_loop, ARRAY_SIZE(calls_loop) },
			     { calls_monitor, ARRAY_SIZE(calls_monitor) } },
	[FILTER_RING] = { { calls_basic, ARRAY_SIZE(calls_basic) }, { calls_ring, ARRAY_SIZE(calls_ring) } },
};

void sandbox_early(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
}

static int drop_ids(const char *user, struct err *e)
{
	const struct passwd *pw;

	if (geteuid())
		return 0;
	pw = getpwnam(user);
	if (!pw)
		return err_set(e, -DSI_ECONFIG, "user %s is missing (systemd-sysusers dsi.conf)", user);
	if (setgroups(1, &pw->pw_gid) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return err_errno(e, -DSI_EPERM, "become %s", user);
	if (!setuid(0))
		return err_set(e, -DSI_EPERM, "become %s: root came back", user);
	return 0;
}

/* Root's work that is left to the monitor once it runs (SECURITY.md says what for). init/dsid.service bounds a longer
 * list: loading, and starting children who change their user and lock their memory, is over by then. */
static const cap_value_t caps_monitor[] = {
	CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_KILL, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
	CAP_CHOWN, CAP_FOWNER,
};

/* Only what is both in the list and held: a container or unit may have taken some away already. */
static int keep_caps(const cap_value_t *list, size_t n, struct err *e)
{
	cap_t have = cap_get_proc(), want = cap_init();
	int rc = have && want ? 0 : -1;

	for (size_t i = 0; i < n && !rc; i++) {
		cap_flag_value_t v = CAP_CLEAR;

		rc = cap_get_flag(have, list[i], CAP_PERMITTED, &v);
		if (!rc && v == CAP_SET)
			rc = cap_set_flag(want, CAP_PERMITTED, 1, &list[i], CAP_SET) ||
			     cap_set_flag(want, CAP_EFFECTIVE, 1, &list[i], CAP_SET);
	}
	if (!rc)
		rc = cap_set_proc(want);
	cap_free(have);
	cap_free(want);
	return rc ? err_errno(e, -DSI_EPERM, "drop capabilities") : 0;
}

static int drop_caps(struct err *e)
{
	int rc = keep_caps(NULL, 0, e);

	if (!rc && geteuid() && prctl(PR_SET_DUMPABLE, 0)) /* changing ids may have raised it */
		rc = err_errno(e, -DSI_EPERM, "forbid dumps");
	return rc;
}

/* A build for finding missing rules (-DDSI_SECCOMP_TEST, never installed) may log instead: DSI_SECCOMP=log. */
static u32 refusal(void)
{
#ifdef DSI_SECCOMP_TEST
	if (getenv("DSI_SECCOMP") && !strcmp(getenv("DSI_SECCOMP"), "log"))
		return SCMP_ACT_LOG;
#endif
	return SCMP_ACT_KILL_PROCESS;
}

static int install_filter(enum filter f, struct err *e)
{
	scmp_filter_ctx ctx;
	int rc = 0;

	ctx = seccomp_init(refusal());
	if (!ctx)
		return err_set(e, -DSI_ENOMEM, "system-call filter");
	for (int s = 0; s < SETS && !rc; s++)
		for (size_t i = 0; i < filter_sets[f][s].n && !rc; i++)
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, filter_sets[f][s].v[i], 0);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc ? err_set(e, -DSI_EPERM, "system-call filter: %s", strerror(-rc)) : 0;
}

int sandbox_enter(enum sandbox_profile p, struct err *e)
{
	int rc = 0;

	sandbox_early();
	if (profile_table[p].user) {
		rc = drop_ids(profile_table[p].user, e);
		if (!rc)
			rc = drop_caps(e);
	} else {
		rc = keep_caps(caps_monitor, p == SANDBOX_MONITOR ? ARRAY_SIZE(caps_monitor) : 0, e);
	}
	if (!rc && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		rc = err_errno(e, -DSI_EPERM, "no_new_privs");
	return rc ? rc : install_filter(profile_table[p].filter, e);
}
