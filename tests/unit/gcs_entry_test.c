/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries: one byte string for one entry, both ways. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/entry.h"
#include "lib/err.h"
#include "tests/unit/lib_check.h"

static size_t sample(u8 *ret, size_t body)
{
	static u8 bytes[LIM_ENTRY_BODY + 1];
	struct entry e = { .type = ENTRY_POLICY, .author_role = 2, .author_nid = 7, .generation = 3, .term = 9, .index = 11,
			   .wall_ms = 1234567, .body = bytes, .body_len = body };
	struct wbuf w;

	memset(bytes, 0xa5, sizeof(bytes));
	memset(e.cluster, 1, sizeof(e.cluster));
	memset(e.prev, 2, sizeof(e.prev));
	wbuf_fixed(&w, ret, ENTRY_MAX);
	ck_assert_int_eq(entry_encode(&e, &w), 0);
	memset(e.sig, 3, sizeof(e.sig));
	wbuf_bytes(&w, e.sig, sizeof(e.sig));
	ck_assert(wbuf_ok(&w));
	ck_assert_uint_eq(w.len, ENTRY_OVERHEAD + body);
	return w.len;
}

static u8 buf[ENTRY_MAX + 1];

START_TEST(encodes_and_decodes)
{
	struct entry e;
	size_t n = sample(buf, 100);
	u8 hash[CRYPTO_HASH];

	ck_assert_int_eq(entry_decode(&e, buf, n), 0);
	ck_assert(e.type == ENTRY_POLICY && e.author_role == 2 && e.author_nid == 7 && e.generation == 3 && e.term == 9 &&
		  e.index == 11 && e.wall_ms == 1234567 && e.body_len == 100);
	crypto_sha256(buf, n - CRYPTO_SIG, hash);
	ck_assert_mem_eq(hash, e.hash, sizeof(hash));
}
END_TEST

START_TEST(little_endian_on_every_machine)
{
	/* generation and term as bytes */
	static const u8 want[] = { 3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0 };

	sample(buf, 0);
	ck_assert_mem_eq(buf + 4 + 1 + 1 + 2 + 16, want, sizeof(want));
}
END_TEST

START_TEST(every_truncation_and_every_tail_is_refused)
{
	struct entry e;
	size_t n = sample(buf, 40);

	for (size_t k = 0; k < n; k++)
		ck_assert_int_lt(entry_decode(&e, buf, k), 0);
	ck_assert_int_eq(entry_decode(&e, buf, n + 1), -DSI_ETRAIL);
}
END_TEST

START_TEST(header_is_strict)
{
	static const struct {
		size_t at;
		u8 value;
		int code;
	} bad[] = {
		{ 0, 'X', -DSI_EPARSE }, { 4, 2, -DSI_EVERSION }, { 5, 9, -DSI_EPARSE }, { 6, 0, -DSI_EPARSE },
		{ 6, ENTRY_TYPE_MAX, -DSI_EPARSE }, { 7, 1, -DSI_EPARSE },
	};
	struct entry e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t n = sample(buf, 10);

		buf[bad[i].at] = bad[i].value;
		ck_assert_int_eq(entry_decode(&e, buf, n), bad[i].code);
		ck_assert_uint_eq(e.index, 0);
	}
}
END_TEST

START_TEST(limits)
{
	struct entry e = { .type = ENTRY_NOP, .index = 1, .body = buf, .body_len = LIM_ENTRY_BODY + 1 };
	struct wbuf w;
	size_t n = sample(buf, LIM_ENTRY_BODY);

	ck_assert_uint_eq(n, ENTRY_MAX);
	ck_assert_int_eq(entry_decode(&e, buf, n), 0);
	ck_assert_int_eq(entry_decode(&e, buf, n + 1), -DSI_ELIMIT);
	wbuf_init(&w, 2 * ENTRY_MAX);
	e = (struct entry){ .type = ENTRY_NOP, .index = 1, .body = buf, .body_len = LIM_ENTRY_BODY + 1 };
	ck_assert_int_eq(entry_encode(&e, &w), -DSI_EINVAL);
	e.body_len = 0;
	e.index = 0;
	ck_assert_int_eq(entry_encode(&e, &w), -DSI_EINVAL);
	e.index = 1;
	e.type = ENTRY_TYPE_MAX;
	ck_assert_int_eq(entry_encode(&e, &w), -DSI_EINVAL);
	wbuf_fini(&w);
}
END_TEST

START_TEST(types_have_names)
{
	ck_assert_str_eq(entry_type_name(ENTRY_TERM), "TERM");
	ck_assert_str_eq(entry_type_name(0), "UNKNOWN");
	ck_assert_str_eq(entry_type_name(ENTRY_TYPE_MAX), "UNKNOWN");
	ck_assert_str_eq(entry_type_name(65535), "UNKNOWN");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_entry");
	TCase *t = tcase_create("entry");

	tcase_add_test(t, encodes_and_decodes);
	tcase_add_test(t, little_endian_on_every_machine);
	tcase_add_test(t, every_truncation_and_every_tail_is_refused);
	tcase_add_test(t, header_is_strict);
	tcase_add_test(t, limits);
	tcase_add_test(t, types_have_names);
	suite_add_tcase(s, t);
	return check_main(s);
}
