/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First byte 0: the rest as a snapshot: what loads saves to the same bytes. Else: the rest as the body of an entry of
 * that type by the server in office: applied or refused, never more, and the state still saves and loads.
 */
#include "tests/fuzz/gcs_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct state *s)
{
	struct state *t = state_new();
	struct wbuf w;

	wbuf_init(&w, 8 << 20);
	must(t && !state_save(s, &w));
	must(!state_load(t, w.data, w.len));
	wbuf_fini(&w);
	state_free(t);
}

static void snapshot(const u8 *p, size_t n)
{
	struct state *s = state_new();
	struct wbuf w;

	must(s);
	wbuf_init(&w, 8 << 20);
	if (!state_load(s, p, n)) {
		must(!state_save(s, &w));
		must(w.len == n && !memcmp(w.data, p, n));
	}
	wbuf_fini(&w);
	state_free(s);
}

static void entry(u16 type, const u8 *p, size_t n)
{
	struct state *s = state_clone(fuzz_state());
	struct state_result res;

	must(s);
	fuzz_apply(s, type, p, n, &res);
	must(s->applied == 3 && (res.code == 0) == !res.text[0]);
	must(s->voters[0].n && s->n_server);
	round_trip(s);
	state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0])
		entry(data[0], data + 1, size - 1);
	else
		snapshot(data + 1, size - 1);
	return 0;
}
