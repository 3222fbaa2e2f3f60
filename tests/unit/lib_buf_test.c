/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib/buf: little-endian, sticky errors, nothing outside the buffer. */
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "tests/unit/lib_check.h"

START_TEST(everything_comes_back)
{
	struct wbuf w;
	struct rbuf r;
	char s[8];
	u8 copy[3];
	size_t n;
	const u8 *p;

	wbuf_init(&w, 1000);
	wbuf_u8(&w, 1);
	wbuf_u16(&w, 0x0203);
	wbuf_u32(&w, 0x04050607);
	wbuf_u64(&w, 0x08090a0b0c0d0e0full);
	wbuf_str(&w, "hello");
	wbuf_blob(&w, "blob", 4);
	wbuf_bytes(&w, "xyz", 3);
	memcpy(wbuf_reserve(&w, 2), "ok", 2);
	ck_assert(wbuf_ok(&w));
	ck_assert_uint_eq(w.data[1], 3); /* low byte first */
	rbuf_init(&r, w.data, w.len);
	ck_assert_uint_eq(rbuf_u8(&r), 1);
	ck_assert_uint_eq(rbuf_u16(&r), 0x0203);
	ck_assert_uint_eq(rbuf_u32(&r), 0x04050607);
	ck_assert(rbuf_u64(&r) == 0x08090a0b0c0d0e0full);
	ck_assert(rbuf_str(&r, s, sizeof(s)));
	ck_assert_str_eq(s, "hello");
	p = rbuf_blob(&r, 4, &n);
	ck_assert(p && n == 4 && !memcmp(p, "blob", 4));
	rbuf_copy(&r, copy, 3);
	ck_assert_int_eq(memcmp(copy, "xyz", 3), 0);
	ck_assert_uint_eq(rbuf_left(&r), 2);
	ck_assert_int_eq(rbuf_end(&r), -DSI_ETRAIL);
	ck_assert_ptr_nonnull(rbuf_bytes(&r, 2));
	ck_assert_int_eq(rbuf_end(&r), 0);
	wbuf_fini(&w);
	wbuf_fini(&w);
	wbuf_fini(NULL);
}
END_TEST

START_TEST(every_truncation_is_sticky)
{
	struct wbuf w;
	char s[8];
	size_t n;

	wbuf_init(&w, 100);
	wbuf_u32(&w, 7);
	wbuf_str(&w, "abc");
	wbuf_blob(&w, "de", 2);
	for (size_t len = 0; len < w.len; len++) {
		u8 *exact = malloc(len ? len : 1); /* ASan sees a byte too far */
		struct rbuf r;

		memcpy(exact, w.data, len);
		rbuf_init(&r, exact, len);
		(void)rbuf_u32(&r);
		(void)rbuf_str(&r, s, sizeof(s));
		(void)rbuf_blob(&r, 10, &n);
		ck_assert_int_eq(rbuf_end(&r), -DSI_ETRUNC);
		ck_assert(!rbuf_ok(&r));
		ck_assert_uint_eq(rbuf_u8(&r), 0);
		ck_assert_uint_eq(rbuf_left(&r), 0);
		free(exact);
	}
	wbuf_fini(&w);
}
END_TEST

START_TEST(strings_are_strict)
{
	static const u8 nul[] = { 3, 0, 'a', 0, 'b' }, fits[] = { 3, 0, 'a', 'b', 'c' };
	struct rbuf r;
	char s[4], small[3];

	rbuf_init(&r, nul, sizeof(nul));
	ck_assert(!rbuf_str(&r, s, sizeof(s)));
	rbuf_init(&r, fits, sizeof(fits));
	ck_assert(rbuf_str(&r, s, sizeof(s)));
	rbuf_init(&r, fits, sizeof(fits));
	ck_assert(!rbuf_str(&r, small, sizeof(small)));
	ck_assert_str_eq(small, "");
	rbuf_init(&r, fits, sizeof(fits));
	ck_assert(!rbuf_str(&r, NULL, 0));
}
END_TEST

START_TEST(blob_above_its_maximum_is_refused)
{
	static const u8 bytes[] = { 2, 0, 0, 0, 'a', 'b' }, huge[] = { 0xff, 0xff, 0xff, 0xff, 'a' };
	struct rbuf r;
	size_t n;

	rbuf_init(&r, bytes, sizeof(bytes));
	ck_assert_ptr_null(rbuf_blob(&r, 1, &n));
	ck_assert_uint_eq(n, 0);
	rbuf_init(&r, huge, sizeof(huge));
	ck_assert_ptr_null(rbuf_blob(&r, SIZE_MAX, &n));
}
END_TEST

START_TEST(writers_stop_at_their_limit)
{
	struct wbuf w;
	u8 fixed[4];

	wbuf_fixed(&w, fixed, sizeof(fixed));
	wbuf_u32(&w, 1);
	ck_assert(wbuf_ok(&w));
	wbuf_u8(&w, 1);
	ck_assert(!wbuf_ok(&w));
	ck_assert_uint_eq(w.len, 4);
	ck_assert_ptr_null(wbuf_reserve(&w, 0));
	wbuf_reset(&w);
	ck_assert(wbuf_ok(&w) && w.len == 0);
	wbuf_fini(&w);
	wbuf_init(&w, 300);
	for (int i = 0; i < 300; i++)
		wbuf_u8(&w, 1);
	ck_assert(wbuf_ok(&w));
	ck_assert_uint_le(w.cap, 300);
	wbuf_u8(&w, 1);
	ck_assert(!wbuf_ok(&w));
	wbuf_fini(&w);
}
END_TEST

START_TEST(empty_things_work)
{
	struct wbuf w;
	struct rbuf r;

	wbuf_init(&w, 10);
	wbuf_bytes(&w, NULL, 0);
	ck_assert_ptr_nonnull(wbuf_reserve(&w, 0));
	ck_assert(wbuf_ok(&w) && w.len == 0);
	wbuf_fini(&w);
	rbuf_init(&r, NULL, 0);
	ck_assert_ptr_nonnull(rbuf_bytes(&r, 0));
	ck_assert_int_eq(rbuf_end(&r), 0);
	ck_assert_uint_eq(rbuf_u8(&r), 0);
	ck_assert_int_eq(rbuf_end(&r), -DSI_ETRUNC);
}
END_TEST

LIB_TESTS("lib_buf", everything_comes_back, every_truncation_is_sticky, strings_are_strict,
	  blob_above_its_maximum_is_refused, writers_stop_at_their_limit, empty_things_work)
