/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threat: a HELLO of an older program, or of one that lies, makes the server believe a member knows what it does not. */
#include "lib/knows.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/lib_check.h"

START_TEST(levels_of_hellos)
{
	static const struct {
		const char *text;
		u32 level, len;
	} t[] = {
		{ "0.1.0", 1, 5 },		{ "0.1.0/2", 2, 5 },	    { "", 1, 0 },
		{ "0.1.0/17", 17, 5 },		{ "1~rc1+deb/12u1/3", 3, 14 }, { "0.1.0/1", 1, 5 },
		/* no level, so the oldest that there is */
		{ "0.1.0/", 1, 6 },		{ "0.1.0/0", 1, 7 },	    { "0.1.0/02", 1, 8 },
		{ "0.1.0/-2", 1, 8 },		{ "0.1.0/2 ", 1, 8 },	    { "0.1.0/+2", 1, 8 },
		{ "0.1.0/2x", 1, 8 },		{ "0.1.0/99999999999", 1, 17 }, { "0.1.0/1234567", 1, 13 },
		{ "0.1.0/999999", 999999, 5 },	{ "/2", 2, 0 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t len = 777;

		ck_assert_msg(knows_level(t[i].text, &len) == t[i].level && len == t[i].len, "%s", t[i].text);
	}
}
END_TEST

START_TEST(own_text)
{
	char text[64], tiny[4];
	size_t len;

	knows_text("0.1.0", text, sizeof(text));
	ck_assert_uint_eq(knows_level(text, &len), KNOWS_NOW);
	ck_assert_uint_eq(len, 5);
	knows_text("0.1.0", tiny, sizeof(tiny));
	ck_assert_str_eq(tiny, "0.1");
}
END_TEST

LIB_TESTS("lib_knows", levels_of_hellos, own_text)
