/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backup, restore: cluster record, configuration, log, policy image. A restored machine whose node key is
 * gone cannot be that node again (keys are never copied): it enrols anew. What a backup is for is a
 * cluster whose every disk is lost, and the question what was in force when.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/bundle.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/logcopy.h"
#include "cli/nodefiles.h"
#include "cli/render.h"
#include "gcs/genesis.h"
#include "gcs/log.h"

enum { MAX_TEXT = 1 << 20 };

static const struct {
	const char *part, *path;
	mode_t mode;
} config_files[] = {
	{ "node.conf", PATH_NODE, 0644 },
	{ "dsid.conf", PATH_DSID_CONF, 0644 },
	{ "dsi-ss.conf", PATH_SS_CONF, 0644 },
	{ "cluster", PATH_CLUSTER, 0644 },
};

struct backup {
	u8 *text[ARRAY_SIZE(config_files)];
	u8 *image;
	char image_part[BUNDLE_NAME];
	struct logcopy log;
	struct bundle bundle;
};

static void backup_fini(struct backup *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(b->text); i++)
		free(b->text[i]);
	free(b->image);
	logcopy_fini(&b->log);
}

static int add_config(struct cli *c, struct backup *b, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_files); i++) {
		char path[CLI_PATH];
		size_t n;
		int r;

		if (!cli_path(c, config_files[i].path, path))
			return err_set(e, -DSI_ELIMIT, "--root is too long");
		if (!files_exists(path))
			continue;
		r = files_read(path, MAX_TEXT, &b->text[i], &n, e);
		if (r == 0)
			r = bundle_add(&b->bundle, config_files[i].part, b->text[i], n, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_log(struct cli *c, struct backup *b, struct err *e)
{
	const struct bundle_part *cluster = bundle_find(&b->bundle, "cluster");
	char key[CLI_PATH], address[LIM_PATH];
	u8 root_hash[CRYPTO_HASH];
	struct state *s = state_new();
	int r = client_own_address(c, address, e);

	if (r == 0 && (!s || !cli_path(c, PATH_NODE_KEY, key)))
		r = err_set(e, -DSI_ENOMEM, "out of memory");
	if (r == 0 && !cluster)
		r = err_set(e, -DSI_ENOENT, "this machine is in no cluster");
	if (r == 0)
		r = genesis_verify(cluster->p, cluster->n, NULL, s, e);
	if (r == 0)
		r = genesis_root_hash(s->root, root_hash);
	if (r == 0)
		r = logcopy_from(&b->log, address, key, root_hash, e);
	if (r == 0)
		r = bundle_add(&b->bundle, "log", b->log.entries.data, b->log.entries.len, e);
	state_free(s);
	return r;
}

static int add_image(struct cli *c, struct backup *b, struct err *e)
{
	const struct state_policy *p = &b->log.state->policy;
	char hex[2 * CRYPTO_HASH + 1];
	size_t n;
	int r;

	if (!p->version)
		return 0;
	crypto_hex(p->digest, sizeof(p->digest), hex);
	snprintf(b->image_part, sizeof(b->image_part), "blob/%s", hex);
	r = client_blob_get(c, hex, &b->image, &n, e);
	return r < 0 ? r : bundle_add(&b->bundle, b->image_part, b->image, n, e);
}

static void render_backup(FILE *f, const json_t *doc)
{
	render_escaped(f, doc_str(doc, "file"));
	fprintf(f, ": cluster %s, log to entry %lld, policy %lld; no private key is in it\n", doc_str(doc, "cluster"),
		doc_int(doc, "index"), doc_int(doc, "policy"));
}

static json_t *about(const char *file, const struct state *s)
{
	return json_pack("{s:s, s:s, s:I, s:I}", "file", file, "cluster", s->name, "index", (json_int_t)s->applied, "policy",
			 (json_int_t)s->policy.version);
}

int cmd_backup(struct cli *c, struct err *e)
{
	const char *out = cli_opt(c, "out");
	struct backup b = { 0 };
	struct wbuf w;
	int r;

	if (!out)
		return err_set(e, -DSI_EUSAGE, "--out FILE is required");
	wbuf_init(&w, BUNDLE_MAX);
	r = logcopy_init(&b.log, e);
	if (r == 0)
		r = add_config(c, &b, e);
	if (r == 0)
		r = add_log(c, &b, e);
	if (r == 0)
		r = add_image(c, &b, e);
	if (r == 0)
		r = bundle_encode(&b.bundle, &w, e);
	if (r == 0)
		r = files_write(out, 0600, true, w.data, w.len, e);
	if (r == 0)
		r = cli_show(c, about(out, b.log.state), render_backup);
	wbuf_fini(&w);
	backup_fini(&b);
	return r;
}

/* ---- restore ------------------------------------------------------------------------------------------ */

/* The whole log must prove itself before a byte of it is written. */
static int verify_log(const struct bundle *b, struct logcopy *l, struct err *e)
{
	const struct bundle_part *cluster = bundle_find(b, "cluster"), *log = bundle_find(b, "log");
	struct state *s = state_new();
	u8 root_hash[CRYPTO_HASH];
	struct rbuf in;
	int r = cluster && log && s ? 0 : err_set(e, -DSI_EPARSE, "the backup lacks the cluster record or the log");

	if (r == 0)
		r = genesis_verify(cluster->p, cluster->n, NULL, s, e);
	if (r == 0)
		r = genesis_root_hash(s->root, root_hash);
	if (r == 0)
		rbuf_init(&in, log->p, log->n);
	while (r == 0 && rbuf_left(&in)) {
		size_t n = 0;
		const u8 *p = rbuf_blob(&in, ENTRY_MAX, &n);

		r = p ? logcopy_add(l, p, n, root_hash, e) : err_set(e, -DSI_EPARSE, "the log in the backup is malformed");
	}
	state_free(s);
	return r;
}

struct writing {
	struct loop *loop;
	int code;
};

static void written(void *ctx, u64 value, int code)
{
	struct writing *w = ctx;

	(void)value;
	if (code < 0 && w->code == 0)
		w->code = code;
}

static void drained(void *ctx, u64 value, int code)
{
	struct writing *w = ctx;

	written(ctx, value, code);
	loop_stop(w->loop, 0);
}

static int append_all(struct log *g, const struct bundle *b, struct writing *w)
{
	const struct bundle_part *log = bundle_find(b, "log");
	struct rbuf in;
	u64 index = 0;
	int r = 0;

	rbuf_init(&in, log->p, log->n);
	while (r == 0 && rbuf_left(&in)) {
		size_t n = 0;
		const u8 *p = rbuf_blob(&in, ENTRY_MAX, &n);

		r = p ? log_append(g, ++index, p, n, written, w) : -DSI_EPARSE;
	}
	for (u32 i = 0; r == 0 && i < b->n; i++) {
		u8 digest[CRYPTO_HASH];

		if (strncmp(b->part[i].name, "blob/", 5))
			continue;
		r = crypto_sha256(b->part[i].p, b->part[i].n, digest);
		if (r == 0)
			r = blob_put(g, digest, b->part[i].p, b->part[i].n, written, w);
	}
	return r == 0 ? log_drain(g, drained, w) : r;
}

static int write_log(struct cli *c, const struct bundle *b, struct err *e)
{
	struct writing w = { .loop = loop_new() };
	struct log_boot boot;
	struct log *g = NULL;
	char dir[CLI_PATH];
	int r = w.loop && cli_path(c, PATH_DSID_LOG, dir) ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");

	if (r == 0)
		r = log_open(&g, w.loop, dir, &boot, e);
	if (r == 0 && !boot.empty)
		r = err_set(e, -DSI_EEXIST, "%s holds a log already and is left alone", dir);
	if (r == 0) {
		r = append_all(g, b, &w);
		if (r == 0)
			loop_run(w.loop);
		if (r == 0)
			r = w.code;
		if (r < 0)
			err_set(e, r, "cannot write the log: %s", err_text(r));
	}
	if (g)
		log_close(g);
	if (w.loop)
		loop_free(w.loop);
	return r < 0 ? r : files_chown_tree(dir, "_dsid", e);
}

static int write_config(struct nodefiles *f, const struct bundle *b, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_files); i++) {
		const struct bundle_part *p = bundle_find(b, config_files[i].part);
		int r = p ? nodefiles_write(f, config_files[i].path, config_files[i].mode, p->p, p->n, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int restore(struct cli *c, const struct bundle *b, const char *file, struct err *e)
{
	struct nodefiles f;
	struct logcopy l;
	int r = logcopy_init(&l, e);

	nodefiles_init(&f, c);
	if (r == 0)
		r = verify_log(b, &l, e);
	if (r == 0)
		r = nodefiles_fresh(&f, e);
	if (r == 0)
		r = nodefiles_dirs(&f, false, e);
	if (r == 0)
		r = write_log(c, b, e);
	if (r == 0)
		r = write_config(&f, b, e);
	if (r < 0)
		nodefiles_undo(&f);
	else
		r = cli_show(c, about(file, l.state), render_backup);
	logcopy_fini(&l);
	return r;
}

int cmd_restore(struct cli *c, struct err *e)
{
	struct bundle b;
	json_t *doc = NULL;
	u8 *p = NULL;
	size_t n;
	int r;

	if (client_call(c, CTL_DSID, "status", NULL, CLIENT_TIMEOUT_MS, &doc, NULL) != -DSI_ENOTCONN) {
		json_decref(doc);
		return err_set(e, -DSI_ENOTSAFE, "dsid runs: systemctl stop dsid dsi-ss first");
	}
	r = files_read(c->args[0], BUNDLE_MAX, &p, &n, e);
	if (r == 0)
		r = bundle_decode(&b, p, n, e);
	if (r == 0)
		r = restore(c, &b, c->args[0], e);
	free(p);
	return r;
}
