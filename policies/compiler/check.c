/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Semantics over the whole model. Must never depend on the order of files or stop at the first error.
 * Invariant: after success every symbol in a rule that is not `bad` is a declared or reserved name that
 * may stand where it stands.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/check.h"

struct checker {
	struct policy *p;
	struct diag_list *diags;
	const char **names; /* candidates for suggestions, NULL until needed */
	u32 n_names;
	u32 flat_total;
};

static const char *kind_of(const struct symbol *s)
{
	if (s->reserved)
		return "a reserved name";
	return s->domain ? "a domain" : s->type ? "a file type" : s->set ? "a set" : "unknown";
}

static bool is_declared(const struct symbol *s)
{
	return s->reserved || s->domain || s->type || s->set;
}

/* Suggestions. */

struct name_list {
	const char **names;
	u32 n;
};

static const char *next_name(const void *arg, u32 i)
{
	const struct name_list *l = arg;

	return i < l->n ? l->names[i] : NULL;
}

static void collect_names(struct checker *c)
{
	u32 n = 0;

	for (const struct domain *d = c->p->domains; d; d = d->next)
		n++;
	for (const struct filetype *t = c->p->types; t; t = t->next)
		n++;
	for (const struct set *s = c->p->sets; s; s = s->next)
		n++;
	c->names = arena_array(c->p->arena, n + DSI_SID_FIRST, sizeof(*c->names));
	if (!c->names)
		return;
	for (const struct domain *d = c->p->domains; d; d = d->next)
		c->names[c->n_names++] = d->name.sym->text;
	for (const struct filetype *t = c->p->types; t; t = t->next)
		c->names[c->n_names++] = t->name.sym->text;
	for (const struct set *s = c->p->sets; s; s = s->next)
		c->names[c->n_names++] = s->name.sym->text;
	for (u32 sid = 0; sid < DSI_SID_FIRST; sid++)
		if (vocab_reserved_name(sid) && !(vocab_reserved(vocab_reserved_name(sid))->use & VOCAB_NEVER))
			c->names[c->n_names++] = vocab_reserved_name(sid);
}

static void unknown_name(struct checker *c, struct pos pos, const char *text)
{
	struct name_list l;
	const char *near = NULL;

	if (c->diags->n < DIAG_MAX) {
		if (!c->names)
			collect_names(c);
		l = (struct name_list){ c->names, c->n_names };
		near = diag_nearest(text, next_name, &l);
	}
	if (near)
		diag_error(c->p, c->diags, pos, "unknown name `%s`: did you mean `%s`?", text, near);
	else
		diag_error(c->p, c->diags, pos, "unknown name `%s`: no domain, file type or set is called so", text);
}

static void unknown_group(struct checker *c, struct pos pos, const char *text)
{
	struct name_list l = { NULL, 0 };
	const char *near = NULL;

	l.names = arena_array(c->p->arena, c->p->n_groups, sizeof(*l.names));
	for (const struct group *g = c->p->groups; l.names && g && l.n < c->p->n_groups; g = g->next)
		l.names[l.n++] = g->name.sym->text;
	near = diag_nearest(text, next_name, &l);
	diag_error(c->p, c->diags, pos, "unknown node group `%s`%s%s%s", text,
		   near ? ": did you mean `" : ": write `nodes ", near ? near : text, near ? "`?" : " = NODE, NODE;`");
}

/* Declarations. */

static bool may_declare(struct checker *c, const struct ref *name, u32 use, const char *what)
{
	const struct symbol *s = name->sym;

	if (!s->reserved || s->reserved->use & use)
		return true;
	diag_error(c->p, c->diags, name->pos, "`%s` is a reserved name and cannot be %s", s->text, what);
	return false;
}

static void declared_twice(struct checker *c, const struct ref *name, const char *what, struct pos first)
{
	diag_error(c->p, c->diags, name->pos, "`%s` is declared twice: it already is %s", name->sym->text, what);
	diag_note(c->p, c->diags, first, "the other declaration is here");
}

static void declare_domains(struct checker *c)
{
	for (struct domain *d = c->p->domains; d; d = d->next) {
		struct symbol *s = d->name.sym;

		if (!may_declare(c, &d->name, VOCAB_DOMAIN, "a domain"))
			continue;
		if (s->domain)
			declared_twice(c, &d->name, "a domain", s->domain->name.pos);
		else
			s->domain = d;
		if (!d->n_execs && d->whole && !s->reserved)
			diag_warning(c->p, c->diags, d->name.pos, "nothing enters domain `%s`: it names no `exec`", s->text);
	}
}

static void declare_types(struct checker *c)
{
	for (struct filetype *t = c->p->types; t; t = t->next) {
		struct symbol *s = t->name.sym;

		if (!may_declare(c, &t->name, VOCAB_TYPE, "a file type"))
			continue;
		if (s->domain && !s->reserved)
			declared_twice(c, &t->name, "a domain", s->domain->name.pos);
		else if (!s->type)
			s->type = t; /* further blocks add to it */
	}
}

static void declare_sets(struct checker *c)
{
	for (struct set *s = c->p->sets; s; s = s->next) {
		struct symbol *sym = s->name.sym;

		if (!may_declare(c, &s->name, 0, "a set"))
			continue;
		if (sym->domain)
			declared_twice(c, &s->name, "a domain", sym->domain->name.pos);
		else if (sym->type)
			declared_twice(c, &s->name, "a file type", sym->type->name.pos);
		else if (sym->set)
			declared_twice(c, &s->name, "a set", sym->set->name.pos);
		else
			sym->set = s;
	}
}

static void declare_node(struct checker *c, struct ref *r)
{
	struct node *n;

	if (r->sym->mark == c->p->walk)
		diag_warning(c->p, c->diags, r->pos, "node `%s` is named twice in this group", r->sym->text);
	r->sym->mark = c->p->walk;
	if (r->sym->node)
		return;
	n = arena_alloc(c->p->arena, sizeof(*n));
	if (!n)
		return;
	n->sym = r->sym;
	n->next = c->p->nodes;
	c->p->nodes = n;
	r->sym->node = n;
}

static void declare_groups(struct checker *c)
{
	u32 n_nodes = 0;

	for (struct group *g = c->p->groups; g; g = g->next) {
		if (g->name.sym->group)
			declared_twice(c, &g->name, "a node group", g->name.sym->group->name.pos);
		else
			g->name.sym->group = g;
		g->index = c->p->n_groups++;
		if (c->p->n_groups == IMAGE_GROUPS_MAX + 1)
			diag_error(c->p, c->diags, g->name.pos, "more than %d node groups", IMAGE_GROUPS_MAX);
		c->p->walk++;
		for (u32 i = 0; i < g->n_nodes; i++)
			declare_node(c, &g->nodes[i]);
	}
	for (const struct node *n = c->p->nodes; n; n = n->next)
		if (++n_nodes == IMAGE_NODES_MAX + 1)
			diag_error(c->p, c->diags, (struct pos){ UINT32_MAX, 0, 0 }, "more than %d nodes", IMAGE_NODES_MAX);
}

/* Sets: depth first, each once; a set that is met while open is part of a cycle. */

static u32 flat_size(struct checker *c, struct set *s, u32 depth);

static u32 member_size(struct checker *c, const struct set *s, const struct ref *m, u32 depth)
{
	if (!is_declared(m->sym)) {
		unknown_name(c, m->pos, m->sym->text);
		return 0;
	}
	if (!m->sym->set)
		return 1;
	if (m->sym->set->state == SET_OPEN) {
		diag_error(c->p, c->diags, m->pos, "set `%s` contains itself", s->name.sym->text);
		return 0;
	}
	return flat_size(c, m->sym->set, depth + 1);
}

static void flatten(struct checker *c, struct set *s, u32 size)
{
	s->flat = arena_array(c->p->arena, size, sizeof(*s->flat));
	c->p->walk++;
	for (u32 i = 0; s->flat && i < s->n_members; i++) {
		struct set *sub = s->members[i].sym->set;
		u32 n = sub ? sub->state == SET_DONE ? sub->n_flat : 0 : is_declared(s->members[i].sym);

		for (u32 j = 0; j < n; j++) {
			struct symbol *sym = sub ? sub->flat[j].sym : s->members[i].sym;

			if (sym->mark == c->p->walk)
				continue;
			sym->mark = c->p->walk;
			s->flat[s->n_flat++] = (struct ref){ sym, s->members[i].pos };
		}
	}
}

static u32 flat_size(struct checker *c, struct set *s, u32 depth)
{
	u32 size = 0;

	if (s->state == SET_DONE)
		return s->n_flat;
	if (depth > POLICY_SET_DEPTH_MAX) {
		diag_error(c->p, c->diags, s->name.pos, "sets nested deeper than %d", POLICY_SET_DEPTH_MAX);
		return 0;
	}
	s->state = SET_OPEN;
	for (u32 i = 0; i < s->n_members; i++)
		size += member_size(c, s, &s->members[i], depth);
	c->flat_total += size;
	if (c->flat_total > POLICY_SET_MEMBERS_MAX) {
		if (c->flat_total - size <= POLICY_SET_MEMBERS_MAX)
			diag_error(c->p, c->diags, s->name.pos, "all sets together have more than %d members",
				   POLICY_SET_MEMBERS_MAX);
	} else {
		flatten(c, s, size);
	}
	s->state = SET_DONE;
	return s->n_flat;
}

static void check_sets(struct checker *c)
{
	for (struct set *s = c->p->sets; s; s = s->next)
		(void)flat_size(c, s, 1);
}

/* Paths. */

struct path_use {
	const char *path;
	const struct symbol *a, *b; /* type; or from-domain and entered domain */
	struct pos pos;
};

static int cmp_pos(const struct pos *a, const struct pos *b)
{
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->col < b->col ? -1 : a->col > b->col;
}

static int cmp_use(const void *va, const void *vb)
{
	const struct path_use *a = va, *b = vb;
	int r = strcmp(a->path, b->path);

	if (!r && a->b && b->b)
		r = strcmp(a->a->text, b->a->text);
	return r ? r : cmp_pos(&a->pos, &b->pos);
}

static void check_type_paths(struct checker *c)
{
	struct path_use *uses;
	u32 n = 0, i = 0;

	for (const struct filetype *t = c->p->types; t; t = t->next)
		n += t->n_paths;
	if (n > IMAGE_PATHS_MAX)
		diag_error(c->p, c->diags, (struct pos){ UINT32_MAX, 0, 0 }, "more than %d labelled paths", IMAGE_PATHS_MAX);
	uses = arena_array(c->p->arena, n, sizeof(*uses));
	if (!uses)
		return;
	for (const struct filetype *t = c->p->types; t; t = t->next)
		for (u32 k = 0; k < t->n_paths; k++)
			uses[i++] = (struct path_use){ t->paths[k].path, t->name.sym, NULL, t->paths[k].pos };
	if (n)
		qsort(uses, n, sizeof(*uses), cmp_use);
	for (i = 1; i < n; i++) {
		if (strcmp(uses[i].path, uses[i - 1].path))
			continue;
		if (uses[i].a == uses[i - 1].a)
			diag_warning(c->p, c->diags, uses[i].pos, "%s is listed twice in `%s`", uses[i].path, uses[i].a->text);
		else
			diag_error(c->p, c->diags, uses[i].pos, "%s cannot be both `%s` and `%s`", uses[i].path,
				   uses[i - 1].a->text, uses[i].a->text);
		diag_note(c->p, c->diags, uses[i - 1].pos, "it is also listed here");
	}
}

/* The domains that `from` names; `default` when there is none. */
static void check_from(struct checker *c, struct domain *d)
{
	struct ref *flat;
	u32 n = 0, max = 1;

	for (u32 i = 0; i < d->n_from; i++)
		max += d->from[i].sym->set ? d->from[i].sym->set->n_flat : 1;
	flat = arena_array(c->p->arena, max, sizeof(*flat));
	if (!flat)
		return;
	c->p->walk++;
	for (u32 i = 0; i < d->n_from; i++) {
		struct term t = { .name = d->from[i] };
		const struct ref *members;
		u32 n_members;

		if (!is_declared(t.name.sym)) {
			unknown_name(c, t.name.pos, t.name.sym->text);
			continue;
		}
		members = policy_term_members(c->p, &t, &n_members);
		for (u32 k = 0; k < n_members; k++) {
			struct symbol *s = members[k].sym;

			if (!symbol_is_context(s))
				diag_error(c->p, c->diags, t.name.pos, "`%s` is %s, not a domain", s->text, kind_of(s));
			else if (s->mark != c->p->walk)
				flat[n++] = (struct ref){ s, t.name.pos };
			s->mark = c->p->walk;
		}
	}
	if (!d->has_from)
		flat[n++] = (struct ref){ policy_symbol(c->p, "default", strlen("default")), d->name.pos };
	d->enters = flat;
	d->n_enters = flat[0].sym ? n : 0;
}

static void check_execs(struct checker *c)
{
	struct path_use *uses;
	size_t n = 0;
	u32 i = 0;

	for (struct domain *d = c->p->domains; d; d = d->next) {
		check_from(c, d);
		n += (size_t)d->n_execs * d->n_enters;
	}
	if (n > IMAGE_PATHS_MAX) {
		diag_error(c->p, c->diags, (struct pos){ UINT32_MAX, 0, 0 }, "more than %d exec entries", IMAGE_PATHS_MAX);
		return;
	}
	uses = arena_array(c->p->arena, n, sizeof(*uses));
	if (!uses)
		return;
	for (const struct domain *d = c->p->domains; d; d = d->next)
		for (u32 k = 0; k < d->n_execs; k++)
			for (u32 f = 0; f < d->n_enters; f++)
				uses[i++] = (struct path_use){ d->execs[k].path, d->enters[f].sym, d->name.sym, d->execs[k].pos };
	if (n)
		qsort(uses, n, sizeof(*uses), cmp_use);
	for (i = 1; i < n; i++) {
		if (uses[i].a != uses[i - 1].a || strcmp(uses[i].path, uses[i - 1].path))
			continue;
		if (uses[i].b == uses[i - 1].b)
			diag_error(c->p, c->diags, uses[i].pos, "%s is listed twice", uses[i].path);
		else
			diag_error(c->p, c->diags, uses[i].pos, "%s, executed in `%s`, cannot enter both `%s` and `%s`",
				   uses[i].path, uses[i].a->text, uses[i - 1].b->text, uses[i].b->text);
		diag_note(c->p, c->diags, uses[i - 1].pos, "it is also listed here");
	}
}

static void collect_confined(struct checker *c)
{
	u32 n = 0;

	for (const struct domain *d = c->p->domains; d; d = d->next)
		n++;
	c->p->confined = arena_array(c->p->arena, n, sizeof(*c->p->confined));
	for (const struct domain *d = c->p->domains; d && c->p->confined; d = d->next)
		if (d->name.sym->domain == d && !(d->flags & DSI_CTX_UNCONFINED))
			c->p->confined[c->p->n_confined++] = d->name;
}

/* Rules. */

const struct ref *policy_term_members(const struct policy *p, const struct term *t, u32 *ret_n)
{
	if (!t->name.sym) {
		*ret_n = p->n_confined;
		return p->confined;
	}
	if (t->name.sym->set) {
		*ret_n = t->name.sym->set->n_flat;
		return t->name.sym->set->flat;
	}
	*ret_n = 1;
	return &t->name;
}

enum policy_ends policy_ends(const struct symbol *s, bool s_at, const struct symbol *t, bool t_at)
{
	bool from = s->reserved && s->reserved->use & VOCAB_REMOTE, to = symbol_is(t, DSI_SID_OUTSIDE);

	if ((from && s_at) || (to && t_at) || (from && to) || (from && symbol_is(t, DSI_SID_SELF)))
		return POLICY_ENDS_BAD;
	if (from)
		return POLICY_ENDS_FROM_OUTSIDE;
	if (to)
		return POLICY_ENDS_TO_OUTSIDE;
	if (s_at != t_at)
		return POLICY_ENDS_BAD;
	return s_at ? POLICY_ENDS_REMOTE : POLICY_ENDS_LOCAL;
}

static bool rule_bad(struct rule *r)
{
	r->bad = true;
	return false;
}

static bool subject_ok(struct checker *c, struct rule *r, const struct symbol *s, struct pos pos)
{
	bool connect = r->cls == DSI_CLASS_TCP && r->perms == DSI_PERM_TCP_CONNECT;

	if (symbol_is_context(s) || (s->reserved && s->reserved->use & VOCAB_REMOTE && connect))
		return true;
	if (s->reserved && s->reserved->use & VOCAB_REMOTE)
		diag_error(c->p, c->diags, pos, "`%s` can only be the subject of tcp { connect }", s->text);
	else if (symbol_is(s, DSI_SID_SELF))
		diag_error(c->p, c->diags, pos, "`self` is a target: the subject's own context");
	else
		diag_error(c->p, c->diags, pos, "`%s` is %s, not a domain", s->text, kind_of(s));
	return false;
}

static bool target_ok(struct checker *c, struct rule *r, const struct symbol *s, struct pos pos)
{
	const u32 own = DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN;

	if (r->cls == DSI_CLASS_FILE) {
		if (symbol_is_type(s))
			return true;
		diag_error(c->p, c->diags, pos, "`%s` is %s, not a file type", s->text, kind_of(s));
		return false;
	}
	if (r->cls == DSI_CLASS_TCP && r->perms & own && !symbol_is(s, DSI_SID_SELF)) {
		diag_error(c->p, c->diags, pos, "bind and listen are about a process's own port: write `self:tcp`");
		return false;
	}
	if (symbol_is_context(s) || symbol_is(s, DSI_SID_SELF) ||
	    (r->cls == DSI_CLASS_TCP && symbol_is(s, DSI_SID_OUTSIDE)))
		return true;
	diag_error(c->p, c->diags, pos, "`%s` is %s, not a domain", s->text, kind_of(s));
	return false;
}

static bool check_place(struct checker *c, struct rule *r, const struct term *t)
{
	if (!t->at)
		return true;
	if (r->cls != DSI_CLASS_TCP || r->perms != DSI_PERM_TCP_CONNECT) {
		diag_error(c->p, c->diags, t->group_pos,
			   "@ belongs to tcp { connect }: write `on GROUP { ... }` for rules of some nodes only");
		return false;
	}
	if (t->group && !t->group->group) {
		unknown_group(c, t->group_pos, t->group->text);
		return false;
	}
	return true;
}

static bool check_terms(struct checker *c, struct rule *r, const struct term *terms, u32 n_terms,
			bool (*ok)(struct checker *, struct rule *, const struct symbol *, struct pos))
{
	bool good = true;

	for (u32 i = 0; i < n_terms; i++) {
		const struct term *t = &terms[i];
		const struct ref *members;
		u32 n;

		if (!t->name.sym && (r->kind != RULE_NEVER || ok != subject_ok)) {
			diag_error(c->p, c->diags, t->name.pos, "`*` can only be the subject of `never`");
			good = false;
			continue;
		}
		if (t->name.sym && !is_declared(t->name.sym)) {
			unknown_name(c, t->name.pos, t->name.sym->text);
			good = false;
			continue;
		}
		members = policy_term_members(c->p, t, &n);
		for (u32 k = 0; t->name.sym && k < n; k++)
			good &= ok(c, r, members[k].sym, t->name.pos);
		good &= check_place(c, r, t);
	}
	return good;
}

/* The first reason why this pair of ends has no meaning. */
static const char *ends_wrong(const struct rule *r, const struct symbol *s, const struct term *st,
			      const struct symbol *t, const struct term *tt)
{
	enum policy_ends ends = policy_ends(s, st->at, t, tt->at);

	if (ends == POLICY_ENDS_BAD) {
		if (s->reserved && s->reserved->use & VOCAB_REMOTE)
			return st->at ? "`outside` and `stale` are on no node of a group: leave out the @"
				      : "this side is not ours: the target must be a domain of a member";
		if (symbol_is(t, DSI_SID_OUTSIDE))
			return "`outside` is on no node of a group: leave out the @";
		return "say where both ends are (NAME@GROUP or NAME@*), or neither for the same node";
	}
	if (r->on.sym && (st->at || tt->at))
		return "@ inside `on`: move the rule out of the block";
	return NULL;
}

/* Members that differ in what ends they make: one of each kind stands for all. */
enum { END_PLAIN, END_REMOTE, END_SELF, END_KINDS };

static void end_samples(const struct policy *p, const struct term *t, const struct symbol *ret[END_KINDS])
{
	const struct ref *m;
	u32 n, kind;

	memset(ret, 0, END_KINDS * sizeof(ret[0]));
	m = policy_term_members(p, t, &n);
	for (u32 i = 0; i < n; i++) {
		const struct vocab_name *r = m[i].sym->reserved;

		kind = !r ? END_PLAIN : r->use & (VOCAB_REMOTE | VOCAB_TARGET) ? END_REMOTE
				      : r->use & VOCAB_SELF			? END_SELF
										: END_PLAIN;
		ret[kind] = m[i].sym;
	}
}

static bool check_ends(struct checker *c, struct rule *r)
{
	const struct symbol *s[END_KINDS], *t[END_KINDS];

	for (u32 i = 0; i < r->n_subjects; i++)
		for (u32 k = 0; k < r->n_targets; k++) {
			end_samples(c->p, &r->subjects[i], s);
			end_samples(c->p, &r->targets[k], t);
			for (u32 x = 0; x < END_KINDS * END_KINDS; x++) {
				const struct symbol *a = s[x / END_KINDS], *b = t[x % END_KINDS];
				const char *why = a && b ? ends_wrong(r, a, &r->subjects[i], b, &r->targets[k]) : NULL;

				if (!why)
					continue;
				diag_error(c->p, c->diags, r->targets[k].name.pos, "%s", why);
				return false;
			}
		}
	return true;
}

/* Local rules of unconfined domains grant what they already have, but for files of type `dsi`: the guard asks for a
 * rule there. */
static void warn_unconfined(struct checker *c, const struct rule *r)
{
	if (r->kind != RULE_ALLOW)
		return;
	for (u32 i = 0; i < r->n_subjects; i++) {
		u32 n;
		const struct ref *s = policy_term_members(c->p, &r->subjects[i], &n);

		if (r->subjects[i].at)
			return;
		for (u32 k = 0; k < n; k++)
			if (!s[k].sym->domain || !(s[k].sym->domain->flags & DSI_CTX_UNCONFINED))
				return;
	}
	for (u32 i = 0; i < r->n_targets; i++) {
		u32 n;
		const struct ref *t = policy_term_members(c->p, &r->targets[i], &n);

		for (u32 k = 0; k < n; k++)
			if ((r->cls == DSI_CLASS_TCP && symbol_is(t[k].sym, DSI_SID_OUTSIDE)) ||
			    (r->cls == DSI_CLASS_FILE && symbol_is(t[k].sym, DSI_SID_DSI)))
				return;
	}
	diag_warning(c->p, c->diags, r->pos, "this rule has no effect: its subject is unconfined");
}

static bool check_rule(struct checker *c, struct rule *r)
{
	bool good;

	if (r->on.sym && !r->on.sym->group) {
		unknown_group(c, r->on.pos, r->on.sym->text);
		return rule_bad(r);
	}
	if (r->perms & DSI_PERM_TCP_ACCEPT && r->cls == DSI_CLASS_TCP) {
		diag_error(c->p, c->diags, r->perm_pos, "`accept` is never written: `connect` makes both ends");
		return rule_bad(r);
	}
	if (r->perms & DSI_PERM_TCP_CONNECT && r->perms != DSI_PERM_TCP_CONNECT && r->cls == DSI_CLASS_TCP) {
		diag_error(c->p, c->diags, r->perm_pos, "`connect` stands alone: it is about the other end's port");
		return rule_bad(r);
	}
	good = check_terms(c, r, r->subjects, r->n_subjects, subject_ok);
	good &= check_terms(c, r, r->targets, r->n_targets, target_ok);
	if (!good)
		return rule_bad(r);
	if (r->cls == DSI_CLASS_TCP && r->perms == DSI_PERM_TCP_CONNECT && !check_ends(c, r))
		return rule_bad(r);
	warn_unconfined(c, r);
	return true;
}

int policy_check(struct policy *p, struct diag_list *diags)
{
	struct checker c = { .p = p, .diags = diags };

	declare_groups(&c);
	declare_domains(&c);
	declare_types(&c);
	declare_sets(&c);
	check_sets(&c);
	check_type_paths(&c);
	check_execs(&c);
	collect_confined(&c);
	for (struct rule *r = p->rules; r && !p->arena->failed; r = r->next)
		(void)check_rule(&c, r);
	if (!p->name && !diags->errors)
		diag_warning(p, diags, (struct pos){ UINT32_MAX, 0, 0 },
			     "no `policy \"NAME\" { }` statement: the policy is called \"unnamed\" and enforcing");
	if (p->arena->failed) {
		diag_error(p, diags, (struct pos){ UINT32_MAX, 0, 0 }, "policy needs more memory than the limit of %zu MiB",
			   p->arena->limit >> 20);
		return -DSI_ENOMEM;
	}
	return diags->errors ? -DSI_EPARSE : 0;
}
