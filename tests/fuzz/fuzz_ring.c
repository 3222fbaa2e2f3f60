/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring helper's bytes. First byte 0: a job, 1: an answer, 2: an answer to DIRECT_RING; what decodes encodes to the
 * same. Else: a member's corosync.conf, taken over alone and over itself.
 */
#include "gcs/ring_job.h"
#include "tests/fuzz/gcs_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct wbuf *w, const u8 *p, size_t n)
{
	must(wbuf_ok(w) && w->len == n && !memcmp(w->data, p, n));
}

static void job(const u8 *p, size_t n, struct wbuf *w)
{
	static struct ring_member m[RING_MEMBERS];
	struct ring_fit fit;
	struct ring_job j;
	struct wbuf out;
	struct err e;

	if (ring_job_decode(&j, m, p, n))
		return;
	ring_job_encode(&j, w);
	same(w, p, n);
	wbuf_init(&out, RING_CONF_MAX);
	if (j.kind == RING_JOB_TAKE &&
	    !ring_follow(m, 0, "n1", 1, true, "f", (const char *)j.conf, j.conf_len, &fit, &out, &e))
		must(false); /* nobody is a member: self neither */
	wbuf_fini(&out);
}

static void answer(const u8 *p, size_t n, struct wbuf *w)
{
	static struct ring_answer a;

	if (ring_answer_decode(&a, p, n) || a.code == -DSI_EFAIL)
		return;
	ring_answer_encode(&a, w);
	same(w, p, n);
}

static void gift(const u8 *p, size_t n, struct wbuf *w)
{
	struct ring_gift g;

	if (ring_gift_decode(&g, p, n))
		return;
	ring_gift_encode(&g, w);
	same(w, p, n);
}

static void taken(const u8 *p, size_t n, struct wbuf *w)
{
	static struct ring_conf c;
	struct wbuf again;
	struct err e;
	bool is_same;

	if (ring_plan_take("f", NULL, 0, (const char *)p, n, &is_same, w, &e))
		return;
	must(!is_same && !ring_plan_read(&c, "f", (const char *)w->data, w->len, &e));
	must(!c.keyfile[0] && !c.inline_key && !c.device && !ring_plan_crypto(&c, "f", &e));
	wbuf_init(&again, RING_CONF_MAX);
	must(!ring_plan_take("f", (const char *)w->data, w->len, (const char *)p, n, &is_same, &again, &e) && is_same);
	wbuf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wbuf w;

	if (!size)
		return 0;
	wbuf_init(&w, LIM_LINK_FRAME * 4);
	if (data[0] == 0)
		job(data + 1, size - 1, &w);
	else if (data[0] == 1)
		answer(data + 1, size - 1, &w);
	else if (data[0] == 2)
		gift(data + 1, size - 1, &w);
	else
		taken(data + 1, size - 1, &w);
	wbuf_fini(&w);
	return 0;
}
