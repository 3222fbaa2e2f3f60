/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A newcomer's request on the direct leg: passed on to the active server, answered when its entry is
 * applied. The exporter of *our* TLS session with the newcomer goes into the entry, never one it names:
 * what it signed must be this session, so a man in the middle or a replayed enrolment fails the check.
 */
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"

static const u64 ENROL_NS = 20ull * 1000000000;

struct enrolment {
	struct enrolment *next;
	struct engine *g;
	struct direct_request *rq;
	u8 token[16], request[16];
	struct loop_timer *timer;
};

static void enrolment_end(struct enrolment *w, int code, const void *p, size_t n)
{
	struct enrolment **at = &w->g->enrolments;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	direct_reply(w->rq, code, p, n);
	loop_timer_free(w->timer);
	free(w);
}

static void on_timeout(void *ctx)
{
	enrolment_end(ctx, -DSI_ETIMEDOUT, NULL, 0);
}

/* The server checks everything; here only what is needed to pass it on. */
static int forward(struct enrolment *w, struct body_e_enrol *b)
{
	struct body_submit m = { .kind = ENTRY_ENROL };
	struct wbuf out;
	int rc;

	wbuf_init(&out, LIM_ENTRY_BODY);
	rc = body_encode(&schema_e_enrol, b, &out);
	memcpy(m.request, w->request, sizeof(m.request));
	m.statement = (struct blob){ .p = out.data, .n = out.len };
	if (!rc)
		rc = replica_send(w->g->replica, MSG_SUBMIT, GCS_NORMAL, &m);
	wbuf_fini(&out);
	return rc;
}

void enrol_request(struct engine *g, struct direct_request *rq, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct enrolment *w = calloc(1, sizeof(*w));
	struct body_e_enrol b;
	struct arena a;
	int rc = w ? 0 : -DSI_ENOMEM;

	arena_init(&a, 64 << 10);
	if (!rc)
		rc = body_decode(&schema_e_enrol, p, n, &b, &a);
	if (!rc) {
		memcpy(b.exporter, peer->exporter, sizeof(b.exporter));
		memcpy(w->token, b.token, sizeof(w->token));
		rc = crypto_random(w->request, sizeof(w->request));
	}
	if (!rc) {
		w->g = g;
		w->rq = rq;
		w->timer = loop_timer_new(g->loop, on_timeout, w);
		rc = w->timer ? forward(w, &b) : -DSI_ENOMEM;
	}
	arena_fini(&a);
	if (rc) {
		direct_reply(rq, rc, NULL, 0);
		if (w)
			loop_timer_free(w->timer);
		free(w);
		return;
	}
	w->next = g->enrolments;
	g->enrolments = w;
	loop_timer_set(w->timer, ENROL_NS);
}

/* u32 nid, u64 commit, u64 tail, then the log so far: the newcomer proves with it that we are bound. */
void enrol_on_applied(struct engine *g, const struct entry *e, const struct state_result *r)
{
	struct body_e_enrol b;
	struct arena a;

	if (e->type != ENTRY_ENROL || !g->enrolments)
		return;
	arena_init(&a, 64 << 10);
	if (body_decode(&schema_e_enrol, e->body, e->body_len, &b, &a))
		goto out;
	for (struct enrolment *w = g->enrolments, *next; w; w = next) {
		struct log *log = replica_log(g->replica);
		struct wbuf reply;

		next = w->next;
		if (memcmp(w->token, b.token, sizeof(w->token)))
			continue;
		wbuf_init(&reply, LIM_DIRECT_FRAME - 1024);
		wbuf_u32(&reply, r->nid);
		wbuf_u64(&reply, e->index);
		wbuf_u64(&reply, log_tail(log));
		for (u64 i = 1; !r->code && i <= e->index && reply.len < LIM_DIRECT_FRAME / 2; i++) {
			size_t len;
			const u8 *bytes = log_entry(log, i, &len);

			if (bytes)
				wbuf_blob(&reply, bytes, len);
		}
		enrolment_end(w, r->code, reply.data, r->code ? 0 : reply.len);
		wbuf_fini(&reply);
	}
out:
	arena_fini(&a);
}

void enrol_on_submitted(struct engine *g, const struct body_submitted *m)
{
	for (struct enrolment *w = g->enrolments, *next; w; w = next) {
		next = w->next;
		if (m->code && !memcmp(w->request, m->request, sizeof(w->request)))
			enrolment_end(w, -(int)m->code, m->text, strlen(m->text));
	}
}

void enrol_free(struct engine *g)
{
	while (g->enrolments)
		enrolment_end(g->enrolments, -DSI_ENOTCONN, NULL, 0);
}
