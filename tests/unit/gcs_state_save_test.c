/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state as bytes: round trips, cut and flipped bytes, clones. */
#include "tests/unit/gcs_world.h"

static struct world *busy(void)
{
	struct world *w = w_three();

	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "one", 0)), 0);
	ck_assert_int_eq(w_order(w, w_policy(w, "alice", "two", 30)), 0);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 3)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), 0);
	w_join(w, "n3", "n3 second", NODE_MEMBER | NODE_VOTER | NODE_WITNESS);
	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 2, w->now + 9)), 0);
	return w;
}

START_TEST(snapshot_round_trip)
{
	struct world *w = busy();
	struct state *t = state_new();
	struct wbuf a, b;
	u8 d1[32], d2[32];

	w_save(w->s, &a);
	ck_assert_int_eq(state_load(t, a.data, a.len), 0);
	w_save(t, &b);
	ck_assert_uint_eq(a.len, b.len);
	ck_assert_mem_eq(a.data, b.data, a.len);
	w_digest(w->s, d1);
	w_digest(t, d2);
	ck_assert_mem_eq(d1, d2, 32);
	ck_assert_uint_eq(t->policy.version, 2);
	ck_assert_uint_eq(t->n_voters, 1);
	ck_assert_mem_eq(&t->policy, &t->history[0], sizeof(t->policy));
	wbuf_fini(&a);
	wbuf_fini(&b);
	state_free(t);
	w_free(w);
}
END_TEST

START_TEST(empty_snapshot)
{
	struct state *s = state_new(), *t = state_new();
	struct wbuf a;

	w_save(s, &a);
	ck_assert_int_eq(state_load(t, a.data, a.len), 0);
	wbuf_fini(&a);
	state_free(s);
	state_free(t);
}
END_TEST

START_TEST(snapshot_cut_and_flipped)
{
	struct world *w = busy();
	struct state *t = state_new();
	struct wbuf a;
	u8 before[32], after[32];
	u32 accepted = 0;

	w_save(w->s, &a);
	w_digest(t, before);
	for (size_t n = 0; n < a.len; n++) {
		u8 *cut = malloc(n ? n : 1);

		memcpy(cut, a.data, n);
		ck_assert_int_ne(state_load(t, cut, n), 0);
		free(cut);
	}
	wbuf_u8(&a, 0);
	ck_assert_int_ne(state_load(t, a.data, a.len), 0);
	a.len--;
	w_digest(t, after);
	ck_assert_mem_eq(before, after, 32); /* as it was, after every refusal */
	for (size_t i = 0; i < a.len; i++) {
		struct wbuf b;

		a.data[i] ^= 0x81;
		if (!state_load(t, a.data, a.len)) { /* another valid state: harmless, its digest differs */
			w_save(t, &b);
			ck_assert_mem_eq(a.data, b.data, a.len);
			wbuf_fini(&b);
			accepted++;
		}
		a.data[i] ^= 0x81;
	}
	ck_assert_uint_gt(accepted, 0); /* keys, digests: any bytes are as good */
	wbuf_fini(&a);
	state_free(t);
	w_free(w);
}
END_TEST

START_TEST(clone_is_apart)
{
	struct world *w = w_three();
	struct state *c = state_clone(w->s);
	u8 d1[32], d2[32];

	w_digest(w->s, d1);
	w_digest(c, d2);
	ck_assert_mem_eq(d1, d2, 32);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 3)), 0);
	ck_assert(state_nid_live(c, 3) && !state_nid_live(w->s, 3));
	w_digest(c, d1);
	ck_assert_mem_eq(d1, d2, 32);
	state_free(c);
	w_free(w);
}
END_TEST

/* Kept as bytes: what an older program saved must go on loading, whole, whatever was appended since. */
START_TEST(formats_before)
{
	static const char *const kept[STATE_FORMAT + 1] = { NULL, "tests/golden/state/format-1" };

	for (u32 format = 1; format <= STATE_FORMAT; format++) {
		struct state *s = state_new();
		u8 bytes[64 << 10];
		FILE *f;
		size_t n;

		ck_assert_msg(kept[format] != NULL, "keep a state of format %u", format);
		f = fopen(kept[format], "r");
		ck_assert_msg(f != NULL, "%s: run from the top of the tree", kept[format]);
		n = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		ck_assert_uint_eq(bytes[4], format);
		ck_assert_int_eq(state_load(s, bytes, n), 0);
		ck_assert_str_eq(s->name, "demo");
		ck_assert_uint_eq(s->policy.version, 2);
		ck_assert_uint_eq(s->applied, 15);
		ck_assert(!state_nid_live(s, 3) && state_nid_live(s, 4));
		if (format == STATE_FORMAT) {
			struct wbuf again;

			w_save(s, &again);
			ck_assert(again.len == n && !memcmp(again.data, bytes, n));
			wbuf_fini(&again);
		}
		state_free(s);
	}
}
END_TEST

START_TEST(newer_format_is_told_apart)
{
	struct state *s = state_new();
	struct wbuf a;

	w_save(s, &a);
	a.data[4] = STATE_FORMAT + 1;
	ck_assert_int_eq(state_load(s, a.data, a.len), -DSI_EVERSION);
	a.data[4] = 0;
	ck_assert_int_eq(state_load(s, a.data, a.len), -DSI_EVERSION);
	ck_assert_int_eq(state_load(s, a.data, 4), -DSI_ETRUNC);
	wbuf_fini(&a);
	state_free(s);
}
END_TEST

LIB_TESTS("gcs_state_save", snapshot_round_trip, empty_snapshot, snapshot_cut_and_flipped, clone_is_apart, formats_before,
	  newer_format_is_told_apart)
