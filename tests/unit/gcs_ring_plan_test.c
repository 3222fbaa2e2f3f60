/* SPDX-License-Identifier: GPL-2.0-or-later */
/* corosync.conf: what is read, what is refused and where, what changes and what does not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/ring_plan.h"
#include "tests/unit/lib_check.h"

/* As pcs writes it. */
static const char pcs[] =
	"totem {\n"
	"    version: 2\n"
	"    cluster_name: hacluster\n"
	"    transport: knet\n"
	"    ip_version: ipv4-6\n"
	"    link_mode: passive\n"
	"    token: 30000\n"
	"    crypto_cipher: aes256\n"
	"    crypto_hash: sha256\n"
	"    interface {\n"
	"        linknumber: 0\n"
	"        knet_transport: udp\n"
	"    }\n"
	"}\n"
	"\n"
	"nodelist {\n"
	"    node {\n"
	"        ring0_addr: 192.168.1.11\n"
	"        ring1_addr: 10.0.0.11\n"
	"        name: alpha\n"
	"        nodeid: 1\n"
	"    }\n"
	"\n"
	"    node {\n"
	"        ring0_addr: 192.168.1.12\n"
	"        ring1_addr: 10.0.0.12\n"
	"        name: beta\n"
	"        nodeid: 2\n"
	"    }\n"
	"}\n"
	"\n"
	"quorum {\n"
	"    provider: corosync_votequorum\n"
	"    two_node: 1\n"
	"    wait_for_all: 1\n"
	"}\n"
	"\n"
	"logging {\n"
	"    to_logfile: yes\n"
	"    logfile: /var/log/cluster/corosync.log\n"
	"    to_syslog: yes\n"
	"    timestamp: on\n"
	"}\n";

/* As Debian ships it, commented, tabs, filled in by hand; as our lab writes it would be a third of the same. */
static const char debian[] =
	"# Please read the corosync.conf.5 manual page\n"
	"system {\n"
	"\tallow_knet_handle_fallback: yes\n"
	"}\n"
	"\n"
	"totem {\n"
	"\tversion: 2\n"
	"\t# Corosync itself works without a cluster name\n"
	"\tcluster_name: debian\n"
	"\tconfig_version: 41\n"
	"\tsecauth: on\n"
	"}\n"
	"quorum {\n"
	"\tprovider: corosync_votequorum\n"
	"\texpected_votes: 3\n"
	"}\n"
	"nodelist {\n"
	"\t# the first\n"
	"\tnode {\n"
	"\t\tname: node1\n"
	"\t\tnodeid: 1\n"
	"\t\tring0_addr: fd00::1\n"
	"\t}\n"
	"\tnode {\n"
	"\t\tname: node2\n"
	"\t\tnodeid: 2\n"
	"\t\tring0_addr: fd00::2\n"
	"\t}\n"
	"\tnode {\n"
	"\t\tname: node3\n"
	"\t\tnodeid: 3\n"
	"\t\tring0_addr: fd00::3\n"
	"\t}\n"
	"}\n";

static struct ring_conf conf;
static struct err err;

static int parse(const char *text)
{
	err = (struct err){ 0 };
	return ring_plan_read(&conf, "corosync.conf", text, strlen(text), &err);
}

START_TEST(reads_pcs)
{
	ck_assert_msg(parse(pcs) == 0, "%s", err.text);
	ck_assert_str_eq(conf.cluster_name, "hacluster");
	ck_assert_uint_eq(conf.config_version, 0);
	ck_assert_uint_eq(conf.n_node, 2);
	ck_assert_str_eq(conf.node[1].name, "beta");
	ck_assert_uint_eq(conf.node[1].n_addr, 2);
	ck_assert_str_eq(conf.node[1].addr[1], "10.0.0.12");
	ck_assert(conf.two_node && !conf.expected_votes && !conf.tabs);
	ck_assert_int_eq(ring_plan_crypto(&conf, "corosync.conf", &err), 0);
	ck_assert_ptr_eq(ring_plan_find(&conf, "alpha"), &conf.node[0]);
	ck_assert_ptr_null(ring_plan_find(&conf, "gamma"));
}
END_TEST

START_TEST(reads_debian)
{
	ck_assert_msg(parse(debian) == 0, "%s", err.text);
	ck_assert_uint_eq(conf.config_version, 41);
	ck_assert_uint_eq(conf.n_node, 3);
	ck_assert_str_eq(conf.transport, "knet");
	ck_assert_str_eq(conf.cipher, "aes256"); /* secauth */
	ck_assert_str_eq(conf.hash, "sha256");
	ck_assert_uint_eq(conf.expected_votes, 3);
	ck_assert_int_eq(ring_plan_crypto(&conf, "corosync.conf", &err), 0);
}
END_TEST

START_TEST(crypto)
{
	static const struct { const char *lines; bool on; } t[] = {
		{ "", false },
		{ "crypto_cipher: aes256\n", false },
		{ "crypto_hash: sha256\n", false },
		{ "crypto_cipher: none\ncrypto_hash: sha256\n", false },
		{ "crypto_cipher: aes256\ncrypto_hash: sha256\n", true },
		{ "secauth: on\n", true },
		{ "secauth: off\n", false },
		{ "secauth: on\ncrypto_cipher: none\n", false },
		{ "secauth: on\ntransport: udpu\n", false },
	};
	char text[512];

	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		snprintf(text, sizeof(text), "totem {\n%s}\nnodelist {\n}\n", t[i].lines);
		ck_assert_int_eq(parse(text), 0);
		ck_assert_int_eq(ring_plan_crypto(&conf, "corosync.conf", &err), t[i].on ? 0 : -DSI_ECONFIG);
	}
	ck_assert_ptr_nonnull(strstr(err.text, "transport: knet"));
	parse("totem {\n}\nnodelist {\n}\n");
	ck_assert_int_eq(ring_plan_crypto(&conf, "corosync.conf", &err), -DSI_ECONFIG);
	ck_assert_ptr_nonnull(strstr(err.text, "crypto_cipher: aes256"));
}
END_TEST

START_TEST(refused_with_place)
{
	static const struct { const char *text, *where; } t[] = {
		{ "totem {\n", "line 1, column 1: a section is not closed" },
		{ "}\n", "line 1, column 1: '}' without a section" },
		{ "totem {\n} x\n", "line 2, column 2: nothing may follow '}'" },
		{ "totem { version: 2\n}\n", "line 1, column 9: nothing may follow '{'" },
		{ "totem {\n  version 2\n}\n", "line 2, column 11: '{' or ':'" },
		{ "totem {\n  version:\n}\n", "line 2, column 11: the value is missing" },
		{ "totem {\n  version: {2\n}\n", "line 2, column 12: braces" },
		{ "totem {\n  ?\n}\n", "line 2, column 3: neither" },
		{ "totem {\n  config_version: 1x\n}\n", "line 2, column 19: not a number" },
		{ "totem {\n  config_version: 99999999999999999999\n}\n", "not a number, or too large" },
		{ "totem {\n  config_version: 1\n  config_version: 2\n}\n", "line 3, column 1: given twice" },
		{ "totem {\n}\ntotem {\n}\n", "line 3, column 1: given twice" },
		{ "totem {\n}\nnodelist {\n}\nnodelist {\n}\n", "line 6, column 1: given twice" },
		{ "totem {\n}\n", "no nodelist section" },
		{ "nodelist {\n}\n", "no totem section" },
		{ "", "no totem section" },
		{ "a {\nb {\nc {\nd {\ne {\n", "line 5, column 1: sections are nested too deep" },
		{ "totem {\r\n}\n", "line 1, column 8: a control character" },
		{ "nodelist {\n node {\n nodeid: 1\n }\n}\n", "line 4, column 1: this node has no ring0_addr" },
		{ "nodelist {\n node {\n ring0_addr: a\n ring2_addr: b\n }\n}\n", "have a hole" },
		{ "nodelist {\n node {\n ring0_addr: a\n ring0_addr: b\n }\n}\n", "line 4, column 1: given twice" },
		{ "nodelist {\n node {\n ring0_addr: a\n }\n node {\n ring0_addr: a\n }\n}\n", "two nodes with one name" },
		{ "nodelist {\n node {\n ring0_addr: a\n nodeid: 4294967296\n }\n}\n", "not a number, or too large" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		ck_assert_msg(parse(t[i].text) == -DSI_EPARSE, "%s", t[i].text);
		ck_assert_msg(strstr(err.text, t[i].where) != NULL, "%u: %s", i, err.text);
		ck_assert_ptr_nonnull(strstr(err.text, "corosync.conf: "));
	}
	char *huge = calloc(1, RING_CONF_MAX + 1);

	ck_assert_int_eq(ring_plan_read(&conf, "c", huge, RING_CONF_MAX + 1, &err), -DSI_ELIMIT);
	ck_assert_int_eq(ring_plan_read(&conf, "c", huge, 10, &err), -DSI_EPARSE);
	free(huge);
}
END_TEST

/* The expected new text: `from` replaced by `to`, once each, in order. */
static char *expect(const char *text, const char *const *pairs)
{
	char *out = strdup(text);

	for (; *pairs; pairs += 2) {
		char *at = strstr(out, pairs[0]), *next;
		size_t n = strlen(out) + strlen(pairs[1]) + 1;

		ck_assert_msg(at != NULL, "%s", pairs[0]);
		next = malloc(n);
		snprintf(next, n, "%.*s%s%s", (int)(at - out), out, pairs[1], at + strlen(pairs[0]));
		free(out);
		out = next;
	}
	return out;
}

static void same(const struct wbuf *w, const char *text, const char *const *pairs)
{
	char *want = expect(text, pairs);
	char *got = strndup((const char *)w->data, w->len);

	ck_assert_str_eq(got, want);
	free(want);
	free(got);
}

START_TEST(drops)
{
	struct wbuf w;

	wbuf_init(&w, RING_CONF_MAX);
	ck_assert_msg(ring_plan_drop("c", debian, strlen(debian), "node2", 0, &w, &err) == 0, "%s", err.text);
	same(&w, debian, (const char *const[]){ "config_version: 41", "config_version: 42", "expected_votes: 3", "expected_votes: 2",
					  "\tnode {\n\t\tname: node2\n\t\tnodeid: 2\n\t\tring0_addr: fd00::2\n\t}\n", "", NULL });
	wbuf_reset(&w);
	ck_assert_int_eq(ring_plan_drop("c", debian, strlen(debian), "node9", 0, &w, &err), -DSI_ENOENT);
	ck_assert_int_eq(ring_plan_drop("c", debian, strlen(debian), "node2", 41, &w, &err), -DSI_ESTALE);
	ck_assert_uint_eq(w.len, 0);
	ck_assert_int_eq(ring_plan_drop("c", debian, strlen(debian), "node2", 100, &w, &err), 0);
	ck_assert_ptr_nonnull(memmem(w.data, w.len, "config_version: 100\n", 20));
	wbuf_fini(&w);
}
END_TEST

START_TEST(drops_to_one)
{
	struct wbuf w, v;

	wbuf_init(&w, RING_CONF_MAX);
	wbuf_init(&v, RING_CONF_MAX);
	ck_assert_int_eq(ring_plan_drop("c", pcs, strlen(pcs), "alpha", 0, &w, &err), 0);
	same(&w, pcs, (const char *const[]){ "totem {\n", "totem {\n    config_version: 1\n", "two_node: 1", "two_node: 0",
		"    node {\n        ring0_addr: 192.168.1.11\n        ring1_addr: 10.0.0.11\n        name: alpha\n        nodeid: 1\n    }\n",
		"", NULL });
	ck_assert_int_eq(ring_plan_drop("c", (const char *)w.data, w.len, "beta", 0, &v, &err), -DSI_ENOTSAFE);
	wbuf_fini(&w);
	wbuf_fini(&v);
}
END_TEST

START_TEST(adds)
{
	struct ring_node n = { .name = "node4", .addr = { "fd00::4" }, .n_addr = 1 };
	struct wbuf w;

	wbuf_init(&w, RING_CONF_MAX);
	ck_assert_msg(ring_plan_add("c", debian, strlen(debian), &n, 0, &w, &err) == 0, "%s", err.text);
	same(&w, debian, (const char *const[]){ "41", "42", "expected_votes: 3", "expected_votes: 4", "fd00::3\n\t}\n",
		"fd00::3\n\t}\n\tnode {\n\t\tnodeid: 4\n\t\tname: node4\n\t\tring0_addr: fd00::4\n\t}\n", NULL });
	wbuf_reset(&w);
	n = (struct ring_node){ .name = "gamma", .nodeid = 7, .addr = { "192.168.1.13", "10.0.0.13" }, .n_addr = 2 };
	ck_assert_int_eq(ring_plan_add("c", pcs, strlen(pcs), &n, 5, &w, &err), 0);
	same(&w, pcs, (const char *const[]){ "totem {\n", "totem {\n    config_version: 5\n", "nodeid: 2\n    }\n",
		"nodeid: 2\n    }\n    node {\n        nodeid: 7\n        name: gamma\n        ring0_addr: 192.168.1.13\n"
		"        ring1_addr: 10.0.0.13\n    }\n", "two_node: 1", "two_node: 0", NULL });
	wbuf_fini(&w);
}
END_TEST

START_TEST(add_refused)
{
	static const struct { struct ring_node n; int code; } t[] = {
		{ { .name = "node1", .addr = { "fd00::9" }, .n_addr = 1 }, -DSI_EEXIST },
		{ { .name = "node9", .nodeid = 3, .addr = { "fd00::9" }, .n_addr = 1 }, -DSI_EEXIST },
		{ { .name = "node9", .addr = { "fd00::2" }, .n_addr = 1 }, -DSI_EEXIST },
		{ { .name = "node9", .addr = { "fd00::9", "fd01::9" }, .n_addr = 2 }, -DSI_EINVAL },
		{ { .name = "node9" }, -DSI_EINVAL },
		{ { .name = "", .addr = { "fd00::9" }, .n_addr = 1 }, -DSI_EINVAL },
		{ { .name = "n\n}\nx", .addr = { "fd00::9" }, .n_addr = 1 }, -DSI_EINVAL },
		{ { .name = "node9", .addr = { "fd00::9\n}" }, .n_addr = 1 }, -DSI_EINVAL },
		{ { .name = "node9", .addr = { "" }, .n_addr = 1 }, -DSI_EINVAL },
	};
	struct wbuf w;

	wbuf_init(&w, RING_CONF_MAX);
	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		ck_assert_int_eq(ring_plan_add("c", debian, strlen(debian), &t[i].n, 0, &w, &err), t[i].code);
		ck_assert_uint_eq(w.len, 0);
	}
	wbuf_fini(&w);
}
END_TEST

/* Out and in again is the same node list but for the order, and drop undoes add. */
START_TEST(there_and_back)
{
	struct ring_node n = { .name = "node4", .addr = { "fd00::4" }, .n_addr = 1 };
	struct wbuf w, v;

	wbuf_init(&w, RING_CONF_MAX);
	wbuf_init(&v, RING_CONF_MAX);
	ck_assert_int_eq(ring_plan_add("c", debian, strlen(debian), &n, 0, &w, &err), 0);
	ck_assert_int_eq(ring_plan_drop("c", (const char *)w.data, w.len, "node4", 0, &v, &err), 0);
	same(&v, debian, (const char *const[]){ "config_version: 41", "config_version: 43", NULL });
	wbuf_fini(&w);
	wbuf_fini(&v);
}
END_TEST

/* A member's text: who is on the ring and how it speaks, nothing that names a file, a program or a host to call. */
START_TEST(taken_from_a_member)
{
	static const char peer[] = "# theirs\ntotem {\n version: 2\n config_version: 9\n secauth: on\n keyfile: "
				   "/etc/shadow\n"
				   " interface {\n  linknumber: 0\n  bindnetaddr: 1.2.3.0\n }\n evil {\n  a: b\n  "
				   "deeper {\n   c: d\n  }\n }\n}\n"
				   "nodelist {\n node {\n  name: a\n  nodeid: 1\n  ring0_addr: 10.0.0.1\n  x: y\n "
				   "}\n}\n"
				   "logging {\n logfile: /etc/passwd\n}\nsystem {\n state_dir: /\n}\nquorum {\n "
				   "provider: corosync_votequorum\n}\n";
	static const char own[] = "totem {\n version: 2\n config_version: 1\n secauth: on\n}\nnodelist {\n node {\n  "
				  "name: b\n"
				  "  nodeid: 1\n  ring0_addr: 10.0.0.9\n }\n}\nlogging {\n to_syslog: yes\n}\n";
	static const char shared[] = "totem {\n version: 2\n config_version: 9\n secauth: on\n interface {\n  "
				     "linknumber: 0\n }\n}\n"
				     "nodelist {\n node {\n  name: a\n  nodeid: 1\n  ring0_addr: 10.0.0.1\n }\n}\n"
				     "quorum {\n provider: corosync_votequorum\n}\n";
	char want[1024];
	struct wbuf w, v;
	bool is_same;

	wbuf_init(&w, RING_CONF_MAX);
	wbuf_init(&v, RING_CONF_MAX);
	snprintf(want, sizeof(want), "# totem, quorum and nodelist as the cluster has them, taken by DSI\n%s", shared);
	ck_assert_msg(ring_plan_take("c", NULL, 0, peer, strlen(peer), &is_same, &w, &err) == 0, "%s", err.text);
	ck_assert(!is_same);
	same(&w, want, (const char *const[]){ NULL });
	wbuf_reset(&w);
	ck_assert_int_eq(ring_plan_take("c", own, strlen(own), peer, strlen(peer), &is_same, &w, &err), 0);
	strcat(want, "logging {\n to_syslog: yes\n}\n");
	same(&w, want, (const char *const[]){ NULL });
	/* again: nothing to do */
	ck_assert_int_eq(ring_plan_take("c", (const char *)w.data, w.len, peer, strlen(peer), &is_same, &v, &err), 0);
	ck_assert(is_same && v.len == 0);
	/* what is no ring of ours */
	ck_assert_int_eq(ring_plan_take("c", own, strlen(own), "totem {\n}\nnodelist {\n}\n", 23, &is_same, &v, &err),
			 -DSI_ECONFIG);
	ck_assert_int_eq(ring_plan_take("c", own, strlen(own), "x", 1, &is_same, &v, &err), -DSI_EPARSE);
	snprintf(want, sizeof(want), "%squorum {\n device {\n  model: net\n }\n}\n", own);
	ck_assert_int_eq(ring_plan_take("c", own, strlen(own), want, strlen(want), &is_same, &v, &err), -DSI_ENOTSAFE);
	ck_assert_uint_eq(v.len, 0);
	wbuf_fini(&w);
	wbuf_fini(&v);
}
END_TEST

START_TEST(cut_and_flipped)
{
	for (size_t i = 0; i <= strlen(pcs); i++) {
		char *cut = malloc(i ? i : 1);
		struct wbuf w;

		memcpy(cut, pcs, i);
		ck_assert_int_le(ring_plan_read(&conf, "c", cut, i, &err), 0);
		if (i) {
			cut[i - 1] ^= 0x55;
			wbuf_init(&w, RING_CONF_MAX);
			if (!ring_plan_drop("c", cut, i, "alpha", 0, &w, &err))
				ck_assert_int_eq(ring_plan_read(&conf, "c", (char *)w.data, w.len, &err), 0);
			wbuf_fini(&w);
		}
		free(cut);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_ring_plan");
	TCase *t = tcase_create("all");

	tcase_add_test(t, reads_pcs);
	tcase_add_test(t, reads_debian);
	tcase_add_test(t, crypto);
	tcase_add_test(t, refused_with_place);
	tcase_add_test(t, drops);
	tcase_add_test(t, drops_to_one);
	tcase_add_test(t, adds);
	tcase_add_test(t, add_refused);
	tcase_add_test(t, there_and_back);
	tcase_add_test(t, taken_from_a_member);
	tcase_add_test(t, cut_and_flipped);
	suite_add_tcase(s, t);
	return check_main(s);
}
