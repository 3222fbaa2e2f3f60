/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a local caller hands in for the cluster: sent to the active server, sent again when a server dies,
 * answered when the entry is applied and, for policies and verdicts, when the nodes present enforce it.
 *
 * The request id makes it apply once, however often it is sent. Must never answer success on ordering
 * alone: a message delivered is not committed.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"

static const u64 MS = 1000000, RESEND_MS = 1000;
enum { SETTLE_MS = 5000, ACKS_MAX = LIM_NODES };

struct ack {
	u32 nid;
	u64 suspended_ms, final_ms; /* since the command came in; 0: not yet */
};

struct submission {
	struct submission *next;
	struct engine *g;
	struct ipc_request *rq;
	u8 *statement;
	size_t n;
	u8 request[16];
	u16 kind;
	bool has_blob, committed;
	u32 target;   /* NID of a verdict */
	u64 version;  /* of a policy */
	u64 began, deadline, committed_at, index;
	struct loop_timer *timer;
	struct ack ack[ACKS_MAX];
	u32 n_ack;
};

static u64 since_ms(const struct submission *s)
{
	return (loop_boottime() - s->began) / MS;
}

static struct ack *ack_for(struct submission *s, u32 nid)
{
	for (u32 i = 0; i < s->n_ack; i++)
		if (s->ack[i].nid == nid)
			return &s->ack[i];
	if (s->n_ack == ACKS_MAX)
		return NULL;
	s->ack[s->n_ack] = (struct ack){ .nid = nid };
	return &s->ack[s->n_ack++];
}

static bool waits_for(const struct submission *s)
{
	return s->kind == ENTRY_VERDICT || s->kind == ENTRY_POLICY;
}

/* Members present that must say they enforce it: all bound ones, except a verdict's target. */
static json_t *missing(struct submission *s)
{
	const struct state *st = replica_state(s->g->replica);
	struct order_status o;
	json_t *a = json_array();

	replica_status(s->g->replica, &o);
	for (u32 i = 0; i < st->n_node; i++) {
		const struct state_node *n = &st->node[i];
		const struct ack *k = NULL;

		if (n->status != NODE_BOUND || n->nid == s->target || !census_present(&o, n->nid))
			continue;
		for (u32 j = 0; j < s->n_ack; j++)
			if (s->ack[j].nid == n->nid && s->ack[j].final_ms)
				k = &s->ack[j];
		if (!k)
			json_array_append_new(a, json_string(n->name));
	}
	return a;
}

static json_t *enforced(struct submission *s)
{
	json_t *a = json_array();

	for (u32 i = 0; i < s->n_ack; i++)
		json_array_append_new(a, json_pack("{s:i, s:s, s:I, s:I}", "nid", (int)s->ack[i].nid, "name",
						   engine_node_name(s->g, s->ack[i].nid), "suspended_ms",
						   (json_int_t)s->ack[i].suspended_ms, "final_ms",
						   (json_int_t)s->ack[i].final_ms));
	return a;
}

static void unlink_and_free(struct submission *s)
{
	struct submission **at = &s->g->submissions;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	loop_timer_free(s->timer);
	free(s->statement);
	free(s);
}

static void finish(struct submission *s, int code, const char *text)
{
	json_t *data = json_pack("{s:I, s:I, s:I, s:o, s:o}", "index", (json_int_t)s->index, "ms", (json_int_t)since_ms(s),
				 "commit_ms", (json_int_t)s->committed_at, "enforced", enforced(s), "missing", missing(s));

	ipc_answer(s->rq, code, text, data);
	unlink_and_free(s);
}

static void check_done(struct submission *s)
{
	json_t *left;
	bool done;

	if (!s->committed)
		return;
	if (!waits_for(s)) {
		finish(s, 0, "");
		return;
	}
	left = missing(s);
	done = !json_array_size(left);
	json_decref(left);
	if (done)
		finish(s, 0, "");
}

static int send(struct submission *s)
{
	struct body_submit m = { .kind = s->kind, .statement = { .p = s->statement, .n = s->n },
				 .blob_from = s->has_blob ? replica_nid(s->g->replica) : 0 };

	memcpy(m.request, s->request, sizeof(m.request));
	return replica_send(s->g->replica, MSG_SUBMIT, s->kind == ENTRY_VERDICT ? GCS_URGENT : GCS_NORMAL, &m);
}

static void expire(struct submission *s)
{
	struct order_status o;
	char text[400];

	if (s->committed) {
		finish(s, 0, "committed; not every node has said yet that it enforces it");
		return;
	}
	replica_status(s->g->replica, &o);
	if (s->kind == ENTRY_VERDICT && replica_suspended(s->g->replica, s->target)) {
		snprintf(text, sizeof(text), "suspended by the nodes that are here, but %u of %u voters cannot make it final (a "
			 "majority is %u): bring voters back, or with the root key: dsi-admin cluster reform --root-key FILE "
			 "--voters NODE,... --force", o.voters_present, o.voters, o.majority);
		finish(s, 0, text);
		return;
	}
	if (replica_halted(s->g->replica))
		snprintf(text, sizeof(text), "two different reforms of one generation exist: nothing is ordered until the root "
			 "signs the next (dsi-admin cluster reform)");
	else if (s->kind == ENTRY_REFORM)
		snprintf(text, sizeof(text), "the reform is not on this node's disk yet: see its log");
	else if (o.phase != ORDER_OPEN)
		snprintf(text, sizeof(text), "no majority: %u of %u voters present, %u needed; nothing was changed", o.voters_present,
			 o.voters, o.majority);
	else
		snprintf(text, sizeof(text), "no answer from the active server; ask again (the request id applies once)");
	finish(s, o.phase != ORDER_OPEN ? -DSI_EQUORUM : -DSI_ETIMEDOUT, text);
}

static void on_timer(void *ctx)
{
	struct submission *s = ctx;

	if (loop_boottime() >= s->deadline) {
		expire(s);
		return;
	}
	if (!s->committed && s->kind != ENTRY_REFORM)
		send(s);
	loop_timer_set(s->timer, MIN(RESEND_MS * MS, s->deadline - loop_boottime()));
}

static void subject_of(struct submission *s, const struct statement *st)
{
	struct body_s_verdict verdict;
	struct body_s_policy policy;
	struct arena a;

	arena_init(&a, 64 << 10);
	if (st->kind == ENTRY_VERDICT && !body_decode(&schema_s_verdict, st->body, st->body_len, &verdict, &a))
		s->target = verdict.nid;
	if (st->kind == ENTRY_POLICY && !body_decode(&schema_s_policy, st->body, st->body_len, &policy, &a))
		s->version = policy.version;
	arena_fini(&a);
}

void submit_begin(struct engine *g, struct ipc_request *rq, const u8 *statement, size_t n, bool has_blob, u64 wait_ms)
{
	struct submission *s = calloc(1, sizeof(*s));
	struct statement st;
	int rc = s ? statement_open(&st, statement, n) : -DSI_ENOMEM;

	if (rc) {
		free(s);
		ipc_answer(rq, rc, rc == -DSI_ESIG ? "the statement's signature does not hold" : "malformed statement", NULL);
		return;
	}
	s->g = g;
	s->rq = rq;
	s->kind = st.kind;
	s->has_blob = has_blob;
	s->began = loop_boottime();
	s->deadline = s->began + wait_ms * MS;
	s->n = n;
	s->statement = malloc(n);
	s->timer = loop_timer_new(g->loop, on_timer, s);
	if (!s->statement || !s->timer) {
		loop_timer_free(s->timer);
		free(s->statement);
		free(s);
		ipc_answer(rq, -DSI_ENOMEM, "out of memory", NULL);
		return;
	}
	memcpy(s->statement, statement, n);
	memcpy(s->request, st.request, sizeof(s->request));
	subject_of(s, &st);
	s->next = g->submissions;
	g->submissions = s;
	if (s->kind == ENTRY_REFORM) {
		struct err e = { 0 };

		/* No server and no majority is asked: root signed it. The others see it here, over the direct leg. */
		rc = replica_reform(g->replica, statement, n, &e);
		if (rc) {
			finish(s, rc, e.text);
			return;
		}
	}
	on_timer(s);
}

void submit_on_submitted(struct engine *g, const struct body_submitted *m)
{
	for (struct submission *s = g->submissions, *next; s; s = next) {
		next = s->next;
		if (!m->code || s->committed || memcmp(m->request, s->request, sizeof(s->request)))
			continue;
		/* One of two voters: not final, and still the verdict is in force on all who are here. */
		if (m->code == DSI_ENOTSAFE && s->kind == ENTRY_VERDICT && replica_suspended(g->replica, s->target))
			finish(s, 0, m->text);
		else
			finish(s, -(int)m->code, m->text);
	}
}

void submit_on_applied(struct engine *g, const struct entry *e, const struct state_result *r)
{
	for (struct submission *s = g->submissions, *next; s; s = next) {
		next = s->next;
		if (memcmp(r->request, s->request, sizeof(s->request)))
			continue;
		s->index = e->index;
		s->committed_at = since_ms(s);
		if (r->code) {
			finish(s, r->code, r->text);
			continue;
		}
		s->committed = true;
		s->deadline = MIN(s->deadline, loop_boottime() + SETTLE_MS * MS);
		check_done(s);
	}
}

void submit_on_verdictack(struct engine *g, u32 nid, const struct body_verdictack *m)
{
	for (struct submission *s = g->submissions, *next; s; s = next) {
		struct ack *k;

		next = s->next;
		if (memcmp(m->request, s->request, sizeof(s->request)) || !(k = ack_for(s, nid)))
			continue;
		if (m->stage == 1)
			k->suspended_ms = MAX(since_ms(s), 1);
		else
			k->final_ms = MAX(since_ms(s), 1);
		check_done(s);
	}
}

void submit_on_report(struct engine *g, u32 nid, const struct body_report *m)
{
	for (struct submission *s = g->submissions, *next; s; s = next) {
		struct ack *k;

		next = s->next;
		if (s->kind != ENTRY_POLICY || !s->committed || m->policy_version < s->version || !(k = ack_for(s, nid)))
			continue;
		k->final_ms = MAX(since_ms(s), 1);
		check_done(s);
	}
}

void submit_free(struct engine *g)
{
	while (g->submissions)
		finish(g->submissions, -DSI_ENOTCONN, "dsid is stopping");
}
