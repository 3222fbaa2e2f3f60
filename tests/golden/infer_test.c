/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy infer on package data as Debian 12 has it (tests/golden/infer/root: lists and conffiles of nginx and redis, the
 * lines of units and configuration that matter): the draft is tests/golden/infer/CASE.dsp, compiles with policies/base,
 * keeps the must-allow list, and lets the services do what they do. UPDATE=1 writes the drafts. Also: what it refuses.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/compiler.h"
#include "tests/unit/lib_check.h"

#define ROOT "tests/golden/infer/root"

static char out[1 << 16];

static int admin(const char *args)
{
	const char *b = getenv("B");
	char cmd[1024];
	size_t n;
	FILE *f;
	int r;

	(void)snprintf(cmd, sizeof(cmd), "%s/bin/dsi-admin %s 2>&1", b ? b : "build", args);
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
	int r = admin(args);

	ck_assert_msg(r == code && strstr(out, text), "dsi-admin %s: %d, not %d:\n%s", args, r, code, out);
}

static void draft_is(const char *name, const char *args)
{
	char cmd[300], path[200], stored[sizeof(out)];
	size_t n;
	FILE *f;

	(void)snprintf(cmd, sizeof(cmd), "policy infer %s --root " ROOT, args);
	ck_assert_int_eq(admin(cmd), 0);
	(void)snprintf(path, sizeof(path), "tests/golden/infer/%s.dsp", name);
	if (getenv("UPDATE")) {
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		(void)fputs(out, f);
		ck_assert_int_eq(fclose(f), 0);
		return;
	}
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	n = fread(stored, 1, sizeof(stored) - 1, f);
	stored[n] = '\0';
	(void)fclose(f);
	ck_assert_msg(!strcmp(stored, out), "%s differs (UPDATE=1 rewrites). Now:\n%s", path, out);
}

START_TEST(nginx_and_redis)
{
	static const char *const allowed[] = {
		"nginx /var/www/html file read",   "nginx /etc/nginx/nginx.conf file read",	   "nginx /var/log/nginx/a.log file create",
		"nginx /run/nginx.pid file write", "nginx self tcp listen --port 80 --node n1",    "redis-server /var/lib/redis/x file write",
		"redis-server self tcp bind,listen --port 6379 --node n1", "outside nginx tcp accept --port 80 --peer outside --node n1",
		"redis-server self socket create --socket inet,stream", "default nginx process transition",
	};
	static const char *const refused[] = {
		"nginx /etc/shadow file read", "nginx /var/lib/redis/x file read", "nginx /etc/nginx/nginx.conf file write",
		"redis-server /etc/nginx/nginx.conf file read", "nginx self tcp listen --port 8443 --node n1",
		"outside redis-server tcp accept --port 6379 --peer outside --node n1", "nginx any tcp connect --port 6379 --peer n3 --node n1",
		"nginx /var/lib/otherthing/x file read,write",
	};
	char cmd[300];

	draft_is("nginx-redis", "nginx redis-server");
	draft_is("nginx-redis-enforcing", "nginx redis-server --enforcing");
	says("policy check policies/base tests/golden/infer/nginx-redis-enforcing.dsp", 0, "0 warnings");
	says("policy check policies/base tests/golden/infer/nginx-redis.dsp", 0, "must-allow list: holds");
	for (size_t i = 0; i < ARRAY_SIZE(allowed) + ARRAY_SIZE(refused); i++) {
		bool good = i < ARRAY_SIZE(allowed);

		(void)snprintf(cmd, sizeof(cmd), "policy explain %s --policy policies/base --policy tests/golden/infer/nginx-redis-enforcing.dsp",
			       good ? allowed[i] : refused[i - ARRAY_SIZE(allowed)]);
		says(cmd, good ? 0 : 1, good ? "allowed" : "refused");
	}
}
END_TEST

START_TEST(what_cannot_be_drafted_is_said)
{
	says("policy infer no-such-package --root " ROOT, 105, "no-such-package: no such package is installed");
	says("policy infer gone --root " ROOT, 105, "gone: no such package is installed");
	says("policy infer nothing-to-start --root " ROOT, 105, "nothing-to-start: no service unit of it");
	says("policy infer nginx nginx-common --root " ROOT, 105, "nginx-common: no service unit of it");
	says("policy infer ../../etc/passwd --root " ROOT, 64, "no name of a package");
	says("policy infer -- -x --root " ROOT, 64, "no name of a package");
	says("policy infer 'a b' --root " ROOT, 64, "no name of a package");
	says("policy infer --root " ROOT, 64, "");
	says("policy infer nginx --root /proc/none", 105, "no package database below /proc/none");
}
END_TEST

LIB_TESTS("infer", nginx_and_redis, what_cannot_be_drafted_is_said)
