/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order core alone, under liars: what one compromised member, server or ring can say to it, and that it
 * does not move. Histories of whole clusters are tests/sim/order_test.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/order.h"
#include "lib/err.h"
#include "tests/unit/lib_check.h"

enum { LOG_MAX = 64 };

static struct order *o;
static struct order_actions acts;
static u64 now;
static struct {
	u8 bytes[1024];
	size_t n;
	struct entry e;
} entries[LOG_MAX]; /* what was appended, by index */
static u64 tail;
static u32 dead, promised_by[LIM_VOTERS], n_promised_by;
static bool no_body, server_deposed, verify_fails;
static struct gcs_view view = { .ring = { 1, 8 }, .quorate = true, .expected = 3, .total = 3, .token_ns = 1000000000,
				.consensus_ns = 1200000000, .n = 5,
				.members = { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 2, 2 }, { 3, 1 } } };

static u32 voters(void *ctx, struct order_voters ret[2])
{
	ret[0] = (struct order_voters){ .index = 1, .n = 3, .nid = { 1, 2, 3 } };
	return 1;
}

static u32 server_rank(void *ctx, u32 nid)
{
	return nid <= 2 && !server_deposed ? nid : 0;
}

static bool bodies_present(void *ctx, const struct entry *e)
{
	return !no_body;
}

static const u8 *read_entry(void *ctx, u64 index, size_t *ret_len)
{
	if (!index || index > tail)
		return NULL;
	*ret_len = entries[index].n;
	return entries[index].bytes;
}

static bool nid_dead(void *ctx, u32 nid)
{
	return dead == nid;
}

static bool verify_entry(void *ctx, const struct entry *e)
{
	return !verify_fails;
}

static u32 term_promises(void *ctx, const struct entry *e, u32 ret[LIM_VOTERS])
{
	memcpy(ret, promised_by, sizeof(promised_by));
	return n_promised_by;
}

static size_t make(u8 *ret, u16 type, u64 term, u64 index, const u8 *prev, u32 author, struct entry *e)
{
	u8 link[CRYPTO_HASH] = { 0 };
	struct wbuf w;

	if (prev)
		memcpy(link, prev, sizeof(link)); /* may be e's own */
	*e = (struct entry){ .type = type, .author_role = ROLE_SERVER, .author_nid = author, .generation = 1, .term = term, .index = index };
	memcpy(e->prev, link, sizeof(link));
	wbuf_fixed(&w, ret, 1024);
	ck_assert_int_eq(entry_encode(e, &w), 0);
	wbuf_bytes(&w, e->sig, CRYPTO_SIG);
	return w.len;
}

static void put(u64 index, const u8 *p, size_t n)
{
	tail = n ? index : index - 1;
	memcpy(entries[index].bytes, p, n);
	entries[index].n = n;
	if (n)
		ck_assert_int_eq(entry_decode(&entries[index].e, entries[index].bytes, n), 0);
}

static const struct order_action *find(enum order_action_type type, u16 message)
{
	for (u32 i = 0; i < acts.n; i++)
		if (acts.v[i].type == type && (type != ORDER_SEND || acts.v[i].u.send.type == message))
			return &acts.v[i];
	return NULL;
}

/* Carry out what concerns the disk, at once; remember whether anything of interest was said. */
static struct {
	bool state, open, openack, ack, halt, alarm, make_term, fetch, bodies, commit, relearnt, appended;
	u64 commit_index, ack_index;
} did;

static void carry(void)
{
	struct order_action v[64];
	u32 n = acts.n;

	ck_assert_uint_le(n, 64);
	memcpy(v, acts.v, n * sizeof(*v));
	did.state |= find(ORDER_SEND, MSG_STATE) != NULL;
	did.open |= find(ORDER_SEND, MSG_OPEN) != NULL;
	did.openack |= find(ORDER_SEND, MSG_OPENACK) != NULL;
	if (find(ORDER_SEND, MSG_ACK)) {
		did.ack = true;
		did.ack_index = find(ORDER_SEND, MSG_ACK)->u.send.body->ack.index;
	}
	did.halt |= find(ORDER_HALT, 0) != NULL;
	did.alarm |= find(ORDER_ALARM, 0) != NULL;
	did.make_term |= find(ORDER_MAKE_TERM, 0) != NULL;
	did.fetch |= find(ORDER_FETCH, 0) != NULL;
	did.bodies |= find(ORDER_BODIES, 0) != NULL;
	did.relearnt |= find(ORDER_RELEARNT, 0) != NULL;
	if (find(ORDER_COMMIT, 0)) {
		did.commit = true;
		did.commit_index = find(ORDER_COMMIT, 0)->u.commit.index;
	}
	for (u32 i = 0; i < n; i++)
		if (v[i].type == ORDER_APPEND) {
			did.appended = true;
			put(v[i].u.append.index, v[i].u.append.p, v[i].u.append.n);
		}
	for (u32 i = 0; i < n; i++) {
		if (v[i].type == ORDER_APPEND) {
			order_appended(o, now, v[i].u.append.index, &acts);
			carry();
		}
		if (v[i].type == ORDER_PROMISE) {
			order_promised(o, now, v[i].u.promise.term, &acts);
			carry();
		}
	}
}

static struct gcs_member member(u32 nid, enum msg_role role)
{
	return (struct gcs_member){ nid, role == ROLE_SERVER ? 2 : 1 };
}

static void say(u32 nid, enum msg_role role, u16 type, const void *body)
{
	order_message(o, now, member(nid, role), nid, role, type, body, &acts);
	carry();
}

static void hello(u32 nid, enum msg_role role)
{
	struct body_hello b = { 0 };

	say(nid, role, MSG_HELLO, &b);
}

static void state(u32 nid, u64 promised, u64 term, u64 index, const u8 *hash)
{
	struct body_state b = { .promised = promised, .tail_term = term, .tail_index = index };

	memcpy(b.tail_hash, hash, CRYPTO_HASH);
	say(nid, ROLE_MANAGER, MSG_STATE, &b);
}

static void state_own(u32 nid)
{
	state(nid, 0, 0, 1, entries[1].e.hash);
}

static void open_by(u32 nid, u64 term, u32 leader, u32 a, u32 b_nid, u32 c)
{
	u8 v[16];
	struct wbuf w;
	struct body_open b = { .term = term };

	wbuf_fixed(&w, v, sizeof(v));
	wbuf_u32(&w, leader);
	wbuf_u32(&w, a);
	if (b_nid)
		wbuf_u32(&w, b_nid);
	if (c)
		wbuf_u32(&w, c);
	b.voters = (struct blob){ v, w.len };
	say(nid, ROLE_MANAGER, MSG_OPEN, &b);
}

static void openack(u32 nid, u64 term)
{
	struct body_openack b = { .term = term };

	say(nid, ROLE_MANAGER, MSG_OPENACK, &b);
}

static void ack(u32 nid, u64 term, u64 index, const u8 *hash)
{
	struct body_ack b = { .term = term, .index = index };

	memcpy(b.hash, hash, CRYPTO_HASH);
	say(nid, ROLE_MANAGER, MSG_ACK, &b);
}

static void entry_from(u32 nid, const u8 *p, size_t n)
{
	struct body_entry b = { .entry = { p, n } };

	say(nid, ROLE_SERVER, MSG_ENTRY, &b);
}

static void begin_as(enum msg_role role, bool stale)
{
	struct order_env env = { .voters = voters, .server_rank = server_rank, .bodies_present = bodies_present,
				 .read_entry = read_entry, .nid_dead = nid_dead, .verify_entry = verify_entry,
				 .term_promises = term_promises };
	struct order_config cfg = { .nid = 1, .role = role, .generation = 1, .tail_index = 1, .commit = 1, .stale_disk = stale };
	u8 buf[1024];
	struct entry e;

	memset(&did, 0, sizeof(did));
	now = 1000000000;
	tail = dead = 0;
	no_body = server_deposed = verify_fails = false;
	put(1, buf, make(buf, ENTRY_GENESIS, 0, 1, NULL, 0, &e));
	memcpy(cfg.tail_hash, e.hash, CRYPTO_HASH);
	o = order_new(&cfg, &env);
	ck_assert_ptr_nonnull(o);
	order_view(o, now, &view, &acts);
	carry();
	for (u32 i = 1; i <= 2; i++)
		hello(i, ROLE_SERVER);
	for (u32 i = 1; i <= 3; i++)
		hello(i, ROLE_MANAGER);
}

static void begin(void)
{
	begin_as(ROLE_MANAGER, false);
}

static void end(void)
{
	order_free(o);
	o = NULL;
}

/* Opened at term 1 under server 1, promised by us and by 2. */
static void opened(void)
{
	for (u32 i = 1; i <= 3; i++)
		state_own(i);
	open_by(1, 1, 1, 1, 2, 3);
	openack(1, 1);
	openack(2, 1);
	promised_by[0] = 1;
	promised_by[1] = 2;
	n_promised_by = 2;
}

static u8 buf[1024];
static struct entry made;

static void term_one(void)
{
	size_t n = make(buf, ENTRY_TERM, 1, 2, entries[1].e.hash, 1, &made);

	opened();
	entry_from(1, buf, n);
}

static struct order_status status(void)
{
	struct order_status st;

	order_status(o, now, &st);
	return st;
}

/* --- opening --------------------------------------------------------------------------------------------- */

START_TEST(opens_and_acknowledges)
{
	ck_assert(did.state && !did.open);
	term_one();
	ck_assert(did.openack && did.ack && did.ack_index == 2);
	ack(1, 1, 2, made.hash);
	ck_assert(!did.commit);
	ack(2, 1, 2, made.hash);
	ck_assert(did.commit && did.commit_index == 2 && !did.alarm);
	ck_assert(status().active_nid == 1 && status().live);
}
END_TEST

/* A node whose dsid is away and whose dsi-ss lives neither votes nor enforces. */
START_TEST(present_is_the_manager)
{
	struct gcs_view next = view;

	ck_assert(status().present_n == 3 && status().server_n == 2);
	next.ring.seq++;
	order_view(o, now, &next, &acts);
	carry();
	hello(1, ROLE_SERVER);
	hello(2, ROLE_MANAGER);
	ck_assert(status().present_n == 1 && status().present_nid[0] == 2);
	ck_assert(status().server_n == 1 && status().server_nid[0] == 1);
}
END_TEST

/* Only the leader's own word, about its own term. */
START_TEST(yield_is_the_leaders_word)
{
	struct body_yield b = { .term = 1 };

	term_one();
	ack(1, 1, 2, made.hash);
	ack(2, 1, 2, made.hash);
	did.state = did.open = false;
	say(2, ROLE_SERVER, MSG_YIELD, &b); /* the standby speaks for it */
	say(1, ROLE_MANAGER, MSG_YIELD, &b);
	b.term = 2;
	say(1, ROLE_SERVER, MSG_YIELD, &b);
	ck_assert(!did.state && !did.open);
	b.term = 1;
	server_deposed = true; /* nobody to follow */
	say(1, ROLE_SERVER, MSG_YIELD, &b);
	server_deposed = false;
	did.state = false;
	for (u32 i = 1; i <= 3; i++)
		state(i, 1, 1, 2, made.hash);
	open_by(2, 2, 1, 1, 2, 3);
	ck_assert_uint_eq(status().term, 2);
	did.state = did.open = false;
	b.term = 2; /* a leader whose TERM is not here yet has nothing to give */
	say(1, ROLE_SERVER, MSG_YIELD, &b);
	ck_assert(!did.state && !did.open);
}
END_TEST

START_TEST(yield_opens_again_for_the_next)
{
	struct body_yield b = { .term = 1 };

	term_one();
	ack(1, 1, 2, made.hash);
	ack(2, 1, 2, made.hash);
	did.state = did.open = false;
	say(1, ROLE_SERVER, MSG_YIELD, &b);
	ck_assert(did.state);
	for (u32 i = 1; i <= 3; i++)
		state(i, 1, 1, 2, made.hash);
	ck_assert(did.open); /* ours is the best tail, the lowest number */
	open_by(1, 2, 2, 1, 2, 3);
	ck_assert_uint_eq(status().term, 2);
	did.state = did.open = false;
	b.term = 2;
	say(1, ROLE_SERVER, MSG_YIELD, &b); /* it leads no more: its word is nothing */
	ck_assert(!did.state && !did.open);
}
END_TEST

START_TEST(nothing_is_sent_below_quorum)
{
	struct gcs_view v = view;

	v.quorate = false;
	order_quorum(o, now, &v, &acts);
	carry();
	for (u32 i = 1; i <= 3; i++)
		state_own(i);
	open_by(2, 1, 1, 1, 2, 3);
	now += 10000000;
	order_tick(o, now, &acts);
	carry();
	ck_assert(!did.openack && !did.open);
	v.quorate = true;
	order_quorum(o, now, &v, &acts);
	carry();
	ck_assert(did.openack);
}
END_TEST

START_TEST(open_is_recomputed)
{
	static const struct {
		u64 term;
		u32 leader, a, b, c;
	} forged[] = {
		{ 2, 1, 1, 2, 3 }, /* wrong term */
		{ 0, 1, 1, 2, 3 },
		{ 1, 1, 1, 0, 0 }, /* no majority */
		{ 1, 3, 1, 2, 3 }, /* no server there */
		{ 1, 1, 2, 1, 3 }, /* not ascending */
		{ 1, 1, 1, 2, 9 }, /* nobody's STATE */
		{ 1, 1, 2, 2, 2 }, /* one voter thrice */
	};

	for (u32 i = 1; i <= 3; i++)
		state_own(i);
	for (size_t i = 0; i < ARRAY_SIZE(forged); i++) {
		open_by(3, forged[i].term, forged[i].leader, forged[i].a, forged[i].b, forged[i].c);
		ck_assert_uint_eq(status().phase, ORDER_OPENING);
	}
	open_by(3, 1, 1, 1, 2, 3);
	ck_assert_uint_eq(status().phase, ORDER_PROMISED);
	open_by(2, 1, 2, 1, 2, 3); /* the first valid one wins */
	openack(1, 1);
	openack(2, 1);
	ck_assert_uint_eq(status().term, 1);
}
END_TEST

START_TEST(a_term_is_promised_once)
{
	opened();
	did.openack = false;
	view.ring.seq += 4;
	order_view(o, now, &view, &acts);
	carry();
	for (u32 i = 1; i <= 2; i++)
		hello(i, ROLE_SERVER);
	hello(1, ROLE_MANAGER);
	state(2, 0, 0, 1, entries[1].e.hash);
	state(3, 0, 0, 1, entries[1].e.hash);
	open_by(2, 1, 2, 2, 3, 0); /* by two who did not promise: term 1 again, another server */
	openack(2, 1);
	openack(3, 1);
	ck_assert(!did.openack);
	ck_assert_uint_eq(status().promised, 1);
}
END_TEST

START_TEST(impossible_states_are_evidence)
{
	state(3, 1ull << 50, 0, 1, entries[1].e.hash); /* would exhaust the terms */
	ck_assert(did.alarm);
	did.alarm = false;
	state(3, 3, 4, 9, entries[1].e.hash); /* entries above its promise */
	ck_assert(did.alarm);
	state_own(1);
	state_own(2);
	open_by(2, (1ull << 50) + 1, 1, 1, 2, 3);
	ck_assert_uint_eq(status().phase, ORDER_OPENING);
}
END_TEST

START_TEST(two_identities_on_one_member)
{
	struct body_hello b = { 0 };

	order_message(o, now, member(2, ROLE_MANAGER), 3, ROLE_MANAGER, MSG_HELLO, &b, &acts);
	carry();
	ck_assert(did.alarm);
}
END_TEST

/* --- entries ------------------------------------------------------------------------------------------------ */

START_TEST(nothing_is_appended_before_open)
{
	entry_from(1, buf, make(buf, ENTRY_TERM, 1, 2, entries[1].e.hash, 1, &made));
	ck_assert(!did.appended && !did.ack);
}
END_TEST

START_TEST(only_the_server_of_the_term_writes)
{
	size_t n;

	opened();
	n = make(buf, ENTRY_TERM, 1, 2, entries[1].e.hash, 2, &made); /* author is not the leader */
	entry_from(1, buf, n);
	verify_fails = true; /* nobody promised it */
	entry_from(2, buf, n);
	verify_fails = false;
	ck_assert(!did.appended);
	n = make(buf, ENTRY_NOP, 1, 2, entries[1].e.hash, 1, &made); /* TERM is the first */
	entry_from(1, buf, n);
	ck_assert(!did.appended);
	n = make(buf, ENTRY_TERM, 2, 2, entries[1].e.hash, 1, &made); /* a term that nobody opened */
	entry_from(1, buf, n);
	ck_assert(!did.appended);
	verify_fails = true;
	n = make(buf, ENTRY_TERM, 1, 2, entries[1].e.hash, 1, &made);
	entry_from(1, buf, n);
	ck_assert(!did.appended);
	verify_fails = false;
	entry_from(1, buf, n);
	ck_assert(did.appended && did.ack);
	n = make(buf, ENTRY_TERM, 1, 3, made.hash, 1, &made); /* and only once */
	did.appended = false;
	entry_from(1, buf, n);
	ck_assert(!did.appended);
}
END_TEST

/* A new generation is not a server's to write, whatever it claims: the shell takes it in from elsewhere. */
START_TEST(no_server_writes_a_reform)
{
	struct entry e;

	term_one();
	ck_assert(did.appended);
	did.appended = false;
	entry_from(1, buf, make(buf, ENTRY_REFORM, 1, 3, made.hash, 1, &e));
	ck_assert(!did.appended);
	entry_from(1, buf, make(buf, ENTRY_REFORM, 2, 3, made.hash, 1, &e));
	ck_assert(!did.appended && status().tail == 2);
	entry_from(1, buf, make(buf, ENTRY_NOP, 1, 3, made.hash, 1, &e));
	ck_assert(did.appended && status().tail == 3);
}
END_TEST

/* We took another OPEN for the first valid one; TERM carries a majority's promises for server 2. */
START_TEST(term_proves_its_leader)
{
	opened();
	entry_from(2, buf, make(buf, ENTRY_TERM, 1, 2, entries[1].e.hash, 2, &made));
	ck_assert(did.appended);
	did.appended = false;
	entry_from(1, buf, make(buf, ENTRY_NOP, 1, 3, made.hash, 1, &made));
	ck_assert(!did.appended);
}
END_TEST

START_TEST(a_deposed_server_writes_nothing)
{
	size_t n;

	term_one();
	did.appended = did.state = false;
	server_deposed = true;
	order_recheck(o, now, &acts);
	carry();
	n = make(buf, ENTRY_NOP, 1, 3, made.hash, 1, &made);
	entry_from(1, buf, n);
	ck_assert(!did.appended);
}
END_TEST

/* A compromised server tries to write away what a majority holds: TERM on a shorter log. */
START_TEST(term_must_build_on_the_best_promised_tail)
{
	u8 hash[CRYPTO_HASH] = { 9 };

	state_own(1);
	state(2, 5, 5, 40, hash);
	state_own(3);
	open_by(3, 6, 1, 1, 2, 3);
	openack(1, 6);
	openack(2, 6);
	promised_by[0] = 1;
	promised_by[1] = 2;
	n_promised_by = 2;
	entry_from(1, buf, make(buf, ENTRY_TERM, 6, 2, entries[1].e.hash, 1, &made));
	ck_assert(!did.appended && did.alarm);
	promised_by[1] = 3; /* nor by a promise that was never given here */
	did.alarm = false;
	entry_from(1, buf, make(buf, ENTRY_TERM, 6, 2, entries[1].e.hash, 1, &made));
	ck_assert(!did.appended && did.alarm);
}
END_TEST

START_TEST(a_gap_is_fetched_and_verified)
{
	u8 second[1024], third[1024], wrong[1024];
	struct entry e2, e3, bad;
	struct blob v[2];

	term_one();
	v[0] = (struct blob){ second, make(second, ENTRY_NOP, 1, 3, made.hash, 1, &e2) };
	v[1] = (struct blob){ third, make(third, ENTRY_NOP, 1, 4, e2.hash, 1, &e3) };
	ack(2, 1, 4, e3.hash); /* so there are sources */
	did.appended = false;
	entry_from(1, third, v[1].n);
	ck_assert(!did.appended && did.fetch);
	v[0] = (struct blob){ wrong, make(wrong, ENTRY_NOP, 1, 3, e3.hash, 1, &bad) };
	did.fetch = false;
	order_fetched(o, now, 2, v, 2, &acts); /* does not chain: look further back */
	carry();
	ck_assert(!did.appended && did.fetch);
	v[0] = (struct blob){ second, make(second, ENTRY_NOP, 1, 3, made.hash, 1, &e2) };
	for (u32 nid = 1; nid <= 3; nid++) {
		order_fetched(o, now, nid, v, 2, &acts);
		carry();
	}
	ck_assert_uint_eq(tail, 4);
}
END_TEST

START_TEST(nobody_truncates_what_it_knows_committed)
{
	u8 hash[CRYPTO_HASH];

	term_one();
	memcpy(hash, made.hash, sizeof(hash));
	ack(1, 1, 2, hash);
	ack(2, 1, 2, hash);
	ck_assert(did.commit);
	view.ring.seq += 4;
	order_view(o, now, &view, &acts);
	carry();
	for (u32 i = 1; i <= 2; i++)
		hello(i, ROLE_SERVER);
	state(1, 1, 1, 2, hash);
	state(2, 1, 0, 1, entries[1].e.hash); /* a majority that denies what it signed */
	state(3, 1, 0, 1, entries[1].e.hash);
	open_by(2, 2, 2, 2, 3, 0);
	openack(2, 2);
	openack(3, 2);
	promised_by[0] = 2;
	promised_by[1] = 3;
	did.ack = false;
	entry_from(2, buf, make(buf, ENTRY_TERM, 2, 2, entries[1].e.hash, 2, &made));
	ck_assert(did.halt && did.alarm && !did.ack);
	ck_assert(status().halted && !status().live);
	ck_assert_mem_eq(entries[2].e.hash, hash, sizeof(hash));
}
END_TEST

/* --- acknowledgements ----------------------------------------------------------------------------------------- */

START_TEST(only_voters_that_live_and_tell_our_hash_count)
{
	u8 lie[CRYPTO_HASH] = { 1 };

	term_one();
	ack(1, 1, 2, made.hash);
	ack(2, 1, 2, lie);
	ck_assert(did.alarm && !did.commit);
	ack(2, 7, 2, made.hash); /* of another term */
	ck_assert(!did.commit);
	dead = 2;
	ack(2, 1, 2, made.hash);
	ck_assert(!did.commit);
	ack(3, 1, 2, made.hash);
	ck_assert(did.commit);
}
END_TEST

START_TEST(no_acknowledgement_without_the_body)
{
	no_body = true;
	term_one();
	ck_assert(did.bodies && !did.ack);
	no_body = false;
	order_bodies_ready(o, now, 2, true, &acts);
	carry();
	ck_assert(did.ack);
}
END_TEST

START_TEST(silence_stops_acknowledging_not_applying)
{
	u8 hash[CRYPTO_HASH];

	term_one();
	memcpy(hash, made.hash, sizeof(hash));
	now += 3000000000ull; /* no beat came back within token + consensus */
	did.ack = false;
	entry_from(1, buf, make(buf, ENTRY_NOP, 1, 3, hash, 1, &made));
	ck_assert(did.appended && !did.ack && !status().live);
	ack(2, 1, 3, made.hash);
	ack(3, 1, 3, made.hash);
	ck_assert_msg(did.commit && did.commit_index == 3, "applying is never gated");
}
END_TEST

START_TEST(a_restored_disk_is_silent_until_relearnt)
{
	u8 hash[CRYPTO_HASH];

	end();
	begin_as(ROLE_MANAGER, true);
	state_own(2);
	state_own(3);
	open_by(2, 1, 1, 2, 3, 0);
	openack(2, 1);
	openack(3, 1);
	promised_by[0] = 2;
	promised_by[1] = 3;
	n_promised_by = 2;
	entry_from(1, buf, make(buf, ENTRY_TERM, 1, 2, entries[1].e.hash, 1, &made));
	memcpy(hash, made.hash, sizeof(hash));
	ck_assert(!did.state && !did.openack && !did.ack && did.appended);
	ack(2, 1, 2, hash);
	ck_assert(!did.relearnt);
	ack(3, 1, 2, hash); /* a majority without it */
	order_tick(o, now, &acts);
	carry();
	ck_assert(did.relearnt && !status().stale_disk);
	entry_from(1, buf, make(buf, ENTRY_NOP, 1, 3, hash, 1, &made));
	ck_assert(did.ack && did.ack_index == 3);
}
END_TEST

/* --- leading ---------------------------------------------------------------------------------------------------- */

START_TEST(a_server_writes_only_with_a_majority_of_promises)
{
	u64 term, index;
	u8 prev[CRYPTO_HASH];
	size_t n;

	end();
	begin_as(ROLE_SERVER, false);
	ck_assert(!did.state); /* it votes nowhere */
	for (u32 i = 1; i <= 3; i++)
		state_own(i);
	open_by(1, 1, 1, 1, 2, 3);
	openack(1, 1);
	ck_assert(!did.make_term);
	ck_assert_int_eq(order_next(o, &term, &index, prev), -DSI_EROLE);
	openack(2, 1);
	ck_assert(did.make_term);
	ck_assert_int_eq(order_next(o, &term, &index, prev), 0);
	ck_assert(term == 1 && index == 2);
	n = make(buf, ENTRY_NOP, 1, 2, prev, 1, &made);
	ck_assert_int_eq(order_propose(o, now, buf, n, &acts), -DSI_EAGAIN); /* TERM first */
	n = make(buf, ENTRY_TERM, 1, 2, prev, 1, &made);
	ck_assert_int_eq(order_propose(o, now, buf, n, &acts), 0);
	carry();
	ck_assert_int_eq(order_propose(o, now, buf, n, &acts), -DSI_ECONFLICT);
	n = make(buf, ENTRY_VOTER_ADD, 1, 3, made.hash, 1, &made); /* not before TERM is committed */
	ck_assert_int_eq(order_propose(o, now, buf, n, &acts), -DSI_EAGAIN);
	now += 3000000000ull;
	n = make(buf, ENTRY_NOP, 1, 3, entries[2].e.hash, 1, &made);
	ck_assert_int_eq(order_propose(o, now, buf, n, &acts), -DSI_EAGAIN); /* silent ring */
}
END_TEST

START_TEST(promise_bytes_name_everything)
{
	u8 a[PROMISE_BYTES], b[PROMISE_BYTES], id[16] = { 1 }, id2[16] = { 2 };
	struct gcs_ring r = { 1, 8 }, r2 = { 1, 12 };

	promise_encode(id, 1, &r, 5, 2, 3, a);
	promise_encode(id2, 1, &r, 5, 2, 3, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	promise_encode(id, 2, &r, 5, 2, 3, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	promise_encode(id, 1, &r2, 5, 2, 3, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	promise_encode(id, 1, &r, 6, 2, 3, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	promise_encode(id, 1, &r, 5, 1, 3, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	promise_encode(id, 1, &r, 5, 2, 1, b);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_order");
	TCase *t = tcase_create("order");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, opens_and_acknowledges);
	tcase_add_test(t, present_is_the_manager);
	tcase_add_test(t, yield_is_the_leaders_word);
	tcase_add_test(t, yield_opens_again_for_the_next);
	tcase_add_test(t, nothing_is_sent_below_quorum);
	tcase_add_test(t, open_is_recomputed);
	tcase_add_test(t, a_term_is_promised_once);
	tcase_add_test(t, impossible_states_are_evidence);
	tcase_add_test(t, two_identities_on_one_member);
	tcase_add_test(t, nothing_is_appended_before_open);
	tcase_add_test(t, only_the_server_of_the_term_writes);
	tcase_add_test(t, no_server_writes_a_reform);
	tcase_add_test(t, term_proves_its_leader);
	tcase_add_test(t, a_deposed_server_writes_nothing);
	tcase_add_test(t, term_must_build_on_the_best_promised_tail);
	tcase_add_test(t, a_gap_is_fetched_and_verified);
	tcase_add_test(t, nobody_truncates_what_it_knows_committed);
	tcase_add_test(t, only_voters_that_live_and_tell_our_hash_count);
	tcase_add_test(t, no_acknowledgement_without_the_body);
	tcase_add_test(t, silence_stops_acknowledging_not_applying);
	tcase_add_test(t, a_restored_disk_is_silent_until_relearnt);
	tcase_add_test(t, a_server_writes_only_with_a_majority_of_promises);
	tcase_add_test(t, promise_bytes_name_everything);
	suite_add_tcase(s, t);
	return check_main(s);
}
