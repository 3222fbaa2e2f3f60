/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tokens and enrolment: how a node and its keys come into the log. Core.
 *
 * Invariant: a key enters once, in one place, for one node, and never again, whatever became of that node; a NID
 * is given once, in order; a name has at most one live holder.
 */
#include <string.h>

#include "gcs/state_impl.h"

enum { NODE_ROLES = NODE_MEMBER | NODE_VOTER | NODE_SERVER | NODE_WITNESS };

/* --- TOKEN -------------------------------------------------------------------------------------------- */

static int name_open(struct judged *j, const char *name)
{
	const struct state_node *n = state_node_last_named(j->s, name);

	if (!statement_name_ok(name))
		return err_set(j->err, -DSI_EINVAL, "\"%s\" is no node name: lower case letters, digits and '-' inside", name);
	if (!n || n->status == NODE_REMOVED || n->readmitted)
		return 0;
	if (n->status == NODE_REVOKED)
		return err_set(j->err, -DSI_EREVOKED, "%s (node %u) was revoked: readmit it first (dsi-admin readmit-node %s)",
			       name, n->nid, name);
	return err_set(j->err, -DSI_EEXIST, "%s is a member already (node %u)", name, n->nid);
}

static int roles_ok(struct judged *j, u32 roles)
{
	if (!(roles & NODE_MEMBER) || roles & ~(u32)NODE_ROLES)
		return err_set(j->err, -DSI_EINVAL, "roles %#x: member, and any of voter, server, witness", roles);
	return 0;
}

static int token_fresh(struct judged *j, const struct body_s_token *t)
{
	u32 stale = 0;

	for (u32 i = 0; i < j->s->n_token; i++) {
		if (!memcmp(j->s->token[i].id, t->token, sizeof(t->token)))
			return err_set(j->err, -DSI_EEXIST, "a token with this id exists already");
		stale += j->s->token[i].expires_ms < j->wall_ms;
	}
	if (state_key_zero(t->token_pub) || state_key_known(j->s, t->token_pub))
		return err_set(j->err, -DSI_EEXIST, "the token's key is in use already");
	if (j->s->n_token == LIM_TOKENS && !stale)
		return err_set(j->err, -DSI_ELIMIT, "%d tokens are open already", LIM_TOKENS);
	return 0;
}

int token_row_check(struct judged *j)
{
	const struct body_s_token *t = &j->said.token;
	u8 root[CRYPTO_HASH];
	int rc = crypto_sha256(j->s->root, sizeof(j->s->root), root);

	if (rc)
		return err_set(j->err, rc, "hash of the root");
	if (memcmp(root, t->root, sizeof(root)))
		return err_set(j->err, -DSI_ECLUSTER, "the token names another root");
	if (t->expires_ms <= j->wall_ms)
		return err_set(j->err, -DSI_EEXPIRED, "the token has expired already");
	rc = roles_ok(j, t->roles);
	if (!rc)
		rc = name_open(j, t->name);
	return rc ? rc : token_fresh(j, t);
}

/* Used and expired ones stay until their place is needed: a used token must be remembered until it expires. */
static void token_make_room(struct state *s, u64 wall_ms)
{
	for (u32 i = 0; s->n_token == LIM_TOKENS && i < s->n_token; i++) {
		if (s->token[i].expires_ms >= wall_ms)
			continue;
		memmove(&s->token[i], &s->token[i + 1], (s->n_token - i - 1) * sizeof(s->token[0]));
		s->n_token--;
	}
}

void token_row_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	const struct body_s_token *t = &j->said.token;
	struct state_token *n;

	token_make_room(s, j->wall_ms);
	n = &s->token[s->n_token++];
	memset(n, 0, sizeof(*n));
	memcpy(n->id, t->token, sizeof(n->id));
	memcpy(n->pub, t->token_pub, sizeof(n->pub));
	state_set_str(n->name, sizeof(n->name), t->name);
	n->roles = t->roles;
	n->expires_ms = t->expires_ms;
	ret->changed = CHANGED_TOKENS;
}

/* --- a node's description of itself ------------------------------------------------------------------- */

static int node_keys_ok(struct judged *j, const struct body_node *b)
{
	const u8 *key[4] = { b->sign, b->kem, b->server_sign, b->server_kem };
	u32 n = b->roles & NODE_SERVER ? 4 : 2;

	if (n == 2 && !(state_key_zero(b->server_sign) && state_key_zero(b->server_kem)))
		return err_set(j->err, -DSI_EINVAL, "server keys, but no server role");
	for (u32 i = 0; i < n; i++) {
		if (state_key_zero(key[i]))
			return err_set(j->err, -DSI_EINVAL, "a key is missing");
		if (state_key_known(j->s, key[i]))
			return err_set(j->err, -DSI_EREVOKED, "a key was bound before; keys are never bound twice, make new ones");
		for (u32 k = 0; k < i; k++)
			if (!memcmp(key[i], key[k], 32))
				return err_set(j->err, -DSI_EINVAL, "one key in two places");
	}
	return 0;
}

static bool addr_taken(const struct state *s, const struct blob *a)
{
	for (u32 i = 0; i < s->n_node; i++) {
		const struct state_node *n = &s->node[i];

		for (u32 k = 0; k < n->n_addr; k++)
			if ((n->status == NODE_BOUND || n->status == NODE_SUSPENDED) && n->addr[k].len == a->n &&
			    !memcmp(n->addr[k].bytes, a->p, a->n))
				return true;
	}
	return false;
}

static int node_addrs_ok(struct judged *j, const struct blobs *a)
{
	if (!a->n || a->n > LIM_ADDRS)
		return err_set(j->err, -DSI_EINVAL, "%u addresses: 1 to %d", a->n, LIM_ADDRS);
	for (u32 i = 0; i < a->n; i++) {
		if (a->v[i].n != 4 && a->v[i].n != 16)
			return err_set(j->err, -DSI_EINVAL, "address %u is neither IPv4 nor IPv6", i + 1);
		if (addr_taken(j->s, &a->v[i]))
			return err_set(j->err, -DSI_EEXIST, "address %u belongs to another member", i + 1);
	}
	return 0;
}

/* host:port or [host]:port, without blanks or control characters: it is shown, and handed to others to connect to. */
static bool direct_ok(const char *s)
{
	const char *colon = strrchr(s, ':');

	if (!colon || colon == s || !colon[1] || strlen(colon + 1) > 5)
		return false;
	for (const char *p = colon + 1; *p; p++)
		if (*p < '0' || *p > '9')
			return false;
	for (const char *p = s; p < colon; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
			return false;
	return true;
}

int enrol_node_decode(struct judged *j, const struct blob *node)
{
	int rc = body_decode(&schema_node, node->p, node->n, &j->node, &j->arena);

	return rc ? err_set(j->err, rc, "node description: %s", err_text(rc)) : 0;
}

int enrol_node_check(struct judged *j)
{
	const struct body_node *b = &j->node;
	int rc;

	if (!direct_ok(b->direct))
		return err_set(j->err, -DSI_EINVAL, "the address of the direct leg must be host:port");
	if (j->s->n_node >= LIM_NIDS - 1 || j->s->next_nid >= LIM_NIDS)
		return err_set(j->err, -DSI_ELIMIT, "%d node numbers are used up", LIM_NIDS);
	rc = name_open(j, b->name);
	if (!rc)
		rc = roles_ok(j, b->roles);
	if (!rc)
		rc = node_keys_ok(j, b);
	return rc ? rc : node_addrs_ok(j, &b->addrs);
}

void enrol_node_fill(struct state_node *n, const struct body_node *b)
{
	state_set_str(n->name, sizeof(n->name), b->name);
	state_set_str(n->direct, sizeof(n->direct), b->direct);
	memcpy(n->sign, b->sign, 32);
	memcpy(n->kem, b->kem, 32);
	memcpy(n->server_sign, b->server_sign, 32);
	memcpy(n->server_kem, b->server_kem, 32);
	n->n_addr = b->addrs.n;
	for (u32 i = 0; i < b->addrs.n; i++) {
		n->addr[i].len = (u8)b->addrs.v[i].n;
		memcpy(n->addr[i].bytes, b->addrs.v[i].p, b->addrs.v[i].n);
	}
	n->status = NODE_BOUND;
}

/* --- ENROL -------------------------------------------------------------------------------------------- */

static struct state_token *token_find(const struct state *s, const u8 id[16])
{
	for (u32 i = 0; i < s->n_token; i++)
		if (!memcmp(s->token[i].id, id, 16))
			return (struct state_token *)&s->token[i];
	return NULL;
}

static int enrol_token_ok(struct judged *j, const struct state_token *t)
{
	if (!t)
		return err_set(j->err, -DSI_EAUTH, "no such token");
	if (t->used)
		return err_set(j->err, -DSI_EREPLAY, "the token was used already");
	if (t->expires_ms < j->wall_ms)
		return err_set(j->err, -DSI_EEXPIRED, "the token has expired");
	return 0;
}

static int enrol_granted(struct judged *j, const struct state_token *t)
{
	if (strcmp(t->name, j->node.name))
		return err_set(j->err, -DSI_EAUTH, "the token is for %s, not for %s", t->name, j->node.name);
	if (j->node.roles & ~t->roles)
		return err_set(j->err, -DSI_EAUTH, "the node asks for roles (%#x) that its token (%#x) does not grant",
			       j->node.roles, t->roles);
	return 0;
}

/* The token's key: the operator meant this node; the new key: it is held; the exporter in both: they were said in
 * the session that brought them. The description is parsed only once the token's key vouches for it. */
static int enrol_signatures_ok(struct judged *j, const struct state_token *t)
{
	const struct body_e_enrol *q = &j->entry.enrol;
	struct wbuf w;
	int rc;

	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = statement_enrol_bytes(q->exporter, q->token, q->node.p, q->node.n, &w);
	if (!rc)
		rc = crypto_verify(t->pub, SIGN_ENROL, w.data, w.len, q->token_sig);
	if (rc)
		err_set(j->err, rc, "the token's signature: %s", err_text(rc));
	if (!rc)
		rc = enrol_node_decode(j, &q->node);
	if (!rc) {
		rc = crypto_verify(j->node.sign, SIGN_ENROL, w.data, w.len, q->node_sig);
		if (rc)
			err_set(j->err, rc, "the node key's signature: %s", err_text(rc));
	}
	wbuf_fini(&w);
	return rc;
}

static int enrol_limits_ok(struct judged *j)
{
	u32 live = 0;

	for (u32 i = 0; i < j->s->n_node; i++)
		live += j->s->node[i].status == NODE_BOUND || j->s->node[i].status == NODE_SUSPENDED;
	if (live >= LIM_NODES)
		return err_set(j->err, -DSI_ELIMIT, "there are %d members already, the most there can be", LIM_NODES);
	if (j->node.roles & NODE_SERVER && j->s->n_server >= LIM_SERVERS)
		return err_set(j->err, -DSI_ELIMIT, "there are %d servers already, the most there can be", LIM_SERVERS);
	return 0;
}

int enrol_check(struct judged *j)
{
	const struct body_e_enrol *q = &j->entry.enrol;
	const struct state_token *t = token_find(j->s, q->token);
	int rc;

	rc = enrol_token_ok(j, t);
	if (rc)
		return rc;
	if (j->e ? q->nid != j->s->next_nid : q->nid != 0)
		return err_set(j->err, -DSI_ECONFLICT, "node number %u, but the next is %u", q->nid, j->s->next_nid);
	rc = enrol_signatures_ok(j, t);
	if (!rc)
		rc = enrol_granted(j, t);
	if (!rc)
		rc = enrol_node_check(j);
	return rc ? rc : enrol_limits_ok(j);
}

u32 enrol_about(const struct judged *j)
{
	return j->entry.enrol.nid;
}

void enrol_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	struct state_node *before = (struct state_node *)state_node_last_named(s, j->node.name);
	struct state_node *n = &s->node[s->n_node++];
	struct state_token *t = token_find(s, j->entry.enrol.token);

	if (before)
		before->readmitted = false;
	memset(n, 0, sizeof(*n));
	enrol_node_fill(n, &j->node);
	n->nid = s->next_nid++;
	n->granted = j->node.roles;
	n->roles = j->node.roles & ~(u32)NODE_VOTER; /* a learner until VOTER_ADD */
	n->enrolled_at = j->e->index;
	memcpy(n->token, t->id, sizeof(n->token));
	t->used = true;
	ret->changed = CHANGED_NODES | CHANGED_TOKENS;
	if (n->roles & NODE_SERVER) {
		s->server_order[s->n_server++] = n->nid;
		ret->changed |= CHANGED_SERVERS;
	}
}

/* --- READMIT ------------------------------------------------------------------------------------------ */

int readmit_check(struct judged *j)
{
	const struct state_node *n;
	int rc = node_op_node(j, &n);

	if (rc)
		return rc;
	if (n->status != NODE_REVOKED)
		return err_set(j->err, -DSI_ENOENT, "%s (node %u) is not revoked", n->name, n->nid);
	if (state_node_last_named(j->s, n->name) != n)
		return err_set(j->err, -DSI_EEXIST, "%s was enrolled again since, as node %u", n->name,
			       state_node_last_named(j->s, n->name)->nid);
	if (n->readmitted)
		return err_set(j->err, -DSI_EEXIST, "%s is readmitted already: make a token (dsi-admin join-token %s)", n->name,
			       n->name);
	return 0;
}

void readmit_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	state_node_mut(s, node_op_about(j))->readmitted = true;
	ret->changed = CHANGED_NODES;
}
