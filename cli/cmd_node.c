/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an operator says about one node: revoke, readmit, remove, depose, withdraw, voter. Each is one
 * statement. isolate is the exception: it is this node's kernel alone and takes root, not an operator.
 */
#include <string.h>

#include "cli/args.h"
#include "cli/authority.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/render.h"
#include "cli/token_issue.h"
#include "gcs/state.h"

enum {
	STATEMENT_LIFE_S = 3600,
	VERDICT_LIFE_S = 30 * 86400, /* held by nodes that cannot commit it yet */
	WAIT_MS = 10000,
	WAIT_ALL_MS = 600000, /* --wait: as long as --timeout allows */
};

/* ---- finding the node --------------------------------------------------------------------------------- */

struct target {
	u32 nid;
	char name[LIM_NAME];
	char roles[96];
};

/* Names may have been borne by several NIDs; the one in a wanted status wins, else the newest. */
static const json_t *find_node(const json_t *nodes, const char *name, const char *const *wanted)
{
	const json_t *row, *best = NULL;
	bool best_wanted = false;
	u64 nid;
	bool number = args_u64(name, UINT32_MAX, &nid, NULL) == 0;
	size_t i;

	json_array_foreach((json_t *)nodes, i, row) {
		bool is_wanted = false;

		if (number ? doc_int(row, "nid") != (json_int_t)nid : strcmp(doc_str(row, "name"), name) != 0)
			continue;
		for (size_t k = 0; wanted[k]; k++)
			is_wanted = is_wanted || !strcmp(doc_str(row, "status"), wanted[k]);
		if (best && best_wanted && !is_wanted)
			continue;
		if (!best || is_wanted >= best_wanted) {
			best = row;
			best_wanted = is_wanted;
		}
	}
	return best;
}

static int target_find(struct cli *c, const char *name, const char *const *wanted, struct target *ret, struct err *e)
{
	json_t *doc = NULL;
	const json_t *row;
	int r = client_call(c, CTL_DSID, "nodes", NULL, CLIENT_TIMEOUT_MS, &doc, e);

	if (r < 0)
		return r;
	row = find_node(doc_at(doc, "nodes"), name, wanted);
	if (!row) {
		r = err_set(e, -DSI_ENOENT, "no node \"%s\" in this cluster; dsi-admin node list shows them", name);
	} else {
		memset(ret, 0, sizeof(*ret));
		ret->nid = (u32)doc_int(row, "nid");
		snprintf(ret->name, sizeof(ret->name), "%s", doc_str(row, "name"));
	}
	json_decref(doc);
	return r;
}

/* ---- revoke-node -------------------------------------------------------------------------------------- */

void render_verdict(FILE *f, const json_t *doc)
{
	static const struct render_column cols[] = {
		{ "NODE", "name", RENDER_PLAIN },
		{ "NID", "nid", RENDER_RIGHT },
		{ "SUSPENDED AFTER ms", "suspended_ms", RENDER_RIGHT },
		{ "FINAL AFTER ms", "final_ms", RENDER_OR_DASH },
	};
	const json_t *missing = doc_at(doc, "missing");
	char cell[512];

	fprintf(f, "Verdict on ");
	render_escaped(f, doc_str(doc, "node"));
	fprintf(f, " is log entry %lld: ", doc_int(doc, "index"));
	if (doc_int(doc, "commit_ms") > 0)
		fprintf(f, "committed after %lld ms, answered after %lld ms\n", doc_int(doc, "commit_ms"), doc_int(doc, "ms"));
	else
		fprintf(f, "NOT FINAL after %lld ms\n", doc_int(doc, "ms"));
	render_table(f, doc_at(doc, "enforced"), cols, ARRAY_SIZE(cols));
	if (json_array_size(missing)) {
		render_value(cell, sizeof(cell), missing, RENDER_PLAIN);
		fprintf(f, "Here, but not enforcing it yet: %s\n", cell);
	}
	if (*doc_str(doc, "text")) {
		render_escaped(f, doc_str(doc, "text"));
		fputc('\n', f);
	}
}

/* 0 when it is final and every node that is here enforces it; 106 not final, 75 somebody here is late. Pure. */
int verdict_status(const json_t *doc)
{
	if (doc_int(doc, "commit_ms") <= 0)
		return doc_bool(doc, "replayed") ? 0 : err_exit(-DSI_EQUORUM);
	return json_array_size(doc_at(doc, "missing")) ? err_exit(-DSI_EAGAIN) : 0;
}

static int verdict_body(const struct cli *c, const struct target *t, struct body_s_verdict *b, struct err *e)
{
	const char *reason = cli_opt(c, "reason"), *until = cli_opt(c, "until");
	u64 seconds;
	int r;

	if (!reason)
		return err_set(e, -DSI_EUSAGE, "--reason TEXT is required: it goes into the log and to every node");
	r = args_text("--reason", reason, LIM_REASON, e);
	if (r == 0 && until && (r = args_duration(until, &seconds, e)) == 0)
		b->until_ms = c->wall_ms() + seconds * 1000;
	if (r < 0)
		return r;
	b->nid = t->nid;
	snprintf(b->name, sizeof(b->name), "%s", t->name);
	snprintf(b->reason, sizeof(b->reason), "%s", reason);
	b->flags = (cli_flag(c, "keep-on-ring") ? VERDICT_KEEP_ON_RING : 0) | (cli_flag(c, "fence") ? VERDICT_FENCE : 0);
	return 0;
}

int cmd_revoke_node(struct cli *c, struct err *e)
{
	static const char *const wanted[] = { "bound", "suspended", NULL };
	struct body_s_verdict b = { 0 };
	struct target t;
	json_t *doc = NULL;
	int r, status;

	r = args_text("--reason", cli_opt(c, "reason") ? cli_opt(c, "reason") : "", LIM_REASON, e);
	if (r == 0)
		r = target_find(c, c->args[0], wanted, &t, e);
	if (r == 0)
		r = verdict_body(c, &t, &b, e);
	if (r == 0)
		r = authority_say(c, ENTRY_VERDICT, c->wall_ms() + VERDICT_LIFE_S * 1000ull, &schema_s_verdict, &b,
				  cli_flag(c, "wait") ? WAIT_ALL_MS : WAIT_MS, &doc, e);
	if (r < 0)
		return r;
	json_object_set_new(doc, "node", json_string(t.name));
	json_object_set_new(doc, "target_nid", json_integer(t.nid));
	status = verdict_status(doc);
	r = cli_show(c, doc, render_verdict);
	return r < 0 ? r : status;
}

/* ---- one word about a node ---------------------------------------------------------------------------- */

static void render_said(FILE *f, const json_t *doc)
{
	render_escaped(f, doc_str(doc, "said"));
	fprintf(f, " ");
	render_escaped(f, doc_str(doc, "node"));
	fprintf(f, " (number %lld): log entry %lld, %lld ms\n", doc_int(doc, "nid"), doc_int(doc, "index"),
		doc_int(doc, "ms"));
	if (*doc_str(doc, "text")) {
		render_escaped(f, doc_str(doc, "text"));
		fputc('\n', f);
	}
}

static int say_about(struct cli *c, u16 kind, const char *said, const char *const *wanted, json_t **ret, struct err *e)
{
	struct body_s_node_op b = { 0 };
	const char *reason = cli_opt(c, "reason") ? cli_opt(c, "reason") : "";
	struct target t;
	int r;

	r = args_text("--reason", reason, LIM_REASON, e);
	if (r == 0)
		r = target_find(c, c->args[0], wanted, &t, e);
	if (r < 0)
		return r;
	b.nid = t.nid;
	snprintf(b.name, sizeof(b.name), "%s", t.name);
	snprintf(b.reason, sizeof(b.reason), "%s", reason);
	r = authority_say(c, kind, c->wall_ms() + (kind == ENTRY_DEPOSE ? VERDICT_LIFE_S : STATEMENT_LIFE_S) * 1000ull,
			  &schema_s_node_op, &b, WAIT_MS, ret, e);
	if (r < 0)
		return r;
	json_object_set_new(*ret, "said", json_string(said));
	json_object_set_new(*ret, "node", json_string(t.name));
	json_object_set_new(*ret, "nid", json_integer(t.nid));
	return 0;
}

static int say_and_show(struct cli *c, u16 kind, const char *said, const char *const *wanted, struct err *e)
{
	json_t *doc = NULL;
	int r = say_about(c, kind, said, wanted, &doc, e);

	return r < 0 ? r : cli_show(c, doc, render_said);
}

static const char *const live[] = { "bound", NULL };
static const char *const suspended[] = { "suspended", NULL };
static const char *const revoked[] = { "revoked", NULL };

int cmd_node_remove(struct cli *c, struct err *e)
{
	return say_and_show(c, ENTRY_REMOVE, "removed", live, e);
}

int cmd_depose(struct cli *c, struct err *e)
{
	return say_and_show(c, ENTRY_DEPOSE, "deposed", live, e);
}

int cmd_withdraw(struct cli *c, struct err *e)
{
	return say_and_show(c, ENTRY_WITHDRAW, "verdict withdrawn on", suspended, e);
}

int cmd_node_promote(struct cli *c, struct err *e)
{
	return say_and_show(c, ENTRY_VOTER_ADD, "voter now:", live, e);
}

int cmd_node_demote(struct cli *c, struct err *e)
{
	return say_and_show(c, ENTRY_VOTER_REMOVE, "no voter any more:", live, e);
}

int cmd_readmit_node(struct cli *c, struct err *e)
{
	json_t *doc = NULL;
	char name[LIM_NAME];
	int r = say_about(c, ENTRY_READMIT, "open for a new enrolment:", revoked, &doc, e);

	if (r < 0)
		return r;
	if (cli_flag(c, "no-token"))
		return cli_show(c, doc, render_said);
	if (c->format == CLI_TEXT && !c->quiet)
		render_said(c->log, doc);
	snprintf(name, sizeof(name), "%s", doc_str(doc, "node"));
	json_decref(doc);
	return token_issue(c, name, e);
}

/* ---- isolate ------------------------------------------------------------------------------------------ */

static void render_isolated(FILE *f, const json_t *doc)
{
	fprintf(f, "this node alone %s ", doc_bool(doc, "undo") ? "serves again" : "refuses from now on:");
	render_escaped(f, doc_str(doc, "node"));
	fputc('\n', f);
}

int cmd_isolate(struct cli *c, struct err *e)
{
	json_t *doc = NULL, *args;
	int r;

	if (!cli_flag(c, "local"))
		return err_set(e, -DSI_EUSAGE, "isolate works on this node alone: say so with --local; for the cluster "
			       "there is revoke-node");
	args = json_pack("{s:s, s:b}", "node", c->args[0], "undo", cli_flag(c, "undo"));
	r = client_call(c, CTL_DSID, "isolate", args, CLIENT_TIMEOUT_MS, &doc, e);
	if (r < 0)
		return r;
	json_object_set_new(doc, "node", json_string(c->args[0]));
	json_object_set_new(doc, "undo", json_boolean(cli_flag(c, "undo")));
	return cli_show(c, doc, render_isolated);
}
