/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "lib/crypto.h"
#include "policies/compiler/load.h"

void source_init(struct source *s)
{
	memset(s, 0, sizeof(*s));
	arena_init(&s->arena, POLICY_ARENA_LIMIT);
	diag_init(&s->diags);
	wbuf_init(&s->bytes, IMAGE_SIZE_MAX);
}

void source_fini(struct source *s)
{
	free(s->stdin_text);
	wbuf_fini(&s->bytes);
	arena_fini(&s->arena);
	memset(s, 0, sizeof(*s));
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static bool is_image(const char *path)
{
	char magic[4];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool is = fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) && !memcmp(magic, "DSIP", sizeof(magic));

	if (fd >= 0)
		close(fd);
	return is;
}

static int load_image(struct source *s, const char *path, struct err *e)
{
	u8 *p;
	size_t n;
	int r = files_read(path, IMAGE_SIZE_MAX, &p, &n, e);

	if (r < 0)
		return r;
	wbuf_bytes(&s->bytes, p, n);
	free(p);
	return wbuf_ok(&s->bytes) ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

static int load_stdin(struct source *s, struct err *e)
{
	size_t n;
	int r = files_read("-", POLICY_FILE_SIZE_MAX, &s->stdin_text, &n, e);

	if (r < 0)
		return r;
	return policy_load_text("stdin", (const char *)s->stdin_text, n, &s->arena, &s->policy, &s->diags);
}

int source_load(struct source *s, const char *const *paths, int n, struct err *e)
{
	int r;

	if (n == 1 && is_image(paths[0]))
		return load_image(s, paths[0], e);
	for (int i = 0; i < n; i++)
		if (strcmp(paths[i], "-") && is_image(paths[i]))
			return err_set(e, -DSI_EUSAGE, "%s is a compiled image; it stands alone", paths[i]);
	if (n == 1 && !strcmp(paths[0], "-"))
		r = load_stdin(s, e);
	else
		r = policy_load_files(paths, (size_t)n, &s->arena, &s->policy, &s->diags, e);
	if (r == -DSI_EPARSE || (r < 0 && s->diags.errors))
		return 0; /* source_compile() tells, after the diagnostics were shown */
	return r < 0 && e && !e->text[0] ? err_set(e, r, "cannot read the policy: %s", err_text(r)) : r;
}

int source_open_image(const char *path, u8 **ret_bytes, size_t *ret_len, struct image *ret, struct err *e)
{
	int r = files_read(path, IMAGE_SIZE_MAX, ret_bytes, ret_len, e);

	if (r < 0)
		return r;
	r = image_open(ret, *ret_bytes, *ret_len, e);
	if (r < 0) {
		free(*ret_bytes);
		*ret_bytes = NULL;
		return err_wrap(e, "%s", path);
	}
	return 0;
}

/* ---- compiling ---------------------------------------------------------------------------------------- */

static int errors_found(const struct source *s, struct err *e)
{
	return err_set(e, -DSI_EPARSE, "%u error%s in the policy", s->diags.errors, s->diags.errors == 1 ? "" : "s");
}

static int compile(struct source *s, const u8 *base, size_t base_len, struct err *e)
{
	struct image base_image;
	u8 digest[CRYPTO_HASH];
	int r;

	if (s->diags.errors)
		return errors_found(s, e);
	if (base) {
		r = image_open(&base_image, base, base_len, e);
		if (r < 0)
			return err_wrap(e, "base image");
		r = crypto_sha256(base, base_len, digest);
		if (r < 0)
			return err_set(e, r, "cannot hash the base image");
	}
	r = policy_compile(s->policy, base ? &base_image : NULL, base ? digest : NULL, &s->bytes, &s->diags);
	if (r < 0 && s->diags.errors)
		return errors_found(s, e);
	return r < 0 ? err_set(e, r, "cannot compile: %s", err_text(r)) : 0;
}

int source_compile(struct source *s, const u8 *base, size_t base_len, struct err *e)
{
	int r = s->policy ? compile(s, base, base_len, e) : 0;

	return r < 0 ? r : image_open(&s->image, s->bytes.data, s->bytes.len, e);
}

void source_digest(const struct source *s, char ret_hex[65])
{
	u8 digest[CRYPTO_HASH];

	ret_hex[0] = 0;
	if (crypto_sha256(s->bytes.data, s->bytes.len, digest) == 0)
		crypto_hex(digest, sizeof(digest), ret_hex);
}

/* ---- showing ------------------------------------------------------------------------------------------ */

void source_show_diags(struct source *s, FILE *f)
{
	struct wbuf w;

	if (!s->policy)
		return;
	wbuf_init(&w, 1 << 20);
	diag_render(s->policy, &s->diags, &w);
	if (w.len)
		fwrite(w.data, 1, w.len, f);
	wbuf_fini(&w);
}

json_t *source_diags(const struct source *s)
{
	static const char *const severity[] = { "error", "warning", "note" };
	json_t *a = json_array();

	for (u32 i = 0; i < s->diags.n; i++) {
		const struct diag *d = &s->diags.items[i];
		const char *file = d->pos.line && d->pos.file < s->policy->n_files ?
			s->policy->files[d->pos.file].name : "";

		json_array_append_new(a, json_pack("{s:s, s:s, s:i, s:i, s:s}", "severity", severity[d->severity], "file",
						   file, "line", (int)d->pos.line, "column", (int)d->pos.col, "text",
						   d->text));
	}
	return a;
}
