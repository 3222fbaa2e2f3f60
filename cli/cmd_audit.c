/* SPDX-License-Identifier: GPL-2.0-or-later */
/* denials, explain: what was refused, where, by which rule or for want of one. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/render.h"

enum { DENIALS_MAX = 50, FOLLOW_MS = 500 };

/* As a table shows it: subject@node, target@node, class with port, the rule's first line. */
static json_t *denial_row(const json_t *d)
{
	const char *snode = doc_str(d, "subject_node"), *node = doc_str(d, "node"), *rule = doc_str(d, "rule");
	char subject[2 * LIM_NAME + 2], target[2 * LIM_NAME + 2], cls[64];
	json_t *row = json_is_object(d) ? json_copy((json_t *)d) : json_object();

	snprintf(cls, sizeof(cls), "%.32s", doc_str(d, "class"));
	if (doc_int(d, "port"))
		snprintf(cls, sizeof(cls), "%.32s %lld", doc_str(d, "class"), doc_int(d, "port"));
	json_object_set_new(row, "class", json_string(cls));
	json_object_set_new(row, "rule", json_stringn(rule, strcspn(rule, "\n")));
	snprintf(subject, sizeof(subject), "%s@%s", doc_str(d, "subject"), *snode ? snode : node);
	snprintf(target, sizeof(target), "%s@%s", doc_str(d, "target"), node);
	json_object_set_new(row, "subject", json_string(subject));
	json_object_set_new(row, "target", json_string(target));
	if (!doc_bool(d, "enforced"))
		json_object_set_new(row, "enforced", json_string("let through"));
	else
		json_object_set_new(row, "enforced", json_string("refused"));
	return row;
}

void render_denials(FILE *f, const json_t *doc)
{
	static const struct render_column cols[] = {
		{ "ID", "id", RENDER_RIGHT },          { "TIME", "wall_ms", RENDER_TIME },
		{ "SUBJECT", "subject", RENDER_PLAIN }, { "TARGET", "target", RENDER_PLAIN },
		{ "CLASS", "class", RENDER_PLAIN },    { "PERMS", "perms", RENDER_PLAIN },
		{ "RULE", "rule", RENDER_PLAIN },      { "POLICY", "policy", RENDER_RIGHT },
		{ "COUNT", "count", RENDER_RIGHT },    { "ENFORCED", "enforced", RENDER_PLAIN },
		{ "COMM", "comm", RENDER_PLAIN },      { "DETAIL", "detail", RENDER_PLAIN },
	};
	json_t *rows = json_array();
	const json_t *d;
	size_t i;

	json_array_foreach((json_t *)doc_at(doc, "denials"), i, d)
		json_array_append_new(rows, denial_row(d));
	render_table(f, rows, cols, ARRAY_SIZE(cols));
	if (doc_int(doc, "lost"))
		fprintf(f, "%lld more were lost (more refusals than could be recorded)\n", doc_int(doc, "lost"));
	json_decref(rows);
}

static int denials_args(const struct cli *c, json_t *args, struct err *e)
{
	const char *node = cli_opt(c, "node"), *subject = cli_opt(c, "subject"), *max = cli_opt(c, "max");
	const char *since = cli_opt(c, "since"), *after = cli_opt(c, "after");
	u64 n = DENIALS_MAX, seconds, id;
	int r = 0;

	if (max)
		r = args_u64(max, 10000, &n, e);
	json_object_set_new(args, "max", json_integer((json_int_t)n));
	if (r == 0 && since && (r = args_duration(since, &seconds, e)) == 0)
		json_object_set_new(args, "since_ms", json_integer((json_int_t)(c->wall_ms() - seconds * 1000)));
	if (r == 0 && after && (r = args_u64(after, INT64_MAX, &id, e)) == 0)
		json_object_set_new(args, "since_id", json_integer((json_int_t)id));
	if (node)
		json_object_set_new(args, "node", json_string(node));
	if (subject)
		json_object_set_new(args, "subject", json_string(subject));
	return r;
}

static int ask(struct cli *c, json_t *args, json_t **ret, struct err *e)
{
	if (cli_flag(c, "local"))
		return client_call(c, CTL_DSID, "denials", args, CLIENT_TIMEOUT_MS, ret, e);
	return client_call_any(c, true, "denials", args, ret, e);
}

static json_int_t last_id(const json_t *doc)
{
	json_int_t last = 0;
	const json_t *d;
	size_t i;

	json_array_foreach((json_t *)doc_at(doc, "denials"), i, d)
		last = MAX(last, doc_int(d, "id"));
	return last;
}

/* Polling, as the control protocol has no subscription yet. Ends with the daemon or a signal. */
static int follow(struct cli *c, json_t *args, json_int_t from, struct err *e)
{
	const struct timespec pause = { .tv_nsec = FOLLOW_MS * 1000000l };

	for (;;) {
		json_t *doc = NULL;
		int r;

		nanosleep(&pause, NULL);
		json_object_set_new(args, "since_id", json_integer(from));
		r = ask(c, json_incref(args), &doc, e);
		if (r < 0)
			return r;
		from = MAX(from, last_id(doc));
		if (json_array_size(doc_at(doc, "denials")))
			cli_show(c, doc, render_denials);
		else
			json_decref(doc);
		fflush(c->out);
	}
}

int cmd_denials(struct cli *c, struct err *e)
{
	json_t *args = json_object(), *doc = NULL;
	json_int_t last;
	int r;

	r = denials_args(c, args, e);
	if (r == 0)
		r = ask(c, json_incref(args), &doc, e);
	if (r == 0) {
		last = last_id(doc);
		r = cli_show(c, doc, render_denials);
		fflush(c->out);
		if (r == 0 && cli_flag(c, "follow"))
			r = follow(c, args, last, e);
	}
	json_decref(args);
	return r;
}

/* ---- explain ------------------------------------------------------------------------------------------ */

static void line(FILE *f, const char *label, const char *text)
{
	if (!*text)
		return;
	while (*text) {
		char one[512];
		size_t n = strcspn(text, "\n");

		snprintf(one, sizeof(one), "%.*s", (int)MIN(n, sizeof(one) - 1), text);
		fprintf(f, "  %-9s ", label);
		render_escaped(f, one);
		fputc('\n', f);
		label = "";
		text += n + (text[n] == '\n');
	}
}

static void explain_rule(FILE *f, const json_t *doc)
{
	const json_t *rule = doc_at(doc, "rule"), *cand;
	const char *head = "nearest";
	size_t i;

	if (json_is_object(rule) && *doc_str(rule, "file")) {
		fprintf(f, "  %-9s ", "rule");
		render_escaped(f, doc_str(rule, "file"));
		fprintf(f, ":%lld  ", doc_int(rule, "line"));
		render_escaped(f, doc_str(rule, "text"));
		fputc('\n', f);
	}
	json_array_foreach((json_t *)doc_at(doc, "candidates"), i, cand) {
		char cell[512];

		render_value(cell, sizeof(cell), json_is_object(cand) ? doc_at(cand, "text") : cand, RENDER_PLAIN);
		fprintf(f, "  %-9s %s\n", head, cell);
		head = "";
	}
}

void render_explain(FILE *f, const json_t *doc)
{
	const json_t *d = doc_at(doc, "denial");
	json_t *row = denial_row(d);
	char t[32], what[256], perms[128];

	render_time(t, (u64)doc_int(d, "wall_ms"));
	render_value(perms, sizeof(perms), doc_at(d, "perms"), RENDER_PLAIN);
	snprintf(what, sizeof(what), "%.60s %.120s", doc_str(row, "class"), perms);
	fprintf(f, "Denial %lld at %s: %s by policy %lld\n", doc_int(d, "id"), t, doc_str(row, "enforced"),
		doc_int(doc, "version") ? doc_int(doc, "version") : doc_int(d, "policy"));
	line(f, "subject", doc_str(row, "subject"));
	line(f, "target", doc_str(row, "target"));
	line(f, "asked", what);
	line(f, "program", doc_str(d, "comm"));
	line(f, "detail", doc_str(d, "detail"));
	line(f, "reason", doc_str(d, "reason"));
	line(f, "why", *doc_str(doc, "why") ? doc_str(doc, "why") : doc_str(d, "rule"));
	explain_rule(f, doc);
	json_decref(row);
}

int cmd_explain(struct cli *c, struct err *e)
{
	json_t *doc = NULL, *args;
	u64 id;
	int r = args_u64(c->args[0], INT64_MAX, &id, e);

	if (r < 0)
		return r;
	args = json_pack("{s:I}", "id", (json_int_t)id);
	if (cli_flag(c, "local"))
		r = client_call(c, CTL_DSID, "explain", args, CLIENT_TIMEOUT_MS, &doc, e);
	else
		r = client_call_any(c, true, "explain", args, &doc, e);
	return r < 0 ? r : cli_show(c, doc, render_explain);
}
