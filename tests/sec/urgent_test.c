/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: the second path as a weapon. A member (or root on one) hands others verdicts over the direct leg or in its
 * STATE that no operator signed, that are old, expired, withdrawn, for another cluster, by an operator without that
 * role, to throw honest nodes out; it floods a member with submissions, or has it send on the ring what has no
 * authority; a server orders a refused verdict to free a node that is suspended.
 *
 * Expected: nothing but an operator's signature with authority counts, whoever brings it; a suspension ends by what it
 * is about, not by something that looks like it; submissions of others are bounded in number, by member and in all.
 */
#include "dsid/engine.h"
#include "tests/unit/gcs_replica_kit.h"

static struct blob sign_as(struct world *w, u16 kind, const char *signer, u32 nid, void (*bend)(struct statement *st))
{
	struct body_s_verdict v = { .nid = nid, .reason = "caught" };
	struct body_s_node_op op = { .nid = nid, .reason = "caught" };
	const struct state_node *n = state_node(w->s, nid);
	struct statement st;

	snprintf(v.name, sizeof(v.name), "%s", n->name);
	snprintf(op.name, sizeof(op.name), "%s", n->name);
	w_header(w, &st, kind, signer);
	if (bend)
		bend(&st);
	return w_sign(w, &st, signer, kind == ENTRY_VERDICT ? w_blob(w, &schema_s_verdict, &v) : w_blob(w, &schema_s_node_op, &op));
}

static void other_cluster(struct statement *st)
{
	st->cluster[3] ^= 1;
}

static void expired(struct statement *st)
{
	st->expires_ms = loop_wall_ms() - 1000;
}

static void for_ever(struct statement *st)
{
	st->expires_ms = 0;
}

static void later_generation(struct statement *st)
{
	st->generation++;
}

static int bring(struct kit *k, struct blob b)
{
	struct err e = { 0 };

	return replica_urgent(k->r, b.p, b.n, &e);
}

static struct world *world3(void)
{
	struct world *w = w_three();

	w->now = loop_wall_ms();
	return w;
}

START_TEST(no_authority_no_effect)
{
	struct world *w = world3();
	struct kit k;
	struct blob b, good;
	u8 *bent;

	kit_start(&k, w, "n1", ROLE_MANAGER, w->s->applied);
	/* signed by a key that is nobody's, by an operator without the role, by a node's own key */
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_VERDICT, "mallory", 3, NULL)), -DSI_EAUTH);
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_VERDICT, "paula", 3, NULL)), -DSI_EAUTH);
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_VERDICT, "n2/sign", 3, NULL)), -DSI_EAUTH);
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_DEPOSE, "paula", 2, NULL)), -DSI_EAUTH);
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_VERDICT, "vera", 3, other_cluster)), -DSI_ECLUSTER);
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_VERDICT, "vera", 3, expired)), -DSI_EEXPIRED);
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_VERDICT, "vera", 3, for_ever)), -DSI_EINVAL);
	ck_assert_int_eq(bring(&k, sign_as(w, ENTRY_VERDICT, "vera", 3, later_generation)), -DSI_ESTALE);
	/* what is signed, but for something that must be ordered first */
	ck_assert_int_eq(bring(&k, w_policy(w, "alice", "p", 0)), -DSI_EINVAL);
	ck_assert_int_eq(bring(&k, w_node_op(w, ENTRY_WITHDRAW, "vera", 3)), -DSI_EINVAL);
	/* bent on the way */
	good = w_verdict(w, "vera", 3);
	bent = arena_alloc(&w->arena, good.n);
	memcpy(bent, good.p, good.n);
	bent[100] ^= 1;
	ck_assert_int_eq(bring(&k, (struct blob){ bent, good.n }), -DSI_ESIG);
	ck_assert_int_lt(bring(&k, (struct blob){ good.p, good.n - 1 }), 0);
	ck_assert_int_lt(bring(&k, (struct blob){ good.p, 0 }), 0);
	ck_assert_uint_eq(k.n_suspended, 0);
	ck_assert(!replica_suspended(k.r, 3));
	ck_assert_uint_eq(k.r->n_urgent, 0);
	/* the same words by whom they belong to; twice is once */
	ck_assert_int_eq(bring(&k, good), 0);
	ck_assert_int_eq(bring(&k, good), 0);
	ck_assert(replica_suspended(k.r, 3));
	ck_assert_uint_eq(k.n_suspended, 1);
	ck_assert_uint_eq(k.r->n_urgent, 1);
	/* whom it suspends is cut from the direct leg: it brings nothing any more */
	u32 role;
	u8 pub[CRYPTO_PUB];

	w_pub("n3/sign", pub);
	ck_assert_uint_eq(replica_direct_ops.binding(k.r, pub, &role), 0);
	ck_assert(replica_direct_ops.dead(k.r, pub));
	/* and STATE carries it on */
	struct blobs said;

	urgent_list(k.r, &said);
	ck_assert_uint_eq(said.n, 1);
	ck_assert(said.v[0].n == good.n && !memcmp(said.v[0].p, good.p, good.n));
	b = sign_as(w, ENTRY_VERDICT, "vera", 3, NULL);
	ck_assert_int_eq(bring(&k, b), 0); /* a second operator says the same */
	ck_assert_uint_eq(k.n_suspended, 1);
	kit_stop(&k);
	w_free(w);
}
END_TEST

START_TEST(replayed)
{
	struct world *w = world3();
	struct blob old = w_verdict_until(w, "vera", 3, w->now + 100000);
	struct kit k;

	ck_assert_int_eq(w_order(w, old), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 3)), 0);
	kit_start(&k, w, "n1", ROLE_MANAGER, w->s->applied);
	ck_assert_int_eq(bring(&k, old), -DSI_EREPLAY);
	ck_assert(!replica_suspended(k.r, 3));
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* Withdrawn before it was ordered: its id is in no log, and still it does not come back. */
START_TEST(withdrawn_before_it_was_ordered)
{
	struct world *w = world3();
	struct blob v = w_verdict(w, "vera", 3);
	struct kit k;
	u64 before = w->s->applied;

	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 3)), 0);
	kit_start(&k, w, "n1", ROLE_MANAGER, before);
	ck_assert_int_eq(bring(&k, v), 0);
	ck_assert_int_eq(replica_apply_to(k.r, before + 1, true), 0);
	ck_assert(!replica_suspended(k.r, 3));
	ck_assert_int_eq(bring(&k, v), -DSI_EREPLAY);
	ck_assert(!replica_suspended(k.r, 3));
	ck_assert_uint_eq(k.r->n_urgent, 0);
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* The active server, a friend of n3's, orders an old verdict on n3: refused as a replay, it frees nobody. */
START_TEST(refused_verdict_frees_nobody)
{
	struct world *w = world3();
	struct blob old = w_verdict_until(w, "vera", 3, w->now + 100000), real;
	struct kit k;
	u64 before;

	ck_assert_int_eq(w_order(w, old), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 3)), 0);
	before = w->s->applied;
	real = w_verdict(w, "vera", 3);
	ck_assert_int_eq(w_order(w, old), -DSI_EREPLAY);
	ck_assert_int_eq(w_order(w, real), 0);
	kit_start(&k, w, "n1", ROLE_MANAGER, before);
	ck_assert_int_eq(bring(&k, real), 0);
	ck_assert_int_eq(replica_apply_to(k.r, before + 1, true), 0);
	ck_assert(replica_suspended(k.r, 3));
	ck_assert_int_eq(replica_apply_to(k.r, before + 2, true), 0);
	ck_assert_int_eq(state_node(replica_state(k.r), 3)->status, NODE_REVOKED);
	ck_assert_uint_eq(k.r->n_urgent, 0);
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* After a suspension that ended by itself the node is a member like any other, and can be suspended again. */
START_TEST(ended_suspension_leaves_nothing)
{
	struct world *w = world3();
	struct blob v = w_verdict_until(w, "vera", 3, w->now + 5000);
	u64 before = w->s->applied;
	struct kit k;

	ck_assert_int_eq(w_order(w, v), 0);
	w->now += 5001;
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	kit_start(&k, w, "n1", ROLE_MANAGER, before);
	ck_assert_int_eq(bring(&k, v), 0);
	ck_assert(replica_suspended(k.r, 3));
	urgent_delivered(k.r, w->log[before].p, w->log[before].n);
	ck_assert_int_eq(replica_apply_to(k.r, before + 1, true), 0);
	ck_assert_int_eq(state_node(replica_state(k.r), 3)->status, NODE_SUSPENDED);
	ck_assert_int_eq(replica_apply_to(k.r, before + 2, true), 0);
	ck_assert(state_nid_live(replica_state(k.r), 3));
	ck_assert(!replica_suspended(k.r, 3));
	ck_assert_int_eq(bring(&k, w_verdict(w, "vera", 3)), 0);
	ck_assert_uint_eq(k.n_suspended, 2);
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* A deposition takes a server out of rank at once; the last one in office stays, or nobody could order anything. */
START_TEST(depositions)
{
	struct world *w = world3();
	struct kit k;

	kit_start(&k, w, "n1", ROLE_MANAGER, w->s->applied);
	ck_assert_int_eq(bring(&k, w_node_op(w, ENTRY_DEPOSE, "vera", 1)), 0);
	ck_assert(urgent_deposed(k.r, 1));
	ck_assert(!replica_suspended(k.r, 1));
	ck_assert_int_eq(bring(&k, w_verdict(w, "vera", 2)), 0);
	ck_assert_int_eq(bring(&k, w_node_op(w, ENTRY_DEPOSE, "vera", 3)), -DSI_ENOTSAFE);
	ck_assert_int_eq(bring(&k, w_verdict(w, "vera", 3)), -DSI_ENOTSAFE);
	ck_assert(!urgent_deposed(k.r, 3) && !replica_suspended(k.r, 3));
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* A full list of undecided verdicts: one more still suspends. */
START_TEST(list_is_bounded)
{
	struct world *w = world3();
	struct kit k;

	kit_start(&k, w, "n1", ROLE_MANAGER, w->s->applied);
	for (u32 i = 0; i < URGENT_MAX; i++)
		ck_assert_int_eq(bring(&k, w_verdict(w, "vera", 2)), 0);
	ck_assert_uint_eq(k.r->n_urgent, URGENT_MAX);
	ck_assert_int_eq(bring(&k, w_verdict(w, "vera", 3)), 0);
	ck_assert(replica_suspended(k.r, 3));
	ck_assert_uint_eq(k.r->n_urgent, URGENT_MAX);
	ck_assert_ptr_nonnull(strstr(k.alarm, "no room"));
	kit_stop(&k);
	w_free(w);
}
END_TEST

/* --- over a real direct leg ---------------------------------------------------------------------------- */

static struct caller {
	struct kit *k;
	struct engine *g;
	struct fixture_keys keys;
	struct direct *d;
	char address[64];
	u32 answers, wanted, refused, limited;
	int code, outcome;
	char text[LIM_PATH];
} C;

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	if (kind == DIRECT_URGENT)
		spread_request(C.g, rq, peer, p, n);
	else if (kind == DIRECT_SUBMIT)
		submit_foreign(C.g, rq, peer, p, n);
	else
		direct_reply(rq, -DSI_EROLE, NULL, 0);
}

static u32 any_binding(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role)
{
	*ret_role = ROLE_MANAGER;
	return 1;
}

static void no_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	direct_reply(rq, -DSI_EROLE, NULL, 0);
}

static const struct direct_ops caller_ops = { .binding = any_binding, .request = no_request };

static void on_answer(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct body_submitted m;
	struct arena a;

	arena_init(&a, 64 << 10);
	C.code = code;
	C.limited += code == -DSI_ELIMIT;
	C.outcome = 0;
	if (!code && n && !body_decode(&schema_submitted, p, n, &m, &a)) {
		C.outcome = -(int)m.code;
		snprintf(C.text, sizeof(C.text), "%s", m.text);
		C.refused += m.code != 0;
	}
	arena_fini(&a);
	if (++C.answers == C.wanted)
		loop_stop(C.k->loop, 0);
}

static void caller_up(struct kit *k, struct engine *g, struct world *w, const char *name)
{
	struct err e = { 0 };

	memset(&C, 0, sizeof(C));
	kit_start(k, w, "n1", ROLE_MANAGER, w->s->applied);
	k->ops.request = on_request;
	memset(g, 0, sizeof(*g));
	g->loop = k->loop;
	g->replica = k->r;
	C.k = k;
	C.g = g;
	kit_keys(&C.keys, name, KEYFILE_NODE);
	ck_assert_int_eq(direct_new(&C.d, k->loop, &C.keys.keys, NULL, &caller_ops, NULL, &e), 0);
	snprintf(C.address, sizeof(C.address), "127.0.0.1:%u", direct_port(replica_direct(k->r)));
}

static void caller_down(void)
{
	submit_free(C.g);
	spread_free(C.g);
	direct_free(C.d);
	fixture_keys_stop(&C.keys);
	kit_stop(C.k);
}

static void ask(enum direct_kind kind, struct blob b)
{
	C.wanted = C.answers + 1;
	ck_assert_int_eq(direct_call(C.d, C.address, NULL, kind, b.p, b.n, 20000000000ull, on_answer, NULL), 0);
	ck_assert(kit_run(C.k, 30000));
}

static struct blob submit_of(struct world *w, struct blob statement, u32 blob_from)
{
	struct body_submit m = { .statement = statement, .blob_from = blob_from };
	struct statement st;

	ck_assert_int_eq(statement_open(&st, statement.p, statement.n), 0);
	m.kind = st.kind;
	memcpy(m.request, st.request, sizeof(m.request));
	return w_blob(w, &schema_submit, &m);
}

START_TEST(over_the_direct_leg)
{
	struct world *w = world3();
	struct blob v = w_verdict(w, "vera", 3);
	struct engine g;
	struct kit k;

	caller_up(&k, &g, w, "n2");
	ask(DIRECT_URGENT, sign_as(w, ENTRY_VERDICT, "mallory", 3, NULL));
	ck_assert_int_eq(C.code, -DSI_EAUTH);
	ck_assert(!replica_suspended(k.r, 3));
	ask(DIRECT_URGENT, v);
	ck_assert_int_eq(C.code, 0);
	ck_assert(replica_suspended(k.r, 3)); /* no view, no majority, no ring at all */
	/* and this member's own word ends when it is suspended itself */
	ask(DIRECT_URGENT, w_verdict(w, "vera", 2));
	ask(DIRECT_URGENT, v);
	ck_assert_int_lt(C.code, 0);
	/* order does not serve here: it says so at once, and does not hand it on */
	caller_down();
	caller_up(&k, &g, w, "n2");
	ask(DIRECT_SUBMIT, submit_of(w, w_node_op(w, ENTRY_DEPOSE, "vera", 1), 0));
	ck_assert_int_eq(C.code, -DSI_EAGAIN);
	caller_down();
	w_free(w);
}
END_TEST

static bool serves(const struct replica *r)
{
	struct order_status o;

	replica_status(r, &o);
	return o.live && o.phase == ORDER_OPEN;
}

/* One voter and no server running: its view is open, nothing is ever ordered; so submissions stay. */
START_TEST(submissions_flood)
{
	struct world *w = w_new();
	struct engine g;
	struct kit k;

	ck_assert_uint_eq(w_join(w, "n2", "n2", NODE_MEMBER), 2);
	w->now = loop_wall_ms();
	caller_up(&k, &g, w, "n2");
	for (int i = 0; i < 200 && !serves(k.r); i++)
		kit_run(&k, 100);
	ck_assert(serves(k.r));
	/* without authority nothing is taken, nothing is sent */
	ask(DIRECT_SUBMIT, submit_of(w, w_policy(w, "vera", "p", 0), 0));
	ck_assert_int_eq(C.code, 0);
	ck_assert_int_eq(C.outcome, -DSI_EAUTH);
	ask(DIRECT_SUBMIT, submit_of(w, w_policy(w, "paula", "p", 0), 7)); /* the image is said to be somebody else's */
	ck_assert_int_eq(C.outcome, -DSI_EINVAL);
	ask(DIRECT_SUBMIT, (struct blob){ (const u8 *)"junk", 4 });
	ck_assert_int_lt(C.code, 0);
	ck_assert_ptr_null(g.submissions);
	/* with authority: so many by one member at once, the rest is told to come back */
	C.wanted = C.answers + 10;
	for (u32 i = 0; i < LIM_FOREIGN_EACH + 10; i++) {
		struct blob b = submit_of(w, w_policy(w, "paula", "p", 0), 0);

		ck_assert_int_eq(direct_call(C.d, C.address, NULL, DIRECT_SUBMIT, b.p, b.n, 60000000000ull, on_answer, NULL), 0);
	}
	ck_assert(kit_run(&k, 20000));
	ck_assert_uint_eq(C.limited, 10);
	C.wanted = C.answers + LIM_FOREIGN_EACH; /* and those end by their deadline */
	ck_assert(kit_run(&k, 30000));
	ck_assert_int_eq(C.outcome, -DSI_ETIMEDOUT);
	ck_assert_ptr_null(g.submissions);
	caller_down();
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sec_urgent");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, no_authority_no_effect);
	tcase_add_test(t, replayed);
	tcase_add_test(t, withdrawn_before_it_was_ordered);
	tcase_add_test(t, refused_verdict_frees_nobody);
	tcase_add_test(t, ended_suspension_leaves_nothing);
	tcase_add_test(t, depositions);
	tcase_add_test(t, list_is_bounded);
	tcase_add_test(t, over_the_direct_leg);
	tcase_add_test(t, submissions_flood);
	suite_add_tcase(s, t);
	return check_main(s);
}
