/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log lines: levels, subsystem, no control characters, the recorder. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_SUBSYS "TEST"
#include "lib/log.h"
#include "lib/fsutil.h"
#include "tests/unit/lib_check.h"

static char path[64];

static char *lines(void)
{
	u8 *p;
	size_t n;

	ck_assert_int_eq(fs_read_file(path, 1 << 20, &p, &n, NULL), 0);
	return (char *)p;
}

START_TEST(to_a_file)
{
	char *text;

	snprintf(path, sizeof(path), "/tmp/dsi-log-%d", (int)getpid());
	ck_assert_int_eq(log_file_start(path), -1); /* not started */
	log_start("dsi-test", LOG_INFO, true);
	ck_assert_int_eq(log_file_start(path), 0);
	log_info("number %d", 7);
	log_debug("hidden");
	log_err("evil \033[2J name\nforged line%c", 127);
	log_level(LOG_DEBUG);
	log_debug("shown");
	log_stop();
	text = lines();
	ck_assert_ptr_nonnull(strstr(text, "[TEST] number 7\n"));
	ck_assert_ptr_null(strstr(text, "hidden"));
	ck_assert_ptr_nonnull(strstr(text, "evil ?[2J name forged line?\n"));
	ck_assert_ptr_nonnull(strstr(text, "shown"));
	free(text);
	unlink(path);
}
END_TEST

START_TEST(recorder_keeps_what_is_not_shown)
{
	char file[64];

	snprintf(file, sizeof(file), "/tmp/dsi-box-%d", (int)getpid());
	snprintf(path, sizeof(path), "%s", file);
	log_start("dsi-test", LOG_ERR, true);
	ck_assert_int_eq(log_blackbox_start(), 0);
	log_debug("quiet word");
	ck_assert_int_eq(log_blackbox_write(file), 0);
	ck_assert_int_eq(access(file, R_OK), 0);
	log_stop();
	unlink(file);
}
END_TEST

START_TEST(level_names)
{
	ck_assert_int_eq(log_level_named("err"), LOG_ERR);
	ck_assert_int_eq(log_level_named("debug"), LOG_DEBUG);
	ck_assert_int_eq(log_level_named("loud"), -1);
}
END_TEST

LIB_TESTS("log", to_a_file, recorder_keeps_what_is_not_shown, level_names)
