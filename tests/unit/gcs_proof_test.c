/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commit proofs: what is noted, what bytes are one, and what a right one proves. Wrong ones: sec/learn_test.c. */
#include "tests/unit/gcs_acks.h"

struct reader {
	struct world *w;
	u64 tail; /* it has the log up to here */
	struct order_voters sets[8];
	struct proof_log log;
};

static bool on_entry(void *ctx, u64 index, struct proof_entry *ret)
{
	const struct reader *r = ctx;
	struct entry e;

	if (!index || index > r->tail)
		return false;
	a_entry(r->w, index, &e);
	*ret = (struct proof_entry){ .term = e.term, .generation = e.generation };
	memcpy(ret->hash, e.hash, sizeof(ret->hash));
	return true;
}

static bool on_voter(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB], u64 *ret_dead)
{
	const struct reader *r = ctx;
	const struct state_node *n = state_node(r->w->s, nid);

	if (!n)
		return false;
	memcpy(ret_pub, n->sign, CRYPTO_PUB);
	*ret_dead = n->verdict_at;
	return true;
}

static void reader_init(struct reader *r, struct world *w, u64 commit)
{
	memset(r, 0, sizeof(*r));
	r->w = w;
	r->tail = w->s->applied;
	r->log = (struct proof_log){ .ctx = r, .commit = commit, .sets = r->sets, .entry = on_entry, .voter = on_voter };
	memcpy(r->log.cluster, w->s->cluster, sizeof(r->log.cluster));
}

static void reader_set(struct reader *r, u64 index, const u32 *nid, u32 n)
{
	struct order_voters *v = &r->sets[r->log.n_sets++];

	*v = (struct order_voters){ .index = index, .n = n };
	memcpy(v->nid, nid, n * sizeof(*nid));
}

static u64 reach(const struct reader *r, struct blob p)
{
	u64 to = 0;

	ck_assert_int_eq(proof_check(&r->log, p.p, p.n, &to), 0);
	return to;
}

static void nop(struct world *w, u32 n)
{
	while (n--)
		ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
}

static const u32 all[] = { 1, 2, 3 };

START_TEST(book_keeps_the_newest_of_each)
{
	struct proof_book *b = calloc(1, sizeof(*b));
	const struct order_voters set = { .n = 3, .nid = { 1, 2, 3 } };
	const u8 raw[PROOF_ACK_MAX + 1] = { 1 };

	proof_note(b, 1, &(struct body_ack){ .term = 2, .index = 5 }, raw, 100);
	proof_note(b, 1, &(struct body_ack){ .term = 2, .index = 4 }, raw, 101);
	proof_note(b, 1, &(struct body_ack){ .term = 1, .index = 9 }, raw, 102);
	proof_note(b, 2, &(struct body_ack){ .term = 2, .index = 3 }, raw, sizeof(raw));
	ck_assert_uint_eq(b->n, 1);
	ck_assert_uint_eq(b->note[0].len, 100);
	ck_assert_uint_eq(proof_noted(b, 2, &set), 0);
	proof_note(b, 2, &(struct body_ack){ .term = 2, .index = 3 }, raw, 100);
	ck_assert_uint_eq(proof_noted(b, 2, &set), 3);
	ck_assert_uint_eq(proof_noted(b, 1, &set), 0);
	proof_note(b, 3, &(struct body_ack){ .term = 2, .index = 4 }, raw, 100);
	ck_assert_uint_eq(proof_noted(b, 2, &set), 4);
	proof_note(b, 1, &(struct body_ack){ .term = 3, .index = 5 }, raw, 100); /* a new term: two are left in the old */
	ck_assert_uint_eq(proof_noted(b, 2, &set), 3);
	for (u32 nid = 4; nid < 4 + 2 * PROOF_ACKS; nid++)
		proof_note(b, nid, &(struct body_ack){ .term = 3, .index = nid }, raw, 100);
	ck_assert_uint_eq(b->n, PROOF_ACKS);
	for (u32 i = 0; i < b->n; i++)
		ck_assert_uint_gt(b->note[i].nid, 3 + PROOF_ACKS); /* the oldest went */
	free(b);
}
END_TEST

START_TEST(majority_proves_the_least_of_it)
{
	struct world *w = w_three();
	struct proof_book b = { 0 };
	struct reader r;
	u64 from;

	nop(w, 4);
	from = w->s->applied - 4;
	reader_init(&r, w, from);
	reader_set(&r, from, all, 3);
	a_note(w, &b, 1, w->term, from + 4, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), from);
	a_note(w, &b, 3, w->term, from + 2, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), from + 2);
	a_note(w, &b, 2, w->term, from + 3, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), from + 3);
	r.tail = from + 3; /* what it does not have does not count, and counts once it has it */
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), from + 2);
	r.log.commit = from + 4;
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), from + 4); /* never back */
	w_free(w);
}
END_TEST

START_TEST(an_earlier_term_only_through_a_later_one)
{
	struct world *w = w_three();
	struct proof_book b = { 0 };
	struct reader r;
	u64 old;

	nop(w, 2);
	old = w->s->applied;
	ck_assert_int_eq(w_term(w, 2), 0);
	nop(w, 1);
	reader_init(&r, w, old - 2);
	reader_set(&r, old - 2, all, 3);
	for (u32 i = 1; i <= 3; i++)
		a_note(w, &b, i, w->term, old, NULL); /* Raft 5.4.2: on all disks, and not committed by that */
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), old - 2);
	a_note(w, &b, 1, w->term, old + 1, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), old - 2);
	a_note(w, &b, 2, w->term, old + 1, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), old + 1);
	w_free(w);
}
END_TEST

START_TEST(a_change_needs_the_set_before_and_the_set_it_makes)
{
	struct world *w = w_new();
	u32 two = w_join(w, "n2", "n2", NODE_MEMBER | NODE_VOTER), three;
	u64 first = w->s->applied, second;
	struct proof_book b = { 0 };
	struct reader r;

	three = w_join(w, "n3", "n3", NODE_MEMBER | NODE_VOTER);
	second = w->s->applied;
	nop(w, 1);
	reader_init(&r, w, 2);
	reader_set(&r, 1, (const u32[]){ 1 }, 1);
	reader_set(&r, first, (const u32[]){ 1, two }, 2);
	reader_set(&r, second, (const u32[]){ 1, two, three }, 3);
	a_note(w, &b, 1, w->term, second + 1, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), first - 1); /* the old set alone: up to the change */
	a_note(w, &b, three, w->term, second + 1, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), first - 1); /* a majority of the last, not of each */
	a_note(w, &b, two, w->term, first, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), first);
	a_note(w, &b, two, w->term, second, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), second + 1);
	w_free(w);
}
END_TEST

START_TEST(what_was_acknowledged_before_the_verdict_counts)
{
	struct world *w = w_three();
	u64 before = w->s->applied;
	struct reader r;

	nop(w, 1);
	ck_assert_int_eq(w_order(w, w_verdict(w, "alice", 3)), 0);
	nop(w, 1);
	reader_init(&r, w, before);
	reader_set(&r, before, all, 3);
	ck_assert_uint_eq(reach(&r, a_prove(w, before + 1, (const u32[]){ 2, 3 }, 2)), before + 1);
	ck_assert_uint_eq(reach(&r, a_prove(w, before + 2, (const u32[]){ 2, 3 }, 2)), before);
	reader_set(&r, before + 2, (const u32[]){ 1, 2 }, 2);
	ck_assert_uint_eq(reach(&r, a_prove(w, before + 3, (const u32[]){ 2, 3 }, 2)), before);
	ck_assert_uint_eq(reach(&r, a_prove(w, before + 3, (const u32[]){ 1, 2 }, 2)), before + 3);
	w_free(w);
}
END_TEST

START_TEST(one_voter_proves_by_its_own)
{
	struct world *w = w_new();
	struct reader r;

	nop(w, 2);
	reader_init(&r, w, 1);
	reader_set(&r, 1, (const u32[]){ 1 }, 1);
	ck_assert_uint_eq(reach(&r, a_prove(w, w->s->applied, (const u32[]){ 1 }, 1)), w->s->applied);
	w_free(w);
}
END_TEST

/* What was acknowledged in one generation says nothing of the log that root put in its place. */
START_TEST(a_generation_proves_itself_only)
{
	struct world *w = w_three();
	const struct ack_bend older = { .generation = (u32)-1 };
	static const u32 one[] = { 3 };
	struct state *at_base;
	struct proof_book b = { 0 };
	u8 prev[CRYPTO_HASH];
	struct blob kept, lost;
	struct reader r;
	u64 base, term;

	nop(w, 1);
	base = w->s->applied;
	term = w->term;
	at_base = state_clone(w->s);
	ck_assert_ptr_nonnull(at_base);
	memcpy(prev, w->prev, sizeof(prev));
	kept = a_prove(w, base, all, 3);
	nop(w, 3);
	lost = a_prove(w, base + 3, all, 3);
	/* root: n3 alone, on base */
	state_free(w->s);
	w->s = at_base;
	memcpy(w->prev, prev, sizeof(prev));
	w->author = 3;
	ck_assert_int_eq(w_reform_put(w, w_reform(w, 2, 3), true), 0);
	ck_assert_int_eq(w_term(w, 3), 0);
	nop(w, 1);
	reader_init(&r, w, base - 1);
	reader_set(&r, 1, all, 3);
	ck_assert_uint_eq(reach(&r, lost), base - 1); /* as high an index, by all three, of entries that are no more */
	ck_assert_uint_eq(reach(&r, kept), base);     /* what both logs have keeps its proof */
	reader_init(&r, w, base + 1); /* the reform is committed by nature */
	reader_set(&r, base + 1, one, 1);
	ck_assert_uint_eq(reach(&r, lost), base + 1);
	a_note(w, &b, 3, w->term, base + 3, &older); /* the right entry in an envelope of the old generation */
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), base + 1);
	memset(&b, 0, sizeof(b));
	a_note(w, &b, 1, w->term, base + 3, NULL); /* who has no vote in this one */
	a_note(w, &b, 2, w->term, base + 3, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), base + 1);
	a_note(w, &b, 3, w->term, base + 3, NULL);
	ck_assert_uint_eq(reach(&r, a_proof(w, &b, w->term)), base + 3);
	ck_assert_uint_gt(w->term, term);
	w_free(w);
}
END_TEST

START_TEST(bytes_are_strict)
{
	struct world *w = w_three();
	struct blob p = a_prove(w, w->s->applied, all, 3);
	u8 *copy = malloc(p.n + 1);
	struct reader r;
	u64 to;

	reader_init(&r, w, 1);
	reader_set(&r, 1, all, 3);
	memcpy(copy, p.p, p.n);
	for (size_t n = 0; n < p.n; n++) {
		ck_assert_int_lt(proof_check(&r.log, copy, n, &to), 0);
		ck_assert_uint_eq(to, 1);
	}
	copy[p.n] = 0;
	ck_assert_int_eq(proof_check(&r.log, copy, p.n + 1, &to), -DSI_ETRAIL);
	ck_assert_uint_eq(to, 1);
	copy[0] = PROOF_VERSION + 1;
	ck_assert_int_eq(proof_check(&r.log, copy, p.n, &to), -DSI_EVERSION);
	copy[0] = PROOF_VERSION;
	copy[9] = PROOF_ACKS + 1;
	ck_assert_int_eq(proof_check(&r.log, copy, p.n, &to), -DSI_ELIMIT);
	free(copy);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proof");
	TCase *t = tcase_create("proof");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, book_keeps_the_newest_of_each);
	tcase_add_test(t, majority_proves_the_least_of_it);
	tcase_add_test(t, an_earlier_term_only_through_a_later_one);
	tcase_add_test(t, a_change_needs_the_set_before_and_the_set_it_makes);
	tcase_add_test(t, what_was_acknowledged_before_the_verdict_counts);
	tcase_add_test(t, one_voter_proves_by_its_own);
	tcase_add_test(t, a_generation_proves_itself_only);
	tcase_add_test(t, bytes_are_strict);
	suite_add_tcase(s, t);
	return check_main(s);
}
