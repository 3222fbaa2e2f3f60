/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/arena: aligned, zeroed, bounded, sticky failure. */
#include <string.h>

#include "lib/arena.h"
#include "tests/unit/lib_check.h"

START_TEST(parts_are_aligned_zeroed_and_apart)
{
	struct arena a;
	u8 *prev = NULL;

	arena_init(&a, 10 << 20);
	for (size_t n = 0; n < 3000; n++) {
		u8 *p = arena_alloc(&a, n % 257);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		ck_assert(p != prev);
		for (size_t i = 0; i < n % 257; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xa5, n % 257);
		prev = p;
	}
	arena_fini(&a);
	arena_fini(&a);
	arena_fini(NULL);
}
END_TEST

START_TEST(large_parts_do_not_waste_the_chunk)
{
	struct arena a;
	u8 *small, *big;

	arena_init(&a, 10 << 20);
	small = arena_alloc(&a, 16);
	big = arena_alloc(&a, 1 << 20);
	ck_assert(small && big);
	memset(big, 1, 1 << 20);
	ck_assert_ptr_eq(arena_alloc(&a, 16), small + 16);
	arena_fini(&a);
}
END_TEST

START_TEST(the_limit_is_exact_and_failure_stays)
{
	struct arena a;

	arena_init(&a, 64);
	ck_assert_ptr_nonnull(arena_alloc(&a, 64));
	ck_assert_ptr_null(arena_alloc(&a, 1));
	ck_assert(a.failed);
	ck_assert_ptr_null(arena_alloc(&a, 0));
	arena_fini(&a);
	arena_init(&a, SIZE_MAX);
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(&a, 1));
	arena_fini(&a);
}
END_TEST

START_TEST(arrays_check_their_product)
{
	struct arena a;

	arena_init(&a, 1 << 20);
	ck_assert_ptr_nonnull(arena_array(&a, 10, 10));
	ck_assert_ptr_null(arena_array(&a, SIZE_MAX / 2, 3));
	ck_assert(a.failed);
	arena_fini(&a);
}
END_TEST

START_TEST(strings_are_copied_and_terminated)
{
	struct arena a;
	char *s;

	arena_init(&a, 1 << 20);
	s = arena_strndup(&a, "hello world", 5);
	ck_assert_str_eq(s, "hello");
	ck_assert_str_eq(arena_strndup(&a, NULL, 0), "");
	ck_assert_ptr_null(arena_strndup(&a, "x", SIZE_MAX));
	arena_fini(&a);
}
END_TEST

START_TEST(the_hook_makes_it_fail)
{
	struct arena a;

	arena_init(&a, 1 << 20);
	a.failed = true;
	ck_assert_ptr_null(arena_alloc(&a, 1));
	arena_fini(&a);
}
END_TEST

LIB_TESTS("lib_arena", parts_are_aligned_zeroed_and_apart, large_parts_do_not_waste_the_chunk,
	  the_limit_is_exact_and_failure_stays, arrays_check_their_product, strings_are_copied_and_terminated,
	  the_hook_makes_it_fail)
