/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join-token: an operator's word that a node may enrol once. The secret in it is never in the log, in an
 * argument, or on a screen nobody asked for: a 0600 file, or standard output when that is a terminal.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/authority.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/render.h"
#include "cli/token_issue.h"
#include "gcs/token.h"

enum { EXPIRES_S = 3600, WAIT_MS = 10000 };

static bool has_role(const json_t *row, const char *role)
{
	size_t i;
	const json_t *v;

	json_array_foreach((json_t *)doc_at(row, "roles"), i, v)
		if (json_is_string(v) && !strcmp(json_string_value(v), role))
			return true;
	return false;
}

static void add_direct(struct token *t, const json_t *nodes, bool servers)
{
	const json_t *row;
	size_t i;

	json_array_foreach((json_t *)nodes, i, row) {
		const char *direct = doc_str(row, "direct");

		if (t->n_direct == TOKEN_ADDRS || !*direct || strlen(direct) >= LIM_PATH ||
		    strcmp(doc_str(row, "status"), "bound") || has_role(row, "server") != servers)
			continue;
		snprintf(t->direct[t->n_direct++], LIM_PATH, "%s", direct);
	}
}

/* Whom the newcomer may ask: servers first, then members. */
static int token_addresses(struct cli *c, struct token *t, struct err *e)
{
	json_t *doc = NULL;
	int r = client_call(c, CTL_DSID, "nodes", NULL, CLIENT_TIMEOUT_MS, &doc, e);

	if (r < 0)
		return r;
	add_direct(t, doc_at(doc, "nodes"), true);
	add_direct(t, doc_at(doc, "nodes"), false);
	json_decref(doc);
	return t->n_direct ? 0 : err_set(e, -DSI_ENOENT, "dsid knows no member's address");
}

static int token_said(struct cli *c, const char *name, const struct authority *a, struct token *t, struct err *e)
{
	const char *expires = cli_opt(c, "expires");
	u64 seconds = EXPIRES_S;
	int r = expires ? args_duration(expires, &seconds, e) : 0;

	if (r < 0)
		return err_wrap(e, "--expires");
	if (!statement_name_ok(name))
		return err_set(e, -DSI_EUSAGE, "node name \"%s\": lower case letters, digits and - inside", name);
	if (crypto_random(t->said.token, sizeof(t->said.token)) < 0 || crypto_random(t->secret, sizeof(t->secret)) < 0)
		return err_set(e, -DSI_ECRYPTO, "no random numbers");
	snprintf(t->said.name, sizeof(t->said.name), "%s", name);
	t->said.roles = NODE_MEMBER | (cli_flag(c, "voter") ? NODE_VOTER : 0) | (cli_flag(c, "server") ? NODE_SERVER : 0);
	t->said.expires_ms = c->wall_ms() + seconds * 1000;
	memcpy(t->said.root, a->root, sizeof(t->said.root));
	return 0;
}

static int token_sign(struct authority *a, struct token *t, struct err *e)
{
	struct statement header = { .generation = a->generation, .expires_ms = t->said.expires_ms };

	memcpy(header.cluster, a->cluster, sizeof(header.cluster));
	memcpy(header.pub, a->key.pub, sizeof(header.pub));
	if (crypto_random(header.request, sizeof(header.request)) < 0)
		return err_set(e, -DSI_ECRYPTO, "no random numbers");
	return token_make(t, &header, opkey_sign, &a->key, e);
}

static int token_submit(struct cli *c, const struct token *t, json_t **ret, struct err *e)
{
	struct wbuf w;
	int r;

	wbuf_init(&w, sizeof(t->statement));
	wbuf_bytes(&w, t->statement, t->statement_len);
	r = wbuf_ok(&w) ? authority_submit(c, &w, NULL, WAIT_MS, ret, e) : err_set(e, -DSI_ENOMEM, "out of memory");
	wbuf_fini(&w);
	return r;
}

static void render_token(FILE *f, const json_t *doc)
{
	char t[32];

	if (*doc_str(doc, "token")) {
		fprintf(f, "%s\n", doc_str(doc, "token"));
		return;
	}
	render_time(t, (u64)doc_int(doc, "expires_ms"));
	fprintf(f, "token for %s, good until %s, once, is in ", doc_str(doc, "node"), t);
	render_escaped(f, doc_str(doc, "file"));
	fprintf(f, "\non the new node: dsi-admin enroll --token FILE --address HOST:PORT\n");
}

static int token_hand_over(struct cli *c, const struct token *t, json_t *answer, struct err *e)
{
	const char *out = cli_opt(c, "out");
	char *text = token_text(t), line[TOKEN_TEXT_MAX + 2];
	json_t *doc;
	int r = 0, n;

	if (!text)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	doc = json_pack("{s:s, s:I, s:I}", "node", t->said.name, "expires_ms", (json_int_t)t->said.expires_ms, "index",
			(json_int_t)doc_int(answer, "index"));
	if (out) {
		n = snprintf(line, sizeof(line), "%s\n", text);
		r = files_write(out, 0600, false, line, (size_t)n, e);
		crypto_wipe(line, sizeof(line));
		json_object_set_new(doc, "file", json_string(out));
	} else {
		json_object_set_new(doc, "token", json_string(text));
	}
	crypto_wipe(text, strlen(text));
	free(text);
	if (r == 0)
		return cli_show(c, doc, render_token);
	json_decref(doc);
	return r;
}

static int check_output(const struct cli *c, struct err *e)
{
	const char *out = cli_opt(c, "out");

	if (out && files_exists(out))
		return err_set(e, -DSI_EEXIST, "%s exists already and is left alone", out);
	if (!out && !cli_flag(c, "stdout") && !isatty(fileno(c->out)))
		return err_set(e, -DSI_EUSAGE, "the token is a secret: give --out FILE, or --stdout to print it");
	return 0;
}

int token_issue(struct cli *c, const char *name, struct err *e)
{
	struct authority a;
	struct token t = { 0 };
	json_t *answer = NULL;
	int r = check_output(c, e);

	if (r == 0)
		r = authority_begin(c, &a, e);
	if (r < 0)
		return r;
	r = token_said(c, name, &a, &t, e);
	if (r == 0)
		r = token_addresses(c, &t, e);
	if (r == 0)
		r = authority_key(c, &a, e);
	if (r == 0)
		r = token_sign(&a, &t, e);
	if (r == 0)
		r = token_submit(c, &t, &answer, e);
	if (r == 0)
		r = token_hand_over(c, &t, answer, e);
	json_decref(answer);
	token_wipe(&t);
	authority_end(&a);
	return r;
}

int cmd_join_token(struct cli *c, struct err *e)
{
	return token_issue(c, c->args[0], e);
}
