/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one image allows that another does not, in the words of the source. */
#ifndef DSI_POLICIES_COMPILER_DIFF_H
#define DSI_POLICIES_COMPILER_DIFF_H

#include "lib/arena.h"
#include "policies/image.h"

/* sign: '-' only in a, '+' only in b. The line has no newline and is gone after the call. */
typedef void (*policy_diff_fn)(void *arg, char sign, const char *line);

/*
 * Compare by names, nodes and ports, not by numbers or places in files; a NULL image is empty. Lines come
 * sorted. Returns the number of differences, or -DSI_ENOMEM when the arena is full.
 */
int policy_diff(const struct image *a, const struct image *b, struct arena *arena, policy_diff_fn fn, void *arg);
/* All lines of one image ('+'): the image as text, for `policy show` and golden tests. */
int policy_image_text(const struct image *img, struct arena *arena, policy_diff_fn fn, void *arg);

#endif
