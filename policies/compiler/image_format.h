/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offsets of the image header and the two syntaxes, shared by the writer, the reader and the checks. */
#ifndef DSI_POLICIES_COMPILER_IMAGE_FORMAT_H
#define DSI_POLICIES_COMPILER_IMAGE_FORMAT_H

#include "lib/compiler.h"
#include "policies/image.h"

#define IMAGE_MAGIC "DSIP"
#define IMAGE_NO_FILE 0xffffffffu

enum {
	IMAGE_OFF_NAME = 12,
	IMAGE_OFF_BASE = 16,
	IMAGE_OFF_SECTIONS = IMAGE_OFF_BASE + IMAGE_DIGEST_LEN,
	IMAGE_HEADER_LEN_1 = IMAGE_OFF_SECTIONS + IMAGE_SECTION_COUNT_1 * 12,
	IMAGE_HEADER_LEN_2 = IMAGE_OFF_SECTIONS + IMAGE_SECTION_COUNT * 12,
	IMAGE_FIXED_CONTEXTS = 3, /* default, kernel, dsi */
	IMAGE_FIXED_TYPES = 2,    /* dsi, unlabeled */
};

_Static_assert(IMAGE_HEADER_LEN_1 == 204 && IMAGE_HEADER_LEN_2 == 312, "formats do not change");
_Static_assert(IMAGE_HEADER_LEN_1 % 4 == 0 && IMAGE_HEADER_LEN_2 % 4 == 0, "sections are aligned");

static inline u32 image_section_count(u32 format)
{
	return format == 1 ? IMAGE_SECTION_COUNT_1 : IMAGE_SECTION_COUNT;
}

/* Names: letters, digits, `_` `-` `.`; not empty; at most IMAGE_NAME_MAX. */
bool image_name_valid(const char *s, size_t len);
/* Paths: absolute, without empty, `.` or `..` parts, no trailing slash. NULL, or what is wrong. */
const char *image_path_invalid(const char *s, size_t len);

/* Row of section names: its name, and its SID when asked. */
const char *image_name_row(const struct image *img, u32 i, u32 *ret_sid);

#endif
