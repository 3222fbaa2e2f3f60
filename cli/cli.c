/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parser and dispatcher over the command table. Never: knows what a command does. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"

static const char *const needs_text[CLI_NEEDS_COUNT] = {
#define X(name, text) [CLI_NEEDS_##name] = text,
	CLI_NEEDS_TABLE(X)
#undef X
};

const struct cli_option cli_common_options[] = {
	{ "output-as", "text|json", "form of the answer (default text)" },
	{ "root", "DIR", "prefix of DSI's own files, for offline work and tests" },
	{ "quiet", NULL, "no progress lines" },
	{ "help", NULL, "this text" },
	{ NULL, NULL, NULL },
};

static u64 wall_ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

u64 cli_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + (u64)ts.tv_nsec / 1000000;
}

void cli_init(struct cli *c, FILE *out, FILE *log)
{
	*c = (struct cli){ .out = out, .log = log, .root = "", .transport = client_transport_ipc, .wall_ms = wall_ms_now };
}

/* ---- options ------------------------------------------------------------------------------------------ */

static const struct cli_option *option_in(const struct cli_option *o, const char *name, size_t len)
{
	for (; o && o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return NULL;
}

static const struct cli_option *option_find(const struct cli_command *cmd, const char *name, size_t len)
{
	const struct cli_option *o = cmd ? option_in(cmd->options, name, len) : NULL;

	return o ? o : option_in(cli_common_options, name, len);
}

const char *cli_opt_nth(const struct cli *c, const char *name, int nth)
{
	const struct cli_option *o = option_find(c->cmd, name, strlen(name));

	assert(o && o->arg);
	for (int i = 0; i < c->n_values; i++)
		if (c->value[i].option == o && nth-- == 0)
			return c->value[i].value;
	return NULL;
}

const char *cli_opt(const struct cli *c, const char *name)
{
	const char *last = NULL, *v;

	for (int i = 0; (v = cli_opt_nth(c, name, i)); i++)
		last = v;
	return last;
}

bool cli_flag(const struct cli *c, const char *name)
{
	const struct cli_option *o = option_find(c->cmd, name, strlen(name));

	assert(o && !o->arg);
	for (int i = 0; i < c->n_values; i++)
		if (c->value[i].option == o)
			return true;
	return false;
}

/* One "--name", "--name=value" or "--name value"; *i is advanced past a separate value. */
static int parse_option(struct cli *c, int argc, char **argv, int *i, struct err *e)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '='), *value = NULL;
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct cli_option *o = option_find(c->cmd, name, len);

	if (!o)
		return err_set(e, -DSI_EUSAGE, "unknown option --%.*s; see dsi-admin %s --help", (int)len, name,
			       c->cmd ? c->cmd->name : "");
	if (!o->arg && eq)
		return err_set(e, -DSI_EUSAGE, "option --%s takes no value", o->name);
	if (o->arg) {
		if (!eq && *i + 1 >= argc)
			return err_set(e, -DSI_EUSAGE, "option --%s needs a value: --%s %s", o->name, o->name, o->arg);
		value = eq ? eq + 1 : argv[++*i];
	}
	if (c->n_values == CLI_MAX_VALUES)
		return err_set(e, -DSI_EUSAGE, "more than %d options", CLI_MAX_VALUES);
	c->value[c->n_values].option = o;
	c->value[c->n_values++].value = value;
	return 0;
}

static int parse_rest(struct cli *c, int argc, char **argv, int i, struct err *e)
{
	bool only_args = false;
	int r;

	for (; i < argc; i++) {
		if (!only_args && !strcmp(argv[i], "--")) {
			only_args = true;
		} else if (!only_args && !strncmp(argv[i], "--", 2)) {
			r = parse_option(c, argc, argv, &i, e);
			if (r < 0)
				return r;
		} else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
			return err_set(e, -DSI_EUSAGE, "unknown option %s; options are long ones, see --help", argv[i]);
		} else if (c->n_args == CLI_MAX_ARGS) {
			return err_set(e, -DSI_EUSAGE, "more than %d arguments", CLI_MAX_ARGS);
		} else {
			c->args[c->n_args++] = argv[i];
		}
	}
	return 0;
}

static int check_common(struct cli *c, struct err *e)
{
	const char *as = cli_opt(c, "output-as"), *root = cli_opt(c, "root");

	c->quiet = cli_flag(c, "quiet");
	if (root)
		c->root = strcmp(root, "/") ? root : "";
	if (!as || !strcmp(as, "text"))
		c->format = CLI_TEXT;
	else if (!strcmp(as, "json"))
		c->format = CLI_JSON;
	else
		return err_set(e, -DSI_EUSAGE, "--output-as=%s: text or json", as);
	return 0;
}

static int check_count(const struct cli *c, struct err *e)
{
	if (c->n_args >= c->cmd->min_args && (c->cmd->max_args < 0 || c->n_args <= c->cmd->max_args))
		return 0;
	return err_set(e, -DSI_EUSAGE, "%s argument%s; usage: dsi-admin %s%s%s",
		       c->n_args < c->cmd->min_args ? "missing" : "too many", c->n_args < c->cmd->min_args ? "" : "s",
		       c->cmd->name, *c->cmd->args ? " " : "", c->cmd->args);
}

/* ---- commands ----------------------------------------------------------------------------------------- */

const struct cli_command *cli_find(const char *first, const char *second, int *ret_words)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const char *name = cli_commands[i].name, *space = strchr(name, ' ');

		if (!space && !strcmp(name, first)) {
			*ret_words = 1;
			return &cli_commands[i];
		}
		if (space && second && strlen(first) == (size_t)(space - name) &&
		    !memcmp(name, first, (size_t)(space - name)) && !strcmp(space + 1, second)) {
			*ret_words = 2;
			return &cli_commands[i];
		}
	}
	return NULL;
}

static bool is_group(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < cli_n_commands; i++)
		if (!strncmp(cli_commands[i].name, word, n) && cli_commands[i].name[n] == ' ')
			return true;
	return false;
}

static void print_command_line(FILE *f, const struct cli_command *cmd)
{
	char left[96];

	snprintf(left, sizeof(left), "%s%s%s", cmd->name, *cmd->args ? " " : "", cmd->args);
	fprintf(f, "  %-34s %s\n", left, cmd->help);
}

static void print_group(FILE *f, const char *word)
{
	size_t n = strlen(word);

	fprintf(f, "dsi-admin %s: one of\n", word);
	for (size_t i = 0; i < cli_n_commands; i++)
		if (!strncmp(cli_commands[i].name, word, n) && cli_commands[i].name[n] == ' ')
			print_command_line(f, &cli_commands[i]);
}

void cli_usage(FILE *f)
{
	fprintf(f, "Usage: dsi-admin COMMAND [ARGUMENTS] [OPTIONS]\n\n");
	for (size_t i = 0; i < cli_n_commands; i++)
		print_command_line(f, &cli_commands[i]);
	fprintf(f, "\nOptions of every command:\n");
	for (const struct cli_option *o = cli_common_options; o->name; o++)
		fprintf(f, "  --%s%s%-*s %s\n", o->name, o->arg ? " " : "",
			(int)(22 - strlen(o->name) - (o->arg ? 1 : 0)), o->arg ? o->arg : "", o->help);
	fprintf(f, "\ndsi-admin COMMAND --help shows the options of a command. Exit statuses: doc/exit-codes.md.\n");
}

void cli_help(FILE *f, const struct cli_command *cmd)
{
	fprintf(f, "Usage: dsi-admin %s%s%s%s\n\n%s.\nNeeds: %s.\n", cmd->name, *cmd->args ? " " : "", cmd->args,
		cmd->options ? " [OPTIONS]" : "", cmd->help, needs_text[cmd->needs]);
	if (cmd->options)
		fprintf(f, "\n");
	for (const struct cli_option *o = cmd->options; o && o->name; o++)
		fprintf(f, "  --%s%s%-*s %s\n", o->name, o->arg ? " " : "",
			(int)(MAX(28 - (int)strlen(o->name) - (o->arg ? 1 : 0), 0)), o->arg ? o->arg : "", o->help);
}

static int find_command(struct cli *c, int argc, char **argv, int *ret_next, struct err *e)
{
	int words = 0;

	c->cmd = cli_find(argv[1], argc > 2 ? argv[2] : NULL, &words);
	*ret_next = 1 + words;
	if (c->cmd)
		return 0;
	if (is_group(argv[1]) && argc > 2)
		return err_set(e, -DSI_EUSAGE, "unknown command \"%s %s\"; see dsi-admin %s --help", argv[1], argv[2],
			       argv[1]);
	return err_set(e, -DSI_EUSAGE, "unknown command \"%s\"; see dsi-admin --help", argv[1]);
}

/* What can be answered before a command is known; true when it was. */
static bool answer_early(struct cli *c, int argc, char **argv, int *ret_status)
{
	*ret_status = 0;
	if (argc < 2) {
		cli_usage(c->log);
		*ret_status = err_exit(-DSI_EUSAGE);
		return true;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		cli_usage(c->out);
		return true;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-$")) {
		fprintf(c->out, "dsi-admin %s\n", DSI_VERSION);
		return true;
	}
	if (is_group(argv[1]) && (argc == 2 || !strcmp(argv[2], "--help"))) {
		print_group(argc == 2 ? c->log : c->out, argv[1]);
		*ret_status = argc == 2 ? err_exit(-DSI_EUSAGE) : 0;
		return true;
	}
	return false;
}

/*
 * The form of an error that comes before the options are understood, an unknown command's too; check_common()
 * has the last word. The last one counts, as in cli_opt().
 */
static enum cli_format format_wanted(int argc, char **argv)
{
	static const char name[] = "--output-as";
	const size_t n = sizeof(name) - 1;
	const char *as = NULL;

	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strncmp(argv[i], name, n) && argv[i][n] == '=')
			as = argv[i] + n + 1;
		else if (!strcmp(argv[i], name) && i + 1 < argc)
			as = argv[++i];
	return as && !strcmp(as, "json") ? CLI_JSON : CLI_TEXT;
}

static int run(struct cli *c, int argc, char **argv, struct err *e)
{
	int next, r;

	c->format = format_wanted(argc, argv);
	r = find_command(c, argc, argv, &next, e);
	if (r < 0)
		return r;
	r = parse_rest(c, argc, argv, next, e);
	if (r < 0)
		return r;
	if (cli_flag(c, "help")) {
		cli_help(c->out, c->cmd);
		return 0;
	}
	r = check_common(c, e);
	if (r == 0)
		r = check_count(c, e);
	return r < 0 ? r : c->cmd->run(c, e);
}

static json_t *error_document(const struct err *e, const char *text)
{
	return json_pack("{s:{s:i, s:s, s:s}}", "error", "code", e->code, "name", err_name(e->code), "text", text);
}

static void show_error(struct cli *c, const struct err *e)
{
	char plain[sizeof(e->text)];
	json_t *doc;

	fprintf(c->log, "dsi-admin%s%s: %s\n", c->cmd ? " " : "", c->cmd ? c->cmd->name : "", e->text);
	if (c->format != CLI_JSON)
		return;
	doc = error_document(e, e->text);
	if (!doc) { /* the text repeats bytes of an argument that are no UTF-8, or was cut within a letter */
		memcpy(plain, e->text, sizeof(plain));
		for (char *p = plain; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		doc = error_document(e, plain);
	}
	if (doc)
		cli_show(c, doc, NULL);
}

int cli_run(struct cli *c, int argc, char **argv)
{
	struct err e = { 0 };
	int r;

	if (answer_early(c, argc, argv, &r))
		return r;
	r = run(c, argc, argv, &e);
	if (r >= 0 && (fflush(c->out) || ferror(c->out)))
		r = err_set(&e, -DSI_EIO, "cannot write the answer");
	if (r >= 0)
		return r;
	if (!e.text[0])
		err_set(&e, r, "%s", err_text(r));
	show_error(c, &e);
	return err_exit(r);
}

/* ---- output ------------------------------------------------------------------------------------------- */

int cli_show(struct cli *c, json_t *doc, cli_text_fn *text)
{
	if (!doc)
		return -DSI_ENOMEM;
	if (c->format == CLI_JSON) {
		json_dumpf(doc, c->out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		fputc('\n', c->out);
	} else if (text) {
		text(c->out, doc);
	}
	json_decref(doc);
	return 0;
}

void cli_say(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->quiet)
		return;
	va_start(ap, fmt);
	vfprintf(c->log, fmt, ap);
	va_end(ap);
	fputc('\n', c->log);
}

bool cli_path(const struct cli *c, const char *path, char ret[CLI_PATH])
{
	int n = snprintf(ret, CLI_PATH, "%s%s", c->root, path);

	return n > 0 && n < CLI_PATH;
}
