/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server writes at the end of a log whose tail is not committed: the keys must fit what will be there then. */
#include "ss-ha/server.h"
#include "tests/unit/gcs_replica_kit.h"
#include "tests/unit/policies_fixture.h"

static const struct gcs_ring ring = { 1, 2 };

/* Signed by those who promise to this server; order would have collected them. */
static struct blob term_body(struct world *w, struct server *s, u32 author, u64 term, const u32 *nid, u32 n)
{
	struct order_promise_proof proofs[LIM_VOTERS];
	struct wbuf b;

	for (u32 i = 0; i < n; i++) {
		u8 seed[CRYPTO_SEED], bytes[PROMISE_BYTES];

		proofs[n - 1 - i].nid = nid[i]; /* in any order */
		w_seed2(w_keys[nid[i]], "sign", seed);
		promise_encode(w->s->cluster, w->s->generation, &ring, term, nid[i], author, bytes);
		ck_assert_int_eq(crypto_sign(seed, SIGN_PROMISE, bytes, sizeof(bytes), proofs[n - 1 - i].sig), 0);
	}
	wbuf_init(&b, LIM_ENTRY_BODY);
	ck_assert_int_eq(orders_term_body(s, &ring, proofs, n, &b), 0);
	return w_keep(w, &b);
}

static void same_key_for_all_but_three(struct world *w, const struct entry *e)
{
	u8 key[CRYPTO_KEY], other[CRYPTO_KEY];

	ck_assert_int_eq(w_unwrap(w, e, 1, ROLE_MANAGER, key), 0);
	for (u32 i = 1; i <= 2; i++) {
		ck_assert_int_eq(w_unwrap(w, e, i, ROLE_MANAGER, other), 0);
		ck_assert_mem_eq(key, other, CRYPTO_KEY);
		ck_assert_int_eq(w_unwrap(w, e, i, ROLE_SERVER, other), 0);
		ck_assert_mem_eq(key, other, CRYPTO_KEY);
	}
	ck_assert_int_lt(w_unwrap(w, e, 3, ROLE_MANAGER, other), 0);
	ck_assert_int_lt(w_unwrap(w, e, 3, ROLE_SERVER, other), 0);
}

/* The server on n1 ordered a verdict on n3 with the next key and died before it was committed; n2 inherits it. */
START_TEST(term_inherits_a_verdict)
{
	struct world *w = w_three();
	static const u8 verdict_key[CRYPTO_KEY] = { 4 };
	u64 before = w->s->applied;
	u32 keygen = w->s->keygen;
	struct server s = { 0 };
	struct blobs wraps;
	struct entry e;
	struct blob b;
	struct kit k;

	ck_assert_int_eq(state_make_wraps(w->s, keygen + 1, verdict_key, 3, &w->arena, &wraps), 0);
	ck_assert_int_eq(w_put(w, ENTRY_VERDICT, w_body(w, w_verdict(w, "vera", 3), keygen + 1, &wraps)), 0);
	kit_start(&k, w, "n2", ROLE_SERVER, before); /* to n2 the verdict is tail */
	ck_assert_uint_eq(replica_state(k.r)->keygen, keygen);
	s.replica = k.r;
	w->author = 2;
	w->term++;
	b = term_body(w, &s, 2, w->term, (const u32[]){ 1, 2 }, 2);
	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_msg(state_verify_entry(w->s, &e, &w->err) == 0, "%s", w->err.text);
	same_key_for_all_but_three(w, &e);
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert(w->res.changed & CHANGED_KEY);
	ck_assert_uint_eq(w->s->keygen, keygen + 2);
	orders_applied(&s, &e, &w->res);
	ck_assert(!s.key_owed);
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* What the tail does not show (a proposal that still waited) may void a key all the same: then one is owed, and ordered. */
START_TEST(a_key_that_is_owed_is_ordered)
{
	struct world *w = w_three();
	static const u8 key[CRYPTO_KEY] = { 5 };
	struct server s = { 0 };
	struct blobs wraps;
	struct entry e;
	struct blob b;
	struct wbuf bytes;
	struct kit k;

	ck_assert_int_eq(state_make_wraps(w->s, w->s->keygen, key, 3, &w->arena, &wraps), 0); /* a number that was there */
	b = w_body(w, w_verdict(w, "vera", 3), w->s->keygen, &wraps);
	w_entry(w, &e, ENTRY_VERDICT, b.p, b.n);
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert(!(w->res.changed & CHANGED_KEY));
	orders_applied(&s, &e, &w->res);
	ck_assert(s.key_owed);
	kit_start(&k, w, "n1", ROLE_SERVER, w->s->applied);
	s.replica = k.r;
	wbuf_init(&bytes, LIM_ENTRY_BODY);
	ck_assert_int_eq(orders_key_body(&s, &bytes), 0);
	w_entry(w, &e, ENTRY_GROUPKEY, bytes.data, bytes.len);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), 0);
	same_key_for_all_but_three(w, &e);
	ck_assert_int_eq(w_apply(w, &e), 0);
	orders_applied(&s, &e, &w->res);
	ck_assert(!s.key_owed);
	/* a refused verdict owes nothing */
	w_entry(w, &e, ENTRY_VERDICT, b.p, b.n);
	ck_assert_int_lt(w_apply(w, &e), 0);
	orders_applied(&s, &e, &w->res);
	ck_assert(!s.key_owed);
	wbuf_fini(&bytes);
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* An enrolment under way: the newcomer gets the key of the verdict that comes after it. */
START_TEST(newcomer_in_the_tail)
{
	struct world *w = w_three();
	u64 before = w->s->applied;
	struct server s = { 0 };
	struct wbuf bytes;
	struct entry e;
	struct kit k;
	u8 got[CRYPTO_KEY];

	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER), 4);
	kit_start(&k, w, "n1", ROLE_SERVER, before);
	s.replica = k.r;
	wbuf_init(&bytes, LIM_ENTRY_BODY);
	ck_assert_int_eq(orders_key_body(&s, &bytes), 0);
	w_entry(w, &e, ENTRY_GROUPKEY, bytes.data, bytes.len);
	ck_assert_int_eq(w_unwrap(w, &e, 4, ROLE_MANAGER, got), 0);
	wbuf_fini(&bytes);
	kit_stop(&k);
	w_free(w);
}
END_TEST

struct asked {
	struct kit *k;
	struct server *s;
	u32 n_hello;
	struct body_submitted answer;
};

/* As server.c does; kit's own ctx is the kit, so the pair is found by it. */
static struct asked asked;

static void on_asked(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body)
{
	(void)ctx;
	if (info->type == MSG_HELLO) {
		census_hello(&asked.s->census, from->nid, from->role, body);
		asked.n_hello++;
		loop_stop(asked.k->loop, 0);
	}
	if (info->type == MSG_SUBMITTED) {
		memcpy(&asked.answer, body, sizeof(asked.answer));
		loop_stop(asked.k->loop, 0);
	}
}

static void on_put(void *ctx, u64 index, int code)
{
	(void)index;
	ck_assert_int_eq(code, 0);
	loop_stop(ctx, 0);
}

/* A policy whose image some present member cannot load is not ordered, and the answer names who and what it runs; once
 * that one is up to date, the same is. */
START_TEST(a_present_member_is_too_old)
{
	static struct server s;
	struct world *w = w_three();
	struct built *b = built_good("policy \"p\" { } domain default { unconfined; }");
	struct body_hello old = { .version = "0.0.9" }, now = { .version = "0.0.9/2" };
	struct session_sender from = { .nid = 1, .role = ROLE_MANAGER };
	struct body_s_policy p = w_policy_body(w, "p", 0);
	struct body_submit m = { .kind = ENTRY_POLICY };
	struct err e = { 0 };
	struct statement st;
	char list[96];
	struct wbuf two;
	struct kit k;
	FILE *f;

	to_format_2(b->bytes.data, b->bytes.len, &two);
	ck_assert_int_eq(crypto_sha256(two.data, two.len, p.digest), 0);
	p.size = two.len;
	w->now = loop_wall_ms();
	m.statement = w_statement(w, ENTRY_POLICY, "alice", &schema_s_policy, &p);
	ck_assert_int_eq(statement_open(&st, m.statement.p, m.statement.n), 0);
	memcpy(m.request, st.request, sizeof(m.request));
	kit_start(&k, w, "n1", ROLE_SERVER, w->s->applied);
	asked = (struct asked){ .k = &k, .s = &s };
	s.loop = k.loop;
	s.replica = k.r;
	s.active = true;
	snprintf(list, sizeof(list), "%s/list", k.dir);
	f = fopen(list, "w");
	ck_assert(f && fputs("default read /etc/x\n", f) > 0 && !fclose(f));
	ck_assert_int_eq(lockout_new(&s.lockout, k.loop, list, orders_judged, &s, &e), 0);
	k.ops.message = on_asked;
	ck_assert(kit_run(&k, 20000)); /* our own HELLO: we are present */
	ck_assert_uint_eq(census_row(&s.census, 1)->server_level, KNOWS_NOW);
	ck_assert_int_eq(blob_put(replica_log(k.r), p.digest, two.data, two.len, on_put, k.loop), 0);
	ck_assert(kit_run(&k, 20000));

	census_hello(&s.census, 1, ROLE_SERVER, &old);
	orders_submit(&s, &from, &m);
	ck_assert(kit_run(&k, 20000));
	ck_assert_uint_eq(asked.answer.code, DSI_EVERSION);
	ck_assert_str_eq(asked.answer.text, "this policy's image needs level 2, and n1 runs dsi-ss of version 0.0.9, level 1: bring "
					    "DSI there up to date first, or stop it");
	ck_assert_uint_eq(s.n_ordered, 0);

	census_hello(&s.census, 1, ROLE_SERVER, &now);
	asked.answer = (struct body_submitted){ 0 };
	orders_submit(&s, &from, &m); /* judged already, so answered at once or proposed at once */
	ck_assert_uint_ne(asked.answer.code, DSI_EVERSION);
	orders_drop(&s);
	lockout_free(s.lockout);
	kit_stop(&k);
	wbuf_fini(&two);
	built_free(b);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ss_orders");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, term_inherits_a_verdict);
	tcase_add_test(t, a_key_that_is_owed_is_ordered);
	tcase_add_test(t, newcomer_in_the_tail);
	tcase_add_test(t, a_present_member_is_too_old);
	suite_add_tcase(s, t);
	return check_main(s);
}
