/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a local caller hands in for the cluster: sent to the active server, sent again when a server dies,
 * answered when the entry is applied and, for policies and verdicts, when the nodes present enforce it.
 * While our own order is not live it is handed to other members over the direct leg (relay.c).
 *
 * The request id makes it apply once, however often and by however many it is sent. Must never answer success on
 * ordering alone: a message delivered is not committed.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/submit_impl.h"

static const u64 MS = 1000000, RESEND_MS = 1000;
enum { SETTLE_MS = 5000 };

u64 submission_ms(const struct submission *s)
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
	for (u32 i = 0; !s->through && i < st->n_node; i++) {
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

void submission_finish(struct submission *s, int code, const char *text)
{
	if (s->drq) {
		relay_answer(s, code, text);
		unlink_and_free(s);
		return;
	}
	ipc_answer(s->rq, code, text,
		   json_pack("{s:I, s:I, s:I, s:s, s:o, s:o}", "index", (json_int_t)s->index, "ms", (json_int_t)submission_ms(s),
			     "commit_ms", (json_int_t)s->committed_at, "through",
			     s->through ? engine_node_name(s->g, s->through) : "", "enforced", enforced(s), "missing", missing(s)));
	unlink_and_free(s);
}

static void check_done(struct submission *s)
{
	json_t *left;
	bool done;

	if (!s->committed)
		return;
	if (!waits_for(s)) {
		submission_finish(s, 0, "");
		return;
	}
	left = missing(s);
	done = !json_array_size(left);
	json_decref(left);
	if (done)
		submission_finish(s, 0, "");
}

static int send(struct submission *s)
{
	struct body_submit m = { .kind = s->kind, .statement = { .p = s->statement, .n = s->n },
				 .blob_from = s->blob_from };

	memcpy(m.request, s->request, sizeof(m.request));
	return replica_send(s->g->replica, MSG_SUBMIT, s->kind == ENTRY_VERDICT ? GCS_URGENT : GCS_NORMAL, &m);
}

/* --- time ---------------------------------------------------------------------------------------------------- */

static void expire(struct submission *s)
{
	struct order_status o;
	char text[512];
	u32 told = 0;

	if (s->committed) {
		submission_finish(s, 0, "committed; not every node has said yet that it enforces it");
		return;
	}
	s->relaying = 0;
	if (relay_replayed(s))
		return;
	replica_status(s->g->replica, &o);
	for (u32 i = 0; i < s->n_ack; i++)
		told += s->ack[i].suspended_ms > 0;
	if (s->kind == ENTRY_REFORM)
		snprintf(text, sizeof(text), "the reform is not on this node's disk yet: see its log");
	else if (replica_halted(s->g->replica))
		snprintf(text, sizeof(text), "two different reforms of one generation exist: nothing is ordered until the root "
			 "signs the next (dsi-admin cluster reform)");
	else if (told)
		snprintf(text, sizeof(text), "in effect on %u nodes, not final: %u of %u voters present here, %u needed%s; it is kept and "
			 "ordered when a majority is back, or final by dsi-admin cluster reform", told, o.voters_present, o.voters,
			 o.majority, s->relays ? ", and nobody reached over the direct leg has ordered it" : "");
	else if (o.phase != ORDER_OPEN)
		snprintf(text, sizeof(text), "no majority: %u of %u voters present, %u needed; nothing was changed", o.voters_present,
			 o.voters, o.majority);
	else
		snprintf(text, sizeof(text), "no answer from the active server; ask again (the request id applies once)");
	submission_finish(s, told || o.phase != ORDER_OPEN ? -DSI_EQUORUM : -DSI_ETIMEDOUT, text);
}

static void on_timer(void *ctx)
{
	struct submission *s = ctx;

	if (loop_boottime() >= s->deadline) {
		expire(s);
		return;
	}
	if (!s->committed && s->kind != ENTRY_REFORM) { /* that one is taken in here, and seen here by the others */
		send(s);
		relay_next(s);
	}
	loop_timer_set(s->timer, MIN(RESEND_MS * MS, s->deadline - loop_boottime()));
}

/* --- beginning ------------------------------------------------------------------------------------------------ */

static void subject_of(struct submission *s, const struct statement *st)
{
	struct body_s_verdict verdict;
	struct body_s_policy policy;
	struct body_s_node_op op;
	struct arena a;

	arena_init(&a, 64 << 10);
	if (st->kind == ENTRY_VERDICT && !body_decode(&schema_s_verdict, st->body, st->body_len, &verdict, &a))
		s->target = verdict.nid;
	if (st->kind == ENTRY_DEPOSE && !body_decode(&schema_s_node_op, st->body, st->body_len, &op, &a))
		s->target = op.nid;
	if (st->kind == ENTRY_POLICY && !body_decode(&schema_s_policy, st->body, st->body_len, &policy, &a))
		s->version = policy.version;
	arena_fini(&a);
}

/* While our view is live we can see ourselves that the server would refuse it, for arithmetic say: then nobody is told. */
static bool would_be_refused(struct engine *g, const struct statement *st)
{
	struct order_status o;
	struct err e = { 0 };

	replica_status(g->replica, &o);
	return o.live && o.phase == ORDER_OPEN &&
	       state_check(replica_state(g->replica), st, loop_wall_ms(), o.present_nid, o.present_n, &e);
}

static void second_path(struct submission *s, const struct statement *st)
{
	struct err e = { 0 };

	if ((st->kind != ENTRY_VERDICT && st->kind != ENTRY_DEPOSE) || would_be_refused(s->g, st) ||
	    replica_urgent(s->g->replica, s->statement, s->n, &e))
		return;
	submit_on_told(s->g, s->request, replica_nid(s->g->replica));
	spread_begin(s->g, st, s->target);
}

int submission_new(struct submission **ret, struct engine *g, const struct statement *st, u32 blob_from, u64 wait_ms)
{
	struct submission *s = calloc(1, sizeof(*s));

	if (s) {
		s->statement = malloc(st->raw_len);
		s->timer = loop_timer_new(g->loop, on_timer, s);
	}
	if (!s || !s->statement || !s->timer) {
		if (s) {
			loop_timer_free(s->timer);
			free(s->statement);
		}
		free(s);
		return -DSI_ENOMEM;
	}
	s->g = g;
	s->kind = st->kind;
	s->blob_from = blob_from;
	s->began = loop_boottime();
	s->deadline = s->began + wait_ms * MS;
	s->n = st->raw_len;
	memcpy(s->statement, st->raw, st->raw_len);
	memcpy(s->request, st->request, sizeof(s->request));
	subject_of(s, st);
	s->next = g->submissions;
	g->submissions = s;
	*ret = s;
	return 0;
}

void submission_begin(struct submission *s, const struct statement *st)
{
	second_path(s, st);
	on_timer(s);
}

void submit_begin(struct engine *g, struct ipc_request *rq, const u8 *statement, size_t n, bool has_blob, u64 wait_ms)
{
	struct submission *s;
	struct statement st;
	int rc = statement_open(&st, statement, n);

	if (!rc)
		rc = submission_new(&s, g, &st, has_blob ? replica_nid(g->replica) : 0, wait_ms);
	if (rc) {
		ipc_answer(rq, rc, rc == -DSI_ESIG ? "the statement's signature does not hold" :
			   rc == -DSI_ENOMEM ? "out of memory" : "malformed statement", NULL);
		return;
	}
	s->rq = rq;
	if (s->kind == ENTRY_REFORM) {
		struct err e = { 0 };

		/* No server and no majority is asked: root signed it. The others see it here, over the direct leg. */
		rc = replica_reform(g->replica, statement, n, &e);
		if (rc) {
			submission_finish(s, rc, e.text);
			return;
		}
	}
	submission_begin(s, &st);
}

/* --- what became of it ------------------------------------------------------------------------------------------ */

void submit_on_submitted(struct engine *g, const struct body_submitted *m)
{
	for (struct submission *s = g->submissions, *next; s; s = next) {
		next = s->next;
		if (!m->code || s->committed || memcmp(m->request, s->request, sizeof(s->request)))
			continue;
		/* One of two voters: not final, and still the verdict is in force on all who are here. */
		if (m->code == DSI_ENOTSAFE && s->kind == ENTRY_VERDICT && replica_suspended(g->replica, s->target))
			submission_finish(s, 0, m->text);
		else
			submission_finish(s, -(int)m->code, m->text);
	}
}

void submit_on_applied(struct engine *g, const struct entry *e, const struct state_result *r)
{
	for (struct submission *s = g->submissions, *next; s; s = next) {
		next = s->next;
		if (memcmp(r->request, s->request, sizeof(s->request)))
			continue;
		s->index = e->index;
		s->committed_at = submission_ms(s);
		if (r->code) {
			submission_finish(s, r->code, r->text);
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
			k->suspended_ms = MAX(submission_ms(s), 1);
		else
			k->final_ms = MAX(submission_ms(s), 1);
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
		k->final_ms = MAX(submission_ms(s), 1);
		check_done(s);
	}
}

/* Suspension only: final is what the log says. */
void submit_on_told(struct engine *g, const u8 request[16], u32 nid)
{
	for (struct submission *s = g->submissions; s; s = s->next) {
		struct ack *k;

		if (!memcmp(request, s->request, sizeof(s->request)) && (k = ack_for(s, nid)) && !k->suspended_ms)
			k->suspended_ms = MAX(submission_ms(s), 1);
	}
}

void submit_free(struct engine *g)
{
	while (g->submissions)
		submission_finish(g->submissions, -DSI_ENOTCONN, "dsid is stopping");
}
