/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leases: proved by what came back, from the time it was sent. */
#include <check.h>
#include <stdlib.h>

#include "gcs/lease.h"
#include "tests/unit/lib_check.h"

enum { S = 1000 }; /* any unit */

START_TEST(gate_is_token_and_consensus)
{
	ck_assert_uint_eq(lease_gate_ns(1000, 1200), 2200);
	ck_assert_uint_eq(lease_gate_ns(1000, 0), 2200);
	ck_assert_uint_eq(lease_gate_ns(0, 0), 2200000000ull); /* a backend without a token */
}
END_TEST

START_TEST(trust_outlives_detection_and_opening)
{
	u64 hb = 500, wait = 300;

	/* the last beat may be one interval old when the other node dies; then detection; then opening */
	ck_assert_uint_gt(lease_trust_ns(1000, 1200, hb, wait), hb + lease_gate_ns(1000, 1200) + wait);
}
END_TEST

START_TEST(beats_are_frequent_enough_for_the_gate)
{
	ck_assert_uint_eq(lease_beat_ns(6600, 500), 500);
	ck_assert_uint_eq(lease_beat_ns(330, 500), 110);
}
END_TEST

START_TEST(a_beat_proves_when_it_was_sent)
{
	struct lease l = { 0 };
	u64 n;

	ck_assert(!lease_holds(&l, 0) && !lease_until(&l) && !lease_trust_until(&l));
	lease_begin(&l, 10 * S, 2 * S, 9 * S);
	ck_assert(lease_holds(&l, 12 * S - 1) && !lease_holds(&l, 12 * S));
	ck_assert_uint_eq(lease_trust_until(&l), 19 * S);
	n = lease_sent(&l, 11 * S);
	lease_returned(&l, n); /* however late that is */
	ck_assert_uint_eq(lease_until(&l), 13 * S);
	ck_assert(!lease_holds(&l, 13 * S));
}
END_TEST

START_TEST(what_was_never_sent_or_counted_already_proves_nothing)
{
	struct lease l = { 0 };
	u64 n;

	lease_begin(&l, S, 2 * S, 3 * S);
	lease_returned(&l, 0);
	lease_returned(&l, 12345);
	ck_assert_uint_eq(lease_until(&l), 3 * S);
	n = lease_sent(&l, 2 * S);
	lease_returned(&l, n);
	lease_returned(&l, n);
	ck_assert_uint_eq(lease_until(&l), 4 * S);
	for (int i = 0; i < 2 * LEASE_SENT; i++)
		lease_sent(&l, (u64)(3 + i) * S);
	lease_returned(&l, n + 1); /* forgotten long ago */
	ck_assert_uint_eq(lease_until(&l), 4 * S);
}
END_TEST

START_TEST(beats_of_an_earlier_view_prove_nothing)
{
	struct lease l = { 0 };
	u64 n;

	lease_begin(&l, S, 2 * S, 3 * S);
	n = lease_sent(&l, 2 * S);
	lease_begin(&l, 5 * S, 2 * S, 3 * S);
	lease_returned(&l, n);
	ck_assert_uint_eq(lease_until(&l), 7 * S);
	lease_end(&l);
	ck_assert(!lease_holds(&l, 6 * S));
	lease_returned(&l, n);
	ck_assert(!lease_holds(&l, 6 * S));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_lease");
	TCase *t = tcase_create("lease");

	tcase_add_test(t, gate_is_token_and_consensus);
	tcase_add_test(t, trust_outlives_detection_and_opening);
	tcase_add_test(t, beats_are_frequent_enough_for_the_gate);
	tcase_add_test(t, a_beat_proves_when_it_was_sent);
	tcase_add_test(t, what_was_never_sent_or_counted_already_proves_nothing);
	tcase_add_test(t, beats_of_an_earlier_view_prove_nothing);
	suite_add_tcase(s, t);
	return check_main(s);
}
