/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: the verdict as a weapon, and the escape from one. A node (or the server on it) that is to be revoked
 * wants to stay: by a replayed old verdict against the honest, a withdrawal nobody signed, a key wrapped to itself,
 * its vote, its office, its lie that it left by itself. A server wants to revoke without an operator.
 *
 * Expected: a verdict is final by its entry alone, nothing of the target counts from there on, and nobody but an
 * operator with that role says it.
 */
#include "tests/unit/gcs_world.h"

static const u32 all3[] = { 1, 2, 3 };

START_TEST(replayed_verdict)
{
	struct world *w = w_three();
	struct blob v = w_verdict(w, "vera", 3);

	ck_assert_int_eq(w_order(w, v), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), 0);
	ck_assert_uint_eq(w_join(w, "n3", "n3 new", NODE_MEMBER | NODE_VOTER), 4);
	/* the old one again, against the node that is n3 now */
	ck_assert_int_eq(w_check(w, v, all3, 3), -DSI_EREPLAY);
	ck_assert_int_eq(w_order(w, v), -DSI_EREPLAY);
	ck_assert(state_nid_live(w->s, 4));
	/* with its request id forgotten: it names the old number */
	w->s->n_request = 0;
	ck_assert_int_eq(w_order(w, v), -DSI_EREVOKED);
	ck_assert(state_nid_live(w->s, 4));
	/* the withdrawal of a suspension, replayed after a second one */
	struct blob back;

	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 2, w->now + 5000)), 0);
	back = w_node_op(w, ENTRY_WITHDRAW, "vera", 2);
	ck_assert_int_eq(w_order(w, back), 0);
	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 2, w->now + 5000)), 0);
	ck_assert_int_eq(w_order(w, back), -DSI_EREPLAY);
	ck_assert_int_eq(state_node(w->s, 2)->status, NODE_SUSPENDED);
	w_free(w);
}
END_TEST

/* A server dates the verdict past its expiry. Applying is a pure function, so it would count as expired everywhere: the
 * date is judged before, by everybody's own clock, and such an entry is never acknowledged (sim: dated by a liar). */
START_TEST(voided_by_its_date)
{
	struct world *w = w_three();
	struct blob body = w_body(w, w_verdict(w, "vera", 3), 0, NULL);
	u64 now = w->now;
	struct entry e;

	w->now = now + 700000;
	w_entry(w, &e, ENTRY_VERDICT, body.p, body.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), 0); /* all else is in order */
	ck_assert(!state_timely(e.wall_ms, now, now));
	ck_assert_int_eq(w_apply(w, &e), -DSI_EEXPIRED); /* this is what acknowledging it would lead to */
	ck_assert(state_nid_live(w->s, 3));
	w_free(w);
}
END_TEST

START_TEST(key_for_the_target)
{
	struct world *w = w_three();
	static const u8 key[CRYPTO_KEY] = { 3 };
	u32 keygen = w->s->keygen + 1;
	struct blobs wraps;
	struct entry e;
	struct blob body;
	u8 wrap[CRYPTO_WRAP], info[64];
	size_t n;
	u32 got;

	/* a server that is the target's friend wraps the next key to it as well */
	ck_assert_int_eq(state_make_wraps(w->s, keygen, key, 0, &w->arena, &wraps), 0);
	body = w_body(w, w_verdict(w, "vera", 3), keygen, &wraps);
	w_entry(w, &e, ENTRY_VERDICT, body.p, body.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EPERM); /* not acknowledged */
	for (u32 nid = 1; nid <= 3; nid++) /* nobody takes that key, at delivery */
		ck_assert_int_eq(state_find_wrap(w->s, &e, nid, ROLE_MANAGER, &got, wrap, info, &n), -DSI_EPERM);
	/* and if it were committed: the verdict counts, the key does not */
	ck_assert_int_eq(w_apply(w, &e), 0);
	ck_assert_int_eq(state_node(w->s, 3)->status, NODE_REVOKED);
	ck_assert(!(w->res.changed & CHANGED_KEY));
	ck_assert_uint_eq(w->s->keygen, keygen - 1);
	ck_assert_int_eq(state_find_wrap(w->s, &e, 1, ROLE_MANAGER, &got, wrap, info, &n), -DSI_EPERM);
	/* later keys to the dead: refused whole */
	struct body_e_groupkey g = { .keygen = keygen, .wraps = wraps };

	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), -DSI_EPERM);
	ck_assert_int_eq(state_make_wraps(w->s, keygen, key, 0, &w->arena, &g.wraps), 0);
	ck_assert_uint_eq(g.wraps.n, 4);
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), 0);
	w_free(w);
}
END_TEST

START_TEST(wraps_mangled)
{
	struct world *w = w_three();
	static const u8 key[CRYPTO_KEY] = { 3 };
	struct body_e_groupkey g = { .keygen = w->s->keygen + 1 };
	struct blob first, v[6];

	ck_assert_int_eq(state_make_wraps(w->s, g.keygen, key, 0, &w->arena, &g.wraps), 0);
	memcpy(v, g.wraps.v, sizeof(v));
	g.wraps.v = v;
	first = v[0];
	v[0] = v[1]; /* twice the same */
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), -DSI_EPARSE);
	v[1] = first; /* out of order */
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), -DSI_EPARSE);
	struct body_wrap b = { .nid = 1, .role = 7, .wrap = { key, 32 } };

	v[0] = w_blob(w, &schema_wrap, &b);
	g.wraps.n = 1;
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), -DSI_EPARSE);
	b.role = ROLE_MANAGER;
	v[0] = w_blob(w, &schema_wrap, &b);
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), -DSI_EPARSE);
	/* a key for nobody; a number that leaves none for those who come after */
	g.wraps.n = 0;
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), -DSI_EPARSE);
	g.keygen = ~0u;
	ck_assert_int_eq(state_make_wraps(w->s, g.keygen, key, 0, &w->arena, &g.wraps), 0);
	ck_assert_int_eq(w_put(w, ENTRY_GROUPKEY, w_blob(w, &schema_e_groupkey, &g)), -DSI_ELIMIT);
	ck_assert_uint_eq(w->s->keygen, 1);
	w_free(w);
}
END_TEST

START_TEST(target_orders_on)
{
	struct world *w = w_three();
	struct entry e;

	/* the active server's own node is revoked, by the next server */
	ck_assert_int_eq(w_term(w, 2), 0);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 1)), 0);
	ck_assert_uint_eq(w->s->n_server, 2);
	w->author = 1;
	w_entry(w, &e, ENTRY_NOP, NULL, 0);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EREVOKED);
	ck_assert_int_eq(w_apply(w, &e), -DSI_EROLE);
	/* a term of its own, with promises of its own and its friend's */
	w->term++;
	struct blob b = w_term_body(w, w->term, 1, 0, NULL, (const u32[]){ 1, 3 }, 2);

	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EREVOKED);
	ck_assert_int_eq(w_apply(w, &e), -DSI_EROLE);
	/* its promise does not count for another's term either */
	w->author = 3;
	b = w_term_body(w, w->term, 3, 0, NULL, (const u32[]){ 1, 3 }, 2);
	w_entry(w, &e, ENTRY_TERM, b.p, b.n);
	ck_assert_int_eq(state_verify_entry(w->s, &e, &w->err), -DSI_EQUORUM);
	w_free(w);
}
END_TEST

/* The server that is told to revoke its own node does it too, if it is honest; then it is out of office at once. */
START_TEST(own_verdict_ends_office)
{
	struct world *w = w_three();

	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 1)), 0);
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), -DSI_EROLE);
	ck_assert_int_eq(w_term(w, 2), 0);
	ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	w_free(w);
}
END_TEST

START_TEST(leaving_is_no_escape)
{
	struct world *w = w_three();
	struct body_s_node_op b = { .nid = 3, .name = "n3", .reason = "I go" };

	/* signed by itself */
	ck_assert_int_eq(w_say(w, ENTRY_REMOVE, "n3/sign", &schema_s_node_op, &b), -DSI_EAUTH);
	ck_assert_int_eq(w_say(w, ENTRY_WITHDRAW, "n3/sign", &schema_s_node_op, &b), -DSI_EAUTH);
	/* suspended, then removed as if nothing had been */
	ck_assert_int_eq(w_order(w, w_verdict_until(w, "vera", 3, w->now + 5000)), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_REMOVE, "alice", 3)), -DSI_ENOTSAFE);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), -DSI_ENOENT);
	/* a suspended node is nobody's equal: no promotion, no term */
	ck_assert_int_eq(w_promote(w, 3), -DSI_EREVOKED);
	ck_assert_int_eq(w_term(w, 3), -DSI_EREVOKED);
	w_free(w);
}
END_TEST

START_TEST(flags_and_reasons_are_bounded)
{
	struct world *w = w_three();
	struct body_s_verdict v = { .nid = 3, .name = "n3", .flags = 4 };

	ck_assert_int_eq(w_say(w, ENTRY_VERDICT, "vera", &schema_s_verdict, &v), -DSI_EVERSION);
	v.flags = VERDICT_FENCE | VERDICT_KEEP_ON_RING;
	memset(v.reason, 'x', sizeof(v.reason) - 1);
	ck_assert_int_eq(w_say(w, ENTRY_VERDICT, "vera", &schema_s_verdict, &v), 0);
	ck_assert_uint_eq(state_node(w->s, 3)->verdict_flags, v.flags);
	ck_assert_str_eq(state_node(w->s, 3)->reason, v.reason);
	w_free(w);
}
END_TEST

/* Two of three voters revoked one after the other would leave one to decide for all: the second is refused before
 * it is ordered, and the only voter is never taken away even by a server that does not ask. */
START_TEST(not_down_to_nothing)
{
	struct world *w = w_three();

	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 3)), 0);
	ck_assert_int_eq(w_check(w, w_verdict(w, "vera", 2), all3, 2), -DSI_ENOTSAFE);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 2)), 0);
	ck_assert_int_eq(w_order(w, w_verdict(w, "vera", 1)), -DSI_ENOTSAFE);
	ck_assert_uint_eq(w->s->voters[0].n, 1);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sec_verdict");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, replayed_verdict);
	tcase_add_test(t, voided_by_its_date);
	tcase_add_test(t, key_for_the_target);
	tcase_add_test(t, wraps_mangled);
	tcase_add_test(t, target_orders_on);
	tcase_add_test(t, own_verdict_ends_office);
	tcase_add_test(t, leaving_is_no_escape);
	tcase_add_test(t, flags_and_reasons_are_bounded);
	tcase_add_test(t, not_down_to_nothing);
	suite_add_tcase(s, t);
	return check_main(s);
}
