/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Service frames: every type both ways, who may send what, every cut, what is trailing, names and texts. */
#include <string.h>

#include "lib/svc.h"
#include "tests/unit/lib_check.h"

static const struct {
	u16 type;
	u8 from;
} all[] = {
#define X(name, number, from, fields) { number, from },
	SVC_TABLE(X)
#undef X
};

static struct svc_frame sample(u16 type)
{
	struct svc_frame f = { .type = type, .id = 7, .name = "time.example", .version = "1.0", .api = 2, .caps = 5, .code = 3,
			       .task = { 4711, 1ull << 40, 1000, 2, 64 }, .data = (const u8 *)"hello", .len = 5 };

	return f;
}

START_TEST(every_type_both_ways)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct svc_frame f = sample(all[i].type), back = { 0 };
		u8 a[512], b[512];
		size_t n, m;

		ck_assert_int_eq(svc_encode(&f, a, sizeof(a), &n), 0);
		ck_assert_int_eq(svc_decode(&back, all[i].from, a, n), 0);
		ck_assert_uint_eq(back.type, f.type);
		ck_assert_uint_eq(back.id, 7);
		ck_assert_uint_eq(svc_id(a, n), 7);
		ck_assert_int_eq(svc_encode(&back, b, sizeof(b), &m), 0);
		ck_assert(n == m && !memcmp(a, b, n));
		ck_assert_ptr_nonnull(svc_type_name(f.type));
		for (unsigned from = 0; from < 8; from++)
			ck_assert_int_eq(svc_decode(&back, from, a, n), from & all[i].from ? 0 : -DSI_EROLE);
		for (size_t cut = 0; cut < n; cut++)
			ck_assert_int_lt(svc_decode(&back, all[i].from, a, cut), 0);
		a[n] = 0;
		ck_assert_int_eq(svc_decode(&back, all[i].from, a, n + 1), -DSI_ETRAIL);
		ck_assert_int_eq(svc_encode(&f, a, n - 1, &m), -DSI_ELIMIT);
	}
}
END_TEST

START_TEST(refused_packets_change_nothing)
{
	static u8 big[LIM_SVC_FRAME + 1];
	u8 p[SVC_HEAD] = { SVC_VERSION + 1, 0, SVC_WHOAMI, 0, 9 };
	struct svc_frame f = { .id = 77 };

	ck_assert_int_eq(svc_decode(&f, SVC_CLIENT, p, sizeof(p)), -DSI_EVERSION);
	ck_assert_uint_eq(svc_id(p, sizeof(p)), 9);
	ck_assert_uint_eq(svc_id(p, 7), 0);
	p[0] = SVC_VERSION, p[2] = 200;
	ck_assert_int_eq(svc_decode(&f, SVC_CLIENT, p, sizeof(p)), -DSI_EPARSE);
	ck_assert_int_eq(svc_decode(&f, SVC_CLIENT, big, sizeof(big)), -DSI_ELIMIT);
	ck_assert_uint_eq(f.id, 77);
	ck_assert_ptr_null(svc_type_name(200));
}
END_TEST

START_TEST(names_and_texts)
{
	static const char *const bad[] = { "", "A", "1a", "a b", "a/b", "a\n", "-a",
					   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct svc_frame f = sample(SVC_ANNOUNCE);
	u8 p[512];
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!svc_name_ok(bad[i]), "%s", bad[i]);
	ck_assert(svc_name_ok("a") && svc_name_ok("access-control") && svc_name_ok("x9.y"));
	strcpy(f.version, "1\033[2J");
	ck_assert_int_eq(svc_encode(&f, p, sizeof(p), &n), -DSI_EINVAL);
	strcpy(f.version, "1.0");
	f.api = 0;
	ck_assert_int_eq(svc_encode(&f, p, sizeof(p), &n), -DSI_EINVAL);
	f = sample(SVC_FOUND);
	f.api = 0, f.code = DSI_ENOENT;
	ck_assert_int_eq(svc_encode(&f, p, sizeof(p), &n), 0);
	f.code = DSI_ERR_COUNT;
	ck_assert_int_eq(svc_encode(&f, p, sizeof(p), &n), -DSI_EINVAL);
}
END_TEST

/* The decoder does not count on the encoder: the same bytes with one letter of a text made bad. */
START_TEST(bad_text_is_refused_when_read)
{
	struct svc_frame f = sample(SVC_ANNOUNCE), back;
	u8 p[512];
	size_t n;

	ck_assert_int_eq(svc_encode(&f, p, sizeof(p), &n), 0);
	p[SVC_HEAD + 2] = 'T';
	ck_assert_int_eq(svc_decode(&back, SVC_CLIENT, p, n), -DSI_EPARSE);
	p[SVC_HEAD + 2] = 0;
	ck_assert_int_eq(svc_decode(&back, SVC_CLIENT, p, n), -DSI_EPARSE);
}
END_TEST

LIB_TESTS("svc", every_type_both_ways, refused_packets_change_nothing, names_and_texts, bad_text_is_refused_when_read)
