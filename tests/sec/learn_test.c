/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: a node starts, and the one it asks for the log over the direct leg lies. It is a member and may hold a
 * server's key, so what it shows chains and verifies: entries that never committed, with a commit point that nobody
 * but itself acknowledged, with acknowledgements that are forged, of voters let go or revoked, of another cluster,
 * or about other entries. The learner must never apply what no majority of voters acknowledged, must
 * get on with the next source, and must lose nothing of its own to a claim. And a member's own state may go wrong, in
 * memory or by a fault of ours: the majority's digest finds it.
 *
 *   n1 voter, server (the liar)   n2 n3 voters   n4 the learner, a real replica on real TLS
 *   log: GENESIS TERM | n2 joins, votes (3-5) | n3 (6-8) | n4 (9-10) | n5 (11-12) | NOP to 14: committed |
 *        to 18: what never was
 * timeout: 300
 */
#include "gcs/local.h"
#include "gcs/replica_impl.h"
#include "gcs/stage.h"
#include "tests/unit/gcs_acks.h"
#include "tests/unit/gcs_fixture.h"
#include "tests/unit/lib_loop_until.h"

enum { COMMITTED = 14, SHOWN = 18, N2_VOTES = 5, N3_VOTES = 8, LEARNER = 4 };

struct source {
	struct fixture_keys keys;
	struct direct *direct;
	char address[64];
	const struct world *log; /* whose entries it shows */
	u64 shows, says;         /* entries; the commit point it claims */
	struct blob proof[PROVEN_PROOFS];
	u32 n_proof, asked;
};

static struct loop *loop;
static struct source src[2]; /* n1, n2 */
static struct fixture_keys learner_keys;
static struct world *w;
static struct replica *r;
static const struct replica_ops *use_ops;
static char dir[64], genesis[80];
static bool joined;
static u32 alarms, doubts;

/* --- sources --------------------------------------------------------------------------------------------- */

static const char *direct_of(const char *name)
{
	return !strcmp(name, "n1") ? src[0].address : !strcmp(name, "n2") ? src[1].address : "127.0.0.1:1";
}

static u32 on_binding(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role)
{
	*ret_role = ROLE_MANAGER;
	return memcmp(pub, learner_keys.keys.pub.sign, CRYPTO_PUB) ? 0 : LEARNER;
}

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	struct source *s = ctx;
	struct proven *a;
	struct rbuf in;
	struct wbuf out;

	if (kind == DIRECT_REFORMS) { /* asked first; there was none */
		direct_reply(rq, 0, NULL, 0);
		return;
	}
	if (kind == DIRECT_SNAPSHOT) { /* a program that knows none; see sec/snapshot_test.c */
		direct_reply(rq, -DSI_EINVAL, NULL, 0);
		return;
	}
	ck_assert_int_eq(kind, DIRECT_PROVEN);
	a = calloc(1, sizeof(*a));
	s->asked++;
	rbuf_init(&in, p, n);
	a->commit = s->says;
	a->tail = s->shows;
	for (u64 i = rbuf_u64(&in); i <= s->shows && a->n_entry < 5; i++) /* in several parts */
		a->entry[a->n_entry++] = (struct blob){ s->log->log[i - 1].p, s->log->log[i - 1].n };
	memcpy(a->proof, s->proof, sizeof(a->proof));
	a->n_proof = s->n_proof;
	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	ck_assert_int_eq(proven_encode(a, &out), 0);
	direct_reply(rq, 0, out.data, out.len);
	wbuf_fini(&out);
	free(a);
}

static const struct direct_ops source_ops = { .binding = on_binding, .request = on_request };

static void keys_of(struct fixture_keys *k, const char *name)
{
	u8 seeds[3][CRYPTO_SEED];

	w_seed2(name, "sign", seeds[0]);
	w_seed2(name, "kem", seeds[1]);
	w_seed2(name, "ca", seeds[2]);
	fixture_keys_seeded(k, KEYFILE_NODE, (const u8(*)[CRYPTO_SEED])seeds);
}

static void source_up(struct source *s, const char *name)
{
	struct err e = { 0 };

	keys_of(&s->keys, name);
	ck_assert_int_eq(direct_new(&s->direct, loop, &s->keys.keys, "127.0.0.1:0", &source_ops, s, &e), 0);
	snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", direct_port(s->direct));
}

static void source_shows(struct source *s, const struct world *log, u64 shows, u64 says)
{
	s->log = log;
	s->shows = shows;
	s->says = says;
	s->n_proof = 0;
}

static void source_proves(struct source *s, struct blob proof)
{
	s->proof[s->n_proof++] = proof;
}

/* What an honest member has: a proof at each change, and one of the end. */
static void source_honest(struct source *s)
{
	source_shows(s, w, COMMITTED, COMMITTED);
	source_proves(s, a_prove(w, N2_VOTES, (const u32[]){ 1, 2 }, 2));
	source_proves(s, a_prove(w, N3_VOTES, (const u32[]){ 1, 2, 3 }, 3));
	source_proves(s, a_prove(w, COMMITTED, (const u32[]){ 2, 3 }, 2));
}

/* --- the learner ------------------------------------------------------------------------------------------ */

static int on_backend(void *ctx, struct gcs_backend **ret, const struct gcs_events *ev, void *ev_ctx, struct err *e)
{
	return local_new(ret, loop, ev, ev_ctx);
}

static void on_joined(void *ctx)
{
	joined = true;
}

static void on_alarm(void *ctx, u32 severity, const char *kind, const char *text)
{
	doubts += !!strstr(text, "does not join");
	alarms += severity >= 2 || !strcmp(kind, "learn");
}

/* The rule of the whole file, at every entry. */
static void on_applied(void *ctx, const struct entry *e, const struct state_result *res, bool live)
{
	struct entry real;

	ck_assert_uint_le(e->index, COMMITTED);
	a_entry(w, e->index, &real);
	ck_assert_mem_eq(e->hash, real.hash, CRYPTO_HASH);
}

static const struct replica_ops learner_ops = { .applied = on_applied, .joined = on_joined, .alarm = on_alarm };

static void start(struct replica **ret, const char *name, struct fixture_keys *keys, const char *where, u16 peer)
{
	static struct replica_config cfg;
	struct err e = { 0 };
	FILE *f = fopen(genesis, "w");

	ck_assert(f && fwrite(w->log[0].p, 1, w->log[0].n, f) == w->log[0].n && !fclose(f));
	cfg = (struct replica_config){ .loop = loop, .role = ROLE_MANAGER, .keys = &keys->keys, .dir = where,
				       .listen = "127.0.0.1:0", .cluster = genesis, .make_backend = on_backend };
	snprintf(cfg.node, sizeof(cfg.node), "%s", name);
	snprintf(cfg.peers[0], sizeof(cfg.peers[0]), "127.0.0.1:%u", peer);
	cfg.n_peers = peer ? 1 : 0;
	joined = false;
	alarms = doubts = 0;
	ck_assert_msg(replica_new(ret, &cfg, use_ops, NULL, &e) == 0, "%s", e.text);
	ck_assert_msg(replica_start(*ret, &e) == 0, "%s", e.text);
}

static void learner_up(const char *name)
{
	start(&r, name, &learner_keys, dir, 0);
}

static void learner_down(void)
{
	replica_free(r);
	r = NULL;
}

static void up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/dsi-learn-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(genesis, sizeof(genesis), "%s/cluster", dir);
	memset(src, 0, sizeof(src));
	use_ops = &learner_ops;
	ck_assert_ptr_nonnull((loop = loop_new()));
	source_up(&src[0], "n1");
	source_up(&src[1], "n2");
	keys_of(&learner_keys, "n4");
	w_direct_of = direct_of;
	w = w_new();
	ck_assert_uint_eq(w_join(w, "n2", "n2", NODE_MEMBER | NODE_VOTER), 2);
	ck_assert_uint_eq(w->s->applied, N2_VOTES);
	ck_assert_uint_eq(w_join(w, "n3", "n3", NODE_MEMBER | NODE_VOTER), 3);
	ck_assert_uint_eq(w->s->applied, N3_VOTES);
	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER), LEARNER);
	ck_assert_uint_eq(w_join(w, "n5", "n5", NODE_MEMBER), LEARNER + 1);
	while (w->s->applied < SHOWN)
		ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
}

static void down(void)
{
	char cmd[128];

	learner_down();
	for (u32 i = 0; i < 2; i++) {
		direct_free(src[i].direct);
		fixture_keys_stop(&src[i].keys);
	}
	fixture_keys_stop(&learner_keys);
	loop_free(loop);
	w_free(w);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void run_until(bool (*cond)(void))
{
	ck_assert_msg(loop_until(loop, cond), "nothing came of it; applied %llu", (unsigned long long)replica_state(r)->applied);
}

static bool is_joined(void)
{
	return joined;
}

/* It has shown all it has, and the learner knows that it is no good. */
static bool is_through(void)
{
	return alarms || joined;
}

static bool is_asked_again(void) /* its four parts, and again from the beginning */
{
	return src[0].asked > 6;
}

static u64 applied(void)
{
	return replica_state(r)->applied;
}

/* --- an honest one ------------------------------------------------------------------------------------------ */

START_TEST(learns_what_is_proven)
{
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;
	u64 index;
	size_t n;

	source_honest(&src[0]);
	learner_up("n4");
	run_until(is_joined);
	ck_assert_uint_eq(applied(), COMMITTED);
	ck_assert_uint_eq(replica_nid(r), LEARNER);
	learner_down();
	ck_assert_int_eq(log_open(&g, NULL, dir, &boot, &e), 0);
	ck_assert_uint_eq(boot.tail_index, COMMITTED);
	ck_assert_ptr_nonnull(log_proof(g, 1, &index, &n)); /* what it learnt from, it can show */
	ck_assert_uint_eq(index, N2_VOTES);
	ck_assert_ptr_nonnull(log_proof(g, index + 1, &index, &n));
	ck_assert_uint_eq(index, N3_VOTES);
	ck_assert_ptr_nonnull(log_proof_last(g, &index, &n));
	ck_assert_uint_eq(index, COMMITTED);
	log_close(g);
}
END_TEST

/* One of the voters alone has been there all the time: its sets agree, no intermediate proof is needed. */
START_TEST(one_proof_by_all_is_enough)
{
	source_shows(&src[0], w, SHOWN, COMMITTED);
	source_proves(&src[0], a_prove(w, COMMITTED, (const u32[]){ 1, 2, 3 }, 3));
	learner_up("n4");
	run_until(is_joined);
	ck_assert_uint_eq(applied(), COMMITTED);
	ck_assert_uint_eq(log_tail(replica_log(r)), COMMITTED); /* the rest was shown, and is not ours */
}
END_TEST

/* What it learnt it can teach, also after a restart. */
START_TEST(teaches_what_it_learnt)
{
	struct fixture_keys keys;
	struct replica *second;
	char where[80];
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;

	source_honest(&src[0]);
	learner_up("n4");
	run_until(is_joined);
	learner_down();
	learner_up("n4");
	run_until(is_joined);
	for (u32 i = 0; i < 2; i++)
		source_shows(&src[i], w, 0, COMMITTED); /* of no use */
	snprintf(where, sizeof(where), "%s/second", dir);
	ck_assert_int_eq(log_open(&g, NULL, where, &boot, &e), 0);
	for (u64 i = 1; i <= 10; i++) /* it was away since */
		ck_assert_int_eq(log_append(g, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	log_commit_hint(g, 10);
	log_close(g);
	keys_of(&keys, "n5");
	start(&second, "n5", &keys, where, direct_port(replica_direct(r)));
	run_until(is_joined);
	ck_assert_uint_eq(replica_state(second)->applied, COMMITTED);
	ck_assert_uint_eq(replica_nid(second), LEARNER + 1);
	replica_free(second);
	fixture_keys_stop(&keys);
}
END_TEST

/* --- liars ---------------------------------------------------------------------------------------------------- */

static struct blob lie_minority(void)
{
	return a_prove(w, SHOWN, (const u32[]){ 1 }, 1);
}

static struct blob lie_bent(const struct ack_bend *bend)
{
	struct proof_book b = { 0 };

	a_note(w, &b, 1, w->term, SHOWN, NULL);
	a_note(w, &b, 2, w->term, SHOWN, bend);
	a_note(w, &b, 3, w->term, SHOWN, bend);
	return a_proof(w, &b, w->term);
}

static struct blob lie_unsigned(void) { return lie_bent(&(struct ack_bend){ .torn = true }); }
static struct blob lie_own_key(void) { return lie_bent(&(struct ack_bend){ .key = "n1" }); }
static struct blob lie_cluster(void) { return lie_bent(&(struct ack_bend){ .cluster = 1 }); }
static struct blob lie_generation(void) { return lie_bent(&(struct ack_bend){ .generation = 1 }); }
static struct blob lie_type(void) { return lie_bent(&(struct ack_bend){ .type = MSG_HEARTBEAT }); }
static struct blob lie_role(void) { return lie_bent(&(struct ack_bend){ .role = ROLE_SERVER }); }
static struct blob lie_sealed(void) { return lie_bent(&(struct ack_bend){ .flags = ENVELOPE_SEALED }); }
static struct blob lie_version(void) { return lie_bent(&(struct ack_bend){ .version = 1 }); }
static struct blob lie_other_entry(void) { return lie_bent(&(struct ack_bend){ .hash = 1 }); }
static struct blob lie_other_term(void) { return lie_bent(&(struct ack_bend){ .term = 7 }); }

/* Real acknowledgements of what committed, beside its own of what did not. */
static struct blob lie_mixed(void)
{
	struct proof_book b = { 0 };

	a_note(w, &b, 1, w->term, SHOWN, NULL);
	a_note(w, &b, 2, w->term, COMMITTED, NULL);
	a_note(w, &b, 3, w->term, COMMITTED - 1, NULL);
	return a_proof(w, &b, w->term);
}

/* The learner itself is no voter. */
static struct blob lie_no_voters(void)
{
	return a_prove(w, SHOWN, (const u32[]){ 1, LEARNER }, 2);
}

/* Its own vote, told twice. */
static struct blob lie_twice(void)
{
	struct blob own = a_ack(w, 1, w->term, SHOWN, NULL), ret;
	struct wbuf b;
	u8 *p;

	wbuf_init(&b, PROOF_MAX);
	wbuf_u8(&b, PROOF_VERSION);
	wbuf_u64(&b, w->term);
	wbuf_u32(&b, 2);
	wbuf_blob(&b, own.p, own.n);
	wbuf_blob(&b, own.p, own.n);
	p = arena_alloc(&w->arena, b.len);
	memcpy(p, b.data, b.len);
	ret = (struct blob){ p, b.len };
	wbuf_fini(&b);
	return ret;
}

static const struct {
	const char *name;
	struct blob (*lie)(void);
	u64 proves; /* with the proofs of the changes beside it */
} lies[] = {
	{ "its own word", lie_minority, N3_VOTES },
	{ "signatures that are none", lie_unsigned, N3_VOTES },
	{ "its own key for others", lie_own_key, N3_VOTES },
	{ "another cluster's", lie_cluster, N3_VOTES },
	{ "another generation's", lie_generation, N3_VOTES },
	{ "not ACKs", lie_type, N3_VOTES },
	{ "of servers", lie_role, N3_VOTES },
	{ "sealed", lie_sealed, N3_VOTES },
	{ "another version's", lie_version, N3_VOTES },
	{ "about another entry", lie_other_entry, N3_VOTES },
	{ "of another term", lie_other_term, N3_VOTES },
	{ "mixed indexes", lie_mixed, COMMITTED },
	{ "of who has no vote", lie_no_voters, N3_VOTES },
	{ "one vote twice", lie_twice, N3_VOTES },
};

/* The honest part is proven; what the liar adds is not, whatever it shows for it. */
START_TEST(never_applies_what_did_not_commit)
{
	source_honest(&src[0]);
	src[0].shows = src[0].says = SHOWN;
	src[0].proof[src[0].n_proof - 1] = lies[_i].lie(); /* instead of the newest: what is proven is less still */
	learner_up("n4");
	run_until(is_through);
	ck_assert_msg(applied() == lies[_i].proves, "%s: %llu", lies[_i].name, (unsigned long long)applied());
	ck_assert_uint_eq(log_tail(replica_log(r)), applied());
	ck_assert_uint_gt(alarms, 0);
}
END_TEST

/* n1 was the whole voter set once. It alone speaks for what was before n2 voted, and for nothing after. */
START_TEST(an_old_voter_set_proves_its_own_time_only)
{
	source_shows(&src[0], w, SHOWN, SHOWN);
	source_proves(&src[0], a_prove(w, N2_VOTES - 1, (const u32[]){ 1 }, 1));
	source_proves(&src[0], lie_minority());
	learner_up("n4");
	run_until(is_asked_again);
	ck_assert_uint_eq(applied(), N2_VOTES - 1);
}
END_TEST

START_TEST(goes_on_to_an_honest_one)
{
	source_shows(&src[0], w, SHOWN, SHOWN);
	source_proves(&src[0], a_prove(w, N3_VOTES, (const u32[]){ 1, 2, 3 }, 3));
	source_proves(&src[0], lie_minority());
	source_honest(&src[1]);
	learner_up("n4");
	run_until(is_joined);
	ck_assert_uint_eq(applied(), COMMITTED);
	ck_assert_uint_gt(src[1].asked, 0);
}
END_TEST

/* n1 was all of the first voter set, so with its own acknowledgements it can make another history for a newcomer: one
 * without the others (_i 0), or with them, without their votes, and longer than the real one. n2's address is in
 * the newcomer's configuration. It learns n1's, finds n2 no member of it or with another one, and does not join. */
static const struct replica_ops fooled_ops = { .joined = on_joined, .alarm = on_alarm };

static bool is_doubting(void)
{
	return joined || doubts;
}

START_TEST(another_history_for_a_newcomer)
{
	static const char *const keys[] = { NULL, "n1", "n2", "n3", "n4", "n5" };
	u32 nid = 2;
	struct world *fork = w_new();

	if (_i == 1)
		ck_assert_uint_eq(w_join(fork, "n2", "n2", NODE_MEMBER), nid++);
	ck_assert_uint_eq(w_join(fork, "n4", "n4", NODE_MEMBER), nid);
	while (fork->s->applied < 2 * COMMITTED)
		ck_assert_int_eq(w_put(fork, ENTRY_NOP, (struct blob){ 0 }), 0);
	source_shows(&src[0], fork, 2 * COMMITTED, 2 * COMMITTED);
	source_proves(&src[0], a_prove(fork, 2 * COMMITTED, (const u32[]){ 1 }, 1));
	memcpy(w_keys, keys, sizeof(keys));
	source_honest(&src[1]);
	use_ops = &fooled_ops;
	start(&r, "n4", &learner_keys, dir, direct_port(src[1].direct));
	run_until(is_doubting);
	ck_assert_uint_eq(applied(), 2 * COMMITTED);
	ck_assert(!joined);
	w_free(fork);
}
END_TEST

/* Entries that our log has behind its commit point: a claim does not move them, a proof replaces them. */
START_TEST(own_tail_gives_way_to_proof_only)
{
	struct log_boot boot;
	struct err e = { 0 };
	struct entry fork;
	struct log *g;
	struct wbuf b;
	u8 seed[CRYPTO_SEED], sig[CRYPTO_SIG];

	ck_assert_int_eq(log_open(&g, NULL, dir, &boot, &e), 0);
	for (u64 i = 1; i < COMMITTED; i++)
		ck_assert_int_eq(log_append(g, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	a_entry(w, COMMITTED, &fork); /* n1's server wrote two at one index: we have one, others committed the other */
	fork.wall_ms++;
	wbuf_init(&b, ENTRY_MAX);
	ck_assert_int_eq(entry_encode(&fork, &b), 0);
	w_seed2("n1", "server_sign", seed);
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENTRY, fork.hash, sizeof(fork.hash), sig), 0);
	wbuf_bytes(&b, sig, sizeof(sig));
	ck_assert_int_eq(log_append(g, COMMITTED, b.data, b.len, NULL, NULL), 0);
	log_commit_hint(g, COMMITTED - 2);
	log_close(g);
	source_shows(&src[0], w, SHOWN, SHOWN); /* n1 claims */
	source_proves(&src[0], lie_minority());
	source_shows(&src[1], w, COMMITTED - 2, COMMITTED - 2); /* n2 knows no more than we do */
	learner_up("n4");
	run_until(is_joined);
	ck_assert_uint_eq(applied(), COMMITTED - 2);
	size_t n;
	const u8 *p = log_entry(replica_log(r), COMMITTED, &n);

	ck_assert(p && n == b.len && !memcmp(p, b.data, n));
	learner_down();
	source_honest(&src[1]);
	learner_up("n4");
	run_until(is_joined);
	ck_assert_uint_eq(applied(), COMMITTED);
	p = log_entry(replica_log(r), COMMITTED, &n);
	ck_assert(p && n == w->log[COMMITTED - 1].n && !memcmp(p, w->log[COMMITTED - 1].p, n));
	wbuf_fini(&b);
}
END_TEST

/* --- a state gone wrong --------------------------------------------------------------------------------------- */

static int rebuilt;

static void on_rebuilt(void *ctx, int code)
{
	rebuilt = code ? -1 : 1;
}

static bool is_rebuilt(void)
{
	return rebuilt;
}

/* Our memory says something else than the others' at entry COMMITTED; they say what our log does, or do not. */
static void goes_wrong(const u8 *said1, const u8 *said2, const u8 *said3)
{
	const u8 *said[] = { said1, said2, said3 };
	u8 own[CRYPTO_HASH];

	r->state->next_sid += 7;
	w_digest(r->state, own);
	agree_own(&r->agree, COMMITTED, own);
	for (u32 nid = 1; nid <= 3; nid++) {
		struct body_digest m = { .index = COMMITTED, .format = STATE_FORMAT };

		memcpy(m.digest, said[nid - 1], CRYPTO_HASH);
		agree_message(r, nid, &m);
	}
	rebuilt = 0;
	alarms = 0;
	run_until(is_rebuilt);
}

START_TEST(the_odd_one_out)
{
	struct replica_ops ops = learner_ops;
	struct order_status st;
	u8 right[CRYPTO_HASH], have[CRYPTO_HASH];
	const u8 x[CRYPTO_HASH] = { 'x' }, y[CRYPTO_HASH] = { 'y' };
	const struct state *at;

	source_honest(&src[0]);
	learner_up("n4");
	ops.rebuilt = on_rebuilt;
	r->ops = &ops;
	run_until(is_joined);
	at = replica_state(r);
	w_digest(at, right);
	goes_wrong(right, x, right);
	ck_assert_int_eq(rebuilt, 1);
	ck_assert_uint_gt(alarms, 0);
	w_digest(replica_state(r), have);
	ck_assert_mem_eq(have, right, CRYPTO_HASH);
	ck_assert_ptr_eq(at, replica_state(r));
	replica_status(r, &st);
	ck_assert(!st.halted);
	r->agree = (struct agree){ 0 };
	if (_i == 0) /* a majority that our log does not lead to */
		goes_wrong(x, x, y);
	else /* nobody knows */
		goes_wrong(x, y, right);
	ck_assert_int_eq(rebuilt, -1);
	ck_assert_uint_gt(alarms, 0);
	replica_status(r, &st);
	ck_assert(st.halted && !st.live);
}
END_TEST

/* A verdict in the learner's own log: what the revoked voter acknowledges after it is nothing. */
START_TEST(the_dead_do_not_count)
{
	struct stage *s;
	struct state *start = state_new();
	struct world *v = w_three();
	struct err e = { 0 };
	struct blob proof;
	struct entry g;
	u64 verdict, to;

	ck_assert_int_eq(w_order(v, w_verdict(v, "alice", 3)), 0);
	verdict = v->s->applied;
	ck_assert_int_eq(w_put(v, ENTRY_NOP, (struct blob){ 0 }), 0);
	ck_assert_int_eq(genesis_verify(v->log[0].p, v->log[0].n, NULL, start, &e), 0);
	a_entry(v, 1, &g);
	s = stage_new(start, &g);
	for (u64 i = 2; i <= verdict + 1; i++)
		ck_assert_msg(stage_add(s, v->log[i - 1].p, v->log[i - 1].n, &e) == 0, "%s", e.text);
	proof = a_prove(v, verdict - 1, (const u32[]){ 1, 2, 3 }, 3);
	ck_assert_int_eq(stage_prove(s, proof.p, proof.n, false), 0);
	ck_assert(stage_step(s, &to, &proof) && to == verdict - 1);
	stage_drop(s, to);
	proof = a_prove(v, verdict + 1, (const u32[]){ 1, 3 }, 2); /* would be a majority of both sets with n3 */
	ck_assert_int_eq(stage_prove(s, proof.p, proof.n, true), 0);
	ck_assert(!stage_step(s, &to, &proof) && to == verdict - 1);
	proof = a_prove(v, verdict + 1, (const u32[]){ 1, 2 }, 2);
	ck_assert_int_eq(stage_prove(s, proof.p, proof.n, true), 0);
	ck_assert(stage_step(s, &to, &proof) && to == verdict + 1);
	stage_free(s);
	state_free(start);
	w_free(v);
}
END_TEST

/* What it shows must follow what we have and never take our memory. */
START_TEST(stage_refuses)
{
	struct state *start = state_new();
	struct err e = { 0 };
	struct blob none = { 0 };
	struct stage *s;
	struct entry g;
	u8 *bent = malloc(w->log[1].n);
	u64 to;

	ck_assert_int_eq(genesis_verify(w->log[0].p, w->log[0].n, NULL, start, &e), 0);
	a_entry(w, 1, &g);
	s = stage_new(start, &g);
	ck_assert_int_eq(stage_add(s, w->log[2].p, w->log[2].n, &e), -DSI_ETRUNC);
	ck_assert_int_eq(stage_add(s, w->log[0].p, w->log[0].n, &e), 1);
	memcpy(bent, w->log[1].p, w->log[1].n);
	bent[w->log[1].n - 1] ^= 1;
	ck_assert_int_eq(stage_add(s, bent, w->log[1].n, &e), -DSI_ESIG);
	ck_assert_int_eq(stage_add(s, bent, 10, &e), -DSI_ETRUNC);
	ck_assert_int_eq(stage_add(s, w->log[1].p, w->log[1].n, &e), 0);
	ck_assert_int_eq(stage_prove(s, bent, PROOF_MAX + 1, true), -DSI_ELIMIT);
	ck_assert(!stage_step(s, &to, &none) && to == 1);
	ck_assert_uint_eq(stage_tail(s), 2);
	stage_free(s);
	state_free(start);
	free(bent);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("learn");
	TCase *t = tcase_create("learn");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, up, down);
	tcase_add_test(t, learns_what_is_proven);
	tcase_add_test(t, one_proof_by_all_is_enough);
	tcase_add_test(t, teaches_what_it_learnt);
	tcase_add_loop_test(t, never_applies_what_did_not_commit, 0, (int)ARRAY_SIZE(lies));
	tcase_add_test(t, an_old_voter_set_proves_its_own_time_only);
	tcase_add_test(t, goes_on_to_an_honest_one);
	tcase_add_loop_test(t, another_history_for_a_newcomer, 0, 2);
	tcase_add_test(t, own_tail_gives_way_to_proof_only);
	tcase_add_loop_test(t, the_odd_one_out, 0, 2);
	tcase_add_test(t, the_dead_do_not_count);
	tcase_add_test(t, stage_refuses);
	suite_add_tcase(s, t);
	return check_main(s);
}
