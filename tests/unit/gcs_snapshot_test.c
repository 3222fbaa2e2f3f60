/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots: who must have signed one before it is taken, what is kept of whom, and the bytes that travel. */
#include "gcs/snapshot.h"
#include "tests/unit/gcs_acks.h"

enum { PLACE = 64 };

static struct world *w;
static u8 digest[CRYPTO_HASH];
static struct snapshot_offer offer;
static u32 dead;

static void setup(void)
{
	w = w_three();
	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER | NODE_VOTER), 4);
	while (w->s->applied < PLACE)
		ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	w_digest(w->s, digest);
	memset(&offer, 0, sizeof(offer));
	offer.index = PLACE;
	offer.entry = (struct blob){ w->log[PLACE - 1].p, w->log[PLACE - 1].n };
	offer.format = STATE_FORMAT;
	offer.size = 1000;
	memcpy(offer.digest, digest, sizeof(digest));
	dead = 0;
}

static void teardown(void)
{
	w_free(w);
}

static void says(u32 nid, const struct ack_bend *bend)
{
	offer.word[offer.n_word++] = a_word(w, nid, PLACE, digest, bend, NULL);
}

static bool on_voter(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB])
{
	const struct state_node *n = state_node(w->s, nid);

	if (!n || nid == dead)
		return false;
	memcpy(ret_pub, n->sign, CRYPTO_PUB);
	return true;
}

static int check(const u32 *nid, u32 n)
{
	struct order_voters set = { .n = n };
	struct snapshot_reader r = { .generation = 1, .format = STATE_FORMAT, .set = &set, .voter = on_voter };
	struct entry e;

	memcpy(set.nid, nid, n * sizeof(*nid));
	memcpy(r.cluster, w->s->cluster, sizeof(r.cluster));
	return snapshot_check(&r, &offer, &e);
}
#define SET(...) (const u32[]){ __VA_ARGS__ }, sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32)

START_TEST(a_majority_of_the_readers_own)
{
	says(1, NULL);
	ck_assert_int_eq(check(SET(1)), -DSI_EQUORUM); /* a set of one: its word alone is never enough */
	ck_assert_int_eq(check(SET(1, 2)), -DSI_EQUORUM);
	says(2, NULL);
	ck_assert_int_eq(check(SET(1, 2)), 0);
	ck_assert_int_eq(check(SET(1, 2, 3)), 0);
	ck_assert_int_eq(check(SET(1)), -DSI_EQUORUM);          /* the other is no voter of ours */
	ck_assert_int_eq(check(SET(1, 2, 3, 4)), -DSI_EQUORUM); /* two of four */
	ck_assert_int_eq(check(SET(3, 4)), -DSI_EQUORUM);       /* of another set, older or newer */
	ck_assert_int_eq(check(SET(2, 3, 4)), -DSI_EQUORUM);
	dead = 2;
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EQUORUM);
	says(3, NULL);
	ck_assert_int_eq(check(SET(1, 2, 3)), 0); /* the dead one's word is passed over */
}
END_TEST

static const struct {
	const char *name;
	struct ack_bend bend;
} bent[] = {
	{ "torn", { .torn = true } },
	{ "by another key", { .key = "n1" } },
	{ "of another cluster", { .cluster = 1 } },
	{ "of another generation", { .generation = 1 } },
	{ "no DIGEST", { .type = MSG_ACK } },
	{ "of a server", { .role = ROLE_SERVER } },
	{ "sealed", { .flags = ENVELOPE_SEALED } },
	{ "of another version", { .version = 1 } },
	{ "about another entry", { .hash = 1 } },
	{ "about another state", { .digest = 1 } },
	{ "in another format", { .format = 1 } },
	{ "about another place", { .index = 1 } },
};

START_TEST(a_word_that_is_none)
{
	says(1, NULL);
	says(2, &bent[_i].bend);
	ck_assert_msg(check(SET(1, 2, 3)) == -DSI_EQUORUM, "%s", bent[_i].name);
	says(3, NULL);
	ck_assert_int_eq(check(SET(1, 2, 3)), 0);
}
END_TEST

START_TEST(what_is_no_offer)
{
	says(1, NULL);
	says(2, NULL);
	struct snapshot_offer good = offer;

	offer.word[1] = offer.word[0]; /* one voter twice */
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EPARSE);
	offer = good;
	offer.word[0] = good.word[1], offer.word[1] = good.word[0];
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EPARSE);
	offer = good;
	offer.format++;
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EVERSION);
	offer = good;
	offer.size = LIM_STATE + 1;
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_ELIMIT);
	offer = good;
	offer.index--;
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EPARSE);
	offer = good;
	offer.entry = (struct blob){ w->log[PLACE - 2].p, w->log[PLACE - 2].n };
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EPARSE);
	offer = good;
	offer.entry = (struct blob){ 0 };
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EPARSE);
	offer = good;
	offer.digest[0] ^= 1;
	ck_assert_int_eq(check(SET(1, 2, 3)), -DSI_EQUORUM);
}
END_TEST

static void note(struct snapshot_book *b, u32 nid, u64 index, u8 first)
{
	struct body_digest m = { .index = index, .format = STATE_FORMAT, .digest = { first } };
	const u8 raw[3] = { (u8)nid, (u8)index, first };

	snapshot_note(b, nid, &m, raw, sizeof(raw));
}

static u32 noted(const struct snapshot_book *b, u64 index, u8 first, struct snapshot_offer *o)
{
	static const struct order_voters set = { .n = 2, .nid = { 1, 3 } };
	static const u8 entry[CRYPTO_HASH];

	*o = (struct snapshot_offer){ .index = index, .format = STATE_FORMAT, .digest = { first } };
	return snapshot_words(b, &set, entry, o);
}

START_TEST(the_book)
{
	static struct snapshot_book b;
	struct snapshot_offer o;

	memset(&b, 0, sizeof(b));
	for (u32 nid = 3; nid; nid--)
		note(&b, nid, 64, 7);
	note(&b, 3, 64, 8); /* a second word about one place */
	ck_assert_uint_eq(noted(&b, 64, 7, &o), 2); /* 2 is not of the set asked about, and shown all the same */
	ck_assert_uint_eq(o.n_word, 3);
	for (u32 i = 0; i < 3; i++)
		ck_assert_uint_eq(o.word[i].p[0], i + 1);
	ck_assert_uint_eq(noted(&b, 64, 8, &o), 0);
	for (u64 at = 128; at < 64 * (2 + SNAPSHOT_PLACES); at += 64)
		note(&b, 1, at, 7);
	ck_assert_uint_eq(noted(&b, 64, 7, &o), 1); /* 1 has said newer ones since */
	note(&b, 1, 64, 7);                           /* an old one pushes out nothing */
	ck_assert_uint_eq(noted(&b, 64, 7, &o), 1);
	ck_assert_uint_eq(noted(&b, 128, 7, &o), 1);
	for (u32 nid = 10; nid < 10 + 2 * AGREE_VOTERS; nid++)
		note(&b, nid, 640 + nid, 7);
	ck_assert_uint_eq(noted(&b, 64, 7, &o), 0);
	ck_assert_uint_eq(noted(&b, 640 + 9 + 2 * AGREE_VOTERS, 7, &o), 0);
	ck_assert_uint_eq(o.n_word, 1);
}
END_TEST

START_TEST(bytes)
{
	struct snapshot_ask asks[] = { { .kind = SNAPSHOT_OFFER }, { .kind = SNAPSHOT_PART, .digest = { 1 }, .offset = 9 },
				       { .kind = SNAPSHOT_AT, .index = 77 } };
	struct snapshot_at at = { .commit = 5, .knows = SNAPSHOT_KNOWS_ENTRY, .hash = { 4 } }, at_back;
	struct snapshot_offer back;
	struct wbuf b;

	for (u32 i = 0; i < ARRAY_SIZE(asks); i++) {
		struct snapshot_ask a;

		wbuf_init(&b, 1000);
		ck_assert_int_eq(snapshot_ask_encode(&asks[i], &b), 0);
		ck_assert_uint_le(b.len, SNAPSHOT_ASK_MAX);
		ck_assert_int_eq(snapshot_ask_decode(&a, b.data, b.len), 0);
		ck_assert(a.kind == asks[i].kind && a.offset == asks[i].offset && a.index == asks[i].index);
		wbuf_u8(&b, 0);
		ck_assert_int_eq(snapshot_ask_decode(&a, b.data, b.len), -DSI_ETRAIL);
		ck_assert_int_eq(snapshot_ask_decode(&a, b.data, b.len - 2), -DSI_ETRUNC);
		b.data[0]++;
		ck_assert_int_eq(snapshot_ask_decode(&a, b.data, b.len - 1), -DSI_EVERSION);
		wbuf_fini(&b);
	}
	ck_assert_int_eq(snapshot_ask_decode(&asks[0], (const u8 *)"\1\4", 2), -DSI_EINVAL);
	wbuf_init(&b, 1000);
	ck_assert_int_eq(snapshot_at_encode(&at, &b), 0);
	ck_assert_int_eq(snapshot_at_decode(&at_back, b.data, b.len), 0);
	ck_assert_mem_eq(&at_back.hash, &at.hash, CRYPTO_HASH);
	b.data[9] = 0; /* a hash of what it says not to know */
	ck_assert_int_eq(snapshot_at_decode(&at_back, b.data, b.len), -DSI_EPARSE);
	wbuf_fini(&b);
	says(1, NULL);
	says(2, NULL);
	wbuf_init(&b, LIM_DIRECT_FRAME);
	ck_assert_int_eq(snapshot_offer_encode(&offer, &b), 0);
	ck_assert_int_eq(snapshot_offer_decode(&back, b.data, b.len), 0);
	ck_assert(back.index == PLACE && back.n_word == 2 && back.entry.n == offer.entry.n && back.size == offer.size);
	for (size_t n = 0; n < b.len; n++)
		ck_assert_int_lt(snapshot_offer_decode(&back, b.data, n), 0);
	wbuf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_snapshot");
	TCase *t = tcase_create("snapshot");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_majority_of_the_readers_own);
	tcase_add_loop_test(t, a_word_that_is_none, 0, ARRAY_SIZE(bent));
	tcase_add_test(t, what_is_no_offer);
	tcase_add_test(t, the_book);
	tcase_add_test(t, bytes);
	suite_add_tcase(s, t);
	return check_main(s);
}
