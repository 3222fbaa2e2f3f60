/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A submission on the direct leg, both ends. Ours, while our own order is not live: handed to other members, one more
 * each second. Theirs (DIRECT_SUBMIT): treated as our own and answered with the outcome, bounded in number and time.
 *
 * Must never: hand on what was handed to us; send on the ring what has no authority. A member's word for an outcome is
 * shown with its name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/submit_impl.h"
#include "lib/log.h"

static const u64 MS = 1000000;
enum { FOREIGN_MS = 12000, RELAY_MS = 15000 };

/* --- ours, through another member ----------------------------------------------------------------------------- */

static struct submission *submission_of(struct engine *g, const u8 request[16])
{
	for (struct submission *s = g->submissions; s; s = s->next)
		if (!s->drq && !memcmp(s->request, request, sizeof(s->request)))
			return s;
	return NULL;
}

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
		submission_finish(s, -(int)m->code, text);
		return;
	}
	s->index = m->index;
	s->committed_at = MAX(submission_ms(s), 1);
	snprintf(text, sizeof(text), "the ring is silent here: ordered through %s, over the direct leg%s%s",
		 engine_node_name(s->g, nid), m->text[0] ? "; " : "", m->text);
	submission_finish(s, 0, text);
}

/* One asked earlier got it ordered; it has the better answer, unless it is gone. */
bool relay_replayed(struct submission *s)
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
void relay_next(struct submission *s)
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

/* --- another member's ------------------------------------------------------------------------------------------ */

void relay_answer(struct submission *s, int code, const char *text)
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
	relay_answer(&s, code, text);
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
	submission_begin(s, &st);
out:
	arena_fini(&a);
}
