/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replicated state: its life, look-ups, and the three questions asked of entries and statements (verify, check,
 * apply). Core.
 *
 * Must never: look at a clock or a file; apply half an entry; tell two members different things.
 * Invariant: after state_apply() returned 0, applied is the index of that entry, whatever became of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/state_impl.h"

/* --- life --------------------------------------------------------------------------------------------- */

struct state *state_new(void)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	/* Fixed, so that applying never has to allocate; untouched pages cost nothing. */
	s->node = calloc(LIM_NIDS, sizeof(*s->node));
	s->request = calloc(STATE_REQUESTS, sizeof(*s->request));
	if (!s->node || !s->request) {
		state_free(s);
		return NULL;
	}
	s->next_nid = 1;
	s->next_sid = STATE_SID_FIRST;
	return s;
}

void state_free(struct state *s)
{
	if (!s)
		return;
	free(s->node);
	free(s->request);
	free(s);
}

struct state *state_clone(const struct state *s)
{
	struct state *c = state_new();
	struct state_node *node;
	struct state_request *request;

	if (!c)
		return NULL;
	node = c->node;
	request = c->request;
	*c = *s;
	c->node = node;
	c->request = request;
	memcpy(node, s->node, s->n_node * sizeof(*node));
	memcpy(request, s->request, s->n_request * sizeof(*request));
	return c;
}

/* --- look-ups ----------------------------------------------------------------------------------------- */

struct state_node *state_node_mut(struct state *s, u32 nid)
{
	u32 lo = 0, hi = s->n_node;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->node[mid].nid == nid)
			return &s->node[mid];
		if (s->node[mid].nid < nid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct state_node *state_node(const struct state *s, u32 nid)
{
	return state_node_mut((struct state *)s, nid);
}

const struct state_node *state_node_last_named(const struct state *s, const char *name)
{
	for (u32 i = s->n_node; i-- > 0;)
		if (!strcmp(s->node[i].name, name))
			return &s->node[i];
	return NULL;
}

const struct state_node *state_node_named(const struct state *s, const char *name)
{
	const struct state_node *n = state_node_last_named(s, name);

	return n && (n->status == NODE_BOUND || n->status == NODE_SUSPENDED) ? n : NULL;
}

bool state_key_zero(const u8 key[32])
{
	static const u8 zero[32];

	return !memcmp(key, zero, sizeof(zero));
}

const struct state_node *state_node_keyed(const struct state *s, const u8 sign[32])
{
	if (state_key_zero(sign))
		return NULL;
	for (u32 i = 0; i < s->n_node; i++)
		if (!memcmp(s->node[i].sign, sign, 32) || !memcmp(s->node[i].server_sign, sign, 32))
			return &s->node[i];
	return NULL;
}

bool state_key_known(const struct state *s, const u8 key[32])
{
	if (!memcmp(s->root, key, 32) || state_node_keyed(s, key))
		return true;
	for (u32 i = 0; i < s->n_node; i++)
		if (!memcmp(s->node[i].kem, key, 32) || !memcmp(s->node[i].server_kem, key, 32))
			return true;
	for (u32 i = 0; i < s->n_op; i++)
		if (!memcmp(s->op[i].pub, key, 32))
			return true;
	for (u32 i = 0; i < s->n_token; i++)
		if (!memcmp(s->token[i].pub, key, 32))
			return true;
	return false;
}

bool state_nid_live(const struct state *s, u32 nid)
{
	const struct state_node *n = state_node(s, nid);

	return n && n->status == NODE_BOUND;
}

bool state_learner(const struct state *s, u32 nid)
{
	const struct state_node *n = state_node(s, nid);

	return n && n->status == NODE_BOUND && n->granted & NODE_VOTER && !(n->roles & NODE_VOTER);
}

void state_set_str(char *dst, size_t cap, const char *src)
{
	size_t n = strnlen(src, cap - 1);

	memset(dst, 0, cap);
	memcpy(dst, src, n);
}

/* --- verify ------------------------------------------------------------------------------------------- */

/* A REFORM has no author but the root: its check compares it with the statement. */
static int verify_author(const struct state *s, const struct entry *e, struct err *err)
{
	const struct state_node *n = state_node(s, e->author_nid);
	int rc;

	if (e->type == ENTRY_REFORM)
		return 0;
	if (e->author_role != ROLE_SERVER)
		return err_set(err, -DSI_EROLE, "author is no server");
	if (!n || state_key_zero(n->server_sign))
		return err_set(err, -DSI_EAUTH, "author %u hosts no server", e->author_nid);
	if (n->status != NODE_BOUND || n->deposed)
		return err_set(err, -DSI_EREVOKED, "author %u is %s", e->author_nid, n->deposed ? "deposed" : "not live");
	rc = crypto_verify(n->server_sign, SIGN_ENTRY, e->hash, sizeof(e->hash), e->sig);
	return rc ? err_set(err, rc, "author's signature: %s", err_text(rc)) : 0;
}

static int verify_place(const struct state *s, const struct entry *e, struct err *err)
{
	if (memcmp(e->cluster, s->cluster, sizeof(e->cluster)))
		return err_set(err, -DSI_ECLUSTER, "entry of another cluster");
	if (e->type == ENTRY_REFORM ? e->generation <= s->generation : e->generation != s->generation)
		return err_set(err, -DSI_ESTALE, "entry of generation %u, we are at %u", e->generation, s->generation);
	return 0;
}

static int verify_body(struct judged *j, const struct entry *e)
{
	struct wraps w;
	int rc = judge_entry(j, e);

	if (!rc)
		rc = judge_authority(j);
	if (rc)
		return rc;
	if (e->type == ENTRY_TERM)
		return term_promises(j);
	if (e->type == ENTRY_REFORM)
		return judge_state(j); /* committed by nature: what is verified must apply */
	if (e->type != ENTRY_VERDICT)
		return 0;
	w = (struct wraps){ j->entry.verdict.keygen, &j->entry.verdict.wraps };
	rc = wraps_check(NULL, &w, j->said.verdict.nid, &j->arena);
	return rc ? err_set(j->err, rc, "key wraps of the verdict: %s", err_text(rc)) : 0;
}

int state_verify_entry(const struct state *s, const struct entry *e, struct err *err)
{
	struct judged j;
	int rc;

	judge_init(&j, s, e->wall_ms, err);
	if (e->type == ENTRY_GENESIS || !s->applied) {
		rc = e->type == ENTRY_GENESIS ? 0 : err_set(err, -DSI_ESTALE, "the log begins with GENESIS");
		if (!rc)
			rc = judge_entry(&j, e);
		if (!rc)
			rc = judge_authority(&j);
		if (!rc)
			rc = judge_state(&j);
	} else {
		rc = verify_place(s, e, err);
		if (!rc)
			rc = verify_author(s, e, err);
		if (!rc)
			rc = verify_body(&j, e);
	}
	judge_fini(&j);
	if (rc)
		err_wrap(err, "entry %llu", (unsigned long long)e->index);
	return rc;
}

/* --- check -------------------------------------------------------------------------------------------- */

int state_check(const struct state *s, const struct statement *st, u64 wall_ms, const u32 *live, u32 n_live,
		struct err *e)
{
	const struct state_kind *k;
	struct judged j;
	int rc;

	judge_init(&j, s, wall_ms, e);
	rc = judge_statement(&j, st);
	if (!rc)
		rc = judge_authority(&j);
	if (!rc)
		rc = judge_state(&j);
	k = state_kind(st->kind);
	if (!rc && live && k->live)
		rc = k->live(&j, live, n_live);
	judge_fini(&j);
	return rc;
}

int state_check_enrol(const struct state *s, const u8 *p, size_t n, const u8 exporter[CRYPTO_HASH], u64 wall_ms,
		      struct err *e)
{
	struct judged j;
	int rc;

	judge_init(&j, s, wall_ms, e);
	j.kind = ENTRY_ENROL;
	rc = body_decode(&schema_e_enrol, p, n, &j.entry, &j.arena);
	if (rc)
		err_set(e, rc, "enrolment: %s", err_text(rc));
	else if (!crypto_equal(j.entry.enrol.exporter, exporter, CRYPTO_HASH))
		rc = err_set(e, -DSI_EREPLAY, "enrolment was signed for another session: replayed, or somebody is in between");
	else
		rc = judge_state(&j);
	judge_fini(&j);
	return rc;
}

int state_check_promotion(const struct state *s, u32 nid, const u32 *live, u32 n_live, struct err *e)
{
	const struct state_node *n = state_node(s, nid);
	struct judged j;
	int rc;

	judge_init(&j, s, 0, e);
	j.kind = ENTRY_VOTER_ADD;
	j.entry.voter.nid = nid;
	if (n)
		memcpy(j.entry.voter.token, n->token, sizeof(n->token));
	rc = judge_state(&j);
	if (!rc && live)
		rc = voter_add_live(&j, live, n_live);
	judge_fini(&j);
	return rc;
}

/* --- apply -------------------------------------------------------------------------------------------- */

/* Room for one more id: the oldest that has expired goes. Every member sees the same wall time: the entry's. */
static void request_make_room(struct state *s, u64 wall_ms)
{
	u32 i = request_slot(s, wall_ms);

	if (i >= s->n_request)
		return;
	memmove(&s->request[i], &s->request[i + 1], (s->n_request - i - 1) * sizeof(*s->request));
	s->n_request--;
}

static void request_remember(struct state *s, const struct statement *st)
{
	struct state_request *r = &s->request[s->n_request++];

	memcpy(r->id, st->request, sizeof(r->id));
	r->expires_ms = st->expires_ms;
}

/* authorised: the statement was said by whom it had to be, for this cluster: its id is used up even when a rule
 * refuses it now, lest somebody keep it for a moment that suits him better. */
static int apply_judge(struct state *s, struct judged *j, const struct entry *e, struct state_result *ret)
{
	bool authorised;
	int rc = judge_entry(j, e);

	if (!rc)
		rc = judge_authority(j);
	authorised = !rc && j->has_statement;
	if (authorised)
		memcpy(ret->request, j->st.request, sizeof(ret->request));
	if (!rc && state_kind(j->kind)->about)
		ret->nid = state_kind(j->kind)->about(j);
	if (!rc)
		rc = judge_state(j);
	if (judge_machine_failed(rc) || !authorised || rc == -DSI_EREPLAY || rc == -DSI_EROLE)
		return rc;
	request_make_room(s, j->wall_ms);
	if (s->n_request < STATE_REQUESTS) /* else judge_state() refused it for that */
		request_remember(s, &j->st);
	return rc;
}

int state_apply(struct state *s, const struct entry *e, struct state_result *ret)
{
	struct err err = { 0 };
	const struct state_kind *k = state_kind(e->type);
	struct judged j;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (e->index != s->applied + 1)
		return -DSI_EINVAL;
	judge_init(&j, s, e->wall_ms, &err);
	rc = apply_judge(s, &j, e, ret);
	if (judge_machine_failed(rc)) {
		judge_fini(&j);
		memset(ret, 0, sizeof(*ret));
		return rc;
	}
	if (!rc && k->apply)
		k->apply(s, &j, ret);
	judge_fini(&j);
	suspensions_end(s, e->wall_ms, ret);
	s->applied = e->index;
	ret->code = rc;
	if (rc)
		snprintf(ret->text, sizeof(ret->text), "%.*s", (int)sizeof(ret->text) - 1, err.text);
	return 0;
}

static bool changes_voters(u16 type)
{
	return type == ENTRY_VOTER_ADD || type == ENTRY_VOTER_REMOVE || type == ENTRY_VERDICT || type == ENTRY_REMOVE ||
	       type == ENTRY_REFORM || type == ENTRY_GENESIS;
}

/* Order accepted these, so their places and authors are as they should be: a caller may leave out what cannot
 * matter to voters (but not the ENROL of a node that a VOTER_ADD names). */
int state_preview_apply(struct state *c, const struct entry *e)
{
	struct state_result res;

	if (e->index <= c->applied)
		return 0;
	c->applied = e->index - 1;
	if (e->type != ENTRY_TERM && e->type != ENTRY_REFORM) {
		c->term = e->term;
		c->active_nid = e->author_nid;
	}
	return state_apply(c, e, &res);
}

void state_preview(const struct state *s, const struct entry *const *uncommitted, u32 n, struct order_voters ret[2],
		   u32 *ret_n)
{
	struct state *c;
	u32 i = 0;

	*ret_n = 0;
	if (s->n_voters)
		ret[(*ret_n)++] = s->voters[0];
	while (i < n && !changes_voters(uncommitted[i]->type))
		i++;
	c = i < n ? state_clone(s) : NULL;
	for (i = 0; c && i < n; i++)
		if (state_preview_apply(c, uncommitted[i]))
			break;
	if (c && c->n_voters && (!s->n_voters || c->voters[0].index != s->voters[0].index))
		ret[(*ret_n)++] = c->voters[0];
	state_free(c);
}
