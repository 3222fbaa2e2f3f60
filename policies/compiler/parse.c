/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parser: one function per statement, no recursion, no look-ahead beyond one token. Must never look
 * at what a name means. Invariant: every statement either is in the model completely or left an error.
 */
#include <stdio.h>
#include <string.h>

#include "policies/compiler/image_format.h"
#include "policies/compiler/lex.h"
#include "policies/compiler/parse.h"

struct vec {
	void *data;
	u32 n, cap;
};

struct parser {
	struct policy *p;
	struct diag_list *diags;
	struct lexer lex;
	struct token tok;      /* next, not yet consumed */
	struct pos after_prev; /* behind the last consumed token */
	struct ref on;         /* inside `on GROUP { }` */
	u32 depth;             /* braces that are open */
	struct vec refs, paths, subjects, targets, ports, sockets; /* scratch, reused by every statement */
};

static void advance(struct parser *ps)
{
	if (token_is(&ps->tok, "{"))
		ps->depth++;
	else if (token_is(&ps->tok, "}") && ps->depth)
		ps->depth--;
	ps->after_prev = ps->tok.pos;
	ps->after_prev.col += ps->tok.len + (ps->tok.kind == TOK_STRING ? 2 : 0);
	ps->tok = lex_next(&ps->lex);
}

static bool at(const struct parser *ps, const char *text)
{
	return token_is(&ps->tok, text);
}

static bool accept(struct parser *ps, const char *text)
{
	if (!at(ps, text))
		return false;
	advance(ps);
	return true;
}

static const char *token_text(const struct token *t, char *dst, size_t cap)
{
	if (t->kind == TOK_END)
		(void)snprintf(dst, cap, "the end of the file");
	else
		(void)snprintf(dst, cap, "`%.*s%s`", (int)MIN(t->len, 40u), t->s, t->len > 40 ? "..." : "");
	return dst;
}

/* Always false, so that `return wrong(...)` reads well. */
static bool wrong(struct parser *ps, const char *expected)
{
	char buf[64];

	if (ps->tok.kind == TOK_BAD)
		diag_error(ps->p, ps->diags, ps->tok.pos, "%s", ps->tok.why);
	else
		diag_error(ps->p, ps->diags, ps->tok.pos, "expected %s, not %s", expected,
			   token_text(&ps->tok, buf, sizeof(buf)));
	return false;
}

static bool expect(struct parser *ps, const char *text)
{
	char buf[16];

	if (accept(ps, text))
		return true;
	if (!strcmp(text, ";") && ps->tok.kind != TOK_BAD && (ps->tok.first || ps->tok.kind == TOK_END)) {
		diag_error(ps->p, ps->diags, ps->after_prev, "expected `;` here");
		return false;
	}
	(void)snprintf(buf, sizeof(buf), "`%s`", text);
	return wrong(ps, buf);
}

static void *vec_push(struct parser *ps, struct vec *v, size_t size)
{
	if (v->n == POLICY_LIST_MAX) {
		diag_error(ps->p, ps->diags, ps->tok.pos, "more than %d members in one list", POLICY_LIST_MAX);
		return NULL;
	}
	if (v->n == v->cap) {
		u32 cap = v->cap ? v->cap * 2 : 16;
		void *data = arena_array(ps->p->arena, cap, size);

		if (!data)
			return NULL;
		if (v->n)
			memcpy(data, v->data, v->n * size);
		v->data = data;
		v->cap = cap;
	}
	return (char *)v->data + v->n++ * size;
}

static void *vec_copy(struct parser *ps, const struct vec *v, size_t size)
{
	void *data = arena_array(ps->p->arena, v->n, size);

	if (data && v->n)
		memcpy(data, v->data, v->n * size);
	return data;
}

static bool name(struct parser *ps, const char *what, struct ref *ret)
{
	if (ps->tok.kind != TOK_NAME)
		return wrong(ps, what);
	ret->pos = ps->tok.pos;
	ret->sym = policy_symbol(ps->p, ps->tok.s, ps->tok.len);
	advance(ps);
	return ret->sym != NULL;
}

/* NAME, NAME ... */
static bool name_list(struct parser *ps, const char *what)
{
	struct ref *r;

	ps->refs.n = 0;
	do {
		r = vec_push(ps, &ps->refs, sizeof(*r));
		if (!r || !name(ps, what, r))
			return false;
	} while (accept(ps, ","));
	return true;
}

static bool path(struct parser *ps)
{
	const char *why;
	struct pathref *r;

	if (ps->tok.kind != TOK_PATH && ps->tok.kind != TOK_STRING)
		return wrong(ps, "a path");
	why = image_path_invalid(ps->tok.s, ps->tok.len);
	if (why) {
		diag_error(ps->p, ps->diags, ps->tok.pos, "%s", why);
		return false;
	}
	r = vec_push(ps, &ps->paths, sizeof(*r));
	if (!r)
		return false;
	r->pos = ps->tok.pos;
	r->path = arena_strndup(ps->p->arena, ps->tok.s, ps->tok.len);
	advance(ps);
	return r->path != NULL;
}

/* policy "NAME" { mode enforcing; } */
static bool parse_mode(struct parser *ps)
{
	if (!expect(ps, "mode"))
		return false;
	if (at(ps, "permissive"))
		ps->p->flags |= DSI_POLICY_PERMISSIVE;
	else if (!at(ps, "enforcing"))
		return wrong(ps, "`enforcing` or `permissive`");
	advance(ps);
	return expect(ps, ";");
}

static bool parse_policy(struct parser *ps)
{
	struct policy *p = ps->p;
	struct pos pos = ps->tok.pos;
	struct token t;

	advance(ps);
	t = ps->tok;
	if (t.kind != TOK_STRING || !t.len || t.len > IMAGE_NAME_MAX)
		return wrong(ps, "the policy's name as a \"string\" of 1 to 63 bytes");
	advance(ps);
	if (p->name) {
		diag_error(p, ps->diags, pos, "second `policy` statement: one policy has one name");
		diag_note(p, ps->diags, p->name_pos, "the first one is here");
	} else {
		p->name = arena_strndup(p->arena, t.s, t.len);
		p->name_pos = pos;
	}
	if (!expect(ps, "{"))
		return false;
	while (!at(ps, "}"))
		if (!parse_mode(ps))
			return false;
	return expect(ps, "}");
}

/* nodes GROUP = NODE, NODE; */
static bool parse_nodes(struct parser *ps)
{
	struct group *g = arena_alloc(ps->p->arena, sizeof(*g));

	advance(ps);
	if (!g || !name(ps, "the group's name", &g->name))
		return false;
	/* in the model also when its list is wrong: else every use of the name would be an error too */
	*ps->p->groups_end = g;
	ps->p->groups_end = &g->next;
	if (!expect(ps, "=") || !name_list(ps, "a node's name"))
		return false;
	g->nodes = vec_copy(ps, &ps->refs, sizeof(struct ref));
	g->n_nodes = ps->refs.n;
	return expect(ps, ";");
}

/* set NAME = NAME, NAME; */
static bool parse_set(struct parser *ps)
{
	struct set *s = arena_alloc(ps->p->arena, sizeof(*s));

	advance(ps);
	if (!s || !name(ps, "the set's name", &s->name) || !expect(ps, "=") || !name_list(ps, "a name"))
		return false;
	s->members = vec_copy(ps, &ps->refs, sizeof(struct ref));
	s->n_members = ps->refs.n;
	*ps->p->sets_end = s;
	ps->p->sets_end = &s->next;
	return expect(ps, ";");
}

static bool domain_exec(struct parser *ps, struct domain *d DSI_UNUSED)
{
	do {
		if (!path(ps))
			return false;
	} while (accept(ps, ","));
	return true;
}

static bool domain_from(struct parser *ps, struct domain *d)
{
	if (d->has_from) {
		diag_error(ps->p, ps->diags, ps->after_prev, "second `from`: list all domains in one");
		return false;
	}
	if (!name_list(ps, "a domain's name"))
		return false;
	d->has_from = true;
	d->from = vec_copy(ps, &ps->refs, sizeof(struct ref));
	d->n_from = ps->refs.n;
	return true;
}

static bool domain_permissive(struct parser *ps DSI_UNUSED, struct domain *d)
{
	d->flags |= DSI_CTX_PERMISSIVE;
	return true;
}

static bool domain_unconfined(struct parser *ps DSI_UNUSED, struct domain *d)
{
	d->flags |= DSI_CTX_UNCONFINED;
	return true;
}

static bool domain_item(struct parser *ps, struct domain *d)
{
	static const struct {
		const char *word;
		bool (*parse)(struct parser *ps, struct domain *d);
	} items[] = {
		{ "exec", domain_exec },
		{ "from", domain_from },
		{ "permissive", domain_permissive },
		{ "unconfined", domain_unconfined },
	};

	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		if (accept(ps, items[i].word))
			return items[i].parse(ps, d) && expect(ps, ";");
	return wrong(ps, "`exec`, `from`, `permissive`, `unconfined` or `}`");
}

/* domain NAME { exec PATH; from NAME; permissive; unconfined; } */
static bool parse_domain(struct parser *ps)
{
	struct domain *d = arena_alloc(ps->p->arena, sizeof(*d));

	advance(ps);
	if (!d || !name(ps, "the domain's name", &d->name))
		return false;
	/* in the model also when its body is wrong, as groups */
	*ps->p->domains_end = d;
	ps->p->domains_end = &d->next;
	ps->paths.n = 0;
	if (!expect(ps, "{"))
		return false;
	while (!at(ps, "}"))
		if (!domain_item(ps, d))
			return false;
	d->execs = vec_copy(ps, &ps->paths, sizeof(struct pathref));
	d->n_execs = ps->paths.n;
	d->whole = true;
	return expect(ps, "}");
}

/* files NAME { PATH; PATH; } */
static bool parse_files(struct parser *ps)
{
	struct filetype *t = arena_alloc(ps->p->arena, sizeof(*t));

	advance(ps);
	if (!t || !name(ps, "the file type's name", &t->name))
		return false;
	*ps->p->types_end = t;
	ps->p->types_end = &t->next;
	ps->paths.n = 0;
	if (!expect(ps, "{"))
		return false;
	while (!at(ps, "}"))
		if (!path(ps) || !expect(ps, ";"))
			return false;
	t->paths = vec_copy(ps, &ps->paths, sizeof(struct pathref));
	t->n_paths = ps->paths.n;
	return expect(ps, "}");
}

/* @GROUP or @* behind a name or a closing brace. */
static bool parse_place(struct parser *ps, struct term *t)
{
	struct ref group = { NULL, { 0, 0, 0 } };

	if (!accept(ps, "@"))
		return true;
	t->at = true;
	t->group_pos = ps->tok.pos;
	if (accept(ps, "*"))
		return true;
	if (!name(ps, "a node group or `*`", &group))
		return false;
	t->group = group.sym;
	return true;
}

static bool parse_term(struct parser *ps, struct vec *v, const char *what)
{
	struct term *t = vec_push(ps, v, sizeof(*t));

	if (!t)
		return false;
	*t = (struct term){ .name.pos = ps->tok.pos };
	if (accept(ps, "*"))
		return true;
	return name(ps, what, &t->name) && parse_place(ps, t);
}

/* NAME, NAME@GROUP, or { NAME NAME@GROUP }@GROUP */
static bool parse_terms(struct parser *ps, struct vec *v, const char *what)
{
	struct term place = { .at = false }, *t;

	v->n = 0;
	if (!accept(ps, "{"))
		return parse_term(ps, v, what);
	do {
		if (!parse_term(ps, v, what))
			return false;
		(void)accept(ps, ",");
	} while (!at(ps, "}"));
	advance(ps);
	if (!parse_place(ps, &place))
		return false;
	for (u32 i = 0; place.at && i < v->n; i++) {
		t = (struct term *)v->data + i;
		if (t->at) {
			diag_error(ps->p, ps->diags, t->group_pos, "a place inside and a place behind the braces");
			return false;
		}
		t->at = true;
		t->group = place.group;
		t->group_pos = place.group_pos;
	}
	return true;
}

struct near_perm {
	u32 cls;
};

static const char *next_perm(const void *arg, u32 i)
{
	return vocab_perm_at(((const struct near_perm *)arg)->cls, i);
}

static const char *next_class(const void *arg DSI_UNUSED, u32 i)
{
	return vocab_class_at(i);
}

static const char *next_family(const void *arg DSI_UNUSED, u32 i)
{
	return vocab_family_at(i);
}

static const char *next_socktype(const void *arg DSI_UNUSED, u32 i)
{
	return vocab_socktype_at(i);
}

/* "unknown WHAT `x`: did you mean `y`?" or the list of all; always false */
static bool unknown(struct parser *ps, const char *what, const char *word, const char *(*next)(const void *, u32),
		    const void *arg)
{
	const char *near = diag_nearest(word, next, arg);
	char all[256] = "";
	size_t len = 0;
	const char *s;

	if (near) {
		diag_error(ps->p, ps->diags, ps->tok.pos, "unknown %s `%s`: did you mean `%s`?", what, word, near);
		return false;
	}
	for (u32 i = 0; (s = next(arg, i)) && len < sizeof(all); i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "", s);
	diag_error(ps->p, ps->diags, ps->tok.pos, "unknown %s `%s`: there are %s", what, word, all);
	return false;
}

/* The text of the current name token; empty when it is none. */
static const char *word(const struct parser *ps, char *dst, size_t cap)
{
	dst[0] = '\0';
	if (ps->tok.kind == TOK_NAME)
		(void)snprintf(dst, cap, "%.*s", (int)ps->tok.len, ps->tok.s);
	return dst;
}

static bool parse_class(struct parser *ps, struct rule *r)
{
	char w[IMAGE_NAME_MAX + 1];

	if (ps->tok.kind != TOK_NAME)
		return wrong(ps, "a class");
	r->cls_pos = ps->tok.pos;
	r->cls = vocab_class(word(ps, w, sizeof(w)));
	if (!r->cls)
		return unknown(ps, "class", w, next_class, NULL);
	if (r->cls == DSI_CLASS_SOCKET) {
		diag_error(ps->p, ps->diags, ps->tok.pos, "sockets have no target: write `allow DOMAIN socket { inet stream };`");
		return false;
	}
	advance(ps);
	return true;
}

/* { read write } */
static bool parse_perms(struct parser *ps, struct rule *r)
{
	struct near_perm near = { r->cls };
	char w[IMAGE_NAME_MAX + 1];
	u32 bit;

	if (!expect(ps, "{"))
		return false;
	r->perm_pos = ps->tok.pos;
	do {
		if (ps->tok.kind != TOK_NAME)
			return wrong(ps, "a permission");
		bit = vocab_perm(r->cls, word(ps, w, sizeof(w)));
		if (!bit)
			return unknown(ps, "permission", w, next_perm, &near);
		r->perms |= bit;
		advance(ps);
		(void)accept(ps, ",");
	} while (!at(ps, "}"));
	advance(ps);
	return true;
}

static bool parse_port(struct parser *ps, u16 *ret)
{
	if (ps->tok.kind != TOK_NUMBER)
		return wrong(ps, "a port number");
	if (ps->tok.number > UINT16_MAX) {
		diag_error(ps->p, ps->diags, ps->tok.pos, "port %.*s is above 65535", (int)MIN(ps->tok.len, 20u), ps->tok.s);
		return false;
	}
	*ret = (u16)ps->tok.number;
	advance(ps);
	return true;
}

/* port 80, 8080-8090 */
static bool parse_ports(struct parser *ps, struct rule *r)
{
	struct pos pos = ps->tok.pos;
	struct port_range *range;

	ps->ports.n = 0;
	if (!accept(ps, "port"))
		return true;
	if (r->cls != DSI_CLASS_TCP) {
		diag_error(ps->p, ps->diags, pos, "class `%s` has no ports", image_class_name(r->cls));
		return false;
	}
	do {
		pos = ps->tok.pos;
		range = vec_push(ps, &ps->ports, sizeof(*range));
		if (!range || !parse_port(ps, &range->first))
			return false;
		range->last = range->first;
		if (accept(ps, "-") && !parse_port(ps, &range->last))
			return false;
		if (range->first > range->last) {
			diag_error(ps->p, ps->diags, pos, "port range %u-%u is empty", range->first, range->last);
			return false;
		}
	} while (accept(ps, ","));
	r->ports = vec_copy(ps, &ps->ports, sizeof(*range));
	r->n_ports = r->ports ? policy_merge_ports(r->ports, ps->ports.n) : 0;
	return true;
}

/* { inet stream, unix dgram } */
static bool parse_sockets(struct parser *ps, struct rule *r)
{
	char w[IMAGE_NAME_MAX + 1];
	int family, type;
	u16 *q;

	ps->sockets.n = 0;
	if (!expect(ps, "{"))
		return false;
	do {
		if (ps->tok.kind != TOK_NAME)
			return wrong(ps, "an address family");
		family = vocab_family(word(ps, w, sizeof(w)));
		if (family < 0)
			return unknown(ps, "address family", w, next_family, NULL);
		advance(ps);
		if (ps->tok.kind != TOK_NAME)
			return wrong(ps, "a socket type");
		type = vocab_socktype(word(ps, w, sizeof(w)));
		if (type < 0)
			return unknown(ps, "socket type", w, next_socktype, NULL);
		advance(ps);
		q = vec_push(ps, &ps->sockets, sizeof(*q));
		if (!q)
			return false;
		*q = DSI_SOCKET_QUAL(family, type);
	} while (accept(ps, ",") && !at(ps, "}"));
	r->cls = DSI_CLASS_SOCKET;
	r->perms = DSI_PERM_SOCKET_CREATE;
	r->sockets = vec_copy(ps, &ps->sockets, sizeof(*q));
	r->n_sockets = ps->sockets.n;
	return expect(ps, "}");
}

/* TARGET:CLASS { PERM PERM } port LIST */
static bool parse_targets(struct parser *ps, struct rule *r)
{
	return parse_terms(ps, &ps->targets, "a target") && expect(ps, ":") && parse_class(ps, r) &&
	       parse_perms(ps, r) && parse_ports(ps, r);
}

/* `socket` is the class, unless it is a name that `:` or `@` follows. */
static bool at_socket(const struct parser *ps)
{
	struct lexer ahead = ps->lex;
	struct token t;

	if (!at(ps, "socket"))
		return false;
	t = lex_next(&ahead);
	return !token_is(&t, ":") && !token_is(&t, "@");
}

static bool parse_rule(struct parser *ps, enum rule_kind kind)
{
	struct rule *r = arena_alloc(ps->p->arena, sizeof(*r));

	if (!r)
		return false;
	r->kind = kind;
	r->pos = ps->tok.pos;
	r->on = ps->on;
	r->cls_pos = r->pos;
	advance(ps);
	if (!parse_terms(ps, &ps->subjects, "a domain's name"))
		return false;
	ps->targets.n = 0;
	if (at_socket(ps)) {
		r->cls_pos = r->perm_pos = ps->tok.pos;
		advance(ps);
		if (!parse_sockets(ps, r))
			return false;
	} else if (!parse_targets(ps, r)) {
		return false;
	}
	if (ps->p->n_rules == POLICY_RULES_MAX) {
		diag_error(ps->p, ps->diags, r->pos, "more than %d rules", POLICY_RULES_MAX);
		return false;
	}
	r->subjects = vec_copy(ps, &ps->subjects, sizeof(struct term));
	r->n_subjects = ps->subjects.n;
	r->targets = vec_copy(ps, &ps->targets, sizeof(struct term));
	r->n_targets = ps->targets.n;
	*ps->p->rules_end = r;
	ps->p->rules_end = &r->next;
	ps->p->n_rules++;
	return expect(ps, ";");
}

static bool parse_allow(struct parser *ps)
{
	return parse_rule(ps, RULE_ALLOW);
}

static bool parse_never(struct parser *ps)
{
	return parse_rule(ps, RULE_NEVER);
}

static bool parse_on(struct parser *ps);

static const struct statement {
	const char *word;
	bool (*parse)(struct parser *ps);
	bool inside_on;
} statements[] = {
	{ "policy", parse_policy, false }, { "nodes", parse_nodes, false }, { "set", parse_set, false },
	{ "domain", parse_domain, false }, { "files", parse_files, false }, { "allow", parse_allow, true },
	{ "never", parse_never, true },    { "on", parse_on, false },
};

static const struct statement *statement(const struct token *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(statements); i++)
		if (token_is(t, statements[i].word))
			return &statements[i];
	return NULL;
}

/* Behind an error: go on at the end of the statement, or where the next one clearly begins. */
static void recover(struct parser *ps)
{
	u32 base = ps->on.sym ? 1 : 0;
	bool semicolon, brace;

	while (ps->tok.kind != TOK_END) {
		if (ps->tok.first && statement(&ps->tok)) {
			ps->depth = base;
			return;
		}
		semicolon = at(ps, ";");
		brace = at(ps, "}");
		if (brace && base && ps->depth <= base)
			return; /* the end of `on` */
		advance(ps);
		if (ps->depth > base)
			continue;
		/* `allow a b:tcp { x } port 1;` goes on behind its brace, a body does not */
		if (semicolon || (brace && (ps->tok.first || at(ps, "}"))))
			return;
	}
}

static const char *next_statement(const void *arg DSI_UNUSED, u32 i)
{
	return i < ARRAY_SIZE(statements) ? statements[i].word : NULL;
}

static bool parse_statement(struct parser *ps)
{
	const struct statement *st = statement(&ps->tok);
	char w[IMAGE_NAME_MAX + 1];

	if (st && ps->on.sym && !st->inside_on) {
		diag_error(ps->p, ps->diags, ps->tok.pos, "`%s` inside `on`: missing `}`?", st->word);
		return false;
	}
	if (st)
		return st->parse(ps);
	if (ps->tok.kind == TOK_NAME)
		return unknown(ps, "statement", word(ps, w, sizeof(w)), next_statement, NULL);
	return wrong(ps, "a statement");
}

/* on GROUP { allow ...; never ...; } */
static bool parse_on(struct parser *ps)
{
	struct ref group;
	bool ok = true;

	advance(ps);
	if (!name(ps, "a node group", &group) || !expect(ps, "{"))
		return false;
	ps->on = group;
	while (ok && !at(ps, "}") && ps->tok.kind != TOK_END) {
		const struct statement *st = statement(&ps->tok);

		if (parse_statement(ps))
			continue;
		ok = !st || st->inside_on; /* else the block was not closed */
		if (ok)
			recover(ps);
	}
	ps->on.sym = NULL;
	return ok && expect(ps, "}");
}

int parse_file(struct policy *p, const char *file_name, const char *text, size_t len, struct diag_list *diags)
{
	struct parser ps = { .p = p, .diags = diags };
	u32 before = diags->errors;
	struct pos whole = { p->n_files, 0, 0 };

	if (p->n_files == POLICY_FILES_MAX)
		return -DSI_ELIMIT;
	if (!text)
		text = ""; /* an empty buffer of the caller */
	p->files[p->n_files++] = (struct policy_file){ file_name, text, len };
	if (len > POLICY_FILE_SIZE_MAX) {
		diag_error(p, diags, whole, "larger than %d MiB", POLICY_FILE_SIZE_MAX >> 20);
		return -DSI_ELIMIT;
	}
	lex_init(&ps.lex, whole.file, text, len);
	ps.tok = lex_next(&ps.lex);
	while (ps.tok.kind != TOK_END && !p->arena->failed)
		if (!parse_statement(&ps))
			recover(&ps);
	if (p->arena->failed) {
		diag_error(p, diags, whole, "policy needs more memory than the limit of %zu MiB", p->arena->limit >> 20);
		return -DSI_ENOMEM;
	}
	return diags->errors > before ? -DSI_EPARSE : 0;
}
