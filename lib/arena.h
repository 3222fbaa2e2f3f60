/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounded bump allocator for parsers and compilers: everything of one input lives and dies together.
 * Memory is zeroed. Past the limit (or when the test hook says so) it returns NULL and stays failed.
 */
#ifndef DSI_LIB_ARENA_H
#define DSI_LIB_ARENA_H

#include "lib/compiler.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;
	size_t used, limit;
	bool failed;
};

void arena_init(struct arena *a, size_t limit);
void arena_fini(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* 16-byte aligned */
void *arena_array(struct arena *a, size_t n, size_t size); /* checks n * size */
char *arena_strndup(struct arena *a, const char *s, size_t n);

#endif
