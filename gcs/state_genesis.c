/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generations: the first, and the new one that the root signs when a majority is gone. Core.
 *
 * Invariant: after GENESIS there is a root, an operator, a voter and a server; after REFORM nobody who was dead
 * in any log that the root saw is alive, and no NID or key of his comes again.
 */
#include <string.h>

#include "gcs/state_impl.h"

/* --- GENESIS ------------------------------------------------------------------------------------------ */

static int operator_ok(struct judged *j, const struct body_operator *o)
{
	const char *name = o->name;

	if (!name[0] || !o->roles || o->roles & ~(u32)OP_ALL)
		return err_set(j->err, -DSI_EINVAL, "an operator needs a name and roles");
	for (; *name; name++)
		if (*name <= ' ' || *name > '~')
			return err_set(j->err, -DSI_EINVAL, "operator names are printable, without blanks");
	if (state_key_zero(o->pub) || !memcmp(o->pub, j->said.genesis.root, 32))
		return err_set(j->err, -DSI_EINVAL, "operator %s: a key of its own, not the root's", o->name);
	return 0;
}

static int operators_ok(struct judged *j)
{
	const struct blobs *list = &j->said.genesis.operators;
	struct body_operator *o;

	if (!list->n || list->n > LIM_OPERATORS)
		return err_set(j->err, -DSI_EINVAL, "%u operators: 1 to %d", list->n, LIM_OPERATORS);
	o = j->ops = arena_array(&j->arena, list->n, sizeof(*o));
	if (!o)
		return err_set(j->err, -DSI_ENOMEM, "operators");
	for (u32 i = 0; i < list->n; i++) {
		int rc = body_decode(&schema_operator, list->v[i].p, list->v[i].n, &o[i], &j->arena);

		if (rc)
			return err_set(j->err, rc, "operator %u: %s", i + 1, err_text(rc));
		rc = operator_ok(j, &o[i]);
		if (rc)
			return rc;
		for (u32 k = 0; k < i; k++)
			if (!memcmp(o[k].pub, o[i].pub, 32) || !strcmp(o[k].name, o[i].name))
				return err_set(j->err, -DSI_EEXIST, "operator %s is listed twice", o[i].name);
	}
	return 0;
}

/* Entry 1 vouches for itself: the root signed the node that signed the entry. */
static int genesis_author_ok(struct judged *j)
{
	const struct entry *e = j->e;
	int rc;

	if (!e)
		return err_set(j->err, -DSI_EINVAL, "GENESIS only comes as an entry");
	if (e->index != 1 || e->generation != 1 || e->term != 0 || e->author_nid != 1 || e->author_role != ROLE_SERVER ||
	    memcmp(e->cluster, j->st.cluster, sizeof(e->cluster)) || !state_key_zero(e->prev))
		return err_set(j->err, -DSI_EINVAL, "GENESIS is entry 1 of generation 1, term 0, by node 1");
	rc = crypto_verify(j->node.server_sign, SIGN_ENTRY, e->hash, sizeof(e->hash), e->sig);
	return rc ? err_set(j->err, rc, "author's signature: %s", err_text(rc)) : 0;
}

int genesis_row_check(struct judged *j)
{
	const struct body_s_genesis *g = &j->said.genesis;
	int rc;

	if (j->s->applied)
		return err_set(j->err, -DSI_EEXIST, "there is a cluster already");
	if (!statement_name_ok(g->cluster))
		return err_set(j->err, -DSI_EINVAL, "\"%s\" is no cluster name: lower case letters, digits and '-' inside", g->cluster);
	rc = operators_ok(j);
	if (!rc)
		rc = enrol_node_decode(j, &g->node);
	if (!rc)
		rc = genesis_author_ok(j);
	if (!rc)
		rc = enrol_node_check(j);
	if (!rc && (j->node.roles & (NODE_VOTER | NODE_SERVER)) != (NODE_VOTER | NODE_SERVER))
		rc = err_set(j->err, -DSI_EINVAL, "the first node must be voter and server");
	return rc;
}

static void genesis_operators(struct state *s, const struct judged *j)
{
	s->n_op = j->said.genesis.operators.n;
	for (u32 i = 0; i < s->n_op; i++) {
		state_set_str(s->op[i].name, sizeof(s->op[i].name), j->ops[i].name);
		memcpy(s->op[i].pub, j->ops[i].pub, sizeof(s->op[i].pub));
		s->op[i].roles = j->ops[i].roles;
	}
}

void genesis_row_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	struct state_node *n = &s->node[0];

	genesis_operators(s, j);
	memcpy(s->cluster, j->st.cluster, sizeof(s->cluster));
	memcpy(s->root, j->said.genesis.root, sizeof(s->root));
	state_set_str(s->name, sizeof(s->name), j->said.genesis.cluster);
	s->generation = 1;
	enrol_node_fill(n, &j->node);
	n->nid = 1;
	n->roles = n->granted = j->node.roles;
	n->enrolled_at = 1;
	s->n_node = 1;
	s->next_nid = 2;
	voters_add(s, 1, 1);
	s->server_order[0] = 1;
	s->n_server = 1;
	ret->nid = 1;
	ret->changed = CHANGED_NODES | CHANGED_VOTERS | CHANGED_SERVERS;
}

/* --- REFORM ------------------------------------------------------------------------------------------- */

struct nid_list {
	u32 n, nid[LIM_VOTERS];
};
_Static_assert(LIM_SERVERS <= LIM_VOTERS, "a nid_list holds either");

static int nid_list(struct judged *j, const struct blob *b, u32 max, const char *what, struct nid_list *ret)
{
	struct rbuf r;

	if (!b->n || b->n % 4 || b->n / 4 > max)
		return err_set(j->err, -DSI_EINVAL, "reform: 1 to %u %s", max, what);
	rbuf_init(&r, b->p, b->n);
	ret->n = (u32)(b->n / 4);
	for (u32 i = 0; i < ret->n; i++) {
		ret->nid[i] = rbuf_u32(&r);
		if (!state_nid_live(j->s, ret->nid[i]))
			return err_set(j->err, -DSI_ENOENT, "reform: node %u (%s) is no live member at the base", ret->nid[i], what);
		for (u32 k = 0; k < i; k++)
			if (ret->nid[k] == ret->nid[i])
				return err_set(j->err, -DSI_EINVAL, "reform: node %u twice in %s", ret->nid[i], what);
	}
	return 0;
}

static bool nid_listed(const struct nid_list *l, u32 nid)
{
	for (u32 i = 0; i < l->n; i++)
		if (l->nid[i] == nid)
			return true;
	return false;
}

static int dead_ok(struct judged *j, const struct body_dead *d, u32 *last)
{
	const struct state_node *n = state_node(j->s, d->nid);

	if (d->nid <= *last || d->nid >= j->said.reform.next_nid || (d->status != NODE_REVOKED && d->status != NODE_REMOVED))
		return err_set(j->err, -DSI_EINVAL, "reform: the dead are not in order");
	if (n && (strcmp(n->name, d->name) || memcmp(n->sign, d->sign, 32)))
		return err_set(j->err, -DSI_ECONFLICT, "reform: node %u is %s, not %s", d->nid, n->name, d->name);
	if (!n && (d->nid < j->s->next_nid || !statement_name_ok(d->name) || state_key_zero(d->sign)))
		return err_set(j->err, -DSI_EINVAL, "reform: node %u is unknown at the base", d->nid);
	*last = d->nid;
	return 0;
}

static int dead_list(struct judged *j, const struct nid_list *voters, const struct nid_list *servers)
{
	const struct blobs *list = &j->said.reform.dead;
	u32 last = 0;

	if (list->n >= LIM_NIDS - j->s->n_node)
		return err_set(j->err, -DSI_ELIMIT, "reform: %u dead", list->n);
	j->dead = arena_array(&j->arena, (size_t)list->n + 1, sizeof(*j->dead));
	if (!j->dead)
		return err_set(j->err, -DSI_ENOMEM, "reform");
	for (u32 i = 0; i < list->n; i++) {
		const struct body_dead *d = &j->dead[i];
		int rc = body_decode(&schema_dead, list->v[i].p, list->v[i].n, &j->dead[i], &j->arena);

		if (rc)
			return err_set(j->err, rc, "reform: dead node %u: %s", i + 1, err_text(rc));
		rc = dead_ok(j, d, &last);
		if (rc)
			return rc;
		if (nid_listed(voters, d->nid) || nid_listed(servers, d->nid))
			return err_set(j->err, -DSI_EREVOKED, "reform: %s is dead and cannot be voter or server", d->name);
	}
	return 0;
}

static int reform_servers_ok(struct judged *j, const struct nid_list *servers)
{
	for (u32 i = 0; i < servers->n; i++) {
		const struct state_node *n = state_node(j->s, servers->nid[i]);

		if (n->deposed || state_key_zero(n->server_sign))
			return err_set(j->err, -DSI_EREVOKED, "reform: %s hosts no server in office", n->name);
	}
	return 0;
}

/* One statement, one entry: nothing in it is anybody's choice, or two who take the same reform in had two histories. */
static int reform_entry_ok(struct judged *j, const struct nid_list *servers)
{
	const struct body_s_reform *f = &j->said.reform;
	const struct entry *e = j->e;

	if (memcmp(e->prev, f->base_hash, CRYPTO_HASH))
		return err_set(j->err, -DSI_ECONFLICT, "reform on another log");
	if (memcmp(e->sig, j->st.sig, CRYPTO_SIG))
		return err_set(j->err, -DSI_ESIG, "reform: the entry's signature is not the root's");
	if (e->generation != f->new_generation || e->term != j->s->term || e->author_role != ROLE_SERVER ||
	    e->author_nid != servers->nid[0] || e->wall_ms != j->st.base ||
	    memcmp(e->cluster, j->st.cluster, sizeof(e->cluster)))
		return err_set(j->err, -DSI_EINVAL, "reform: not the entry that its statement becomes");
	return 0;
}

int reform_check(struct judged *j)
{
	const struct body_s_reform *f = &j->said.reform;
	struct nid_list voters, servers;
	int rc;

	if (f->new_generation <= j->s->generation)
		return err_set(j->err, -DSI_ESTALE, "reform to generation %u, but generation %u is in force: the root must sign a "
			       "higher one", f->new_generation, j->s->generation);
	if (f->base_index != j->s->applied)
		return err_set(j->err, -DSI_ECONFLICT, "reform on entry %llu, but this log is at %llu",
			       (unsigned long long)f->base_index, (unsigned long long)j->s->applied);
	if (f->next_nid < j->s->next_nid || f->next_nid > LIM_NIDS)
		return err_set(j->err, -DSI_EINVAL, "reform: next node number %u, but %u is", f->next_nid, j->s->next_nid);
	rc = nid_list(j, &f->voters, LIM_VOTERS, "voters", &voters);
	if (!rc)
		rc = nid_list(j, &f->servers, LIM_SERVERS, "servers", &servers);
	if (!rc)
		rc = reform_servers_ok(j, &servers);
	if (!rc && j->e)
		rc = reform_entry_ok(j, &servers);
	return rc ? rc : dead_list(j, &voters, &servers);
}

static void bury(struct state *s, const struct body_dead *d, u64 index)
{
	struct state_node *n = state_node_mut(s, d->nid);

	if (!n) {
		n = &s->node[s->n_node++]; /* numbers above all known ones, ascending: dead_ok() */
		memset(n, 0, sizeof(*n));
		n->nid = d->nid;
		state_set_str(n->name, sizeof(n->name), d->name);
		memcpy(n->sign, d->sign, 32);
		memcpy(n->kem, d->kem, 32);
		memcpy(n->server_sign, d->server_sign, 32);
		memcpy(n->server_kem, d->server_kem, 32);
	} else if (n->status == NODE_REVOKED || n->status == NODE_REMOVED) {
		return;
	}
	n->status = d->status;
	n->roles &= ~(u32)NODE_VOTER;
	state_set_str(n->reason, sizeof(n->reason), d->reason);
	if (d->status != NODE_REVOKED)
		return;
	tokens_void(s, n->name);
	n->verdict_flags = VERDICT_KEEP_ON_RING; /* no key comes with it; the next verdict that expels takes it off too */
	n->verdict_at = index;
	s->last_verdict = index;
}

static void reform_voters(struct state *s, const struct blob *b, u64 index)
{
	struct rbuf r;

	/* Who is not named follows when it comes back; only an operator gives it a vote again. */
	for (u32 i = 0; i < s->n_node; i++) {
		s->node[i].roles &= ~(u32)NODE_VOTER;
		s->node[i].granted &= ~(u32)NODE_VOTER;
	}
	memset(s->voters, 0, sizeof(s->voters));
	rbuf_init(&r, b->p, b->n);
	while (rbuf_left(&r))
		voters_add(s, rbuf_u32(&r), index);
}

static void reform_servers(struct state *s, const struct blob *b)
{
	struct rbuf r;

	memset(s->server_order, 0, sizeof(s->server_order));
	s->n_server = 0;
	rbuf_init(&r, b->p, b->n);
	while (rbuf_left(&r))
		s->server_order[s->n_server++] = rbuf_u32(&r);
}

void reform_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	const struct body_s_reform *f = &j->said.reform;

	s->generation = f->new_generation;
	s->next_nid = f->next_nid;
	s->active_nid = j->e->author_nid;
	s->term = MAX(s->term, j->e->term);
	for (u32 i = 0; i < f->dead.n; i++)
		bury(s, &j->dead[i], j->e->index);
	reform_voters(s, &f->voters, j->e->index);
	reform_servers(s, &f->servers);
	ret->changed = CHANGED_NODES | CHANGED_VOTERS | CHANGED_SERVERS | CHANGED_VERDICT | CHANGED_TERM;
}
