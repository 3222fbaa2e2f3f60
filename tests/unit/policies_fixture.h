/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text to checked policy to open image in one step, and questions in names. For tests of policies/. */
#ifndef DSI_TESTS_POLICIES_FIXTURE_H
#define DSI_TESTS_POLICIES_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/compile.h"
#include "policies/compiler/image_format.h"
#include "policies/compiler/load.h"

struct built {
	struct arena arena;
	struct policy *policy;
	struct diag_list diags;
	struct wbuf bytes, messages;
	struct image img;
	int code; /* of load, else of compile */
};

static inline struct built *built_new(const char *text, size_t len, const struct image *base)
{
	struct built *b = calloc(1, sizeof(*b));

	ck_assert_ptr_nonnull(b);
	arena_init(&b->arena, POLICY_ARENA_LIMIT);
	diag_init(&b->diags);
	wbuf_init(&b->bytes, IMAGE_SIZE_MAX);
	wbuf_init(&b->messages, 16 << 20);
	b->code = policy_load_text("test.dsp", text, len, &b->arena, &b->policy, &b->diags);
	if (!b->code)
		b->code = policy_compile(b->policy, base, NULL, &b->bytes, &b->diags);
	if (b->policy)
		diag_render(b->policy, &b->diags, &b->messages);
	wbuf_u8(&b->messages, 0);
	if (!b->code)
		ck_assert_int_eq(image_open(&b->img, b->bytes.data, b->bytes.len, NULL), 0);
	return b;
}

static inline struct built *built_text(const char *text)
{
	return built_new(text, strlen(text), NULL);
}

/* Must compile; shows the messages otherwise. */
static inline struct built *built_good(const char *text)
{
	struct built *b = built_text(text);

	ck_assert_msg(!b->code, "does not compile:\n%s", (char *)b->messages.data);
	return b;
}

static inline void built_free(struct built *b)
{
	wbuf_fini(&b->bytes);
	wbuf_fini(&b->messages);
	arena_fini(&b->arena);
	free(b);
}

/* The text must give exactly this first message (file name and summary left out). */
static inline void built_says(const char *text, const char *expected)
{
	struct built *b = built_text(text);

	ck_assert_msg(strstr((char *)b->messages.data, expected), "expected \"%s\" in:\n%s", expected,
		      (char *)b->messages.data);
	built_free(b);
}

/*
 * The same image as format 2 with its nine sections empty: what no compiler writes, as those it has nothing for are
 * written as format 1. Offsets move by what the header grows.
 */
static inline void to_format_2(const u8 *p, size_t n, struct wbuf *out)
{
	const u32 more = IMAGE_HEADER_LEN_2 - IMAGE_HEADER_LEN_1;
	u32 at = 0;
	u8 *h;

	wbuf_init(out, IMAGE_SIZE_MAX);
	wbuf_bytes(out, p, IMAGE_HEADER_LEN_1);
	for (u32 i = 0; i < more; i++)
		wbuf_u8(out, 0);
	wbuf_bytes(out, p + IMAGE_HEADER_LEN_1, n - IMAGE_HEADER_LEN_1);
	ck_assert(wbuf_ok(out));
	h = out->data;
	h[4] = 2;
	for (u32 s = 0; s <= IMAGE_SECTION_COUNT; s++) { /* the last round: the size of all */
		u8 *field = s == IMAGE_SECTION_COUNT ? h + 8 : h + IMAGE_OFF_SECTIONS + s * 12;

		memcpy(&at, field, 4);
		at = s < IMAGE_SECTION_COUNT_1 ? at + more : (u32)out->len;
		memcpy(field, &at, 4);
	}
}

static inline u32 sid_of(const struct image *img, const char *name)
{
	u32 sid = 0;

	ck_assert_msg(image_sid_by_name(img, name, &sid), "no name %s", name);
	return sid;
}

#endif
