/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration files against a table of keys.
 *
 * Must never: guess. What is unknown, doubled, out of range or oddly spelt is an error at its line and column.
 * Invariant: only members the table names are written; on an error they hold a mix the caller throws away.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/fsutil.h"

enum { KEYS_MAX = 64, LINE_MAX_BYTES = 4096, SECTION_MAX = 64, FILE_MAX = 1 << 20 };

struct parse {
	const struct conf_key *keys;
	size_t n_keys;
	const char *name;
	void *ret;
	struct err *e;
	u32 line;
	char section[SECTION_MAX];
	bool seen[KEYS_MAX];
	char text[LINE_MAX_BYTES];
};

/* --- values: NULL, or what is wrong ----------------------------------------------------------------- */

static const char *number(const char *v, u64 *ret, const char **end)
{
	char *stop;

	if (!isdigit((unsigned char)*v))
		return "a number is wanted";
	errno = 0;
	*ret = strtoull(v, &stop, 10);
	*end = stop;
	return errno ? "number too large" : NULL;
}

struct unit {
	const char *suffix;
	u64 factor;
};
static const struct unit size_units[] = { { "", 1 }, { "k", 1 << 10 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 } };
static const struct unit time_units[] = { { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };

static const char *scaled(const struct conf_key *k, const char *v, const struct unit *units, size_t n_units, u64 *ret)
{
	const char *end, *why = number(v, ret, &end);

	for (size_t i = 0; !why && i < n_units; i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		if (__builtin_mul_overflow(*ret, units[i].factor, ret))
			return "number too large";
		return (k->min || k->max) && (*ret < k->min || *ret > k->max) ? "out of range" : NULL;
	}
	return why ? why : units == time_units ? "a duration is wanted: 500ms, 3s, 5m, 1h" : "a number is wanted";
}

static const char *set_str(const struct conf_key *k, const char *v, void *at)
{
	if (strlen(v) >= k->size)
		return "too long";
	strcpy(at, v);
	return NULL;
}

static const char *set_list(const struct conf_key *k, const char *v, void *at)
{
	size_t have = strlen(at);

	if (have + strlen(v) + 2 > k->size)
		return "too many";
	strcat(strcpy((char *)at + have, v), "\n");
	return NULL;
}

static const char *set_u32(const struct conf_key *k, const char *v, void *at)
{
	u64 n;
	const char *why = scaled(k, v, size_units, ARRAY_SIZE(size_units), &n);

	if (!why && n > UINT32_MAX)
		why = "out of range";
	if (!why)
		memcpy(at, &(u32){ (u32)n }, sizeof(u32));
	return why;
}

static const char *set_u64(const struct conf_key *k, const char *v, void *at)
{
	u64 n;
	const char *why = scaled(k, v, size_units, ARRAY_SIZE(size_units), &n);

	if (!why)
		memcpy(at, &n, sizeof(n));
	return why;
}

static const char *set_ms(const struct conf_key *k, const char *v, void *at)
{
	u64 n;
	const char *why = scaled(k, v, time_units, ARRAY_SIZE(time_units), &n);

	if (!why && __builtin_mul_overflow(n, (u64)1000000, &n))
		why = "number too large";
	if (!why)
		memcpy(at, &n, sizeof(n));
	return why;
}

static const char *set_bool(const struct conf_key *k, const char *v, void *at)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(v, words[i])) {
			*(bool *)at = i & 1;
			return NULL;
		}
	}
	return "yes or no is wanted";
}

static const char *set_enum(const struct conf_key *k, const char *v, void *at)
{
	for (u32 i = 0; k->choices[i]; i++) {
		if (!strcmp(v, k->choices[i])) {
			memcpy(at, &i, sizeof(i));
			return NULL;
		}
	}
	return "not one of its values";
}

static const struct {
	const char *(*set)(const struct conf_key *k, const char *v, void *at);
} types[] = {
	[CONF_STR] = { set_str }, [CONF_U32] = { set_u32 }, [CONF_U64] = { set_u64 }, [CONF_BOOL] = { set_bool },
	[CONF_MS] = { set_ms }, [CONF_ENUM] = { set_enum }, [CONF_LIST] = { set_list },
};

static const char *set_value(const struct conf_key *k, const char *v, void *base)
{
	return types[k->type].set(k, v, (char *)base + k->offset);
}

void conf_defaults(const struct conf_key *keys, size_t n_keys, void *ret)
{
	for (size_t i = 0; i < n_keys; i++) {
		const char *why;

		memset((char *)ret + keys[i].offset, 0, keys[i].size);
		why = keys[i].value ? set_value(&keys[i], keys[i].value, ret) : NULL;
		assert(!why && "the table's own default is not valid");
		(void)why;
	}
}

/* --- nearest known word ----------------------------------------------------------------------------- */

static size_t distance(const char *a, const char *b)
{
	size_t row[SECTION_MAX + 1], la = strlen(a), lb = strlen(b);

	if (la > SECTION_MAX || lb > SECTION_MAX)
		return SECTION_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t up = row[j], change = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = MIN(change, MIN(up, row[j - 1]) + 1);
			diagonal = up;
		}
	}
	return row[lb];
}

static const char *nearest_key(const struct parse *p, const char *word)
{
	const char *best = NULL;
	size_t limit = MAX(strlen(word) / 3, (size_t)2) + 1;

	for (size_t i = 0; i < p->n_keys; i++) {
		size_t d = strcmp(p->keys[i].section, p->section) ? SECTION_MAX : distance(word, p->keys[i].key);

		if (d < limit) {
			limit = d;
			best = p->keys[i].key;
		}
	}
	return best;
}

/* --- lines ------------------------------------------------------------------------------------------ */

static int bad(struct parse *p, const char *at, const char *what, const char *word)
{
	return err_set(p->e, -DSI_ECONFIG, "%s:%u:%zu: %s%s", p->name, p->line, (size_t)(at - p->text) + 1, what, word);
}

static char *trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = 0;
	return s;
}

static int section_line(struct parse *p, char *s)
{
	char *close = strchr(s, ']');

	if (close)
		*close = 0;
	if (!close || (*trim(close + 1) && *trim(close + 1) != '#') || close - s > SECTION_MAX - 2)
		return bad(p, s, "a section is written [name]", "");
	for (size_t i = 0; i < p->n_keys; i++) {
		if (!strcmp(p->keys[i].section, s + 1)) {
			strcpy(p->section, s + 1);
			return 0;
		}
	}
	return bad(p, s, "unknown section ", s + 1);
}

/* Cuts quotes or a comment off; NULL when quotes do not match. */
static char *value_of(char *v)
{
	char *end;

	if (*v != '"') {
		v[strcspn(v, "#")] = 0;
		return trim(v);
	}
	end = strchr(v + 1, '"');
	if (!end)
		return NULL;
	*end = 0;
	end = trim(end + 1);
	return *end && *end != '#' ? NULL : v + 1;
}

static int unknown_key(struct parse *p, const char *key)
{
	const char *near = nearest_key(p, key);
	char what[SECTION_MAX * 3];

	if (!near)
		return bad(p, key, "unknown key ", key);
	snprintf(what, sizeof(what), "unknown key %.64s, did you mean ", key);
	return bad(p, key, what, near);
}

static int key_line(struct parse *p, char *s)
{
	char *eq = strchr(s, '='), *key, *value;
	const char *why;
	size_t i = 0;

	if (!eq)
		return bad(p, s, "key = value is wanted", "");
	*eq = 0;
	key = trim(s);
	value = value_of(trim(eq + 1));
	if (!value)
		return bad(p, eq + 1, "quotes do not match", "");
	while (i < p->n_keys && (strcmp(p->keys[i].key, key) || strcmp(p->keys[i].section, p->section)))
		i++;
	if (i == p->n_keys)
		return unknown_key(p, key);
	if (p->seen[i] && p->keys[i].type != CONF_LIST)
		return bad(p, key, "given twice: ", key);
	p->seen[i] = true;
	why = set_value(&p->keys[i], value, p->ret);
	return why ? bad(p, value, why, "") : 0;
}

static int one_line(struct parse *p)
{
	char *s = trim(p->text);

	if (!*s || *s == '#')
		return 0;
	return *s == '[' ? section_line(p, s) : key_line(p, s);
}

int conf_parse(const struct conf_key *keys, size_t n_keys, const char *name, const char *text, size_t len, void *ret,
	       struct err *e)
{
	struct parse p = { .keys = keys, .n_keys = n_keys, .name = name, .ret = ret, .e = e };
	int rc = 0;

	assert(n_keys <= KEYS_MAX);
	conf_defaults(keys, n_keys, ret);
	for (size_t at = 0; at < len && !rc;) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t n = nl ? (size_t)(nl - text) - at : len - at;

		p.line++;
		if (n >= sizeof(p.text) || memchr(text + at, 0, n))
			return bad(&p, p.text, n >= sizeof(p.text) ? "line too long" : "not a text file", "");
		memcpy(p.text, text + at, n);
		p.text[n] = 0;
		rc = one_line(&p);
		at += n + 1;
	}
	return rc;
}

int conf_load(const struct conf_key *keys, size_t n_keys, const char *path, bool missing_ok, void *ret, struct err *e)
{
	u8 *text;
	size_t n;
	int rc = fs_read_file(path, FILE_MAX, &text, &n, e);

	if (rc == -DSI_ENOENT && missing_ok) {
		conf_defaults(keys, n_keys, ret);
		if (e)
			*e = (struct err){ 0 };
		return 0;
	}
	if (rc)
		return rc;
	rc = conf_parse(keys, n_keys, path, (const char *)text, n, ret, e);
	free(text);
	return rc;
}

static void print_choices(const struct conf_key *k, FILE *f)
{
	if (k->type != CONF_ENUM)
		return;
	fprintf(f, "# One of:");
	for (u32 i = 0; k->choices[i]; i++)
		fprintf(f, " %s", k->choices[i]);
	fprintf(f, "\n");
}

void conf_print_defaults(const struct conf_key *keys, size_t n_keys, FILE *f)
{
	const char *section = "";

	for (size_t i = 0; i < n_keys; i++) {
		const struct conf_key *k = &keys[i];

		if (strcmp(section, k->section)) {
			section = k->section;
			fprintf(f, "[%s]\n\n", section);
		}
		if (k->help)
			fprintf(f, "# %s\n", k->help);
		print_choices(k, f);
		if (k->max)
			fprintf(f, "# From %llu to %llu%s.\n", (unsigned long long)k->min, (unsigned long long)k->max,
				k->type == CONF_MS ? " ms" : "");
		fprintf(f, "#%s = %s\n\n", k->key, k->value ? k->value : "");
	}
}
