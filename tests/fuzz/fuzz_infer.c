/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a list of files, a unit and a configuration file (parted by two NULs): a reason, or a draft that compiles
 * with the base policy. Threat: a package's texts put a statement of their own into the draft that root reads over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/compile.h"
#include "policies/compiler/infer.h"
#include "policies/compiler/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What of policies/base a draft uses, and what would clash with it. */
static const char base[] =
	"domain default { unconfined; } domain dsi { exec /usr/sbin/dsid, /usr/sbin/dsi-ss; } domain dsi_admin { exec /usr/sbin/dsi-admin; }\n"
	"files system { /usr; } files etc { /etc; } files null_devices { /dev/null; } files run { /run; /run/lock; }\n"
	"files var { /var; /var/cache; /var/lib; /var/spool; } files srv { /srv; } files log { /var/log; } files secrets { /etc/ssh; }\n"
	"files cluster_config { /etc/corosync; /var/lib/pacemaker; } set base_read = system, etc;\n";

static const char *same(void *ctx, const char *path)
{
	(void)ctx;
	return path;
}

static void compiles(struct wbuf *w)
{
	static struct diag_list diags;
	struct wbuf image, text;
	struct policy *p;
	struct arena arena;
	size_t n = w->len;
	int r;

	wbuf_bytes(w, base, sizeof(base) - 1);
	arena_init(&arena, 256 << 20);
	diag_init(&diags);
	wbuf_init(&image, 16 << 20);
	r = policy_load_text("draft", (const char *)w->data, w->len, &arena, &p, &diags);
	if (!r)
		r = policy_compile(p, NULL, NULL, &image, &diags);
	if (r) {
		wbuf_init(&text, 1 << 20);
		diag_render(p, &diags, &text);
		fprintf(stderr, "%.*s\n%.*s\n", (int)text.len, (const char *)text.data, (int)n, (const char *)w->data);
		abort();
	}
	wbuf_fini(&image);
	arena_fini(&arena);
}

static size_t part(const char *s, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (!s[i] && !s[i + 1])
			return i;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct infer_text t[3] = { { "pkg", NULL, 0 }, { "/lib/systemd/system/x.service", NULL, 0 }, { "/etc/x/x.conf", NULL, 0 } };
	struct infer_service s[2] = { { "pkg", &t[0], &t[1], &t[2], 1, 1, 1 }, { "redis", &t[0], &t[1], &t[2], 1, 1, 1 } };
	char *copy = malloc(size + 1);
	size_t at = 0;
	struct wbuf w;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	copy[size] = '\0';
	for (int i = 0; i < 3 && at < size; i++) {
		t[i].s = copy + at;
		t[i].n = i < 2 ? part(t[i].s, size - at) : size - at;
		at += t[i].n + 2;
	}
	for (int i = 0; i < 3; i++)
		t[i].s = t[i].s ? t[i].s : copy + size;
	for (u32 n = 1; n <= 2; n++) {
		wbuf_init(&w, 16 << 20);
		if (!infer_draft(s, n, n == 2, same, NULL, &w, NULL))
			compiles(&w);
		wbuf_fini(&w);
	}
	free(copy);
	return 0;
}
