/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Statements: what was made opens to the same; nothing else opens. */
#include "tests/unit/gcs_world.h"

static void sample(struct statement *st, u8 seed[CRYPTO_SEED], struct wbuf *b)
{
	static const u8 body[] = "any bytes: opening parses no body";

	w_seed("alice", seed);
	*st = (struct statement){ .signer = S_OPERATOR, .kind = ENTRY_POLICY, .cluster = { 1 }, .generation = 2,
				  .request = { 3 }, .expires_ms = 4, .base = 5, .body = body, .body_len = sizeof(body) };
	ck_assert_int_eq(crypto_sign_pub(seed, st->pub), 0);
	wbuf_init(b, STATEMENT_MAX);
	ck_assert_int_eq(statement_make(st, statement_sign_seed, seed, b), 0);
	ck_assert_uint_eq(b->len, STATEMENT_OVERHEAD + sizeof(body));
}

START_TEST(round_trip)
{
	u8 seed[CRYPTO_SEED];
	struct statement st, back;
	struct wbuf b;

	sample(&st, seed, &b);
	ck_assert_int_eq(statement_open(&back, b.data, b.len), 0);
	ck_assert_uint_eq(back.signer, S_OPERATOR);
	ck_assert_uint_eq(back.kind, ENTRY_POLICY);
	ck_assert_uint_eq(back.generation, 2);
	ck_assert_uint_eq(back.expires_ms, 4);
	ck_assert_uint_eq(back.base, 5);
	ck_assert_mem_eq(back.cluster, st.cluster, 16);
	ck_assert_mem_eq(back.request, st.request, 16);
	ck_assert_mem_eq(back.pub, st.pub, 32);
	ck_assert_mem_eq(back.sig, st.sig, 64);
	ck_assert_uint_eq(back.body_len, st.body_len);
	ck_assert_mem_eq(back.body, st.body, st.body_len);
	ck_assert(back.raw == b.data && back.raw_len == b.len);
	wbuf_fini(&b);
}
END_TEST

START_TEST(bytes_are_a_format)
{
	u8 seed[CRYPTO_SEED];
	struct statement st;
	struct wbuf b;

	sample(&st, seed, &b);
	ck_assert_mem_eq(b.data, "DSIS\x01\x02\x08\x00\x01", 9);
	ck_assert_mem_eq(b.data + 24, "\x02\0\0\0\x03", 5);
	ck_assert_mem_eq(b.data + 44, "\x04\0\0\0\0\0\0\0\x05", 9);
	wbuf_fini(&b);
}
END_TEST

START_TEST(every_cut_and_flip_is_refused)
{
	u8 seed[CRYPTO_SEED];
	struct statement st, back;
	struct wbuf b;

	sample(&st, seed, &b);
	for (size_t n = 0; n < b.len; n++) {
		u8 *cut = malloc(n ? n : 1); /* exact size: ASan sees a read past the end */

		memcpy(cut, b.data, n);
		ck_assert_int_ne(statement_open(&back, cut, n), 0);
		ck_assert(!back.raw && !back.kind);
		free(cut);
	}
	for (size_t i = 0; i < b.len; i++)
		for (u32 bit = 0; bit < 8; bit++) {
			b.data[i] ^= (u8)(1u << bit);
			ck_assert_int_ne(statement_open(&back, b.data, b.len), 0);
			b.data[i] ^= (u8)(1u << bit);
		}
	wbuf_u8(&b, 0);
	ck_assert_int_eq(statement_open(&back, b.data, b.len), -DSI_ETRAIL);
	wbuf_fini(&b);
}
END_TEST

START_TEST(codes)
{
	u8 seed[CRYPTO_SEED];
	struct statement st, back;
	struct wbuf b;

	sample(&st, seed, &b);
	b.data[0] = 'X';
	ck_assert_int_eq(statement_open(&back, b.data, b.len), -DSI_EPARSE);
	b.data[0] = 'D';
	b.data[4] = 2;
	ck_assert_int_eq(statement_open(&back, b.data, b.len), -DSI_EVERSION);
	b.data[4] = 1;
	b.data[b.len - 1] ^= 1;
	ck_assert_int_eq(statement_open(&back, b.data, b.len), -DSI_ESIG);
	wbuf_fini(&b);

	st.body_len = STATEMENT_MAX;
	wbuf_init(&b, 1 << 20);
	ck_assert_int_eq(statement_make(&st, statement_sign_seed, seed, &b), -DSI_ELIMIT);
	st.body_len = 1;
	st.kind = 0;
	ck_assert_int_eq(statement_make(&st, statement_sign_seed, seed, &b), -DSI_EINVAL);
	st.kind = ENTRY_TYPE_MAX;
	ck_assert_int_eq(statement_make(&st, statement_sign_seed, seed, &b), -DSI_EINVAL);
	st.kind = ENTRY_NOP;
	st.signer = 4;
	ck_assert_int_eq(statement_make(&st, statement_sign_seed, seed, &b), -DSI_EINVAL);
	ck_assert_uint_eq(b.len, 0);
	wbuf_fini(&b);
}
END_TEST

START_TEST(names)
{
	static const char *good[] = { "n1", "a", "node-7", "0x" };
	static const char *bad[] = { "", "-a", "a-", "N1", "n_1", "n.1", "n 1", "n\n", "\xc3\xa4" };
	char longest[LIM_NAME + 1];

	for (u32 i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(statement_name_ok(good[i]), "%s", good[i]);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!statement_name_ok(bad[i]), "%s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[LIM_NAME - 1] = 0;
	ck_assert(statement_name_ok(longest));
	longest[LIM_NAME - 1] = 'a';
	longest[LIM_NAME] = 0;
	ck_assert(!statement_name_ok(longest));
}
END_TEST

START_TEST(enrol_bytes_are_unambiguous)
{
	const u8 ex[CRYPTO_HASH] = { 1 }, id[16] = { 2 };
	struct wbuf b;

	wbuf_init(&b, 1000);
	ck_assert_int_eq(statement_enrol_bytes(ex, id, "abc", 3, &b), 0);
	ck_assert_uint_eq(b.len, 32 + 16 + 4 + 3);
	ck_assert_mem_eq(b.data + 48, "\x03\0\0\0abc", 7);
	wbuf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_statement");
	TCase *t = tcase_create("all");

	tcase_add_test(t, round_trip);
	tcase_add_test(t, bytes_are_a_format);
	tcase_add_test(t, every_cut_and_flip_is_refused);
	tcase_add_test(t, codes);
	tcase_add_test(t, names);
	tcase_add_test(t, enrol_bytes_are_unambiguous);
	suite_add_tcase(s, t);
	return check_main(s);
}
