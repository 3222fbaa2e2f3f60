/* SPDX-License-Identifier: GPL-2.0-or-later */
/* service list, show, restart, replace, stop: the services of this node. */
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/render.h"

static void render_services(FILE *f, const json_t *doc)
{
	static const struct render_column cols[] = {
		{ "SERVICE", "name", RENDER_PLAIN },	 { "STATE", "state", RENDER_PLAIN },	{ "KIND", "kind", RENDER_PLAIN },
		{ "VERSION", "version", RENDER_PLAIN },	 { "API", "api", RENDER_RIGHT },	{ "PID", "pid", RENDER_OR_DASH },
		{ "ANSWERED", "answered", RENDER_RIGHT }, { "WAITING", "waiting", RENDER_RIGHT }, { "WHY", "why", RENDER_PLAIN },
	};

	render_table(f, doc_at(doc, "services"), cols, ARRAY_SIZE(cols));
}

static void render_service(FILE *f, const json_t *doc)
{
	static const struct {
		const char *text, *key;
	} lines[] = {
		{ "state", "state" }, { "kind", "kind" },	{ "version", "version" }, { "api", "api" },	      { "capabilities", "caps" },
		{ "pid", "pid" },     { "uid", "uid" },	{ "context", "context" }, { "answered", "answered" }, { "waiting", "waiting" },
		{ "started again", "restarts" }, { "why", "why" },
	};
	const json_t *row, *rows = doc_at(doc, "generations");
	char text[256];
	size_t i;

	json_array_foreach(rows, i, row)
		for (size_t k = 0; k < ARRAY_SIZE(lines); k++) {
			render_value(text, sizeof(text), json_object_get(row, lines[k].key), RENDER_PLAIN);
			if (text[0])
				fprintf(f, "%s%-14s %s\n", !k && i ? "\n" : "", lines[k].text, text);
		}
}

static void render_everywhere(FILE *f, const json_t *doc)
{
	static const struct render_column cols[] = {
		{ "NODE", "node", RENDER_PLAIN },   { "PRESENT", "present", RENDER_PLAIN }, { "SERVICE", "name", RENDER_PLAIN },
		{ "STATE", "state", RENDER_PLAIN }, { "API", "api", RENDER_RIGHT },	    { "VERSION", "version", RENDER_PLAIN },
	};

	render_table(f, doc_at(doc, "services"), cols, ARRAY_SIZE(cols));
}

int cmd_service_list(struct cli *c, struct err *e)
{
	bool cluster = cli_flag(c, "cluster");
	json_t *doc = NULL;
	int rc = client_call(c, CTL_DSID, cluster ? "service-cluster" : "service-list", NULL, CLIENT_TIMEOUT_MS, &doc, e);

	return rc < 0 ? rc : cli_show(c, doc, cluster ? render_everywhere : render_services);
}

int cmd_service_show(struct cli *c, struct err *e)
{
	json_t *doc = NULL, *rows, *ret;
	const json_t *row;
	size_t i;
	int rc = client_call(c, CTL_DSID, "service-list", NULL, CLIENT_TIMEOUT_MS, &doc, e);

	if (rc < 0)
		return rc;
	rows = json_array();
	json_array_foreach(doc_at(doc, "services"), i, row)
		if (!strcmp(doc_str(row, "name"), c->args[0]))
			json_array_append(rows, (json_t *)row);
	ret = json_pack("{s:s, s:o}", "name", c->args[0], "generations", rows);
	json_decref(doc);
	if (ret && json_array_size(rows))
		return cli_show(c, ret, render_service);
	json_decref(ret);
	return err_set(e, -DSI_ENOENT, "no service `%s` on this node: see dsi-admin service list", c->args[0]);
}

static void render_done(FILE *f, const json_t *doc)
{
	render_escaped(f, doc_str(doc, "name"));
	fprintf(f, ": %s%s%s\n", doc_str(doc, "did"), doc_str(doc, "text")[0] ? ": " : "", doc_str(doc, "text"));
}

static int service_do(struct cli *c, const char *verb, const char *did, struct err *e)
{
	json_t *doc = NULL;
	int rc = client_call(c, CTL_DSID, verb, json_pack("{s:s}", "name", c->args[0]), CLIENT_TIMEOUT_MS, &doc, e);

	if (rc < 0)
		return err_wrap(e, "service %s", c->args[0]);
	json_object_set_new(doc, "name", json_string(c->args[0]));
	json_object_set_new(doc, "did", json_string(did));
	return cli_show(c, doc, render_done);
}

int cmd_service_restart(struct cli *c, struct err *e)
{
	return service_do(c, "service-restart", "restarted", e);
}

int cmd_service_replace(struct cli *c, struct err *e)
{
	return service_do(c, "service-replace", "replaced", e);
}

int cmd_service_stop(struct cli *c, struct err *e)
{
	return service_do(c, "service-stop", "stopped", e);
}
