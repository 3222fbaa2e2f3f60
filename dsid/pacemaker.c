/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pacemaker follows the log.
 *
 * Must never: ask for fencing before the commit, without quorum, or on another node than the active server's; take a
 * failure for a reason to change anything of DSI's own.
 * Invariant: one job at a time; a verdict leaves the mark only when Pacemaker said done, or it no longer stands.
 */
#include "dsid/pacemaker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "dsid/job.h"
#include "dsid/pacemaker_job.h"
#include "lib/log.h"

static const u64 MS = 1000000;
enum { SOON_MS = 20, BUSY_MS = 100, AGAIN_MS = 3000, AGAIN_MAX_MS = 300000, FENCE_WITHIN_MS = 3600000 };
#define META_PACEMAKER "pacemaker"

struct pacemaker {
	struct engine *g;
	struct loop_timer *timer;
	u32 active_nid;
	struct pacemaker_mark mark; /* saved */
	struct pacemaker_job *told, *want; /* told: since the view opened */
	enum pacemaker_kind job;    /* under way; 0 none */
	u64 fencing;                /* index of the verdict under way, or asked for last */
	struct again { u64 at, pause; } again[PACEMAKER_STATE + 1]; /* by kind: boottime of the next try, after a failure */
	char said[PACEMAKER_TEXT];  /* last failure logged of the attribute */
	struct pacemaker_counts counts;
};

static void soon(struct pacemaker *p, u64 ms)
{
	loop_timer_set(p->timer, ms * MS);
}

static void save(struct pacemaker *p)
{
	struct wbuf w;

	wbuf_init(&w, 4096);
	pacemaker_mark_encode(&p->mark, &w);
	if (wbuf_ok(&w))
		log_meta_set(replica_log(p->g->replica), META_PACEMAKER, w.data, w.len);
	wbuf_fini(&w);
}

static bool our_turn(const struct pacemaker *p)
{
	return p->active_nid && p->active_nid == replica_nid(p->g->replica) && p->g->have_view && p->g->view.quorate &&
	       state_nid_live(replica_state(p->g->replica), p->active_nid);
}

static void failed(struct pacemaker *p, const char *what, const char *text)
{
	struct again *a = &p->again[p->job];

	a->pause = a->pause ? MIN(2 * a->pause, (u64)AGAIN_MAX_MS) : AGAIN_MS;
	a->at = loop_boottime() + a->pause * MS;
	soon(p, SOON_MS); /* the other kind may go on */
	if (p->job == PACEMAKER_FENCE)
		log_err("NOT FENCED: %s: %s; tried again in %llu s. What it may do to shared disks and addresses only fencing ends: "
			"turn it off by hand", what, text, (unsigned long long)a->pause / 1000);
	else if (strcmp(p->said, text)) {
		snprintf(p->said, sizeof(p->said), "%s", text);
		log_info("%s: %s", what, text);
	}
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static void on_started(void *ctx, int code, const char *text, const void *b, size_t n)
{
	struct pacemaker *p = ctx;

	if (!code)
		return;
	if (code == -DSI_EAGAIN)
		soon(p, BUSY_MS); /* the last helper is still ending */
	else
		failed(p, "Pacemaker helper", text);
	p->job = 0;
}

static void send(struct pacemaker *p, const struct pacemaker_job *j)
{
	struct wbuf w;

	wbuf_init(&w, MONOP_PAYLOAD);
	wbuf_u8(&w, JOB_PACEMAKER);
	pacemaker_job_encode(j, &w);
	if (wbuf_ok(&w) && !enforce_call(p->g->enforce, MONOP_JOB, w.data, w.len, on_started, p))
		p->job = j->kind;
	else
		soon(p, AGAIN_MS);
	wbuf_fini(&w);
}

/* After so long it is a person's matter: a new server does not shoot at what may be on a workbench by now. */
static const struct pacemaker_fence *fence_due(struct pacemaker *p, u64 now)
{
	const struct pacemaker_fence *f;

	while ((f = pacemaker_mark_next(&p->mark, replica_state(p->g->replica), p->fencing)) &&
	       now > f->wall_ms && now - f->wall_ms > FENCE_WITHIN_MS) {
		log_info("fencing of %s, verdict %llu: no more asked for, an hour is over", engine_node_name(p->g, f->nid),
			 (unsigned long long)f->index);
		pacemaker_mark_done(&p->mark, f->index);
		save(p);
	}
	return f;
}

static bool fence_next(struct pacemaker *p)
{
	u64 now = loop_wall_ms();
	const struct pacemaker_fence *f = fence_due(p, now);
	struct pacemaker_job *j;

	if (!f)
		return false;
	j = calloc(1, sizeof(*j));
	if (!j)
		return false;
	j->kind = PACEMAKER_FENCE;
	j->n = 1;
	snprintf(j->node[0].name, sizeof(j->node[0].name), "%s", engine_node_name(p->g, f->nid));
	j->tolerance_s = now > f->wall_ms ? (u32)((now - f->wall_ms) / 1000) : 0; /* who was server before may have had it done */
	p->fencing = f->index;
	log_warning("asking Pacemaker to fence %s: verdict %llu", j->node[0].name, (unsigned long long)f->index);
	send(p, j);
	free(j);
	return true;
}

static bool suspended(void *ctx, u32 nid)
{
	return replica_suspended(ctx, nid);
}

static bool state_next(struct pacemaker *p)
{
	pacemaker_want(replica_state(p->g->replica), suspended, p->g->replica, p->want);
	pacemaker_differs(p->want, p->told);
	if (p->want->n)
		send(p, p->want);
	return p->want->n;
}

/* The attribute first: it takes a moment, and what is to leave a node begins to. A failure of one does not stop the other. */
static void on_timer(void *ctx)
{
	static bool (*const next[])(struct pacemaker *p) = { [PACEMAKER_STATE] = state_next, [PACEMAKER_FENCE] = fence_next };
	static const enum pacemaker_kind turn[] = { PACEMAKER_STATE, PACEMAKER_FENCE };
	struct pacemaker *p = ctx;
	u64 now = loop_boottime(), wait = 0;

	if (p->job || !our_turn(p))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(turn); i++) {
		u64 at = p->again[turn[i]].at;

		if (at <= now && next[turn[i]](p))
			return;
		if (at > now)
			wait = wait ? MIN(wait, at - now) : at - now;
	}
	if (wait)
		loop_timer_set(p->timer, wait);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void fence_answered(struct pacemaker *p, const struct pacemaker_answer *a)
{
	const struct pacemaker_fence *f = pacemaker_mark_at(&p->mark, p->fencing);
	const char *name = f ? engine_node_name(p->g, f->nid) : "the node";

	if (a->code) {
		p->counts.fence_failed++;
		failed(p, name, a->text);
		return;
	}
	p->counts.fenced++;
	log_warning("%s is fenced: verdict %llu", name, (unsigned long long)p->fencing);
	pacemaker_mark_done(&p->mark, p->fencing);
	save(p);
	p->again[PACEMAKER_FENCE] = (struct again){ 0 };
	soon(p, SOON_MS);
}

static void told(struct pacemaker *p, const struct pacemaker_node *n)
{
	for (u32 i = 0; i < p->told->n; i++)
		if (!strcmp(p->told->node[i].name, n->name)) {
			p->told->node[i].state = n->state;
			return;
		}
	if (p->told->n < LIM_NODES)
		p->told->node[p->told->n++] = *n;
}

static void state_answered(struct pacemaker *p, const struct pacemaker_answer *a)
{
	if (a->code) {
		p->counts.state_failed++;
		failed(p, "dsi-state", a->text);
		return;
	}
	for (u32 i = 0; i < p->want->n; i++) {
		told(p, &p->want->node[i]);
		log_info("dsi-state of %s: %s", p->want->node[i].name, pacemaker_state_text(p->want->node[i].state));
	}
	p->counts.state_set += p->want->n;
	p->again[PACEMAKER_STATE] = (struct again){ 0 };
	p->said[0] = 0;
	soon(p, SOON_MS);
}

void pacemaker_answered(struct pacemaker *p, const u8 *b, size_t n)
{
	static const char none[] = "the helper gave no answer";
	struct pacemaker_answer a;

	if (!p->job)
		return;
	if (pacemaker_answer_decode(&a, b, n)) {
		a.code = -DSI_EFAIL;
		memcpy(a.text, none, sizeof(none));
	}
	if (p->job == PACEMAKER_FENCE)
		fence_answered(p, &a);
	else
		state_answered(p, &a);
	p->job = 0;
}

/* --- what the engine tells ------------------------------------------------------------------------------------------ */

void pacemaker_changed(struct pacemaker *p)
{
	memset(p->again, 0, sizeof(p->again));
	soon(p, SOON_MS);
}

void pacemaker_applied(struct pacemaker *p, const struct entry *e, const struct state_result *r)
{
	if (!(r->changed & (CHANGED_NODES | CHANGED_VERDICT)))
		return;
	if (e->type == ENTRY_VERDICT && !r->code &&
	    pacemaker_mark_add(&p->mark, replica_state(p->g->replica), r->nid, e->index, e->wall_ms))
		save(p);
	pacemaker_changed(p);
}

void pacemaker_view(struct pacemaker *p)
{
	p->told->n = 0;
	pacemaker_changed(p);
}

void pacemaker_role(struct pacemaker *p, u32 active_nid)
{
	p->active_nid = active_nid;
	pacemaker_view(p); /* the one before may have been told otherwise */
}

const struct pacemaker_counts *pacemaker_counts(const struct pacemaker *p)
{
	return &p->counts;
}

struct pacemaker *pacemaker_new(struct engine *g)
{
	struct pacemaker *p = calloc(1, sizeof(*p));
	u8 mark[512];
	size_t n = 0;

	if (!p)
		return NULL;
	p->g = g;
	p->timer = loop_timer_new(g->loop, on_timer, p);
	p->told = calloc(1, sizeof(*p->told));
	p->want = calloc(1, sizeof(*p->want));
	if (!p->timer || !p->told || !p->want) {
		pacemaker_free(p);
		return NULL;
	}
	if (!log_meta_get(replica_log(g->replica), META_PACEMAKER, mark, sizeof(mark), &n) && pacemaker_mark_decode(&p->mark, mark, n))
		p->mark.n = 0;
	return p;
}

void pacemaker_free(struct pacemaker *p)
{
	if (!p)
		return;
	loop_timer_free(p->timer);
	free(p->told);
	free(p->want);
	free(p);
}
