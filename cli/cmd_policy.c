/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy check, compile, diff, explain: work on files, without root, daemon or key. */
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/difftext.h"
#include "cli/files.h"
#include "cli/lockout.h"
#include "cli/render.h"
#include "cli/source.h"
#include "policies/compiler/vocab.h"

/* What the compiler found goes to stderr as text, or into the answer as JSON. */
static void show_diags(struct cli *c, struct source *s)
{
	if (c->format == CLI_TEXT)
		source_show_diags(s, c->log);
}

static void show_failed(struct cli *c, const struct source *s)
{
	if (c->format == CLI_JSON && s->diags.n)
		cli_show(c, json_pack("{s:o}", "diagnostics", source_diags(s)), NULL);
}

/* --base IMAGE: the version whose SIDs are kept. */
static int read_base(struct cli *c, u8 **ret, size_t *ret_len, struct err *e)
{
	const char *path = cli_opt(c, "base");

	*ret = NULL;
	*ret_len = 0;
	return path ? files_read(path, IMAGE_SIZE_MAX, ret, ret_len, e) : 0;
}

static int build(struct cli *c, struct source *s, const u8 *base, size_t base_len, struct err *e)
{
	int r = source_load(s, c->args, c->n_args, e);

	if (r < 0)
		return r;
	r = source_compile(s, base, base_len, e);
	show_diags(c, s);
	if (r < 0)
		show_failed(c, s);
	return r;
}

static json_t *summary(const struct source *s)
{
	char digest[65];

	source_digest(s, digest);
	return json_pack("{s:s, s:s, s:I, s:i, s:i, s:i, s:i, s:b, s:o}", "name", s->image.name, "digest", digest, "size",
			 (json_int_t)s->bytes.len, "rules", (int)image_count(&s->image, IMAGE_RULES), "contexts",
			 (int)image_count(&s->image, IMAGE_CONTEXTS), "types", (int)image_count(&s->image, IMAGE_TYPES),
			 "warnings", (int)s->diags.warnings, "permissive",
			 (s->image.flags & DSI_POLICY_PERMISSIVE) != 0, "diagnostics", source_diags(s));
}

void render_policy_summary(FILE *f, const json_t *doc)
{
	fprintf(f, "policy ");
	render_escaped(f, doc_str(doc, "name"));
	fprintf(f, "%s: %lld rules, %lld contexts, %lld file types, %lld bytes, %lld warning%s\n",
		doc_bool(doc, "permissive") ? " (PERMISSIVE)" : "", doc_int(doc, "rules"), doc_int(doc, "contexts"),
		doc_int(doc, "types"), doc_int(doc, "size"), doc_int(doc, "warnings"),
		doc_int(doc, "warnings") == 1 ? "" : "s");
	fprintf(f, "digest %s\n", doc_str(doc, "digest"));
	if (*doc_str(doc, "must_allow")) {
		fprintf(f, "must-allow list: ");
		render_escaped(f, doc_str(doc, "must_allow"));
		fputc('\n', f);
	}
}

int cmd_policy_check(struct cli *c, struct err *e)
{
	struct source s;
	json_t *doc = NULL;
	int r;

	source_init(&s);
	r = build(c, &s, NULL, 0, e);
	if (r == 0) {
		doc = summary(&s);
		r = lockout_check(c, &s.image, false, doc, e);
	}
	if (r == 0)
		r = cli_show(c, doc, render_policy_summary);
	else
		json_decref(doc);
	source_fini(&s);
	return r;
}

int cmd_policy_compile(struct cli *c, struct err *e)
{
	const char *out = cli_opt(c, "out");
	struct source s;
	size_t base_len;
	u8 *base;
	int r;

	if (!out)
		return err_set(e, -DSI_EUSAGE, "--out FILE is required");
	r = read_base(c, &base, &base_len, e);
	if (r < 0)
		return r;
	source_init(&s);
	r = build(c, &s, base, base_len, e);
	if (r == 0)
		r = files_write(out, 0644, true, s.bytes.data, s.bytes.len, e);
	if (r == 0)
		r = cli_show(c, summary(&s), render_policy_summary);
	source_fini(&s);
	free(base);
	return r;
}

/* ---- diff --------------------------------------------------------------------------------------------- */

/* One side: a source (file or directory) or an image. Compared by names, so numbers do not matter. */
static int load_side(struct cli *c, struct source *s, const char *path, struct err *e)
{
	int r;

	source_init(s);
	r = source_load(s, &path, 1, e);
	if (r == 0) {
		r = source_compile(s, NULL, 0, e);
		if (r < 0)
			show_diags(c, s);
	}
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}

static json_t *diff_doc(const char *text)
{
	json_t *lines = json_array();

	while (*text) {
		size_t n = strcspn(text, "\n");

		json_array_append_new(lines, json_stringn(text, n));
		text += n + (text[n] == '\n');
	}
	return json_pack("{s:o}", "lines", lines);
}

static int diff(struct cli *c, const struct image *old, const struct image *now, u32 max, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int r = f ? difftext_print(f, old, now, max, e) : err_set(e, -DSI_ENOMEM, "out of memory");

	if (f)
		fclose(f);
	if (r == 0 && c->format == CLI_TEXT)
		fputs(text, c->out);
	if (r == 0 && c->format == CLI_JSON)
		r = cli_show(c, diff_doc(text), NULL);
	free(text);
	return r;
}

int cmd_policy_diff(struct cli *c, struct err *e)
{
	const char *m = cli_opt(c, "max");
	struct source old, now;
	u64 max = 0;
	int r = m ? args_u64(m, UINT32_MAX, &max, e) : 0;

	if (r < 0)
		return r;
	r = load_side(c, &old, c->args[0], e);
	if (r == 0) {
		r = load_side(c, &now, c->args[1], e);
		if (r == 0)
			r = diff(c, &old.image, &now.image, (u32)max, e);
		source_fini(&now);
	}
	source_fini(&old);
	return r;
}

/* ---- explain ------------------------------------------------------------------------------------------ */

struct question {
	const char *own;
	struct dsi_rule_key key;
	u32 perm;
};

static int find_sid(const struct image *img, const char *name, u32 *ret, struct err *e)
{
	if (image_sid_by_name(img, name, ret))
		return 0;
	return err_set(e, -DSI_ENOENT, "policy %s has no context or file type \"%s\"", img->name, name);
}

static int find_perms(u32 cls, const char *names, u32 *ret, struct err *e)
{
	char copy[128], *save = NULL;

	*ret = 0;
	snprintf(copy, sizeof(copy), "%s", names);
	for (char *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
		u32 bit = vocab_perm(cls, p);

		if (!bit)
			return err_set(e, -DSI_EUSAGE, "class %s has no permission \"%s\"", image_class_name(cls), p);
		*ret |= bit;
	}
	return *ret ? 0 : err_set(e, -DSI_EUSAGE, "no permission given");
}

static int tcp_key(const struct cli *c, const struct image *img, struct question *q, struct err *e)
{
	const char *port = cli_opt(c, "port"), *peer = cli_opt(c, "peer");
	u64 n = 0;
	int r = port ? args_u64(port, 65535, &n, e) : 0;

	if (r < 0)
		return r;
	q->key.qual = (dsi_u16)image_pclass_of(img, (u16)n);
	if (q->perm & (DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN))
		q->key.tsid = q->key.ssid;
	else if (q->perm & DSI_PERM_TCP_CONNECT)
		q->key.tsid = DSI_SID_ANY;
	if (peer && !strcmp(peer, "outside"))
		q->key.nclass = DSI_NCLASS_OUTSIDE;
	else if (peer)
		q->key.nclass = (dsi_u16)image_nclass_of(img, peer);
	return 0;
}

static int socket_key(const struct cli *c, struct question *q, struct err *e)
{
	const char *kind = cli_opt(c, "socket"), *comma = kind ? strchr(kind, ',') : NULL;
	char family[32];
	int f, t;

	if (!comma)
		return err_set(e, -DSI_EUSAGE, "class socket needs --socket FAMILY,TYPE, such as inet,dgram");
	snprintf(family, sizeof(family), "%.*s", (int)MIN(comma - kind, 31), kind);
	f = vocab_family(family);
	t = vocab_socktype(comma + 1);
	if (f < 0 || t < 0)
		return err_set(e, -DSI_EUSAGE, "unknown socket family or type \"%s\"", kind);
	q->key.qual = DSI_SOCKET_QUAL(f, t);
	q->key.tsid = q->key.ssid;
	return 0;
}

/* SUBJECT TARGET CLASS PERMS -> the key the kernel would ask. */
static int make_question(const struct cli *c, const struct image *img, struct question *q, struct err *e)
{
	const char *target = c->args[1];
	int r = find_sid(img, c->args[0], &q->key.ssid, e);

	q->own = cli_opt(c, "node") ? cli_opt(c, "node") : "";
	q->key.cls = vocab_class(c->args[2]);
	if (r == 0 && !q->key.cls)
		r = err_set(e, -DSI_EUSAGE, "unknown class \"%s\": file, process, tcp or socket", c->args[2]);
	if (r == 0)
		r = find_perms(q->key.cls, c->args[3], &q->perm, e);
	if (r < 0)
		return r;
	if (*target == '/')
		q->key.tsid = image_type_of_path(img, target);
	else if (!strcmp(target, "self"))
		q->key.tsid = q->key.ssid;
	else if (strcmp(target, "any") && (r = find_sid(img, target, &q->key.tsid, e)) < 0)
		return r;
	if (q->key.cls == DSI_CLASS_TCP)
		return tcp_key(c, img, q, e);
	return q->key.cls == DSI_CLASS_SOCKET ? socket_key(c, q, e) : 0;
}

static void render_decision(FILE *f, const json_t *doc)
{
	const char *s = doc_str(doc, "why");

	fprintf(f, "%s: ", doc_str(doc, "verdict"));
	render_escaped(f, doc_str(doc, "question"));
	fputc('\n', f);
	while (*s) {
		char one[1024];
		size_t n = strcspn(s, "\n");

		snprintf(one, sizeof(one), "%.*s", (int)MIN(n, sizeof(one) - 1), s);
		fprintf(f, "  ");
		render_escaped(f, one);
		fputc('\n', f);
		s += n + (s[n] == '\n');
	}
}

static int explain(struct cli *c, const struct image *img, struct err *e)
{
	static const char *const verdict[] = { [IMAGE_REFUSED] = "refused", [IMAGE_PERMISSIVE] = "permissive",
					       [IMAGE_UNCONFINED] = "unconfined", [IMAGE_ALLOWED] = "allowed" };
	struct question q = { 0 };
	char why[2048], text[512];
	enum image_verdict v;
	int r = make_question(c, img, &q, e);

	if (r < 0)
		return r;
	v = image_explain(img, q.own, &q.key, q.perm, why, sizeof(why));
	image_key_text(img, &q.key, q.perm, text, sizeof(text));
	r = cli_show(c, json_pack("{s:s, s:b, s:s, s:s}", "verdict", verdict[v], "allowed", v != IMAGE_REFUSED, "question",
				  text, "why", why), render_decision);
	return r < 0 ? r : v == IMAGE_REFUSED ? 1 : 0;
}

int cmd_policy_explain(struct cli *c, struct err *e)
{
	const char *paths[CLI_MAX_VALUES];
	struct source s;
	int n = 0, r;

	while ((paths[n] = cli_opt_nth(c, "policy", n)))
		n++;
	if (n == 0)
		return err_set(e, -DSI_EUSAGE, "--policy FILE, DIR or IMAGE is required (policy show --out gives the one "
			       "in force)");
	source_init(&s);
	r = source_load(&s, paths, n, e);
	if (r == 0) {
		r = source_compile(&s, NULL, 0, e);
		if (r < 0)
			show_diags(c, &s);
	}
	if (r == 0)
		r = explain(c, &s.image, e);
	source_fini(&s);
	return r;
}
