/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules to keys. Must never make a key that the statement does not say. A `never` is expanded to the keys
 * that would break it: where a target's context is known only on its own node, that node's side counts.
 */
#include <string.h>

#include "policies/compiler/check.h"
#include "policies/compiler/expand.h"

u32 expand_context_sid(const struct symbol *s)
{
	return s->reserved ? s->reserved->number : s->sid;
}

u32 expand_type_sid(const struct symbol *s)
{
	return s->reserved ? s->reserved->number : s->tsid;
}

static int emit(struct expand *x, const struct rule *r, struct dsi_rule_key key, u32 allow, const u8 *where)
{
	struct entry e = {
		.key = key, .allow = allow, .place = places_intern(x->places, where), .rule = r, .pos = r->pos
	};

	return e.place == UINT32_MAX ? -DSI_ENOMEM : x->fn(x->arg, &e);
}

static int emit_ports(struct expand *x, const struct rule *r, struct dsi_rule_key key, u32 allow, const u8 *where)
{
	const struct port_list *l = &x->ports->lists[r->portlist];
	int ret = 0;

	for (u32 i = 0; !ret && i < l->n_classes; i++) {
		key.qual = l->classes[i];
		ret = emit(x, r, key, allow, where);
	}
	return ret;
}

static int emit_accept(struct expand *x, const struct rule *r, u32 s, u32 t, u32 nclass, const u8 *where)
{
	struct dsi_rule_key key = { s, t, (u16)nclass, 0, DSI_CLASS_TCP };

	return emit_ports(x, r, key, DSI_PERM_TCP_ACCEPT, where);
}

/* The source side knows the peer's node, not its context. */
static int emit_connect(struct expand *x, const struct rule *r, u32 s, u32 nclass, const u8 *where)
{
	struct dsi_rule_key key = { s, DSI_SID_ANY, (u16)nclass, 0, DSI_CLASS_TCP };

	if (r->kind == RULE_NEVER && nclass != DSI_NCLASS_OUTSIDE)
		return 0;
	return emit_ports(x, r, key, DSI_PERM_TCP_CONNECT, where);
}

static int expand_local(struct expand *x, const struct rule *r, u32 s, u32 t, const u8 *where)
{
	int ret = emit_connect(x, r, s, DSI_NCLASS_LOCAL, where);

	return ret ? ret : emit_accept(x, r, s, t, DSI_NCLASS_LOCAL, where);
}

static bool in_group(const u8 *group, u32 c)
{
	return !group || image_classes_has(group, c);
}

/* from, to: NULL is @*. Nodes that are in both may hold both ends. */
static int expand_remote(struct expand *x, const struct rule *r, u32 s, u32 t, const u8 *from, const u8 *to)
{
	u8 both[IMAGE_CLASSES_LEN];
	int ret = 0;

	for (u32 c = DSI_NCLASS_MEMBER; !ret && c < x->places->n_classes; c++) {
		if (in_group(to, c))
			ret = emit_connect(x, r, s, c, from);
		if (!ret && in_group(from, c))
			ret = emit_accept(x, r, s, t, c, to);
	}
	if (!ret && places_and(from, to, both))
		ret = expand_local(x, r, s, t, from || to ? both : NULL);
	return ret;
}

/* Subjects that are on no member: `outside`, and `stale` from wherever it was. */
static int expand_from_outside(struct expand *x, const struct rule *r, u32 s, u32 t, const u8 *where)
{
	int ret = 0;

	if (s == DSI_SID_OUTSIDE)
		return emit_accept(x, r, s, t, DSI_NCLASS_OUTSIDE, where);
	for (u32 c = DSI_NCLASS_MEMBER; !ret && c < x->places->n_classes; c++)
		ret = emit_accept(x, r, s, t, c, where);
	return ret;
}

static const u8 *group_classes(const struct symbol *group)
{
	return group ? group->group->classes : NULL;
}

static int expand_tcp(struct expand *x, const struct rule *r, const struct symbol *s, const struct term *st,
		      const struct symbol *t, const struct term *tt)
{
	const u8 *on = group_classes(r->on.sym), *from = group_classes(st->group), *to = group_classes(tt->group);
	u32 ssid = expand_context_sid(s);
	u32 tsid = symbol_is(t, DSI_SID_SELF) ? ssid : expand_context_sid(t);

	if (r->perms != DSI_PERM_TCP_CONNECT) {
		struct dsi_rule_key key = { ssid, tsid, DSI_NCLASS_LOCAL, 0, DSI_CLASS_TCP };

		return emit_ports(x, r, key, r->perms, on);
	}
	switch (policy_ends(s, st->at, t, tt->at)) {
	case POLICY_ENDS_LOCAL:
		return expand_local(x, r, ssid, tsid, on);
	case POLICY_ENDS_REMOTE:
		return expand_remote(x, r, ssid, tsid, from, to);
	case POLICY_ENDS_TO_OUTSIDE:
		return emit_connect(x, r, ssid, DSI_NCLASS_OUTSIDE, st->at ? from : on);
	case POLICY_ENDS_FROM_OUTSIDE:
		return expand_from_outside(x, r, ssid, tsid, tt->at ? to : on);
	case POLICY_ENDS_BAD:
		break;
	}
	return 0; /* check refused it */
}

static int expand_pair(struct expand *x, const struct rule *r, const struct symbol *s, const struct term *st,
		       const struct symbol *t, const struct term *tt)
{
	struct dsi_rule_key key = { expand_context_sid(s), 0, DSI_NCLASS_LOCAL, 0, r->cls };

	if (r->cls == DSI_CLASS_TCP)
		return expand_tcp(x, r, s, st, t, tt);
	if (r->cls == DSI_CLASS_FILE)
		key.tsid = expand_type_sid(t);
	else
		key.tsid = symbol_is(t, DSI_SID_SELF) ? key.ssid : expand_context_sid(t);
	return emit(x, r, key, r->perms, group_classes(r->on.sym));
}

static int expand_sockets(struct expand *x, const struct rule *r, const struct symbol *s)
{
	u32 sid = expand_context_sid(s);
	int ret = 0;

	for (u32 i = 0; !ret && i < r->n_sockets; i++) {
		struct dsi_rule_key key = { sid, sid, DSI_NCLASS_LOCAL, r->sockets[i], DSI_CLASS_SOCKET };

		ret = emit(x, r, key, r->perms, group_classes(r->on.sym));
	}
	return ret;
}

static int expand_subject(struct expand *x, const struct rule *r, const struct symbol *s, const struct term *st)
{
	int ret = 0;

	if (r->cls == DSI_CLASS_SOCKET)
		return expand_sockets(x, r, s);
	for (u32 i = 0; !ret && i < r->n_targets; i++) {
		u32 n;
		const struct ref *t = policy_term_members(x->p, &r->targets[i], &n);

		for (u32 k = 0; !ret && k < n; k++)
			ret = expand_pair(x, r, s, st, t[k].sym, &r->targets[i]);
	}
	return ret;
}

int expand_rule(struct expand *x, const struct rule *r)
{
	int ret = 0;

	for (u32 i = 0; !ret && i < r->n_subjects; i++) {
		u32 n;
		const struct ref *s = policy_term_members(x->p, &r->subjects[i], &n);

		for (u32 k = 0; !ret && k < n; k++)
			ret = expand_subject(x, r, s[k].sym, &r->subjects[i]);
	}
	return ret;
}

int expand_domain(struct expand *x, const struct domain *d)
{
	u32 to = expand_context_sid(d->name.sym);
	int ret = 0;

	for (u32 i = 0; !ret && d->n_execs && i < d->n_enters; i++) {
		struct entry e = {
			.key = { expand_context_sid(d->enters[i].sym), to, DSI_NCLASS_LOCAL, 0, DSI_CLASS_PROCESS },
			.allow = DSI_PERM_PROCESS_TRANSITION,
			.place = IMAGE_PLACE_EVERYWHERE,
			.pos = d->enters[i].pos,
		};

		ret = x->fn(x->arg, &e);
	}
	return ret;
}
