/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel/decide: the pure decision against a slow obvious twin, over a small domain completely and over
 * random policies; and the same questions to the BPF program, where this kernel lets us load it (test
 * run only, nothing is attached).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/abi.h"
#include "lib/compiler.h"
#include "tests/unit/lib_check.h"

enum { RULES = 200, SIDS = 6 };

struct policy {
	struct dsi_rec_rule rules[RULES];
	u32 n;
	u32 flags[SIDS + 1];
};
typedef struct policy dsi_policy_t;

/* Never two rules of one key. */
static const struct dsi_rule_value *dsi_policy_rule(const struct policy *p, const struct dsi_rule_key *key)
{
	for (u32 i = 0; i < p->n; i++)
		if (!memcmp(&p->rules[i].key, key, sizeof(*key)))
			return &p->rules[i].value;
	return NULL;
}

static u32 dsi_policy_flags(const struct policy *p, u32 sid)
{
	return sid <= SIDS ? p->flags[sid] : 0;
}

#include "kernel/decide.h"

/* The twin: says in words what DESIGN.md says. */
static bool oracle(const struct policy *p, const struct dsi_rule_key *k, u32 perm)
{
	if (k->ssid == DSI_SID_NONE)
		return false; /* an unknown subject gets nothing */
	if (k->nclass == DSI_NCLASS_LOCAL && dsi_policy_flags(p, k->ssid) & DSI_CTX_UNCONFINED)
		return true; /* on its own node the unconfined needs no rule */
	if (k->tsid == DSI_SID_NONE)
		return false; /* an unknown target is given to nobody else */
	for (u32 bit = 1; bit; bit <<= 1) {
		bool granted = false;

		if (!(perm & bit))
			continue;
		for (u32 i = 0; i < p->n; i++) {
			const struct dsi_rec_rule *r = &p->rules[i];

			granted |= r->key.ssid == k->ssid && r->key.tsid == k->tsid && r->key.nclass == k->nclass &&
				   r->key.qual == k->qual && r->key.cls == k->cls && r->value.allow & bit;
		}
		if (!granted)
			return false;
	}
	return dsi_policy_rule(p, k); /* and asking for nothing is no way in */
}

static u32 seed = 1;
static u32 rnd(u32 n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void random_key(struct dsi_rule_key *k)
{
	memset(k, 0, sizeof(*k));
	k->ssid = rnd(SIDS + 1);
	k->tsid = rnd(SIDS + 1);
	k->nclass = (u16)rnd(3);
	k->qual = (u16)rnd(2);
	k->cls = 1 + rnd(DSI_CLASS_COUNT - 1);
}

static void random_policy(struct policy *p)
{
	memset(p, 0, sizeof(*p));
	while (p->n < RULES) {
		struct dsi_rec_rule *r = &p->rules[p->n];

		random_key(&r->key);
		r->value.allow = 1 + rnd(127);
		r->value.rule = p->n;
		for (u32 i = 0; i <= p->n; i++) {
			if (i == p->n) {
				p->n++;
				break;
			}
			if (!memcmp(&p->rules[i].key, &r->key, sizeof(r->key)))
				break;
		}
		if (!rnd(RULES))
			break;
	}
	for (u32 i = 1; i <= SIDS; i++)
		p->flags[i] = rnd(4);
}

START_TEST(agrees_with_the_oracle)
{
	for (int round = 0; round < 50; round++) {
		struct policy p;

		random_policy(&p);
		for (int i = 0; i < 2000; i++) {
			struct dsi_rule_key k;
			struct dsi_answer a;
			u32 perm = rnd(128);

			random_key(&k);
			dsi_decide(&p, &k, perm, &a);
			ck_assert_int_eq(a.allow, oracle(&p, &k, perm));
			ck_assert(a.allow || a.reason >= DSI_REASON_NO_RULE);
			ck_assert(!a.allow || a.reason <= DSI_REASON_UNCONFINED);
			ck_assert(!a.allow || !(perm & ~a.granted));
		}
	}
}
END_TEST

START_TEST(tells_why)
{
	struct policy p = { .n = 1, .rules = { { { 2, 3, 0, 0, DSI_CLASS_FILE }, { 3, 77 } } }, .flags = { [4] = DSI_CTX_UNCONFINED } };
	struct dsi_rule_key k = { 2, 3, 0, 0, DSI_CLASS_FILE };
	struct dsi_answer a;

	dsi_decide(&p, &k, 1, &a);
	ck_assert(a.allow && a.reason == DSI_REASON_RULE && a.rule == 77 && a.granted == 3);
	dsi_decide(&p, &k, 5, &a);
	ck_assert(!a.allow && a.reason == DSI_REASON_NO_RULE && a.rule == 77 && a.granted == 3);
	k.ssid = 4;
	dsi_decide(&p, &k, 5, &a);
	ck_assert(a.allow && a.reason == DSI_REASON_UNCONFINED && a.rule == (u32)DSI_RULE_NONE);
	k.nclass = 1; /* remote: everybody needs a rule */
	dsi_decide(&p, &k, 5, &a);
	ck_assert(!a.allow && a.reason == DSI_REASON_NO_RULE);
	k.ssid = 0;
	dsi_decide(&p, &k, 1, &a);
	ck_assert(!a.allow && a.reason == DSI_REASON_NO_LABEL);
	k.ssid = 2;
	k.tsid = 0;
	dsi_decide(&p, &k, 1, &a);
	ck_assert(!a.allow && a.reason == DSI_REASON_TARGET_UNKNOWN);
}
END_TEST

/* --- the BPF program ------------------------------------------------------------------------------ */

static int inner_new(struct bpf_object *obj, const char *outer, u32 key, u32 value)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, outer, key, value, RULES, &opts);
	u32 slot = 1;

	return fd < 0 || bpf_map_update_elem(bpf_object__find_map_fd_by_name(obj, outer), &slot, &fd, BPF_ANY) ? -1 : fd;
}

static struct bpf_object *object_load(void)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "dsi");
	char path[256];
	struct bpf_object *obj;
	struct bpf_program *p;

	snprintf(path, sizeof(path), "%s/kernel/dsi.bpf.o", getenv("DSI_BUILD") ? getenv("DSI_BUILD") : "build");
	libbpf_set_print(NULL);
	obj = bpf_object__open_file(path, &opts);
	if (!obj)
		return NULL;
	bpf_object__for_each_program(p, obj)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), "dsi_ask"));
	if (!bpf_object__load(obj))
		return obj;
	bpf_object__close(obj);
	return NULL;
}

START_TEST(kernel_answers_alike)
{
	struct bpf_object *obj = geteuid() ? NULL : object_load();
	struct dsi_state *state;
	struct policy p;
	int fd, rules, contexts;

	if (!obj) {
		printf("SKIP: kernel_answers_alike: this kernel does not load our BPF program (root? lockdown?): %s\n", strerror(errno));
		return;
	}
	fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "dsi_ask"));
	rules = inner_new(obj, "rules", sizeof(struct dsi_rule_key), sizeof(struct dsi_rule_value));
	contexts = inner_new(obj, "contexts", 4, 4);
	state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(obj, ".bss"), 0);
	ck_assert(rules >= 0 && contexts >= 0 && state != MAP_FAILED);
	random_policy(&p);
	for (u32 i = 0; i < p.n; i++)
		ck_assert(!bpf_map_update_elem(rules, &p.rules[i].key, &p.rules[i].value, BPF_ANY));
	for (u32 i = 1; i <= SIDS; i++)
		ck_assert(!bpf_map_update_elem(contexts, &i, &p.flags[i], BPF_ANY));
	state->slots[1].default_flags = p.flags[DSI_SID_DEFAULT];
	for (int i = 0; i < 20000; i++) {
		struct dsi_query q = { .perm = rnd(128), .gen = 1 };
		LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &q, .ctx_size_in = sizeof(q));
		struct dsi_answer a;

		random_key(&q.key);
		dsi_decide(&p, &q.key, q.perm, &a);
		ck_assert_int_eq(bpf_prog_test_run_opts(fd, &run), 0);
		ck_assert(q.allow == a.allow && q.reason == a.reason && q.granted == a.granted && q.rule == a.rule);
	}
	bpf_object__close(obj);
}
END_TEST

LIB_TESTS("kernel/decide", agrees_with_the_oracle, tells_why, kernel_answers_alike)
