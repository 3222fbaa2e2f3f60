/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status, log, counters: what the cluster says of itself. Needs nothing but a running daemon. */
#include <string.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/render.h"

enum { EXIT_NOT_WELL = 2 }; /* as corosync-quorumtool -s */

static void status_view(FILE *f, const json_t *view)
{
	fprintf(f, "  * View: ");
	render_escaped(f, doc_str(view, "phase"));
	fprintf(f, "%s%s, ring ", doc_bool(view, "live") ? ", live" : ", NOT LIVE",
		doc_bool(view, "quorate") ? ", quorate" : ", NOT QUORATE");
	render_escaped(f, doc_str(view, "ring"));
	fprintf(f, ", term %lld\n", doc_int(view, "term"));
	if (doc_bool(view, "halted"))
		fprintf(f, "  * HALTED: another history contradicts this node's; the log of dsid says which and what to do\n");
	fprintf(f, "  * Voters: %lld of %lld present, %lld needed; log committed to %lld, applied to %lld, tail %lld\n",
		doc_int(view, "voters_present"), doc_int(view, "voters"), doc_int(view, "majority"),
		doc_int(view, "commit"), doc_int(view, "applied"), doc_int(view, "tail"));
}

static void name_list(FILE *f, const char *before, const json_t *names)
{
	size_t i;
	const json_t *name;

	fprintf(f, "%s[", before);
	json_array_foreach((json_t *)names, i, name) {
		fputc(' ', f);
		render_escaped(f, json_string_value(name) ? json_string_value(name) : "");
	}
	fprintf(f, " ]");
}

static void status_server(FILE *f, const json_t *server)
{
	const char *active = doc_str(server, "active");

	fprintf(f, "  * Security server: ");
	if (*active)
		fprintf(f, "active ");
	render_escaped(f, *active ? active : "NONE ACTIVE");
	name_list(f, ", standby ", doc_at(server, "standby"));
	if (json_array_size(doc_at(server, "absent")))
		name_list(f, ", absent ", doc_at(server, "absent"));
	fputc('\n', f);
}

static void status_policy(FILE *f, const json_t *policy)
{
	char t[32];

	fprintf(f, "  * Policy: ");
	render_escaped(f, doc_int(policy, "version") ? doc_str(policy, "text") : "none; dsi-admin policy push gives it one");
	if (*doc_str(policy, "name")) {
		fprintf(f, " (");
		render_escaped(f, doc_str(policy, "name"));
		fprintf(f, ")");
	}
	fputc('\n', f);
	if (!doc_int(policy, "confirm_by_ms"))
		return;
	render_time(t, (u64)doc_int(policy, "confirm_by_ms"));
	fprintf(f, "  * Goes back by itself at %s unless confirmed: dsi-admin policy confirm\n", t);
}

static void status_local(FILE *f, const json_t *doc)
{
	const json_t *local = doc_at(doc, "local");
	long long lease = doc_int(local, "lease_ms");

	if (!json_is_object(local) || !*doc_str(local, "mode"))
		return;
	fprintf(f, "  * This node: ");
	render_escaped(f, doc_str(doc, "node"));
	fprintf(f, ", ");
	render_escaped(f, doc_str(local, "mode"));
	fprintf(f, " policy %lld, ", doc_int(local, "policy"));
	if (lease > 0)
		fprintf(f, "remote trust for %lld.%lld s", lease / 1000, lease % 1000 / 100);
	else
		fprintf(f, "remote trust RUN OUT");
	if (json_is_false(doc_at(local, "guard")) && !strcmp(doc_str(local, "mode"), "enforcing"))
		fprintf(f, ", guard OFF");
	if (doc_int(local, "events_lost"))
		fprintf(f, ", %lld denial records lost", doc_int(local, "events_lost"));
	fputc('\n', f);
	if (!*doc_str(local, "detail"))
		return;
	fprintf(f, "    ");
	render_escaped(f, doc_str(local, "detail"));
	fputc('\n', f);
}

static const struct render_column node_columns[] = {
	{ "NODE", "name", RENDER_PLAIN },     { "NID", "nid", RENDER_RIGHT },
	{ "STATUS", "status", RENDER_PLAIN }, { "ROLES", "roles", RENDER_PLAIN },
	{ "PRESENT", "present", RENDER_PLAIN }, { "MODE", "mode", RENDER_PLAIN },
	{ "POLICY", "policy", RENDER_OR_DASH }, { "APPLIED", "applied", RENDER_OR_DASH },
	{ "NOTE", "note", RENDER_PLAIN },
};

/* What an absent node last said is no news; why it is out or behind is. */
static json_t *node_row(const json_t *node)
{
	json_t *row = json_is_object(node) ? json_copy((json_t *)node) : json_object();
	char note[512];

	if (!row)
		return json_object();
	snprintf(note, sizeof(note), "%s%s%.400s", doc_bool(node, "deposed") ? "server deposed; " : "",
		 *doc_str(node, "lagging") ? "lagging: " : "",
		 *doc_str(node, "lagging") ? doc_str(node, "lagging") : doc_str(node, "reason"));
	json_object_set_new(row, "note", json_string(note));
	if (!doc_bool(node, "present"))
		json_object_set_new(row, "mode", json_string("-"));
	return row;
}

void render_nodes(FILE *f, const json_t *doc)
{
	json_t *rows = json_array();
	const json_t *node;
	size_t i;

	json_array_foreach((json_t *)doc_at(doc, "nodes"), i, node)
		json_array_append_new(rows, node_row(node));
	render_table(f, rows, node_columns, ARRAY_SIZE(node_columns));
	json_decref(rows);
}

static void status_alarms(FILE *f, const json_t *alarms)
{
	static const struct render_column cols[] = {
		{ "ALARM AT", "wall_ms", RENDER_TIME },
		{ "SEVERITY", "severity", RENDER_RIGHT },
		{ "KIND", "kind", RENDER_PLAIN },
		{ "TEXT", "text", RENDER_PLAIN },
	};

	if (json_array_size(alarms) == 0)
		return;
	fputc('\n', f);
	render_table(f, alarms, cols, ARRAY_SIZE(cols));
}

void render_status(FILE *f, const json_t *doc)
{
	const json_t *cluster = doc_at(doc, "cluster");

	fprintf(f, "Cluster ");
	render_escaped(f, doc_str(cluster, "name"));
	fprintf(f, " (%.12s, generation %lld), as seen by ", doc_str(cluster, "id"), doc_int(cluster, "generation"));
	render_escaped(f, doc_str(doc, "by"));
	fprintf(f, " on ");
	render_escaped(f, doc_str(doc, "node"));
	fprintf(f, ":\n");
	status_policy(f, doc_at(doc, "policy"));
	status_server(f, doc_at(doc, "server"));
	status_view(f, doc_at(doc, "view"));
	status_local(f, doc);
	fputc('\n', f);
	render_nodes(f, doc);
	status_alarms(f, doc_at(doc, "alarms"));
}

/* The view is live and every present node enforces the newest policy. Pure. */
bool status_well(const json_t *doc)
{
	const json_t *view = doc_at(doc, "view"), *policy = doc_at(doc, "policy");

	return doc_bool(view, "live") && doc_int(policy, "version") > 0 && doc_int(policy, "present") > 0 &&
	       doc_int(policy, "enforced") == doc_int(policy, "present") && doc_int(policy, "not_enforcing") == 0;
}

int cmd_status(struct cli *c, struct err *e)
{
	json_t *doc = NULL;
	bool well;
	int r;

	if (cli_flag(c, "server"))
		r = client_call(c, CTL_SERVER, "status", NULL, CLIENT_TIMEOUT_MS, &doc, e);
	else
		r = client_call_any(c, false, "status", NULL, &doc, e);
	if (r < 0)
		return r;
	well = status_well(doc);
	r = cli_show(c, doc, render_status);
	return r < 0 ? r : well ? 0 : EXIT_NOT_WELL;
}

int cmd_node_list(struct cli *c, struct err *e)
{
	json_t *doc = NULL;
	int r = client_call_any(c, false, "nodes", NULL, &doc, e);

	return r < 0 ? r : cli_show(c, doc, render_nodes);
}

void render_log(FILE *f, const json_t *doc)
{
	static const struct render_column cols[] = {
		{ "INDEX", "index", RENDER_RIGHT }, { "TERM", "term", RENDER_RIGHT },
		{ "TIME", "wall_ms", RENDER_TIME }, { "TYPE", "type", RENDER_PLAIN },
		{ "AUTHOR", "author", RENDER_PLAIN }, { "HASH", "hash", RENDER_SHORT },
		{ "TEXT", "text", RENDER_PLAIN },
	};

	render_table(f, doc_at(doc, "entries"), cols, ARRAY_SIZE(cols));
}

int cmd_log(struct cli *c, struct err *e)
{
	const char *from = cli_opt(c, "from"), *max = cli_opt(c, "max");
	u64 first = 0, n = 100;
	json_t *doc = NULL, *args;
	int r = 0;

	if (from)
		r = args_u64(from, UINT32_MAX, &first, e);
	if (r == 0 && max)
		r = args_u64(max, 10000, &n, e);
	if (r < 0)
		return r;
	args = json_pack("{s:I, s:I}", "from", (json_int_t)first, "max", (json_int_t)n);
	r = client_call_any(c, false, "log", args, &doc, e);
	return r < 0 ? r : cli_show(c, doc, render_log);
}

/* Nested objects become dotted names. */
static void print_counters(FILE *f, const char *prefix, const json_t *o)
{
	const char *key;
	json_t *v;
	char name[256], cell[512];

	json_object_foreach((json_t *)o, key, v) {
		snprintf(name, sizeof(name), "%s%s%.100s", prefix, *prefix ? "." : "", key);
		if (json_is_object(v)) {
			print_counters(f, name, v);
			continue;
		}
		render_value(cell, sizeof(cell), v, RENDER_PLAIN);
		render_escaped(f, name);
		fprintf(f, " %s\n", cell);
	}
}

void render_counters(FILE *f, const json_t *doc)
{
	print_counters(f, "", doc);
}

int cmd_counters(struct cli *c, struct err *e)
{
	json_t *doc = NULL;
	int r;

	if (cli_flag(c, "server"))
		r = client_call(c, CTL_SERVER, "counters", NULL, CLIENT_TIMEOUT_MS, &doc, e);
	else
		r = client_call_any(c, false, "counters", NULL, &doc, e);
	return r < 0 ? r : cli_show(c, doc, render_counters);
}
