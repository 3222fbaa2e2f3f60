/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers and bytes: SIDs, then the sections in the order of image.h. Must never write what the reader
 * refuses: the result is opened before it is handed out.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/compile.h"
#include "policies/compiler/entries.h"
#include "policies/compiler/image_format.h"

struct named {
	struct symbol *sym;
	u32 sid;
	bool type;
	const struct domain *domain;
};

struct retired {
	u32 sid;
	const char *name;
	u32 kind;
};

struct compiler {
	struct policy *p;
	struct diag_list *diags;
	const struct image *base;
	struct ports ports;
	struct places places;
	struct entries entries;
	u32 *file_rank;
	u32 *files; /* policy file index by rank */
	struct named *named; /* contexts and types that are not reserved, by name; later by SID */
	u32 n_named;
	struct retired *retired;
	u32 n_retired;
	const char **strings; /* sorted, unique */
	u32 *offsets;
	u32 n_strings, cap_strings;
	struct wbuf *out;
};

static const struct pos nowhere = { UINT32_MAX, 0, 0 };

/* Files: by base name, then by full name. */

struct file_order {
	const struct policy *p;
	u32 index;
};

static int cmp_file(const void *va, const void *vb)
{
	const struct file_order *a = va, *b = vb;
	int r = strcmp(policy_file_base(a->p, a->index), policy_file_base(b->p, b->index));

	if (!r)
		r = strcmp(a->p->files[a->index].name, b->p->files[b->index].name);
	return r ? r : (int)a->index - (int)b->index;
}

static int rank_files(struct compiler *c)
{
	u32 n = c->p->n_files;
	struct file_order *order = arena_array(c->p->arena, n, sizeof(*order));

	c->file_rank = arena_array(c->p->arena, n, sizeof(*c->file_rank));
	c->files = arena_array(c->p->arena, n, sizeof(*c->files));
	if (!order || !c->file_rank || !c->files)
		return -DSI_ENOMEM;
	for (u32 i = 0; i < n; i++)
		order[i] = (struct file_order){ c->p, i };
	if (n)
		qsort(order, n, sizeof(*order), cmp_file);
	for (u32 i = 0; i < n; i++) {
		c->files[i] = order[i].index;
		c->file_rank[order[i].index] = i;
	}
	return 0;
}

/* SIDs. */

static int cmp_named_text(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->sym->text, ((const struct named *)b)->sym->text);
}

static int cmp_named_sid(const void *a, const void *b)
{
	u32 x = ((const struct named *)a)->sid, y = ((const struct named *)b)->sid;

	return x < y ? -1 : x > y;
}

static int collect_named(struct compiler *c)
{
	u32 n = 0;

	for (const struct domain *d = c->p->domains; d; d = d->next)
		n++;
	for (const struct filetype *t = c->p->types; t; t = t->next)
		n++;
	c->named = arena_array(c->p->arena, n, sizeof(*c->named));
	if (!c->named)
		return -DSI_ENOMEM;
	for (const struct domain *d = c->p->domains; d; d = d->next)
		if (!d->name.sym->reserved)
			c->named[c->n_named++] = (struct named){ d->name.sym, 0, false, d };
	for (const struct filetype *t = c->p->types; t; t = t->next)
		if (!t->name.sym->reserved && t->name.sym->type == t)
			c->named[c->n_named++] = (struct named){ t->name.sym, 0, true, NULL };
	if (c->n_named + IMAGE_FIXED_CONTEXTS + IMAGE_FIXED_TYPES > IMAGE_NAMES_MAX) {
		diag_error(c->p, c->diags, nowhere, "more than %d domains and file types", IMAGE_NAMES_MAX);
		return -DSI_ELIMIT;
	}
	if (c->n_named)
		qsort(c->named, c->n_named, sizeof(*c->named), cmp_named_text);
	return 0;
}

/* One name of the base: keeps its SID when the policy has it as the same kind, else is retired. */
static void keep_or_retire(struct compiler *c, u32 sid, const char *name, u32 kind)
{
	struct symbol *s = policy_symbol_find(c->p, name);
	u32 *have = !s || s->reserved ? NULL : kind == IMAGE_KIND_CONTEXT ? s->domain ? &s->sid : NULL
						: s->type		  ? &s->tsid
									  : NULL;

	if (have && !*have)
		*have = sid;
	else
		c->retired[c->n_retired++] = (struct retired){ sid, name, kind };
}

static int cmp_retired(const void *a, const void *b)
{
	u32 x = ((const struct retired *)a)->sid, y = ((const struct retired *)b)->sid;

	return x < y ? -1 : x > y;
}

/* Fills symbols and c->retired; *next ends behind the highest SID ever given. */
static int take_base(struct compiler *c, u32 *next)
{
	u32 n_c, n_t, n_r;

	if (!c->base)
		return 0;
	n_c = image_count(c->base, IMAGE_CONTEXTS);
	n_t = image_count(c->base, IMAGE_TYPES);
	n_r = image_count(c->base, IMAGE_RETIRED);
	c->retired = arena_array(c->p->arena, (size_t)n_c + n_t + n_r, sizeof(*c->retired));
	if (!c->retired)
		return -DSI_ENOMEM;
	for (u32 i = IMAGE_FIXED_CONTEXTS; i < n_c; i++) {
		struct image_context x = image_context(c->base, i);

		keep_or_retire(c, x.sid, x.name, IMAGE_KIND_CONTEXT);
		*next = MAX(*next, x.sid + 1);
	}
	for (u32 i = IMAGE_FIXED_TYPES; i < n_t; i++) {
		struct image_type x = image_type(c->base, i);

		keep_or_retire(c, x.sid, x.name, IMAGE_KIND_TYPE);
		*next = MAX(*next, x.sid + 1);
	}
	for (u32 i = 0; i < n_r; i++) {
		struct image_retired x = image_retired(c->base, i);

		keep_or_retire(c, x.sid, x.name, x.kind); /* a name that comes back is what it was */
		*next = MAX(*next, x.sid + 1);
	}
	if (c->n_retired)
		qsort(c->retired, c->n_retired, sizeof(*c->retired), cmp_retired);
	return 0;
}

static int assign_sids(struct compiler *c)
{
	u32 next = DSI_SID_FIRST;
	int r = collect_named(c);

	if (!r)
		r = take_base(c, &next);
	for (u32 i = 0; !r && i < c->n_named; i++) {
		struct named *n = &c->named[i];
		u32 *sid = n->type ? &n->sym->tsid : &n->sym->sid;

		if (!*sid)
			*sid = next++;
		n->sid = *sid;
	}
	if (!r && next > IMAGE_SID_END) {
		diag_error(c->p, c->diags, nowhere, "SIDs of policy contexts are used up: start without a base");
		return -DSI_ELIMIT;
	}
	return r;
}

/* Strings. */

static int cmp_string(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_string(struct compiler *c, const char *s)
{
	assert(c->n_strings < c->cap_strings);
	c->strings[c->n_strings++] = s;
}

static const char *policy_title(const struct policy *p)
{
	return p->name ? p->name : "unnamed";
}

static u32 count_strings(const struct compiler *c)
{
	u32 n = c->n_named + c->n_retired + c->places.n_nodes + c->p->n_groups + c->p->n_files;

	for (const struct filetype *t = c->p->types; t; t = t->next)
		n += t->n_paths;
	for (const struct domain *d = c->p->domains; d; d = d->next)
		n += d->n_execs;
	return n + IMAGE_FIXED_CONTEXTS + IMAGE_FIXED_TYPES + 1;
}

static void add_strings(struct compiler *c)
{
	static const u32 fixed[] = { DSI_SID_DEFAULT, DSI_SID_KERNEL, DSI_SID_DSI, DSI_SID_DSI, DSI_SID_UNLABELED };

	_Static_assert(ARRAY_SIZE(fixed) == IMAGE_FIXED_CONTEXTS + IMAGE_FIXED_TYPES, "reserved rows");
	add_string(c, policy_title(c->p));
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add_string(c, vocab_reserved_name(fixed[i]));
	for (u32 i = 0; i < c->n_named; i++)
		add_string(c, c->named[i].sym->text);
	for (u32 i = 0; i < c->n_retired; i++)
		add_string(c, c->retired[i].name);
	for (u32 i = 0; i < c->places.n_nodes; i++)
		add_string(c, c->places.nodes[i]->sym->text);
	for (const struct group *g = c->p->groups; g; g = g->next)
		add_string(c, g->name.sym->text);
	for (u32 i = 0; i < c->p->n_files; i++)
		add_string(c, policy_file_base(c->p, i));
	for (const struct filetype *t = c->p->types; t; t = t->next)
		for (u32 i = 0; i < t->n_paths; i++)
			add_string(c, t->paths[i].path);
	for (const struct domain *d = c->p->domains; d; d = d->next)
		for (u32 i = 0; i < d->n_execs; i++)
			add_string(c, d->execs[i].path);
}

static int build_strings(struct compiler *c)
{
	u32 out = 0, offset = 0;

	c->cap_strings = count_strings(c);
	c->strings = arena_array(c->p->arena, c->cap_strings, sizeof(*c->strings));
	c->offsets = arena_array(c->p->arena, c->cap_strings, sizeof(*c->offsets));
	if (!c->strings || !c->offsets)
		return -DSI_ENOMEM;
	add_strings(c);
	qsort(c->strings, c->n_strings, sizeof(*c->strings), cmp_string);
	for (u32 i = 0; i < c->n_strings; i++) {
		if (out && !strcmp(c->strings[out - 1], c->strings[i]))
			continue;
		c->strings[out] = c->strings[i];
		c->offsets[out++] = offset;
		offset += (u32)strlen(c->strings[i]) + 1;
	}
	c->n_strings = out;
	return 0;
}

static u32 offset_of(const struct compiler *c, const char *s)
{
	const char *const *at = bsearch(&s, c->strings, c->n_strings, sizeof(*c->strings), cmp_string);

	assert(at);
	return c->offsets[at - c->strings];
}

/* Sections: each writes its rows. */

static void write_strings(struct compiler *c)
{
	for (u32 i = 0; i < c->n_strings; i++)
		wbuf_bytes(c->out, c->strings[i], strlen(c->strings[i]) + 1);
}

static void write_context(struct compiler *c, u32 sid, const char *name, const struct domain *d)
{
	wbuf_u32(c->out, sid);
	wbuf_u32(c->out, offset_of(c, name));
	wbuf_u32(c->out, d ? d->flags : 0);
	wbuf_u32(c->out, d ? c->file_rank[d->name.pos.file] : IMAGE_NO_FILE);
	wbuf_u32(c->out, d ? d->name.pos.line : 0);
}

static void write_contexts(struct compiler *c)
{
	static const u32 fixed[IMAGE_FIXED_CONTEXTS] = { DSI_SID_DEFAULT, DSI_SID_KERNEL, DSI_SID_DSI };

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		const char *name = vocab_reserved_name(fixed[i]);
		const struct symbol *s = policy_symbol_find(c->p, name);

		write_context(c, fixed[i], name, s ? s->domain : NULL);
	}
	for (u32 i = 0; i < c->n_named; i++)
		if (!c->named[i].type)
			write_context(c, c->named[i].sid, c->named[i].sym->text, c->named[i].domain);
}

static void write_types(struct compiler *c)
{
	static const u32 fixed[IMAGE_FIXED_TYPES] = { DSI_SID_DSI, DSI_SID_UNLABELED };

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		wbuf_u32(c->out, fixed[i]);
		wbuf_u32(c->out, offset_of(c, vocab_reserved_name(fixed[i])));
	}
	for (u32 i = 0; i < c->n_named; i++) {
		if (!c->named[i].type)
			continue;
		wbuf_u32(c->out, c->named[i].sid);
		wbuf_u32(c->out, offset_of(c, c->named[i].sym->text));
	}
}

static void write_retired(struct compiler *c)
{
	for (u32 i = 0; i < c->n_retired; i++) {
		wbuf_u32(c->out, c->retired[i].sid);
		wbuf_u32(c->out, offset_of(c, c->retired[i].name));
		wbuf_u32(c->out, c->retired[i].kind);
	}
}

static void write_names(struct compiler *c)
{
	qsort(c->named, c->n_named, sizeof(*c->named), cmp_named_text);
	for (u32 i = 0; i < c->n_named; i++) {
		wbuf_u32(c->out, offset_of(c, c->named[i].sym->text));
		wbuf_u32(c->out, c->named[i].sid);
	}
}

struct row3 {
	u32 col[3];
};

static int cmp_row3(const void *va, const void *vb)
{
	const struct row3 *a = va, *b = vb;

	for (u32 i = 0; i < 3; i++)
		if (a->col[i] != b->col[i])
			return a->col[i] < b->col[i] ? -1 : 1;
	return 0;
}

/* Sort rows and write their first `width` columns; rows that are the same are one. */
static void write_rows(struct compiler *c, struct row3 *rows, u32 n, u32 width)
{
	if (n)
		qsort(rows, n, sizeof(*rows), cmp_row3);
	for (u32 i = 0; i < n; i++) {
		if (i && !cmp_row3(&rows[i - 1], &rows[i]))
			continue;
		for (u32 k = 0; k < width; k++)
			wbuf_u32(c->out, rows[i].col[k]);
	}
}

static void write_paths(struct compiler *c)
{
	struct row3 *rows;
	u32 n = 0;

	for (const struct filetype *t = c->p->types; t; t = t->next)
		n += t->n_paths;
	rows = arena_array(c->p->arena, n, sizeof(*rows));
	if (!rows)
		return;
	n = 0;
	for (const struct filetype *t = c->p->types; t; t = t->next)
		for (u32 i = 0; i < t->n_paths; i++)
			rows[n++] = (struct row3){ { offset_of(c, t->paths[i].path), expand_type_sid(t->name.sym), 0 } };
	write_rows(c, rows, n, 2);
}

static void write_execs(struct compiler *c)
{
	struct row3 *rows;
	u32 n = 0;

	for (const struct domain *d = c->p->domains; d; d = d->next)
		n += d->n_execs * d->n_enters;
	rows = arena_array(c->p->arena, n, sizeof(*rows));
	if (!rows)
		return;
	n = 0;
	for (const struct domain *d = c->p->domains; d; d = d->next)
		for (u32 i = 0; i < d->n_execs; i++)
			for (u32 f = 0; f < d->n_enters; f++)
				rows[n++] = (struct row3){ { offset_of(c, d->execs[i].path),
							     expand_context_sid(d->enters[f].sym),
							     expand_context_sid(d->name.sym) } };
	write_rows(c, rows, n, 3);
}

static void write_nodes(struct compiler *c)
{
	for (u32 i = 0; i < c->places.n_nodes; i++) {
		wbuf_u32(c->out, offset_of(c, c->places.nodes[i]->sym->text));
		wbuf_u32(c->out, c->places.nodes[i]->nclass);
	}
}

static int cmp_group(const void *a, const void *b)
{
	return strcmp((*(struct group *const *)a)->name.sym->text, (*(struct group *const *)b)->name.sym->text);
}

static void write_groups(struct compiler *c)
{
	struct group **groups = arena_array(c->p->arena, c->p->n_groups, sizeof(*groups));
	u32 n = 0;

	if (!groups)
		return;
	for (struct group *g = c->p->groups; g; g = g->next)
		groups[n++] = g;
	if (n)
		qsort(groups, n, sizeof(*groups), cmp_group);
	for (u32 i = 0; i < n; i++) {
		wbuf_u32(c->out, offset_of(c, groups[i]->name.sym->text));
		wbuf_bytes(c->out, groups[i]->classes, IMAGE_CLASSES_LEN);
	}
}

static void write_places(struct compiler *c)
{
	for (u32 i = 0; i < c->places.n_sets; i++)
		wbuf_bytes(c->out, c->places.sets[i].classes, IMAGE_CLASSES_LEN);
}

static void write_ports(struct compiler *c)
{
	for (u32 i = 0; i < c->ports.n_ranges; i++) {
		wbuf_u16(c->out, c->ports.ranges[i].first);
		wbuf_u16(c->out, c->ports.ranges[i].last);
		wbuf_u32(c->out, c->ports.ranges[i].pclass);
	}
}

static void write_rules(struct compiler *c)
{
	for (u32 i = 0; i < c->entries.n; i++) {
		const struct entry *e = &c->entries.items[i];

		wbuf_u32(c->out, e->key.ssid);
		wbuf_u32(c->out, e->key.tsid);
		wbuf_u16(c->out, e->key.nclass);
		wbuf_u16(c->out, e->key.qual);
		wbuf_u32(c->out, e->key.cls);
		wbuf_u32(c->out, e->allow);
		wbuf_u32(c->out, e->pos.line);
		wbuf_u16(c->out, (u16)e->pos.file);
		wbuf_u16(c->out, (u16)e->place);
	}
}

static void write_files(struct compiler *c)
{
	for (u32 i = 0; i < c->p->n_files; i++)
		wbuf_u32(c->out, offset_of(c, policy_file_base(c->p, c->files[i])));
}

/* NULL: one of format 2 that the language has no words for yet, so without rows. */
static void (*const writers[IMAGE_SECTION_COUNT])(struct compiler *c) = {
	[IMAGE_STRINGS] = write_strings, [IMAGE_CONTEXTS] = write_contexts, [IMAGE_TYPES] = write_types,
	[IMAGE_RETIRED] = write_retired, [IMAGE_NAMES] = write_names,       [IMAGE_PATHS] = write_paths,
	[IMAGE_EXECS] = write_execs,     [IMAGE_NODES] = write_nodes,       [IMAGE_GROUPS] = write_groups,
	[IMAGE_PLACES] = write_places,   [IMAGE_PORTS] = write_ports,       [IMAGE_RULES] = write_rules,
	[IMAGE_FILES] = write_files,
};

static const u32 widths[IMAGE_SECTION_COUNT] = {
#define X(name, width, max, level) [IMAGE_##name] = width,
	IMAGE_SECTION_TABLE(X)
#undef X
};

static void put32(u8 *p, u32 v)
{
	for (u32 i = 0; i < 4; i++)
		p[i] = (u8)(v >> 8 * i);
}

struct layout {
	u32 offset[IMAGE_SECTION_COUNT], size[IMAGE_SECTION_COUNT];
};

/* Sections behind the header of format 2; then, when none of format 2 has rows, moved up to that of format 1, which
 * older members load too. Answers the format. */
static u32 write_sections(struct compiler *c, struct layout *l)
{
	const u32 less = IMAGE_HEADER_LEN_2 - IMAGE_HEADER_LEN_1;
	bool newer = false;

	(void)wbuf_reserve(c->out, IMAGE_HEADER_LEN_2);
	for (u32 s = 0; s < IMAGE_SECTION_COUNT; s++) {
		l->offset[s] = (u32)c->out->len;
		if (writers[s])
			writers[s](c);
		l->size[s] = (u32)c->out->len - l->offset[s];
		newer |= s >= IMAGE_SECTION_COUNT_1 && l->size[s];
		while (wbuf_ok(c->out) && c->out->len % 4)
			wbuf_u8(c->out, 0);
	}
	if (newer || !wbuf_ok(c->out))
		return IMAGE_FORMAT;
	memmove(c->out->data + IMAGE_HEADER_LEN_1, c->out->data + IMAGE_HEADER_LEN_2, c->out->len - IMAGE_HEADER_LEN_2);
	c->out->len -= less;
	for (u32 s = 0; s < IMAGE_SECTION_COUNT_1; s++)
		l->offset[s] -= less;
	return 1;
}

static void write_image(struct compiler *c, const u8 *base_digest)
{
	struct layout l;
	u32 format;
	u8 *h;

	if (c->n_named)
		qsort(c->named, c->n_named, sizeof(*c->named), cmp_named_sid);
	format = write_sections(c, &l);
	if (!wbuf_ok(c->out))
		return;
	h = c->out->data;
	memcpy(h, IMAGE_MAGIC, 4);
	h[4] = (u8)format;
	h[6] = (u8)c->p->flags;
	put32(h + 8, (u32)c->out->len);
	put32(h + IMAGE_OFF_NAME, offset_of(c, policy_title(c->p)));
	if (base_digest)
		memcpy(h + IMAGE_OFF_BASE, base_digest, IMAGE_DIGEST_LEN);
	for (u32 s = 0; s < image_section_count(format); s++) {
		put32(h + IMAGE_OFF_SECTIONS + s * 12, l.offset[s]);
		put32(h + IMAGE_OFF_SECTIONS + s * 12 + 4, l.size[s]);
		put32(h + IMAGE_OFF_SECTIONS + s * 12 + 8, l.size[s] / widths[s]);
	}
}

static int write_checked(struct compiler *c, const u8 *base_digest)
{
	struct image img;
	struct err e;
	int r;

	wbuf_reset(c->out);
	write_image(c, base_digest);
	if (c->p->arena->failed)
		return -DSI_ENOMEM;
	if (!wbuf_ok(c->out)) {
		diag_error(c->p, c->diags, nowhere, "image is larger than %d MiB", IMAGE_SIZE_MAX >> 20);
		return -DSI_ELIMIT;
	}
	r = image_open(&img, c->out->data, c->out->len, &e);
	if (r) {
		diag_error(c->p, c->diags, nowhere, "internal error: the image made is not valid: %s", e.text);
		wbuf_reset(c->out);
	}
	return r;
}

static int compile(struct compiler *c, const u8 *base_digest)
{
	int r = rank_files(c);

	if (!r)
		r = assign_sids(c);
	if (!r)
		r = ports_build(c->p, c->diags, &c->ports);
	if (!r)
		r = places_build(c->p, c->diags, &c->places);
	if (!r)
		r = entries_build(c->p, &c->ports, &c->places, c->file_rank, c->diags, &c->entries);
	if (!r)
		r = entries_audit(c->p, &c->ports, &c->places, &c->entries, c->diags);
	if (!r && c->diags->errors)
		r = -DSI_EPARSE;
	if (!r)
		r = build_strings(c);
	return r ? r : write_checked(c, base_digest);
}

int policy_compile(struct policy *p, const struct image *base, const u8 *base_digest, struct wbuf *out,
		   struct diag_list *diags)
{
	struct compiler *c;
	int r = -DSI_ENOMEM;

	if (diags->errors)
		return -DSI_EPARSE;
	c = arena_alloc(p->arena, sizeof(*c));
	if (c) {
		*c = (struct compiler){ .p = p, .diags = diags, .base = base, .out = out };
		r = compile(c, base_digest);
	}
	if (r == -DSI_ENOMEM)
		diag_error(p, diags, nowhere, "policy needs more memory than the limit of %zu MiB", p->arena->limit >> 20);
	return r;
}
