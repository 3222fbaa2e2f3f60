/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: a node far behind is shown a snapshot by a member that lies: a state of its own making with its own word for it,
 * with words that are forged, of voters of another set, about another entry, or the right words and another image. It
 * must not be installed; the node must replay instead, say so, and lose nothing. And a newcomer must not be taken in by a
 * history that somebody it can reach does not share. What is honest must be taken: the node joins with it, begins with
 * it again, and teaches it on.
 *
 *   n1 voter, server (the liar)   n2 n3 voters   n4 the learner, n5 another one: real replicas on real TLS
 *   log: GENESIS TERM | n2 joins, votes (3-5) | n3 (6-8) | n4 (9-10) | n5 (11-12) | n5 suspended, let go (13-14) |
 *        NOP; states told at PLACE and NEXT
 * timeout: 300
 */
#include "gcs/local.h"
#include "gcs/replica_impl.h"
#include "tests/unit/gcs_acks.h"
#include "tests/unit/gcs_fixture.h"
#include "tests/unit/lib_loop_until.h"

enum { PLACE = 384, NEXT = 448, COMMITTED = 460, N2_VOTES = 5, N3_VOTES = 8, LEARNER = 4 };
_Static_assert(PLACE > N3_VOTES + LIM_SNAPSHOT_AHEAD, "worth a jump");

struct source {
	struct fixture_keys keys;
	struct direct *direct;
	char address[64];
	const struct world *log;
	u64 has;                 /* entries, all committed */
	struct blob proof[PROVEN_PROOFS];
	u32 n_proof, asked, parts;
	struct snapshot_offer offer; /* index 0: none */
	struct wbuf image;
	bool gone;               /* the image is, when asked for */
	u32 part;                /* entries in one answer; 0: as many as may be */
	u32 late;                /* times it has no snapshot yet */
	bool unknown;            /* an older program */
	u8 at_hash, at_digest;   /* xor'ed into what it has there */
};

static struct loop *loop;
static struct source src[2]; /* n1, n2 */
static struct fixture_keys learner_keys;
static struct world *w;
static struct replica *r;
static char dir[64], genesis[80], said[4096];
static bool joined, reformed;
static u32 rebuilt, made_anew;
static u64 replayed;
static struct blob verdict;
static struct wbuf image; /* at PLACE */
static u8 digest[CRYPTO_HASH];

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

static int on_snapshot(struct source *s, const u8 *p, size_t n, struct wbuf *out)
{
	struct snapshot_ask a;
	struct snapshot_at at = { .commit = s->has };
	struct entry e;

	if (s->unknown)
		return -DSI_EINVAL;
	ck_assert_int_eq(snapshot_ask_decode(&a, p, n), 0);
	switch (a.kind) {
	case SNAPSHOT_OFFER:
		if (s->late && s->late--)
			return -DSI_ENOENT;
		return s->offer.index ? snapshot_offer_encode(&s->offer, out) : -DSI_ENOENT;
	case SNAPSHOT_PART:
		s->parts++;
		if (s->gone || memcmp(a.digest, s->offer.digest, CRYPTO_HASH))
			return -DSI_ENOENT;
		wbuf_u64(out, s->image.len);
		wbuf_bytes(out, s->image.data + a.offset, MIN(s->image.len - a.offset, (size_t)300)); /* in several parts */
		return 0;
	case SNAPSHOT_AT:
		if (a.index <= s->has) {
			ck_assert_int_eq(entry_decode(&e, s->log->log[a.index - 1].p, s->log->log[a.index - 1].n), 0);
			at.knows = SNAPSHOT_KNOWS_ENTRY | SNAPSHOT_KNOWS_STATE;
			memcpy(at.hash, e.hash, sizeof(at.hash));
			memcpy(at.digest, digest, sizeof(at.digest));
			at.hash[0] ^= s->at_hash;
			at.digest[0] ^= s->at_digest;
		}
		return snapshot_at_encode(&at, out);
	}
	return -DSI_EINVAL;
}

static int on_proven(struct source *s, const u8 *p, size_t n, struct wbuf *out)
{
	struct proven *a = calloc(1, sizeof(*a));
	struct rbuf in;
	int rc;

	s->asked++;
	rbuf_init(&in, p, n);
	a->commit = a->tail = s->has;
	for (u64 i = rbuf_u64(&in); i <= s->has && a->n_entry < (s->part ? s->part : PROVEN_ENTRIES); i++)
		a->entry[a->n_entry++] = (struct blob){ s->log->log[i - 1].p, s->log->log[i - 1].n };
	memcpy(a->proof, s->proof, sizeof(a->proof));
	a->n_proof = s->n_proof;
	rc = proven_encode(a, out);
	free(a);
	return rc;
}

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	struct wbuf out;
	int rc = 0;

	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	if (kind == DIRECT_SNAPSHOT)
		rc = on_snapshot(ctx, p, n, &out);
	else if (kind == DIRECT_PROVEN)
		rc = on_proven(ctx, p, n, &out);
	else
		ck_assert_int_eq(kind, DIRECT_REFORMS);
	direct_reply(rq, rc, out.data, rc ? 0 : out.len);
	wbuf_fini(&out);
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

static struct blob word(u32 nid, const struct ack_bend *bend)
{
	return a_word(w, nid, PLACE, digest, bend, NULL);
}

static void says(struct source *s, u32 nid, const struct ack_bend *bend)
{
	s->offer.word[s->offer.n_word++] = word(nid, bend);
}

static void source_honest(struct source *s, u64 has)
{
	s->log = w;
	s->has = has;
	s->proof[s->n_proof++] = a_prove(w, N2_VOTES, (const u32[]){ 1, 2 }, 2);
	s->proof[s->n_proof++] = a_prove(w, N3_VOTES, (const u32[]){ 1, 2, 3 }, 3);
	s->proof[s->n_proof++] = a_prove(w, has, (const u32[]){ 1, 2, 3 }, 3);
}

/* The state at PLACE, nobody's word yet. */
static void source_offers(struct source *s)
{
	s->offer = (struct snapshot_offer){ .index = PLACE, .format = STATE_FORMAT, .size = image.len,
					    .entry = { w->log[PLACE - 1].p, w->log[PLACE - 1].n } };
	memcpy(s->offer.digest, digest, sizeof(digest));
	wbuf_bytes(&s->image, image.data, image.len);
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
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%u %s: %s\n", severity, kind, text);
}

static void on_applied(void *ctx, const struct entry *e, const struct state_result *res, bool live)
{
	struct entry real;

	replayed++;
	if (reformed)
		return;
	ck_assert_uint_le(e->index, COMMITTED);
	a_entry(w, e->index, &real);
	ck_assert_mem_eq(e->hash, real.hash, CRYPTO_HASH);
}

static void on_rebuilt(void *ctx, int code)
{
	rebuilt += code == REPLICA_SNAPSHOT;
	made_anew += code == 0;
}

static const struct replica_ops learner_ops = { .applied = on_applied, .joined = on_joined, .alarm = on_alarm,
						.rebuilt = on_rebuilt };

static int try_start(struct replica **ret, const char *name, struct fixture_keys *keys, const char *where, u16 peer, struct err *e)
{
	static struct replica_config cfg;
	FILE *f = fopen(genesis, "w");
	int rc;

	ck_assert(f && fwrite(w->log[0].p, 1, w->log[0].n, f) == w->log[0].n && !fclose(f));
	cfg = (struct replica_config){ .loop = loop, .role = ROLE_MANAGER, .keys = &keys->keys, .dir = where,
				       .listen = "127.0.0.1:0", .cluster = genesis, .make_backend = on_backend };
	snprintf(cfg.node, sizeof(cfg.node), "%s", name);
	snprintf(cfg.peers[0], sizeof(cfg.peers[0]), "127.0.0.1:%u", peer);
	cfg.n_peers = peer ? 1 : 0;
	joined = false;
	said[0] = 0;
	replayed = rebuilt = made_anew = 0;
	*ret = NULL;
	rc = replica_new(ret, &cfg, &learner_ops, NULL, e);
	return rc ? rc : replica_start(*ret, e);
}

static void start(struct replica **ret, const char *name, struct fixture_keys *keys, const char *where, u16 peer)
{
	struct err e = { 0 };

	ck_assert_msg(try_start(ret, name, keys, where, peer, &e) == 0, "%s", e.text);
}

/* GENESIS alone: it asks source 0 first, whose address it has from its configuration. */
static void learner_up(void)
{
	start(&r, "n4", &learner_keys, dir, direct_port(src[0].direct));
}

static void learner_down(void)
{
	replica_free(r);
	r = NULL;
}

static void up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/dsi-snapshot-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(genesis, sizeof(genesis), "%s/cluster", dir);
	memset(src, 0, sizeof(src));
	reformed = false;
	ck_assert_ptr_nonnull((loop = loop_new()));
	for (u32 i = 0; i < 2; i++)
		wbuf_init(&src[i].image, LIM_STATE);
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
	w->now = loop_wall_ms();
	verdict = w_verdict_until(w, "vera", LEARNER + 1, w->now + 3600000);
	ck_assert_int_eq(w_order(w, verdict), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", LEARNER + 1)), 0);
	while (w->s->applied < COMMITTED) {
		ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
		if (w->s->applied != PLACE)
			continue;
		wbuf_init(&image, LIM_STATE);
		ck_assert_int_eq(state_save(w->s, &image), 0);
		w_digest(w->s, digest);
	}
}

static void down(void)
{
	char cmd[128];

	learner_down();
	for (u32 i = 0; i < 2; i++) {
		direct_free(src[i].direct);
		fixture_keys_stop(&src[i].keys);
		wbuf_fini(&src[i].image);
	}
	wbuf_fini(&image);
	fixture_keys_stop(&learner_keys);
	loop_free(loop);
	w_free(w);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void run_until(bool (*cond)(void))
{
	ck_assert_msg(loop_until(loop, cond), "nothing came of it; applied %llu\n%s", (unsigned long long)replica_state(r)->applied, said);
}

static bool is_joined(void)
{
	return joined;
}

static u64 applied(void)
{
	return replica_state(r)->applied;
}

static u64 base(void)
{
	return log_base(replica_log(r), NULL);
}

/* It has the state that the world has, whichever way it came there. */
static void is_right(const struct replica *x)
{
	u8 want[CRYPTO_HASH], have[CRYPTO_HASH];

	w_digest(w->s, want);
	w_digest(replica_state(x), have);
	ck_assert_uint_eq(replica_state(x)->applied, COMMITTED);
	ck_assert_mem_eq(want, have, CRYPTO_HASH);
}

/* --- an honest one ------------------------------------------------------------------------------------------ */

START_TEST(jumps_joins_and_begins_again)
{
	char cmd[256];
	u8 named[CRYPTO_HASH];
	struct err e = { 0 };
	size_t n;

	source_honest(&src[0], COMMITTED);
	source_honest(&src[1], COMMITTED);
	source_offers(&src[0]);
	says(&src[0], 1, NULL);
	says(&src[0], 3, NULL);
	learner_up();
	run_until(is_joined);
	ck_assert_msg(base() == PLACE, "%s", said);
	is_right(r);
	ck_assert_uint_eq(replica_nid(r), LEARNER);
	ck_assert_uint_eq(replayed, N3_VOTES + COMMITTED - PLACE);
	ck_assert_uint_eq(rebuilt, 1);
	ck_assert(log_entry(replica_log(r), 1, &n) && log_entry(replica_log(r), PLACE, &n) && log_entry(replica_log(r), COMMITTED, &n));
	ck_assert(!log_entry(replica_log(r), 2, &n) && !log_entry(replica_log(r), PLACE - 1, &n));
	learner_down();
	learner_up(); /* the rest from the image on disk */
	ck_assert_uint_eq(rebuilt, 1);
	run_until(is_joined);
	is_right(r);
	ck_assert_uint_eq(base(), PLACE);
	ck_assert_uint_eq(replayed, COMMITTED - PLACE);
	log_base(replica_log(r), named);
	learner_down();
	ck_assert_mem_eq(named, digest, CRYPTO_HASH);
	snprintf(cmd, sizeof(cmd), "for f in %s/blobs/*; do printf x >>$f; done", dir);
	ck_assert_int_eq(system(cmd), 0);
	ck_assert_int_lt(try_start(&r, "n4", &learner_keys, dir, 0, &e), 0);
	ck_assert_msg(strstr(e.text, "move the directory away"), "%s", e.text);
	learner_down();
	snprintf(cmd, sizeof(cmd), "rm %s/blobs/*", dir);
	ck_assert_int_eq(system(cmd), 0);
	ck_assert_int_lt(try_start(&r, "n4", &learner_keys, dir, 0, &e), 0);
	ck_assert_msg(strstr(e.text, "move the directory away"), "%s", e.text);
}
END_TEST

/* A member in the stream: it tells its state at a place and hears what others tell. */
static void in_the_stream(u64 place)
{
	struct state *s = state_new();
	struct state_result res;
	struct body_digest m;
	struct entry e;
	u8 there[CRYPTO_HASH];

	for (u64 i = 1; i <= place; i++) {
		a_entry(w, i, &e);
		ck_assert_int_eq(state_apply(s, &e, &res), 0);
	}
	w_digest(s, there);
	struct state now = *r->state;

	*r->state = *s;
	agree_applied(r, &e, true);
	for (u32 nid = 1; nid <= 2; nid++) {
		struct blob raw = a_word(w, nid, place, there, NULL, &m);

		snap_noted(r, nid, &m, raw.p, raw.n);
	}
	*r->state = now;
	state_free(s);
}

static bool second_joined(void)
{
	return joined;
}

/* n5 has only GENESIS and the first 10 entries, and n4 is the only one it can reach: what n4 skipped it cannot show, but
 * its state at NEXT it can. */
START_TEST(teaches_by_a_snapshot)
{
	struct fixture_keys keys;
	struct replica *second;
	char where[80];
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;
	bool shows = _i == 0;

	source_honest(&src[0], NEXT);
	source_honest(&src[1], NEXT);
	source_offers(&src[0]);
	says(&src[0], 1, NULL);
	says(&src[0], 2, NULL);
	learner_up();
	run_until(is_joined);
	ck_assert_uint_eq(base(), PLACE);
	ck_assert_uint_eq(applied(), NEXT);
	if (shows)
		in_the_stream(NEXT);
	snprintf(where, sizeof(where), "%s/second", dir);
	ck_assert_int_eq(log_open(&g, NULL, where, &boot, &e), 0);
	for (u64 i = 1; i <= 12; i++) /* it was away since */
		ck_assert_int_eq(log_append(g, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	log_commit_hint(g, 12);
	log_close(g);
	keys_of(&keys, "n5");
	src[0].unknown = src[1].unknown = true;
	src[0].has = src[1].has = 12;
	src[1].log = w;
	start(&second, "n5", &keys, where, direct_port(replica_direct(r)));
	run_until(second_joined);
	ck_assert_uint_eq(replica_state(second)->applied, shows ? NEXT : 12);
	ck_assert_uint_eq(log_base(replica_log(second), NULL), shows ? NEXT : 0);
	ck_assert_msg(shows || strstr(said, "does not have entry 13 any more"), "%s", said);
	replica_free(second);
	fixture_keys_stop(&keys);
}
END_TEST

static void jumped(void)
{
	source_honest(&src[0], COMMITTED);
	source_honest(&src[1], COMMITTED);
	source_offers(&src[0]);
	says(&src[0], 1, NULL);
	says(&src[0], 2, NULL);
	learner_up();
	run_until(is_joined);
	ck_assert_uint_eq(base(), PLACE);
}

/* A member that was started just now has a snapshot only after its first TERM. */
START_TEST(asks_again_with_the_next_part)
{
	src[0].late = 1;
	src[0].part = 32;
	jumped();
	ck_assert_uint_eq(src[0].late, 0);
	is_right(r);
}
END_TEST

static bool is_made_anew(void)
{
	return made_anew;
}

/* Its memory goes wrong, the majority's digest finds it: made anew from the image and what came after. */
START_TEST(the_odd_one_begins_at_its_image)
{
	u8 right[CRYPTO_HASH], own[CRYPTO_HASH];
	struct body_digest m = { .index = COMMITTED, .format = STATE_FORMAT };

	jumped();
	w_digest(r->state, right);
	r->state->next_sid += 7;
	w_digest(r->state, own);
	agree_own(&r->agree, COMMITTED, own);
	memcpy(m.digest, right, sizeof(right));
	for (u32 nid = 1; nid <= 2; nid++)
		agree_message(r, nid, &m);
	run_until(is_made_anew);
	is_right(r);
	ck_assert(!r->diverged);
}
END_TEST

static bool is_next_generation(void)
{
	return replica_state(r)->generation == 2;
}

/* A reform can stand on what is here, not on what a snapshot stands for. */
START_TEST(a_reform_behind_the_base)
{
	u8 one[4];
	struct entry e;
	struct body_s_reform f = { .new_generation = 2, .base_index = PLACE - 1, .next_nid = w->s->next_nid,
				   .voters = { one, 4 }, .servers = { one, 4 } };
	struct err err = { 0 };
	struct blob st;
	size_t n;

	w_le32(one, 1);
	jumped();
	a_entry(w, f.base_index, &e);
	memcpy(f.base_hash, e.hash, sizeof(f.base_hash));
	st = w_reform_as(w, 2, &f, "root");
	ck_assert_int_eq(replica_reform(r, st.p, st.n, &err), -DSI_ECONFLICT);
	ck_assert_msg(strstr(err.text, "move") && strstr(err.text, "383"), "%s", err.text);
	ck_assert_uint_eq(replica_state(r)->generation, 1);
	f.base_index = _i == 0 ? PLACE : COMMITTED;
	a_entry(w, f.base_index, &e);
	memcpy(f.base_hash, e.hash, sizeof(f.base_hash));
	st = w_reform_as(w, 2, &f, "root");
	reformed = true;
	ck_assert_msg(replica_reform(r, st.p, st.n, &err) == 0, "%s", err.text);
	run_until(is_next_generation);
	ck_assert_uint_eq(applied(), f.base_index + 1);
	learner_down();
	learner_up();
	ck_assert_uint_eq(replica_state(r)->generation, 2);
	ck_assert_uint_eq(applied(), f.base_index + 1);
	ck_assert(base() == PLACE && r->n_reforms == 1 && log_entry(replica_log(r), f.base_index + 1, &n));
}
END_TEST

/* --- liars ---------------------------------------------------------------------------------------------------- */

static void lie_alone(struct source *s) { says(s, 1, NULL); }
static void lie_nobody(struct source *s) { (void)s; }
static void lie_others(struct source *s) { says(s, 1, NULL), says(s, 4, NULL), says(s, 5, NULL); } /* no voters */
static void lie_twice(struct source *s) { says(s, 1, NULL), says(s, 1, NULL); }
static void lie_torn(struct source *s) { says(s, 1, NULL), says(s, 2, &(struct ack_bend){ .torn = true }); }
static void lie_own_key(struct source *s) { says(s, 1, NULL), says(s, 2, &(struct ack_bend){ .key = "n1" }); }
static void lie_entry(struct source *s) { says(s, 1, NULL), says(s, 2, &(struct ack_bend){ .hash = 1 }); }
static void lie_state(struct source *s) { says(s, 1, NULL), says(s, 2, &(struct ack_bend){ .digest = 1 }); }
static void lie_format(struct source *s) { says(s, 1, NULL), says(s, 2, &(struct ack_bend){ .format = 1 }); }
static void lie_generation(struct source *s) { says(s, 1, NULL), says(s, 2, &(struct ack_bend){ .generation = 1 }); }

static void both(struct source *s)
{
	says(s, 1, NULL);
	says(s, 2, NULL);
}

static void lie_image(struct source *s)
{
	both(s);
	s->image.data[s->image.len / 2] ^= 1;
}

static void lie_shorter(struct source *s)
{
	both(s);
	s->image.len -= 7;
}

static void lie_longer(struct source *s)
{
	both(s);
	wbuf_bytes(&s->image, "more", 4);
}

static void lie_gone(struct source *s)
{
	both(s);
	s->gone = true;
}

static void lie_other_place(struct source *s) /* words about PLACE, an entry elsewhere */
{
	both(s);
	s->offer.index++;
	s->offer.entry = (struct blob){ w->log[PLACE].p, w->log[PLACE].n };
}

/* The entry there is authentic by its hash, its signature is not part of it: who learns from us would refuse it. */
static void lie_signature(struct source *s)
{
	u8 *p = arena_alloc(&w->arena, s->offer.entry.n);

	both(s);
	memcpy(p, s->offer.entry.p, s->offer.entry.n);
	p[s->offer.entry.n - 1] ^= 1;
	s->offer.entry.p = p;
}

static const struct {
	const char *name;
	void (*lie)(struct source *s);
	const char *alarm; /* what it leads to */
} lies[] = {
	{ "its own word", lie_alone, "1 snapshot" },
	{ "nobody's", lie_nobody, "1 snapshot" },
	{ "of who has no vote", lie_others, "1 snapshot" },
	{ "one voter twice", lie_twice, "1 snapshot" },
	{ "a signature that is none", lie_torn, "1 snapshot" },
	{ "its own key for another", lie_own_key, "1 snapshot" },
	{ "about another entry", lie_entry, "1 snapshot" },
	{ "about another state", lie_state, "1 snapshot" },
	{ "of another format", lie_format, "1 snapshot" },
	{ "of another generation", lie_generation, "1 snapshot" },
	{ "another entry than the words are about", lie_other_place, "1 snapshot" },
	{ "the right words, another image", lie_image, "2 snapshot" },
	{ "an image cut short", lie_shorter, "2 snapshot" },
	{ "an image with more", lie_longer, "2 snapshot" },
	{ "an entry with a signature that is none", lie_signature, "2 snapshot" },
	{ "an image that is not there", lie_gone, "" },
};

START_TEST(installs_nothing_and_replays)
{
	source_honest(&src[0], COMMITTED);
	source_honest(&src[1], COMMITTED);
	source_offers(&src[0]);
	lies[_i].lie(&src[0]);
	learner_up();
	run_until(is_joined);
	ck_assert_msg(base() == 0, "%s", lies[_i].name);
	is_right(r);
	ck_assert_msg(strstr(said, lies[_i].alarm), "%s: %s", lies[_i].name, said);
	ck_assert_uint_eq(rebuilt, 0);
	ck_assert_uint_eq(replayed, COMMITTED);
}
END_TEST

/* What another member has is asked before a newcomer takes the snapshot. */
static const struct {
	const char *name;
	u64 has;
	u8 hash, digest;
	bool unknown;
	const char *alarm;
} others[] = {
	{ "another entry there", COMMITTED, 1, 0, false, "another entry or state" },
	{ "another state there", COMMITTED, 0, 1, false, "another entry or state" },
	{ "not come so far", PLACE - 1, 0, 0, false, "" },
	{ "not able to tell", COMMITTED, 0, 0, true, "" },
};

START_TEST(a_newcomer_asks_around)
{
	source_honest(&src[0], COMMITTED);
	source_honest(&src[1], others[_i].has);
	source_offers(&src[0]);
	both(&src[0]);
	src[1].at_hash = others[_i].hash;
	src[1].at_digest = others[_i].digest;
	src[1].unknown = others[_i].unknown;
	learner_up();
	run_until(is_joined);
	ck_assert_msg(base() == 0, "%s", others[_i].name);
	is_right(r);
	ck_assert_msg(strstr(said, others[_i].alarm), "%s: %s", others[_i].name, said);
}
END_TEST

static bool is_asked_again(void)
{
	return src[0].asked >= 4;
}

/* n1 alone made the log so far, as the only voter: its word and its proofs are enough for entries, and for no snapshot. */
START_TEST(one_voter_is_never_enough)
{
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;

	ck_assert_int_eq(log_open(&g, NULL, dir, &boot, &e), 0);
	ck_assert_int_eq(log_append(g, 1, w->log[0].p, w->log[0].n, NULL, NULL), 0);
	ck_assert_int_eq(log_append(g, 2, w->log[1].p, w->log[1].n, NULL, NULL), 0);
	log_commit_hint(g, 2);
	log_close(g);
	src[0].log = w;
	src[0].has = COMMITTED;
	src[0].proof[src[0].n_proof++] = a_prove(w, N2_VOTES - 1, (const u32[]){ 1 }, 1);
	source_offers(&src[0]);
	both(&src[0]);
	learner_up();
	run_until(is_asked_again);
	ck_assert_uint_eq(applied(), N2_VOTES - 1);
	ck_assert(base() == 0 && !src[0].parts);
}
END_TEST

/* A verdict that reached us before the snapshot, and that the entries it stands for decided: it must not stay. */
START_TEST(a_verdict_that_was_decided_meanwhile)
{
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;

	ck_assert_int_eq(log_open(&g, NULL, dir, &boot, &e), 0);
	for (u64 i = 1; i <= 12; i++)
		ck_assert_int_eq(log_append(g, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	log_commit_hint(g, 12);
	log_close(g);
	source_honest(&src[0], COMMITTED);
	source_offers(&src[0]);
	both(&src[0]);
	learner_up();
	ck_assert_msg(replica_urgent(r, verdict.p, verdict.n, &e) == 0, "%s", e.text);
	ck_assert(replica_suspended(r, LEARNER + 1));
	run_until(is_joined);
	ck_assert_uint_eq(base(), PLACE);
	ck_assert(!replica_suspended(r, LEARNER + 1));
	ck_assert_uint_eq(r->n_urgent, 0);
}
END_TEST

/* What we have on disk at the snapshot or past it we may have acknowledged: it is proven, never cut. */
START_TEST(own_entries_are_not_cut)
{
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;

	ck_assert_int_eq(log_open(&g, NULL, dir, &boot, &e), 0);
	for (u64 i = 1; i <= PLACE; i++)
		ck_assert_int_eq(log_append(g, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	log_commit_hint(g, 12);
	log_close(g);
	source_honest(&src[0], COMMITTED);
	source_offers(&src[0]);
	both(&src[0]);
	learner_up();
	run_until(is_joined);
	ck_assert(base() == 0 && !src[0].parts);
	is_right(r);
}
END_TEST

/* A little behind: not worth it. */
START_TEST(a_little_is_replayed)
{
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;

	ck_assert_int_eq(log_open(&g, NULL, dir, &boot, &e), 0);
	for (u64 i = 1; i <= PLACE - LIM_SNAPSHOT_AHEAD + (u64)_i; i++)
		ck_assert_int_eq(log_append(g, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	log_commit_hint(g, PLACE - LIM_SNAPSHOT_AHEAD + (u64)_i - 1);
	log_close(g);
	source_honest(&src[0], COMMITTED);
	source_offers(&src[0]);
	both(&src[0]);
	learner_up();
	run_until(is_joined);
	ck_assert_uint_eq(base(), _i == 0 ? PLACE : 0);
	is_right(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("snapshot");
	TCase *t = tcase_create("snapshot");

	tcase_add_checked_fixture(t, up, down);
	tcase_set_timeout(t, 100);
	tcase_add_test(t, jumps_joins_and_begins_again);
	tcase_add_loop_test(t, teaches_by_a_snapshot, 0, 2);
	tcase_add_test(t, asks_again_with_the_next_part);
	tcase_add_test(t, the_odd_one_begins_at_its_image);
	tcase_add_loop_test(t, a_reform_behind_the_base, 0, 2);
	tcase_add_loop_test(t, installs_nothing_and_replays, 0, ARRAY_SIZE(lies));
	tcase_add_loop_test(t, a_newcomer_asks_around, 0, ARRAY_SIZE(others));
	tcase_add_test(t, one_voter_is_never_enough);
	tcase_add_test(t, a_verdict_that_was_decided_meanwhile);
	tcase_add_test(t, own_entries_are_not_cut);
	tcase_add_loop_test(t, a_little_is_replayed, 0, 2);
	suite_add_tcase(s, t);
	return check_main(s);
}
