/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the active server turns into entries. The judgement is state's (gcs/state.h); here the server adds
 * what only it can: NIDs, key wraps, promises.
 *
 * Must never: order a statement that state_check() refuses, a policy that the must-allow list does, or what some present
 * member is too old for; let a group key out of this function unwiped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "ss-ha/server.h"

static void answer(struct server *s, const u8 request[16], int code, const char *text)
{
	struct body_submitted m = { .code = (u32)-code };

	memcpy(m.request, request, sizeof(m.request));
	snprintf(m.text, sizeof(m.text), "%.*s", (int)sizeof(m.text) - 1, text);
	replica_send(s->replica, MSG_SUBMITTED, GCS_URGENT, &m);
}

/* A fresh group key wrapped to everybody who will be a live member then, but `exclude`: the tail may hold a verdict, an
 * enrolment or a key that is not committed yet. */
static int fresh_wraps(struct server *s, u32 exclude, struct arena *a, u32 *ret_keygen, struct blobs *ret)
{
	struct state *ahead = replica_state_ahead(s->replica);
	u8 key[CRYPTO_KEY];
	int rc = ahead ? crypto_random(key, sizeof(key)) : -DSI_ENOMEM;

	if (!rc) {
		*ret_keygen = ahead->keygen + 1;
		rc = state_make_wraps(ahead, *ret_keygen, key, exclude, a, ret);
	}
	crypto_wipe(key, sizeof(key));
	state_free(ahead);
	return rc;
}

static u32 live_nodes(struct server *s, u32 ret[LIM_NODES])
{
	struct order_status o;

	replica_status(s->replica, &o);
	memcpy(ret, o.present_nid, o.present_n * sizeof(ret[0]));
	return o.present_n;
}

static int make_verdict(struct server *s, const struct statement *st, struct arena *a, struct wbuf *w)
{
	struct body_s_verdict v;
	struct blobs wraps;
	u32 keygen;
	int rc = body_decode(&schema_s_verdict, st->body, st->body_len, &v, a);

	if (!rc)
		rc = fresh_wraps(s, v.nid, a, &keygen, &wraps);
	return rc ? rc : state_make_body(st, keygen, &wraps, w);
}

/* --- policies: the image first, then the must-allow list ---------------------------------------------------- */

static void held_free(struct held *h)
{
	free(h->statement);
	memset(h, 0, sizeof(*h));
}

void orders_drop(struct server *s)
{
	s->n_ordered = 0;
	for (u32 i = 0; i < HELD_MAX; i++)
		if (!s->held[i].fetching) /* else its callback ends it */
			held_free(&s->held[i]);
}

/* Handed in again, from its start. */
static void held_again(struct server *s, struct held *h)
{
	struct held copy = *h;
	struct body_submit m = { .kind = copy.kind, .blob_from = copy.blob_from,
				 .statement = { .p = copy.statement, .n = copy.n } };

	memcpy(m.request, copy.request, sizeof(m.request));
	memset(h, 0, sizeof(*h));
	orders_submit(s, &copy.from, &m);
	free(copy.statement);
}

void orders_judged(void *ctx, const u8 digest[CRYPTO_HASH])
{
	struct server *s = ctx;

	(void)digest; /* others may have waited for the thread: all try again */
	for (u32 i = 0; i < HELD_MAX; i++)
		if (s->held[i].used && !s->held[i].fetching)
			held_again(s, &s->held[i]);
}

static void on_image(void *ctx, int code)
{
	struct held *h = ctx;
	struct server *s = h->s;
	char text[LIM_PATH + 160];

	h->fetching = false;
	if (!code) {
		held_again(s, h);
		return;
	}
	if (code == -DSI_ENOSPC)
		snprintf(text, sizeof(text), "server %s has no space left for the policy's image: free some below %s", s->conf.node,
			 s->conf.log_dir);
	else
		snprintf(text, sizeof(text), "the policy's image cannot be had from %s: %s",
			 server_node_name(s, h->blob_from ? h->blob_from : h->from.nid), err_text(code));
	log_warning("policy refused: %s", text);
	answer(s, h->request, code, text);
	held_free(h);
}

static struct held *hold(struct server *s, const struct session_sender *from, const struct body_submit *m)
{
	struct held *h = NULL;

	for (u32 i = 0; i < HELD_MAX && !h; i++)
		if (!s->held[i].used)
			h = &s->held[i];
	if (!h || !(h->statement = malloc(m->statement.n)))
		return NULL; /* it will be asked again */
	h->s = s;
	h->used = true;
	h->from = *from;
	h->kind = m->kind;
	h->blob_from = m->blob_from;
	h->n = m->statement.n;
	memcpy(h->statement, m->statement.p, m->statement.n);
	memcpy(h->request, m->request, sizeof(h->request));
	return h;
}

static bool held(const struct server *s, const u8 request[16])
{
	for (u32 i = 0; i < HELD_MAX; i++)
		if (s->held[i].used && !memcmp(s->held[i].request, request, 16))
			return true;
	return false;
}

/* Nothing that a present member would refuse when it comes by the log: it would stop following. A member that is away
 * and as old finds out when it comes back; it keeps its last good state and says why. */
static int all_know(struct server *s, u32 level, const char *what, struct err *e)
{
	struct order_status o;
	char has[96];
	u32 nid;

	replica_status(s->replica, &o);
	nid = census_too_old(&s->census, &o, level, has, sizeof(has));
	return !nid ? 0 : err_set(e, -DSI_EVERSION, "%s needs level %u, and %s runs %s: bring DSI there up to date first, or stop it",
				  what, level, server_node_name(s, nid), has);
}

/* 0: may be ordered; *ret_wait: not known yet, the request is held or will come again. */
static int policy_judge(struct server *s, const struct session_sender *from, const struct body_submit *m,
			const struct statement *st, bool *ret_wait, struct err *e)
{
	struct body_s_policy p;
	struct held *h;
	struct arena a;
	u8 *image;
	size_t len;
	u32 level;
	int rc;

	arena_init(&a, 64 << 10);
	rc = body_decode(&schema_s_policy, st->body, st->body_len, &p, &a);
	arena_fini(&a);
	if (rc)
		return err_set(e, rc, "policy: %s", err_text(rc));
	if (lockout_answer(s->lockout, p.digest, &rc, &level, e))
		return rc ? rc : all_know(s, level, "this policy's image", e);
	*ret_wait = true;
	h = hold(s, from, m);
	if (!h)
		return 0;
	memcpy(h->digest, p.digest, sizeof(h->digest));
	if (!blob_present(replica_log(s->replica), p.digest)) {
		h->fetching = true;
		replica_blob_hint(s->replica, p.digest, m->blob_from ? m->blob_from : from->nid);
		replica_blob_fetch(s->replica, p.digest, on_image, h);
		return 0;
	}
	rc = blob_get(replica_log(s->replica), p.digest, &image, &len, e);
	if (!rc)
		rc = lockout_judge(s->lockout, p.digest, image, len);
	if (!rc || rc == -DSI_EAGAIN)
		return 0;
	held_free(h);
	*ret_wait = false;
	return err_set(e, rc, "the policy cannot be judged by the must-allow list: %s", err_text(rc));
}

static int order_statement(struct server *s, const struct session_sender *from, const struct body_submit *m, bool *ret_wait,
			   struct err *e)
{
	u32 live[LIM_NODES], n_live = live_nodes(s, live);
	struct statement st;
	struct arena a;
	struct wbuf w;
	int rc = statement_open(&st, m->statement.p, m->statement.n);

	if (rc)
		return err_set(e, rc, "statement: %s", err_text(rc));
	if (st.kind != m->kind || memcmp(st.request, m->request, sizeof(st.request)))
		return err_set(e, -DSI_EINVAL, "the request names another kind or id than its statement");
	rc = state_check(replica_state(s->replica), &st, loop_wall_ms(), live, n_live, e);
	if (!rc)
		rc = all_know(s, entry_type_level(st.kind), entry_type_name(st.kind), e);
	if (!rc && st.kind == ENTRY_POLICY)
		rc = policy_judge(s, from, m, &st, ret_wait, e);
	if (rc || *ret_wait)
		return rc;
	arena_init(&a, 1 << 20);
	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = st.kind == ENTRY_VERDICT ? make_verdict(s, &st, &a, &w) : state_make_body(&st, 0, NULL, &w);
	if (!rc)
		rc = replica_propose(s->replica, st.kind, w.data, w.len);
	wbuf_fini(&w);
	arena_fini(&a);
	return rc ? err_set(e, rc, "cannot be ordered: %s", err_text(rc)) : 0;
}

static int order_enrolment(struct server *s, const struct body_submit *m, struct err *e)
{
	const struct state *st = replica_state(s->replica);
	struct body_e_enrol b;
	struct arena a;
	struct wbuf w;
	int rc;

	arena_init(&a, 64 << 10);
	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = body_decode(&schema_e_enrol, m->statement.p, m->statement.n, &b, &a);
	if (rc)
		rc = err_set(e, rc, "enrolment: %s", err_text(rc));
	if (!rc)
		rc = state_check_enrol(st, m->statement.p, m->statement.n, b.exporter, loop_wall_ms(), e);
	if (!rc) {
		rc = state_make_enrol(st, m->statement.p, m->statement.n, &w);
		if (!rc)
			rc = replica_propose(s->replica, ENTRY_ENROL, w.data, w.len);
		if (rc)
			err_set(e, rc, "enrolment cannot be ordered: %s", err_text(rc));
	}
	wbuf_fini(&w);
	arena_fini(&a);
	return rc;
}

static bool ordered(const struct server *s, const u8 request[16])
{
	for (u32 i = 0; i < s->n_ordered; i++)
		if (!memcmp(s->ordered[i], request, 16))
			return true;
	return false;
}

void orders_applied(struct server *s, const struct entry *e, const struct state_result *r)
{
	if (r->changed & CHANGED_KEY)
		s->key_owed = false;
	else if (!r->code && (e->type == ENTRY_TERM || e->type == ENTRY_VERDICT))
		s->key_owed = true;
	for (u32 i = 0; i < s->n_ordered; i++)
		if (!memcmp(s->ordered[i], r->request, 16))
			memmove(s->ordered[i--], s->ordered[--s->n_ordered], 16);
}

void orders_submit(struct server *s, const struct session_sender *from, const struct body_submit *m)
{
	struct err e = { 0 };
	bool wait = false;
	int rc;

	if (!s->active || ordered(s, m->request) || held(s, m->request) ||
	    m->kind == ENTRY_REFORM) /* that one is root's, and ordered by nobody */
		return;
	rc = m->kind == ENTRY_ENROL ? order_enrolment(s, m, &e) : order_statement(s, from, m, &wait, &e);
	/* A statement asked again because our answer was slow or a server died is applied already. An enrolment is
	 * asked once: its token was used by somebody. */
	if (wait || (rc == -DSI_EREPLAY && m->kind != ENTRY_ENROL))
		return;
	if (rc)
		log_warning("%s from %s refused: %s", entry_type_name((u16)m->kind), server_node_name(s, from->nid), e.text);
	if (rc)
		answer(s, m->request, rc, e.text);
	else if (m->kind != ENTRY_ENROL && s->n_ordered < ORDERED_MAX)
		memcpy(s->ordered[s->n_ordered++], m->request, 16);
}

static int by_nid(const void *a, const void *b)
{
	const struct order_promise_proof *x = a, *y = b;

	return x->nid < y->nid ? -1 : x->nid > y->nid;
}

int orders_term_body(struct server *s, const struct gcs_ring *ring, const struct order_promise_proof *given, u32 n,
		     struct wbuf *w)
{
	struct body_e_term b = { .ring_nodeid = ring->nodeid, .ring_seq = ring->seq };
	struct order_promise_proof proofs[LIM_VOTERS]; /* the entry lists them by NID */
	struct blob promise[LIM_VOTERS];
	struct arena a;
	int rc = 0;

	assert(n <= LIM_VOTERS);
	memcpy(proofs, given, n * sizeof(proofs[0]));
	qsort(proofs, n, sizeof(proofs[0]), by_nid);
	arena_init(&a, 1 << 20);
	for (u32 i = 0; i < n && !rc; i++) {
		struct body_promise p = { .nid = proofs[i].nid };
		struct wbuf one;
		u8 *copy;

		memcpy(p.sig, proofs[i].sig, sizeof(p.sig));
		wbuf_init(&one, LIM_BODY);
		rc = body_encode(&schema_promise, &p, &one);
		copy = rc ? NULL : arena_alloc(&a, one.len);
		if (copy) {
			memcpy(copy, one.data, one.len);
			promise[i] = (struct blob){ .p = copy, .n = one.len };
		} else
			rc = rc ? rc : -DSI_ENOMEM;
		wbuf_fini(&one);
	}
	b.promises = (struct blobs){ .v = promise, .n = n };
	if (!rc)
		rc = fresh_wraps(s, 0, &a, &b.keygen, &b.wraps);
	if (!rc)
		rc = body_encode(&schema_e_term, &b, w);
	arena_fini(&a);
	return rc;
}

void orders_make_term(struct server *s, u64 term, const struct gcs_ring *ring, const struct order_promise_proof *proofs,
		      u32 n)
{
	struct wbuf w;
	int rc;

	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = orders_term_body(s, ring, proofs, n, &w);
	if (!rc)
		rc = replica_propose(s->replica, ENTRY_TERM, w.data, w.len);
	if (rc)
		log_err("term %llu cannot be made: %s", (unsigned long long)term, err_text(rc));
	else
		log_info("term %llu: active", (unsigned long long)term);
	wbuf_fini(&w);
}

int orders_key_body(struct server *s, struct wbuf *w)
{
	struct body_e_groupkey b = { 0 };
	struct arena a;
	int rc;

	arena_init(&a, 1 << 20);
	rc = fresh_wraps(s, 0, &a, &b.keygen, &b.wraps);
	if (!rc)
		rc = body_encode(&schema_e_groupkey, &b, w);
	arena_fini(&a);
	return rc;
}

/* The last TERM or VERDICT was to bring a key and did not: its wraps met a log that had moved on. */
static void order_key(struct server *s)
{
	struct wbuf w;

	if (!s->key_owed)
		return;
	wbuf_init(&w, LIM_ENTRY_BODY);
	if (!orders_key_body(s, &w) && !replica_propose(s->replica, ENTRY_GROUPKEY, w.data, w.len))
		log_info("a fresh group key is being ordered: the last term or verdict brought none");
	wbuf_fini(&w);
}

/* A learner that has caught up becomes a voter on the authority of its token. One change at a time. */
static void promote_one(struct server *s)
{
	const struct state *st = replica_state(s->replica);
	u32 live[LIM_NODES], n_live = live_nodes(s, live);

	for (u32 i = 0; i < n_live; i++) {
		const struct census_row *row = census_row(&s->census, live[i]);
		struct err e = { 0 };
		struct wbuf w;

		if (!state_learner(st, live[i]) || !row || !row->reported || row->report.applied + 2 < st->applied)
			continue;
		if (state_check_promotion(st, live[i], live, n_live, &e))
			continue;
		wbuf_init(&w, LIM_ENTRY_BODY);
		if (!state_make_promotion(st, live[i], &w))
			replica_propose(s->replica, ENTRY_VOTER_ADD, w.data, w.len);
		wbuf_fini(&w);
		return;
	}
}

static void go_back(struct server *s)
{
	const struct state *st = replica_state(s->replica);
	struct wbuf w;

	if (!state_policy_overdue(st, loop_wall_ms()))
		return;
	wbuf_init(&w, LIM_ENTRY_BODY);
	if (!state_make_back(st, &w)) {
		log_warning("policy %llu was not confirmed in time: going back", (unsigned long long)st->policy.version);
		replica_propose(s->replica, ENTRY_POLICY, w.data, w.len);
	}
	wbuf_fini(&w);
}

/* Verdicts and depositions that STATEs brought and no log has decided: whoever handed them in may be gone. One at a
 * time; what cannot be ordered now (too few votes) waits for its next turn, or until it expires. */
static void order_kept(struct server *s)
{
	struct blobs kept;

	replica_urgent_kept(s->replica, &kept);
	for (u32 i = 0; i < kept.n; i++) {
		struct body_submit m = { .statement = kept.v[i] };
		struct statement st;
		struct err e = { 0 };
		bool wait = false;

		if (statement_open(&st, kept.v[i].p, kept.v[i].n) || ordered(s, st.request))
			continue;
		m.kind = st.kind;
		memcpy(m.request, st.request, sizeof(m.request));
		/* no policy is ever kept, so nobody is needed from whom an image could be had */
		if (order_statement(s, /* from= */ NULL, &m, &wait, &e))
			continue;
		log_info("%s told by members is being ordered", entry_type_name(st.kind));
		if (s->n_ordered < ORDERED_MAX)
			memcpy(s->ordered[s->n_ordered++], st.request, 16);
		return;
	}
}

/* Nothing else may happen for a while: an entry without content carries the time to the log. */
static void end_suspensions(struct server *s)
{
	if (state_suspension_over(replica_state(s->replica), loop_wall_ms()))
		replica_propose(s->replica, ENTRY_NOP, "", 0);
}

void orders_housekeeping(struct server *s)
{
	struct order_status o;

	replica_status(s->replica, &o);
	/* Only with nothing under way: what is proposed and not yet applied must not be proposed again. */
	if (!s->active || !o.live || o.tail != replica_state(s->replica)->applied || replica_proposing(s->replica))
		return;
	order_kept(s);
	if (replica_proposing(s->replica))
		return;
	order_key(s);
	promote_one(s);
	go_back(s);
	end_suspensions(s);
}
