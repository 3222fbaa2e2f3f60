/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy push, rollback, confirm, show, history: what changes the policy of the whole cluster, and what
 * was in force when. Every change is a new, higher version: going back is a push of old bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/authority.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/difftext.h"
#include "cli/files.h"
#include "cli/lockout.h"
#include "cli/render.h"
#include "cli/source.h"

enum { LIFE_S = 3600, WAIT_MS = 10000, DIFF_SHOWN = 40, HISTORY_READ = 16 };

/* One push: what is in force, what shall be. */
struct push {
	struct authority a;
	u8 *base;            /* bytes of the image in force; NULL none */
	size_t base_len;
	u8 *sids;            /* image whose SIDs are kept, when that is another one: see push_sids() */
	size_t sids_len;
	const u8 *bytes;     /* of the new one */
	size_t len;
	char digest[2 * CRYPTO_HASH + 1];
	char name[LIM_NAME];
	const char *comment;
	u64 confirm_s;
};

static void push_fini(struct push *p)
{
	authority_end(&p->a);
	free(p->base);
	free(p->sids);
}

static int push_options(const struct cli *c, struct push *p, struct err *e)
{
	const char *confirm = cli_opt(c, "confirm-within");
	int r;

	p->comment = cli_opt(c, "comment") ? cli_opt(c, "comment") : "";
	r = args_text("--comment", p->comment, LIM_PATH, e);
	if (r == 0 && confirm)
		r = args_duration(confirm, &p->confirm_s, e);
	if (r == 0 && p->confirm_s > UINT32_MAX)
		r = err_set(e, -DSI_EUSAGE, "--confirm-within is too long");
	return r;
}

static int ask_history(struct cli *c, json_t **ret, struct err *e)
{
	return client_call_any(c, false, "history", NULL, ret, e);
}

static u32 highest_sid(const struct image *img)
{
	u32 high = 0;

	for (u32 i = 0; i < image_count(img, IMAGE_CONTEXTS); i++)
		high = MAX(high, image_context(img, i).sid);
	for (u32 i = 0; i < image_count(img, IMAGE_TYPES); i++)
		high = MAX(high, image_type(img, i).sid);
	for (u32 i = 0; i < image_count(img, IMAGE_RETIRED); i++)
		high = MAX(high, image_retired(img, i).sid);
	return high;
}

/* One earlier image: becomes the base of numbers when it gave higher ones. Those not to be had any more are skipped. */
static int consider_sids(struct cli *c, struct push *p, const char *digest, struct err *e)
{
	struct image img, best;
	u8 *bytes = NULL;
	size_t n;
	int r = client_blob_get(c, digest, &bytes, &n, e);

	if (r == -DSI_ENOENT)
		return 0;
	if (r == 0)
		r = image_open(&best, p->sids ? p->sids : p->base, p->sids ? p->sids_len : p->base_len, e);
	if (r == 0)
		r = image_open(&img, bytes, n, e);
	if (r < 0 || highest_sid(&img) <= highest_sid(&best)) {
		free(bytes);
		return r;
	}
	free(p->sids);
	p->sids = bytes;
	p->sids_len = n;
	return 0;
}

static bool seen_before(const json_t *rows, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(doc_str(json_array_get(rows, k), "digest"), doc_str(json_array_get(rows, i), "digest")))
			return true;
	return false;
}

/*
 * Old bytes that came back by a rollback know nothing of the names given since, and would hand their
 * numbers out again while processes may still bear them. Then the image with the highest number, which
 * descends from all before it, says who has which.
 */
static int push_sids(struct cli *c, struct push *p, struct err *e)
{
	json_t *doc = NULL;
	const json_t *rows;
	bool went_back = false;
	int r = ask_history(c, &doc, e);

	if (r < 0)
		return r;
	rows = doc_at(doc, "versions");
	for (size_t i = 0; i < json_array_size(rows); i++)
		went_back = went_back || seen_before(rows, i);
	for (size_t i = 0; r == 0 && went_back && i < MIN(json_array_size(rows), (size_t)HISTORY_READ); i++)
		if (!seen_before(rows, i))
			r = consider_sids(c, p, doc_str(json_array_get(rows, i), "digest"), e);
	json_decref(doc);
	return r;
}

static int push_begin(struct cli *c, struct push *p, struct err *e)
{
	int r = push_options(c, p, e);

	if (r == 0)
		r = authority_begin(c, &p->a, e);
	if (r < 0 || !p->a.policy_version)
		return r;
	r = client_blob_get(c, p->a.policy_digest, &p->base, &p->base_len, e);
	return r < 0 ? err_wrap(e, "get the policy in force") : push_sids(c, p, e);
}

/* What it would change, to stderr; always before a key is touched. */
static int push_announce(struct cli *c, const struct push *p, struct err *e)
{
	struct image img, base;
	int r = image_open(&img, p->bytes, p->len, e);

	if (r == 0 && p->base)
		r = image_open(&base, p->base, p->base_len, e);
	if (r < 0 || c->quiet)
		return r;
	if (!p->base) {
		cli_say(c, "first policy of this cluster: %s, %u rules", img.name, image_count(&img, IMAGE_RULES));
		return 0;
	}
	return difftext_print(c->log, &base, &img, DIFF_SHOWN, e);
}

static int push_statement(struct cli *c, struct push *p, struct wbuf *w, struct err *e)
{
	struct body_s_policy b = { .version = p->a.policy_version + 1, .size = p->len, .confirm_s = (u32)p->confirm_s };

	if (crypto_unhex(p->digest, b.digest, sizeof(b.digest)) < 0)
		return err_set(e, -DSI_ECRYPTO, "cannot hash the image");
	if (p->confirm_s && !p->base)
		return err_set(e, -DSI_EINVAL, "--confirm-within: there is no earlier policy to go back to");
	if (p->confirm_s && crypto_unhex(p->a.policy_digest, b.back_digest, sizeof(b.back_digest)) < 0)
		return err_set(e, -DSI_EPEER, "digest of the policy in force is malformed");
	snprintf(b.name, sizeof(b.name), "%s", p->name);
	snprintf(b.comment, sizeof(b.comment), "%s", p->comment);
	return authority_statement(c, &p->a, ENTRY_POLICY, p->a.policy_version, c->wall_ms() + LIFE_S * 1000ull,
				   &schema_s_policy, &b, w, e);
}

void render_pushed(FILE *f, const json_t *doc)
{
	static const struct render_column cols[] = {
		{ "NODE", "name", RENDER_PLAIN },
		{ "NID", "nid", RENDER_RIGHT },
		{ "ENFORCED AFTER ms", "final_ms", RENDER_RIGHT },
	};
	const json_t *rows = doc_at(doc, "enforced"), *missing = doc_at(doc, "missing");
	char cell[512];

	fprintf(f, "policy %lld (", doc_int(doc, "version"));
	render_escaped(f, doc_str(doc, "name"));
	fprintf(f, ", %.12s) is log entry %lld: committed after %lld ms, enforced on %zu node%s after %lld ms\n",
		doc_str(doc, "digest"), doc_int(doc, "index"), doc_int(doc, "commit_ms"), json_array_size(rows),
		json_array_size(rows) == 1 ? "" : "s", doc_int(doc, "ms"));
	if (json_array_size(rows))
		render_table(f, rows, cols, ARRAY_SIZE(cols));
	if (json_array_size(missing)) {
		render_value(cell, sizeof(cell), missing, RENDER_PLAIN);
		fprintf(f, "not yet on: %s\n", cell);
	}
	if (*doc_str(doc, "text")) {
		render_escaped(f, doc_str(doc, "text"));
		fputc('\n', f);
	}
	if (doc_int(doc, "confirm_s"))
		fprintf(f, "goes back by itself in %lld s unless confirmed: dsi-admin policy confirm\n",
			doc_int(doc, "confirm_s"));
}

static int push_send(struct cli *c, struct push *p, struct err *e)
{
	struct wbuf w;
	json_t *doc = NULL;
	int r = authority_key(c, &p->a, e);

	wbuf_init(&w, LIM_ENTRY_BODY);
	if (r == 0)
		r = push_statement(c, p, &w, e);
	if (r == 0)
		r = client_blob_put(c, p->digest, p->bytes, p->len, e);
	if (r == 0)
		r = authority_submit(c, &w, p->digest, WAIT_MS, &doc, e);
	wbuf_fini(&w);
	if (r < 0)
		return r;
	json_object_set_new(doc, "version", json_integer((json_int_t)p->a.policy_version + 1));
	json_object_set_new(doc, "name", json_string(p->name));
	json_object_set_new(doc, "digest", json_string(p->digest));
	json_object_set_new(doc, "confirm_s", json_integer((json_int_t)p->confirm_s));
	return cli_show(c, doc, render_pushed);
}

static int push_digest(struct push *p, struct err *e)
{
	u8 digest[CRYPTO_HASH];

	if (p->len > LIM_POLICY)
		return err_set(e, -DSI_ELIMIT, "the image has %zu bytes, %d are the limit", p->len, LIM_POLICY);
	if (crypto_sha256(p->bytes, p->len, digest) < 0)
		return err_set(e, -DSI_ECRYPTO, "cannot hash the image");
	crypto_hex(digest, sizeof(digest), p->digest);
	return 0;
}

/* ---- push --------------------------------------------------------------------------------------------- */

static int dry_run(struct cli *c, const struct push *p)
{
	json_t *doc = json_pack("{s:b, s:I, s:s, s:s, s:I}", "dry_run", true, "base", (json_int_t)p->a.policy_version,
				"name", p->name, "digest", p->digest, "size", (json_int_t)p->len);

	if (c->format == CLI_TEXT)
		fprintf(c->out, "dry run: policy %s (%.12s) would become version %llu; nothing was sent\n", p->name,
			p->digest, (unsigned long long)p->a.policy_version + 1);
	return cli_show(c, doc, NULL);
}

/* Does every SID of `now` that `old` knows, also as a retired one, mean the same there? */
static bool sids_agree(const struct image *old, const struct image *now)
{
	for (u32 i = 0; i < image_count(now, IMAGE_CONTEXTS); i++) {
		struct image_context ctx = image_context(now, i);
		const char *name = image_sid_name(old, ctx.sid);

		if (name && strcmp(name, ctx.name))
			return false;
	}
	for (u32 i = 0; i < image_count(now, IMAGE_TYPES); i++) {
		struct image_type type = image_type(now, i);
		const char *name = image_sid_name(old, type.sid);

		if (name && strcmp(name, type.name))
			return false;
	}
	return true;
}

/* A ready-made image carries its own numbers: they must be those in force. */
static int check_base(const struct push *p, const struct source *s, struct err *e)
{
	struct image base;
	int r;

	if (s->policy || !p->base)
		return 0;
	r = image_open(&base, p->sids ? p->sids : p->base, p->sids ? p->sids_len : p->base_len, e);
	if (r < 0 || (sids_agree(&base, &s->image) && sids_agree(&s->image, &base)))
		return r;
	return err_set(e, -DSI_ECONFLICT, "the image gives other numbers to contexts than the policy in force (version %llu): "
		       "push its source, or compile it with --base", (unsigned long long)p->a.policy_version);
}

static int push_source(struct cli *c, struct push *p, struct source *s, struct err *e)
{
	int r = source_load(s, c->args, c->n_args, e);

	if (r < 0)
		return r;
	r = source_compile(s, p->sids ? p->sids : p->base, p->sids ? p->sids_len : p->base_len, e);
	source_show_diags(s, c->log);
	if (r < 0)
		return r;
	p->bytes = s->bytes.data;
	p->len = s->bytes.len;
	snprintf(p->name, sizeof(p->name), "%s", s->image.name);
	r = push_digest(p, e);
	if (r == 0)
		r = check_base(p, s, e);
	if (r == 0)
		r = lockout_check(c, &s->image, true, NULL, e);
	if (r == 0)
		r = push_announce(c, p, e);
	return r;
}

int cmd_policy_push(struct cli *c, struct err *e)
{
	struct push p = { 0 };
	struct source s;
	int r = push_begin(c, &p, e);

	if (r < 0) {
		push_fini(&p);
		return r;
	}
	source_init(&s);
	r = push_source(c, &p, &s, e);
	if (r == 0)
		r = cli_flag(c, "dry-run") ? dry_run(c, &p) : push_send(c, &p, e);
	source_fini(&s);
	push_fini(&p);
	return r;
}

/* ---- history and rollback ----------------------------------------------------------------------------- */

void render_history(FILE *f, const json_t *doc)
{
	static const struct render_column cols[] = {
		{ "VERSION", "version", RENDER_RIGHT }, { "CURRENT", "current", RENDER_PLAIN },
		{ "TIME", "wall_ms", RENDER_TIME },     { "AUTHOR", "author", RENDER_PLAIN },
		{ "NAME", "name", RENDER_PLAIN },       { "DIGEST", "digest", RENDER_SHORT },
		{ "INDEX", "index", RENDER_RIGHT },     { "COMMENT", "comment", RENDER_PLAIN },
	};

	render_table(f, doc_at(doc, "versions"), cols, ARRAY_SIZE(cols));
}

int cmd_policy_history(struct cli *c, struct err *e)
{
	json_t *doc = NULL;
	int r = ask_history(c, &doc, e);

	return r < 0 ? r : cli_show(c, doc, render_history);
}

/* version 0: the one in force. The row lives in *doc. */
static int find_version(struct cli *c, u64 version, json_t **ret_doc, const json_t **ret_row, struct err *e)
{
	const json_t *row;
	size_t i;
	int r = ask_history(c, ret_doc, e);

	if (r < 0)
		return r;
	json_array_foreach((json_t *)doc_at(*ret_doc, "versions"), i, row)
		if (version ? doc_int(row, "version") == (json_int_t)version : doc_bool(row, "current")) {
			*ret_row = row;
			return 0;
		}
	json_decref(*ret_doc);
	*ret_doc = NULL;
	if (!version)
		return err_set(e, -DSI_ENOENT, "this cluster has no policy yet");
	return err_set(e, -DSI_ENOENT, "no policy version %llu in the history; dsi-admin policy history shows it",
		       (unsigned long long)version);
}

static int rollback_check(struct cli *c, const struct push *p, struct err *e)
{
	struct image old, now;
	int r = image_open(&old, p->bytes, p->len, e);

	if (r == 0)
		r = image_open(&now, p->base, p->base_len, e);
	/* Old bytes would rename a living context. */
	if (r == 0 && !sids_agree(&old, &now))
		return err_set(e, -DSI_ECONFLICT, "contexts were renumbered since that version: push its source instead");
	return r < 0 ? r : lockout_check(c, &old, true, NULL, e);
}

static int rollback(struct cli *c, struct push *p, u64 version, struct err *e)
{
	json_t *doc = NULL;
	const json_t *row = NULL;
	char note[64];
	u8 *bytes = NULL;
	int r = find_version(c, version, &doc, &row, e);

	if (r == 0 && !strcmp(doc_str(row, "digest"), p->a.policy_digest))
		r = err_set(e, -DSI_EEXIST, "version %llu is what is in force", (unsigned long long)version);
	if (r == 0)
		r = client_blob_get(c, doc_str(row, "digest"), &bytes, &p->len, e);
	if (r == 0) {
		p->bytes = bytes;
		snprintf(p->name, sizeof(p->name), "%s", doc_str(row, "name"));
		snprintf(note, sizeof(note), "rollback to version %llu", (unsigned long long)version);
		if (!*p->comment)
			p->comment = note;
		r = push_digest(p, e);
	}
	if (r == 0)
		r = rollback_check(c, p, e);
	if (r == 0)
		r = push_announce(c, p, e);
	if (r == 0)
		r = push_send(c, p, e);
	free(bytes);
	json_decref(doc);
	return r;
}

int cmd_policy_rollback(struct cli *c, struct err *e)
{
	struct push p = { 0 };
	u64 version;
	int r = args_u64(c->args[0], INT64_MAX, &version, e);

	if (r < 0)
		return r;
	r = push_begin(c, &p, e);
	if (r == 0 && !p.base)
		r = err_set(e, -DSI_ENOENT, "this cluster has no policy yet");
	if (r == 0)
		r = rollback(c, &p, version, e);
	push_fini(&p);
	return r;
}

/* ---- confirm ------------------------------------------------------------------------------------------ */

static void render_confirmed(FILE *f, const json_t *doc)
{
	fprintf(f, "policy %lld stays: log entry %lld\n", doc_int(doc, "version"), doc_int(doc, "index"));
}

int cmd_policy_confirm(struct cli *c, struct err *e)
{
	struct body_s_confirm b = { 0 };
	json_t *doc = NULL;
	const json_t *row;
	int r;

	if (c->n_args) {
		r = args_u64(c->args[0], INT64_MAX, &b.version, e);
	} else {
		r = find_version(c, 0, &doc, &row, e);
		b.version = r == 0 ? (u64)doc_int(row, "version") : 0;
		json_decref(doc);
		doc = NULL;
	}
	if (r == 0)
		r = authority_say(c, ENTRY_CONFIRM, c->wall_ms() + LIFE_S * 1000ull, &schema_s_confirm, &b, WAIT_MS, &doc, e);
	if (r < 0)
		return r;
	json_object_set_new(doc, "version", json_integer((json_int_t)b.version));
	return cli_show(c, doc, render_confirmed);
}

/* ---- show --------------------------------------------------------------------------------------------- */

static json_t *image_rules(const struct image *img)
{
	json_t *a = json_array();
	char text[512];

	for (u32 i = 0; i < image_count(img, IMAGE_RULES); i++) {
		struct image_rule rule = image_rule(img, i);

		image_key_text(img, &rule.key, rule.allow, text, sizeof(text));
		json_array_append_new(a, json_pack("{s:s, s:s, s:i, s:b}", "text", text, "file", rule.file ? rule.file : "",
						   "line", (int)rule.line, "everywhere", rule.where == NULL));
	}
	return a;
}

static json_t *image_contexts(const struct image *img)
{
	json_t *a = json_array();

	for (u32 i = 0; i < image_count(img, IMAGE_CONTEXTS); i++) {
		struct image_context ctx = image_context(img, i);

		json_array_append_new(a, json_pack("{s:i, s:s, s:b, s:b}", "sid", (int)ctx.sid, "name", ctx.name,
						   "unconfined", (ctx.flags & DSI_CTX_UNCONFINED) != 0, "permissive",
						   (ctx.flags & DSI_CTX_PERMISSIVE) != 0));
	}
	return a;
}

static void render_image(FILE *f, const json_t *doc)
{
	static const struct render_column contexts[] = {
		{ "SID", "sid", RENDER_RIGHT }, { "CONTEXT", "name", RENDER_PLAIN },
		{ "UNCONFINED", "unconfined", RENDER_PLAIN }, { "PERMISSIVE", "permissive", RENDER_PLAIN },
	};
	static const struct render_column rules[] = {
		{ "RULE", "text", RENDER_PLAIN }, { "EVERYWHERE", "everywhere", RENDER_PLAIN },
		{ "FILE", "file", RENDER_PLAIN }, { "LINE", "line", RENDER_RIGHT },
	};

	fprintf(f, "policy %lld (", doc_int(doc, "version"));
	render_escaped(f, doc_str(doc, "name"));
	fprintf(f, "), digest %s, by ", doc_str(doc, "digest"));
	render_escaped(f, doc_str(doc, "author"));
	fprintf(f, "\n\n");
	render_table(f, doc_at(doc, "contexts"), contexts, ARRAY_SIZE(contexts));
	fputc('\n', f);
	render_table(f, doc_at(doc, "rules"), rules, ARRAY_SIZE(rules));
}

static int show_image(struct cli *c, const json_t *row, const u8 *p, size_t n, struct err *e)
{
	struct image img;
	json_t *doc;
	int r = image_open(&img, p, n, e);

	if (r < 0)
		return r;
	doc = json_copy((json_t *)row);
	json_object_set_new(doc, "contexts", image_contexts(&img));
	json_object_set_new(doc, "rules", image_rules(&img));
	return cli_show(c, doc, render_image);
}

int cmd_policy_show(struct cli *c, struct err *e)
{
	const char *v = cli_opt(c, "version"), *out = cli_opt(c, "out");
	json_t *doc = NULL;
	const json_t *row;
	u64 version = 0;
	u8 *p = NULL;
	size_t n;
	int r = v ? args_u64(v, INT64_MAX, &version, e) : 0;

	if (r == 0)
		r = find_version(c, version, &doc, &row, e);
	if (r < 0)
		return r;
	r = client_blob_get(c, doc_str(row, "digest"), &p, &n, e);
	if (r == 0)
		r = out ? files_write(out, 0644, true, p, n, e) : show_image(c, row, p, n, e);
	free(p);
	json_decref(doc);
	return r;
}
