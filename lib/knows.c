/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program's level behind its version. Core. Strict: a decimal number from 1 without leading zero, or there is none. */
#include "lib/knows.h"

#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 6 };

#define X(name, level) +1
_Static_assert((KNOWS_TABLE(X)) == KNOWS_NOW, "levels rise one by one, none twice");
#undef X

void knows_text(const char *version, char *dst, size_t cap)
{
	snprintf(dst, cap, "%s/%u", version, (unsigned)KNOWS_NOW);
}

u32 knows_level(const char *text, size_t *ret_len)
{
	const char *slash = strrchr(text, '/'), *p = slash;
	u32 level = 0;

	*ret_len = strlen(text);
	if (!p || p[1] < '1' || p[1] > '9')
		return KNOWS_FIRST;
	for (p++; *p; p++) {
		if (*p < '0' || *p > '9' || p - slash > DIGITS_MAX)
			return KNOWS_FIRST;
		level = level * 10 + (u32)(*p - '0');
	}
	*ret_len = (size_t)(slash - text);
	return level;
}
