/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration: every type, its bounds, and errors that say where and what was probably meant. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/conf.h"
#include "tests/unit/lib_check.h"

struct cfg {
	char name[8];
	u32 port;
	u64 bytes, wait;
	bool on;
	u32 mode;
	char peers[16];
	u32 inner;
};
static const char *const modes[] = { "off", "permissive", "enforcing", NULL };
#define AT(m) CONF_AT(struct cfg, m)
static const struct conf_key keys[] = {
	{ "", "name", CONF_STR, AT(name), .help = "A name." },
	{ "", "port", CONF_U32, AT(port), .min = 1, .max = 65535, .value = "5405", .help = "A port." },
	{ "", "bytes", CONF_U64, AT(bytes), .value = "2k" },
	{ "", "wait", CONF_MS, AT(wait), .min = 10, .max = 60000, .value = "3s" },
	{ "", "on", CONF_BOOL, AT(on), .value = "yes" },
	{ "", "mode", CONF_ENUM, AT(mode), .choices = modes, .value = "enforcing" },
	{ "", "peer", CONF_LIST, AT(peers) },
	{ "deep", "port", CONF_U32, AT(inner), .value = "7" },
};

static struct cfg c;
static struct err e;

static int parse(const char *text)
{
	memset(&c, 0xaa, sizeof(c));
	memset(&e, 0, sizeof(e));
	return conf_parse(keys, ARRAY_SIZE(keys), "t.conf", text, strlen(text), &c, &e);
}

START_TEST(defaults_are_a_configuration)
{
	ck_assert_int_eq(parse(""), 0);
	ck_assert_str_eq(c.name, "");
	ck_assert_uint_eq(c.port, 5405);
	ck_assert_uint_eq(c.bytes, 2048);
	ck_assert_uint_eq(c.wait, 3000000000ull);
	ck_assert(c.on);
	ck_assert_uint_eq(c.mode, 2);
	ck_assert_str_eq(c.peers, "");
	ck_assert_uint_eq(c.inner, 7);
}
END_TEST

START_TEST(values)
{
	ck_assert_int_eq(parse("# head\n\n  name =  a b \t\nport=1 # end\nbytes = 3G\nwait = 500\non = off\nmode = permissive\r\n"
			       "peer = x\npeer = y:1\n[deep] # here\nport = 65536"), 0);
	ck_assert_str_eq(c.name, "a b");
	ck_assert_uint_eq(c.port, 1);
	ck_assert_uint_eq(c.bytes, 3ull << 30);
	ck_assert_uint_eq(c.wait, 500000000ull);
	ck_assert(!c.on);
	ck_assert_uint_eq(c.mode, 1);
	ck_assert_str_eq(c.peers, "x\ny:1\n");
	ck_assert_uint_eq(c.inner, 65536);
	ck_assert_int_eq(parse("name = \" #x \" # c"), 0);
	ck_assert_str_eq(c.name, " #x ");
}
END_TEST

START_TEST(errors_say_where_and_what)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "prot = 1", "t.conf:1:1: unknown key prot, did you mean port" },
		{ "\n  colour = 1", "t.conf:2:3: unknown key colour" },
		{ "port = 0", "t.conf:1:8: out of range" },
		{ "port = 65536", "t.conf:1:8: out of range" },
		{ "port = -1", "t.conf:1:8: a number is wanted" },
		{ "port = 5x", "t.conf:1:8: a number is wanted" },
		{ "port =", "t.conf:1:7: a number is wanted" },
		{ "bytes = 99999999999999999999", "t.conf:1:9: number too large" },
		{ "bytes = 18446744073709551615k", "t.conf:1:9: number too large" },
		{ "wait = 2h", "t.conf:1:8: out of range" },
		{ "wait = 5 s", "t.conf:1:8: a duration is wanted: 500ms, 3s, 5m, 1h" },
		{ "on = maybe", "t.conf:1:6: yes or no is wanted" },
		{ "mode = of", "t.conf:1:8: not one of its values" },
		{ "name = 12345678", "t.conf:1:8: too long" },
		{ "name = \"x", "t.conf:1:7: quotes do not match" },
		{ "name = \"x\" y", "t.conf:1:7: quotes do not match" },
		{ "port = 1\nport = 1", "t.conf:2:1: given twice: port" },
		{ "peer = 12345678\npeer = 12345678", "t.conf:2:8: too many" },
		{ "port", "t.conf:1:1: key = value is wanted" },
		{ "[deep", "t.conf:1:1: a section is written [name]" },
		{ "[deep] x", "t.conf:1:1: a section is written [name]" },
		{ "[shallow]", "t.conf:1:1: unknown section shallow" },
		{ "[deep]\nname = x", "t.conf:2:1: unknown key name" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(bad[i].text) == -DSI_ECONFIG, "%s", bad[i].text);
		ck_assert_str_eq(e.text, bad[i].error);
	}
	ck_assert_int_eq(conf_parse(keys, ARRAY_SIZE(keys), "t", "na\0me = 1", 9, &c, &e), -DSI_ECONFIG);
}
END_TEST

START_TEST(files)
{
	char path[] = "/tmp/dsi-conf-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_eq((int)write(fd, "port = 9\n", 9), 9);
	close(fd);
	ck_assert_int_eq(conf_load(keys, ARRAY_SIZE(keys), path, false, &c, &e), 0);
	ck_assert_uint_eq(c.port, 9);
	unlink(path);
	ck_assert_int_eq(conf_load(keys, ARRAY_SIZE(keys), path, false, &c, &e), -DSI_ENOENT);
	ck_assert_int_eq(conf_load(keys, ARRAY_SIZE(keys), path, true, &c, &e), 0);
	ck_assert_uint_eq(c.port, 5405);
}
END_TEST

/* The printed sample, taken as it is or with its comment marks removed, gives the defaults. */
START_TEST(sample_parses_to_the_defaults)
{
	char text[4096] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");
	struct cfg want;

	conf_print_defaults(keys, ARRAY_SIZE(keys), f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "[deep]\n\n"));
	ck_assert_int_eq(parse(text), 0);
	want = c;
	for (char *p = text; (p = strstr(p, "\n#")); p++) {
		if (p[2] != ' ')
			p[1] = ' ';
	}
	ck_assert_msg(!parse(text), "%s\n%s", e.text, text);
	ck_assert_uint_eq(c.wait, want.wait);
	ck_assert_uint_eq(c.inner, want.inner);
}
END_TEST

LIB_TESTS("conf", defaults_are_a_configuration, values, errors_say_where_and_what, files, sample_parses_to_the_defaults)
