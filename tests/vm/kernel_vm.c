// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel part, enforced, in a machine of its own (kvm-one): every claim of kernel/README.md that
 * needs a kernel which enforces. Runs as root, first thing after boot; nothing else lives in the machine.
 *
 *	 main namespace            ns2
 *	 10.9.0.1 fd09::1  ------  10.9.0.2 fd09::2   node 2, by address; its kernel is ours, so what it
 *	 own NID 1          veth   10.9.0.3           sends itself is a *forged* node 2
 *	                           10.9.0.3           a host that is no member
 *	                           10.9.0.77          node 3: nobody has it; raw packets with valid labels
 *
 * Called as "actor" (argv[1] = "do") it performs one act and exits with its errno.
 */

#include "tests/vm/kernel/base.h"
#include "tests/vm/kernel/act.c"
#include "tests/vm/kernel/actor.c"
#include "tests/vm/kernel/policy.c"
#include "tests/vm/kernel/events.c"
#include "tests/vm/kernel/world.c"
#include "tests/vm/kernel/files.c"
#include "tests/vm/kernel/sockets.c"
#include "tests/vm/kernel/remote.c"
#include "tests/vm/kernel/swap.c"
#include "tests/vm/kernel/death.c"

static void test_end(void)
{
	struct err e = { 0 };

	if (server.pid)
		stop(&server);
	kill(reader, SIGKILL);
	check(!kern_detach_all(k, &e), "detach %s", e.text);
	k = NULL;
	check(DO(APPX, "read", "/srv/secret/f") == 0 && access(KERN_PIN_DIR, F_OK), "nothing is left");
}

static const struct {
	const char *name;
	void (*run)(void);
	bool always;
} tests[] = {
	{ "load", test_load, true },
	{ "labels", test_labels, false },
	{ "files", test_files, false },
	{ "ask", test_ask, false },
	{ "moves", test_moves, false },
	{ "sockets", test_sockets, false },
	{ "loopback", test_loopback, false },
	{ "remote", test_remote, false },
	{ "outside", test_outside, false },
	{ "suspended", test_suspended, false },
	{ "swap", test_swap, false },
	{ "preempt", test_preempt, false },
	{ "retry", test_retry, false },
	{ "permissive", test_permissive, false },
	{ "names", test_names, false },
	{ "death", test_death, false },
	{ "guard", test_guard, false },
	{ "end", test_end, true },
};

/* kernel_vm swap swap: only these (besides load and end), as often as they are named. */
static int named(char **names, const char *name)
{
	int n = 0;

	for (; *names; names++)
		n += !strcmp(*names, name);
	return n;
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (argc > 2 && !strcmp(argv[1], "do"))
		return act(argc - 2, argv + 2);
	if (n < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	world();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		for (int left = argc < 2 || tests[i].always ? 1 : named(argv + 1, tests[i].name); left > 0; left--)
			tests[i].run();
	printf("RESULT %d %d 0\n", passed, failed);
	return failed != 0;
}
