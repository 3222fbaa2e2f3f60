/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration files:   # comment
 *                        [section]
 *                        key = value        (value to the end of line, outer blanks cut; "quoted" may hold # and blanks)
 *
 * Against a table of keys; into a struct of the caller's. Everything unknown is an error with
 * file:line:column and the nearest known key. A key given twice is an error. The struct gets all defaults
 * first, so a file that is empty or absent (where the caller allows it) is a complete configuration.
 */
#ifndef DSI_LIB_CONF_H
#define DSI_LIB_CONF_H

#include <stdio.h>

#include "lib/err.h"

enum conf_type {
	CONF_STR,  /* char[size]: fits with its NUL */
	CONF_U32,  /* u32 within min..max */
	CONF_U64,  /* u64 within min..max; suffixes k M G (powers of 1024) */
	CONF_BOOL, /* bool: yes/no, true/false, on/off, 1/0 */
	CONF_MS,   /* u64 nanoseconds within min..max milliseconds; suffixes ms (default), s, m, h */
	CONF_ENUM, /* u32: index into choices */
	CONF_LIST, /* char[size]: values of repeated lines, separated by a newline each; repeating is allowed */
};

struct conf_key {
	const char *section; /* "" before the first [section] */
	const char *key;
	enum conf_type type;
	u32 offset, size;    /* of the member */
	u64 min, max;        /* CONF_U32, CONF_U64, CONF_MS; both 0: no bound */
	const char *const *choices; /* CONF_ENUM, NULL-terminated */
	const char *value;   /* default, as text; NULL: empty or 0 */
	const char *help;    /* one sentence, for the sample file and the man page */
};
#define CONF_AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* Defaults only. -DSI_ECONFIG would be a bug of the table (asserted). */
void conf_defaults(const struct conf_key *keys, size_t n_keys, void *ret);
/* Defaults, then text. name: shown in errors. 0 or -DSI_ECONFIG with "name:line:column: ...". */
int conf_parse(const struct conf_key *keys, size_t n_keys, const char *name, const char *text, size_t len, void *ret,
	       struct err *e);
/* The same from a file; missing_ok: an absent file is all defaults. */
int conf_load(const struct conf_key *keys, size_t n_keys, const char *path, bool missing_ok, void *ret, struct err *e);
/* The documented sample: every key commented out with its default and help. */
void conf_print_defaults(const struct conf_key *keys, size_t n_keys, FILE *f);

#endif
