/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The printer. Each statement becomes one text; texts of one kind are sorted. Must print only what the
 * parser reads back as the same statement.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/print.h"

struct printer {
	struct policy *p;
	struct wbuf *out;
	struct wbuf line; /* the statement being made */
	char **lines;
	u32 n, cap;
};

static void put(struct printer *pr, const char *s)
{
	wbuf_bytes(&pr->line, s, strlen(s));
}

static void put_number(struct printer *pr, u32 v)
{
	char buf[16];

	(void)snprintf(buf, sizeof(buf), "%u", v);
	put(pr, buf);
}

/* The statement is complete. */
static void end(struct printer *pr)
{
	if (pr->n == pr->cap) {
		u32 cap = pr->cap ? pr->cap * 2 : 256;
		char **lines = arena_array(pr->p->arena, cap, sizeof(*lines));

		if (!lines)
			return;
		if (pr->n)
			memcpy(lines, pr->lines, pr->n * sizeof(*lines));
		pr->lines = lines;
		pr->cap = cap;
	}
	pr->lines[pr->n] = arena_strndup(pr->p->arena, (const char *)pr->line.data, pr->line.len);
	pr->n += pr->lines[pr->n] != NULL;
	pr->line.len = 0;
}

static int cmp_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All statements of a kind are complete. */
static void flush(struct printer *pr)
{
	if (!pr->n)
		return;
	qsort(pr->lines, pr->n, sizeof(*pr->lines), cmp_line);
	if (pr->out->len)
		wbuf_u8(pr->out, '\n');
	for (u32 i = 0; i < pr->n; i++)
		wbuf_bytes(pr->out, pr->lines[i], strlen(pr->lines[i]));
	pr->n = 0;
}

static int cmp_ref(const void *a, const void *b)
{
	return strcmp(((const struct ref *)a)->sym->text, ((const struct ref *)b)->sym->text);
}

/* NAME, NAME: sorted, each once. */
static void put_names(struct printer *pr, const struct ref *refs, u32 n)
{
	struct ref *sorted = arena_array(pr->p->arena, n, sizeof(*sorted));
	const char *sep = "";

	if (!sorted)
		return;
	memcpy(sorted, refs, n * sizeof(*refs));
	qsort(sorted, n, sizeof(*sorted), cmp_ref);
	for (u32 i = 0; i < n; i++) {
		if (i && sorted[i].sym == sorted[i - 1].sym)
			continue;
		put(pr, sep);
		put(pr, sorted[i].sym->text);
		sep = ", ";
	}
}

static void put_path(struct printer *pr, const char *path)
{
	bool quote = strpbrk(path, " ;,{}\"#") != NULL;

	put(pr, quote ? "\"" : "");
	put(pr, path);
	put(pr, quote ? "\"" : "");
}

static void print_policy(struct printer *pr)
{
	if (!pr->p->name)
		return;
	put(pr, "policy \"");
	put(pr, pr->p->name);
	put(pr, pr->p->flags & DSI_POLICY_PERMISSIVE ? "\" { mode permissive; }\n" : "\" { mode enforcing; }\n");
	end(pr);
	flush(pr);
}

static void print_nodes(struct printer *pr)
{
	for (const struct group *g = pr->p->groups; g; g = g->next) {
		put(pr, "nodes ");
		put(pr, g->name.sym->text);
		put(pr, " = ");
		put_names(pr, g->nodes, g->n_nodes);
		put(pr, ";\n");
		end(pr);
	}
	flush(pr);
}

static void print_sets(struct printer *pr)
{
	for (const struct set *s = pr->p->sets; s; s = s->next) {
		put(pr, "set ");
		put(pr, s->name.sym->text);
		put(pr, " = ");
		put_names(pr, s->members, s->n_members);
		put(pr, ";\n");
		end(pr);
	}
	flush(pr);
}

static int cmp_path(const void *a, const void *b)
{
	return strcmp(((const struct pathref *)a)->path, ((const struct pathref *)b)->path);
}

static struct pathref *sorted_paths(struct printer *pr, const struct pathref *paths, u32 n)
{
	struct pathref *sorted = arena_array(pr->p->arena, n, sizeof(*sorted));

	if (sorted && n) {
		memcpy(sorted, paths, n * sizeof(*paths));
		qsort(sorted, n, sizeof(*sorted), cmp_path);
	}
	return sorted;
}

static void print_domains(struct printer *pr)
{
	for (const struct domain *d = pr->p->domains; d; d = d->next) {
		struct pathref *execs = sorted_paths(pr, d->execs, d->n_execs);

		put(pr, "domain ");
		put(pr, d->name.sym->text);
		put(pr, " {");
		for (u32 i = 0; execs && i < d->n_execs; i++) {
			put(pr, i ? ", " : " exec ");
			put_path(pr, execs[i].path);
		}
		put(pr, d->n_execs ? ";" : "");
		if (d->has_from) {
			put(pr, " from ");
			put_names(pr, d->from, d->n_from);
			put(pr, ";");
		}
		put(pr, d->flags & DSI_CTX_PERMISSIVE ? " permissive;" : "");
		put(pr, d->flags & DSI_CTX_UNCONFINED ? " unconfined;" : "");
		put(pr, " }\n");
		end(pr);
	}
	flush(pr);
}

/* One statement per path, so that blocks that add to one type are one spelling. */
static void print_files(struct printer *pr)
{
	for (const struct filetype *t = pr->p->types; t; t = t->next) {
		for (u32 i = 0; i < t->n_paths || (!i && !t->n_paths); i++) {
			put(pr, "files ");
			put(pr, t->name.sym->text);
			put(pr, " {");
			if (t->n_paths) {
				put(pr, " ");
				put_path(pr, t->paths[i].path);
				put(pr, ";");
			}
			put(pr, " }\n");
			end(pr);
		}
	}
	flush(pr);
}

static void put_term(struct printer *pr, const struct term *t)
{
	put(pr, t->name.sym ? t->name.sym->text : "*");
	if (t->at) {
		put(pr, "@");
		put(pr, t->group ? t->group->text : "*");
	}
}

static int cmp_term(const void *va, const void *vb)
{
	const struct term *a = va, *b = vb;
	const char *x = a->name.sym ? a->name.sym->text : "", *y = b->name.sym ? b->name.sym->text : "";
	int r = strcmp(x, y);

	if (!r)
		r = (int)a->at - (int)b->at;
	return r ? r : strcmp(a->group ? a->group->text : "", b->group ? b->group->text : "");
}

static void put_terms(struct printer *pr, const struct term *terms, u32 n)
{
	struct term *sorted = arena_array(pr->p->arena, n, sizeof(*sorted));

	if (!sorted)
		return;
	memcpy(sorted, terms, n * sizeof(*terms));
	qsort(sorted, n, sizeof(*sorted), cmp_term);
	put(pr, n > 1 ? "{ " : "");
	for (u32 i = 0; i < n; i++) {
		put_term(pr, &sorted[i]);
		put(pr, n > 1 ? " " : "");
	}
	put(pr, n > 1 ? "}" : "");
}

static void put_ports(struct printer *pr, const struct rule *r)
{
	for (u32 i = 0; i < r->n_ports; i++) {
		put(pr, i ? ", " : " port ");
		put_number(pr, r->ports[i].first);
		if (r->ports[i].last == r->ports[i].first)
			continue;
		put(pr, "-");
		put_number(pr, r->ports[i].last);
	}
}

static int cmp_u16(const void *a, const void *b)
{
	return (int)*(const u16 *)a - (int)*(const u16 *)b;
}

static void put_sockets(struct printer *pr, const struct rule *r)
{
	u16 *sorted = arena_array(pr->p->arena, r->n_sockets, sizeof(*sorted));
	char buf[40];

	if (!sorted)
		return;
	memcpy(sorted, r->sockets, r->n_sockets * sizeof(*sorted));
	qsort(sorted, r->n_sockets, sizeof(*sorted), cmp_u16);
	for (u32 i = 0; i < r->n_sockets; i++) {
		vocab_socket_text(sorted[i], buf, sizeof(buf));
		put(pr, i ? ", " : " socket { ");
		put(pr, buf);
	}
	put(pr, " }");
}

static void put_rule(struct printer *pr, const struct rule *r)
{
	char perms[128];

	put(pr, r->kind == RULE_NEVER ? "never " : "allow ");
	put_terms(pr, r->subjects, r->n_subjects);
	if (r->cls == DSI_CLASS_SOCKET) {
		put_sockets(pr, r);
	} else {
		put(pr, " ");
		put_terms(pr, r->targets, r->n_targets);
		put(pr, ":");
		put(pr, image_class_name(r->cls));
		image_perms_text(r->cls, r->perms, perms, sizeof(perms));
		put(pr, " { ");
		put(pr, perms);
		put(pr, " }");
		put_ports(pr, r);
	}
	put(pr, ";");
}

static void print_rules(struct printer *pr, enum rule_kind kind)
{
	for (const struct rule *r = pr->p->rules; r; r = r->next) {
		if (r->kind != kind)
			continue;
		if (r->on.sym) {
			put(pr, "on ");
			put(pr, r->on.sym->text);
			put(pr, " { ");
		}
		put_rule(pr, r);
		put(pr, r->on.sym ? " }\n" : "\n");
		end(pr);
	}
	flush(pr);
}

int policy_print(struct policy *p, struct wbuf *out)
{
	struct printer pr = { .p = p, .out = out };
	bool ok;

	wbuf_init(&pr.line, POLICY_FILE_SIZE_MAX);
	print_policy(&pr);
	print_nodes(&pr);
	print_sets(&pr);
	print_domains(&pr);
	print_files(&pr);
	print_rules(&pr, RULE_ALLOW);
	print_rules(&pr, RULE_NEVER);
	ok = wbuf_ok(&pr.line) && wbuf_ok(out) && !p->arena->failed;
	wbuf_fini(&pr.line);
	return ok ? 0 : -DSI_ENOMEM;
}
