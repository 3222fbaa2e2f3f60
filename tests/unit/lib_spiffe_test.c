/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: a name that OpenSSL's constraint reads as one node's and we (or somebody's URL parser) as another's.
 */
#include "lib/spiffe.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/lib_check.h"

static int parse(const char *s, struct spiffe *ret, struct err *e)
{
	return spiffe_parse(ret, s, strlen(s), e);
}

START_TEST(the_userinfo_hole)
{
	static const char *const names[] = {
		"spiffe://n1.c1.dsi:x@n2.c1.dsi/domain/nginx", /* OpenSSL 3.0 takes it for n1, URL parsers for n2 */
		"spiffe://n1.c1.dsi@n2.c1.dsi/domain/nginx",
		"spiffe://@n2.c1.dsi/domain/nginx",
		"spiffe://n1.c1.dsi:/domain/nginx",
		"spiffe://n1.c1.dsi:80/domain/nginx",
		"spiffe://n1.c1.dsi\\@n2.c1.dsi/domain/nginx",
		"spiffe://n1.c1.dsi/domain/nginx@n2.c1.dsi",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct spiffe s = { .node = "as before" };
		struct err e = { 0 };

		ck_assert_msg(parse(names[i], &s, &e) == -DSI_EPARSE, "%s", names[i]);
		ck_assert_str_eq(s.node, "as before");
		ck_assert(!strncmp(e.text, "certificate name: ", 18));
	}
}
END_TEST

START_TEST(names_and_back)
{
	static const char *const names[] = {
		"spiffe://n1.c1.dsi/domain/nginx", "spiffe://n1.c1.dsi/domain/nginx/1234-5678",
		"spiffe://a.b.dsi/domain/A_b-c.d", "spiffe://dsi.dsi.dsi/domain/domain/domain",
		"spiffe://n-1.c--1.dsi/domain/..a/0", "spiffe://n1.c1.dsi/domain/...",
	};
	struct spiffe s;
	char text[SPIFFE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_msg(!parse(names[i], &s, NULL), "%s", names[i]);
		ck_assert_int_eq(spiffe_text(&s, text), 0);
		ck_assert_str_eq(text, names[i]);
	}
	ck_assert_int_eq(parse(names[1], &s, NULL), 0);
	ck_assert_str_eq(s.node, "n1");
	ck_assert_str_eq(s.cluster, "c1");
	ck_assert_str_eq(s.domain, "nginx");
	ck_assert_str_eq(s.instance, "1234-5678");
	ck_assert_int_eq(parse(names[0], &s, NULL), 0);
	ck_assert_str_eq(s.instance, "");
}
END_TEST

START_TEST(anything_else_is_no_name)
{
	static const char *const names[] = {
		"", "spiffe", "spiffe:", "spiffe:/n1.c1.dsi/domain/nginx", "SPIFFE://n1.c1.dsi/domain/nginx", "https://n1.c1.dsi/domain/nginx",
		"urn:spiffe://n1.c1.dsi/domain/nginx", " spiffe://n1.c1.dsi/domain/nginx", "spiffe:///domain/nginx",
		"spiffe://n1/domain/nginx", "spiffe://n1.dsi/domain/nginx", "spiffe://n1.c1/domain/nginx", "spiffe://.c1.dsi/domain/nginx",
		"spiffe://n1..dsi/domain/nginx", "spiffe://n1.c1.dsi./domain/nginx", "spiffe://x.n1.c1.dsi/domain/nginx",
		"spiffe://n1.c1.dsix/domain/nginx", "spiffe://N1.c1.dsi/domain/nginx", "spiffe://n1.C1.dsi/domain/nginx",
		"spiffe://n1.c1.DSI/domain/nginx", "spiffe://-n1.c1.dsi/domain/nginx", "spiffe://n1-.c1.dsi/domain/nginx",
		"spiffe://n_1.c1.dsi/domain/nginx", "spiffe://n%31.c1.dsi/domain/nginx", "spiffe://[::1]/domain/nginx",
		"spiffe://n1.c1.dsi", "spiffe://n1.c1.dsi/", "spiffe://n1.c1.dsi/domain", "spiffe://n1.c1.dsi/domain/",
		"spiffe://n1.c1.dsi/Domain/nginx", "spiffe://n1.c1.dsi//domain/nginx", "spiffe://n1.c1.dsi/domain//nginx",
		"spiffe://n1.c1.dsi/domain/.", "spiffe://n1.c1.dsi/domain/..", "spiffe://n1.c1.dsi/domain/../1",
		"spiffe://n1.c1.dsi/domain/ng%69nx", "spiffe://n1.c1.dsi/domain/nginx/", "spiffe://n1.c1.dsi/domain/nginx//1",
		"spiffe://n1.c1.dsi/domain/nginx/1/", "spiffe://n1.c1.dsi/domain/nginx/1/2", "spiffe://n1.c1.dsi/domain/nginx/..",
		"spiffe://n1.c1.dsi/domain/nginx/A", "spiffe://n1.c1.dsi/domain/nginx/-1", "spiffe://n1.c1.dsi/domain/nginx?q",
		"spiffe://n1.c1.dsi/domain/nginx#f", "spiffe://n1.c1.dsi/domain/nginx ", "spiffe://n1.c1.dsi/domain/ng\xc3\xa4nx",
		"spiffe://n1.c1.dsi/domain/nginx\n", "spiffe://n1.c1.dsi/domain/a,URI:b",
	};
	struct spiffe s;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg(parse(names[i], &s, &e) == -DSI_EPARSE, "%s", names[i]);
}
END_TEST

/* Every cut, every NUL: a C string's end is no end of a name. */
START_TEST(cut_or_with_a_nul)
{
	static const char name[] = "spiffe://n1.c1.dsi/domain/nginx/7";
	const size_t shortest = strlen("spiffe://n1.c1.dsi/domain/n"), instance = strlen("spiffe://n1.c1.dsi/domain/nginx/");
	struct spiffe s;

	for (size_t n = 0; n < sizeof(name) - 1; n++) {
		char exact[sizeof(name)];
		bool whole = n >= shortest && n != instance;

		memcpy(exact, name, sizeof(name));
		ck_assert_msg((spiffe_parse(&s, exact, n, NULL) == 0) == whole, "%zu bytes", n);
		exact[n] = '\0';
		ck_assert_int_ne(spiffe_parse(&s, exact, sizeof(name) - 1, NULL), 0);
	}
	ck_assert_int_ne(spiffe_parse(&s, name, sizeof(name), NULL), 0);
}
END_TEST

START_TEST(lengths)
{
	struct spiffe s = { .instance = "" }, t;
	char text[SPIFFE_MAX], more[4 * SPIFFE_MAX];

	memset(s.node, 'n', LIM_NAME - 1);
	memset(s.cluster, 'c', LIM_NAME - 1);
	memset(s.domain, 'D', LIM_NAME - 1);
	memset(s.instance, 'i', LIM_NAME - 1);
	ck_assert_int_eq(spiffe_text(&s, text), 0);
	ck_assert_int_eq(parse(text, &t, NULL), 0);
	ck_assert_mem_eq(&s, &t, sizeof(s));
	snprintf(more, sizeof(more), "%si", text);
	ck_assert_int_lt(parse(more, &t, NULL), 0);
	memset(more, 'a', sizeof(more));
	ck_assert_int_eq(spiffe_parse(&t, more, sizeof(more), NULL), -DSI_ELIMIT);
	s.node[LIM_NAME - 1] = 'n'; /* not terminated */
	ck_assert_int_eq(spiffe_text(&s, text), -DSI_EINVAL);
	ck_assert_str_eq(text, "");
	t = (struct spiffe){ .node = "n1", .cluster = "c1", .domain = "a/b" };
	ck_assert_int_eq(spiffe_text(&t, text), -DSI_EINVAL);
	t = (struct spiffe){ .node = "n1.c1", .cluster = "c1", .domain = "a" };
	ck_assert_int_eq(spiffe_text(&t, text), -DSI_EINVAL);
}
END_TEST

LIB_TESTS("lib_spiffe", the_userinfo_hole, names_and_back, anything_else_is_no_name, cut_or_with_a_nul, lengths)
