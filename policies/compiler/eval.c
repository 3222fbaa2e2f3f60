/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The naive evaluator. Slow and obvious on purpose; must never be made to share code with expand.c. Works
 * on a checked policy (declarations known), ignores what check prepared (flat sets, classes).
 */
#include <string.h>

#include "policies/compiler/eval.h"

static bool same(const struct symbol *s, const char *name)
{
	return !strcmp(s->text, name);
}

/* Is `name` what sym says: itself, or a member of the set? */
static bool names(const struct symbol *sym, const char *name, int depth)
{
	if (!sym->set)
		return same(sym, name);
	for (u32 i = 0; depth < POLICY_SET_DEPTH_MAX && i < sym->set->n_members; i++)
		if (names(sym->set->members[i].sym, name, depth + 1))
			return true;
	return false;
}

static bool node_in(const struct symbol *group, const char *node)
{
	for (u32 i = 0; i < group->group->n_nodes; i++)
		if (same(group->group->nodes[i].sym, node))
			return true;
	return false;
}

static bool at_holds(const struct term *t, const char *node)
{
	return !t->group || node_in(t->group, node);
}

static bool on_holds(const struct rule *r, const char *node)
{
	return !r->on.sym || node_in(r->on.sym, node);
}

static bool subject_is(const struct term *t, const char *name)
{
	return t->name.sym && names(t->name.sym, name, 0);
}

static bool target_is(const struct term *t, const char *subject, const char *name)
{
	return names(t->name.sym, name, 0) || (!strcmp(subject, name) && names(t->name.sym, "self", 0));
}

/* Does the set hold anything but `outside`? (a member to connect to) */
static bool names_a_domain(const struct symbol *sym, int depth)
{
	if (!sym->set)
		return strcmp(sym->text, "outside") != 0;
	for (u32 i = 0; depth < POLICY_SET_DEPTH_MAX && i < sym->set->n_members; i++)
		if (names_a_domain(sym->set->members[i].sym, depth + 1))
			return true;
	return false;
}

static bool port_in(const struct rule *r, u32 port)
{
	for (u32 i = 0; i < r->n_ports; i++)
		if (r->ports[i].first <= port && port <= r->ports[i].last)
			return true;
	return !r->n_ports;
}

/* The source's own decision: is there any target that this rule lets it reach where the peer is? */
static bool connect_pair(const struct rule *r, const struct term *s, const struct term *t, const struct eval_query *q)
{
	if (!subject_is(s, q->subject))
		return false;
	switch (q->where) {
	case EVAL_LOCAL:
		if (!names_a_domain(t->name.sym, 0))
			return false;
		return s->at && t->at ? at_holds(s, q->own) && at_holds(t, q->own)
				      : !s->at && !t->at && on_holds(r, q->own);
	case EVAL_OUTSIDE:
		return names(t->name.sym, "outside", 0) && on_holds(r, q->own) && at_holds(s, q->own);
	case EVAL_MEMBER:
		return names_a_domain(t->name.sym, 0) && s->at && t->at && at_holds(s, q->own) && at_holds(t, q->other);
	}
	return false;
}

/* The target's decision: may this subject, from there, come in? */
static bool accept_pair(const struct rule *r, const struct term *s, const struct term *t, const struct eval_query *q)
{
	bool remote = !strcmp(q->subject, "outside") || !strcmp(q->subject, "stale");

	if (!subject_is(s, q->subject) || !target_is(t, q->subject, q->target))
		return false;
	if (remote)
		return q->where == (strcmp(q->subject, "stale") ? EVAL_OUTSIDE : EVAL_MEMBER) && on_holds(r, q->own) &&
		       at_holds(t, q->own);
	switch (q->where) {
	case EVAL_LOCAL:
		return s->at && t->at ? at_holds(s, q->own) && at_holds(t, q->own)
				      : !s->at && !t->at && on_holds(r, q->own);
	case EVAL_MEMBER:
		return s->at && t->at && at_holds(s, q->other) && at_holds(t, q->own);
	case EVAL_OUTSIDE:
		break;
	}
	return false;
}

static bool tcp_pair(const struct rule *r, const struct term *s, const struct term *t, const struct eval_query *q)
{
	if (!port_in(r, q->port))
		return false;
	if (q->perm == DSI_PERM_TCP_CONNECT)
		return r->perms == DSI_PERM_TCP_CONNECT && !strcmp(q->target, "any") && connect_pair(r, s, t, q);
	if (q->perm == DSI_PERM_TCP_ACCEPT)
		return r->perms == DSI_PERM_TCP_CONNECT && accept_pair(r, s, t, q);
	return r->perms & q->perm && q->where == EVAL_LOCAL && on_holds(r, q->own) && subject_is(s, q->subject) &&
	       target_is(t, q->subject, q->target) && !strcmp(q->subject, q->target);
}

static bool local_pair(const struct rule *r, const struct term *s, const struct term *t, const struct eval_query *q)
{
	if (q->where != EVAL_LOCAL || !(r->perms & q->perm) || !on_holds(r, q->own) || !subject_is(s, q->subject))
		return false;
	if (r->cls == DSI_CLASS_FILE)
		return names(t->name.sym, q->target, 0);
	return target_is(t, q->subject, q->target);
}

static bool rule_grants(const struct rule *r, const struct eval_query *q)
{
	if (r->kind != RULE_ALLOW || r->cls != q->cls)
		return false;
	for (u32 i = 0; i < r->n_subjects; i++) {
		const struct term *s = &r->subjects[i];

		for (u32 k = 0; k < r->n_targets; k++)
			if (r->cls == DSI_CLASS_TCP ? tcp_pair(r, s, &r->targets[k], q) : local_pair(r, s, &r->targets[k], q))
				return true;
		for (u32 k = 0; k < r->n_sockets; k++)
			if (r->sockets[k] == q->socket && q->where == EVAL_LOCAL && q->perm & r->perms &&
			    on_holds(r, q->own) && subject_is(s, q->subject) && !strcmp(q->subject, q->target))
				return true;
	}
	return false;
}

static bool domain_enters(const struct policy *p, const struct eval_query *q)
{
	for (const struct domain *d = p->domains; d; d = d->next) {
		if (!same(d->name.sym, q->target) || !d->n_execs)
			continue;
		for (u32 i = 0; i < d->n_from; i++)
			if (names(d->from[i].sym, q->subject, 0))
				return true;
		return !d->has_from && !strcmp(q->subject, "default");
	}
	return false;
}

static u32 domain_flags(const struct policy *p, const char *name)
{
	for (const struct domain *d = p->domains; d; d = d->next)
		if (same(d->name.sym, name))
			return d->flags;
	return 0;
}

enum image_verdict eval_decide(const struct policy *p, const struct eval_query *q)
{
	u32 flags = domain_flags(p, q->subject);

	for (const struct rule *r = p->rules; r; r = r->next)
		if (rule_grants(r, q))
			return IMAGE_ALLOWED;
	if (q->cls == DSI_CLASS_PROCESS && q->perm == DSI_PERM_PROCESS_TRANSITION && q->where == EVAL_LOCAL &&
	    domain_enters(p, q))
		return IMAGE_ALLOWED;
	if (flags & DSI_CTX_UNCONFINED && q->where == EVAL_LOCAL)
		return IMAGE_UNCONFINED;
	if (flags & DSI_CTX_PERMISSIVE || p->flags & DSI_POLICY_PERMISSIVE)
		return IMAGE_PERMISSIVE;
	return IMAGE_REFUSED;
}
