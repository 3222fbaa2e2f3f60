/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets: one byte too many faults, children find nothing, nothing is left when freed. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/secret.h"
#include "tests/unit/lib_check.h"

static int child_signal(void (*fn)(struct secret *), struct secret *s)
{
	int pid = fork(), status;

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		fn(s);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void read_behind(struct secret *s)
{
	volatile u8 *p = secret_bytes(s);

	(void)p[secret_size(s)];
}

static void read_page_before(struct secret *s)
{
	volatile u8 *p = secret_bytes(s);

	(void)p[-(long)(2 * 4096)];
}

static void must_be_wiped(struct secret *s)
{
	for (size_t i = 0; i < secret_size(s); i++) {
		if (secret_bytes(s)[i])
			_exit(1);
	}
}

START_TEST(guarded_and_not_inherited)
{
	struct secret *s = secret_new(100);

	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(secret_size(s), 100);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(secret_bytes(s)[i], 0);
	memset(secret_bytes(s), 7, 100);
	ck_assert_int_eq(child_signal(read_behind, s), SIGSEGV);
	ck_assert_int_eq(child_signal(read_page_before, s), SIGSEGV);
	ck_assert_int_eq(child_signal(must_be_wiped, s), 0);
	ck_assert_uint_eq(secret_bytes(s)[99], 7);
	ck_assert_ptr_null(secret_free(s));
	ck_assert_ptr_null(secret_free(NULL));
	ck_assert_ptr_null(secret_new(0));
}
END_TEST

START_TEST(no_locked_memory_no_secret)
{
#ifdef __SANITIZE_ADDRESS__
	printf("SKIP: no_locked_memory_no_secret: the sanitizer makes mlock() do nothing\n");
	return;
#endif
	struct rlimit none = { 0, 0 };
	int pid = fork(), status;

	if (!pid) {
		setrlimit(RLIMIT_MEMLOCK, &none);
		if (!geteuid() && setuid(65534))
			_exit(9);
		_exit(secret_new(10) ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(all_at_once)
{
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_nonnull(secret_new((size_t)(1 + i * 3000)));
	secret_free_all();
	secret_free_all();
}
END_TEST

LIB_TESTS("secret", guarded_and_not_inherited, no_locked_memory_no_secret, all_at_once)
