/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounded bump allocator. Must never move or free a part. Invariant: used <= limit, where used counts
 * what callers asked for (rounded up), not the slack of chunks.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"

enum {
	ARENA_ALIGN = 16,
	ARENA_CHUNK = 64 * 1024,
};

struct arena_chunk {
	struct arena_chunk *next;
	size_t len, cap;
	_Alignas(ARENA_ALIGN) u8 data[];
};

void arena_init(struct arena *a, size_t limit)
{
	*a = (struct arena){ .limit = limit };
}

void arena_fini(struct arena *a)
{
	struct arena_chunk *c, *next;

	if (!a)
		return;
	for (c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct arena){ .failed = true };
}

/* A chunk with room for n; a large request gets a chunk of its own behind the current one. */
static struct arena_chunk *arena_chunk_for(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->chunks;
	size_t cap = MAX(n, (size_t)ARENA_CHUNK);

	if (c && n <= c->cap - c->len)
		return c;
	c = calloc(1, sizeof(*c) + cap);
	if (!c)
		return NULL;
	c->cap = cap;
	if (a->chunks && n > ARENA_CHUNK / 2) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c = NULL;
	void *p;

	if (a->failed)
		return NULL;
	/* distinct objects have distinct addresses, also empty ones */
	if (n <= a->limit) {
		n = n ? (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1) : ARENA_ALIGN;
		if (n >= ARENA_ALIGN && n <= a->limit - a->used)
			c = arena_chunk_for(a, n);
	}
	if (!c) {
		a->failed = true;
		return NULL;
	}
	p = c->data + c->len;
	c->len += n;
	a->used += n;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total)) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, total);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (p && n)
		memcpy(p, s, n);
	return p;
}
