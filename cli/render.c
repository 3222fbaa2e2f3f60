/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/render.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CELL = 512, COLUMNS = 24 };

const json_t *doc_at(const json_t *o, const char *key)
{
	return json_object_get(o, key);
}

const char *doc_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

long long doc_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool doc_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

void render_escape(char *ret, size_t cap, const char *s)
{
	size_t n = 0;

	for (; *s && n + 5 < cap; s++) {
		unsigned char ch = (unsigned char)*s, next = (unsigned char)s[1];

		/* C0, DEL, and C1 as UTF-8 has it (0xc2 0x80..0x9f). */
		if (ch == 0xc2 && next >= 0x80 && next < 0xa0)
			ch = (unsigned char)*++s;
		else if (ch >= 0x20 && ch != 0x7f) {
			ret[n++] = *s;
			continue;
		}
		n += (size_t)sprintf(ret + n, "\\x%02x", ch);
	}
	ret[n] = 0;
}

void render_escaped(FILE *f, const char *s)
{
	char buf[4096];

	render_escape(buf, sizeof(buf), s);
	fputs(buf, f);
}

void render_time(char ret[32], u64 wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;

	strcpy(ret, "-");
	if (!wall_ms || wall_ms > 253402300799999ull || !gmtime_r(&s, &tm))
		return;
	strftime(ret, 32, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(ret + strlen(ret), 8, ".%03dZ", (int)(wall_ms % 1000));
}

static void render_list(char *ret, size_t cap, const json_t *v)
{
	size_t i, n = 0;
	const json_t *item;

	ret[0] = 0;
	json_array_foreach((json_t *)v, i, item) {
		char one[CELL];

		render_value(one, sizeof(one), item, RENDER_PLAIN);
		n += (size_t)snprintf(ret + n, cap - n, "%s%s", i ? "," : "", one);
		if (n >= cap)
			return;
	}
}

static void render_string(char *ret, size_t cap, const char *s, enum render_kind kind)
{
	render_escape(ret, cap, s);
	if (kind == RENDER_SHORT && strlen(ret) > 12)
		ret[12] = 0;
}

static void render_integer(char *ret, size_t cap, long long v, enum render_kind kind)
{
	char t[32];

	if (kind == RENDER_TIME) {
		render_time(t, v > 0 ? (u64)v : 0);
		snprintf(ret, cap, "%s", t);
	} else if (kind == RENDER_OR_DASH && v == 0) {
		snprintf(ret, cap, "-");
	} else {
		snprintf(ret, cap, "%lld", v);
	}
}

void render_value(char *ret, size_t cap, const json_t *v, enum render_kind kind)
{
	ret[0] = 0;
	if (json_is_string(v))
		render_string(ret, cap, json_string_value(v), kind);
	else if (json_is_integer(v))
		render_integer(ret, cap, json_integer_value(v), kind);
	else if (json_is_boolean(v))
		snprintf(ret, cap, "%s", json_is_true(v) ? "yes" : "no");
	else if (json_is_array(v) && cap == CELL)
		render_list(ret, cap, v);
	else if (json_is_real(v))
		snprintf(ret, cap, "%g", json_real_value(v));
}

/* Characters, not bytes: names may hold UTF-8. */
static int width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void put_cell(FILE *f, const char *text, int w, const struct render_column *col, bool last)
{
	int pad = MAX(w - width(text), 0);
	bool right = col->kind == RENDER_RIGHT || col->kind == RENDER_OR_DASH;

	fprintf(f, "%*s%s%*s%s", right ? pad : 0, "", text, right || last ? 0 : pad, "", last ? "" : "  ");
}

/* A row without blanks at its end. */
static void put_row(FILE *f, const json_t *row, const struct render_column *cols, const int *w, size_t n)
{
	char line[COLUMNS * CELL], cell[CELL];
	FILE *m = fmemopen(line, sizeof(line), "w");
	size_t len;

	if (!m)
		return;
	for (size_t k = 0; k < n; k++) {
		if (row)
			render_value(cell, sizeof(cell), doc_at(row, cols[k].key), cols[k].kind);
		put_cell(m, row ? cell : cols[k].heading, w[k], &cols[k], k + 1 == n);
	}
	fputc(0, m);
	fclose(m);
	line[sizeof(line) - 1] = 0;
	len = strlen(line);
	while (len && line[len - 1] == ' ')
		len--;
	fprintf(f, "%.*s\n", (int)len, line);
}

void render_table(FILE *f, const json_t *rows, const struct render_column *cols, size_t n)
{
	int w[COLUMNS];
	char cell[CELL];
	size_t i;
	const json_t *row;

	assert(n <= COLUMNS);
	if (json_array_size(rows) == 0) {
		fprintf(f, "(none)\n");
		return;
	}
	for (size_t k = 0; k < n; k++) {
		w[k] = width(cols[k].heading);
		json_array_foreach((json_t *)rows, i, row) {
			render_value(cell, sizeof(cell), doc_at(row, cols[k].key), cols[k].kind);
			w[k] = MAX(w[k], width(cell));
		}
	}
	put_row(f, NULL, cols, w, n);
	json_array_foreach((json_t *)rows, i, row)
		put_row(f, row, cols, w, n);
}
