/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of corosync.conf: a strict subset of its syntax, refused with line and column. Core. */
#include "gcs/ring_text.h"

#include <string.h>

int ring_text_bad(struct ring_reader *r, size_t column, const char *what)
{
	return err_set(r->e, -DSI_EPARSE, "%s: line %u, column %zu: %s", r->name, r->number, column + 1, what);
}

bool ring_text_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static int line_characters(struct ring_reader *r)
{
	for (size_t i = 0; i < r->line.n; i++)
		if ((u8)r->line.p[i] < ' ' && r->line.p[i] != '\t')
			return ring_text_bad(r, i, "a control character");
	return 0;
}

/* [from, to): the line without blanks at its ends. */
static int line_classify(struct ring_reader *r, size_t from, size_t to)
{
	struct ring_line *l = &r->line;
	size_t i = from;

	if (from == to || l->p[from] == '#')
		return 0;
	if (l->p[from] == '}') {
		l->kind = LINE_CLOSE;
		return from + 1 == to ? 0 : ring_text_bad(r, from + 1, "nothing may follow '}'");
	}
	while (i < to && word_char(l->p[i]))
		i++;
	if (i == from || i - from >= RING_WORD)
		return ring_text_bad(r, from, "neither \"name {\", \"key: value\", \"}\" nor a comment");
	memcpy(l->key, l->p + from, i - from);
	while (i < to && ring_text_blank(l->p[i]))
		i++;
	if (i == to || (l->p[i] != '{' && l->p[i] != ':'))
		return ring_text_bad(r, i, "'{' or ':' must follow the name");
	l->kind = l->p[i] == '{' ? LINE_OPEN : LINE_KEY;
	for (i++; i < to && ring_text_blank(l->p[i]); i++)
		;
	if (l->kind == LINE_OPEN)
		return i == to ? 0 : ring_text_bad(r, i, "nothing may follow '{'");
	l->value = l->p + i;
	l->value_len = to - i;
	if (i == to)
		return ring_text_bad(r, i, "the value is missing");
	for (; i < to; i++) /* corosync looks for these first, wherever they stand */
		if (l->p[i] == '{' || l->p[i] == '}')
			return ring_text_bad(r, i, "braces have no place in a value");
	return 0;
}

/* 1: r->line is the next; 0: end; negative: refused. Opens and closes r->path. */
int ring_text_next(struct ring_reader *r)
{
	const char *end;
	size_t from = 0, to;
	int rc;

	if (r->at >= r->n)
		return r->depth ? ring_text_bad(r, 0, "a section is not closed") : 0;
	end = memchr(r->text + r->at, '\n', r->n - r->at);
	r->line = (struct ring_line){ .p = r->text + r->at, .n = end ? (size_t)(end - r->text) - r->at : r->n - r->at,
				 .number = ++r->number };
	r->at += r->line.n + 1;
	rc = line_characters(r);
	if (rc)
		return rc;
	for (to = r->line.n; from < to && ring_text_blank(r->line.p[from]); from++)
		;
	while (to > from && ring_text_blank(r->line.p[to - 1]))
		to--;
	rc = line_classify(r, from, to);
	if (rc)
		return rc;
	if (r->line.kind == LINE_CLOSE) {
		if (!r->depth)
			return ring_text_bad(r, from, "'}' without a section");
		r->depth--;
	} else if (r->line.kind == LINE_OPEN) {
		if (r->depth == RING_DEPTH)
			return ring_text_bad(r, from, "sections are nested too deep");
		memcpy(r->path[r->depth++], r->line.key, RING_WORD);
	}
	return 1;
}

bool ring_text_in(const struct ring_reader *r, const char *a, const char *b)
{
	return r->depth == (b ? 2 : 1) && !strcmp(r->path[0], a) && (!b || !strcmp(r->path[1], b));
}

void ring_text_put(struct wbuf *w, const char *s)
{
	wbuf_bytes(w, s, strlen(s));
}
