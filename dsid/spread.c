/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second path of a verdict or deposition: over the direct leg to every live member but its target, so that neither
 * a silent ring nor a server that withholds it keeps it from taking effect. Ordering it is submit.c's.
 *
 * Must never: pass on what replica_urgent() refused here; believe a member about anything but that it was told.
 * Ends when everybody was told, or the log has decided, or the statement expired (the replica keeps it until then).
 */
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "lib/log.h"

static const u64 SPREAD_CALL_NS = 5ull * 1000000000, SPREAD_FIRST_NS = 1000000000, SPREAD_PAUSE_NS = 30ull * 1000000000;
enum { SPREADS_MAX = 16 };

struct spread {
	struct spread *next;
	struct engine *g;
	u8 *statement;
	size_t n;
	u8 request[16];
	u16 kind;
	u32 target;
	u64 pause;
	u8 told[LIM_NIDS / 8 + 1], asked[LIM_NIDS / 8 + 1]; /* asked: an answer is under way */
	struct loop_timer *timer;
};

struct telling { /* one call; the spread may be gone when it is answered */
	struct engine *g;
	u8 request[16];
	u32 nid;
};

static bool bit(const u8 *set, u32 nid)
{
	return set[nid / 8] & (1u << nid % 8);
}

static struct spread *spread_of(struct engine *g, const u8 request[16])
{
	for (struct spread *s = g->spreads; s; s = s->next)
		if (!memcmp(s->request, request, 16))
			return s;
	return NULL;
}

static void spread_end(struct spread *s)
{
	struct spread **at = &s->g->spreads;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	loop_timer_free(s->timer);
	free(s->statement);
	free(s);
}

/* Any answer but "could not ask" ends it: who refuses knows why, a withdrawal that we have not seen, say. */
static void on_told(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct telling *t = ctx;
	struct spread *s = spread_of(t->g, t->request);

	(void)peer;
	if (s)
		s->asked[t->nid / 8] &= (u8)~(1u << t->nid % 8);
	if (s && code != -DSI_ENOTCONN && code != -DSI_ETIMEDOUT) {
		s->told[t->nid / 8] |= (u8)(1u << t->nid % 8);
		if (code)
			log_warning("%s not taken by %s: %.*s", entry_type_name(s->kind), engine_node_name(t->g, t->nid),
				    n ? (int)n : (int)strlen(err_text(code)), n ? (const char *)p : err_text(code));
		else
			submit_on_told(t->g, t->request, t->nid);
	}
	free(t);
}

static void tell(struct spread *s, const struct state_node *node)
{
	struct telling *t = malloc(sizeof(*t));

	if (!t)
		return;
	t->g = s->g;
	t->nid = node->nid;
	memcpy(t->request, s->request, sizeof(t->request));
	if (direct_call(replica_direct(s->g->replica), node->direct, node->sign, DIRECT_URGENT, s->statement, s->n,
			SPREAD_CALL_NS, on_told, t))
		free(t);
	else
		s->asked[node->nid / 8] |= (u8)(1u << node->nid % 8);
}

static void on_timer(void *ctx)
{
	struct spread *s = ctx;
	const struct state *st = replica_state(s->g->replica);
	u32 left = 0;

	for (u32 i = 0; i < st->n_node; i++) {
		const struct state_node *n = &st->node[i];

		if (n->status != NODE_BOUND || replica_suspended(s->g->replica, n->nid) || n->nid == s->target ||
		    n->nid == replica_nid(s->g->replica) || n->nid >= LIM_NIDS || !n->direct[0] || bit(s->told, n->nid))
			continue;
		left++;
		if (!bit(s->asked, n->nid))
			tell(s, n);
	}
	if (!left || !replica_urgent_keeps(s->g->replica, s->request)) {
		spread_end(s);
		return;
	}
	loop_timer_set(s->timer, s->pause);
	s->pause = MIN(2 * s->pause, SPREAD_PAUSE_NS);
}

void spread_begin(struct engine *g, const struct statement *st, u32 target)
{
	struct spread *s;
	u32 n = 0;

	for (s = g->spreads; s; s = s->next)
		n++;
	if (spread_of(g, st->request))
		return;
	s = n < SPREADS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (s) {
		s->statement = malloc(st->raw_len);
		s->timer = loop_timer_new(g->loop, on_timer, s);
	}
	if (!s || !s->statement || !s->timer) {
		log_err("no room to hand a %s on over the direct leg", entry_type_name(st->kind));
		if (s) {
			loop_timer_free(s->timer);
			free(s->statement);
		}
		free(s);
		return;
	}
	s->g = g;
	s->n = st->raw_len;
	memcpy(s->statement, st->raw, st->raw_len);
	memcpy(s->request, st->request, sizeof(s->request));
	s->kind = st->kind;
	s->target = target;
	s->pause = SPREAD_FIRST_NS;
	s->next = g->spreads;
	g->spreads = s;
	on_timer(s);
}

void spread_request(struct engine *g, struct direct_request *rq, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct err e = { 0 };
	int rc = replica_urgent(g->replica, p, n, &e);

	if (rc)
		log_warning("verdict handed over by %s refused: %s", engine_node_name(g, peer->nid), e.text);
	direct_reply(rq, rc, e.text, rc ? strlen(e.text) : 0);
}

void spread_free(struct engine *g)
{
	while (g->spreads)
		spread_end(g->spreads);
}
