/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * init: root key, operator key, this node's keys, entry 1, the node's files. All or nothing: what a failed
 * init made is removed, what was there is never overwritten.
 */
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/newkey.h"
#include "cli/nodefiles.h"
#include "cli/render.h"
#include "gcs/genesis.h"

struct init {
	struct nodefiles files;
	struct genesis g;
	struct nodefiles_addrs addrs;
	struct body_operator operators[LIM_OPERATORS];
	struct opkey root, operator;
	char root_path[CLI_PATH], operator_path[CLI_PATH], server_key[CLI_PATH];
	struct newkey_protection protection;
	struct wbuf entry;
};

/* ---- arguments ---------------------------------------------------------------------------------------- */

static int node_name(const char *what, const char *option, const char *s, char ret[LIM_NAME], struct err *e)
{
	if (!s)
		return err_set(e, -DSI_EUSAGE, "--%s NAME is required", option);
	if (!statement_name_ok(s))
		return err_set(e, -DSI_EUSAGE, "%s \"%s\": lower case letters, digits and - inside, at most %d", what, s,
			       LIM_NAME - 1);
	snprintf(ret, LIM_NAME, "%s", s);
	return 0;
}

static int init_args(struct cli *c, struct init *s, struct err *e)
{
	int r = node_name("cluster name", "cluster", cli_opt(c, "cluster"), s->g.cluster, e);

	if (r == 0)
		r = node_name("node name", "node", cli_opt(c, "node"), s->g.node.name, e);
	if (r == 0 && !cli_flag(c, "server"))
		r = err_set(e, -DSI_EUSAGE, "the first node must host a security server, as its server writes the first "
			    "entry: run init there with --server, and enrol this node afterwards");
	if (r == 0)
		r = nodefiles_addresses(c, &s->g.node, &s->addrs, e);
	s->g.node.roles = NODE_MEMBER | NODE_VOTER | NODE_SERVER;
	s->g.wall_ms = c->wall_ms();
	if (r == 0)
		r = nodefiles_fresh(&s->files, e);
	return r;
}

/* "policy,nodes,verdict" -> bits. */
static int parse_roles(const char *text, u32 *ret, struct err *e)
{
	static const struct {
		const char *name;
		u32 bit;
	} role[] = { { "policy", OP_POLICY }, { "nodes", OP_NODES }, { "verdict", OP_VERDICT }, { "all", OP_ALL } };
	char copy[64], *save = NULL;

	*ret = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		u32 bit = 0;

		for (size_t i = 0; i < ARRAY_SIZE(role); i++)
			if (!strcmp(p, role[i].name))
				bit = role[i].bit;
		if (!bit)
			return err_set(e, -DSI_EUSAGE, "operator role \"%s\": policy, nodes, verdict or all", p);
		*ret |= bit;
	}
	return *ret ? 0 : err_set(e, -DSI_EUSAGE, "an operator without a role");
}

/* NAME:KEY[:ROLES] */
static int parse_operator(const char *text, struct body_operator *o, struct err *e)
{
	const char *colon = strchr(text, ':'), *key = colon ? colon + 1 : "", *roles = strchr(key, ':');
	size_t key_len = roles ? (size_t)(roles - key) : strlen(key);
	char hex[2 * CRYPTO_PUB + 1];
	int r;

	if (!colon || (size_t)(colon - text) >= LIM_NAME || key_len != 2 * CRYPTO_PUB)
		return err_set(e, -DSI_EUSAGE, "--add-operator %s: NAME:KEY[:ROLES], KEY as dsi-admin operator show prints "
			       "it", text);
	snprintf(o->name, sizeof(o->name), "%.*s", (int)(colon - text), text);
	snprintf(hex, sizeof(hex), "%.*s", (int)key_len, key);
	o->roles = OP_ALL;
	r = args_name("operator name", o->name, e);
	if (r == 0 && crypto_unhex(hex, o->pub, sizeof(o->pub)) < 0)
		r = err_set(e, -DSI_EUSAGE, "--add-operator: \"%s\" is not a key in hex", hex);
	return r == 0 && roles ? parse_roles(roles + 1, &o->roles, e) : r;
}

static int more_operators(const struct cli *c, struct init *s, struct err *e)
{
	const char *text;

	for (int i = 0; (text = cli_opt_nth(c, "add-operator", i)); i++) {
		int r;

		if (s->g.n_operators == LIM_OPERATORS)
			return err_set(e, -DSI_EUSAGE, "more than %d operators", LIM_OPERATORS);
		r = parse_operator(text, &s->operators[s->g.n_operators++], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- keys --------------------------------------------------------------------------------------------- */

static int root_key(struct cli *c, struct init *s, struct err *e)
{
	const char *given = cli_opt(c, "root-key");
	int r;

	if (!given && !cli_path(c, PATH_OPERATORS "/root.key", s->root_path))
		return err_set(e, -DSI_ELIMIT, "--root is too long");
	if (given)
		snprintf(s->root_path, sizeof(s->root_path), "%s", given);
	if (files_exists(s->root_path)) {
		r = authority_key_file(c, s->root_path, OPKEY_ROOT, &s->root, e);
	} else {
		r = newkey_make(s->root_path, OPKEY_ROOT, s->g.cluster, &s->protection, &s->root, e);
		if (r == 0)
			nodefiles_made(&s->files, s->root_path);
	}
	memcpy(s->g.root, s->root.pub, sizeof(s->g.root));
	return r;
}

/* operators/NAME.key, and default.key pointing at it, so that commands find it. */
static int operator_key(struct cli *c, struct init *s, struct err *e)
{
	const char *name = cli_opt(c, "operator-name") ? cli_opt(c, "operator-name") : "admin";
	char path[CLI_PATH], link_path[CLI_PATH];
	int r = args_name("operator name", name, e);

	if (r < 0)
		return r;
	if (snprintf(path, sizeof(path), PATH_OPERATORS "/%s.key", name) >= CLI_PATH ||
	    !cli_path(c, path, s->operator_path) || !cli_path(c, PATH_OPERATORS "/default.key", link_path))
		return err_set(e, -DSI_ELIMIT, "--root is too long");
	r = newkey_make(s->operator_path, OPKEY_OPERATOR, name, &s->protection, &s->operator, e);
	if (r < 0)
		return r;
	nodefiles_made(&s->files, s->operator_path);
	if (!files_exists(link_path) && symlink(strrchr(s->operator_path, '/') + 1, link_path) == 0)
		nodefiles_made(&s->files, link_path);
	snprintf(s->operators[0].name, sizeof(s->operators[0].name), "%s", name);
	memcpy(s->operators[0].pub, s->operator.pub, CRYPTO_PUB);
	s->operators[0].roles = OP_ALL;
	s->g.n_operators = 1;
	s->g.operators = s->operators;
	return more_operators(c, s, e);
}

static int node_keys(struct init *s, struct err *e)
{
	struct keyfile_pub pub;
	int r = nodefiles_key(&s->files, KEYFILE_NODE, false, &pub, e);

	if (r < 0)
		return r;
	memcpy(s->g.node.sign, pub.sign, CRYPTO_PUB);
	memcpy(s->g.node.kem, pub.kem, CRYPTO_PUB);
	r = nodefiles_key(&s->files, KEYFILE_SERVER, false, &pub, e);
	memcpy(s->g.node.server_sign, pub.sign, CRYPTO_PUB);
	memcpy(s->g.node.server_kem, pub.kem, CRYPTO_PUB);
	return r;
}

/* ---- putting it together ------------------------------------------------------------------------------ */

static int make_entry(struct cli *c, struct init *s, struct err *e)
{
	if (crypto_random(s->g.request, sizeof(s->g.request)) < 0)
		return err_set(e, -DSI_ECRYPTO, "no random numbers");
	if (!cli_path(c, PATH_SERVER_KEY, s->server_key))
		return err_set(e, -DSI_ELIMIT, "--root is too long");
	return genesis_make(&s->g, opkey_sign, &s->root, nodefiles_sign, s->server_key, &s->entry, e);
}

static int make_all(struct cli *c, struct init *s, struct err *e)
{
	struct nodefiles_conf conf = { .nid = 1, .name = s->g.node.name, .direct = s->g.node.direct,
				       .roles = s->g.node.roles };
	char dir[CLI_PATH];
	int r = newkey_protection(c, &s->protection, e);

	if (r == 0)
		r = nodefiles_dirs(&s->files, true, e);
	if (r == 0 && cli_path(c, PATH_OPERATORS, dir))
		r = files_mkdir(dir, 0700, e);
	if (r == 0)
		r = root_key(c, s, e);
	if (r == 0)
		r = operator_key(c, s, e);
	if (r == 0)
		r = node_keys(s, e);
	if (r == 0)
		r = make_entry(c, s, e);
	if (r == 0)
		r = nodefiles_conf(&s->files, &conf, e);
	return r < 0 ? r : nodefiles_finish(&s->files, s->entry.data, s->entry.len, e);
}

static void render_init(FILE *f, const json_t *doc)
{
	fprintf(f, "Cluster %s (%.12s): this node is %s, number 1, voter, security server.\n", doc_str(doc, "cluster"),
		doc_str(doc, "id"), doc_str(doc, "node"));
	fprintf(f, "  root key      %s\n                MOVE IT to a safe place off this machine; only a lost majority "
		   "needs it again\n", doc_str(doc, "root_key"));
	fprintf(f, "  operator key  %s\n                whoever has it rules the cluster; keep it where operators work\n",
		doc_str(doc, "operator_key"));
	fprintf(f, "Next: systemctl start dsid dsi-ss; dsi-admin status; dsi-admin join-token NODE --voter\n");
}

static int show(struct cli *c, const struct init *s)
{
	u8 hash[CRYPTO_HASH];
	char id[33], root[2 * CRYPTO_PUB + 1];

	if (genesis_root_hash(s->g.root, hash) < 0)
		return -DSI_ECRYPTO;
	return cli_show(c, json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "cluster", s->g.cluster, "id",
				     crypto_hex(hash, 16, id), "root", crypto_hex(s->g.root, CRYPTO_PUB, root), "node",
				     s->g.node.name, "nid", 1, "root_key", s->root_path, "operator_key", s->operator_path),
			render_init);
}

int cmd_init(struct cli *c, struct err *e)
{
	static struct init s;
	int r;

	memset(&s, 0, sizeof(s));
	nodefiles_init(&s.files, c);
	wbuf_init(&s.entry, ENTRY_MAX);
	r = init_args(c, &s, e);
	if (r == 0) {
		r = make_all(c, &s, e);
		if (r < 0)
			nodefiles_undo(&s.files);
	}
	opkey_wipe(&s.root);
	opkey_wipe(&s.operator);
	if (r == 0)
		r = show(c, &s);
	wbuf_fini(&s.entry);
	return r;
}
