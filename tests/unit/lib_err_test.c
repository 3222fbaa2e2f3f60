/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/err: the catalogue is complete, the chain reads outermost first and never overruns. */
#include <errno.h>
#include <string.h>

#include "lib/err.h"
#include "tests/unit/lib_check.h"

START_TEST(every_code_has_name_text_and_exit)
{
	for (int code = 1; code < DSI_ERR_COUNT; code++) {
		ck_assert_ptr_nonnull(err_name(code));
		ck_assert(strlen(err_text(code)) > 0);
		ck_assert(err_exit(code) > 0 && err_exit(code) < 128);
		ck_assert_str_eq(err_text(code), err_text(-code));
		ck_assert_str_eq(err_name(code), err_name(-code));
		ck_assert_int_eq(err_exit(code), err_exit(-code));
	}
	ck_assert_str_eq(err_name(-DSI_EQUORUM), "EQUORUM");
	ck_assert_int_eq(err_exit(0), 0);
}
END_TEST

START_TEST(unknown_codes_are_answered)
{
	ck_assert_str_eq(err_text(DSI_ERR_COUNT), "unknown error");
	ck_assert_str_eq(err_text(-2147483647 - 1), "unknown error");
	ck_assert_int_eq(err_exit(100000), 1);
}
END_TEST

START_TEST(set_and_wrap_build_a_chain)
{
	struct err e;

	ck_assert_int_eq(err_set(&e, -DSI_ENOENT, "no such %s", "file"), -DSI_ENOENT);
	ck_assert_int_eq(err_wrap(&e, "read %s", "x.dsp"), -DSI_ENOENT);
	ck_assert_int_eq(err_wrap(&e, "push policy"), -DSI_ENOENT);
	ck_assert_str_eq(e.text, "push policy: read x.dsp: no such file");
}
END_TEST

START_TEST(errno_is_said_and_kept)
{
	struct err e;

	errno = ENOSPC;
	ck_assert_int_eq(err_errno(&e, -DSI_EIO, "write log"), -DSI_EIO);
	ck_assert_str_eq(e.text, "write log: No space left on device");
	ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

START_TEST(null_is_allowed)
{
	ck_assert_int_eq(err_set(NULL, -DSI_EIO, "x"), -DSI_EIO);
	ck_assert_int_eq(err_errno(NULL, -DSI_EIO, "x"), -DSI_EIO);
	ck_assert_int_lt(err_wrap(NULL, "x"), 0);
}
END_TEST

START_TEST(overlong_text_is_cut_at_its_inner_end)
{
	char long_text[3000];
	struct err e;

	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	(void)err_set(&e, -DSI_EIO, "%s", long_text);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	(void)err_wrap(&e, "outer");
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	ck_assert_int_eq(strncmp(e.text, "outer: aaa", 10), 0);
	(void)err_wrap(&e, "%s", long_text);
	ck_assert_uint_lt(strlen(e.text), sizeof(e.text));
	errno = EIO;
	(void)err_errno(&e, -DSI_EIO, "%s", long_text);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
}
END_TEST

LIB_TESTS("lib_err", every_code_has_name_text_and_exit, unknown_codes_are_answered, set_and_wrap_build_a_chain,
	  errno_is_said_and_kept, null_is_allowed, overlong_text_is_cut_at_its_inner_end)
