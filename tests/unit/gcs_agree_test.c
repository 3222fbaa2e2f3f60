/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Digests compared: who is odd, when nobody knows, and what one voter's many words are worth. */
#include "gcs/agree.h"

#include "tests/unit/gcs_fixture.h"

static const struct order_voters two = { .n = 2, .nid = { 1, 2 } }, three = { .n = 3, .nid = { 1, 2, 3 } },
				 four = { .n = 4, .nid = { 1, 2, 3, 4 } };
static struct agree a;
static u64 at;
static u8 majority[CRYPTO_HASH];

static const u8 *digest(u8 what)
{
	static u8 d[3][CRYPTO_HASH];
	static u32 n;
	u8 *ret = d[n++ % 3];

	memset(ret, what, CRYPTO_HASH);
	return ret;
}

static void begin(u8 own)
{
	memset(&a, 0, sizeof(a));
	agree_own(&a, 64, digest(own));
}

static enum agree_verdict judge(const struct order_voters *set)
{
	return agree_judge(&a, set, &at, majority);
}

static void same_and_odd(void)
{
	begin('a');
	CHECK(judge(&three) == AGREE_OPEN);
	agree_told(&a, 1, 64, digest('a'));
	CHECK(judge(&three) == AGREE_OPEN);
	agree_told(&a, 2, 64, digest('a'));
	CHECK(judge(&three) == AGREE_SAME && at == 64 && majority[0] == 'a');
	CHECK(judge(&three) == AGREE_OPEN); /* given once */
	begin('b');
	agree_told(&a, 1, 64, digest('b'));
	agree_told(&a, 2, 64, digest('a'));
	CHECK(judge(&three) == AGREE_OPEN);
	agree_told(&a, 3, 64, digest('a'));
	CHECK(judge(&three) == AGREE_ODD && at == 64 && majority[0] == 'a');
}

static void a_minority_calls_nobody_odd(void)
{
	begin('a');
	agree_told(&a, 3, 64, digest('x'));
	agree_told(&a, 3, 64, digest('y'));
	agree_told(&a, 7, 64, digest('x')); /* no voter */
	agree_told(&a, 8, 64, digest('x'));
	CHECK(judge(&three) == AGREE_OPEN);
	agree_told(&a, 1, 64, digest('a'));
	agree_told(&a, 2, 64, digest('a'));
	CHECK(judge(&three) == AGREE_SAME);
}

static void no_majority_any_more(void)
{
	begin('a');
	agree_told(&a, 1, 64, digest('a'));
	agree_told(&a, 2, 64, digest('b'));
	CHECK(judge(&two) == AGREE_NONE);
	begin('a');
	agree_told(&a, 1, 64, digest('a'));
	agree_told(&a, 2, 64, digest('a'));
	agree_told(&a, 3, 64, digest('b'));
	CHECK(judge(&four) == AGREE_OPEN);
	agree_told(&a, 4, 64, digest('b'));
	CHECK(judge(&four) == AGREE_NONE);
}

/* Words about places far ahead push out only one's own. */
static void one_cannot_silence_others(void)
{
	begin('b');
	for (u64 i = 1; i < 1000; i++)
		agree_told(&a, 3, 64 * i * 1000, digest('x'));
	agree_told(&a, 1, 64, digest('a'));
	agree_told(&a, 2, 64, digest('a'));
	CHECK(judge(&three) == AGREE_ODD && at == 64);
	for (u32 nid = 100; nid < 400; nid++)
		agree_told(&a, nid, 128, digest('x'));
	agree_own(&a, 192, digest('a'));
	agree_told(&a, 1, 192, digest('a'));
	agree_told(&a, 2, 192, digest('a'));
	CHECK(judge(&three) == AGREE_SAME && at == 192);
}

static void told_before_we_are_there(void)
{
	begin('a');
	for (u64 i = 128; i < 64 * 6; i += 64) {
		agree_told(&a, 1, i, digest('a'));
		agree_told(&a, 2, i, digest('a'));
	}
	CHECK(judge(&three) == AGREE_OPEN);
	agree_own(&a, 128, digest('a'));
	CHECK(judge(&three) == AGREE_SAME && at == 128);
	agree_own(&a, 192, digest('b'));
	CHECK(judge(&three) == AGREE_ODD && at == 192);
	agree_told(&a, 3, 64, digest('a'));
	agree_told(&a, 2, 64, digest('b'));
	CHECK(judge(&three) == AGREE_OPEN); /* long past */
}

int main(void)
{
	RUN(same_and_odd);
	RUN(a_minority_calls_nobody_odd);
	RUN(no_majority_any_more);
	RUN(one_cannot_silence_others);
	RUN(told_before_we_are_there);
	return fixture_end("agree");
}
