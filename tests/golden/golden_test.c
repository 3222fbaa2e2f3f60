/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies as data: tests/golden/policy/CASE.dsp, compiled together with policies/base when its first line
 * is `# with base`, must give exactly
 *	CASE.diag        what the compiler says
 *	CASE.image.txt   the image in words, when there is one (for a case with the base: what it adds to it)
 *	CASE.verdicts    the answers to the case's questions, when it asks any: comment lines
 *	                 #? NODE SUBJECT TARGET CLASS PERM[,PERM] [port N] [from|to NODE|outside]
 *	                 #? NODE DOMAIN socket FAMILY TYPE
 * tests/golden/policy/v1/CASE.dspi are images of format 1 as CASE.dsp beside it (and the base of that day) once compiled:
 * kept as bytes, they must go on opening, meaning and answering the same.
 * UPDATE=1 writes these files instead; the review decides. Run from the top of the tree.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/compile.h"
#include "policies/compiler/diff.h"
#include "policies/compiler/load.h"
#include "policies/compiler/vocab.h"
#include "tests/unit/lib_check.h"

#define DIR_NAME "tests/golden/policy"

enum { CASES_MAX = 200, WORDS = 10 };

static char *cases[CASES_MAX];
static int n_cases;

struct golden {
	const char *name;
	struct arena arena;
	struct policy *policy;
	struct diag_list diags;
	struct wbuf bytes, text;
	struct image img;
	bool with_base, old; /* old: its image is kept, not compiled */
};

static void put(struct wbuf *w, const char *s)
{
	wbuf_bytes(w, s, strlen(s));
}

static char *read_text(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "r");
	char *s;
	long n;

	if (!f)
		return NULL;
	ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
	n = ftell(f);
	ck_assert_int_eq(fseek(f, 0, SEEK_SET), 0);
	s = calloc(1, (size_t)n + 1);
	*ret_len = fread(s, 1, (size_t)n, f);
	(void)fclose(f);
	return s;
}

/* What was made against what is stored; an empty text means there is no file. */
static void settle(struct golden *g, const char *suffix)
{
	char path[500];
	size_t len = 0;
	char *stored;

	(void)snprintf(path, sizeof(path), DIR_NAME "/%s%s", g->name, suffix);
	if (getenv("UPDATE")) {
		FILE *f;

		(void)remove(path);
		if (!g->text.len)
			return;
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		(void)fwrite(g->text.data, 1, g->text.len, f);
		ck_assert_int_eq(fclose(f), 0);
		return;
	}
	stored = read_text(path, &len);
	ck_assert_msg(len == g->text.len && (!len || !memcmp(stored, g->text.data, len)),
		      "%s differs (UPDATE=1 rewrites). Now:\n%.*s", path, (int)g->text.len, g->text.data);
	free(stored);
}

static void put_line(void *arg, char sign, const char *line)
{
	struct wbuf *w = arg;

	if (sign != '+')
		wbuf_u8(w, (u8)sign);
	put(w, line);
	put(w, "\n");
}

static void open_file(const char *path, struct wbuf *bytes, struct image *ret)
{
	struct err e = { 0 };
	size_t len = 0;
	char *p = read_text(path, &len);

	ck_assert_msg(p != NULL, "%s", path);
	wbuf_bytes(bytes, p, len);
	free(p);
	ck_assert_msg(!image_open(ret, bytes->data, bytes->len, &e), "%s: %s", path, e.text);
}

/* The base alone, to show only what a case adds. */
static void open_base(struct golden *g, struct wbuf *bytes, struct image *ret)
{
	static const char *const paths[] = { "policies/base" };
	static struct diag_list d;
	struct policy *p;

	diag_init(&d);
	ck_assert_int_eq(policy_load_files(paths, 1, &g->arena, &p, &d, NULL), 0);
	ck_assert_int_eq(policy_compile(p, NULL, NULL, bytes, &d), 0);
	ck_assert_int_eq(image_open(ret, bytes->data, bytes->len, NULL), 0);
}

static void settle_image(struct golden *g)
{
	struct image base;
	struct wbuf bytes;
	char head[200];

	wbuf_init(&bytes, IMAGE_SIZE_MAX);
	if (g->with_base && g->old)
		open_file(DIR_NAME "/v1/base.dspi", &bytes, &base);
	else if (g->with_base)
		open_base(g, &bytes, &base);
	(void)snprintf(head, sizeof(head), "# %u rules in the image, node classes %u, port classes %u\n",
		       image_count(&g->img, IMAGE_RULES), g->img.nclass_end - DSI_NCLASS_FIRST, g->img.pclass_end);
	put(&g->text, head);
	ck_assert_int_ge(policy_diff(g->with_base ? &base : NULL, &g->img, &g->arena, put_line, &g->text), 0);
	settle(g, ".image.txt");
	wbuf_fini(&bytes);
}

static u32 perms_of(u32 cls, char *word)
{
	u32 bits = 0;
	char *save = NULL;

	for (char *p = strtok_r(word, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		ck_assert_msg(vocab_perm(cls, p), "no permission %s", p);
		bits |= vocab_perm(cls, p);
	}
	return bits;
}

static u32 sid_of(const struct golden *g, const char *name)
{
	u32 sid = 0;

	ck_assert_msg(image_sid_by_name(&g->img, name, &sid), "%s: no name %s", g->name, name);
	return sid;
}

static void answer(struct golden *g, char *line)
{
	static const char *const verdicts[] = { "REFUSED", "permissive", "unconfined", "allowed" };
	struct dsi_rule_key key = { .nclass = DSI_NCLASS_LOCAL };
	char *w[WORDS], *save = NULL, why[2000];
	enum image_verdict v;
	u32 n = 0, perm;

	put(&g->text, line);
	put(&g->text, "\n    ");
	for (char *s = strtok_r(line, " \t", &save); s && n < WORDS; s = strtok_r(NULL, " \t", &save))
		w[n++] = s;
	ck_assert_msg(n >= 5, "%s: question too short", g->name);
	key.ssid = sid_of(g, w[1]);
	if (!strcmp(w[2], "socket")) {
		key.cls = DSI_CLASS_SOCKET;
		key.tsid = key.ssid;
		key.qual = DSI_SOCKET_QUAL(vocab_family(w[3]), vocab_socktype(w[4]));
		perm = DSI_PERM_SOCKET_CREATE;
	} else {
		key.cls = vocab_class(w[3]);
		key.tsid = strcmp(w[2], "self") ? sid_of(g, w[2]) : key.ssid;
		perm = perms_of(key.cls, w[4]);
		for (u32 i = 5; i + 1 < n; i += 2) {
			if (!strcmp(w[i], "port"))
				key.qual = (u16)image_pclass_of(&g->img, (u16)atoi(w[i + 1]));
			else
				key.nclass = (u16)(strcmp(w[i + 1], "outside") ? image_nclass_of(&g->img, w[i + 1]) : DSI_NCLASS_OUTSIDE);
		}
	}
	v = image_explain(&g->img, w[0], &key, perm, why, sizeof(why));
	put(&g->text, verdicts[v]);
	put(&g->text, ": ");
	put(&g->text, why);
	put(&g->text, "\n");
}

static void settle_verdicts(struct golden *g, const char *source)
{
	char line[500];

	wbuf_reset(&g->text);
	for (const char *s = strstr(source, "#? "); s; s = strstr(s + 1, "#? ")) {
		(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(s + 3, "\n"), s + 3);
		answer(g, line);
	}
	settle(g, ".verdicts");
}

static void run_case(struct golden *g, const char *source)
{
	char path[300];
	const char *paths[] = { path, "policies/base" };
	struct err e = { .code = 0 };
	int r;

	(void)snprintf(path, sizeof(path), DIR_NAME "/%s.dsp", g->name);
	r = policy_load_files(paths, g->with_base ? 2 : 1, &g->arena, &g->policy, &g->diags, &e);
	ck_assert_msg(!e.code, "%s", e.text);
	if (!r)
		r = policy_compile(g->policy, NULL, NULL, &g->bytes, &g->diags);
	diag_render(g->policy, &g->diags, &g->text);
	settle(g, ".diag");
	wbuf_reset(&g->text);
	if (r)
		return;
	ck_assert_int_eq(image_open(&g->img, g->bytes.data, g->bytes.len, NULL), 0);
	settle_image(g);
	settle_verdicts(g, source);
}

static char *begin(struct golden *g) /* the policy's text */
{
	char path[300], *source;
	size_t len;

	(void)snprintf(path, sizeof(path), DIR_NAME "/%s.dsp", g->name);
	source = read_text(path, &len);
	ck_assert_ptr_nonnull(source);
	g->with_base = !strncmp(source, "# with base", strlen("# with base"));
	arena_init(&g->arena, POLICY_ARENA_LIMIT);
	diag_init(&g->diags);
	wbuf_init(&g->bytes, IMAGE_SIZE_MAX);
	wbuf_init(&g->text, 16 << 20);
	return source;
}

static void end(struct golden *g, char *source)
{
	wbuf_fini(&g->bytes);
	wbuf_fini(&g->text);
	arena_fini(&g->arena);
	free(source);
}

START_TEST(golden_case)
{
	static struct golden g;
	char *source;

	g.name = cases[_i];
	source = begin(&g);
	run_case(&g, source);
	end(&g, source);
}
END_TEST

static const char *const kept[] = { "v1/empty", "v1/places", "v1/spelling", "v1/two-tier-web" };

static void compiles_the_same(struct golden *g)
{
	char path[300];
	const char *paths[] = { path };
	struct wbuf now;

	wbuf_init(&now, IMAGE_SIZE_MAX);
	(void)snprintf(path, sizeof(path), DIR_NAME "/%s.dsp", g->name);
	ck_assert_int_eq(policy_load_files(paths, 1, &g->arena, &g->policy, &g->diags, NULL), 0);
	ck_assert_int_eq(policy_compile(g->policy, NULL, NULL, &now, &g->diags), 0);
	ck_assert_msg(now.len == g->bytes.len && !memcmp(now.data, g->bytes.data, now.len), "%s: other bytes", path);
	wbuf_fini(&now);
}

/* What is kept opens and answers as it did; what of it stands alone still compiles to the same bytes. */
START_TEST(kept_image)
{
	static struct golden g;
	char path[300], *source;

	g = (struct golden){ .name = kept[_i], .old = true };
	source = begin(&g);
	(void)snprintf(path, sizeof(path), DIR_NAME "/%s.dspi", g.name);
	open_file(path, &g.bytes, &g.img);
	if (!g.with_base)
		compiles_the_same(&g);
	ck_assert_uint_eq(g.img.format, 1);
	settle_image(&g);
	settle_verdicts(&g, source);
	end(&g, source);
}
END_TEST

static int is_case(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len > 4 && !strcmp(d->d_name + len - 4, ".dsp");
}

static void find_cases(void)
{
	struct dirent **list;
	int n = scandir(DIR_NAME, &list, is_case, alphasort);

	for (int i = 0; i < n; i++) {
		if (n_cases < CASES_MAX)
			cases[n_cases++] = strndup(list[i]->d_name, strlen(list[i]->d_name) - 4);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

int main(void)
{
	Suite *s = suite_create("golden");
	TCase *tc = tcase_create("policy");
	int failed;

	find_cases();
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, golden_case, 0, n_cases);
	tcase_add_loop_test(tc, kept_image, 0, sizeof(kept) / sizeof(kept[0]));
	suite_add_tcase(s, tc);
	failed = check_main(s);
	for (int i = 0; i < n_cases; i++)
		free(cases[i]);
	if (!n_cases)
		(void)fprintf(stderr, "no cases in " DIR_NAME ": run from the top of the tree\n");
	return failed || !n_cases;
}
