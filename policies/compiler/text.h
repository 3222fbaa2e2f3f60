/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bounded text building for explain, diff and print: overlong text is cut, never overrun. */
#ifndef DSI_POLICIES_COMPILER_TEXT_H
#define DSI_POLICIES_COMPILER_TEXT_H

#include "lib/compiler.h"
#include "policies/image.h"

struct text {
	char *s;
	size_t cap, len; /* len < cap; s is terminated */
};

void text_init(struct text *t, char *dst, size_t cap); /* cap > 0 */
void text_add(struct text *t, const char *fmt, ...) DSI_PRINTF(2, 3);

/* "n1, n3", "any member", "outside", "the same node"; classes: bitmap or, when NULL, every member. */
void text_nodes(struct text *t, const struct image *img, const u8 *classes);
void text_nclass(struct text *t, const struct image *img, u32 nclass);
/* "80, 8080-8090"; for class 0 "no port that a rule names". */
void text_pclass(struct text *t, const struct image *img, u32 pclass);
const char *text_sid(const struct image *img, u32 sid); /* "?" when unknown */

#endif
