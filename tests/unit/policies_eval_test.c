/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiler against the naive evaluator: random small policies, every question over a small domain.
 * Also: canonical text is a fixed point with the same meaning, file order has no meaning, and a base keeps
 * every SID. SEED=n replays one policy.
 */
#include "policies/compiler/check.h"
#include "policies/compiler/eval.h"
#include "policies/compiler/parse.h"
#include "policies/compiler/print.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/policies_fixture.h"

#ifdef __SANITIZE_ADDRESS__
enum { POLICIES = 20 }; /* ten times slower there */
#else
enum { POLICIES = 80 };
#endif

static u64 rng;

static u32 rnd(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 11) % n;
}

static const char *const domains[] = { "da", "db", "dc", "dd", "default", "kernel" };
static const char *const types[] = { "ta", "tb", "dsi", "unlabeled" };
static const char *const groups[] = { "ga", "gb", "gc" };
static const char *const nodes[] = { "n1", "n2", "n3", "n4", "n5" };
static const u32 ports[] = { 0, 79, 80, 81, 82, 90, 91, 443, 65535 };

#define PICK(array) (array)[rnd(ARRAY_SIZE(array))]

struct gen {
	char s[8192];
	size_t len;
};

static void add(struct gen *g, const char *fmt, ...) DSI_PRINTF(2, 3);

static void add(struct gen *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g->len += (size_t)vsnprintf(g->s + g->len, sizeof(g->s) - g->len, fmt, ap);
	va_end(ap);
	ck_assert_uint_lt(g->len, sizeof(g->s));
}

static void add_some(struct gen *g, const char *const *from, u32 n, const char *sep)
{
	u32 count = 1 + rnd(3);

	for (u32 i = 0; i < count; i++)
		add(g, "%s%s", i ? sep : "", from[rnd(n)]);
}

static void add_ports(struct gen *g)
{
	static const char *const lists[] = { "", " port 80", " port 80-82", " port 81-90", " port 0-79, 443", " port 82, 91-65535",
					     " port 80, 81", " port 0-65535" };

	add(g, "%s;\n", PICK(lists));
}

static void add_at(struct gen *g)
{
	if (rnd(3))
		add(g, "@%s", PICK(groups));
	else
		add(g, "@*");
}

static void rule_file(struct gen *g)
{
	add(g, "allow { ");
	add_some(g, domains, ARRAY_SIZE(domains), " ");
	add(g, rnd(4) ? " } { " : " set_d } { ");
	add_some(g, types, ARRAY_SIZE(types), " ");
	add(g, rnd(3) ? " }:file { read" : " set_t }:file { write map");
	add(g, rnd(2) ? " execute };\n" : " };\n");
}

static void rule_process(struct gen *g)
{
	add(g, "allow %s { %s %s }:process { signal%s };\n", PICK(domains), PICK(domains), rnd(2) ? "self" : "set_d",
	    rnd(2) ? " ptrace transition" : "");
}

static void rule_socket(struct gen *g)
{
	add(g, "allow { %s set_d } socket { inet stream%s };\n", PICK(domains), rnd(2) ? ", unix dgram" : "");
}

static void rule_listen(struct gen *g)
{
	add(g, "allow %s self:tcp { bind%s }", rnd(4) ? PICK(domains) : "set_d", rnd(2) ? " listen" : "");
	add_ports(g);
}

static void rule_local(struct gen *g)
{
	add(g, "allow %s { %s %s }:tcp { connect }", rnd(4) ? PICK(domains) : "set_d", PICK(domains),
	    rnd(2) ? "self" : "set_d");
	add_ports(g);
}

static void rule_remote(struct gen *g)
{
	add(g, "allow { %s", PICK(domains));
	add_at(g);
	add(g, " set_d");
	add_at(g);
	add(g, " } { %s", PICK(domains));
	add_at(g);
	add(g, rnd(2) ? " self" : " set_d");
	add_at(g);
	add(g, " }:tcp { connect }");
	add_ports(g);
}

static void rule_outside(struct gen *g)
{
	switch (rnd(4)) {
	case 0:
		add(g, "allow %s outside:tcp { connect }", PICK(domains));
		break;
	case 1:
		add(g, "allow %s@%s outside:tcp { connect }", PICK(domains), PICK(groups));
		break;
	case 2:
		add(g, "allow { outside%s } %s:tcp { connect }", rnd(2) ? " stale" : "", PICK(domains));
		break;
	default:
		add(g, "allow { outside stale %s@%s } %s@%s:tcp { connect }", PICK(domains), PICK(groups), PICK(domains),
		    PICK(groups));
	}
	add_ports(g);
}

/* inside `on` nothing may carry a place */
static void rule_on(struct gen *g)
{
	static void (*const local[])(struct gen *g) = { rule_file, rule_process, rule_socket, rule_listen, rule_local };

	add(g, "on %s {\n", PICK(groups));
	for (u32 n = 1 + rnd(3); n; n--)
		PICK(local)(g);
	if (rnd(3) == 0) {
		add(g, rnd(2) ? "allow outside %s:tcp { connect }" : "allow %s outside:tcp { connect }", PICK(domains));
		add_ports(g);
	}
	add(g, "}\n");
}

static void generate(struct gen *g)
{
	static void (*const rules[])(struct gen *g) = { rule_file,   rule_process, rule_socket,	 rule_listen, rule_local,
							rule_remote, rule_remote,  rule_outside, rule_on };

	g->len = 0;
	add(g, "policy \"random\" { mode %s; }\n", rnd(8) ? "enforcing" : "permissive");
	for (u32 i = 0; i < ARRAY_SIZE(groups); i++) {
		add(g, "nodes %s = ", groups[i]);
		add_some(g, nodes, 4, ", "); /* n5 is in no group */
		add(g, ";\n");
	}
	add(g, "set set_t = ta, set_u; set set_u = dsi, ta; set set_d = db, set_e; set set_e = dc, db;\n");
	add(g, "files ta { /a; } files tb { /a/b; /c; }\n");
	add(g, "domain da { exec /x; } domain db { exec /x, /y; from da, set_e; %s} domain dc { exec /z; from dd; %s}\n",
	    rnd(4) ? "" : "permissive; ", rnd(4) ? "" : "unconfined; ");
	add(g, "domain dd { exec /w; from da; }\n");
	add(g, rnd(2) ? "domain default { unconfined; }\n" : "");
	for (u32 n = rnd(12); n; n--)
		PICK(rules)(g);
	/* several statements on a line are one rule of the image where they share a key */
	for (size_t i = 0; i < g->len; i++)
		if (g->s[i] == '\n' && rnd(2))
			g->s[i] = ' ';
}


struct asked {
	const struct built *b;
	struct eval_query q;
	u32 n;
	u64 seed;
};

static void ask(struct asked *a)
{
	const struct image *img = &a->b->img;
	struct dsi_rule_key key = { 0, 0, DSI_NCLASS_LOCAL, 0, a->q.cls };
	enum image_verdict oracle = eval_decide(a->b->policy, &a->q), real;

	key.ssid = sid_of(img, a->q.subject);
	key.tsid = strcmp(a->q.target, "any") ? sid_of(img, a->q.target) : DSI_SID_ANY;
	if (a->q.where == EVAL_OUTSIDE)
		key.nclass = DSI_NCLASS_OUTSIDE;
	else if (a->q.where == EVAL_MEMBER)
		key.nclass = (u16)image_nclass_of(img, a->q.other);
	if (a->q.cls == DSI_CLASS_TCP)
		key.qual = (u16)image_pclass_of(img, (u16)a->q.port);
	else if (a->q.cls == DSI_CLASS_SOCKET)
		key.qual = a->q.socket;
	real = image_decide(img, a->q.own, &key, a->q.perm, NULL);
	ck_assert_msg(real == oracle, "SEED=%llu: image says %d, source says %d: on %s: %s -> %s class %u perm %u where %d other %s port %u\n%s",
		      (unsigned long long)a->seed, real, oracle, a->q.own, a->q.subject, a->q.target, a->q.cls, a->q.perm,
		      a->q.where, a->q.other ? a->q.other : "-", a->q.port, a->b->policy->files[0].text);
	a->n++;
}

static void ask_local(struct asked *a, u32 cls, const char *const *targets, u32 n_targets)
{
	a->q.where = EVAL_LOCAL;
	a->q.other = NULL;
	a->q.cls = cls;
	a->q.port = 0;
	for (u32 t = 0; t < n_targets; t++)
		for (u32 bit = 1; bit <= image_class_perms(cls); bit <<= 1) {
			a->q.target = targets[t];
			a->q.perm = bit;
			ask(a);
		}
}

/* One port, one place of the peer: connect, accept, and on the same node bind and listen. */
static void ask_peer(struct asked *a)
{
	bool remote = !strcmp(a->q.subject, "outside") || !strcmp(a->q.subject, "stale");

	a->q.cls = DSI_CLASS_TCP;
	if (!remote) {
		a->q.target = "any";
		a->q.perm = DSI_PERM_TCP_CONNECT;
		ask(a);
	}
	for (u32 t = 0; t < ARRAY_SIZE(domains); t++) {
		a->q.target = domains[t];
		a->q.perm = DSI_PERM_TCP_ACCEPT;
		ask(a);
		if (a->q.where != EVAL_LOCAL || strcmp(a->q.subject, a->q.target))
			continue;
		a->q.perm = DSI_PERM_TCP_BIND;
		ask(a);
		a->q.perm = DSI_PERM_TCP_LISTEN;
		ask(a);
	}
}

static void ask_tcp(struct asked *a)
{
	for (u32 p = 0; p < ARRAY_SIZE(ports); p++) {
		a->q.port = ports[p];
		a->q.other = NULL;
		a->q.where = EVAL_LOCAL;
		ask_peer(a);
		a->q.where = EVAL_OUTSIDE;
		ask_peer(a);
		a->q.where = EVAL_MEMBER;
		for (u32 n = 0; n < ARRAY_SIZE(nodes); n++) {
			a->q.other = nodes[n];
			if (strcmp(a->q.own, nodes[n]))
				ask_peer(a);
		}
	}
}

static void ask_socket(struct asked *a)
{
	static const u16 quals[] = { DSI_SOCKET_QUAL(2, 1), DSI_SOCKET_QUAL(1, 2), DSI_SOCKET_QUAL(2, 2) };

	a->q.where = EVAL_LOCAL;
	a->q.cls = DSI_CLASS_SOCKET;
	a->q.perm = DSI_PERM_SOCKET_CREATE;
	a->q.target = a->q.subject;
	for (u32 i = 0; i < ARRAY_SIZE(quals); i++) {
		a->q.socket = quals[i];
		ask(a);
	}
}

static u32 ask_everything(const struct built *b, u64 seed)
{
	static const char *const remote[] = { "outside", "stale" };
	struct asked a = { .b = b, .seed = seed };

	for (u32 n = 0; n < ARRAY_SIZE(nodes); n++) {
		a.q.own = nodes[n];
		for (u32 s = 0; s < ARRAY_SIZE(domains); s++) {
			a.q.subject = domains[s];
			ask_local(&a, DSI_CLASS_FILE, types, ARRAY_SIZE(types));
			ask_local(&a, DSI_CLASS_PROCESS, domains, ARRAY_SIZE(domains));
			ask_tcp(&a);
			ask_socket(&a);
		}
		for (u32 s = 0; s < ARRAY_SIZE(remote); s++) {
			a.q.subject = remote[s];
			ask_tcp(&a);
		}
	}
	return a.n;
}

static struct built *random_policy(u64 seed, struct gen *g)
{
	struct built *b;

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	generate(g);
	b = built_new(g->s, g->len, NULL);
	ck_assert_msg(!b->code, "SEED=%llu does not compile:\n%s\n%s", (unsigned long long)seed, (char *)b->messages.data, g->s);
	return b;
}

static u64 first_seed(u64 *ret_n)
{
	const char *s = getenv("SEED");

	*ret_n = s ? 1 : POLICIES;
	return s ? strtoull(s, NULL, 10) : 1;
}

START_TEST(image_equals_source)
{
	u64 n, seed = first_seed(&n), questions = 0;
	static struct gen g;

	for (u64 end = seed + n; seed < end; seed++) {
		struct built *b = random_policy(seed, &g);

		questions += ask_everything(b, seed);
		built_free(b);
	}
	ck_assert(questions > n * 10000);
}
END_TEST

static void print_text(struct built *b, struct wbuf *out)
{
	wbuf_init(out, 1 << 20);
	ck_assert_int_eq(policy_print(b->policy, out), 0);
}

START_TEST(canonical_text_is_a_fixed_point)
{
	u64 n, seed = first_seed(&n);
	static struct gen g;

	for (u64 end = seed + n; seed < end; seed++) {
		struct built *a = random_policy(seed, &g), *b;
		struct wbuf once, twice;

		print_text(a, &once);
		b = built_new((char *)once.data, once.len, NULL);
		ck_assert_msg(!b->code, "%s\n%.*s", (char *)b->messages.data, (int)once.len, once.data);
		print_text(b, &twice);
		ck_assert_uint_eq(once.len, twice.len);
		ck_assert_int_eq(memcmp(once.data, twice.data, once.len), 0);
		if (seed % 10 == 0) /* same meaning: the other image answers for this source */
			a->img = b->img, (void)ask_everything(a, seed);
		wbuf_fini(&once);
		wbuf_fini(&twice);
		built_free(a);
		built_free(b);
	}
}
END_TEST

/* Lines as files, in two orders: the same bytes. */
START_TEST(file_order_has_no_meaning)
{
	static const char *const parts[] = { "domain a { exec /a; }", "files t { /t; }", "allow a set_t:file { read };",
					     "set set_t = t;", "nodes g = n2, n1;", "allow a@g a@*:tcp { connect } port 1;",
					     "policy \"x\" { mode enforcing; }" };
	static const char *const names[] = { "1", "dir/2", "3", "4", "5", "6", "7" };
	struct wbuf out[2];

	for (u32 pass = 0; pass < 2; pass++) {
		static struct diag_list d;
		struct arena arena;
		struct policy *p;

		arena_init(&arena, 64 << 20);
		diag_init(&d);
		p = policy_new(&arena);
		for (u32 i = 0; i < ARRAY_SIZE(parts); i++) {
			u32 k = pass ? (u32)ARRAY_SIZE(parts) - 1 - i : i;

			ck_assert_int_eq(parse_file(p, names[k], parts[k], strlen(parts[k]), &d), 0);
		}
		ck_assert_int_eq(policy_check(p, &d), 0);
		wbuf_init(&out[pass], IMAGE_SIZE_MAX);
		ck_assert_int_eq(policy_compile(p, NULL, NULL, &out[pass], &d), 0);
		arena_fini(&arena);
	}
	ck_assert_uint_eq(out[0].len, out[1].len);
	ck_assert_int_eq(memcmp(out[0].data, out[1].data, out[0].len), 0);
	wbuf_fini(&out[0]);
	wbuf_fini(&out[1]);
}
END_TEST

LIB_TESTS("policies_eval", image_equals_source, canonical_text_is_a_fixed_point, file_order_has_no_meaning)
