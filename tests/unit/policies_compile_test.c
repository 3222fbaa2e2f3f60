/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/compile: stable SIDs, determinism, limits, speed; diff, must-allow and load beside it. */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policies/compiler/diff.h"
#include "policies/compiler/mustallow.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/policies_fixture.h"

static struct built *based(const char *text, const struct image *base)
{
	struct built *b = built_new(text, strlen(text), base);

	ck_assert_msg(!b->code, "%s", (char *)b->messages.data);
	return b;
}

START_TEST(same_text_same_bytes)
{
	static const char text[] = "policy \"p\" { } domain b { exec /b; } domain a { exec /a; } files t { /t; } allow a t:file { read };";
	struct built *a = built_good(text), *b = built_good(text);

	ck_assert_uint_eq(a->bytes.len, b->bytes.len);
	ck_assert_int_eq(memcmp(a->bytes.data, b->bytes.data, a->bytes.len), 0);
	ck_assert_uint_eq(sid_of(&a->img, "a"), DSI_SID_FIRST);
	ck_assert_uint_eq(sid_of(&a->img, "b"), DSI_SID_FIRST + 1);
	ck_assert_uint_eq(sid_of(&a->img, "t"), DSI_SID_FIRST + 2);
	built_free(a);
	built_free(b);
}
END_TEST

START_TEST(a_base_keeps_sids_and_retires_names)
{
	struct built *one = built_good("policy \"p\" { } domain a { exec /a; } domain b { exec /b; } files t { /t; }");
	struct built *two = based("policy \"p\" { } domain aa { exec /aa; } domain b { exec /b; } files a { /t; }", &one->img);
	struct built *three = based("policy \"p\" { } domain a { exec /a; } domain zz { exec /z; } files t { /t; }", &two->img);

	/* b stays; a is now a file type: a new number; a and t are retired */
	ck_assert_uint_eq(sid_of(&two->img, "b"), 65);
	ck_assert_uint_eq(sid_of(&two->img, "a"), 67);
	ck_assert_uint_eq(sid_of(&two->img, "aa"), 68);
	ck_assert_uint_eq(image_count(&two->img, IMAGE_RETIRED), 2);
	ck_assert_uint_eq(image_retired(&two->img, 0).sid, 64);
	ck_assert_str_eq(image_sid_name(&two->img, 64), "a");
	ck_assert_str_eq(image_retired(&two->img, 1).name, "t");
	/* the context a and the type t come back as what they were; nothing is given twice */
	ck_assert_uint_eq(sid_of(&three->img, "a"), 64);
	ck_assert_uint_eq(sid_of(&three->img, "t"), 66);
	ck_assert_uint_eq(sid_of(&three->img, "zz"), 69);
	ck_assert_uint_eq(image_count(&three->img, IMAGE_RETIRED), 3);
	built_free(one);
	built_free(two);
	built_free(three);
}
END_TEST

START_TEST(the_base_digest_is_carried)
{
	static const u8 digest[IMAGE_DIGEST_LEN] = { 1, 2, 3 };
	struct built *one = built_good("policy \"p\" { }");
	struct arena arena;
	struct diag_list d;
	struct policy *p;
	struct wbuf out;
	struct image img;

	arena_init(&arena, 64 << 20);
	diag_init(&d);
	wbuf_init(&out, IMAGE_SIZE_MAX);
	ck_assert_int_eq(policy_load_text("x", "policy \"p\" { }", 14, &arena, &p, &d), 0);
	ck_assert_int_eq(policy_compile(p, &one->img, digest, &out, &d), 0);
	ck_assert_int_eq(image_open(&img, out.data, out.len, NULL), 0);
	ck_assert_int_eq(memcmp(image_base_digest(&img), digest, sizeof(digest)), 0);
	wbuf_fini(&out);
	arena_fini(&arena);
	built_free(one);
}
END_TEST

/* Fail the n-th byte of the arena, for growing n, until it succeeds: an error each time, never a crash. */
START_TEST(every_lack_of_memory_is_an_error)
{
	static const char text[] =
		"policy \"p\" { } nodes g = n1; set s = t; domain a { exec /a; } files t { /t; } allow a s:file { read };"
		"allow a@g a@*:tcp { connect } port 1; never a t:file { write }; allow a nope:file { read };";
	u32 failures = 0;

	for (int good = 0; good < 2; good++)
		for (size_t limit = 64; limit < 8 << 20; limit += limit / 8) {
			size_t len = good ? (size_t)(strstr(text, "allow a nope") - text) : strlen(text);
			struct arena arena;
			static struct diag_list d;
			struct policy *p = NULL;
			struct wbuf out, messages;
			int r;

			arena_init(&arena, limit);
			diag_init(&d);
			wbuf_init(&out, IMAGE_SIZE_MAX);
			wbuf_init(&messages, 1 << 20);
			r = policy_load_text("x", text, len, &arena, &p, &d);
			if (!r)
				r = policy_compile(p, NULL, NULL, &out, &d);
			if (r)
				ck_assert(r == -DSI_ENOMEM || r == -DSI_EPARSE);
			else
				ck_assert(good && !arena.failed);
			failures += r == -DSI_ENOMEM;
			if (p)
				diag_render(p, &d, &messages);
			wbuf_fini(&out);
			wbuf_fini(&messages);
			arena_fini(&arena);
		}
	ck_assert_uint_gt(failures, 20);
}
END_TEST

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct wbuf *w, const char *fmt, ...) DSI_PRINTF(2, 3);

static void add(struct wbuf *w, const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	wbuf_bytes(w, buf, (size_t)n);
}

/* 1000 domains, 1000 types, 100 groups of nodes, 200 port lists. */
static void hundred_thousand_rules(struct wbuf *w)
{
	add(w, "policy \"big\" { mode enforcing; }\n");
	for (u32 i = 0; i < 1000; i++)
		add(w, "domain d%u { exec /bin/d%u; }\nfiles t%u { /data/t%u; }\n", i, i, i, i);
	for (u32 i = 0; i < 100; i++)
		add(w, "nodes g%u = n%u, n%u;\n", i, i, i + 1);
	for (u32 i = 0; i < 100000; i++) {
		if (i % 10 == 0)
			add(w, "allow d%u@g%u d%u@g%u:tcp { connect } port %u;\n", i % 1000, i % 97, i / 1000, i % 89, 1000 + i % 200);
		else if (i % 10 == 1)
			add(w, "allow d%u d%u:process { signal };\n", i % 1000, i / 100);
		else
			add(w, "allow d%u t%u:file { read write };\n", i % 1000, i / 100);
	}
	add(w, "never d1 t999:file { delete };\n");
}

START_TEST(a_hundred_thousand_rules)
{
	struct wbuf text;
	struct built *b;
	double start, took, opened;
	struct image img;

	wbuf_init(&text, 32 << 20);
	hundred_thousand_rules(&text);
	ck_assert(wbuf_ok(&text));
	start = now();
	b = built_new((char *)text.data, text.len, NULL);
	took = now() - start;
	ck_assert_msg(!b->code, "%.*s", 2000, (char *)b->messages.data);
	start = now();
	ck_assert_int_eq(image_open(&img, b->bytes.data, b->bytes.len, NULL), 0);
	opened = now() - start;
	printf("100000 rules, %zu bytes of text: %u keys, image of %zu bytes in %.3f s, opened in %.3f s\n", text.len,
	       image_count(&b->img, IMAGE_RULES), b->bytes.len, took, opened);
	fflush(stdout);
	ck_assert(took < 25);
	built_free(b);
	wbuf_fini(&text);
}
END_TEST

START_TEST(limits_are_errors)
{
	struct wbuf w;
	struct built *b;

	wbuf_init(&w, 32 << 20);
	add(&w, "policy \"p\" { }\ndomain a { exec /a; }\n");
	for (u32 i = 0; i < 5000; i++)
		add(&w, "allow a self:tcp { bind } port %u;\n", 2 * i);
	b = built_new((char *)w.data, w.len, NULL);
	ck_assert_int_eq(b->code, -DSI_ELIMIT);
	ck_assert_ptr_nonnull(strstr((char *)b->messages.data, "more than 4096 different port lists"));
	built_free(b);
	wbuf_reset(&w);
	add(&w, "policy \"p\" { }\ndomain a { exec /a; }\n");
	for (u32 i = 0; i < 4000; i++)
		add(&w, "allow a self:tcp { bind } port %u;\n", 2 * i);
	for (u32 i = 0; i < 400; i++)
		add(&w, "domain d%u { exec /d%u; }\nallow d%u self:tcp { bind };\n", i, i, i);
	b = built_new((char *)w.data, w.len, NULL);
	ck_assert_int_eq(b->code, -DSI_ELIMIT);
	ck_assert_ptr_nonnull(strstr((char *)b->messages.data, "name fewer ports or groups"));
	built_free(b);
	wbuf_reset(&w);
	add(&w, "policy \"p\" { }\n");
	for (u32 i = 0; i < 260; i++)
		add(&w, "nodes g%u = n%u;\n", i, i);
	b = built_new((char *)w.data, w.len, NULL);
	ck_assert_int_eq(b->code, -DSI_ELIMIT);
	ck_assert_ptr_nonnull(strstr((char *)b->messages.data, "classes of nodes"));
	built_free(b);
	wbuf_fini(&w);
}
END_TEST

START_TEST(set_depth_and_cycles)
{
	struct wbuf w;

	wbuf_init(&w, 1 << 20);
	add(&w, "policy \"p\" { }\nset s0 = default;\n");
	for (u32 i = 1; i < 40; i++)
		add(&w, "set s%u = s%u;\n", i, i - 1);
	wbuf_u8(&w, 0);
	built_free(built_text((char *)w.data)); /* declared bottom up: each is flat when the next needs it */
	wbuf_reset(&w);
	for (u32 i = 0; i < 100; i++)
		add(&w, "set s%u = s%u;\n", i, i + 1);
	add(&w, "set s100 = default;");
	wbuf_u8(&w, 0);
	built_says((char *)w.data, "sets nested deeper than 32");
	built_says("set a = b; set b = a;", "contains itself");
	wbuf_fini(&w);
}
END_TEST

struct seen {
	char text[4000];
};

static void see(void *arg, char sign, const char *line)
{
	struct seen *s = arg;
	size_t len = strlen(s->text);

	(void)snprintf(s->text + len, sizeof(s->text) - len, "%c%s\n", sign, line);
}

START_TEST(diff_speaks_in_rules)
{
	struct built *a = built_good("policy \"p\" { }\nnodes g = n1;\ndomain a { exec /a; }\nfiles t { /t; }\n"
				     "allow a t:file { read };\nallow a@g a@*:tcp { connect } port 80;");
	struct built *b = based("policy \"p\" { mode permissive; } domain a { exec /a; permissive; } files t { /t2; } nodes g = n1;\n\n"
				"allow a@g a@*:tcp { connect } port 80, 443;\nallow a t:file { write };", &a->img);
	struct seen s = { "" };

	ck_assert_int_eq(policy_diff(&a->img, &a->img, &a->arena, see, &s), 0);
	ck_assert_int_gt(policy_diff(&a->img, &b->img, &a->arena, see, &s), 0);
	ck_assert_str_eq(s.text, "-allow a any:tcp { connect } port 80 to any member on n1\n"
				 "-allow a any:tcp { connect } port 80 to the same node on n1\n"
				 "+allow a any:tcp { connect } port 80, 443 to any member on n1\n"
				 "+allow a any:tcp { connect } port 80, 443 to the same node on n1\n"
				 "-allow a self:tcp { accept } port 80 from n1\n"
				 "-allow a self:tcp { accept } port 80 from the same node on n1\n"
				 "+allow a self:tcp { accept } port 80, 443 from n1\n"
				 "+allow a self:tcp { accept } port 80, 443 from the same node on n1\n"
				 "-allow a t:file { read }\n"
				 "+allow a t:file { write }\n"
				 "-domain a\n"
				 "+domain a permissive\n"
				 "-files t /t\n"
				 "+files t /t2\n"
				 "-policy \"p\" enforcing\n"
				 "+policy \"p\" permissive\n");
	built_free(a);
	built_free(b);
}
END_TEST

/* Numbers, files and line breaks differ; the meaning does not. */
START_TEST(diff_sees_no_numbers)
{
	struct built *a = built_good("policy \"p\" { } domain b { exec /b; } allow b self:tcp { bind } port 80-90;");
	struct built *old = built_good("policy \"p\" { } domain a { exec /a; }");
	struct built *b = based("policy \"p\" { }\n\ndomain b { exec /b; }\nallow b self:tcp { bind } port 80-85; allow b self:tcp { bind } port 84-90;",
				&old->img);
	struct seen s = { "" };

	ck_assert_uint_ne(sid_of(&a->img, "b"), sid_of(&b->img, "b"));
	ck_assert_int_eq(policy_diff(&a->img, &b->img, &a->arena, see, &s), 0);
	ck_assert_str_eq(s.text, "");
	built_free(a);
	built_free(b);
	built_free(old);
}
END_TEST

static int must(const struct built *b, const char *list, struct err *e)
{
	return mustallow_check(&b->img, "list", list, strlen(list), NULL, NULL, e);
}

static void count(void *arg, const char *text)
{
	(void)text;
	++*(int *)arg;
}

START_TEST(must_allow_cases)
{
	struct built *b = built_good("policy \"p\" { }\nnodes g = n1;\ndomain sshd { exec /usr/sbin/sshd; }\nfiles etc { /etc; }\n"
				     "allow sshd etc:file { read };\non g { allow sshd etc:file { write }; }\n"
				     "allow sshd self:tcp { bind listen } port 22;\nallow outside sshd:tcp { connect } port 22;\n"
				     "allow sshd socket { inet stream };\nallow sshd@g sshd@*:tcp { connect } port 22;");
	static const char *const bad_lists[] = { "", "# nothing\n", "sshd reads /etc\n", "sshd read\n", "sshd read /etc /usr\n",
						 "nobody read /etc\n", "sshd read etc\n", "sshd listen 70000\n", "sshd listen x\n",
						 "sshd accept 22 member\n", "sshd accept 22 moon\n", "sshd connect 22 moon\n",
						 "sshd socket inet strom\n", "a b c d e f\n", "outside read /etc\n", "sshd" };
	const char list[] = "sshd write /etc\nsshd read /etc\ndefault exec /usr/sbin/sshd\n";
	struct err e;
	int n = 0;

	ck_assert_int_eq(must(b, "/usr/sbin/sshd read /etc/ssh/config # why\nsshd listen 22\nsshd accept 22 outside\nsshd socket inet stream", &e), 0);
	ck_assert_int_eq(must(b, "sshd write /etc/x", &e), -DSI_ENOTSAFE); /* only on n1 */
	ck_assert_ptr_nonnull(strstr(e.text, "list:1: `sshd write /etc/x` would be refused: sshd -> etc: file write"));
	ck_assert_ptr_nonnull(strstr(e.text, "test.dsp:6"));
	ck_assert_int_eq(must(b, "sshd accept 22 member sshd", &e), -DSI_ENOTSAFE); /* only from n1 */
	ck_assert_int_eq(must(b, "sshd listen *", &e), -DSI_ENOTSAFE);
	ck_assert_int_eq(must(b, "default read /etc/x", &e), -DSI_ENOTSAFE); /* default is confined here */
	ck_assert_int_eq(mustallow_check(&b->img, "l", list, strlen(list), count, &n, &e), -DSI_ENOTSAFE);
	ck_assert_int_eq(n, 2);
	for (size_t i = 0; i < ARRAY_SIZE(bad_lists); i++)
		ck_assert_msg(must(b, bad_lists[i], &e) == -DSI_EPARSE, "%s", bad_lists[i]);
	ck_assert_int_eq(mustallow_check(&b->img, "l", "sshd read /etc\0x", 16, NULL, NULL, NULL), -DSI_EPARSE);
	built_free(b);
}
END_TEST

/* The shipped policies pass the shipped list; without `default` being unconfined they do not. */
START_TEST(shipped_policies_pass_must_allow)
{
	static const char *const paths[] = { "policies/base", "policies/examples" };
	static char list[65536];
	FILE *f = fopen("policies/must-allow.list", "r");
	struct built *b = calloc(1, sizeof(*b)), *locked;
	struct err e = { .text = "" };
	size_t len;

	ck_assert_msg(f != NULL, "run from the top of the tree");
	len = fread(list, 1, sizeof(list), f);
	(void)fclose(f);
	arena_init(&b->arena, POLICY_ARENA_LIMIT);
	wbuf_init(&b->bytes, IMAGE_SIZE_MAX);
	ck_assert_int_eq(policy_load_files(paths, 2, &b->arena, &b->policy, &b->diags, &e), 0);
	ck_assert_int_eq(policy_compile(b->policy, NULL, NULL, &b->bytes, &b->diags), 0);
	ck_assert_uint_eq(b->diags.warnings, 0);
	ck_assert_int_eq(image_open(&b->img, b->bytes.data, b->bytes.len, &e), 0);
	ck_assert_msg(!mustallow_check(&b->img, "must-allow.list", list, len, NULL, NULL, &e), "%s", e.text);
	locked = built_good("policy \"locked\" { }");
	ck_assert_int_eq(mustallow_check(&locked->img, "must-allow.list", list, len, NULL, NULL, &e), -DSI_ENOTSAFE);
	built_free(locked);
	built_free(b);
}
END_TEST

static int load(const char *path, struct err *e)
{
	static struct diag_list d;
	struct arena arena;
	struct policy *p;
	int r;

	arena_init(&arena, 64 << 20);
	diag_init(&d);
	r = policy_load_files(&path, 1, &arena, &p, &d, e);
	arena_fini(&arena);
	return r;
}

START_TEST(loading_files_and_directories)
{
	char dir[] = "/tmp/dsi-policy-XXXXXX", path[100];
	struct err e;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(load(dir, &e), -DSI_ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "no *.dsp files"));
	(void)snprintf(path, sizeof(path), "%s/a.dsp", dir);
	ck_assert_int_eq(load(path, &e), -DSI_ENOENT);
	f = fopen(path, "w");
	(void)fputs("policy \"p\" { }\n", f);
	(void)fclose(f);
	ck_assert_int_eq(load(path, &e), 0);
	ck_assert_int_eq(load(dir, &e), 0);
	ck_assert_int_eq(load("/dev/null", &e), -DSI_EIO);
	ck_assert_int_eq(load("", &e), -DSI_ENOENT);
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

LIB_TESTS("policies_compile", same_text_same_bytes, a_base_keeps_sids_and_retires_names, the_base_digest_is_carried,
	  every_lack_of_memory_is_an_error, a_hundred_thousand_rules, limits_are_errors, set_depth_and_cycles,
	  diff_speaks_in_rules, diff_sees_no_numbers, must_allow_cases, shipped_policies_pass_must_allow,
	  loading_files_and_directories)
