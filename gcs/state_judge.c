/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging: the one way by which a statement or an entry is found acceptable. Core.
 *
 * Must never: change a state; use anything of a statement before its signature holds.
 * Invariant: the answer depends on the state, the bytes and wall_ms only, so all members find the same.
 */
#include <string.h>

#include "gcs/state_impl.h"

/* The statement of every entry that carries one is the first field of its body. */
#define AT_HEAD(member) _Static_assert(offsetof(struct judged, entry.member.statement) == offsetof(struct judged, entry), #member)
AT_HEAD(statement);
AT_HEAD(policy);
AT_HEAD(voter);
AT_HEAD(verdict);

#define STATEMENT_ROW(t, schema, who, role, ...)                                                       \
	[ENTRY_##t] = { .entry = &schema_e_statement, .said = &schema, .signer = who, .op_role = role, __VA_ARGS__ }

static const struct state_kind kinds[ENTRY_TYPE_MAX] = {
	STATEMENT_ROW(GENESIS, schema_s_genesis, S_ROOT, 0, .check = genesis_row_check, .apply = genesis_row_apply),
	[ENTRY_TERM] = { .entry = &schema_e_term, .check = term_check, .apply = term_apply },
	[ENTRY_NOP] = { 0 },
	STATEMENT_ROW(TOKEN, schema_s_token, S_OPERATOR, OP_NODES, .check = token_row_check, .apply = token_row_apply),
	[ENTRY_ENROL] = { .entry = &schema_e_enrol, .check = enrol_check, .apply = enrol_apply, .about = enrol_about },
	[ENTRY_VOTER_ADD] = { .entry = &schema_e_voter, .said = &schema_s_node_op, .signer = S_OPERATOR,
			      .op_role = OP_NODES, .alone = true, .check = voter_add_check, .live = voter_add_live,
			      .apply = voter_add_apply, .about = voter_add_about },
	STATEMENT_ROW(VOTER_REMOVE, schema_s_node_op, S_OPERATOR, OP_NODES, .check = voter_remove_check,
		      .live = voter_remove_live, .apply = voter_remove_apply, .about = node_op_about),
	[ENTRY_POLICY] = { .entry = &schema_e_policy, .said = &schema_s_policy, .signer = S_OPERATOR,
			   .op_role = OP_POLICY, .alone = true, .check = policy_entry_check, .apply = policy_apply },
	[ENTRY_VERDICT] = { .entry = &schema_e_verdict, .said = &schema_s_verdict, .signer = S_OPERATOR,
			    .op_role = OP_VERDICT, .check = verdict_check, .live = verdict_live,
			    .apply = verdict_apply, .about = verdict_about },
	STATEMENT_ROW(WITHDRAW, schema_s_node_op, S_OPERATOR, OP_VERDICT, .check = withdraw_check,
		      .apply = withdraw_apply, .about = node_op_about),
	STATEMENT_ROW(READMIT, schema_s_node_op, S_OPERATOR, OP_NODES, .check = readmit_check,
		      .apply = readmit_apply, .about = node_op_about),
	STATEMENT_ROW(REMOVE, schema_s_node_op, S_OPERATOR, OP_NODES, .check = remove_check,
		      .live = voter_remove_live, .apply = remove_apply, .about = node_op_about),
	STATEMENT_ROW(DEPOSE, schema_s_node_op, S_OPERATOR, OP_VERDICT, .check = depose_check,
		      .apply = depose_apply, .about = node_op_about),
	[ENTRY_GROUPKEY] = { .entry = &schema_e_groupkey, .check = groupkey_check, .apply = groupkey_apply },
	[ENTRY_SIDBLOCK] = { .entry = &schema_e_sidblock, .check = sidblock_check, .apply = sidblock_apply,
			     .about = sidblock_about },
	STATEMENT_ROW(REFORM, schema_s_reform, S_ROOT, 0, .check = reform_check, .apply = reform_apply),
	STATEMENT_ROW(CONFIRM, schema_s_confirm, S_OPERATOR, OP_POLICY, .check = confirm_check, .apply = confirm_apply),
};

const struct state_kind *state_kind(u16 type)
{
	return type > 0 && type < ENTRY_TYPE_MAX ? &kinds[type] : NULL;
}

bool judge_machine_failed(int code)
{
	return code == -DSI_ENOMEM || code == -DSI_ECRYPTO;
}

void judge_init(struct judged *j, const struct state *s, u64 wall_ms, struct err *err)
{
	memset(j, 0, sizeof(*j));
	j->s = s;
	j->wall_ms = wall_ms;
	j->err = err;
	arena_init(&j->arena, JUDGED_ARENA);
}

void judge_fini(struct judged *j)
{
	arena_fini(&j->arena);
}

static int judge_said(struct judged *j)
{
	const struct state_kind *k = state_kind(j->kind);
	int rc;

	if (!k || !k->said)
		return err_set(j->err, -DSI_EROLE, "%s is not for people to state", entry_type_name(j->kind));
	j->has_statement = true;
	rc = body_decode(k->said, j->st.body, j->st.body_len, &j->said, &j->arena);
	if (rc)
		return err_set(j->err, rc, "%s statement: %s", entry_type_name(j->kind), err_text(rc));
	return 0;
}

int judge_statement(struct judged *j, const struct statement *st)
{
	j->st = *st;
	j->kind = st->kind;
	return judge_said(j);
}

static int judge_carried(struct judged *j, const struct state_kind *k)
{
	const struct blob *b = &j->entry.statement.statement;
	int rc;

	if (!b->n)
		return k->alone ? 0 : err_set(j->err, -DSI_EUNSIGNED, "%s without a statement", entry_type_name(j->kind));
	rc = statement_open(&j->st, b->p, b->n);
	if (rc)
		return err_set(j->err, rc, "%s statement: %s", entry_type_name(j->kind), err_text(rc));
	if (j->st.kind != j->kind)
		return err_set(j->err, -DSI_EAUTH, "a %s statement cannot carry a %s entry", entry_type_name(j->st.kind),
			       entry_type_name(j->kind));
	return judge_said(j);
}

int judge_entry(struct judged *j, const struct entry *e)
{
	const struct state_kind *k = state_kind(e->type);
	int rc;

	j->e = e;
	j->kind = e->type;
	if (!k)
		return err_set(j->err, -DSI_EVERSION, "unknown entry type %u", e->type);
	if (!k->entry)
		return e->body_len ? err_set(j->err, -DSI_ETRAIL, "%s has a body", entry_type_name(e->type)) : 0;
	rc = body_decode(k->entry, e->body, e->body_len, &j->entry, &j->arena);
	if (rc)
		return err_set(j->err, rc, "%s entry: %s", entry_type_name(e->type), err_text(rc));
	return k->said ? judge_carried(j, k) : 0;
}

/* --- who may say it ---------------------------------------------------------------------------------- */

static int judge_root(struct judged *j)
{
	const u8 *root = j->kind == ENTRY_GENESIS ? j->said.genesis.root : j->s->root;

	if (memcmp(j->st.pub, root, CRYPTO_PUB))
		return err_set(j->err, -DSI_EAUTH, "%s is not signed by the cluster's root", entry_type_name(j->kind));
	return 0;
}

static const char *role_text(u32 role)
{
	return role == OP_POLICY ? "policy" : role == OP_NODES ? "nodes" : "verdict";
}

static int judge_operator(struct judged *j, u32 role)
{
	for (u32 i = 0; i < j->s->n_op; i++)
		if (!memcmp(j->s->op[i].pub, j->st.pub, CRYPTO_PUB))
			j->op = &j->s->op[i];
	if (!j->op)
		return err_set(j->err, -DSI_EAUTH, "signed by a key that is no operator's in this cluster");
	if (!(j->op->roles & role))
		return err_set(j->err, -DSI_EAUTH, "operator %s does not have the role \"%s\"", j->op->name, role_text(role));
	return 0;
}

/* A verdict of an earlier generation counts: reform forgets none. The others were not meant for this one. */
static bool generation_ok(const struct judged *j)
{
	switch (j->kind) {
	case ENTRY_GENESIS:
		return j->st.generation == 1;
	case ENTRY_REFORM:
		return j->st.generation == j->said.reform.new_generation;
	case ENTRY_VERDICT:
		return j->st.generation <= j->s->generation;
	default:
		return j->st.generation == j->s->generation;
	}
}

static int judge_cluster(struct judged *j)
{
	u8 hash[CRYPTO_HASH];
	const u8 *id = j->s->cluster;
	int rc;

	if (j->kind == ENTRY_GENESIS) {
		rc = crypto_sha256(j->said.genesis.root, CRYPTO_PUB, hash);
		if (rc)
			return err_set(j->err, rc, "hash of the root");
		id = hash;
	}
	if (memcmp(j->st.cluster, id, sizeof(j->st.cluster)))
		return err_set(j->err, -DSI_ECLUSTER, "the statement is for another cluster");
	if (!generation_ok(j))
		return err_set(j->err, -DSI_ESTALE, "the statement is for generation %u of the cluster, which is at %u",
			       j->st.generation, j->s->generation);
	return 0;
}

int judge_authority(struct judged *j)
{
	const struct state_kind *k = state_kind(j->kind);
	int rc;

	if (!j->has_statement)
		return 0;
	if (j->st.signer != k->signer)
		return err_set(j->err, -DSI_EAUTH, "%s needs the signature of %s", entry_type_name(j->kind),
			       k->signer == S_ROOT ? "the root" : "an operator");
	rc = k->signer == S_ROOT ? judge_root(j) : judge_operator(j, k->op_role);
	return rc ? rc : judge_cluster(j);
}

/* --- may it be said now ------------------------------------------------------------------------------- */

static bool request_used(const struct state *s, const u8 id[16])
{
	for (u32 i = 0; i < s->n_request; i++)
		if (!memcmp(s->request[i].id, id, 16))
			return true;
	return false;
}

u32 request_slot(const struct state *s, u64 wall_ms)
{
	u32 i = 0;

	if (s->n_request < STATE_REQUESTS)
		return s->n_request;
	while (i < s->n_request && (!s->request[i].expires_ms || s->request[i].expires_ms >= wall_ms))
		i++;
	return i;
}

static int judge_request(struct judged *j)
{
	char hex[33];

	if (request_slot(j->s, j->wall_ms) == STATE_REQUESTS)
		return err_set(j->err, -DSI_ELIMIT, "%d requests that have not expired are remembered already", STATE_REQUESTS);
	if (request_used(j->s, j->st.request))
		return err_set(j->err, -DSI_EREPLAY, "request %s was ordered before; each counts once",
			       crypto_hex(j->st.request, 16, hex));
	if (j->st.signer == S_ROOT)
		return 0;
	if (!j->st.expires_ms)
		return err_set(j->err, -DSI_EINVAL, "the statement has no expiry: sign it again with one");
	if (j->wall_ms > j->st.expires_ms)
		return err_set(j->err, -DSI_EEXPIRED, "the statement expired %llu s ago: sign it again",
			       (unsigned long long)(j->wall_ms - j->st.expires_ms) / 1000);
	return 0;
}

bool state_timely(u64 wall_ms, u64 now_ms, u64 last_ms)
{
	u64 latest = now_ms + LIM_SKEW_MS;

	if (wall_ms > latest)
		return false;
	return last_ms > latest || wall_ms >= last_ms || last_ms - wall_ms <= LIM_SKEW_MS;
}

static bool server_usable(const struct state *s, u32 nid)
{
	const struct state_node *n = state_node(s, nid);

	return n && n->status == NODE_BOUND && !n->deposed && n->roles & NODE_SERVER;
}

/* An entry belongs to the server whose TERM is the last before it; no two servers write in one term. */
static int judge_author(struct judged *j)
{
	const struct state *s = j->s;

	if (!j->e || j->kind == ENTRY_GENESIS || j->kind == ENTRY_REFORM)
		return 0; /* their checks look at the servers they name */
	if (memcmp(j->e->cluster, s->cluster, sizeof(s->cluster)) || j->e->generation != s->generation)
		return err_set(j->err, -DSI_ECLUSTER, "an entry of another cluster or generation");
	if (!server_usable(s, j->e->author_nid))
		return err_set(j->err, -DSI_EROLE, "author %u is no server in office", j->e->author_nid);
	if (j->kind != ENTRY_TERM && (j->e->term != s->term || j->e->author_nid != s->active_nid))
		return err_set(j->err, -DSI_EROLE, "author %u in term %llu, but term %llu belongs to %u", j->e->author_nid,
			       (unsigned long long)j->e->term, (unsigned long long)s->term, s->active_nid);
	return 0;
}

int judge_state(struct judged *j)
{
	const struct state_kind *k = state_kind(j->kind);
	int rc = judge_author(j);

	if (!rc && j->has_statement)
		rc = judge_request(j);
	if (!rc && k->check)
		rc = k->check(j);
	return rc;
}
