/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tokens of one source file. Pure: a cursor over the caller's text, no allocation; a token points into
 * the text. After the end it answers TOK_END for ever.
 */
#ifndef DSI_POLICIES_COMPILER_LEX_H
#define DSI_POLICIES_COMPILER_LEX_H

#include "policies/compiler/policy.h"

enum token_kind {
	TOK_END,
	TOK_NAME,   /* letters, digits, _ - . */
	TOK_NUMBER, /* digits */
	TOK_PATH,   /* starts with /; ends at a space or one of ; , { } " # */
	TOK_STRING, /* "..." on one line; s, len without the quotes */
	TOK_PUNCT,  /* one of { } ; , : = @ * - */
	TOK_BAD,    /* why says what is wrong */
};

struct token {
	enum token_kind kind;
	const char *s;
	u32 len;
	struct pos pos;
	bool first; /* first on its line */
	u32 number; /* TOK_NUMBER, saturated at 1000000 */
	const char *why;
};

struct lexer {
	const char *s, *end, *line_start;
	u32 file, line;
	bool first;
};

void lex_init(struct lexer *l, u32 file, const char *text, size_t len);
struct token lex_next(struct lexer *l);
bool token_is(const struct token *t, const char *text); /* a name with this text, or this punctuation */

#endif
