/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: a signed policy that locks the administrator or DSI out reaches the server past dsi-admin's check. The
 * server calls nothing safe that it has not judged: not while another image is judged, not without its list, not what
 * is no image; and it does not forget a refusal.
 */
#include <unistd.h>

#include "ss-ha/lockout.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/policies_fixture.h"

static const char LIST[] = "default read /etc/x\n";

struct world {
	struct loop *loop;
	struct lockout *k;
	char list[64];
	u32 judged;
	u8 last[CRYPTO_HASH];
};

static void on_judged(void *ctx, const u8 digest[CRYPTO_HASH])
{
	struct world *w = ctx;

	w->judged++;
	memcpy(w->last, digest, CRYPTO_HASH);
	loop_stop(w->loop, 0);
}

static struct world *world_new(const char *list)
{
	struct world *w = calloc(1, sizeof(*w));
	int fd;

	snprintf(w->list, sizeof(w->list), "/tmp/lockout.XXXXXX");
	fd = mkstemp(w->list);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, list, strlen(list)), (ssize_t)strlen(list));
	close(fd);
	w->loop = loop_new();
	ck_assert_int_eq(lockout_new(&w->k, w->loop, w->list, on_judged, w, NULL), 0);
	return w;
}

static void world_free(struct world *w)
{
	lockout_free(w->k);
	loop_free(w->loop);
	unlink(w->list);
	free(w);
}

static int start(struct world *w, u8 mark, const u8 *p, size_t n)
{
	u8 digest[CRYPTO_HASH] = { mark }, *copy = malloc(n);

	memcpy(copy, p, n);
	return lockout_judge(w->k, digest, copy, n);
}

/* Start, wait, ask: 1 when it is not known. */
static int judge(struct world *w, u8 mark, const u8 *p, size_t n, struct err *e)
{
	u8 digest[CRYPTO_HASH] = { mark };
	int code = 1;
	u32 level = 0;

	ck_assert_int_eq(start(w, mark, p, n), 0);
	loop_run(w->loop);
	ck_assert_int_eq(memcmp(w->last, digest, sizeof(digest)), 0);
	if (!lockout_answer(w->k, digest, &code, &level, e))
		return 1;
	ck_assert(code || level == KNOWS_FIRST);
	return code;
}

static bool known(struct world *w, u8 mark, int *ret_code)
{
	u8 digest[CRYPTO_HASH] = { mark };
	u32 level;

	return lockout_answer(w->k, digest, ret_code, &level, NULL);
}

START_TEST(judged_before_it_is_safe)
{
	struct built *good = built_good("policy \"p\" { } domain default { unconfined; }"), *bad = built_good("policy \"p\" { }");
	struct world *w = world_new(LIST);
	struct err e = { 0 };
	int code = 1;

	ck_assert(!known(w, 1, &code));
	ck_assert_int_eq(judge(w, 1, good->bytes.data, good->bytes.len, &e), 0);
	ck_assert_int_eq(judge(w, 2, bad->bytes.data, bad->bytes.len, &e), -DSI_ENOTSAFE);
	ck_assert_msg(strstr(e.text, "must-allow.list:1: `default read /etc/x`"), "%s", e.text);
	ck_assert(known(w, 2, &code) && code == -DSI_ENOTSAFE); /* kept */
	ck_assert(known(w, 1, &code) && code == 0);
	ck_assert(!known(w, 3, &code));
	world_free(w);
	built_free(good);
	built_free(bad);
}
END_TEST

START_TEST(what_cannot_be_judged_is_not_safe)
{
	struct built *good = built_good("policy \"p\" { } domain default { unconfined; }");
	struct world *w = world_new(LIST);
	struct err e = { 0 };
	int code = 1;

	ck_assert_int_lt(judge(w, 1, (const u8 *)"no image", 8, &e), 0);
	ck_assert_int_eq(truncate(w->list, 0), 0); /* a list without a case is no pass */
	ck_assert_int_eq(judge(w, 2, good->bytes.data, good->bytes.len, &e), -DSI_EPARSE);
	unlink(w->list);
	ck_assert_int_eq(judge(w, 3, good->bytes.data, good->bytes.len, &e), -DSI_ENOENT);
	ck_assert_msg(strstr(e.text, w->list), "%s", e.text);
	ck_assert(!known(w, 3, &code)); /* told once: the list may be there the next time */
	world_free(w);
	built_free(good);
}
END_TEST

START_TEST(one_at_a_time)
{
	struct built *good = built_good("policy \"p\" { } domain default { unconfined; }");
	struct world *w = world_new(LIST);
	int code = 1;

	ck_assert_int_eq(start(w, 1, good->bytes.data, good->bytes.len), 0);
	ck_assert_int_eq(start(w, 2, good->bytes.data, good->bytes.len), -DSI_EAGAIN);
	loop_run(w->loop);
	ck_assert_uint_eq(w->judged, 1);
	ck_assert(known(w, 1, &code) && code == 0);
	ck_assert(!known(w, 2, &code));
	ck_assert_int_eq(start(w, 3, good->bytes.data, good->bytes.len), 0);
	world_free(w); /* with the thread under way */
	built_free(good);
}
END_TEST

START_TEST(old_answers_make_room)
{
	struct built *good = built_good("policy \"p\" { } domain default { unconfined; }");
	struct world *w = world_new(LIST);
	int code = 1;

	for (u8 i = 1; i <= 9; i++)
		ck_assert_int_eq(judge(w, i, good->bytes.data, good->bytes.len, NULL), 0);
	ck_assert(!known(w, 1, &code)); /* judged again, never guessed */
	ck_assert(known(w, 9, &code) && code == 0);
	world_free(w);
	built_free(good);
}
END_TEST

LIB_TESTS("lockout", judged_before_it_is_safe, what_cannot_be_judged_is_not_safe, one_at_a_time, old_answers_make_room)
