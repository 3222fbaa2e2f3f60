/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A blob fetched by one replica from another over the direct leg: as the difference to the version before where that
 * works, whole where it does not. Threat: a source sends a difference that makes something else; it must cost a message,
 * never wrong bytes.
 *
 *   n1: both images, listens ── n2: the log with both versions, the old image or none, wants the new one
 */
#include "policies/compiler/delta.h"
#include "tests/unit/gcs_replica_kit.h"
#include "tests/unit/lib_check.h"
#include "tests/unit/policies_fixture.h"

static const struct replica_delta real = { delta_make, delta_apply };

static int make_garbage(const u8 *old, size_t old_n, const u8 *now, size_t now_n, struct wbuf *out, struct err *e)
{
	(void)now;
	(void)now_n;
	(void)e;
	wbuf_bytes(out, old, MIN(old_n, (size_t)1000));
	return 0;
}

/* What it makes is an image, but the old one again. */
static int make_old(const u8 *old, size_t old_n, const u8 *now, size_t now_n, struct wbuf *out, struct err *e)
{
	(void)now;
	(void)now_n;
	return delta_make(old, old_n, old, old_n, out, e);
}

static int make_nothing(const u8 *old, size_t old_n, const u8 *now, size_t now_n, struct wbuf *out, struct err *e)
{
	(void)old;
	(void)old_n;
	(void)now;
	(void)now_n;
	(void)out;
	return err_set(e, -DSI_ELIMIT, "too large");
}

static const struct replica_delta garbage = { make_garbage, delta_apply }, old_again = { make_old, delta_apply },
				  nothing = { make_nothing, delta_apply };

static struct built *image(u32 rules, const struct image *base)
{
	static char text[200000];
	size_t n = (size_t)snprintf(text, sizeof(text), "policy \"p\" { mode enforcing; }\ndomain a { exec /a; }\n");

	for (u32 i = 0; i < rules; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "files t%u { /t%u; }\nallow a t%u:file { read };\n", i, i, i);
	return built_new(text, n, base);
}

static const char *nowhere(const char *name)
{
	(void)name;
	return "127.0.0.1:1"; /* nobody listens there: the next source is asked */
}

static void order_policy(struct world *w, const struct built *b, u8 digest[CRYPTO_HASH])
{
	struct body_s_policy p = w_policy_body(w, "p", 0);
	struct body_e_policy e = { 0 };

	ck_assert_int_eq(crypto_sha256(b->bytes.data, b->bytes.len, digest), 0);
	memcpy(p.digest, digest, CRYPTO_HASH);
	p.size = b->bytes.len;
	e.statement = w_statement(w, ENTRY_POLICY, "alice", &schema_s_policy, &p);
	ck_assert_int_eq(w_put(w, ENTRY_POLICY, w_blob(w, &schema_e_policy, &e)), 0);
}

static void on_done(void *ctx, u64 value, int code)
{
	(void)value;
	*(int *)ctx = code ? code : 1;
}

static void put(struct kit *k, const struct built *b, const u8 digest[CRYPTO_HASH])
{
	int done = 0;

	ck_assert_int_eq(blob_put(replica_log(k->r), digest, b->bytes.data, b->bytes.len, on_done, &done), 0);
	for (int i = 0; !done && i < 10000; i++)
		(void)kit_run(k, 2);
	ck_assert_int_eq(done, 1);
}

static void drop(struct kit *k, const u8 digest[CRYPTO_HASH])
{
	char hex[2 * CRYPTO_HASH + 1], path[300];

	crypto_hex(digest, CRYPTO_HASH, hex);
	(void)snprintf(path, sizeof(path), "%s/blobs/%s", k->dir, hex);
	(void)unlink(path);
}

static void on_fetched(void *ctx, int code)
{
	*(int *)ctx = code ? code : 1;
}

struct pair {
	struct world *w;
	struct built *old, *now;
	u8 old_digest[CRYPTO_HASH], digest[CRYPTO_HASH];
	struct kit a, b;
};

static void pair_init(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	w_direct_of = nowhere;
	p->w = w_three();
	p->w->now = loop_wall_ms();
	p->old = image(2000, NULL);
	p->now = image(2001, &p->old->img);
	order_policy(p->w, p->old, p->old_digest);
	order_policy(p->w, p->now, p->digest);
	kit_start(&p->a, p->w, "n1", ROLE_MANAGER, p->w->s->applied);
	kit_start(&p->b, p->w, "n2", ROLE_MANAGER, p->w->s->applied);
	put(&p->a, p->old, p->old_digest);
	put(&p->a, p->now, p->digest);
	p->a.r->cfg.delta = p->b.r->cfg.delta = &real;
	p->b.r->cfg.n_peers = 1;
	(void)snprintf(p->b.r->cfg.peers[0], sizeof(p->b.r->cfg.peers[0]), "127.0.0.1:%u", direct_port(p->a.r->direct));
}

static void pair_fini(struct pair *p)
{
	kit_stop(&p->a);
	kit_stop(&p->b);
	built_free(p->old);
	built_free(p->now);
	w_free(p->w);
	w_direct_of = NULL;
}

/* b fetches; what it noted about that. */
static struct replica_fetched fetch(struct pair *p, const struct replica_delta *source)
{
	const struct replica_fetched *f;
	u64 before = p->b.r->n_fetched;
	int done = 0;
	size_t n;
	u8 *bytes;

	p->a.r->cfg.delta = source;
	p->a.r->delta.made = false;
	p->b.n_alarm = 0;
	replica_blob_fetch(p->b.r, p->digest, on_fetched, &done);
	for (int i = 0; !done && i < 10000; i++) {
		(void)kit_run(&p->a, 2);
		(void)kit_run(&p->b, 2);
	}
	ck_assert_int_eq(done, 1);
	ck_assert_int_eq(blob_get(replica_log(p->b.r), p->digest, &bytes, &n, NULL), 0);
	ck_assert_uint_eq(n, p->now->bytes.len);
	free(bytes);
	ck_assert_uint_eq(p->b.r->n_fetched, before + 1);
	(void)replica_fetched(p->b.r, &f);
	drop(&p->b, p->digest);
	return f[before % REPLICA_FETCHED];
}

START_TEST(only_the_difference_travels)
{
	struct replica_fetched f;
	struct pair p;

	pair_init(&p);
	put(&p.b, p.old, p.old_digest);
	f = fetch(&p, &real);
	ck_assert(f.delta);
	ck_assert_uint_eq(f.size, p.now->bytes.len);
	ck_assert_uint_lt(f.wire, 1500);
	ck_assert_uint_eq(p.b.n_alarm, 0);
	printf("%llu of %llu bytes\n", (unsigned long long)f.wire, (unsigned long long)f.size);
	pair_fini(&p);
}
END_TEST

START_TEST(else_the_whole)
{
	static const struct {
		const struct replica_delta *source;
		bool alarm;
	} t[] = { { NULL, false }, { &nothing, false }, { &garbage, true }, { &old_again, true } };
	struct replica_fetched f;
	struct pair p;

	pair_init(&p);
	f = fetch(&p, &real); /* nothing here to have a difference to */
	ck_assert(!f.delta && f.wire > f.size);
	put(&p.b, p.old, p.old_digest);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		f = fetch(&p, t[i].source);
		ck_assert_msg(!f.delta && f.wire > f.size, "%zu", i);
		ck_assert_msg(t[i].alarm == !!p.b.n_alarm, "%zu: %s", i, p.b.alarm);
		ck_assert(!t[i].alarm || strstr(p.b.alarm, "a difference that does not make the blob"));
	}
	drop(&p.a, p.old_digest); /* the source has forgotten it */
	f = fetch(&p, &real);
	ck_assert(!f.delta && f.wire > f.size && !p.b.n_alarm);
	pair_fini(&p);
}
END_TEST

LIB_TESTS("gcs_fetch", only_the_difference_travels, else_the_whole)
