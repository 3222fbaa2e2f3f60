/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as policy text: no crash, no leak, no endless loop; what compiles opens, prints, parses again
 * to the same text, and answers.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/compile.h"
#include "policies/compiler/diff.h"
#include "policies/compiler/load.h"
#include "policies/compiler/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA = 256 << 20, TEXT = 64 << 10 };

struct run {
	struct arena arena;
	struct policy *policy;
	struct diag_list diags;
	struct wbuf canonical;
};

static void must(bool true_)
{
	if (!true_)
		abort();
}

static void line(void *arg, char sign, const char *text)
{
	*(size_t *)arg += strlen(text) + (sign == '+');
}

static int load(struct run *r, const char *text, size_t len)
{
	int code;

	arena_init(&r->arena, ARENA);
	diag_init(&r->diags);
	wbuf_init(&r->canonical, 1 << 24);
	code = policy_load_text("fuzz", text, len, &r->arena, &r->policy, &r->diags);
	if (!code)
		must(!policy_print(r->policy, &r->canonical));
	else
		must(r->diags.errors > 0);
	return code;
}

static void unload(struct run *r)
{
	wbuf_fini(&r->canonical);
	arena_fini(&r->arena);
}

static void compile(struct run *r)
{
	struct image img;
	struct wbuf out;
	size_t n = 0;

	wbuf_init(&out, IMAGE_SIZE_MAX);
	if (!policy_compile(r->policy, NULL, NULL, &out, &r->diags)) {
		must(!image_open(&img, out.data, out.len, NULL));
		must(policy_image_text(&img, &r->arena, line, &n) > 0);
	} else {
		must(r->diags.errors > 0);
	}
	wbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run a, b;
	struct wbuf messages;
	char *text;

	if (size > TEXT)
		return 0;
	text = malloc(size ? size : 1);
	must(text != NULL);
	memcpy(text, data, size);
	if (!load(&a, text, size)) {
		must(!load(&b, (const char *)a.canonical.data, a.canonical.len));
		must(a.canonical.len == b.canonical.len);
		must(!a.canonical.len || !memcmp(a.canonical.data, b.canonical.data, a.canonical.len));
		unload(&b);
		compile(&a);
	}
	wbuf_init(&messages, 1 << 24);
	diag_render(a.policy, &a.diags, &messages);
	must(wbuf_ok(&messages));
	wbuf_fini(&messages);
	unload(&a);
	free(text);
	return 0;
}
