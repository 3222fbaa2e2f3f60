/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies: round trip, strictness (every truncation, every extension, hostile counts), bounded memory. */
#include <string.h>

#include "lib/err.h"
#include "lib/msg.h"
#include "tests/unit/lib_check.h"

#define BODY_EVERY(F)                                                                                  \
	F(u32, a) F(u64, b) F(key, c) F(hash, d) F(sig, e) F(id16, f) F(str, g) F(text, h) F(blob, i) F(blobs, j) F(blobs, k)
BODY_DECLARE(every, BODY_EVERY)
BODY_DEFINE(every, BODY_EVERY)
#define BODY_TWIN BODY_EVERY
BODY_DECLARE(twin, BODY_TWIN)
BODY_DEFINE(twin, BODY_TWIN)

static struct wbuf w;
static struct arena arena;

static void open_all(void)
{
	wbuf_init(&w, LIM_DIRECT_FRAME);
	arena_init(&arena, 4 << 20);
}

static void close_all(void)
{
	wbuf_fini(&w);
	arena_fini(&arena);
}

static struct blob items[3] = { { (const u8 *)"one", 3 }, { NULL, 0 }, { (const u8 *)"three", 5 } };
static struct body_every sample(void)
{
	struct body_every v = { .a = 0xdeadbeef, .b = 1ull << 63, .g = "name", .h = "", .i = { (const u8 *)"x\0y", 3 },
				.j = { items, 3 }, .k = { NULL, 0 } };

	memset(v.c, 1, 32);
	memset(v.d, 2, 32);
	memset(v.e, 3, 64);
	memset(v.f, 4, 16);
	return v;
}

START_TEST(round_trip)
{
	struct body_every v = sample(), r;
	struct wbuf again;

	open_all();
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), 0);
	ck_assert_mem_eq(w.data, "tpl\2", 4);
	ck_assert_int_eq(body_decode(&schema_every, w.data, w.len, &r, &arena), 0);
	ck_assert_uint_eq(r.a, v.a);
	ck_assert_uint_eq(r.b, v.b);
	ck_assert_mem_eq(r.e, v.e, 64);
	ck_assert_str_eq(r.g, "name");
	ck_assert_str_eq(r.h, "");
	ck_assert_uint_eq(r.i.n, 3);
	ck_assert_mem_eq(r.i.p, "x\0y", 3);
	ck_assert_uint_eq(r.j.n, 3);
	ck_assert_uint_eq(r.j.v[1].n, 0);
	ck_assert_mem_eq(r.j.v[2].p, "three", 5);
	ck_assert_uint_eq(r.k.n, 0);
	wbuf_init(&again, LIM_DIRECT_FRAME);
	ck_assert_int_eq(body_encode(&schema_every, &r, &again), 0);
	ck_assert_uint_eq(again.len, w.len);
	ck_assert_mem_eq(again.data, w.data, w.len);
	wbuf_fini(&again);
	close_all();
}
END_TEST

START_TEST(bytes_of_one_schema_are_not_anothers)
{
	struct body_every v = sample();
	struct body_twin r;

	open_all();
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), 0);
	ck_assert_int_eq(body_decode(&schema_twin, w.data, w.len, &r, &arena), -DSI_EPARSE);
	ck_assert_uint_eq(r.a, 0);
	close_all();
}
END_TEST

START_TEST(every_truncation_and_extension_is_refused)
{
	struct body_every v = sample(), r, zero;
	u8 *p;

	memset(&zero, 0, sizeof(zero));
	open_all();
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), 0);
	for (size_t n = 0; n < w.len + 4; n++) {
		for (int fix = 0; fix < 2; fix++) {
			if (n == w.len)
				continue;
			p = calloc(1, n ? n : 1); /* exact, so that ASan sees one byte too far */
			memcpy(p, w.data, MIN(n, w.len));
			if (fix && n >= 8)
				memcpy(p + 4, &(u32){ (u32)n }, 4);
			ck_assert_int_lt(body_decode(&schema_every, p, n, &r, &arena), 0);
			ck_assert_mem_eq(&r, &zero, sizeof(r));
			free(p);
		}
	}
	close_all();
}
END_TEST

/* Threat: a member sends what makes tpl exit or read past the end (facts/corosync.md 5, 1 and 2). */
START_TEST(hostile_heads_and_counts)
{
	struct body_every v = sample(), r;
	size_t at;

	open_all();
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), 0);
	for (int flags = 0; flags < 256; flags++) {
		w.data[3] = (u8)flags;
		ck_assert_int_eq(body_decode(&schema_every, w.data, w.len, &r, &arena), flags == 2 ? 0 : -DSI_EPARSE);
	}
	w.data[3] = 2;
	/* the last list is empty: its count is the last word */
	at = w.len - 4;
	for (u64 n = 1; n <= 0xffffffff; n = n * 3 + 1) {
		memcpy(w.data + at, &(u32){ (u32)n }, 4);
		ck_assert_int_lt(body_decode(&schema_every, w.data, w.len, &r, &arena), 0);
	}
	memcpy(w.data + at, &(u32){ 0x80000000 }, 4);
	ck_assert_int_eq(body_decode(&schema_every, w.data, w.len, &r, &arena), -DSI_ELIMIT);
	close_all();
}
END_TEST

/* Random damage: decodes to something that encodes to the same bytes, or is refused. */
START_TEST(damage)
{
	struct body_every v = sample(), r;
	unsigned seed = 7;
	u8 *p;

	open_all();
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), 0);
	p = malloc(w.len);
	for (int i = 0; i < 20000; i++) {
		struct wbuf again;

		memcpy(p, w.data, w.len);
		for (int k = rand_r(&seed) % 4; k >= 0; k--)
			p[(size_t)rand_r(&seed) % w.len] = (u8)rand_r(&seed);
		arena_fini(&arena);
		arena_init(&arena, 1 << 20);
		if (body_decode(&schema_every, p, w.len, &r, &arena))
			continue;
		wbuf_init(&again, LIM_DIRECT_FRAME);
		ck_assert_int_eq(body_encode(&schema_every, &r, &again), 0);
		ck_assert_uint_eq(again.len, w.len);
		ck_assert_mem_eq(again.data, p, w.len);
		wbuf_fini(&again);
	}
	free(p);
	close_all();
}
END_TEST

START_TEST(encoder_refuses_what_it_could_not_read_back)
{
	struct body_every v = sample();
	struct blob *many = calloc(BODY_ITEMS + 1, sizeof(*many));
	u8 room[64];
	struct body_every r;

	open_all();
	memset(v.g, 'x', sizeof(v.g));
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), -DSI_EINVAL);
	v = sample();
	v.j = (struct blobs){ many, BODY_ITEMS + 1 };
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), -DSI_EINVAL);
	v.j.n = BODY_ITEMS;
	v.k = v.j;
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), 0);
	ck_assert_int_eq(body_decode(&schema_every, w.data, w.len, &r, &arena), 0);
	ck_assert_uint_eq(r.k.n, BODY_ITEMS);
	v = sample();
	wbuf_fini(&w);
	wbuf_fixed(&w, room, sizeof(room));
	ck_assert_int_lt(body_encode(&schema_every, &v, &w), 0);
	free(many);
	close_all();
}
END_TEST

START_TEST(small_arena_is_an_error_not_a_crash)
{
	struct body_every v = sample(), r;
	int ok = 0;

	open_all();
	ck_assert_int_eq(body_encode(&schema_every, &v, &w), 0);
	for (size_t limit = 0; limit < 400 && !ok; limit++) {
		int rc;

		arena_fini(&arena);
		arena_init(&arena, limit);
		rc = body_decode(&schema_every, w.data, w.len, &r, &arena);
		ck_assert(rc == 0 || rc == -DSI_ENOMEM);
		ok = rc == 0;
	}
	ck_assert(ok);
	close_all();
}
END_TEST

/* The catalogue: types unique and found, every body encodes and decodes empty. */
START_TEST(catalogue)
{
	u8 st[4096];
	int n = 0;

	for (u32 type = 0; type < 65536; type++) {
		const struct msg_info *i = msg_info((u16)type);

		if (!i)
			continue;
		n++;
		open_all();
		ck_assert_uint_eq(i->type, type);
		ck_assert_uint_lt(i->channel, CH_COUNT);
		ck_assert_uint_ne(i->roles, 0);
		ck_assert_uint_le(i->schema->size, sizeof(st));
		memset(st, 0, sizeof(st));
		ck_assert_int_eq(body_encode(i->schema, st, &w), 0);
		ck_assert_int_eq(body_decode(i->schema, w.data, w.len, st, &arena), 0);
		close_all();
	}
#define MSG(name, num, ch, who, how, tag) n--;
	MSG_TABLE(MSG)
#undef MSG
	ck_assert_int_eq(n, 0);
}
END_TEST

LIB_TESTS("body", round_trip, bytes_of_one_schema_are_not_anothers, every_truncation_and_extension_is_refused,
	  hostile_heads_and_counts, damage, encoder_refuses_what_it_could_not_read_back,
	  small_arena_is_an_error_not_a_crash, catalogue)
