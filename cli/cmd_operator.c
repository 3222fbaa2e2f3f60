/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * operator new, operator show: key files of people. A key gives authority only once the root has listed
 * its public half in the cluster record (init --add-operator NAME:KEY).
 */
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/newkey.h"
#include "cli/render.h"

void render_key(FILE *f, const json_t *doc)
{
	render_escaped(f, doc_str(doc, "kind"));
	fprintf(f, " ");
	render_escaped(f, doc_str(doc, "name"));
	fprintf(f, "\n  public key  %s\n  file        ", doc_str(doc, "key"));
	render_escaped(f, doc_str(doc, "file"));
	fprintf(f, "\n  protection  %s\n", doc_bool(doc, "protected") ? "passphrase" : "none");
}

static json_t *key_doc(const struct opkey *k, const char *path, bool sealed)
{
	char hex[2 * CRYPTO_PUB + 1];

	return json_pack("{s:s, s:s, s:s, s:s, s:b}", "kind", k->kind == OPKEY_ROOT ? "root" : "operator", "name", k->name,
			 "key", crypto_hex(k->pub, sizeof(k->pub), hex), "file", path, "protected", sealed);
}

int cmd_operator_new(struct cli *c, struct err *e)
{
	enum opkey_kind kind = cli_flag(c, "as-root-key") ? OPKEY_ROOT : OPKEY_OPERATOR;
	const char *out = cli_opt(c, "out");
	char path[CLI_PATH], name[CLI_PATH];
	struct newkey_protection prot;
	struct opkey k;
	int r;

	if (!out && (snprintf(name, sizeof(name), PATH_OPERATORS "/%s.key", c->args[0]) >= CLI_PATH ||
		     !cli_path(c, name, path)))
		return err_set(e, -DSI_ELIMIT, "path too long");
	r = args_name("key name", c->args[0], e);
	if (r == 0 && !out && cli_path(c, PATH_OPERATORS, name))
		r = files_mkdir(name, 0700, e);
	if (r == 0)
		r = newkey_protection(c, &prot, e);
	if (r == 0)
		r = newkey_make(out ? out : path, kind, c->args[0], &prot, &k, e);
	if (r < 0)
		return r;
	opkey_wipe(&k);
	return cli_show(c, key_doc(&k, out ? out : path, prot.wanted), render_key);
}

int cmd_operator_show(struct cli *c, struct err *e)
{
	struct opkey k;
	u8 *p;
	size_t n;
	int r = files_read(c->args[0], OPKEY_MAX_FILE, &p, &n, e);

	if (r < 0)
		return r;
	r = opkey_decode(&k, p, n, e);
	crypto_wipe(p, n);
	free(p);
	return r < 0 ? err_wrap(e, "%s", c->args[0]) : cli_show(c, key_doc(&k, c->args[0], k.sealed), render_key);
}
