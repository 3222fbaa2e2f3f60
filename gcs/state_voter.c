/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Voters and servers as the log has them, and the arithmetic of what may be taken away. Core.
 *
 * Invariant: the voter set is ascending, never empty after GENESIS, and holds bound nodes with NODE_VOTER only;
 * the server order holds bound nodes that are not deposed only, and never becomes empty by a statement.
 */
#include <string.h>

#include "gcs/state_impl.h"

const struct order_voters *voters_now(const struct state *s)
{
	return &s->voters[0];
}

bool voters_have(const struct order_voters *v, u32 nid)
{
	for (u32 i = 0; i < v->n; i++)
		if (v->nid[i] == nid)
			return true;
	return false;
}

u32 state_majority(const struct state *s)
{
	return voters_now(s)->n / 2 + 1;
}

void voters_add(struct state *s, u32 nid, u64 index)
{
	struct order_voters *v = &s->voters[0];
	u32 i = v->n++;

	for (; i > 0 && v->nid[i - 1] > nid; i--)
		v->nid[i] = v->nid[i - 1];
	v->nid[i] = nid;
	v->index = index;
	s->n_voters = 1;
	state_node_mut(s, nid)->roles |= NODE_VOTER;
	state_node_mut(s, nid)->granted |= NODE_VOTER;
}

void voters_remove(struct state *s, u32 nid, u64 index)
{
	struct order_voters *v = &s->voters[0];
	u32 n = 0;

	if (!voters_have(v, nid))
		return;
	for (u32 i = 0; i < v->n; i++)
		if (v->nid[i] != nid)
			v->nid[n++] = v->nid[i];
	memset(&v->nid[n], 0, (v->n - n) * sizeof(v->nid[0]));
	v->n = n;
	v->index = index;
	state_node_mut(s, nid)->roles &= ~(u32)NODE_VOTER;
}

u32 servers_usable(const struct state *s, u32 except)
{
	u32 n = 0;

	for (u32 i = 0; i < s->n_server; i++)
		n += s->server_order[i] != except;
	return n;
}

void servers_remove(struct state *s, u32 nid)
{
	u32 n = 0;

	for (u32 i = 0; i < s->n_server; i++)
		if (s->server_order[i] != nid)
			s->server_order[n++] = s->server_order[i];
	memset(&s->server_order[n], 0, (s->n_server - n) * sizeof(s->server_order[0]));
	s->n_server = n;
}

/* --- what may be taken away --------------------------------------------------------------------------- */

int voters_check_without(struct judged *j, u32 nid, const char *verb)
{
	const struct order_voters *v = voters_now(j->s);
	const struct state_node *n = state_node(j->s, nid);

	if (v->n == 1 && voters_have(v, nid))
		return err_set(j->err, -DSI_ENOTSAFE, "%s %s: it is the only voter, nothing could be decided without it: refused",
			       verb, n->name);
	return 0;
}

static u32 count_live(const struct order_voters *v, u32 except, const u32 *live, u32 n_live)
{
	u32 n = 0;

	for (u32 i = 0; i < v->n; i++)
		for (u32 k = 0; k < n_live; k++)
			if (v->nid[i] == live[k] && live[k] != except) {
				n++;
				break;
			}
	return n;
}

/* DESIGN §4: "too few votes" = live voters other than the target < majority of the old set. */
int voters_live_verdict(struct judged *j, u32 nid, const u32 *live, u32 n_live)
{
	const struct order_voters *v = voters_now(j->s);
	u32 others = count_live(v, nid, live, n_live), majority = state_majority(j->s);
	const char *name = state_node(j->s, nid)->name;

	if (!voters_have(v, nid) ? count_live(v, 0, live, n_live) >= majority : others >= majority)
		return 0;
	if (!voters_have(v, nid))
		return err_set(j->err, -DSI_EQUORUM, "revoke %s: %u of %u voters are present; a majority is %u: refused", name,
			       others, v->n, majority);
	if (v->n == 2)
		return err_set(j->err, -DSI_ENOTSAFE,
			       "revoke %s: it is one of 2 voters and both must agree to a change: it is suspended, but this "
			       "cannot become final; to go on without it, with the root key: "
			       "dsi-admin cluster reform --root-key FILE --voters %s --force",
			       name, state_node(j->s, v->nid[v->nid[0] == nid])->name);
	return err_set(j->err, -DSI_EQUORUM,
		       "revoke %s: would leave %u live voter%s besides the target; a majority of the present %u is %u: refused",
		       name, others, others == 1 ? "" : "s", v->n, majority);
}

/* A planned change: the old set (with the node, it is honest) and the new set must each have a majority present. */
int voters_live_change(struct judged *j, u32 nid, bool add, const u32 *live, u32 n_live)
{
	const struct order_voters *v = voters_now(j->s);
	u32 now = count_live(v, 0, live, n_live), majority = state_majority(j->s);
	u32 after = count_live(v, nid, live, n_live), size = add ? v->n + 1 : v->n - 1;
	const char *name = state_node(j->s, nid)->name;

	for (u32 k = 0; add && k < n_live; k++)
		if (live[k] == nid) {
			after++;
			break;
		}
	if (now < majority)
		return err_set(j->err, -DSI_EQUORUM, "%s: %u of %u voters are present; a majority is %u: refused", name, now, v->n,
			       majority);
	if (after < size / 2 + 1)
		return err_set(j->err, -DSI_EQUORUM, "%s: %u of the %u voters there would be are present; a majority is %u: refused",
			       name, after, size, size / 2 + 1);
	return 0;
}

/* --- VOTER_ADD, VOTER_REMOVE -------------------------------------------------------------------------- */

u32 voter_add_about(const struct judged *j)
{
	return j->has_statement ? j->said.node_op.nid : j->entry.voter.nid;
}

/* Nobody signed this one: the token with which the node enrolled must have granted a vote that was not taken
 * back since. */
static int voter_by_token(struct judged *j, const struct state_node *n)
{
	static const u8 none[16];

	if (!(n->granted & NODE_VOTER) || !memcmp(n->token, none, sizeof(none)))
		return err_set(j->err, -DSI_EAUTH, "nobody granted %s a vote: an operator must sign it", n->name);
	if (memcmp(n->token, j->entry.voter.token, sizeof(n->token)))
		return err_set(j->err, -DSI_EAUTH, "%s did not enrol with the token that is cited", n->name);
	return 0;
}

int voter_add_check(struct judged *j)
{
	const struct state_node *n;
	int rc;

	if (j->has_statement) {
		rc = node_op_node(j, &n);
		if (rc)
			return rc;
	} else {
		n = state_node(j->s, j->entry.voter.nid);
		if (!n)
			return err_set(j->err, -DSI_ENOENT, "no node has the number %u", j->entry.voter.nid);
		rc = voter_by_token(j, n);
		if (rc)
			return rc;
	}
	if (n->status != NODE_BOUND)
		return err_set(j->err, -DSI_EREVOKED, "%s is no live member", n->name);
	if (voters_have(voters_now(j->s), n->nid))
		return err_set(j->err, -DSI_EEXIST, "%s is a voter already", n->name);
	if (voters_now(j->s)->n >= LIM_VOTERS)
		return err_set(j->err, -DSI_ELIMIT, "there are %d voters already, the most there can be", LIM_VOTERS);
	return 0;
}

int voter_add_live(struct judged *j, const u32 *live, u32 n)
{
	return voters_live_change(j, voter_add_about(j), true, live, n);
}

void voter_add_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	voters_add(s, voter_add_about(j), j->e->index);
	ret->changed = CHANGED_VOTERS | CHANGED_NODES;
}

int voter_remove_check(struct judged *j)
{
	const struct state_node *n;
	int rc = node_op_node(j, &n);

	if (rc)
		return rc;
	if (!voters_have(voters_now(j->s), n->nid))
		return err_set(j->err, -DSI_ENOENT, "%s is no voter", n->name);
	return voters_check_without(j, n->nid, "take the vote of");
}

/* Also REMOVE's: a node without a vote only needs the majority that commits anything. */
int voter_remove_live(struct judged *j, const u32 *live, u32 n)
{
	u32 nid = node_op_about(j);

	if (voters_have(voters_now(j->s), nid))
		return voters_live_change(j, nid, false, live, n);
	return 0;
}

void voter_remove_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	struct state_node *n = state_node_mut(s, node_op_about(j));

	voters_remove(s, n->nid, j->e->index);
	n->granted &= ~(u32)NODE_VOTER; /* no server may give it back by itself */
	ret->changed = CHANGED_VOTERS | CHANGED_NODES;
}
