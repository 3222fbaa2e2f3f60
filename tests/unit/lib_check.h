/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One suite, one program: LIB_TESTS(name, case, case, ...) is the whole main(). */
#ifndef DSI_TESTS_LIB_CHECK_H
#define DSI_TESTS_LIB_CHECK_H

#include <check.h>
#include <stdlib.h>

static int lib_tests_run(const char *name, const TTest *const *cases, size_t n)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *r;
	int failed;

	tcase_set_timeout(tc, 30);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, cases[i]);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

#define LIB_TESTS(name, ...)                                                                           \
	int main(void)                                                                                \
	{                                                                                             \
		const TTest *const cases[] = { __VA_ARGS__ };                                         \
		return lib_tests_run(name, cases, sizeof(cases) / sizeof(cases[0]));                  \
	}

#endif
