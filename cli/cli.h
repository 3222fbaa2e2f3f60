/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dsi-admin: what every command sees. One table (commands.c) holds each subcommand with its function,
 * arguments, options, help line and what it needs; parser, usage, bash completion and the check of the
 * manual page all come from it.
 *
 * A command gets a struct cli with parsed options, does its work, and shows one record (a JSON document)
 * through cli_show(): as JSON, or as text by a pure function over the record. It returns 0, a positive
 * exit status (status: 2), or a negative dsi_err with *e filled; the edge prints the one line.
 */
#ifndef DSI_CLI_CLI_H
#define DSI_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "lib/ctl.h"
#include "lib/err.h"
#include "lib/limits.h"

#ifndef DSI_VERSION
#define DSI_VERSION "0.1.0"
#endif

struct cli;
struct cli_command;

enum cli_format { CLI_TEXT = 0, CLI_JSON };

/* What a command needs, shown in the help. None of it is checked before the work asks for it. */
#define CLI_NEEDS_TABLE(X)                                                                             \
	X(NOTHING, "nothing")                                                                         \
	X(DSID, "dsid")                                                                               \
	X(SERVER, "server")                                                                           \
	X(OPERATOR, "operator key")                                                                   \
	X(ROOT, "root")
enum cli_needs {
#define X(name, text) CLI_NEEDS_##name,
	CLI_NEEDS_TABLE(X)
#undef X
	CLI_NEEDS_COUNT
};

struct cli_option {
	const char *name; /* without "--" */
	const char *arg;  /* "NODE"; NULL: a flag */
	const char *help;
};

struct cli_command {
	const char *name; /* one or two words */
	int (*run)(struct cli *c, struct err *e);
	const char *args; /* positional ones, as in the usage line */
	int min_args, max_args; /* max_args < 0: any number */
	const char *help;
	enum cli_needs needs;
	const struct cli_option *options; /* ends with name == NULL; may be NULL */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;
extern const struct cli_option cli_common_options[]; /* of every command */

/* How requests reach a daemon; replaced by tests. reply is malloc'ed. */
typedef int cli_transport_fn(void *ctx, const char *service, const char *request, size_t n, int timeout_ms,
			     char **ret_reply, size_t *ret_len, struct err *e);

enum { CLI_MAX_VALUES = 64, CLI_MAX_ARGS = 256 };

struct cli {
	FILE *out, *log; /* stdout, stderr; tests give their own */
	enum cli_format format;
	const char *root; /* prefix of every path of DSI's own, "" by default */
	bool quiet;
	const struct cli_command *cmd;
	const char *args[CLI_MAX_ARGS];
	int n_args;
	struct {
		const struct cli_option *option;
		const char *value; /* NULL for a flag */
	} value[CLI_MAX_VALUES];
	int n_values;
	cli_transport_fn *transport;
	void *transport_ctx;
	u64 (*wall_ms)(void); /* replaced by tests */
};

void cli_init(struct cli *c, FILE *out, FILE *log);
/* Parses, runs, prints the error line if any. Returns the exit status. argv[0] is the program's name. */
int cli_run(struct cli *c, int argc, char **argv);

/* Options of the command under way. The name must be in the command's table (asserted). */
const char *cli_opt(const struct cli *c, const char *name); /* NULL when absent; the last one given */
bool cli_flag(const struct cli *c, const char *name);
const char *cli_opt_nth(const struct cli *c, const char *name, int nth); /* NULL past the last */

/* Prints doc as the format asks; consumes the reference. text may be NULL (nothing is printed as text). */
typedef void cli_text_fn(FILE *out, const json_t *doc);
int cli_show(struct cli *c, json_t *doc, cli_text_fn *text);
/* A line of progress on stderr, unless --quiet. */
void cli_say(struct cli *c, const char *fmt, ...) DSI_PRINTF(2, 3);

u64 cli_monotonic_ms(void); /* for deadlines */

/* path below --root; false when it does not fit. */
enum { CLI_PATH = 4096 };
bool cli_path(const struct cli *c, const char *path, char ret[CLI_PATH]);

/* Help texts, all from the table. */
void cli_usage(FILE *f);
void cli_help(FILE *f, const struct cli_command *cmd);
void cli_completion_bash(FILE *f);
const struct cli_command *cli_find(const char *first, const char *second, int *ret_words);

#endif
