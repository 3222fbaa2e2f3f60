/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics: what status and counters of this node's daemons say, as OpenMetrics text (version 1.0.0). One table of
 * families; each is written with its TYPE and HELP, samples together, then "# EOF". Gauges and counters only, no info or
 * stateset, so that readers of the older Prometheus text take it too.
 * Must never: print a name or label value that the format does not allow, whatever a daemon answers.
 */
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/render.h"

enum family_kind { GAUGE, COUNTER };

struct family;
typedef void samples_fn(FILE *f, const struct family *m, const json_t *doc);

struct family {
	const char *name; /* without a counter's _total */
	enum family_kind kind;
	const char *help;
	samples_fn *samples;
	const char *path;       /* "view.term": below a program's record, or below status of the first one that answered */
	const char *label;      /* of the second label, or one string to compare with: each samples_fn says */
};

/* --- values and labels ----------------------------------------------------------------------------------------- */

static const json_t *at(const json_t *o, const char *path)
{
	char key[64];

	while (o && *path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return o;
}

/* Numbers and truths; false: this daemon does not say it. */
static bool number(const json_t *v, long long *ret)
{
	if (!json_is_integer(v) && !json_is_boolean(v))
		return false;
	*ret = json_is_integer(v) ? json_integer_value(v) : json_is_true(v);
	return true;
}

static void label_value(FILE *f, const char *s)
{
	char safe[512];

	render_escape(safe, sizeof(safe), s); /* no control character is left, so no line feed */
	for (const char *p = safe; *p; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', f);
		fputc(*p, f);
	}
}

/* Labels come in pairs, ended by NULL; none is "". */
static void sample(FILE *f, const struct family *m, long long value, const char *const label[])
{
	fprintf(f, "%s%s", m->name, m->kind == COUNTER ? "_total" : "");
	for (size_t i = 0; label[i]; i += 2) {
		fprintf(f, "%s%s=\"", i ? "," : "{", label[i]);
		label_value(f, label[i + 1]);
		fputc('"', f);
	}
	fprintf(f, "%s %lld\n", label[0] ? "}" : "", value);
}

/* --- where samples come from -------------------------------------------------------------------------------------- */

static const json_t *cluster(const json_t *doc) /* status of the first daemon that answered */
{
	const json_t *p;
	size_t i;

	json_array_foreach((json_t *)doc_at(doc, "programs"), i, p)
		if (json_is_object(doc_at(p, "status")))
			return doc_at(p, "status");
	return NULL;
}

static void once(FILE *f, const struct family *m, const json_t *doc)
{
	static const char *const none[] = { NULL };
	long long v;

	if (number(at(cluster(doc), m->path), &v))
		sample(f, m, v, none);
}

static void once_truth(FILE *f, const struct family *m, const json_t *doc) /* is it more than 0? */
{
	static const char *const none[] = { NULL };
	long long v;

	if (number(at(cluster(doc), m->path), &v))
		sample(f, m, v > 0, none);
}

static void seconds(FILE *f, const struct family *m, const json_t *doc) /* path in ms, with three places */
{
	long long v;

	if (number(at(cluster(doc), m->path), &v) && v >= 0)
		fprintf(f, "%s %lld.%03lld\n", m->name, v / 1000, v % 1000);
}

static void once_is(FILE *f, const struct family *m, const json_t *doc) /* is that string m->label? */
{
	static const char *const none[] = { NULL };
	const json_t *v = at(cluster(doc), m->path);

	if (json_is_string(v))
		sample(f, m, !strcmp(json_string_value(v), m->label), none);
}

static void each_program(FILE *f, const struct family *m, const json_t *doc)
{
	const json_t *p;
	long long v;
	size_t i;

	json_array_foreach((json_t *)doc_at(doc, "programs"), i, p)
		if (number(at(p, m->path), &v))
			sample(f, m, v, (const char *const[]){ "program", doc_str(p, "program"), NULL });
}

static void versions(FILE *f, const struct family *m, const json_t *doc)
{
	const json_t *p;
	size_t i;

	json_array_foreach((json_t *)doc_at(doc, "programs"), i, p)
		if (*doc_str(doc_at(p, "status"), "version"))
			sample(f, m, 1, (const char *const[]){ "program", doc_str(p, "program"), "version",
							       doc_str(doc_at(p, "status"), "version"), NULL });
}

static void each_key(FILE *f, const struct family *m, const json_t *doc) /* an object of numbers; its keys are values of m->label */
{
	const json_t *p;
	const char *key;
	long long v;
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)doc_at(doc, "programs"), i, p)
		json_object_foreach((json_t *)at(p, m->path), key, o)
			if (number(o, &v))
				sample(f, m, v, (const char *const[]){ "program", doc_str(p, "program"), m->label, key, NULL });
}

static void each_sum(FILE *f, const struct family *m, const json_t *doc)
{
	static const char *const state[] = { "enforced", "lagging", "not_enforcing", "absent" };
	long long v;

	for (size_t i = 0; i < ARRAY_SIZE(state); i++)
		if (number(at(at(cluster(doc), m->path), state[i]), &v))
			sample(f, m, v, (const char *const[]){ "state", state[i], NULL });
}

static void servers(FILE *f, const struct family *m, const json_t *doc)
{
	const json_t *server = at(cluster(doc), m->path);

	if (!json_is_object(server))
		return;
	sample(f, m, *doc_str(server, "active") != 0, (const char *const[]){ "state", "active", NULL });
	sample(f, m, (long long)json_array_size(doc_at(server, "standby")), (const char *const[]){ "state", "standby", NULL });
	sample(f, m, (long long)json_array_size(doc_at(server, "absent")), (const char *const[]){ "state", "absent", NULL });
}

/* A name can come twice in the log, dead and bound again: only nodes that are in the cluster now have a row. */
static void each_node(FILE *f, const struct family *m, const json_t *doc)
{
	const json_t *n;
	long long v;
	size_t i;

	json_array_foreach((json_t *)at(cluster(doc), "nodes"), i, n) {
		if (strcmp(doc_str(n, "status"), "bound") && strcmp(doc_str(n, "status"), "suspended"))
			continue;
		if (m->label)
			sample(f, m, !strcmp(doc_str(n, m->path), m->label), (const char *const[]){ "node", doc_str(n, "name"), NULL });
		else if (number(at(n, m->path), &v))
			sample(f, m, v, (const char *const[]){ "node", doc_str(n, "name"), NULL });
	}
}

static void statuses(FILE *f, const struct family *m, const json_t *doc)
{
	static const char *const status[] = { "bound", "suspended", "revoked", "removed" };
	const json_t *nodes = at(cluster(doc), m->path), *n;

	if (!json_is_array(nodes))
		return;
	for (size_t k = 0; k < ARRAY_SIZE(status); k++) {
		long long count = 0;
		size_t i;

		json_array_foreach((json_t *)nodes, i, n)
			count += !strcmp(doc_str(n, "status"), status[k]);
		sample(f, m, count, (const char *const[]){ "status", status[k], NULL });
	}
}

static const struct family families[] = {
	{ "dsi_up", GAUGE, "Whether this daemon answers", each_program, "up", NULL },
	{ "dsi_program", GAUGE, "Program and version, always 1", versions, NULL, NULL },
	{ "dsi_generation", GAUGE, "Generation of the cluster", once, "cluster.generation", NULL },
	{ "dsi_policy_version", GAUGE, "Newest policy of the log, 0 none", once, "policy.version", NULL },
	{ "dsi_policy_unconfirmed", GAUGE, "1 while a policy waits for its confirmation", once_truth, "policy.confirm_by_ms", NULL },
	{ "dsi_policy_nodes", GAUGE, "Nodes by what they do with the newest policy", each_sum, "policy", NULL },
	{ "dsi_nodes_present", GAUGE, "Nodes whose manager is in the view", once, "policy.present", NULL },
	{ "dsi_nodes", GAUGE, "Nodes ever bound, by what became of them", statuses, "nodes", NULL },
	{ "dsi_voters", GAUGE, "Voters", once, "view.voters", NULL },
	{ "dsi_voters_present", GAUGE, "Voters in the view", once, "view.voters_present", NULL },
	{ "dsi_voters_majority", GAUGE, "Voters that a decision needs", once, "view.majority", NULL },
	{ "dsi_servers", GAUGE, "Security servers by state", servers, "server", NULL },
	{ "dsi_view_live", GAUGE, "1 when entries can be committed", each_program, "status.view.live", NULL },
	{ "dsi_view_quorate", GAUGE, "1 when corosync says quorate", each_program, "status.view.quorate", NULL },
	{ "dsi_halted", GAUGE, "1 when this daemon stopped following a log that contradicts its own", each_program,
	  "status.view.halted", NULL },
	{ "dsi_term", GAUGE, "Term of the log", each_program, "status.view.term", NULL },
	{ "dsi_log_commit_index", GAUGE, "Last committed entry", each_program, "status.view.commit", NULL },
	{ "dsi_log_tail_index", GAUGE, "Last entry on disk", each_program, "status.view.tail", NULL },
	{ "dsi_log_applied_index", GAUGE, "Last entry applied", each_program, "status.view.applied", NULL },
	{ "dsi_log_base_index", GAUGE, "Entry of the snapshot this log begins with, 0 none", each_program, "counters.log_base", NULL },
	{ "dsi_local_enforcing", GAUGE, "1 when this node's kernel enforces", once_is, "local.mode", "enforcing" },
	{ "dsi_local_policy_version", GAUGE, "Policy in force in this node's kernel", once, "local.policy", NULL },
	{ "dsi_local_guard", GAUGE, "1 when DSI's own files and processes are guarded here", once, "local.guard", NULL },
	{ "dsi_local_lease_seconds", GAUGE, "How long this node still trusts others' labels by itself", seconds, "local.lease_ms", NULL },
	{ "dsi_node_present", GAUGE, "1 when the node's manager is in the view", each_node, "present", NULL },
	{ "dsi_node_enforcing", GAUGE, "1 when the node says its kernel enforces", each_node, "mode", "enforcing" },
	{ "dsi_node_suspended", GAUGE, "1 while a verdict suspends the node", each_node, "status", "suspended" },
	{ "dsi_node_policy_version", GAUGE, "Policy the node says it enforces", each_node, "policy", NULL },
	{ "dsi_node_applied_index", GAUGE, "Entry the node says it has applied", each_node, "applied", NULL },
	{ "dsi_refused_messages", COUNTER, "Messages refused, by reason", each_key, "counters.refused_messages", "reason" },
	{ "dsi_denials", COUNTER, "Refusals of the kernels that this daemon has on record", each_program, "counters.denials", NULL },
	{ "dsi_events_lost", COUNTER, "Refusals that could not be recorded", each_program, "counters.events_lost", NULL },
	{ "dsi_kernel", COUNTER, "What this node's kernel part counts", each_key, "counters.kernel", "event" },
	{ "dsi_pacemaker", COUNTER, "What was asked of Pacemaker here, by outcome", each_key, "counters.pacemaker", "event" },
};

void render_metrics(FILE *f, const json_t *doc)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *m = &families[i];

		fprintf(f, "# TYPE %s %s\n", m->name, m->kind == COUNTER ? "counter" : "gauge");
		if (m->samples == seconds)
			fprintf(f, "# UNIT %s seconds\n", m->name);
		fprintf(f, "# HELP %s %s.\n", m->name, m->help);
		m->samples(f, m, doc);
	}
	fputs("# EOF\n", f);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static int ask(struct cli *c, const char *service, json_t **ret, struct err *e)
{
	json_t *status = NULL, *counters = NULL;
	int r = client_call(c, service, "status", NULL, CLIENT_TIMEOUT_MS, &status, e);

	if (r == 0)
		r = client_call(c, service, "counters", NULL, CLIENT_TIMEOUT_MS, &counters, e);
	if (r == 0)
		*ret = json_pack("{s:s, s:b, s:o, s:o}", "program", service, "up", 1, "status", status, "counters", counters);
	else
		json_decref(status);
	return r;
}

/* Does this node host a server, by the log? */
static bool hosts_server(const json_t *status)
{
	const json_t *n, *role;
	size_t i, k;

	json_array_foreach((json_t *)doc_at(status, "nodes"), i, n)
		if (doc_int(n, "nid") == doc_int(status, "nid"))
			json_array_foreach((json_t *)doc_at(n, "roles"), k, role)
				if (json_is_string(role) && !strcmp(json_string_value(role), "server"))
					return true;
	return false;
}

static json_t *down(const char *service)
{
	return json_pack("{s:s, s:b}", "program", service, "up", 0);
}

int cmd_metrics(struct cli *c, struct err *e)
{
	json_t *manager = NULL, *server = NULL, *programs = json_array();
	struct err server_e = { 0 };
	int r = ask(c, CTL_DSID, &manager, e), s = ask(c, CTL_SERVER, &server, &server_e);

	if (r < 0 && s < 0) {
		json_decref(programs);
		return r;
	}
	*e = (struct err){ 0 };
	json_array_append_new(programs, manager ? manager : down(CTL_DSID));
	if (server || hosts_server(doc_at(manager, "status")))
		json_array_append_new(programs, server ? server : down(CTL_SERVER));
	return cli_show(c, json_pack("{s:o}", "programs", programs), render_metrics);
}
