/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people type, read strictly; bundles. */
#include "cli/args.h"

#include "cli/bundle.h"
#include "cli/render.h"
#include "tests/unit/cli_fixture.h"

START_TEST(durations)
{
	static const struct {
		const char *s;
		u64 seconds; /* 0: refused */
	} cases[] = { { "90", 90 }, { "90s", 90 }, { "5m", 300 }, { "1h", 3600 }, { "7d", 604800 }, { "366d", 366 * 86400 },
		      { "0", 0 }, { "", 0 }, { "m", 0 }, { "1y", 0 }, { "1hh", 0 }, { "-1s", 0 }, { "367d", 0 },
		      { "99999999999999999999", 0 }, { " 1s", 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 v = 0;
		int r = args_duration(cases[i].s, &v, NULL);

		ck_assert_msg(cases[i].seconds ? r == 0 && v == cases[i].seconds : r < 0, "%s", cases[i].s);
	}
}
END_TEST

START_TEST(addresses)
{
	static const struct {
		const char *s;
		size_t ip; /* length of a numeric host */
		bool ok;
	} cases[] = { { "10.0.0.1:21065", 4, true }, { "[fd00::1]:21065", 16, true }, { "n1.example:1", 0, true },
		      { "10.0.0.1", 0, false }, { "10.0.0.1:", 0, false }, { ":1", 0, false }, { "fd00::1:21065", 0, false },
		      { "10.0.0.1:0", 0, false }, { "10.0.0.1:65536", 0, false }, { "[::1]", 0, false }, { "a b:1", 0, false },
		      { "10.0.0.1:1x", 0, false } };
	u8 ip[16];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = 0;

		ck_assert_msg((args_host_port(cases[i].s, NULL) == 0) == cases[i].ok, "%s", cases[i].s);
		if (cases[i].ok)
			ck_assert_msg(args_host_ip(cases[i].s, ip, &n) == (cases[i].ip != 0) && n == cases[i].ip, "%s",
				      cases[i].s);
	}
}
END_TEST

START_TEST(texts_and_names)
{
	ck_assert_int_eq(args_text("t", "why \xc3\xa4", 200, NULL), 0);
	ck_assert_int_lt(args_text("t", "a\nb", 200, NULL), 0);
	ck_assert_int_lt(args_text("t", "\x1b[31m", 200, NULL), 0);
	ck_assert_int_lt(args_text("t", "\xff", 200, NULL), 0);
	ck_assert_int_lt(args_text("t", "\xc0\x80", 200, NULL), 0);
	ck_assert_int_lt(args_text("t", "abcd", 4, NULL), 0);
	ck_assert_int_eq(args_name("n", "admin-1.x", NULL), 0);
	ck_assert_int_lt(args_name("n", "", NULL), 0);
	ck_assert_int_lt(args_name("n", "-a", NULL), 0);
	ck_assert_int_lt(args_name("n", "../a", NULL), 0);
	ck_assert_int_lt(args_name("n", "a/b", NULL), 0);
}
END_TEST

/* THREAT: names of programs and paths come from whoever is refused; they must not drive the terminal. */
START_TEST(no_control_character_is_printed)
{
	char got[64], all[4 * 256 + 8];
	char raw[260];
	int n = 0;

	render_escape(got, sizeof(got), "a\x1b[2J\xc2\x9b" "31m\x7f\n");
	ck_assert_str_eq(got, "a\\x1b[2J\\x9b31m\\x7f\\x0a");
	for (int i = 1; i < 128; i++)
		raw[n++] = (char)i;
	raw[n] = 0;
	render_escape(all, sizeof(all), raw);
	for (char *p = all; *p; p++)
		ck_assert((unsigned char)*p >= 0x20 && (unsigned char)*p != 0x7f);
	for (size_t cap = 1; cap < 12; cap++)
		render_escape(got, cap, "\x01\x02\x03"); /* never beyond cap: ASan */
}
END_TEST

START_TEST(bundles)
{
	struct bundle b = { 0 }, got;
	struct wbuf w;
	struct err e = { 0 };
	u8 *copy;

	wbuf_init(&w, 4096);
	ck_assert_int_eq(bundle_add(&b, "cluster", (const u8 *)"abc", 3, &e), 0);
	ck_assert_int_eq(bundle_add(&b, "log", (const u8 *)"", 0, &e), 0);
	ck_assert_int_eq(bundle_encode(&b, &w, &e), 0);
	ck_assert_int_eq(bundle_decode(&got, w.data, w.len, &e), 0);
	ck_assert_uint_eq(got.n, 2);
	ck_assert_uint_eq(bundle_find(&got, "cluster")->n, 3);
	for (size_t n = 0; n < w.len; n++)
		ck_assert_int_lt(bundle_decode(&got, w.data, n, &e), 0);
	copy = malloc(w.len);
	for (size_t i = 0; i < w.len; i++) {
		memcpy(copy, w.data, w.len);
		copy[i] ^= 1;
		ck_assert_int_lt(bundle_decode(&got, copy, w.len, &e), 0);
	}
	free(copy);
	wbuf_fini(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli_args");
	TCase *t = tcase_create("args");

	tcase_add_test(t, durations);
	tcase_add_test(t, addresses);
	tcase_add_test(t, texts_and_names);
	tcase_add_test(t, no_control_character_is_printed);
	tcase_add_test(t, bundles);
	suite_add_tcase(s, t);
	return check_main(s);
}
