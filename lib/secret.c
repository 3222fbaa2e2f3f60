/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for secrets. Must never: hand out memory that could not be locked; print. Invariant: a secret's pages
 * are its own, between two pages that cannot be touched, its bytes at the end so that one too many faults.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/secret.h"

struct secret {
	struct secret *next;
	u8 *map, *bytes;
	size_t map_len, n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct secret *all;

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool protect(struct secret *s)
{
	u8 *inner = s->map + page();
	size_t len = s->map_len - 2 * page();

	return !mprotect(inner, len, PROT_READ | PROT_WRITE) && !mlock(inner, len) && !madvise(inner, len, MADV_DONTDUMP) &&
	       !madvise(inner, len, MADV_WIPEONFORK);
}

struct secret *secret_new(size_t n)
{
	struct secret *s = n && n <= 1 << 20 ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return NULL;
	s->n = n;
	s->map_len = (n + page() - 1) / page() * page() + 2 * page();
	s->map = mmap(NULL, s->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->map == MAP_FAILED || !protect(s)) {
		if (s->map != MAP_FAILED)
			munmap(s->map, s->map_len);
		free(s);
		return NULL;
	}
	s->bytes = s->map + s->map_len - page() - n;
	pthread_mutex_lock(&lock);
	s->next = all;
	all = s;
	pthread_mutex_unlock(&lock);
	return s;
}

static void destroy(struct secret *s)
{
	explicit_bzero(s->bytes, s->n);
	munmap(s->map, s->map_len);
	free(s);
}

struct secret *secret_free(struct secret *s)
{
	if (!s)
		return NULL;
	pthread_mutex_lock(&lock);
	for (struct secret **at = &all; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	destroy(s);
	return NULL;
}

void secret_free_all(void)
{
	pthread_mutex_lock(&lock);
	while (all) {
		struct secret *s = all;

		all = s->next;
		destroy(s);
	}
	pthread_mutex_unlock(&lock);
}

u8 *secret_bytes(struct secret *s)
{
	return s->bytes;
}

size_t secret_size(const struct secret *s)
{
	return s->n;
}
