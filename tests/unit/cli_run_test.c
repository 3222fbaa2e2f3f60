/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dsi-run as a program: the entry it makes and executes, what it says otherwise. That the kernel changes the context at
 * the entry is shown where there is one (tests/main-job/06-policy.sh).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/lib_check.h"

static char dir[] = "/tmp/dsi-run-test.XXXXXX";
static char out[4096];

/* Run it through the shell; its text, both streams, in `out`; its exit code is answered. */
static int dsi_run(const char *args)
{
	const char *b = getenv("B");
	char cmd[1024];
	size_t n;
	FILE *f;
	int r;

	(void)snprintf(cmd, sizeof(cmd), "%s/bin/dsi-run --dir %s %s 2>&1", b ? b : "build", dir, args);
	f = popen(cmd, "r");
	ck_assert_ptr_nonnull(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	r = pclose(f);
	ck_assert(WIFEXITED(r));
	return WEXITSTATUS(r);
}

static void says(const char *args, int code, const char *text)
{
	int r = dsi_run(args);

	ck_assert_msg(r == code && strstr(out, text), "dsi-run %s: %d, not %d:\n%s", args, r, code, out);
}

static void in_dir(void (*test)(void))
{
	char cmd[100];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	test();
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void through(void)
{
	char path[200];
	struct stat st;

	says("--make nginx/configuration", 0, "/nginx.configuration\n");
	(void)snprintf(path, sizeof(path), "%s/nginx.configuration", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	says("--phase nginx/configuration echo a 'b  c' --phase x", 0, "a b  c --phase x\n");
	says("--phase nginx/configuration sh -c 'exit 7'", 7, "");
	says("--phase nginx/configuration -- echo x", 0, "x\n");
	says("--phase nginx/configuration no-such-command", 127, "no-such-command: No such file or directory");
	says("--phase nginx/configuration /tmp", 126, "/tmp: Permission denied");
	says("--make nginx/configuration", 0, "/nginx.configuration\n"); /* again: replaced */
	says("--make a.b/execution", 0, "/a.b.execution\n");
}

START_TEST(a_command_runs_through_its_entry)
{
	in_dir(through);
}
END_TEST

static void wrongly(void)
{
	char path[200];

	says("--phase nginx/activation true", 127, "root makes one with `dsi-run --make nginx/activation`");
	says("--phase nginx true", 125, "no phase: write DOMAIN/PHASE; the phases are installation, ");
	says("--phase nginx/conf true", 125, "no such phase: there are installation, activation, configuration, execution");
	says("--phase ../x/execution true", 125, "no such phase");
	says("--phase 'a b/execution' true", 125, "no name of a domain");
	says("--phase /execution true", 125, "no name of a domain");
	says("--make aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefff/execution", 0, "");
	says("--make aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffg/execution", 125, "no name of a domain");
	says("--phase nginx/activation", 125, "usage:");
	says("--make nginx/activation x", 125, "usage:");
	says("--make a/execution --phase b/execution true", 125, "usage:");
	says("--entered", 125, "usage:"); /* only as the first word, as the kernel gives it */
	says("", 125, "usage:");
	says("--frobnicate", 125, "usage:");
	says("--dir /proc/none --make a/execution", 125, "cannot make /proc/none/a.execution: No such file or directory");
	(void)snprintf(path, sizeof(path), "touch %s/a.activation", dir);
	ck_assert_int_eq(system(path), 0);
	says("--phase a/activation true", 126, "not allowed to enter a/activation");
}

START_TEST(what_is_wrong_is_said)
{
	in_dir(wrongly);
}
END_TEST

LIB_TESTS("cli_run", a_command_runs_through_its_entry, what_is_wrong_is_said)
