/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/lex and parse: tokens, places of errors, recovery; every prefix of a policy ends in order. */
#include "policies/compiler/lex.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/policies_fixture.h"

START_TEST(tokens_and_their_places)
{
	static const char text[] = "allow n1.a-b_c@*:tcp # x\n\t{ 80-90 } /a/b-c;3com \"x /\" ,=\n";
	static const struct {
		enum token_kind kind;
		const char *s;
		u32 line, col;
		bool first;
	} expected[] = {
		{ TOK_NAME, "allow", 1, 1, true },  { TOK_NAME, "n1.a-b_c", 1, 7, false }, { TOK_PUNCT, "@", 1, 15, false },
		{ TOK_PUNCT, "*", 1, 16, false },   { TOK_PUNCT, ":", 1, 17, false },	   { TOK_NAME, "tcp", 1, 18, false },
		{ TOK_PUNCT, "{", 2, 2, true },	    { TOK_NUMBER, "80", 2, 4, false },	   { TOK_PUNCT, "-", 2, 6, false },
		{ TOK_NUMBER, "90", 2, 7, false },  { TOK_PUNCT, "}", 2, 10, false },	   { TOK_PATH, "/a/b-c", 2, 12, false },
		{ TOK_PUNCT, ";", 2, 18, false },   { TOK_NAME, "3com", 2, 19, false },	   { TOK_STRING, "x /", 2, 24, false },
		{ TOK_PUNCT, ",", 2, 30, false },   { TOK_PUNCT, "=", 2, 31, false },	   { TOK_END, "", 3, 1, true },
		{ TOK_END, "", 3, 1, false },
	};
	struct lexer l;

	lex_init(&l, 0, text, strlen(text));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct token t = lex_next(&l);

		ck_assert_msg(t.kind == expected[i].kind && t.len == strlen(expected[i].s) && !memcmp(t.s, expected[i].s, t.len),
			      "token %zu is `%.*s`", i, (int)t.len, t.s);
		ck_assert_uint_eq(t.pos.line, expected[i].line);
		ck_assert_uint_eq(t.pos.col, expected[i].col);
		ck_assert_int_eq(t.first, expected[i].first);
	}
}
END_TEST

START_TEST(any_byte_is_a_token)
{
	for (int c = 0; c < 256; c++) {
		char s[3] = { (char)c, (char)c, 'a' };
		struct token t;
		struct lexer l;
		int n = 0;

		lex_init(&l, 0, s, sizeof(s));
		do {
			t = lex_next(&l);
			ck_assert_int_lt(n++, 10);
		} while (t.kind != TOK_END);
	}
}
END_TEST

START_TEST(numbers_saturate)
{
	static const char text[] = "99999999999999999999999";
	struct lexer l;
	struct token t;

	lex_init(&l, 0, text, strlen(text));
	t = lex_next(&l);
	ck_assert_int_eq(t.kind, TOK_NUMBER);
	ck_assert_uint_eq(t.number, 1000000);
	built_says("domain a { exec /a; } allow a self:tcp { bind } port 99999999999;", "port 99999999999 is above 65535");
}
END_TEST

/* What the source says, checked by file:line:column. */
START_TEST(errors_have_places)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{ "policy \"\" { }", "test.dsp:1:8: error: expected the policy's name" },
		{ "policy \"p\" { mode maybe; }", "test.dsp:1:19: error: expected `enforcing` or `permissive`, not `maybe`" },
		{ "\n\n  domain { }", "test.dsp:3:10: error: expected the domain's name, not `{`" },
		{ "domain a { exec /a; from b; from c; }", "second `from`" },
		{ "domain a { strict; }", "expected `exec`, `from`, `permissive`, `unconfined` or `}`, not `strict`" },
		{ "files t { /a }", "test.dsp:1:14: error: expected `;`, not `}`" },
		{ "allow a@; b:tcp { connect };", "expected a node group or `*`" },
		{ "allow { a@x }@y b:tcp { connect };", "a place inside and a place behind the braces" },
		{ "allow a b:file { };", "expected a permission, not `}`" },
		{ "allow a b:file { read }", "test.dsp:1:24: error: expected `;` here" },
		{ "allow a b:tcp { connect } port ;", "expected a port number" },
		{ "domain a { exec /a", "expected `;` here" },
		{ "on g { allow a b:file { read };", "expected `}`, not the end of the file" },
		{ "}", "expected a statement, not `}`" },
		{ "files t { \"/a\tb\"; }", "string does not end on its line" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		built_says(t[i].text, t[i].says);
}
END_TEST

/* One error a statement, and the next one is read. */
START_TEST(errors_do_not_cascade)
{
	struct built *b = built_text("domain a { exec foo; from b, c; permissive; }\n"
				     "allow x y:file { reed write } ;\n"
				     "allow x y:tcp { conect } port 80;\n"
				     "domain ok { exec /ok; }\n"
				     "files t { /a; b; /c; }\n"
				     "on g { allow q; never q; }\n"
				     "policy \"p\" { mode enforcing; }\n");

	ck_assert_uint_eq(b->diags.errors, 6);
	ck_assert_ptr_nonnull(b->policy->name);
	built_free(b);
}
END_TEST

START_TEST(many_errors_are_bounded)
{
	struct wbuf w;
	struct built *b;

	wbuf_init(&w, 1 << 20);
	for (int i = 0; i < 1000; i++)
		wbuf_bytes(&w, "allow a;\n", 9);
	b = built_new((char *)w.data, w.len, NULL);
	ck_assert_uint_eq(b->diags.errors, 1000);
	ck_assert_uint_eq(b->diags.n, DIAG_MAX);
	ck_assert_ptr_nonnull(strstr((char *)b->messages.data, "1000 errors, 0 warnings (800 not shown)"));
	built_free(b);
	wbuf_fini(&w);
}
END_TEST

START_TEST(every_prefix_is_survived)
{
	static const char text[] = "policy \"p\" { mode enforcing; } nodes g = n1, n2; set s = a, b; domain a { exec /a, \"/b\"; from d; }\n"
				   "files t { /x; } on g { allow { a b }@g s@*:tcp { connect } port 1-2, 3; never * t:file { read }; }\n"
				   "allow a socket { inet stream, unix dgram }; # end";

	for (size_t len = 0; len <= strlen(text); len++) {
		char *exact = malloc(len ? len : 1);

		memcpy(exact, text, len);
		built_free(built_new(exact, len, NULL));
		free(exact);
	}
}
END_TEST

LIB_TESTS("policies_parse", tokens_and_their_places, any_byte_is_a_token, numbers_saturate, errors_have_places,
	  errors_do_not_cascade, many_errors_are_bounded, every_prefix_is_survived)
