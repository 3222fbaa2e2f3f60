/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a local caller hands in for the cluster: sent to the active server, sent again when a server dies,
 * answered when the entry is applied and, for policies and verdicts, when the nodes present enforce it.
 * While our own order is not live it is handed to other members over the direct leg, one more each second; what they
 * hand us (submit_foreign) is treated as our own, bounded in number and time, and never handed on.
 *
 * The request id makes it apply once, however often and by however many it is sent. Must never answer success on
 * ordering alone: a message delivered is not committed. A member's word for an outcome is shown with its name.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "lib/log.h"

static const u64 MS = 1000000, RESEND_MS = 1000;
enum { SETTLE_MS = 5000, FOREIGN_MS = 12000, RELAY_MS = 15000, ACKS_MAX = LIM_NODES };

struct ack {
	u32 nid;
	u64 suspended_ms, final_ms; /* since the command came in; 0: not yet */
};

struct submission {
	struct submission *next;
	struct engine *g;
	struct ipc_request *rq;       /* of a local caller; NULL: foreign */
	struct direct_request *drq;   /* of another member; NULL: local */
	u32 from;                     /* NID of that member */
	u8 *statement;
	size_t n;
	u8 request[16];
	u16 kind;
	bool committed;
	u32 blob_from; /* NID that holds the named blob; 0 none */
	u32 relays, relaying, relay_next; /* members asked over the direct leg; those not answered yet; whom next */
	u32 through;            /* the one whose outcome this is; 0: seen by ourselves */
	u32 replayed;           /* one that said it was ordered before: by one asked earlier; 0 none */
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

static void foreign_answer(struct submission *s, int code, const char *text)
{
	struct body_submitted m = { .code = (u32)-code, .index = s->index };
	struct wbuf w;
	int rc;

	memcpy(m.request, s->request, sizeof(m.request));
	snprintf(m.text, sizeof(m.text), "%.*s", (int)sizeof(m.text) - 1, text);
	wbuf_init(&w, LIM_BODY);
	rc = body_encode(&schema_submitted, &m, &w);
	direct_reply(s->drq, rc, w.data, rc ? 0 : w.len);
	wbuf_fini(&w);
}

static void finish(struct submission *s, int code, const char *text)
{
	if (s->drq) {
		foreign_answer(s, code, text);
		unlink_and_free(s);
		return;
	}
	ipc_answer(s->rq, code, text,
		   json_pack("{s:I, s:I, s:I, s:s, s:o, s:o}", "index", (json_int_t)s->index, "ms", (json_int_t)since_ms(s),
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
				 .blob_from = s->blob_from };

	memcpy(m.request, s->request, sizeof(m.request));
	return replica_send(s->g->replica, MSG_SUBMIT, s->kind == ENTRY_VERDICT ? GCS_URGENT : GCS_NORMAL, &m);
}

static struct submission *submission_of(struct engine *g, const u8 request[16])
{
	for (struct submission *s = g->submissions; s; s = s->next)
		if (!s->drq && !memcmp(s->request, request, sizeof(s->request)))
			return s;
	return NULL;
}

/* --- through another member -------------------------------------------------------------------------------- */

struct relay { /* one call; the submission may be gone when it is answered */
	struct engine *g;
	u8 request[16];
	u32 nid;
};

static bool order_serves(struct engine *g)
{
	struct order_status o;

	replica_status(g->replica, &o);
	return o.live && o.phase == ORDER_OPEN;
}

static bool may_relay(const struct submission *s, const struct state_node *n)
{
	return n->status == NODE_BOUND && n->nid != s->target && n->nid != replica_nid(s->g->replica) && n->direct[0] &&
	       !replica_suspended(s->g->replica, n->nid);
}

/* Nothing was decided there: the next may know more. */
static bool undecided(u32 code)
{
	return code == DSI_EAGAIN || code == DSI_ETIMEDOUT || code == DSI_ENOTCONN;
}

static void relay_finish(struct submission *s, u32 nid, const struct body_submitted *m)
{
	char text[2 * LIM_PATH];

	s->through = nid;
	if (m->code) {
		snprintf(text, sizeof(text), "%s (through %s)", m->text, engine_node_name(s->g, nid));
		finish(s, -(int)m->code, text);
		return;
	}
	s->index = m->index;
	s->committed_at = MAX(since_ms(s), 1);
	snprintf(text, sizeof(text), "the ring is silent here: ordered through %s, over the direct leg%s%s",
		 engine_node_name(s->g, nid), m->text[0] ? "; " : "", m->text);
	finish(s, 0, text);
}

/* One asked earlier got it ordered; it has the better answer, unless it is gone. */
static bool relay_replayed(struct submission *s)
{
	static const struct body_submitted done = { .text = "by a member whose answer was lost" };

	if (!s->replayed || s->relaying)
		return false;
	relay_finish(s, s->replayed, &done);
	return true;
}

static void relay_outcome(struct submission *s, u32 nid, const struct body_submitted *m)
{
	if (s->committed || undecided(m->code))
		return;
	if (m->code == DSI_EREPLAY && s->relays > 1)
		s->replayed = nid;
	else
		relay_finish(s, nid, m);
}

static void on_relayed(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct relay *r = ctx;
	struct submission *s = submission_of(r->g, r->request);
	struct body_submitted m;
	struct arena a;

	(void)peer;
	arena_init(&a, 64 << 10);
	if (s && s->relaying) /* not of an earlier asking with this request id */
		s->relaying--;
	if (s && !code && !body_decode(&schema_submitted, p, n, &m, &a) && !memcmp(m.request, s->request, sizeof(m.request)))
		relay_outcome(s, r->nid, &m);
	s = submission_of(r->g, r->request); /* it may be answered now */
	if (s)
		relay_replayed(s);
	arena_fini(&a);
	free(r);
}

static int relay_to(struct submission *s, const struct state_node *node)
{
	struct body_submit m = { .kind = s->kind, .statement = { .p = s->statement, .n = s->n }, .blob_from = s->blob_from };
	struct relay *r = malloc(sizeof(*r));
	struct wbuf w;
	int rc = r ? 0 : -DSI_ENOMEM;

	wbuf_init(&w, LIM_BODY);
	memcpy(m.request, s->request, sizeof(m.request));
	if (!rc)
		rc = body_encode(&schema_submit, &m, &w);
	if (!rc) {
		r->g = s->g;
		r->nid = node->nid;
		memcpy(r->request, s->request, sizeof(r->request));
		rc = direct_call(replica_direct(s->g->replica), node->direct, node->sign, DIRECT_SUBMIT, w.data, w.len,
				 RELAY_MS * MS, on_relayed, r);
	}
	if (rc)
		free(r);
	wbuf_fini(&w);
	return rc;
}

/* One more member each second, beside those that have not answered: a dead one must not cost the time of the rest. */
static void relay_next(struct submission *s)
{
	const struct state *st = replica_state(s->g->replica);

	if (s->drq || s->replayed || order_serves(s->g))
		return;
	for (u32 i = 0; i < st->n_node; i++) {
		const struct state_node *n = &st->node[s->relay_next++ % st->n_node];

		if (!may_relay(s, n) || relay_to(s, n))
			continue;
		s->relays++;
		s->relaying++;
		return;
	}
}

/* --- time ---------------------------------------------------------------------------------------------------- */

static void expire(struct submission *s)
{
	struct order_status o;
	char text[512];
	u32 told = 0;

	if (s->committed) {
		finish(s, 0, "committed; not every node has said yet that it enforces it");
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
	finish(s, told || o.phase != ORDER_OPEN ? -DSI_EQUORUM : -DSI_ETIMEDOUT, text);
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

static int submission_new(struct submission **ret, struct engine *g, const struct statement *st, u32 blob_from, u64 wait_ms)
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
			finish(s, rc, e.text);
			return;
		}
	}
	second_path(s, &st);
	on_timer(s);
}

/* --- another member's ------------------------------------------------------------------------------------------ */

static bool foreign_room(struct engine *g, u32 nid)
{
	u32 all = 0, of = 0;

	for (struct submission *s = g->submissions; s; s = s->next) {
		all += s->drq != NULL;
		of += s->drq && s->from == nid;
	}
	return all < LIM_FOREIGN && of < LIM_FOREIGN_EACH;
}

/* What the statement lacks is said at once; a member without an operator's word cannot make us send anything. */
static int foreign_check(struct engine *g, const struct direct_peer *peer, const struct body_submit *m, struct statement *st,
			 struct err *e)
{
	int rc = statement_open(st, m->statement.p, m->statement.n);

	if (rc)
		return err_set(e, rc, "statement: %s", err_text(rc));
	if (st->kind != m->kind || memcmp(st->request, m->request, sizeof(st->request)) ||
	    (m->blob_from && m->blob_from != peer->nid))
		return err_set(e, -DSI_EINVAL, "the request names another kind, id or holder than it has");
	return state_check(replica_state(g->replica), st, loop_wall_ms(), NULL, 0, e);
}

static void foreign_refuse(struct direct_request *rq, const struct body_submit *m, int code, const char *text)
{
	struct submission s = { .drq = rq };

	memcpy(s.request, m->request, sizeof(s.request));
	foreign_answer(&s, code, text);
}

void submit_foreign(struct engine *g, struct direct_request *rq, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct submission *s;
	struct body_submit m;
	struct statement st;
	struct err e = { 0 };
	struct arena a;
	int rc;

	arena_init(&a, 128 << 10);
	rc = body_decode(&schema_submit, p, n, &m, &a);
	if (!rc && peer->role != ROLE_MANAGER)
		rc = -DSI_EROLE;
	if (!rc && !foreign_room(g, peer->nid))
		rc = -DSI_ELIMIT;
	if (!rc && !order_serves(g))
		rc = -DSI_EAGAIN;
	if (rc) {
		direct_reply(rq, rc, NULL, 0);
		goto out;
	}
	rc = foreign_check(g, peer, &m, &st, &e);
	if (!rc) {
		rc = submission_new(&s, g, &st, m.blob_from, FOREIGN_MS);
		if (rc)
			err_set(&e, rc, "out of memory");
	}
	if (rc) {
		foreign_refuse(rq, &m, rc, e.text);
		goto out;
	}
	s->drq = rq;
	s->from = peer->nid;
	log_info("%s handed in by %s, whose ring is silent", entry_type_name(s->kind), engine_node_name(g, peer->nid));
	second_path(s, &st);
	on_timer(s);
out:
	arena_fini(&a);
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

/* Suspension only: final is what the log says. */
void submit_on_told(struct engine *g, const u8 request[16], u32 nid)
{
	for (struct submission *s = g->submissions; s; s = s->next) {
		struct ack *k;

		if (!memcmp(request, s->request, sizeof(s->request)) && (k = ack_for(s, nid)) && !k->suspended_ms)
			k->suspended_ms = MAX(since_ms(s), 1);
	}
}

void submit_free(struct engine *g)
{
	while (g->submissions)
		finish(g->submissions, -DSI_ENOTCONN, "dsid is stopping");
}
