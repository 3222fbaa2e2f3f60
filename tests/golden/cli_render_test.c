/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records in, text out: tests/golden/cli/NAME.json rendered must be NAME.txt, byte by byte. UPDATE=1
 * rewrites the texts; review decides. Also the help and the bash completion, which come from the table.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "tests/unit/lib_check.h"

#define DIR "tests/golden/cli/"

static const struct {
	const char *name;
	cli_text_fn *render;
} cases[] = {
	{ "status", render_status },     { "status-ill", render_status },  { "status-new", render_status },
	{ "denials", render_denials },   { "explain", render_explain },    { "verdict", render_verdict },
	{ "verdict-two", render_verdict }, { "pushed", render_pushed },    { "history", render_history },
	{ "log", render_log },           { "counters", render_counters },
};

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *p = calloc(1, 1 << 16);
	size_t n = f ? fread(p, 1, (1 << 16) - 1, f) : 0;

	p[n] = 0;
	if (f)
		fclose(f);
	return p;
}

static void expect_file(const char *path, const char *got)
{
	char *want;

	if (getenv("UPDATE")) {
		FILE *f = fopen(path, "w");

		ck_assert_ptr_nonnull(f);
		fputs(got, f);
		fclose(f);
	}
	want = read_text(path);
	ck_assert_msg(!strcmp(want, got), "%s differs (UPDATE=1 rewrites it); got:\n%s", path, got);
	free(want);
}

START_TEST(renders)
{
	char path[256], *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	json_error_t je;
	json_t *doc;

	snprintf(path, sizeof(path), DIR "%s.json", cases[_i].name);
	doc = json_load_file(path, 0, &je);
	ck_assert_msg(doc != NULL, "%s: %s", path, je.text);
	cases[_i].render(f, doc);
	fclose(f);
	snprintf(path, sizeof(path), DIR "%s.txt", cases[_i].name);
	expect_file(path, text);
	json_decref(doc);
	free(text);
}
END_TEST

/* Every renderer takes any document without a crash: a daemon of another version may lack fields. */
START_TEST(renders_anything)
{
	static const char *const odd[] = { "{}", "{\"nodes\": 3, \"denials\": [1, null, {}], \"view\": []}",
					   "{\"entries\": [{\"index\": \"x\"}], \"versions\": [[]], \"denial\": 7}" };
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_t *doc = json_loads(odd[i], 0, NULL);

		cases[_i].render(f, doc);
		json_decref(doc);
	}
	fclose(f);
	free(text);
}
END_TEST

START_TEST(helps)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	cli_usage(f);
	for (size_t i = 0; i < cli_n_commands; i++) {
		fprintf(f, "\n---- %s\n", cli_commands[i].name);
		cli_help(f, &cli_commands[i]);
	}
	fclose(f);
	expect_file(DIR "help.txt", text);
	free(text);
}
END_TEST

START_TEST(completes)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	cli_completion_bash(f);
	fclose(f);
	expect_file("cli/dsi-admin.bash", text);
	free(text);
}
END_TEST

/* Every command and every option is in the manual page, in roff spelling. */
START_TEST(man_page_is_complete)
{
	char *man = read_text("man/dsi-admin.8"), want[128];

	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_option *o = cli_commands[i].options;

		snprintf(want, sizeof(want), ".SS %s", cli_commands[i].name);
		ck_assert_msg(strstr(man, want) != NULL, "man/dsi-admin.8 lacks \"%s\"", want);
		for (; o && o->name; o++) {
			char *p = want + sprintf(want, "\\-\\-");

			for (const char *s = o->name; *s; s++)
				p += sprintf(p, *s == '-' ? "\\-" : "%c", *s);
			ck_assert_msg(strstr(man, want) != NULL, "man/dsi-admin.8 lacks %s of %s", want, cli_commands[i].name);
		}
	}
	free(man);
}
END_TEST

/* Every code of the catalogue stands in the table row of its status. */
START_TEST(exit_codes_are_documented)
{
	char *doc = read_text("doc/exit-codes.md"), row[32];

	for (int i = 1; i < DSI_ERR_COUNT; i++) {
		const char *line, *end, *name;

		snprintf(row, sizeof(row), "\n| %d | ", err_exit(i));
		line = strstr(doc, row);
		ck_assert_msg(line != NULL, "status %d of %s is not documented", err_exit(i), err_name(i));
		end = strchr(line + 1, '\n');
		name = strstr(line, err_name(i));
		ck_assert_msg(name != NULL && name < end, "%s is not in the row of %d", err_name(i), err_exit(i));
	}
	free(doc);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli_render");
	TCase *t = tcase_create("golden");

	tcase_add_loop_test(t, renders, 0, ARRAY_SIZE(cases));
	tcase_add_loop_test(t, renders_anything, 0, ARRAY_SIZE(cases));
	tcase_add_test(t, helps);
	tcase_add_test(t, completes);
	tcase_add_test(t, man_page_is_complete);
	tcase_add_test(t, exit_codes_are_documented);
	suite_add_tcase(s, t);
	return check_main(s);
}
