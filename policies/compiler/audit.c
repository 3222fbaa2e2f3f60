/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What only the whole policy shows: a `never` that a rule breaks, a rule that adds nothing, a domain
 * that nothing can enter. Must never change an entry.
 */
#include <stdio.h>
#include <string.h>

#include "policies/compiler/entries.h"

enum {
	NEVER_SHOWN = 3, /* rules shown per `never` */
	RUN_MAX = 16,    /* entries of one key that are compared with each other */
};

struct never {
	struct policy *p;
	struct places *places;
	const struct entries *es;
	struct diag_list *diags;
	const struct rule *rule;
	const struct rule *shown[NEVER_SHOWN];
	const struct domain *open[NEVER_SHOWN];
	u32 n_shown, n_open;
};

static const char *sid_text(const struct policy *p, u32 sid, bool type)
{
	if (sid < DSI_SID_FIRST)
		return vocab_reserved_name(sid);
	if (type) {
		for (const struct filetype *t = p->types; t; t = t->next)
			if (t->name.sym->tsid == sid)
				return t->name.sym->text;
	} else {
		for (const struct domain *d = p->domains; d; d = d->next)
			if (d->name.sym->sid == sid)
				return d->name.sym->text;
	}
	return "?";
}

static const char *text_of_rule_target(const struct never *n, const struct dsi_rule_key *key)
{
	if (key->tsid == DSI_SID_ANY)
		return "outside";
	return sid_text(n->p, key->tsid, key->cls == DSI_CLASS_FILE);
}

/* Entries know files by their final index. */
static struct pos source_pos(const struct never *n, const struct entry *e)
{
	struct pos pos = e->pos;

	if (e->rule)
		return e->rule->pos;
	for (u32 i = 0; i < n->p->n_files; i++)
		if (n->es->file_rank[i] == e->pos.file)
			pos.file = i;
	return pos;
}

static void broken(struct never *n, const struct entry *want, const struct entry *got)
{
	char perms[128];

	for (u32 i = 0; i < n->n_shown; i++)
		if (n->shown[i] == got->rule)
			return;
	if (n->n_shown == NEVER_SHOWN)
		return;
	n->shown[n->n_shown++] = got->rule;
	if (want->key.cls == DSI_CLASS_TCP && n->rule->perms == DSI_PERM_TCP_CONNECT)
		(void)snprintf(perms, sizeof(perms), "connect"); /* what was written; the key may be the other end's */
	else
		image_perms_text(want->key.cls, want->allow & got->allow, perms, sizeof(perms));
	diag_error(n->p, n->diags, n->rule->pos, "`never` is broken: `%s` is allowed %s { %s } on `%s`",
		   sid_text(n->p, want->key.ssid, false), image_class_name(want->key.cls), perms,
		   text_of_rule_target(n, &want->key));
	diag_note(n->p, n->diags, source_pos(n, got), "this rule allows it");
}

static void open_domain(struct never *n, const struct domain *d)
{
	for (u32 i = 0; i < n->n_open; i++)
		if (n->open[i] == d)
			return;
	if (n->n_open == NEVER_SHOWN)
		return;
	n->open[n->n_open++] = d;
	diag_error(n->p, n->diags, n->rule->pos, "`never` cannot hold: `%s` is unconfined and needs no rule",
		   d->name.sym->text);
	diag_note(n->p, n->diags, d->name.pos, "declared here");
}

static const struct domain *unconfined_domain(const struct policy *p, u32 sid)
{
	for (const struct domain *d = p->domains; d; d = d->next)
		if (expand_context_sid(d->name.sym) == sid)
			return d->flags & DSI_CTX_UNCONFINED ? d : NULL;
	return NULL;
}

static int never_entry(void *arg, const struct entry *want)
{
	struct never *n = arg;
	u32 count, first = entries_find(n->es, &want->key, &count);
	const struct domain *d;

	for (u32 i = first; i < first + count; i++) {
		const struct entry *got = &n->es->items[i];

		if (got->allow & want->allow && places_meet(n->places, got->place, want->place))
			broken(n, want, got);
	}
	if (want->key.nclass == DSI_NCLASS_LOCAL) {
		d = unconfined_domain(n->p, want->key.ssid);
		if (d)
			open_domain(n, d);
	}
	return 0;
}

static int audit_never(struct policy *p, const struct ports *ports, struct places *places, const struct entries *es,
		       struct diag_list *diags)
{
	int r = 0;

	for (const struct rule *rule = p->rules; !r && rule; rule = rule->next) {
		struct never n = { .p = p, .places = places, .es = es, .diags = diags, .rule = rule };
		struct expand x = { p, ports, places, never_entry, &n };

		if (rule->kind == RULE_NEVER && !rule->bad)
			r = expand_rule(&x, rule);
	}
	return r;
}

/* b grants on all of a's nodes all that a grants; of two equals the first counts. */
static bool covered(const struct places *places, const struct entry *a, const struct entry *b)
{
	if (a->allow & ~b->allow || !places_covers(places, b->place, a->place))
		return false;
	if (a->allow == b->allow && a->place == b->place)
		return b < a;
	return true;
}

static void count_covered(const struct places *places, const struct entries *es)
{
	for (u32 i = 0, n; i < es->n; i += n) {
		for (n = 1; i + n < es->n && !entries_key_order(&es->items[i].key, &es->items[i + n].key); n++)
			;
		for (u32 a = i; a < i + n; a++) {
			/* the model is ours: entries see it as const only to keep expansion honest */
			struct rule *rule = (struct rule *)es->items[a].rule;

			if (!rule)
				continue;
			rule->n_entries++;
			for (u32 b = i; b < MIN(i + n, i + RUN_MAX); b++)
				if (a != b && covered(places, &es->items[a], &es->items[b])) {
					rule->n_covered++;
					rule->covered_by = es->items[b].rule;
					break;
				}
		}
	}
}

static void audit_redundant(struct policy *p, const struct places *places, const struct entries *es,
			    struct diag_list *diags)
{
	count_covered(places, es);
	for (const struct rule *r = p->rules; r; r = r->next) {
		if (r->kind != RULE_ALLOW || r->bad || !r->n_entries || r->n_covered < r->n_entries)
			continue;
		diag_warning(p, diags, r->pos, "this rule adds nothing: other rules already allow all of it");
		if (r->covered_by)
			diag_note(p, diags, r->covered_by->pos, r->covered_by == r ? "within itself" : "for example this one");
	}
}

/* Type of the nearest labelled ancestor, over the source. */
static const struct filetype *type_of_path(const struct policy *p, const char *path)
{
	const struct filetype *best = NULL;
	size_t best_len = 0;

	for (const struct filetype *t = p->types; t; t = t->next)
		for (u32 i = 0; i < t->n_paths; i++) {
			size_t len = strlen(t->paths[i].path);
			bool root = len == 1;

			if (len < best_len || strncmp(path, t->paths[i].path, len))
				continue;
			if (!root && path[len] && path[len] != '/')
				continue;
			best = t;
			best_len = len;
		}
	return best;
}

static bool may_execute(const struct entries *es, u32 ssid, u32 type)
{
	struct dsi_rule_key key = { ssid, type, DSI_NCLASS_LOCAL, 0, DSI_CLASS_FILE };
	u32 n, first = entries_find(es, &key, &n);

	for (u32 i = first; i < first + n; i++)
		if (es->items[i].allow & DSI_PERM_FILE_EXECUTE)
			return true;
	return false;
}

/* A domain is entered at exec, and exec needs the right to execute. */
static void audit_entry(struct policy *p, const struct entries *es, const struct domain *d, struct diag_list *diags)
{
	for (u32 f = 0; f < d->n_enters; f++) {
		const struct symbol *from = d->enters[f].sym;

		if (from == d->name.sym || (from->domain && from->domain->flags & DSI_CTX_UNCONFINED))
			continue;
		for (u32 i = 0; i < d->n_execs; i++) {
			const struct filetype *t = type_of_path(p, d->execs[i].path);

			if (may_execute(es, expand_context_sid(from), t ? expand_type_sid(t->name.sym) : DSI_SID_UNLABELED))
				continue;
			diag_warning(p, diags, d->execs[i].pos, "`%s` cannot enter `%s` here: no rule lets it execute `%s`",
				     from->text, d->name.sym->text, t ? t->name.sym->text : "unlabeled");
		}
	}
}

int entries_audit(struct policy *p, const struct ports *ports, struct places *places, const struct entries *es,
		  struct diag_list *diags)
{
	u32 n = 0;
	int r = audit_never(p, ports, places, es, diags);

	if (r)
		return r;
	audit_redundant(p, places, es, diags);
	for (const struct domain *d = p->domains; d && n < DIAG_MAX; d = d->next, n++)
		audit_entry(p, es, d, diags);
	return 0;
}
