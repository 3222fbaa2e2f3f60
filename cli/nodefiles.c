/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/nodefiles.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/files.h"

static const char dsid_conf[] = "# dsid: see dsid.conf(5). Every key has a default.\n";
static const char ss_conf[] = "# dsi-ss: see dsi-ss.conf(5). Every key has a default.\n";

void nodefiles_init(struct nodefiles *f, const struct cli *c)
{
	memset(f, 0, sizeof(*f));
	f->c = c;
}

static int at(const struct nodefiles *f, const char *path, char ret[CLI_PATH], struct err *e)
{
	return cli_path(f->c, path, ret) ? 0 : err_set(e, -DSI_ELIMIT, "--root is too long");
}

void nodefiles_made(struct nodefiles *f, const char *path)
{
	assert(f->n_made < NODEFILES_MAX);
	snprintf(f->made[f->n_made++], CLI_PATH, "%s", path);
}

void nodefiles_undo(struct nodefiles *f)
{
	while (f->n_made)
		unlink(f->made[--f->n_made]);
}

int nodefiles_fresh(const struct nodefiles *f, struct err *e)
{
	static const char *const paths[] = { PATH_CLUSTER, PATH_NODE };
	char path[CLI_PATH];

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int r = at(f, paths[i], path, e);

		if (r < 0)
			return r;
		if (files_exists(path))
			return err_set(e, -DSI_EEXIST, "this machine is in a cluster already (%s); when that membership has "
				       "ended (node remove, revoke-node), enroll --again puts its files aside", path);
	}
	return 0;
}

int nodefiles_set_aside(struct nodefiles *f, struct err *e)
{
	/* The cluster file last: while it is there, a membership is to be set aside. */
	static const char *const paths[] = { PATH_SS_LOG, PATH_DSID_LOG, PATH_KEYS, PATH_NODE, PATH_CLUSTER };
	char path[CLI_PATH], old[CLI_PATH + 32];

	if (nodefiles_fresh(f, NULL) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int r = at(f, paths[i], path, e);

		if (r < 0)
			return r;
		snprintf(old, sizeof(old), "%s.old-%llu", path, (unsigned long long)f->c->wall_ms());
		if (files_exists(path) && rename(path, old) < 0)
			return err_errno(e, -DSI_EIO, "cannot put %s aside", path);
	}
	return 0;
}

static int make_dir(struct nodefiles *f, const char *name, mode_t mode, const char *owner, struct err *e)
{
	char path[CLI_PATH];
	int r = at(f, name, path, e);

	if (r == 0)
		r = files_mkdir(path, mode, e);
	return r < 0 || !owner ? r : files_chown(path, owner, owner, e);
}

int nodefiles_dirs(struct nodefiles *f, bool server, struct err *e)
{
	int r = make_dir(f, PATH_ETC, 0755, NULL, e);

	if (r == 0)
		r = make_dir(f, PATH_KEYS, 0711, NULL, e);
	if (r == 0)
		r = make_dir(f, PATH_STATE, 0755, NULL, e);
	if (r == 0)
		r = make_dir(f, PATH_DSID_LOG, 0700, "_dsid", e);
	if (r == 0 && server)
		r = make_dir(f, PATH_SS_LOG, 0700, "_dsiss", e);
	return r;
}

int nodefiles_key(struct nodefiles *f, enum keyfile_kind kind, bool keep, struct keyfile_pub *ret, struct err *e)
{
	char path[CLI_PATH];
	int r = at(f, kind == KEYFILE_NODE ? PATH_NODE_KEY : PATH_SERVER_KEY, path, e);

	if (r < 0)
		return r;
	if (keep && files_exists(path))
		return keyfile_read_pub(path, kind, ret, e);
	r = keyfile_create(path, kind, ret, e);
	if (r < 0)
		return err_wrap(e, "make %s", path);
	nodefiles_made(f, path);
	return files_chown(path, NULL, kind == KEYFILE_NODE ? "_dsikey" : "_dsisskey", e);
}

int nodefiles_write(struct nodefiles *f, const char *name, mode_t mode, const void *p, size_t n, struct err *e)
{
	char path[CLI_PATH];
	int r = at(f, name, path, e);

	if (r == 0)
		r = files_write(path, mode, false, p, n, e);
	if (r == 0)
		nodefiles_made(f, path);
	return r;
}

u32 nodefiles_roles_text(u32 roles, char *ret, size_t cap)
{
	static const struct {
		u32 bit;
		const char *name;
	} role[] = { { NODE_MEMBER, "member" }, { NODE_VOTER, "voter" }, { NODE_SERVER, "server" }, { NODE_WITNESS, "witness" } };
	size_t n = 0;

	ret[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(role); i++)
		if (roles & role[i].bit && n < cap)
			n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? " " : "", role[i].name);
	return (u32)n;
}

int nodefiles_conf(struct nodefiles *f, const struct nodefiles_conf *conf, struct err *e)
{
	char *text = NULL, roles[64];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	nodefiles_roles_text(conf->roles, roles, sizeof(roles));
	fprintf(out,
		"# Who this node is; written by dsi-admin. The log decides; this is where to begin.\n"
		"nid = %u\nname = %s\ndirect = %s\nroles = %s\n", conf->nid, conf->name, conf->direct, roles);
	for (u32 i = 0; i < conf->n_peers; i++)
		fprintf(out, "peer = %s\n", conf->peers[i]);
	fclose(out);
	r = nodefiles_write(f, PATH_NODE, 0644, text, len, e);
	free(text);
	return r;
}

static int write_default(struct nodefiles *f, const char *name, const char *text, struct err *e)
{
	char path[CLI_PATH];
	int r = at(f, name, path, e);

	return r < 0 || files_exists(path) ? r : nodefiles_write(f, name, 0644, text, strlen(text), e);
}

int nodefiles_finish(struct nodefiles *f, const u8 *genesis, size_t n, struct err *e)
{
	int r = write_default(f, PATH_DSID_CONF, dsid_conf, e);

	if (r == 0)
		r = write_default(f, PATH_SS_CONF, ss_conf, e);
	return r < 0 ? r : nodefiles_write(f, PATH_CLUSTER, 0644, genesis, n, e);
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

static int add_address(struct body_node *node, struct nodefiles_addrs *a, const u8 *p, size_t len, struct err *e)
{
	static const u8 zero[16];

	if (!memcmp(p, zero, len))
		return err_set(e, -DSI_EUSAGE, "the unspecified address is none that others can reach");
	for (u32 i = 0; i < node->addrs.n; i++)
		if (a->v[i].n == len && !memcmp(a->v[i].p, p, len))
			return 0;
	if (node->addrs.n == LIM_ADDRS)
		return err_set(e, -DSI_EUSAGE, "more than %d addresses", LIM_ADDRS);
	memcpy(a->bytes[node->addrs.n], p, len);
	a->v[node->addrs.n] = (struct blob){ a->bytes[node->addrs.n], len };
	node->addrs.v = a->v;
	node->addrs.n++;
	return 0;
}

int nodefiles_addresses(const struct cli *c, struct body_node *node, struct nodefiles_addrs *addrs, struct err *e)
{
	const char *direct = cli_opt(c, "address"), *more;
	u8 ip[16];
	size_t len;
	int r;

	if (!direct)
		return err_set(e, -DSI_EUSAGE, "--address HOST:PORT is required: where other nodes reach this one");
	r = args_host_port(direct, e);
	if (r == 0 && !args_host_ip(direct, ip, &len))
		r = err_set(e, -DSI_EUSAGE, "--address %s: a numeric address is needed; names can be forged", direct);
	if (r == 0)
		r = add_address(node, addrs, ip, len, e);
	for (int i = 0; r == 0 && (more = cli_opt_nth(c, "addr", i)); i++) {
		r = args_ip(more, ip, &len, e);
		if (r == 0)
			r = add_address(node, addrs, ip, len, e);
	}
	if (r == 0)
		snprintf(node->direct, sizeof(node->direct), "%s", direct);
	return r;
}

int nodefiles_sign(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	return keyfile_sign(ctx, purpose, p, n, ret, NULL);
}
