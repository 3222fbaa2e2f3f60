/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First byte 0: the rest as a statement off the wire. Else: the rest as the body of a statement of that kind which an
 * operator (or the root) really signed, checked and then ordered: no crash, no leak, and what check lets pass applies.
 */
#include "tests/fuzz/gcs_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void raw(const u8 *p, size_t n)
{
	struct statement st;

	if (!statement_open(&st, p, n))
		must(st.raw == p && st.raw_len == n && st.body_len + STATEMENT_OVERHEAD == n);
	else
		must(!st.raw);
}

/* A reform becomes one entry, which gives the statement back; what verifies applies. */
static void reform(struct state *s, const struct statement *st)
{
	struct reform_place at;
	struct statement back;
	struct state_result res;
	struct entry en;
	struct err e = { 0 };
	struct arena a;
	struct wbuf w;

	wbuf_init(&w, ENTRY_MAX);
	arena_init(&a, 256 << 10);
	if (reform_place(st, &at, &e))
		must(reform_entry(st, s->term, &w, &e) < 0);
	else if (!reform_entry(st, s->term, &w, &e)) {
		must(!entry_decode(&en, w.data, w.len) && en.index == at.base_index + 1 && en.generation == at.generation);
		must(!reform_statement(&en, &a, &back, &e));
		must(back.raw_len == st->raw_len && !memcmp(back.raw, st->raw, st->raw_len));
		if (!state_verify_entry(s, &en, &e))
			must(!state_apply(s, &en, &res) && !res.code && s->generation == at.generation);
	}
	arena_fini(&a);
	wbuf_fini(&w);
}

static void order(u16 kind, const u8 *p, size_t n)
{
	struct state *s = state_clone(fuzz_state());
	const u32 live[] = { 1 };
	struct state_result res;
	struct statement st;
	struct wbuf w, body;
	struct err e = { 0 };
	int rc;

	must(s);
	wbuf_init(&w, STATEMENT_MAX);
	wbuf_init(&body, LIM_ENTRY_BODY);
	if (!fuzz_statement(s, kind, p, n, &w)) {
		must(!statement_open(&st, w.data, w.len));
		rc = state_check(s, &st, fuzz_now, live, 1, &e);
		must(rc == 0 || e.text[0]);
		rc = state_check(s, &st, fuzz_now, NULL, 0, &e);
		if (kind == ENTRY_REFORM) {
			struct state *c = state_clone(s);

			must(c);
			reform(c, &st);
			state_free(c);
		}
		if (!state_make_body(&st, 0, NULL, &body)) {
			fuzz_apply(s, kind, body.data, body.len, &res);
			must(kind == ENTRY_GENESIS || kind == ENTRY_REFORM || rc == res.code);
		}
	}
	wbuf_fini(&body);
	wbuf_fini(&w);
	state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0])
		order(data[0], data + 1, size - 1);
	else
		raw(data + 1, size - 1);
	return 0;
}
