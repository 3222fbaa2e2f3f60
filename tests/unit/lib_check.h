/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One suite, one program: LIB_TESTS(name, case, case, ...) is the whole main(); check_main() the end of one that
 * makes its suite itself. Prints what tests/run counts; returns the exit status.
 */
#ifndef DSI_TESTS_LIB_CHECK_H
#define DSI_TESTS_LIB_CHECK_H

#include <check.h>
#include <stdlib.h>

static inline int check_main(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

static inline int lib_tests_run(const char *name, const TTest *const *cases, size_t n)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 30);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, cases[i]);
	suite_add_tcase(s, tc);
	return check_main(s);
}

#define LIB_TESTS(name, ...)                                                                           \
	int main(void)                                                                                \
	{                                                                                             \
		const TTest *const cases[] = { __VA_ARGS__ };                                         \
		return lib_tests_run(name, cases, sizeof(cases) / sizeof(cases[0]));                  \
	}

#endif
