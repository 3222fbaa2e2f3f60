/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 120
 * Staging: steps small first, memory let go, sets followed through many changes. And figures: what learning policy
 * versions costs by replay (BIG=1: 10,000 of them), beside loading the state they make. Printed, not asserted.
 */
#include <time.h>

#include "gcs/stage.h"
#include "tests/unit/gcs_acks.h"

static struct stage *stage_of(struct world *w, struct state *s)
{
	struct err e = { 0 };
	struct entry g;

	ck_assert_int_eq(genesis_verify(w->log[0].p, w->log[0].n, w->genesis_root, s, &e), 0);
	a_entry(w, 1, &g);
	return stage_new(s, &g);
}

static void add(struct stage *s, struct world *w, u64 from, u64 to)
{
	struct err e = { 0 };

	for (u64 i = from; i <= to; i++)
		ck_assert_msg(stage_add(s, w->log[i - 1].p, w->log[i - 1].n, &e) == 0, "%llu: %s", (unsigned long long)i, e.text);
}

static void prove(struct stage *s, struct blob p, bool newest)
{
	ck_assert_int_eq(stage_prove(s, p.p, p.n, newest), 0);
}

START_TEST(small_steps_first)
{
	struct world *w = w_three();
	struct state *start = state_new();
	struct stage *s = stage_of(w, start);
	struct blob proof;
	size_t n;
	u64 to;

	add(s, w, 2, 8);
	prove(s, a_prove(w, 8, (const u32[]){ 1, 2, 3 }, 3), true);
	prove(s, a_prove(w, 5, (const u32[]){ 1, 2 }, 2), false);
	ck_assert(stage_step(s, &to, &proof) && to == 5);
	ck_assert_ptr_null(stage_read(s, 1, &n));
	ck_assert_ptr_nonnull(stage_read(s, 5, &n));
	ck_assert_ptr_null(stage_read(s, 9, &n));
	stage_drop(s, to);
	ck_assert_ptr_null(stage_read(s, 5, &n));
	ck_assert_mem_eq(stage_read(s, 6, &n), w->log[5].p, w->log[5].n);
	ck_assert(stage_step(s, &to, &proof) && to == 8);
	stage_drop(s, to);
	ck_assert(!stage_step(s, &to, &proof));
	ck_assert_uint_eq(stage_tail(s), 8);
	stage_free(s);
	state_free(start);
	w_free(w);
}
END_TEST

/* The second voter comes and goes, more often than the stage remembers sets: proofs on the way let it go on. */
START_TEST(follows_the_voters)
{
	static char names[20][8];
	struct world *w = w_new();
	struct state *start = state_new(), *again = state_new();
	struct stage *s = stage_of(w, start);
	struct { u64 index; u32 nid; } change[2 * ARRAY_SIZE(names)];
	struct blob proof;
	struct err e = { 0 };
	u64 to;
	int rc = 0;

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(names[i], sizeof(names[i]), "m%u", i);
		u32 nid = w_join(w, names[i], names[i], NODE_MEMBER | NODE_VOTER);

		change[2 * i].index = w->s->applied;
		ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_VOTER_REMOVE, "alice", nid)), 0);
		change[2 * i + 1].index = w->s->applied;
		change[2 * i].nid = change[2 * i + 1].nid = nid;
	}
	while (stage_tail(s) < w->s->applied && !rc)
		rc = stage_add(s, w->log[stage_tail(s)].p, w->log[stage_tail(s)].n, &e);
	ck_assert_int_eq(rc, -DSI_ELIMIT);
	stage_free(s);
	s = stage_of(w, again);
	for (u32 i = 0; i < ARRAY_SIZE(change); i++) {
		add(s, w, stage_tail(s) + 1, change[i].index);
		prove(s, a_prove(w, change[i].index, (const u32[]){ 1 }, 1), true); /* of two; the other set is not asked alone */
		ck_assert(!stage_step(s, &to, &proof) || to < change[i].index);
		prove(s, a_prove(w, change[i].index, (const u32[]){ 1, change[i].nid }, 2), true);
		ck_assert(stage_step(s, &to, &proof) && to == change[i].index);
		stage_drop(s, to);
	}
	ck_assert_uint_eq(stage_tail(s), w->s->applied);
	stage_free(s);
	state_free(start);
	state_free(again);
	w_free(w);
}
END_TEST

/* What root signed needs no majority, and so must not come in among what does: it has its own way. */
START_TEST(a_reform_is_not_staged)
{
	struct world *w = w_three();
	struct state *start = state_new();
	struct stage *s = stage_of(w, start);
	struct err e = { 0 };
	u64 base = w->s->applied;

	ck_assert_int_eq(w_reform_put(w, w_reform(w, 2, 1), true), 0);
	add(s, w, 2, base);
	ck_assert_int_eq(stage_add(s, w->log[base].p, w->log[base].n, &e), -DSI_ECONFLICT);
	ck_assert_uint_eq(stage_tail(s), base);
	stage_free(s);
	state_free(start);
	w_free(w);
}
END_TEST

static double cpu_since(const struct timespec *t0)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return 1e3 * (double)(t.tv_sec - t0->tv_sec) + 1e-6 * (double)(t.tv_nsec - t0->tv_nsec);
}

START_TEST(figures)
{
	struct world *w = w_three();
	struct state *s = state_new(), *copy = state_new();
	struct stage *stage = stage_of(w, s);
	struct state_result res;
	struct timespec t0;
	struct blob proof;
	struct wbuf image;
	u8 a[CRYPTO_HASH], b[CRYPTO_HASH];
	const u64 many = getenv("BIG") ? 10000 : 1000;
	size_t bytes = 0;
	u64 to;

	for (; w->s->applied < many; w->now += 1000) /* so that used request ids expire */
		ck_assert_int_eq(w_order(w, w_policy(w, "alice", "p", 0)), 0);
	for (u64 i = 0; i < many; i++)
		bytes += w->log[i].n;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	for (u64 from = 2; from <= many; from += LIM_PROOF_EVERY) { /* with the proofs that a member keeps */
		u64 end = MIN(from + LIM_PROOF_EVERY - 1, many);

		add(stage, w, from, end);
		prove(stage, a_prove(w, end, (const u32[]){ 1, 2, 3 }, 3), false);
		ck_assert(stage_step(stage, &to, &proof) && to == end);
		for (u64 i = from; i <= end; i++) {
			struct entry e;

			a_entry(w, i, &e);
			ck_assert_int_eq(state_apply(s, &e, &res), 0);
		}
		stage_drop(stage, to);
	}
	double replay = cpu_since(&t0);

	wbuf_init(&image, 4 << 20);
	ck_assert_int_eq(state_save(s, &image), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	ck_assert_int_eq(state_load(copy, image.data, image.len), 0);
	w_digest(copy, b);
	double load = cpu_since(&t0);

	w_digest(w->s, a);
	ck_assert_mem_eq(a, b, sizeof(a));
	printf("%llu entries, %zu KiB: staged, proven and applied in %.0f ms of processor time (%.0f us each); "
	       "their state: %zu KiB, loaded and compared in %.1f ms\n", (unsigned long long)many, bytes >> 10, replay,
	       1e3 * replay / (double)many, image.len >> 10, load);
	wbuf_fini(&image);
	stage_free(stage);
	state_free(s);
	state_free(copy);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stage");
	TCase *t = tcase_create("stage");

	tcase_set_timeout(t, 110);
	tcase_add_test(t, small_steps_first);
	tcase_add_test(t, follows_the_voters);
	tcase_add_test(t, a_reform_is_not_staged);
	tcase_add_test(t, figures);
	suite_add_tcase(s, t);
	return check_main(s);
}
