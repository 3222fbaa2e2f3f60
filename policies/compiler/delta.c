/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deltas by section rows. Must never write more than the new image's size, or read outside either image, whatever the
 * delta says; what comes out of a bad one is refused by its hash, not here. Invariant: the translation is a function of
 * the old image and of sections of the new one that were already made, so maker and applier have the same.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/arena.h"
#include "policies/compiler/delta.h"
#include "policies/compiler/image_format.h"

#define DELTA_MAGIC "DSPD"
enum { DELTA_VERSION = 1, DELTA_ARENA = 1 << 30, NOTHING = 0xffffffff, NOTHING_16 = 0xfffe, LINE_ROWS_MAX = 1 << 20 };

/* Sections that translate others come first: strings, then what is known by name, then the rest. */
static const u8 order[] = {
	IMAGE_STRINGS, IMAGE_FILES, IMAGE_NODES, IMAGE_PORTS, IMAGE_PLACES, IMAGE_CONTEXTS, IMAGE_TYPES, IMAGE_RETIRED,
	IMAGE_NAMES, IMAGE_PATHS, IMAGE_EXECS, IMAGE_GROUPS, IMAGE_RULES, IMAGE_PHASES, IMAGE_PROTECT, IMAGE_FILTER,
	IMAGE_AUDIT, IMAGE_PATTERNS, IMAGE_REACTIONS, IMAGE_SIGNED, IMAGE_SERVICES, IMAGE_ATTRIBUTES,
};
_Static_assert(sizeof(order) == IMAGE_SECTION_COUNT, "every section has its turn");

static const u32 widths[IMAGE_SECTION_COUNT] = {
#define X(name, width, max, level) [IMAGE_##name] = width,
	IMAGE_SECTION_TABLE(X)
#undef X
};

/* What a column is. A section that is not named has none to translate. */
enum column_kind { COL_STRING, COL_FILE, COL_FILE_16, COL_LINE, COL_NCLASS_16, COL_PORT_16, COL_PLACE_16, COL_CLASSES };
enum { WIDTH_MAX = 36 };

static const struct column {
	u8 section, at, kind;
	u8 file_at; /* COL_LINE: where the row has its file */
} columns[] = {
	{ IMAGE_FILES, 0, COL_STRING, 0 },	{ IMAGE_NODES, 0, COL_STRING, 0 },   { IMAGE_PLACES, 0, COL_CLASSES, 0 },
	{ IMAGE_CONTEXTS, 4, COL_STRING, 0 },	{ IMAGE_CONTEXTS, 16, COL_LINE, 12 }, { IMAGE_CONTEXTS, 12, COL_FILE, 0 },
	{ IMAGE_TYPES, 4, COL_STRING, 0 },	{ IMAGE_RETIRED, 4, COL_STRING, 0 }, { IMAGE_NAMES, 0, COL_STRING, 0 },
	{ IMAGE_PATHS, 0, COL_STRING, 0 },	{ IMAGE_EXECS, 0, COL_STRING, 0 },   { IMAGE_GROUPS, 0, COL_STRING, 0 },
	{ IMAGE_GROUPS, 4, COL_CLASSES, 0 },	{ IMAGE_RULES, 8, COL_NCLASS_16, 0 }, { IMAGE_RULES, 10, COL_PORT_16, 0 },
	{ IMAGE_RULES, 20, COL_LINE, 24 },	{ IMAGE_RULES, 24, COL_FILE_16, 0 }, { IMAGE_RULES, 26, COL_PLACE_16, 0 },
	{ IMAGE_PHASES, 4, COL_STRING, 0 },
};

static u16 get16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static u32 get32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static void put16(u8 *p, u32 v)
{
	p[0] = (u8)v;
	p[1] = (u8)(v >> 8);
}

static void put32(u8 *p, u32 v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

/* --- numbers of the delta ---------------------------------------------------------------------------- */

static void put_v(struct wbuf *w, u32 v)
{
	for (; v >= 0x80; v >>= 7)
		wbuf_u8(w, (u8)(v | 0x80));
	wbuf_u8(w, (u8)v);
}

static void put_z(struct wbuf *w, u32 v) /* v as a difference, modulo 2^32 */
{
	put_v(w, v << 1 ^ (v >> 31 ? 0xffffffffu : 0));
}

/* One spelling of each number. */
static u32 get_v(struct rbuf *r)
{
	u64 v = 0;

	for (u32 shift = 0; shift < 35; shift += 7) {
		u8 b = rbuf_u8(r);

		v |= (u64)(b & 0x7f) << shift;
		if (b & 0x80)
			continue;
		if (v > UINT32_MAX || (shift && !b))
			break;
		return (u32)v;
	}
	r->failed = true;
	return 0;
}

static u32 get_z(struct rbuf *r)
{
	u32 v = get_v(r);

	return v >> 1 ^ (v & 1 ? 0xffffffffu : 0);
}

/* --- two images side by side ------------------------------------------------------------------------- */

struct side {
	const u8 *p[IMAGE_SECTION_COUNT]; /* NULL: not made yet */
	u32 n[IMAGE_SECTION_COUNT];
};

struct line_row {
	u32 file, line, shift;
};

struct delta {
	struct arena arena;
	struct image old;
	struct side a, b; /* old, new */
	u32 *from, *to;   /* offsets of old strings, where they are in the new image */
	u32 n_strings;
	u32 *file;        /* by old number */
	u32 *place;
	u16 nclass[DSI_NCLASS_MAX + 1], pclass[DSI_PCLASS_MAX + 1];
	struct line_row *lines;
	u32 n_lines;
	struct rbuf in;   /* apply */
	struct wbuf *out; /* make: the delta */
};

static void side_of(struct side *s, const struct image *img)
{
	for (u32 i = 0; i < IMAGE_SECTION_COUNT; i++) {
		s->p[i] = img->data + img->section[i].offset;
		s->n[i] = img->section[i].count;
	}
}

static const u8 *row(const struct side *s, u32 section, u32 i)
{
	assert(i < s->n[section]);
	return s->p[section] + (size_t)i * widths[section];
}

/* A string of the new image may lie anywhere: its end is what the section ends with. */
static const char *string(const struct side *s, u32 offset)
{
	return offset < s->n[IMAGE_STRINGS] ? (const char *)s->p[IMAGE_STRINGS] + offset : "";
}

/* --- translation ------------------------------------------------------------------------------------- */

static u32 count_strings(const struct side *s)
{
	u32 n = 0;

	for (u32 i = 0; i < s->n[IMAGE_STRINGS]; i++)
		n += !s->p[IMAGE_STRINGS][i];
	return n;
}

/* Both sorted: a merge. */
static int map_strings(struct delta *d)
{
	u32 b = 0, n = 0;

	d->n_strings = count_strings(&d->a);
	d->from = arena_array(&d->arena, d->n_strings, sizeof(*d->from));
	d->to = arena_array(&d->arena, d->n_strings, sizeof(*d->to));
	if (!d->from || !d->to)
		return -DSI_ENOMEM;
	for (u32 a = 0; a < d->a.n[IMAGE_STRINGS]; a += (u32)strlen(string(&d->a, a)) + 1, n++) {
		int c = -1;

		while (b < d->b.n[IMAGE_STRINGS] && (c = strcmp(string(&d->b, b), string(&d->a, a))) < 0)
			b += (u32)strlen(string(&d->b, b)) + 1;
		d->from[n] = a;
		d->to[n] = b < d->b.n[IMAGE_STRINGS] && !c ? b : NOTHING;
	}
	return 0;
}

static u32 new_string(const struct delta *d, u32 offset)
{
	u32 lo = 0, hi = d->n_strings;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (d->from[mid] == offset)
			return d->to[mid];
		if (d->from[mid] < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NOTHING;
}

/* By name; the k-th of several files of one name is the k-th. */
static int map_files(struct delta *d)
{
	u32 n = d->a.n[IMAGE_FILES];

	d->file = arena_array(&d->arena, n, sizeof(*d->file));
	if (!d->file)
		return -DSI_ENOMEM;
	for (u32 i = 0, at = 0; i < n; i++) {
		u32 want = new_string(d, get32(row(&d->a, IMAGE_FILES, i))), k = at;

		while (k < d->b.n[IMAGE_FILES] && get32(row(&d->b, IMAGE_FILES, k)) != want)
			k++;
		d->file[i] = want != NOTHING && k < d->b.n[IMAGE_FILES] ? k : NOTHING_16;
		if (d->file[i] != NOTHING_16)
			at = k + 1;
	}
	return 0;
}

/* A class is what its first node, its first port is. */
static int map_nclasses(struct delta *d)
{
	bool set[DSI_NCLASS_MAX + 1] = { false };

	for (u32 i = 0; i <= DSI_NCLASS_MAX; i++)
		d->nclass[i] = (u16)(i < DSI_NCLASS_FIRST ? i : NOTHING_16);
	for (u32 i = 0; i < d->a.n[IMAGE_NODES]; i++) {
		u32 name = new_string(d, get32(row(&d->a, IMAGE_NODES, i))), c = get32(row(&d->a, IMAGE_NODES, i) + 4);

		if (set[c])
			continue;
		set[c] = true;
		for (u32 k = 0; k < d->b.n[IMAGE_NODES]; k++)
			if (get32(row(&d->b, IMAGE_NODES, k)) == name)
				d->nclass[c] = (u16)MIN(get32(row(&d->b, IMAGE_NODES, k) + 4), (u32)NOTHING_16);
	}
	return 0;
}

static int map_pclasses(struct delta *d)
{
	u32 k = 0;

	memset(d->pclass, 0xff, sizeof(d->pclass));
	d->pclass[0] = 0;
	for (u32 i = 0; i < d->a.n[IMAGE_PORTS]; i++) {
		const u8 *p = row(&d->a, IMAGE_PORTS, i);
		u16 *c = &d->pclass[get32(p + 4)];

		while (k < d->b.n[IMAGE_PORTS] && get16(row(&d->b, IMAGE_PORTS, k) + 2) < get16(p))
			k++;
		if (*c != 0xffff)
			continue;
		*c = k < d->b.n[IMAGE_PORTS] && get16(row(&d->b, IMAGE_PORTS, k)) <= get16(p)
			     ? (u16)get32(row(&d->b, IMAGE_PORTS, k) + 4)
			     : 0;
	}
	return 0;
}

static void new_classes(const struct delta *d, u8 *bits)
{
	u8 out[IMAGE_CLASSES_LEN] = { 0 };

	for (u32 c = 0; c <= DSI_NCLASS_MAX; c++)
		if (image_classes_has(bits, c) && d->nclass[c] <= DSI_NCLASS_MAX)
			out[d->nclass[c] / 8] |= (u8)(1 << d->nclass[c] % 8);
	memcpy(bits, out, sizeof(out));
}

static int map_places(struct delta *d)
{
	u8 bits[IMAGE_CLASSES_LEN];

	d->place = arena_array(&d->arena, d->a.n[IMAGE_PLACES], sizeof(*d->place));
	if (!d->place)
		return -DSI_ENOMEM;
	for (u32 i = 0; i < d->a.n[IMAGE_PLACES]; i++) {
		u32 lo = 0, hi = d->b.n[IMAGE_PLACES];

		memcpy(bits, row(&d->a, IMAGE_PLACES, i), sizeof(bits));
		new_classes(d, bits);
		while (lo < hi) {
			u32 mid = lo + (hi - lo) / 2;

			if (memcmp(row(&d->b, IMAGE_PLACES, mid), bits, sizeof(bits)) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		d->place[i] = lo < d->b.n[IMAGE_PLACES] && !memcmp(row(&d->b, IMAGE_PLACES, lo), bits, sizeof(bits)) ? lo
														     : NOTHING_16;
	}
	return 0;
}

/* Once the new section is there. */
static int map_after(struct delta *d, u32 section)
{
	switch (section) {
	case IMAGE_STRINGS:
		return map_strings(d);
	case IMAGE_FILES:
		return map_files(d);
	case IMAGE_NODES:
		return map_nclasses(d);
	case IMAGE_PORTS:
		return map_pclasses(d);
	case IMAGE_PLACES:
		return map_places(d);
	default:
		return 0;
	}
}

/* By file, then line; the last row at or before it counts. */
static u32 new_line(const struct delta *d, u32 file, u32 line)
{
	u32 lo = 0, hi = d->n_lines;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		const struct line_row *l = &d->lines[mid];

		if (l->file < file || (l->file == file && l->line <= line))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && d->lines[lo - 1].file == file ? line + d->lines[lo - 1].shift : line;
}

static void translate_column(const struct delta *d, const struct column *c, u8 *r)
{
	u8 *p = r + c->at;
	u32 v;

	switch ((enum column_kind)c->kind) {
	case COL_STRING:
		put32(p, new_string(d, get32(p)));
		break;
	case COL_FILE:
		put32(p, get32(p) == IMAGE_NO_FILE ? IMAGE_NO_FILE : d->file[get32(p)]);
		break;
	case COL_FILE_16:
		put16(p, d->file[get16(p)]);
		break;
	case COL_LINE: /* before its file is translated: the table has them in that order */
		v = c->section == IMAGE_RULES ? get16(r + c->file_at) : get32(r + c->file_at);
		put32(p, new_line(d, v, get32(p)));
		break;
	case COL_NCLASS_16:
		put16(p, d->nclass[get16(p)]);
		break;
	case COL_PORT_16: /* of class tcp, which stands behind it */
		if (get32(r + 12) == DSI_CLASS_TCP)
			put16(p, d->pclass[get16(p)]);
		break;
	case COL_PLACE_16:
		if (get16(p) != IMAGE_PLACE_EVERYWHERE)
			put16(p, d->place[get16(p)]);
		break;
	case COL_CLASSES:
		new_classes(d, p);
		break;
	}
}

static void translate(const struct delta *d, u32 section, u32 i, u8 ret[WIDTH_MAX])
{
	memcpy(ret, row(&d->a, section, i), widths[section]);
	for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
		if (columns[k].section == section)
			translate_column(d, &columns[k], ret);
}

/* --- making ------------------------------------------------------------------------------------------ */

struct vote {
	u32 file, line, to;
};

static int cmp_vote(const void *va, const void *vb)
{
	const struct vote *a = va, *b = vb;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->to < b->to ? -1 : a->to > b->to;
}

/* Key, place, file: what a rule is, but for its line; in the order of the image. */
static int cmp_rule(const u8 *a, const u8 *b)
{
	static const struct {
		u8 at, wide;
	} parts[] = { { 0, 4 }, { 4, 4 }, { 8, 2 }, { 10, 2 }, { 12, 4 }, { 26, 2 }, { 24, 2 } };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		u32 x = parts[i].wide == 4 ? get32(a + parts[i].at) : get16(a + parts[i].at);
		u32 y = parts[i].wide == 4 ? get32(b + parts[i].at) : get16(b + parts[i].at);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

static u32 rule_votes(struct delta *d, struct vote *v)
{
	u32 a = 0, b = 0, n = 0;
	u8 r[WIDTH_MAX];

	while (a < d->a.n[IMAGE_RULES] && b < d->b.n[IMAGE_RULES]) {
		const u8 *now = row(&d->b, IMAGE_RULES, b);
		int c;

		translate(d, IMAGE_RULES, a, r); /* no lines known yet: the line is the old one */
		c = cmp_rule(r, now);
		if (!c)
			v[n++] = (struct vote){ get16(row(&d->a, IMAGE_RULES, a) + 24), get32(r + 20), get32(now + 20) };
		a += c <= 0;
		b += c >= 0;
	}
	return n;
}

static u32 context_votes(struct delta *d, struct vote *v)
{
	u32 a = 0, b = 0, n = 0;

	while (a < d->a.n[IMAGE_CONTEXTS] && b < d->b.n[IMAGE_CONTEXTS]) {
		const u8 *old = row(&d->a, IMAGE_CONTEXTS, a), *now = row(&d->b, IMAGE_CONTEXTS, b);
		u32 x = get32(old), y = get32(now), file = get32(old + 12);

		if (x == y && file != IMAGE_NO_FILE && get32(now + 12) == d->file[file])
			v[n++] = (struct vote){ file, get32(old + 16), get32(now + 16) };
		a += x <= y;
		b += x >= y;
	}
	return n;
}

/* Where lines moved: one row for each place where the shift becomes another. */
static int find_lines(struct delta *d)
{
	size_t max = (size_t)d->a.n[IMAGE_RULES] + d->a.n[IMAGE_CONTEXTS];
	struct vote *v = arena_array(&d->arena, max, sizeof(*v));
	u32 n, shift = 0, file = NOTHING;

	d->lines = arena_array(&d->arena, max, sizeof(*d->lines));
	if (!v || !d->lines)
		return -DSI_ENOMEM;
	n = rule_votes(d, v);
	n += context_votes(d, v + n);
	if (n)
		qsort(v, n, sizeof(*v), cmp_vote);
	for (u32 i = 0; i < n; i++) {
		if (i && v[i].file == v[i - 1].file && v[i].line == v[i - 1].line)
			continue;
		if (v[i].file != file)
			shift = 0;
		file = v[i].file;
		if (v[i].to - v[i].line == shift || d->n_lines == LINE_ROWS_MAX)
			continue;
		shift = v[i].to - v[i].line;
		d->lines[d->n_lines++] = (struct line_row){ file, v[i].line, shift };
	}
	return 0;
}

static void put_lines(struct delta *d)
{
	put_v(d->out, d->n_lines);
	for (u32 i = 0; i < d->n_lines; i++) {
		put_v(d->out, d->lines[i].file);
		put_v(d->out, d->lines[i].line);
		put_z(d->out, d->lines[i].shift);
	}
}

/* k rows as they are, then a copy. */
struct ops {
	struct wbuf *out;
	const u8 *literal;
	size_t literal_n; /* bytes */
	u32 literal_rows, next; /* of the old section, behind the last copy */
};

static void put_op(struct ops *o, u32 from, u32 n)
{
	put_v(o->out, o->literal_rows);
	wbuf_bytes(o->out, o->literal, o->literal_n);
	put_v(o->out, n);
	put_z(o->out, from - o->next);
	o->next = from + n;
	o->literal_n = o->literal_rows = 0;
}

static void make_strings(struct delta *d)
{
	struct ops o = { .out = d->out };
	u32 a = 0, i = 0, len, start = 0, run = 0; /* i: number of the old string at a */

	for (u32 b = 0; b < d->b.n[IMAGE_STRINGS]; b += len) {
		const char *s = string(&d->b, b);
		int c = 1;

		len = (u32)strlen(s) + 1;
		while (a < d->a.n[IMAGE_STRINGS] && (c = strcmp(string(&d->a, a), s)) < 0) {
			a += (u32)strlen(string(&d->a, a)) + 1;
			i++;
		}
		if (a < d->a.n[IMAGE_STRINGS] && !c) {
			if (run && start + run != i) {
				put_op(&o, start, run);
				run = 0;
			}
			start = run ? start : i;
			run++;
			continue;
		}
		if (run)
			put_op(&o, start, run);
		run = 0;
		o.literal = o.literal_n ? o.literal : (const u8 *)s;
		o.literal_n += len;
		o.literal_rows += len;
	}
	if (run || o.literal_n)
		put_op(&o, run ? start : o.next, run);
}

/* Rows of the old section, translated, found by their bytes. */
struct index {
	const u8 *rows;
	u32 width, n, mask;
	u32 *slot; /* row + 1 */
};

static u32 hash(const u8 *p, u32 n)
{
	u32 h = 2166136261u;

	for (u32 i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h ^ h >> 15;
}

static bool index_is(const struct index *x, u32 i, const u8 *r)
{
	return i < x->n && !memcmp(x->rows + (size_t)i * x->width, r, x->width);
}

static int index_build(struct delta *d, u32 section, struct index *x)
{
	u32 size = 16;
	u8 *rows;

	*x = (struct index){ .width = widths[section], .n = d->a.n[section] };
	while (size < 2 * x->n)
		size *= 2;
	x->mask = size - 1;
	x->slot = arena_array(&d->arena, size, sizeof(*x->slot));
	x->rows = rows = arena_array(&d->arena, x->n, x->width);
	if (!x->slot || !rows)
		return -DSI_ENOMEM;
	for (u32 i = 0; i < x->n; i++) {
		u8 r[WIDTH_MAX];
		u32 h;

		translate(d, section, i, r);
		memcpy(rows + (size_t)i * x->width, r, x->width);
		h = hash(r, x->width) & x->mask;
		while (x->slot[h] && !index_is(x, x->slot[h] - 1, r)) /* of many that are the same one is enough */
			h = (h + 1) & x->mask;
		if (!x->slot[h])
			x->slot[h] = i + 1;
	}
	return 0;
}

static u32 index_find(const struct index *x, const u8 *r)
{
	for (u32 h = hash(r, x->width) & x->mask; x->slot[h]; h = (h + 1) & x->mask)
		if (index_is(x, x->slot[h] - 1, r))
			return x->slot[h] - 1;
	return NOTHING;
}

static int make_rows(struct delta *d, u32 section)
{
	struct ops o = { .out = d->out };
	u32 start = 0, run = 0;
	struct index x;
	int rc;

	if (!d->b.n[section])
		return 0;
	rc = index_build(d, section, &x);
	for (u32 i = 0; !rc && i < d->b.n[section]; i++) {
		const u8 *r = row(&d->b, section, i);
		u32 at;

		if (run && index_is(&x, start + run, r)) {
			run++;
			continue;
		}
		if (run)
			put_op(&o, start, run);
		run = 0;
		at = index_is(&x, o.next, r) ? o.next : index_find(&x, r);
		if (at != NOTHING) {
			start = at;
			run = 1;
			continue;
		}
		o.literal = o.literal_rows++ ? o.literal : r;
		o.literal_n += x.width;
	}
	if (!rc && (run || o.literal_rows))
		put_op(&o, run ? start : o.next, run);
	return rc;
}

static int make(struct delta *d, const struct image *now)
{
	size_t head = now->format == 1 ? IMAGE_HEADER_LEN_1 : IMAGE_HEADER_LEN_2;
	int rc = 0;

	wbuf_bytes(d->out, DELTA_MAGIC, 4);
	wbuf_u16(d->out, DELTA_VERSION);
	wbuf_u16(d->out, 0);
	wbuf_u32(d->out, (u32)now->len);
	wbuf_u32(d->out, (u32)head);
	wbuf_bytes(d->out, now->data, head);
	for (size_t i = 0; !rc && i < ARRAY_SIZE(order); i++)
		rc = map_after(d, order[i]);
	if (!rc)
		rc = find_lines(d);
	if (rc)
		return rc;
	put_lines(d);
	make_strings(d);
	for (size_t i = 1; !rc && i < ARRAY_SIZE(order); i++)
		rc = make_rows(d, order[i]);
	return rc;
}

int delta_make(const u8 *old, size_t old_n, const u8 *now, size_t now_n, struct wbuf *out, struct err *e)
{
	struct delta d = { .out = out };
	struct image img;
	int rc = image_open(&d.old, old, old_n, e);

	if (!rc)
		rc = image_open(&img, now, now_n, e);
	if (rc)
		return rc;
	arena_init(&d.arena, DELTA_ARENA);
	side_of(&d.a, &d.old);
	side_of(&d.b, &img);
	rc = make(&d, &img);
	arena_fini(&d.arena);
	if (rc)
		return err_set(e, rc, "policy delta: out of memory");
	return wbuf_ok(out) ? 0 : err_set(e, -DSI_ELIMIT, "policy delta: larger than %zu bytes", out->limit);
}

/* --- applying ---------------------------------------------------------------------------------------- */

static int bad(struct err *e, const char *what)
{
	return err_set(e, -DSI_EPARSE, "policy delta: %s", what);
}

static int get_lines(struct delta *d, struct err *e)
{
	u32 n = get_v(&d->in);

	if (n > LINE_ROWS_MAX || n > rbuf_left(&d->in))
		return bad(e, "more lines than there can be");
	d->lines = arena_array(&d->arena, n, sizeof(*d->lines));
	if (!d->lines)
		return -DSI_ENOMEM;
	for (u32 i = 0; i < n; i++) {
		struct line_row *l = &d->lines[i];

		l->file = get_v(&d->in);
		l->line = get_v(&d->in);
		l->shift = get_z(&d->in);
		if (i && (l->file < l[-1].file || (l->file == l[-1].file && l->line <= l[-1].line)))
			return bad(e, "lines out of order");
	}
	d->n_lines = n;
	return 0;
}

/* Bytes of `n` old strings from number `first`; NULL: there are not so many. */
static const u8 *old_strings(const struct delta *d, const u32 *at, u32 n_strings, u32 first, u32 n, size_t *ret_len)
{
	u32 end;

	if (first > n_strings || n > n_strings - first)
		return NULL;
	end = first + n < n_strings ? at[first + n] : d->a.n[IMAGE_STRINGS];
	*ret_len = n ? end - at[first] : 0;
	return d->a.p[IMAGE_STRINGS] + (n ? at[first] : 0);
}

static int apply_strings(struct delta *d, u8 *dst, u32 want, struct err *e)
{
	u32 n_strings = count_strings(&d->a), next = 0, n = 0;
	u32 *at = arena_array(&d->arena, n_strings, sizeof(*at));
	size_t done = 0;

	if (!at)
		return -DSI_ENOMEM;
	for (u32 a = 0; a < d->a.n[IMAGE_STRINGS]; a += (u32)strlen(string(&d->a, a)) + 1)
		at[n++] = a;
	while (done < want) {
		u32 k = get_v(&d->in), count, from;
		const u8 *p = rbuf_bytes(&d->in, k);
		size_t len = 0;

		if (!p || k > want - done)
			return bad(e, "strings");
		memcpy(dst + done, p, k);
		done += k;
		count = get_v(&d->in);
		from = next + get_z(&d->in);
		p = old_strings(d, at, n_strings, from, count, &len);
		if (!rbuf_ok(&d->in) || !p || len > want - done || !(k || count))
			return bad(e, "strings");
		memcpy(dst + done, p, len);
		done += len;
		next = from + count;
	}
	return want && !dst[want - 1] ? 0 : bad(e, "strings are not terminated");
}

static int apply_rows(struct delta *d, u32 section, u8 *dst, u32 want, struct err *e)
{
	u32 width = widths[section], next = 0, done = 0;

	while (done < want) {
		u32 k = get_v(&d->in), count, from;
		const u8 *p = k > want - done ? NULL : rbuf_bytes(&d->in, (size_t)k * width);

		if (!p)
			return bad(e, "rows");
		memcpy(dst + (size_t)done * width, p, (size_t)k * width);
		done += k;
		count = get_v(&d->in);
		from = next + get_z(&d->in);
		if (!rbuf_ok(&d->in) || !(k || count) || count > want - done || from > d->a.n[section] ||
		    count > d->a.n[section] - from)
			return bad(e, "rows");
		for (u32 i = 0; i < count; i++) {
			u8 r[WIDTH_MAX];

			translate(d, section, from + i, r);
			memcpy(dst + (size_t)done++ * width, r, width);
		}
		next = from + count;
	}
	return 0;
}

/* Where the header says the sections are: behind it, in the image, none over another's start or before it. */
static int get_sections(struct delta *d, u8 *image, size_t size, size_t head, struct err *e)
{
	u32 n = head == IMAGE_HEADER_LEN_1 ? image_section_count(1) : image_section_count(IMAGE_FORMAT);
	size_t at = head;

	for (u32 s = 0; s < n; s++) {
		const u8 *h = image + IMAGE_OFF_SECTIONS + (size_t)s * 12;
		u32 offset = get32(h), bytes = get32(h + 4), count = get32(h + 8);

		if (offset < at || offset > size || bytes > size - offset || (u64)count * widths[s] != bytes)
			return bad(e, "sections of the header");
		d->b.p[s] = image + offset;
		d->b.n[s] = count;
		at = (size_t)offset + bytes;
	}
	return 0;
}

static int apply(struct delta *d, struct wbuf *out, struct err *e)
{
	const u8 *magic = rbuf_bytes(&d->in, 4), *p;
	u32 version = rbuf_u16(&d->in), zero = rbuf_u16(&d->in), size = rbuf_u32(&d->in), head = rbuf_u32(&d->in);
	u8 *image;
	int rc;

	if (!rbuf_ok(&d->in) || memcmp(magic, DELTA_MAGIC, 4) || zero)
		return bad(e, "not one");
	if (version != DELTA_VERSION)
		return err_set(e, -DSI_EVERSION, "policy delta: version %u, this program knows %u", version, DELTA_VERSION);
	if ((head != IMAGE_HEADER_LEN_1 && head != IMAGE_HEADER_LEN_2) || size < head)
		return bad(e, "header");
	if (size > out->limit)
		return err_set(e, -DSI_ELIMIT, "policy delta: makes %u bytes, at most %zu", size, out->limit);
	p = rbuf_bytes(&d->in, head);
	image = p ? wbuf_reserve(out, size) : NULL;
	if (!image)
		return p ? -DSI_ENOMEM : bad(e, "cut short");
	memcpy(image, p, head);
	rc = get_sections(d, image, size, head, e);
	if (!rc)
		rc = get_lines(d, e);
	for (size_t i = 0; !rc && i < ARRAY_SIZE(order); i++) {
		u32 s = order[i];
		u8 *dst = d->b.p[s] ? image + (d->b.p[s] - image) : NULL;

		rc = i ? apply_rows(d, s, dst, d->b.n[s], e) : apply_strings(d, dst, d->b.n[s], e);
		if (!rc)
			rc = map_after(d, s);
	}
	if (rc)
		return rc;
	rc = rbuf_end(&d->in);
	return rc ? err_set(e, rc, "policy delta: %s", err_text(rc)) : 0;
}

int delta_apply(const u8 *old, size_t old_n, const u8 *delta, size_t n, struct wbuf *out, struct err *e)
{
	struct delta d = { .n_lines = 0 };
	int rc = image_open(&d.old, old, old_n, e);

	if (rc)
		return rc;
	arena_init(&d.arena, DELTA_ARENA);
	side_of(&d.a, &d.old);
	rbuf_init(&d.in, delta, n);
	rc = apply(&d, out, e);
	arena_fini(&d.arena);
	return rc == -DSI_ENOMEM ? err_set(e, rc, "policy delta: out of memory") : rc;
}
