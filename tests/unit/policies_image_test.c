/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/image: look-ups, decisions, and a reader that survives any bytes. */
#include "policies/compiler/image_format.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/policies_fixture.h"

static const char two_tier[] =
	"policy \"p\" { mode enforcing; }\n"
	"nodes web = n1; nodes db = n3, n4;\n"
	"domain default { unconfined; }\n"
	"domain nginx { exec /usr/sbin/nginx; }\n"
	"domain redis { exec /usr/bin/redis-check-rdb; permissive; }\n"
	"files root { /; } files system { /usr; } files content { /usr/share/html; }\n"
	"allow nginx content:file { read };\n"
	"on web { allow nginx system:file { map }; }\n"
	"allow nginx self:tcp { bind listen } port 80, 8080-8090;\n"
	"allow nginx@web redis@db:tcp { connect } port 6379;\n"
	"allow outside nginx@web:tcp { connect } port 80;\n"
	"allow stale nginx:tcp { connect } port 80;\n"
	"allow nginx socket { inet stream };\n";

START_TEST(paths_and_execs)
{
	struct built *b = built_good(two_tier);
	const struct image *img = &b->img;
	u32 root = sid_of(img, "root"), content = sid_of(img, "content"), system = sid_of(img, "system");

	ck_assert_uint_eq(image_type_of_path(img, "/usr/share/html/a/b"), content);
	ck_assert_uint_eq(image_type_of_path(img, "/usr/share/html"), content);
	ck_assert_uint_eq(image_type_of_path(img, "/usr/share/htmlx"), system);
	ck_assert_uint_eq(image_type_of_path(img, "/usr"), system);
	ck_assert_uint_eq(image_type_of_path(img, "/us"), root);
	ck_assert_uint_eq(image_type_of_path(img, "/"), root);
	ck_assert_uint_eq(image_type_of_path(img, "usr"), DSI_SID_UNLABELED);
	ck_assert_uint_eq(image_exec_of(img, DSI_SID_DEFAULT, "/usr/sbin/nginx"), sid_of(img, "nginx"));
	ck_assert_uint_eq(image_exec_of(img, DSI_SID_KERNEL, "/usr/sbin/nginx"), DSI_SID_KERNEL);
	built_free(b);
}
END_TEST

START_TEST(names_classes_and_ports)
{
	struct built *b = built_good(two_tier);
	const struct image *img = &b->img;
	u32 sid;

	ck_assert_str_eq(img->name, "p");
	ck_assert_str_eq(image_sid_name(img, sid_of(img, "nginx")), "nginx");
	ck_assert_str_eq(image_sid_name(img, sid_of(img, "content")), "content");
	ck_assert_str_eq(image_sid_name(img, DSI_SID_OUTSIDE), "outside");
	ck_assert_ptr_null(image_sid_name(img, 5000));
	ck_assert(!image_sid_by_name(img, "nobody", &sid));
	ck_assert_uint_eq(image_nclass_of(img, "n1"), 3);
	ck_assert_uint_eq(image_nclass_of(img, "n3"), 4);
	ck_assert_uint_eq(image_nclass_of(img, "n4"), 4);
	ck_assert_uint_eq(image_nclass_of(img, "n2"), DSI_NCLASS_MEMBER);
	ck_assert_uint_eq(image_pclass_of(img, 80), 1);
	ck_assert_uint_eq(image_pclass_of(img, 81), 0);
	ck_assert_uint_eq(image_pclass_of(img, 6379), 2);
	ck_assert_uint_eq(image_pclass_of(img, 8085), 3);
	ck_assert_uint_eq(image_pclass_of(img, 65535), 0);
	built_free(b);
}
END_TEST

START_TEST(decisions)
{
	struct built *b = built_good(two_tier);
	const struct image *img = &b->img;
	u32 nginx = sid_of(img, "nginx"), redis = sid_of(img, "redis"), sys = sid_of(img, "system"), content = sid_of(img, "content");
	u16 p80 = (u16)image_pclass_of(img, 80), p6379 = (u16)image_pclass_of(img, 6379);
	const struct {
		const char *own;
		struct dsi_rule_key key;
		u32 perm;
		enum image_verdict verdict;
	} t[] = {
		{ "n1", { nginx, content, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_READ, IMAGE_ALLOWED },
		{ "n1", { nginx, content, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_READ | DSI_PERM_FILE_WRITE, IMAGE_REFUSED },
		{ "n1", { nginx, sys, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_MAP, IMAGE_ALLOWED },
		{ "n3", { nginx, sys, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_MAP, IMAGE_REFUSED },
		{ "n3", { redis, sys, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_MAP, IMAGE_PERMISSIVE },
		{ "n3", { DSI_SID_DEFAULT, sys, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_WRITE, IMAGE_UNCONFINED },
		{ "n3", { DSI_SID_KERNEL, sys, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_WRITE, IMAGE_REFUSED },
		{ "n3", { DSI_SID_DEFAULT, redis, 0, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_UNCONFINED },
		{ "n3", { DSI_SID_DEFAULT, redis, 3, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_REFUSED },
		{ "n3", { nginx, redis, 3, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_ALLOWED },
		{ "n4", { nginx, redis, 3, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_ALLOWED },
		{ "n3", { nginx, redis, 4, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_REFUSED },
		{ "n1", { nginx, redis, 3, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_REFUSED },
		{ "n1", { nginx, DSI_SID_ANY, 4, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_CONNECT, IMAGE_ALLOWED },
		{ "n1", { nginx, DSI_SID_ANY, 4, p80, DSI_CLASS_TCP }, DSI_PERM_TCP_CONNECT, IMAGE_REFUSED },
		{ "n1", { nginx, DSI_SID_ANY, 1, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_CONNECT, IMAGE_REFUSED },
		{ "n1", { DSI_SID_OUTSIDE, nginx, 1, p80, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_ALLOWED },
		{ "n3", { DSI_SID_OUTSIDE, nginx, 1, p80, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_REFUSED },
		{ "n9", { DSI_SID_STALE, nginx, 2, p80, DSI_CLASS_TCP }, DSI_PERM_TCP_ACCEPT, IMAGE_ALLOWED },
		{ "n1", { nginx, nginx, 0, p80, DSI_CLASS_TCP }, DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN, IMAGE_ALLOWED },
		{ "n1", { nginx, nginx, 0, p6379, DSI_CLASS_TCP }, DSI_PERM_TCP_BIND, IMAGE_REFUSED },
		{ "n1", { nginx, nginx, 0, DSI_SOCKET_QUAL(2, 1), DSI_CLASS_SOCKET }, DSI_PERM_SOCKET_CREATE, IMAGE_ALLOWED },
		{ "n1", { nginx, nginx, 0, DSI_SOCKET_QUAL(2, 2), DSI_CLASS_SOCKET }, DSI_PERM_SOCKET_CREATE, IMAGE_REFUSED },
		{ "n1", { DSI_SID_DEFAULT, nginx, 0, 0, DSI_CLASS_PROCESS }, DSI_PERM_PROCESS_TRANSITION, IMAGE_ALLOWED },
		{ "n1", { DSI_SID_NONE, content, 0, 0, DSI_CLASS_FILE }, DSI_PERM_FILE_READ, IMAGE_REFUSED },
		{ "n1", { nginx, content, 0, 0, DSI_CLASS_FILE }, 0, IMAGE_REFUSED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_msg(image_decide(img, t[i].own, &t[i].key, t[i].perm, NULL) == t[i].verdict, "row %zu", i);
	built_free(b);
}
END_TEST

/* Every loaded key, asked again, is allowed; keys come ascending, once. */
struct walk {
	const struct image *img;
	const char *own;
	struct dsi_rule_key last;
	u32 n;
};

static int loaded(void *arg, const struct dsi_rule_key *key, const struct dsi_rule_value *value)
{
	struct walk *w = arg;

	ck_assert(value->allow);
	ck_assert_int_eq(image_decide(w->img, w->own, key, value->allow, NULL), IMAGE_ALLOWED);
	ck_assert_int_ne(image_decide(w->img, w->own, key, value->allow | 1u << 31, NULL), IMAGE_ALLOWED);
	if (value->rule != DSI_RULE_NONE)
		ck_assert_uint_eq(image_rule(w->img, value->rule).allow, value->allow);
	if (w->n++)
		ck_assert(w->last.ssid < key->ssid || (w->last.ssid == key->ssid && memcmp(&w->last, key, sizeof(*key))));
	w->last = *key;
	return 0;
}

static int stop_at_once(void *arg, const struct dsi_rule_key *key, const struct dsi_rule_value *value)
{
	(void)key;
	(void)value;
	++*(int *)arg;
	return 42;
}

START_TEST(rules_of_a_node)
{
	static const char *const nodes[] = { "n1", "n2", "n3", "n4", "" };
	struct built *b = built_good(two_tier);
	int calls = 0;

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		struct walk w = { .img = &b->img, .own = nodes[i] };

		ck_assert_int_eq(image_rules_for(&b->img, nodes[i], loaded, &w), 0);
		ck_assert_uint_eq(w.n, image_rules_count_for(&b->img, nodes[i]));
	}
	ck_assert_uint_eq(image_rules_count_for(&b->img, "n3"), image_rules_count_for(&b->img, "n4"));
	ck_assert_uint_gt(image_rules_count_for(&b->img, "n1"), image_rules_count_for(&b->img, "n2"));
	ck_assert_int_eq(image_rules_for(&b->img, "n1", stop_at_once, &calls), 42);
	ck_assert_int_eq(calls, 1);
	built_free(b);
}
END_TEST

START_TEST(explain_names_the_rule)
{
	struct built *b = built_good(two_tier);
	struct dsi_rule_key key = { sid_of(&b->img, "nginx"), sid_of(&b->img, "redis"), 3,
				    (u16)image_pclass_of(&b->img, 6379), DSI_CLASS_TCP };
	char text[500], tiny[8];

	ck_assert_int_eq(image_explain(&b->img, "n3", &key, DSI_PERM_TCP_ACCEPT, text, sizeof(text)), IMAGE_ALLOWED);
	ck_assert_str_eq(text, "allowed by test.dsp:10");
	key.ssid = DSI_SID_OUTSIDE;
	key.nclass = DSI_NCLASS_OUTSIDE;
	ck_assert_int_eq(image_explain(&b->img, "n3", &key, DSI_PERM_TCP_ACCEPT, text, sizeof(text)), IMAGE_REFUSED);
	ck_assert_str_eq(text, "no rule: default deny; nearest:\n"
			       "  test.dsp:11 allows outside -> nginx: tcp accept port 80 from outside, only on n1");
	image_key_text(&b->img, &key, DSI_PERM_TCP_ACCEPT, text, sizeof(text));
	ck_assert_str_eq(text, "outside -> redis: tcp accept port 6379 from outside");
	(void)image_explain(&b->img, "n3", &key, DSI_PERM_TCP_ACCEPT, tiny, sizeof(tiny));
	ck_assert_str_eq(tiny, "no rule");
	key = (struct dsi_rule_key){ 77777, 88888, 99, 5000, 77 };
	(void)image_explain(&b->img, "n3", &key, 1, text, sizeof(text));
	image_key_text(&b->img, &key, 1, text, sizeof(text));
	built_free(b);
}
END_TEST

/* Touch everything that an open image offers. */
static u32 use_all(const struct image *img)
{
	struct dsi_rule_key key = { 64, 65, 0, 0, 1 };
	char text[200];
	u32 sum = 0;

	for (u32 i = 0; i < image_count(img, IMAGE_CONTEXTS); i++)
		sum += (u32)strlen(image_context(img, i).name) + image_context(img, i).line;
	for (u32 i = 0; i < image_count(img, IMAGE_TYPES); i++)
		sum += (u32)strlen(image_type(img, i).name);
	for (u32 i = 0; i < image_count(img, IMAGE_RETIRED); i++)
		sum += (u32)strlen(image_retired(img, i).name);
	for (u32 i = 0; i < image_count(img, IMAGE_PATHS); i++)
		sum += image_type_of_path(img, image_path(img, i).path);
	for (u32 i = 0; i < image_count(img, IMAGE_EXECS); i++)
		sum += image_exec_of(img, image_exec(img, i).from, image_exec(img, i).path);
	for (u32 i = 0; i < image_count(img, IMAGE_NODES); i++)
		sum += image_rules_count_for(img, image_node(img, i).name);
	for (u32 i = 0; i < image_count(img, IMAGE_GROUPS); i++)
		sum += image_group(img, i).classes[0] + (u32)strlen(image_group(img, i).name);
	for (u32 i = 0; i < image_count(img, IMAGE_PORTS); i++)
		sum += image_pclass_of(img, image_ports(img, i).first);
	for (u32 i = 0; i < image_count(img, IMAGE_RULES); i++) {
		struct image_rule r = image_rule(img, i);

		sum += image_explain(img, "n1", &r.key, r.allow, text, sizeof(text)) + (r.where ? r.where[0] : 0);
	}
	return sum + image_decide(img, "n1", &key, 1, NULL) + (u32)strlen(img->name);
}

static int open_copy(const u8 *bytes, size_t len)
{
	u8 *exact = malloc(len ? len : 1); /* exactly as long, so that ASan sees a byte too far */
	struct image img;
	int r;

	memcpy(exact, bytes, len);
	r = image_open(&img, exact, len, NULL);
	if (!r)
		(void)use_all(&img);
	free(exact);
	return r;
}

/* The same policy on a base that knew more: an image with rows in every section of format 1. */
static struct built *with_retired(void)
{
	static const char old[] = "policy \"old\" { } domain gone { exec /gone; } files lost { /lost; }";
	struct built *base = built_good(old), *b = built_new(two_tier, strlen(two_tier), &base->img);

	ck_assert_int_eq(b->code, 0);
	for (u32 s = 0; s < IMAGE_SECTION_COUNT_1; s++)
		ck_assert_uint_gt(image_count(&b->img, s), 0);
	built_free(base);
	return b;
}

START_TEST(every_truncation_is_refused)
{
	struct built *b = with_retired();

	for (size_t len = 0; len < b->bytes.len; len++)
		ck_assert_int_lt(open_copy(b->bytes.data, len), 0);
	ck_assert_int_eq(open_copy(b->bytes.data, b->bytes.len), 0);
	wbuf_u8(&b->bytes, 0);
	ck_assert_int_eq(open_copy(b->bytes.data, b->bytes.len), -DSI_ETRAIL);
	built_free(b);
}
END_TEST

START_TEST(every_changed_byte_is_survived)
{
	static const u8 flips[] = { 0x01, 0x02, 0x10, 0x80, 0xff };
	struct built *b = with_retired();
	u32 accepted = 0;

	for (size_t i = 0; i < b->bytes.len; i++)
		for (size_t k = 0; k < ARRAY_SIZE(flips); k++) {
			b->bytes.data[i] ^= flips[k];
			accepted += !open_copy(b->bytes.data, b->bytes.len);
			b->bytes.data[i] ^= flips[k];
		}
	/* what may change: letters of names, lines, flags, permissions, the base digest, ports */
	ck_assert_uint_lt(accepted, b->bytes.len * ARRAY_SIZE(flips) / 2);
	built_free(b);
}
END_TEST

START_TEST(every_word_set_to_an_edge_is_survived)
{
	static const u32 edges[] = { 0, 1, 63, 64, 0x7fffffff, 0xffffffff, 0xffff, 0x100000 };
	struct built *b = with_retired();
	u8 save[4];

	for (size_t i = 0; i + 4 <= b->bytes.len; i += 2)
		for (size_t k = 0; k < ARRAY_SIZE(edges); k++) {
			memcpy(save, b->bytes.data + i, 4);
			for (int n = 0; n < 4; n++)
				b->bytes.data[i + (size_t)n] = (u8)(edges[k] >> 8 * n);
			(void)open_copy(b->bytes.data, b->bytes.len);
			memcpy(b->bytes.data + i, save, 4);
		}
	built_free(b);
}
END_TEST

START_TEST(other_formats_are_told_apart)
{
	struct built *b = built_good(two_tier);
	struct err e;
	struct image img;

	b->bytes.data[4] = 3;
	ck_assert_int_eq(image_open(&img, b->bytes.data, b->bytes.len, &e), -DSI_EVERSION);
	ck_assert_str_eq(e.text, "policy image: format 3, this program knows 1 to 2: bring its package up to date");
	b->bytes.data[4] = 0;
	ck_assert_int_eq(image_open(&img, b->bytes.data, b->bytes.len, &e), -DSI_EVERSION);
	b->bytes.data[4] = 2; /* format 1's header under that name */
	ck_assert_int_lt(image_open(&img, b->bytes.data, b->bytes.len, &e), 0);
	b->bytes.data[0] = 'X';
	ck_assert_int_eq(image_open(&img, b->bytes.data, b->bytes.len, &e), -DSI_EPARSE);
	ck_assert_str_eq(e.text, "not a policy image");
	built_free(b);
}
END_TEST

/* What uses nothing of format 2 is written as format 1, and means the same in both. */
START_TEST(both_formats_are_read)
{
	struct built *b = with_retired();
	struct wbuf two;
	struct image img;
	struct err e;

	ck_assert_uint_eq(b->img.format, 1);
	ck_assert_uint_eq(image_level(&b->img), KNOWS_FIRST);
	to_format_2(b->bytes.data, b->bytes.len, &two);
	ck_assert_msg(!image_open(&img, two.data, two.len, &e), "%s", e.text);
	ck_assert_uint_eq(img.format, 2);
	ck_assert_uint_eq(image_level(&img), KNOWS_IMAGE_2);
	for (u32 s = 0; s < IMAGE_SECTION_COUNT; s++) {
		ck_assert_uint_eq(image_count(&img, s), image_count(&b->img, s));
		ck_assert(s < IMAGE_SECTION_COUNT_1 || !image_count(&b->img, s));
	}
	ck_assert_uint_eq(use_all(&img), use_all(&b->img));
	for (size_t len = 0; len < two.len; len++)
		ck_assert_int_lt(open_copy(two.data, len), 0);
	wbuf_u8(&two, 0);
	ck_assert_int_eq(open_copy(two.data, two.len), -DSI_ETRAIL);
	wbuf_fini(&two);
	built_free(b);
}
END_TEST

/* A row that this program has no meaning for may be the refusal: nothing of such an image is used. */
START_TEST(rows_without_a_meaning_are_refused)
{
	struct built *b = built_good(two_tier);

	for (u32 s = IMAGE_SECTION_COUNT_1; s < IMAGE_SECTION_COUNT; s++) {
		struct image img = { .format = 77 };
		struct wbuf two;
		struct err e;

		to_format_2(b->bytes.data, b->bytes.len, &two);
		two.data[IMAGE_OFF_SECTIONS + s * 12 + 8] = 1;
		ck_assert_int_eq(image_open(&img, two.data, two.len, &e), -DSI_EVERSION);
		ck_assert_msg(strstr(e.text, "has 1 rows that this program does not know") != NULL, "%s", e.text);
		ck_assert_uint_eq(img.format, 77);
		wbuf_fini(&two);
	}
	built_free(b);
}
END_TEST

START_TEST(path_syntax)
{
	static const char *const good[] = { "/", "/a", "/a/b", "/a.b", "/..a", "/a b", "/.a", "/a..", "/\xc3\xa4" };
	static const char *const bad[] = { "", "a", "//", "/a/", "/a//b", "/.", "/..", "/a/.", "/a/../b", "/./a", "/a\nb", "/a\x7f" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(!image_path_invalid(good[i], strlen(good[i])), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(image_path_invalid(bad[i], strlen(bad[i])) != NULL, "%s", bad[i]);
}
END_TEST

LIB_TESTS("policies_image", paths_and_execs, names_classes_and_ports, decisions, rules_of_a_node, explain_names_the_rule,
	  every_truncation_is_refused, every_changed_byte_is_survived, every_word_set_to_an_edge_is_survived,
	  other_formats_are_told_apart, both_formats_are_read, rows_without_a_meaning_are_refused, path_syntax)
