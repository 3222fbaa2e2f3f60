/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a node leaves: verdict, withdrawal, planned removal; and how a server loses its office. Core.
 *
 * Invariant: what is REVOKED or REMOVED stays so; from the entry's index on such a node is in no voter set and no
 * server order, and open tokens for its name are void.
 */
#include <string.h>

#include "gcs/state_impl.h"

u32 node_op_about(const struct judged *j)
{
	return j->said.node_op.nid;
}

u32 verdict_about(const struct judged *j)
{
	return j->said.verdict.nid;
}

/* People mean names; numbers are what is never reused. A statement carries both, so neither can drift. */
static int node_meant(struct judged *j, u32 nid, const char *name, const struct state_node **ret)
{
	const struct state_node *n = state_node(j->s, nid);

	if (!n)
		return err_set(j->err, -DSI_ENOENT, "no node has the number %u", nid);
	if (strcmp(n->name, name))
		return err_set(j->err, -DSI_EINVAL, "node %u is %s, not %s", nid, n->name, name);
	*ret = n;
	return 0;
}

int node_op_node(struct judged *j, const struct state_node **ret)
{
	return node_meant(j, j->said.node_op.nid, j->said.node_op.name, ret);
}

static int last_server(struct judged *j, const struct state_node *n, const char *verb)
{
	if (servers_usable(j->s, 0) != servers_usable(j->s, n->nid) && !servers_usable(j->s, n->nid))
		return err_set(j->err, -DSI_ENOTSAFE, "%s %s: it hosts the last security server, nobody could order anything "
			       "after it: enroll another server first: refused", verb, n->name);
	return 0;
}

void tokens_void(struct state *s, const char *name)
{
	for (u32 i = 0; i < s->n_token; i++)
		if (!strcmp(s->token[i].name, name))
			s->token[i].used = true;
}

static u32 leave(struct state *s, struct state_node *n, enum node_status status, const char *reason, u64 index)
{
	u32 changed = CHANGED_NODES;

	if (voters_have(voters_now(s), n->nid)) {
		voters_remove(s, n->nid, index);
		changed |= CHANGED_VOTERS;
	}
	if (servers_usable(s, 0) != servers_usable(s, n->nid)) {
		servers_remove(s, n->nid);
		changed |= CHANGED_SERVERS;
	}
	tokens_void(s, n->name);
	n->status = status;
	state_set_str(n->reason, sizeof(n->reason), reason);
	return changed;
}

/* --- VERDICT ------------------------------------------------------------------------------------------ */

int verdict_check(struct judged *j)
{
	const struct body_s_verdict *v = &j->said.verdict;
	const struct wraps w = { j->entry.verdict.keygen, &j->entry.verdict.wraps };
	const struct state_node *n = NULL;
	int rc = node_meant(j, v->nid, v->name, &n);

	if (rc)
		return rc;
	if (n->status == NODE_REVOKED)
		return err_set(j->err, -DSI_EREVOKED, "%s (node %u) is revoked already, since entry %llu: %s", n->name, n->nid,
			       (unsigned long long)n->verdict_at, n->reason);
	if (n->status == NODE_REMOVED)
		return err_set(j->err, -DSI_ENOENT, "%s (node %u) left the cluster: its keys are dead already", n->name, n->nid);
	if (n->status == NODE_SUSPENDED && v->until_ms)
		return err_set(j->err, -DSI_EEXIST, "%s is suspended already", n->name);
	if (v->until_ms && v->until_ms <= j->wall_ms)
		return err_set(j->err, -DSI_EEXPIRED, "the suspension would be over already");
	if (v->flags & ~(u32)(VERDICT_KEEP_ON_RING | VERDICT_FENCE))
		return err_set(j->err, -DSI_EVERSION, "unknown verdict flags %#x", v->flags);
	rc = voters_check_without(j, n->nid, "revoke");
	if (!rc)
		rc = last_server(j, n, "revoke");
	return rc ? rc : wraps_judge(j, &w, n->nid);
}

int verdict_live(struct judged *j, const u32 *live, u32 n)
{
	return voters_live_verdict(j, j->said.verdict.nid, live, n);
}

void verdict_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	const struct body_s_verdict *v = &j->said.verdict;
	struct state_node *n = state_node_mut(s, v->nid);

	ret->changed = CHANGED_VERDICT | leave(s, n, v->until_ms ? NODE_SUSPENDED : NODE_REVOKED, v->reason, j->e->index);
	n->suspended_until_ms = v->until_ms;
	n->verdict_at = j->e->index;
	n->verdict_flags = v->flags;
	s->last_verdict = j->e->index;
	if (!j->take_key)
		return;
	s->keygen = j->entry.verdict.keygen;
	s->keygen_index = j->e->index;
	ret->changed |= CHANGED_KEY;
}

/* --- WITHDRAW ----------------------------------------------------------------------------------------- */

/* Also of a bound node: a suspension that began at delivery and whose entry never came ends like this. */
int withdraw_check(struct judged *j)
{
	const struct state_node *n;
	int rc = node_op_node(j, &n);

	if (rc)
		return rc;
	if (n->status == NODE_REVOKED)
		return err_set(j->err, -DSI_EREVOKED, "%s (node %u) is revoked, which is final: readmit it (dsi-admin readmit-node %s)",
			       n->name, n->nid, n->name);
	if (n->status == NODE_REMOVED)
		return err_set(j->err, -DSI_ENOENT, "%s (node %u) left the cluster", n->name, n->nid);
	return 0;
}

/* Its vote comes back by a VOTER_ADD of its own, its rank at the end. */
static void suspension_end(struct state *s, struct state_node *n, struct state_result *ret)
{
	ret->changed |= CHANGED_VERDICT | CHANGED_NODES;
	n->status = NODE_BOUND;
	n->suspended_until_ms = 0;
	n->verdict_at = 0;
	n->verdict_flags = 0;
	memset(n->reason, 0, sizeof(n->reason));
	if (n->roles & NODE_SERVER && !n->deposed && s->n_server < LIM_SERVERS) {
		s->server_order[s->n_server++] = n->nid;
		ret->changed |= CHANGED_SERVERS;
	}
}

void withdraw_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	struct state_node *n = state_node_mut(s, node_op_about(j));

	ret->changed = CHANGED_VERDICT | CHANGED_NODES;
	if (n->status == NODE_SUSPENDED)
		suspension_end(s, n, ret);
}

static bool suspension_over(const struct state_node *n, u64 wall_ms)
{
	return n->status == NODE_SUSPENDED && n->suspended_until_ms && n->suspended_until_ms <= wall_ms;
}

bool state_suspension_over(const struct state *s, u64 wall_ms)
{
	for (u32 i = 0; i < s->n_node; i++)
		if (suspension_over(&s->node[i], wall_ms))
			return true;
	return false;
}

void suspensions_end(struct state *s, u64 wall_ms, struct state_result *ret)
{
	for (u32 i = 0; i < s->n_node; i++)
		if (suspension_over(&s->node[i], wall_ms))
			suspension_end(s, &s->node[i], ret);
}

/* --- REMOVE, DEPOSE ----------------------------------------------------------------------------------- */

int remove_check(struct judged *j)
{
	const struct state_node *n;
	int rc = node_op_node(j, &n);

	if (rc)
		return rc;
	if (n->status == NODE_SUSPENDED)
		return err_set(j->err, -DSI_ENOTSAFE, "%s is suspended: revoke it, or withdraw the verdict first", n->name);
	if (n->status != NODE_BOUND)
		return err_set(j->err, -DSI_ENOENT, "%s (node %u) is no member any more", n->name, n->nid);
	rc = voters_check_without(j, n->nid, "remove");
	return rc ? rc : last_server(j, n, "remove");
}

void remove_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	struct state_node *n = state_node_mut(s, node_op_about(j));

	ret->changed = leave(s, n, NODE_REMOVED, j->said.node_op.reason, j->e->index);
}

int depose_check(struct judged *j)
{
	const struct state_node *n;
	int rc = node_op_node(j, &n);

	if (rc)
		return rc;
	if (n->status != NODE_BOUND || !(n->granted & NODE_SERVER))
		return err_set(j->err, -DSI_ENOENT, "%s hosts no security server", n->name);
	if (n->deposed)
		return err_set(j->err, -DSI_EEXIST, "the server on %s is deposed already", n->name);
	return last_server(j, n, "depose");
}

void depose_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	struct state_node *n = state_node_mut(s, node_op_about(j));

	n->deposed = true;
	servers_remove(s, n->nid);
	ret->changed = CHANGED_SERVERS | CHANGED_NODES;
}
