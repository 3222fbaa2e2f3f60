/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lexer. Must never read past the end or stop on any byte. Invariant: every call but those at the
 * end consumes at least one byte.
 */
#include <string.h>

#include "policies/compiler/lex.h"

enum { NUMBER_MAX = 1000000 };

void lex_init(struct lexer *l, u32 file, const char *text, size_t len)
{
	*l = (struct lexer){ .s = text, .end = text + len, .line_start = text, .file = file, .line = 1, .first = true };
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
	return is_alpha(c) || is_digit(c) || c == '.' || c == '-';
}

static bool is_control(char c)
{
	return (u8)c < 0x20 || c == 0x7f;
}

static bool ends_path(char c)
{
	return c == ' ' || is_control(c) || strchr(";,{}\"#", c);
}

static void skip_space(struct lexer *l)
{
	for (; l->s < l->end; l->s++) {
		if (*l->s == '\n') {
			l->line++;
			l->line_start = l->s + 1;
			l->first = true;
		} else if (*l->s == '#') {
			while (l->s + 1 < l->end && l->s[1] != '\n')
				l->s++;
		} else if (*l->s != ' ' && *l->s != '\t' && *l->s != '\r') {
			return;
		}
	}
}

static void bad(struct token *t, const char *why)
{
	t->kind = TOK_BAD;
	t->why = why;
}

/* "8080-8090" is a number, a dash, a number; "3com-1" is a name. */
static const char *lex_word(struct lexer *l, struct token *t)
{
	const char *s = l->s, *end;
	bool alpha = false;

	for (end = s; end < l->end && is_name(*end); end++)
		alpha |= is_alpha(*end) || *end == '.';
	if (is_digit(*s) && !alpha) {
		t->kind = TOK_NUMBER;
		for (end = s; end < l->end && is_digit(*end); end++)
			t->number = MIN(t->number * 10 + (u32)(*end - '0'), (u32)NUMBER_MAX);
		return end;
	}
	t->kind = TOK_NAME;
	if (end - s > IMAGE_NAME_MAX)
		bad(t, "name is longer than 63 characters");
	return end;
}

static const char *lex_path(struct lexer *l, struct token *t)
{
	const char *end = l->s;

	while (end < l->end && !ends_path(*end))
		end++;
	t->kind = TOK_PATH;
	return end;
}

static const char *lex_string(struct lexer *l, struct token *t)
{
	const char *end = l->s + 1;

	while (end < l->end && *end != '"' && !is_control(*end))
		end++;
	if (end == l->end || *end != '"') {
		bad(t, "string does not end on its line");
		return end;
	}
	t->kind = TOK_STRING;
	return end + 1;
}

struct token lex_next(struct lexer *l)
{
	struct token t = { .kind = TOK_END };
	const char *end;

	skip_space(l);
	t.s = l->s;
	t.pos = (struct pos){ l->file, l->line, (u32)(l->s - l->line_start) + 1 };
	t.first = l->first;
	l->first = false;
	if (l->s == l->end)
		return t;
	if (is_alpha(*l->s) || is_digit(*l->s)) {
		end = lex_word(l, &t);
	} else if (*l->s == '/') {
		end = lex_path(l, &t);
	} else if (*l->s == '"') {
		end = lex_string(l, &t);
	} else {
		end = l->s + 1;
		t.kind = TOK_PUNCT;
		if (!*l->s || !strchr("{};,:=@*-", *l->s))
			bad(&t, "unexpected character");
	}
	t.len = (u32)(end - l->s);
	if (t.kind == TOK_STRING) {
		t.s++;
		t.len -= 2;
	}
	l->s = end;
	return t;
}

bool token_is(const struct token *t, const char *text)
{
	return (t->kind == TOK_NAME || t->kind == TOK_PUNCT) && strlen(text) == t->len && !memcmp(t->s, text, t->len);
}
