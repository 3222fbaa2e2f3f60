/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text of records. Pure functions over JSON: the same document always gives the same text (times in UTC).
 * Strings may come from an attacker (program names, paths, reasons): control characters never reach the
 * terminal.
 */
#ifndef DSI_CLI_RENDER_H
#define DSI_CLI_RENDER_H

#include <jansson.h>
#include <stdio.h>

#include "lib/compiler.h"

enum render_kind {
	RENDER_PLAIN,  /* string, number, yes/no, or a list joined by commas */
	RENDER_RIGHT,  /* the same, to the right */
	RENDER_TIME,   /* wall milliseconds */
	RENDER_SHORT,  /* first 12 characters (digests, keys) */
	RENDER_OR_DASH,/* number, 0 is "-", to the right */
};

struct render_column {
	const char *heading, *key;
	enum render_kind kind;
};

/* rows: an array of objects. The last column is not padded. Prints "(none)" when there are no rows. */
void render_table(FILE *f, const json_t *rows, const struct render_column *cols, size_t n);
/* One value as text, escaped. */
void render_value(char *ret, size_t cap, const json_t *v, enum render_kind kind);
void render_escaped(FILE *f, const char *s);
void render_escape(char *ret, size_t cap, const char *s);
/* "2026-01-31 12:00:00.123Z"; "-" for 0. */
void render_time(char ret[32], u64 wall_ms);

/* Reading a document without a check at each step: missing or of another type is "", 0, false, empty. */
const char *doc_str(const json_t *o, const char *key);
long long doc_int(const json_t *o, const char *key);
bool doc_bool(const json_t *o, const char *key);
const json_t *doc_at(const json_t *o, const char *key);

#endif
