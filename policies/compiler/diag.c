/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics: collect, sort, render, suggest. Must never fail for lack of memory: a text that finds
 * no room is replaced by a fixed one. Invariant: errors counts every error, also those dropped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/diag.h"

enum {
	DIAG_TEXT = 512,
	DIAG_LINE = 160, /* bytes of a source line that are shown */
	NEAR_NAME = 64,
	NEAR_CANDIDATES = 20000,
};

void diag_init(struct diag_list *d)
{
	*d = (struct diag_list){ .n = 0 };
}

static void add(struct policy *p, struct diag_list *d, enum diag_severity severity, struct pos pos, const char *fmt,
		va_list ap)
{
	char buf[DIAG_TEXT];
	const char *text;

	if (severity != DIAG_NOTE) {
		d->dropping = d->n == DIAG_MAX;
		d->dropped += d->dropping;
		d->seq++;
	}
	d->errors += severity == DIAG_ERROR;
	d->warnings += severity == DIAG_WARNING;
	if (d->dropping || d->n == DIAG_MAX)
		return;
	if (vsnprintf(buf, sizeof(buf), fmt, ap) < 0)
		buf[0] = '\0';
	text = arena_strndup(p->arena, buf, strlen(buf));
	d->items[d->n++] = (struct diag){ severity, pos, text ? text : "out of memory", d->seq };
}

void diag_error(struct policy *p, struct diag_list *d, struct pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, d, DIAG_ERROR, pos, fmt, ap);
	va_end(ap);
}

void diag_warning(struct policy *p, struct diag_list *d, struct pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, d, DIAG_WARNING, pos, fmt, ap);
	va_end(ap);
}

void diag_note(struct policy *p, struct diag_list *d, struct pos pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, d, DIAG_NOTE, pos, fmt, ap);
	va_end(ap);
}

static void put(struct wbuf *out, const char *s)
{
	wbuf_bytes(out, s, strlen(s));
}

/* The source line and a caret. Control bytes are shown as `?` so that a terminal shows what is there. */
static void render_source(const struct policy *p, struct pos pos, struct wbuf *out)
{
	const char *s = p->files[pos.file].text, *end = s + p->files[pos.file].len, *eol;
	size_t len;

	for (u32 line = 1; s && line < pos.line; line++) {
		s = memchr(s, '\n', (size_t)(end - s));
		s = s ? s + 1 : NULL;
	}
	if (!s || s == end)
		return;
	eol = memchr(s, '\n', (size_t)(end - s));
	len = MIN((size_t)((eol ? eol : end) - s), (size_t)DIAG_LINE);
	put(out, "    ");
	for (size_t i = 0; i < len; i++)
		wbuf_u8(out, s[i] == '\t' ? '\t' : (u8)s[i] < 0x20 || s[i] == 0x7f ? '?' : (u8)s[i]);
	put(out, "\n");
	if (pos.col > len + 1)
		return;
	put(out, "    ");
	for (size_t i = 0; i + 1 < pos.col; i++)
		wbuf_u8(out, i < len && s[i] == '\t' ? '\t' : ' ');
	put(out, "^\n");
}

static void render_one(const struct policy *p, const struct diag *x, struct wbuf *out)
{
	static const char *const severity[] = { "error", "warning", "note" };
	char buf[64];

	if (x->pos.file < p->n_files) {
		put(out, p->files[x->pos.file].name);
		if (x->pos.line) {
			(void)snprintf(buf, sizeof(buf), ":%u:%u", x->pos.line, x->pos.col);
			put(out, buf);
		}
		put(out, ": ");
	}
	put(out, severity[x->severity]);
	put(out, ": ");
	put(out, x->text);
	put(out, "\n");
	if (x->pos.line && x->pos.file < p->n_files)
		render_source(p, x->pos, out);
}

struct order {
	const struct policy *p;
	const struct diag *head; /* the error or warning that a note belongs to */
	const struct diag *item;
};

static int cmp_order(const void *va, const void *vb)
{
	const struct order *a = va, *b = vb;
	const struct pos *x = &a->head->pos, *y = &b->head->pos;
	int r = 0;

	if (x->file != y->file) {
		if (x->file < a->p->n_files && y->file < a->p->n_files)
			r = strcmp(a->p->files[x->file].name, a->p->files[y->file].name);
		return r ? r : x->file < y->file ? -1 : 1;
	}
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->col != y->col)
		return x->col < y->col ? -1 : 1;
	return a->item < b->item ? -1 : a->item > b->item;
}

void diag_render(const struct policy *p, struct diag_list *d, struct wbuf *out)
{
	struct order order[DIAG_MAX];
	const struct diag *head = NULL;
	char buf[128];

	for (u32 i = 0; i < d->n; i++) {
		if (!head || d->items[i].severity != DIAG_NOTE)
			head = &d->items[i];
		order[i] = (struct order){ p, head, &d->items[i] };
	}
	if (d->n)
		qsort(order, d->n, sizeof(order[0]), cmp_order);
	for (u32 i = 0; i < d->n; i++)
		render_one(p, order[i].item, out);
	if (!d->errors && !d->warnings)
		return;
	(void)snprintf(buf, sizeof(buf), "%u error%s, %u warning%s", d->errors, d->errors == 1 ? "" : "s", d->warnings,
		       d->warnings == 1 ? "" : "s");
	put(out, buf);
	if (d->dropped) {
		(void)snprintf(buf, sizeof(buf), " (%u not shown)", d->dropped);
		put(out, buf);
	}
	put(out, "\n");
}

/* Edit distance with transpositions, cut off above `max`. */
static u32 distance(const char *a, const char *b, u32 max)
{
	u32 rows[3][NEAR_NAME + 1];
	size_t la = strlen(a), lb = strlen(b);
	u32 *before = rows[0], *prev = rows[1], *row = rows[2];

	if (la > NEAR_NAME || lb > NEAR_NAME || (la > lb ? la - lb : lb - la) > max)
		return max + 1;
	for (size_t j = 0; j <= lb; j++)
		prev[j] = (u32)j;
	for (size_t i = 1; i <= la; i++) {
		u32 *spare = before, best = (u32)i;

		row[0] = (u32)i;
		for (size_t j = 1; j <= lb; j++) {
			u32 v = prev[j - 1] + (a[i - 1] != b[j - 1]);

			v = MIN(v, MIN(prev[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				v = MIN(v, before[j - 2] + 1);
			row[j] = v;
			best = MIN(best, v);
		}
		if (best > max)
			return max + 1;
		before = prev;
		prev = row;
		row = spare;
	}
	return prev[lb];
}

const char *diag_nearest(const char *name, const char *(*next)(const void *arg, u32 i), const void *arg)
{
	u32 max = MIN(MAX((u32)(strlen(name) + 1) / 3, 1u), 3u);
	const char *best = NULL, *s;

	for (u32 i = 0; i < NEAR_CANDIDATES && (s = next(arg, i)); i++) {
		u32 d = distance(name, s, max);

		if (d > max || (d == max && best))
			continue;
		best = s;
		if (!d)
			break;
		max = d;
	}
	return best;
}
