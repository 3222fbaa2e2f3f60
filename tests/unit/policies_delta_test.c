/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deltas of policy images: apply(old, make(old, new)) is new, to the byte, for random pairs; one rule in a large policy
 * costs little; a bad delta makes wrong bytes or is refused, never more. SEED=n replays one pair; CORPUS=DIR writes pairs
 * for fuzz_delta there.
 */
#include <time.h>

#include "policies/compiler/delta.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/policies_fixture.h"

#ifdef __SANITIZE_ADDRESS__
enum { PAIRS = 60 };
#else
enum { PAIRS = 400 };
#endif
enum { STATEMENTS = 40, LINE = 160 };

static u64 rng;

static u32 rnd(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 11) % n;
}

/* A policy as lines that do not depend on each other, so that any of them may go. */
struct lines {
	char s[STATEMENTS][LINE];
	u32 n;
};

static void one_statement(char *s)
{
	static const char *const sets[] = { "a", "a/activation", "b", "b/configuration", "default", "c" };
	const char *x = sets[rnd(6)], *y = sets[rnd(6)];
	u32 p = 1 + rnd(40);

	switch (rnd(8)) {
	case 0:
		(void)snprintf(s, LINE, "files t%u { /t%u; /u%u; }", p % 3, p, p + 100);
		break;
	case 1:
		(void)snprintf(s, LINE, "nodes g%u = n%u, n%u;", p, p % 7, p % 5);
		break;
	case 2:
		(void)snprintf(s, LINE, "domain d%u { exec /d%u; phase %s { exec /p%u; } }", p, p, p % 2 ? "activation" : "installation", p);
		break;
	case 3:
		(void)snprintf(s, LINE, "allow %s@ga %s@gb:tcp { connect } port %u-%u;", x, y, p, p + rnd(3));
		break;
	case 4:
		(void)snprintf(s, LINE, "on gb { allow %s self:tcp { bind listen } port %u; }", x, p);
		break;
	case 5:
		(void)snprintf(s, LINE, "allow %s socket { inet stream, unix dgram };", x);
		break;
	case 6:
		(void)snprintf(s, LINE, "allow %s %s:process { signal };", x, y);
		break;
	default:
		(void)snprintf(s, LINE, "allow %s t%u:file { read%s };", x, p % 3, p % 2 ? " write" : "");
	}
}

static struct built *build(const struct lines *l, const struct image *base)
{
	static char text[(STATEMENTS + 8) * LINE];
	size_t n = 0;
	struct built *b;

	n += (size_t)snprintf(text + n, sizeof(text) - n,
			      "policy \"random\" { mode enforcing; }\nnodes ga = n1, n2;\nnodes gb = n2, n3;\n"
			      "domain a { exec /a; phase activation { exec /x; } }\n"
			      "domain b { exec /b; phase configuration { exec /y; } }\ndomain c { exec /c; }\n"
			      "files t0 { /0; } files t1 { /1; } files t2 { /2; }\n");
	for (u32 i = 0; i < l->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", l->s[i]);
	b = built_new(text, n, base);
	return b;
}

/* A policy that compiles (names declared twice, paths of two types do not). */
static struct built *random_policy(struct lines *l, const struct image *base)
{
	struct built *b = NULL;

	do {
		if (b)
			built_free(b);
		l->n = rnd(STATEMENTS);
		for (u32 i = 0; i < l->n; i++)
			one_statement(l->s[i]);
		b = build(l, base);
	} while (b->code && (l->n /= 2, true) && (built_free(b), b = build(l, base), b->code));
	return b;
}

static struct built *changed_policy(struct lines *l, const struct image *base)
{
	struct lines to;
	struct built *b;

	for (;;) {
		to = *l;
		for (u32 k = 1 + rnd(4); k; k--) {
			u32 at = to.n ? rnd(to.n) : 0;

			if (to.n < STATEMENTS && (!to.n || rnd(2))) {
				memmove(to.s[at + 1], to.s[at], (size_t)(to.n - at) * LINE);
				one_statement(to.s[at]);
				to.n++;
			} else if (rnd(2)) {
				memmove(to.s[at], to.s[at + 1], (size_t)(to.n - at - 1) * LINE);
				to.n--;
			} else {
				one_statement(to.s[at]);
			}
		}
		b = build(&to, base);
		if (!b->code)
			break;
		built_free(b);
	}
	*l = to;
	return b;
}

static void delta_init(struct wbuf *w)
{
	wbuf_init(w, IMAGE_SIZE_MAX);
}

static size_t goes_over(const struct built *a, const struct built *b, u64 seed)
{
	struct wbuf delta, out;
	struct err e = { .code = 0 };
	size_t n;

	delta_init(&delta);
	delta_init(&out);
	ck_assert_msg(!delta_make(a->bytes.data, a->bytes.len, b->bytes.data, b->bytes.len, &delta, &e), "%s", e.text);
	ck_assert_msg(!delta_apply(a->bytes.data, a->bytes.len, delta.data, delta.len, &out, &e), "SEED=%llu: %s",
		      (unsigned long long)seed, e.text);
	ck_assert_msg(out.len == b->bytes.len && !memcmp(out.data, b->bytes.data, out.len), "SEED=%llu: other bytes",
		      (unsigned long long)seed);
	n = delta.len;
	wbuf_fini(&delta);
	wbuf_fini(&out);
	return n;
}

static void write_pair(const struct built *a, const struct built *b, u64 seed)
{
	const char *dir = getenv("CORPUS");
	struct wbuf delta;
	char path[300];
	u8 len[4];
	FILE *f;

	if (!dir)
		return;
	delta_init(&delta);
	ck_assert_int_eq(delta_make(a->bytes.data, a->bytes.len, b->bytes.data, b->bytes.len, &delta, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/pair-%llu", dir, (unsigned long long)seed);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 4; i++)
		len[i] = (u8)(a->bytes.len >> 8 * i);
	(void)fwrite(len, 1, 4, f);
	(void)fwrite(a->bytes.data, 1, a->bytes.len, f);
	(void)fwrite(delta.data, 1, delta.len, f);
	ck_assert_int_eq(fclose(f), 0);
	wbuf_fini(&delta);
}

START_TEST(random_pairs)
{
	const char *only = getenv("SEED");
	u64 first = only ? strtoull(only, NULL, 10) : 1, n = only ? 1 : PAIRS;
	size_t deltas = 0, wholes = 0;

	for (u64 seed = first; seed < first + n; seed++) {
		static struct lines l;
		struct built *a, *b, *c;

		rng = seed * 0x9e3779b97f4a7c15ull + 1;
		a = random_policy(&l, NULL);
		b = changed_policy(&l, seed % 3 ? &a->img : NULL);
		deltas += goes_over(a, b, seed);
		wholes += b->bytes.len;
		(void)goes_over(b, a, seed);
		(void)goes_over(a, a, seed);
		c = random_policy(&l, NULL); /* nothing to do with it */
		(void)goes_over(a, c, seed);
		if (seed % 40 == 1)
			write_pair(a, b, seed);
		built_free(a);
		built_free(b);
		built_free(c);
	}
	printf("%llu pairs: deltas are %zu %% of the images\n", (unsigned long long)n, deltas * 100 / wholes);
	ck_assert(only || deltas < wholes * 2 / 3);
}
END_TEST

/* 100,000 rules on as many lines; one more in the middle. */
static struct built *large(bool more)
{
	enum { RULES = 100000 };
	size_t cap = RULES * 80, n = 0;
	char *text = malloc(cap);
	struct built *b;

	ck_assert_ptr_nonnull(text);
	n += (size_t)snprintf(text + n, cap - n, "policy \"large\" { mode enforcing; }\nnodes web = n1;\nnodes db = n2;\n");
	for (u32 i = 0; i < 200; i++)
		n += (size_t)snprintf(text + n, cap - n, "domain d%u { exec /usr/bin/d%u; }\nfiles t%u { /srv/t%u; }\n", i, i, i, i);
	for (u32 i = 0; i < RULES; i++) {
		u32 a = i % 200, c = i / 200 % 200;

		if (i == RULES / 2 && more)
			n += (size_t)snprintf(text + n, cap - n, "allow d7@web d8@db:tcp { connect } port 6379;\n");
		if (i % 3)
			n += (size_t)snprintf(text + n, cap - n, "allow d%u t%u:file { read };\n", a, c);
		else
			n += (size_t)snprintf(text + n, cap - n, "allow d%u@web d%u@db:tcp { connect } port %u;\n", a, c, 1 + i % 97);
	}
	b = built_new(text, n, NULL);
	free(text);
	ck_assert_msg(!b->code, "%.500s", (char *)b->messages.data);
	return b;
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

START_TEST(one_rule_of_a_hundred_thousand)
{
	struct built *a = large(false), *b = large(true);
	double t = now_ms();
	size_t there = goes_over(a, b, 0), back;

	t = now_ms() - t;
	back = goes_over(b, a, 0);
	printf("one rule more: %zu bytes, one less: %zu, of %zu; made and applied in %.0f ms\n", there, back, b->bytes.len, t);
	ck_assert_uint_lt(there, 1024);
	ck_assert_uint_lt(back, 1024);
	built_free(a);
	built_free(b);
}
END_TEST

/* Whatever becomes of the bytes: an answer, and no more than the limit. */
static int applied(const struct built *a, const u8 *delta, size_t n, size_t limit)
{
	struct wbuf out;
	int rc;

	wbuf_init(&out, limit);
	rc = delta_apply(a->bytes.data, a->bytes.len, delta, n, &out, NULL);
	ck_assert_uint_le(out.len, limit);
	wbuf_fini(&out);
	return rc;
}

START_TEST(bad_deltas_are_survived)
{
	static struct lines l;
	struct built *a, *b;
	struct wbuf delta;
	u8 *exact;

	rng = 77;
	a = random_policy(&l, NULL);
	b = changed_policy(&l, &a->img);
	delta_init(&delta);
	ck_assert_int_eq(delta_make(a->bytes.data, a->bytes.len, b->bytes.data, b->bytes.len, &delta, NULL), 0);
	for (size_t n = 0; n < delta.len; n++) {
		exact = malloc(n ? n : 1); /* so that a read behind it shows */
		memcpy(exact, delta.data, n);
		ck_assert_int_lt(applied(a, exact, n, IMAGE_SIZE_MAX), 0);
		free(exact);
	}
	for (size_t i = 0; i < delta.len; i++)
		for (u32 x = 1; x < 256; x += 6) {
			delta.data[i] ^= (u8)x;
			(void)applied(a, delta.data, delta.len, 1 << 20);
			delta.data[i] ^= (u8)x;
		}
	ck_assert_int_eq(applied(a, delta.data, delta.len, b->bytes.len), 0);
	ck_assert_int_eq(applied(a, delta.data, delta.len, b->bytes.len - 1), -DSI_ELIMIT);
	delta.data[4] = 2;
	ck_assert_int_eq(applied(a, delta.data, delta.len, 1 << 20), -DSI_EVERSION);
	delta.data[4] = 1;
	wbuf_u8(&delta, 0);
	ck_assert_int_eq(applied(a, delta.data, delta.len, 1 << 20), -DSI_ETRAIL);
	wbuf_fini(&delta);
	/* another old image than it was made from: wrong bytes, or refused */
	built_free(a);
	built_free(b);
}
END_TEST

START_TEST(only_between_images)
{
	struct built *a = built_good("domain a { exec /a; }");
	struct wbuf out;
	struct err e;

	wbuf_init(&out, 1 << 20);
	ck_assert_int_lt(delta_make((const u8 *)"x", 1, a->bytes.data, a->bytes.len, &out, &e), 0);
	ck_assert_int_lt(delta_make(a->bytes.data, a->bytes.len, (const u8 *)"x", 1, &out, &e), 0);
	ck_assert_int_lt(delta_apply((const u8 *)"x", 1, a->bytes.data, a->bytes.len, &out, &e), 0);
	ck_assert_uint_eq(out.len, 0);
	wbuf_fini(&out);
	wbuf_init(&out, 100); /* no room */
	ck_assert_int_eq(delta_make(a->bytes.data, a->bytes.len, a->bytes.data, a->bytes.len, &out, &e), -DSI_ELIMIT);
	wbuf_fini(&out);
	built_free(a);
}
END_TEST

LIB_TESTS("policies_delta", random_pairs, one_rule_of_a_hundred_thousand, bad_deltas_are_survived, only_between_images)
