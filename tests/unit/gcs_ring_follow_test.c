/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log says who is on the ring: what is wanted of a node list, what becomes of it, whose turn the reload is. */
#include "gcs/ring_job.h"
#include "tests/unit/gcs_world.h"

static struct ring_want want;
static struct err err;

static const struct ring_member *named(const char *name)
{
	for (u32 i = 0; i < want.n; i++)
		if (!strcmp(want.member[i].name, name))
			return &want.member[i];
	return NULL;
}

static int wish(const char *name)
{
	const struct ring_member *m = named(name);

	return m ? (int)m->wish : 0;
}

/* w_join gives every node the same addresses: theirs are told apart here. */
static void tell_apart(struct world *w)
{
	for (u32 i = 0; i < w->s->n_node; i++) {
		w->s->node[i].n_addr = 1;
		w->s->node[i].addr[0].len = 4;
		memcpy(w->s->node[i].addr[0].bytes, (const u8[]){ 10, 77, 0, (u8)w->s->node[i].nid }, 4);
	}
}

static void wanted(struct world *w, u32 self)
{
	tell_apart(w);
	ring_want(w->s, self, &want);
}

static int verdict(struct world *w, u32 nid, u32 flags, u64 until)
{
	struct body_s_verdict v = { .nid = nid, .flags = flags, .until_ms = until, .reason = "caught" };

	snprintf(v.name, sizeof(v.name), "%s", state_node(w->s, nid)->name);
	return w_order(w, w_statement(w, ENTRY_VERDICT, "vera", &schema_s_verdict, &v));
}

START_TEST(who_comes)
{
	struct world *w = w_three();

	wanted(w, 1);
	ck_assert_uint_eq(want.key_index, 0);
	ck_assert_int_eq(wish("n1"), RING_KNOWN);
	ck_assert_int_eq(wish("n3"), RING_ON); /* after us */
	ck_assert_uint_eq(want.index, state_node(w->s, 3)->enrolled_at);
	ck_assert_str_eq(named("n3")->addr[0], "10.77.0.3");
	wanted(w, 3);
	ck_assert_int_eq(wish("n2"), RING_KNOWN); /* was there when we came: the file we got had him */
	w_free(w);
}
END_TEST

START_TEST(who_goes)
{
	struct world *w = w_three();
	u64 first;

	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER), 4);
	ck_assert_uint_eq(w_join(w, "n5", "n5", NODE_MEMBER), 5);
	ck_assert_int_eq(verdict(w, 4, 0, w->now + 5000), 0); /* a suspension is not final */
	wanted(w, 1);
	ck_assert_int_eq(wish("n4"), RING_ON);
	ck_assert_uint_eq(want.key_index, 0);
	ck_assert_int_eq(verdict(w, 5, VERDICT_KEEP_ON_RING, 0), 0);
	wanted(w, 1);
	ck_assert_int_eq(wish("n5"), RING_KNOWN);
	ck_assert_uint_eq(want.key_index, 0);
	ck_assert_int_eq(verdict(w, 3, 0, 0), 0);
	first = w->s->applied;
	wanted(w, 1);
	ck_assert_int_eq(wish("n3"), RING_OFF);
	ck_assert_int_eq(wish("n5"), RING_OFF); /* kept, but it cannot have the key of the later verdict */
	ck_assert_uint_eq(want.key_index, first);
	ck_assert_uint_eq(want.index, first);
	ck_assert_int_eq(verdict(w, 4, VERDICT_KEEP_ON_RING, 0), 0);
	wanted(w, 1);
	ck_assert_int_eq(wish("n4"), RING_KNOWN);
	ck_assert_uint_eq(want.key_index, first);
	w_free(w);
}
END_TEST

START_TEST(who_comes_again)
{
	struct world *w = w_three();

	ck_assert_int_eq(verdict(w, 3, 0, 0), 0);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), 0);
	ck_assert_uint_eq(w_join(w, "n3", "n3 new", NODE_MEMBER), 4);
	wanted(w, 1);
	ck_assert_uint_eq(want.n, 3);
	ck_assert_uint_eq(named("n3")->nid, 4);
	ck_assert_int_eq(wish("n3"), RING_ON);
	ck_assert_uint_eq(want.key_index, state_node(w->s, 3)->verdict_at); /* the key stays the verdict's */
	w_free(w);
}
END_TEST

/* --- with reforms and failovers -------------------------------------------------------------------------------- */

/* n3 alone goes on, n2 is dead by root's word: no key comes with that, so it stays until a verdict brings one. */
static void reform(struct world *w)
{
	u8 voters[4];
	struct body_dead d = { .nid = 2, .name = "n2", .status = NODE_REVOKED, .reason = "gone" };
	struct body_s_reform f = { .new_generation = 2, .base_index = w->s->applied, .next_nid = w->s->next_nid,
				   .voters = { voters, 4 }, .servers = { voters, 4 } };
	struct blob dead;

	memcpy(d.sign, state_node(w->s, 2)->sign, 32);
	memcpy(d.kem, state_node(w->s, 2)->kem, 32);
	dead = w_blob(w, &schema_dead, &d);
	f.dead = (struct blobs){ &dead, 1 };
	w_le32(voters, 3);
	memcpy(f.base_hash, w->prev, sizeof(f.base_hash));
	w->author = 3;
	ck_assert_msg(w_reform_put(w, w_reform_as(w, 2, &f, "root"), true) == 0, "%s %s", w->err.text, w->res.text);
	ck_assert_int_eq(w_term(w, 3), 0);
}

START_TEST(dead_by_a_reform)
{
	struct world *w = w_three();
	u64 first, reformed;

	w_join(w, "n4", "n4", NODE_MEMBER);
	w_join(w, "n5", "n5", NODE_MEMBER);
	ck_assert_int_eq(verdict(w, 4, 0, 0), 0);
	first = w->s->applied;
	reformed = first + 1;
	reform(w);
	wanted(w, 3);
	ck_assert_int_eq(wish("n2"), RING_KNOWN);
	ck_assert_int_eq(wish("n4"), RING_OFF); /* by the verdict before, as ever */
	ck_assert_int_eq(wish("n1"), RING_KNOWN); /* no voter any more, and a member */
	ck_assert_uint_eq(want.key_index, first);
	ck_assert_uint_gt(state_node(w->s, 2)->verdict_at, first); /* and makes nobody wait for a key */
	ck_assert_uint_eq(state_node(w->s, 2)->verdict_at, reformed);
	ck_assert_int_eq(verdict(w, 5, 0, 0), 0);
	wanted(w, 3);
	ck_assert_int_eq(wish("n5"), RING_OFF);
	ck_assert_int_eq(wish("n2"), RING_OFF); /* it cannot have this one's key */
	ck_assert_uint_eq(want.key_index, w->s->applied);
	w_free(w);
}
END_TEST

/* The verdict that rekeyed the ring is given up, and the next one comes at an index that is not higher. */
START_TEST(given_up_by_a_reform)
{
	struct world *w = w_three();
	struct ring_mark m = { .stage = RING_IN_FORCE, .generation = 1 };
	struct state *base;
	u8 prev[CRYPTO_HASH];

	w_join(w, "n4", "n4", NODE_MEMBER);
	base = state_clone(w->s);
	ck_assert_ptr_nonnull(base);
	memcpy(prev, w->prev, sizeof(prev));
	for (u32 i = 0; i < 8; i++)
		ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
	ck_assert_int_eq(verdict(w, 4, 0, 0), 0);
	wanted(w, 3);
	m.key_index = want.key_index;
	m.index = want.index;
	state_free(w->s);
	w->s = base;
	memcpy(w->prev, prev, sizeof(prev));
	reform(w);
	wanted(w, 3);
	ck_assert_uint_eq(want.key_index, 0);
	ck_assert_int_eq(wish("n4"), RING_ON); /* the log knows of nothing against it; enrolled after n3 */
	ck_assert_int_eq(verdict(w, 4, 0, 0), 0);
	wanted(w, 3);
	ck_assert_uint_lt(want.key_index, m.key_index); /* it would look old */
	ck_assert(ring_mark_reformed(&m, state_node(w->s, 2)->verdict_at, 2, false));
	ck_assert_uint_gt(want.key_index, m.key_index);
	w_free(w);
}
END_TEST

/* n1 orders a verdict and is gone: n2's TERM brings a group key of its own, and the ring's stays the verdict's. */
START_TEST(failover_after_a_verdict)
{
	struct world *w = w_three();
	static const u8 key[CRYPTO_KEY] = { 4 };
	u8 got[CRYPTO_KEY];
	struct blobs wraps;
	struct entry v, t;
	u64 index;

	ck_assert_int_eq(state_make_wraps(w->s, w->s->keygen + 1, key, 3, &w->arena, &wraps), 0);
	ck_assert_int_eq(w_put(w, ENTRY_VERDICT, w_body(w, w_verdict(w, "vera", 3), w->s->keygen + 1, &wraps)), 0);
	ck_assert(w->res.changed & CHANGED_KEY);
	index = w->s->applied;
	ck_assert_int_eq(w_term(w, 2), 0);
	ck_assert(w->res.changed & CHANGED_KEY);
	for (u32 self = 1; self <= 2; self++) {
		wanted(w, self);
		ck_assert_uint_eq(want.key_index, index);
		ck_assert_int_eq(wish("n3"), RING_OFF);
		ck_assert_int_eq(entry_decode(&v, w->log[index - 1].p, w->log[index - 1].n), 0);
		ck_assert_int_eq(entry_decode(&t, w->log[index].p, w->log[index].n), 0);
		ck_assert_int_eq(w_unwrap(w, &v, self, ROLE_MANAGER, got), 0);
		ck_assert_mem_eq(got, key, sizeof(key));
		ck_assert_int_eq(w_unwrap(w, &t, self, ROLE_MANAGER, got), 0);
		ck_assert_mem_ne(got, key, sizeof(key));
	}
	ck_assert_int_lt(w_unwrap(w, &v, 3, ROLE_MANAGER, got), 0);
	w_free(w);
}
END_TEST

/* --- the node list ---------------------------------------------------------------------------------------- */

static const char conf3[] =
	"totem {\n\tversion: 2\n\tconfig_version: 1\n\tcrypto_cipher: aes256\n\tcrypto_hash: sha256\n}\n"
	"nodelist {\n"
	"\tnode {\n\t\tnodeid: 1\n\t\tname: n1\n\t\tring0_addr: 10.77.0.1\n\t}\n"
	"\tnode {\n\t\tnodeid: 2\n\t\tname: n2\n\t\tring0_addr: 10.77.0.2\n\t}\n"
	"\tnode {\n\t\tnodeid: 3\n\t\tname: three\n\t\tring0_addr: 10.77.0.3\n\t}\n"
	"}\n";

static struct ring_member m3[] = {
	{ .nid = 1, .wish = RING_KNOWN, .name = "n1", .addr = { "10.77.0.1" }, .n_addr = 1 },
	{ .nid = 2, .wish = RING_KNOWN, .name = "n2", .addr = { "10.77.0.2" }, .n_addr = 1 },
	{ .nid = 3, .wish = RING_KNOWN, .name = "n3", .addr = { "10.77.0.3" }, .n_addr = 1 },
	{ .nid = 4, .wish = RING_KNOWN, .name = "n4", .addr = { "10.77.0.4" }, .n_addr = 1 },
};
static struct wbuf out;
static struct ring_fit fit;

static int follow(int a, int b, int c, int d, u64 version, bool new_key, const char *text)
{
	m3[0].wish = a;
	m3[1].wish = b;
	m3[2].wish = c;
	m3[3].wish = d;
	wbuf_fini(&out);
	wbuf_init(&out, RING_CONF_MAX);
	return ring_follow(m3, d ? 4 : 3, "n1", version, new_key, "c", text, strlen(text), &fit, &out, &err);
}

static bool says(const char *text)
{
	return memmem(out.data, out.len, text, strlen(text));
}

START_TEST(list_follows)
{
	ck_assert_int_eq(follow(RING_KNOWN, RING_KNOWN, RING_KNOWN, 0, 9, false, conf3), 0);
	ck_assert(!fit.change && out.len == 0 && fit.before == 3 && fit.after == 3 && fit.on[2]);
	/* by address, where the name is another */
	ck_assert_int_eq(follow(RING_KNOWN, RING_KNOWN, RING_OFF, 0, 9, true, conf3), 0);
	ck_assert(fit.change && fit.before == 3 && fit.after == 2 && !fit.on[2] && fit.on[1]);
	ck_assert(says("config_version: 9\n") && !says("three") && says("name: n2"));
	/* in and out at once; the number that is free is the lowest */
	ck_assert_int_eq(follow(RING_KNOWN, RING_OFF, RING_KNOWN, RING_ON, 9, true, conf3), 0);
	ck_assert(fit.after == 3 && says("nodeid: 2\n\t\tname: n4") && !says("name: n2"));
	/* a version that is not above: one more */
	ck_assert_int_eq(follow(RING_KNOWN, RING_OFF, RING_KNOWN, 0, 1, true, conf3), 0);
	ck_assert(says("config_version: 2\n"));
	/* known, not in the list: left out, who is where is people's matter */
	ck_assert_int_eq(follow(RING_KNOWN, RING_KNOWN, RING_KNOWN, RING_KNOWN, 9, false, conf3), 0);
	ck_assert(!fit.change && !fit.on[3]);
}
END_TEST

START_TEST(list_refused)
{
	char *other = strdup(conf3);

	ck_assert_int_eq(follow(RING_OFF, RING_KNOWN, RING_KNOWN, 0, 9, true, conf3), -DSI_ENOTSAFE); /* us */
	ck_assert_int_eq(follow(RING_OFF, RING_OFF, RING_OFF, 0, 9, true, conf3), -DSI_ENOTSAFE);
	memcpy(strstr(other, "aes256"), "none  ", 6);
	ck_assert_int_eq(follow(RING_KNOWN, RING_KNOWN, RING_OFF, 0, 9, true, other), -DSI_ECONFIG);
	/* a node that is no member: a new key would cut it off; without one it is nobody's business */
	strcpy(other, conf3);
	memcpy(strstr(other, "10.77.0.2"), "10.9.9.9 ", 9);
	memcpy(strstr(other, "name: n2"), "name: xx", 8);
	ck_assert_int_eq(follow(RING_KNOWN, RING_KNOWN, RING_OFF, 0, 9, true, other), -DSI_ENOTSAFE);
	ck_assert_ptr_nonnull(strstr(err.text, "xx"));
	ck_assert_int_eq(follow(RING_KNOWN, RING_KNOWN, RING_KNOWN, RING_ON, 9, false, other), 0);
	/* a host name may be anybody: nobody is added beside it */
	memcpy(strstr(other, "10.9.9.9 "), "host-x   ", 9);
	ck_assert_int_eq(follow(RING_KNOWN, RING_KNOWN, RING_KNOWN, RING_ON, 9, false, other), -DSI_ENOTSAFE);
	ck_assert_uint_eq(out.len, 0);
	free(other);
}
END_TEST

/* --- the turn ---------------------------------------------------------------------------------------------- */

START_TEST(turns)
{
	struct ring_word w[] = { { 1, 9, RING_WRITTEN }, { 2, 9, RING_WRITTEN }, { 5, 9, RING_WRITTEN } };

	ck_assert_int_eq(ring_turn(w, 3, 1, 9, 3, 0), RING_RELOAD);
	ck_assert_int_eq(ring_turn(w, 3, 2, 9, 3, 0), RING_WAIT);
	ck_assert_int_eq(ring_turn(w, 3, 2, 9, 3, RING_LATE_NS), RING_RELOAD); /* the first did not */
	ck_assert_int_eq(ring_turn(w, 3, 5, 9, 3, RING_LATE_NS), RING_WAIT);
	/* one is late, failed, or of an earlier entry: the others wait, and go on */
	for (int i = 0; i < 3; i++) {
		w[1] = (struct ring_word[]){ { 2, 0, RING_SAID_NOTHING },
					     { 2, 9, RING_FAILED },
					     { 2, 8, RING_IN_FORCE } }[i];
		ck_assert_int_eq(ring_turn(w, 3, 1, 9, 3, 0), RING_WAIT);
		ck_assert_int_eq(ring_turn(w, 3, 1, 9, 3, RING_LATE_NS), RING_RELOAD);
	}
	/* never with a minority: quorum would be lost by our own hand */
	ck_assert_int_eq(ring_turn(w, 3, 1, 9, 4, 100 * RING_LATE_NS), RING_TOO_FEW);
	ck_assert_int_eq(ring_turn(w, 1, 1, 9, 2, 100 * RING_LATE_NS), RING_TOO_FEW);
	ck_assert_int_eq(ring_turn(w, 1, 1, 9, 1, 0), RING_RELOAD); /* one node takes the second in */
}
END_TEST

/* --- bytes ---------------------------------------------------------------------------------------------------- */

static const u8 key[LIM_RING_KEY + 1] = { 7 };

static int code_of(const struct ring_job *j)
{
	static struct ring_member m[RING_MEMBERS];
	struct ring_job got;
	struct wbuf w;
	int rc;

	wbuf_init(&w, LIM_LINK_FRAME);
	ring_job_encode(j, &w);
	ck_assert(wbuf_ok(&w));
	rc = ring_job_decode(&got, m, w.data, w.len);
	for (size_t n = 0; n < w.len; n++) /* never a part */
		ck_assert_int_lt(ring_job_decode(&got, m, w.data, n), 0);
	wbuf_u8(&w, 0);
	ck_assert_int_lt(ring_job_decode(&got, m, w.data, w.len), 0);
	wbuf_fini(&w);
	return rc;
}

START_TEST(jobs)
{
	const struct { struct ring_job j; int code; } t[] = {
		{ { .kind = RING_JOB_READ }, 0 },
		{ { .kind = RING_JOB_RELOAD }, 0 },
		{ { .kind = RING_JOB_FOLLOW, .index = 9, .member = m3, .n_member = 4 }, 0 },
		{ { .kind = RING_JOB_FOLLOW, .index = 9, .member = m3, .n_member = 4, .key = key, .key_len = 128 }, 0 },
		{ { .kind = RING_JOB_TAKE, .conf = key, .conf_len = 9, .key = key, .key_len = 4096 }, 0 },
		{ { .kind = 0 }, -DSI_EINVAL },
		{ { .kind = 5 }, -DSI_EINVAL },
		{ { .kind = RING_JOB_READ, .key = key, .key_len = 128 }, -DSI_EINVAL },
		{ { .kind = RING_JOB_RELOAD, .member = m3, .n_member = 1 }, -DSI_EINVAL },
		{ { .kind = RING_JOB_FOLLOW, .index = 9 }, -DSI_EINVAL },
		{ { .kind = RING_JOB_FOLLOW, .member = m3, .n_member = 4, .conf = key, .conf_len = 9 }, -DSI_EINVAL },
		{ { .kind = RING_JOB_FOLLOW, .member = m3, .n_member = 4, .key = key, .key_len = 127 }, -DSI_EINVAL },
		{ { .kind = RING_JOB_TAKE, .conf = key, .conf_len = 9 }, -DSI_EINVAL },
		{ { .kind = RING_JOB_TAKE, .conf = key, .conf_len = 9, .key = key, .key_len = 4097 }, -DSI_ETRUNC },
		{ { .kind = RING_JOB_TAKE, .key = key, .key_len = 128 }, -DSI_EINVAL },
	};

	for (int i = 0; i < 4; i++)
		m3[i].wish = RING_KNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_msg(code_of(&t[i].j) == t[i].code, "job %zu", i);
	m3[0].wish = 4;
	ck_assert_int_eq(code_of(&t[2].j), -DSI_EPARSE);
	m3[0].wish = RING_KNOWN;
}
END_TEST

START_TEST(answers_and_gifts)
{
	struct ring_answer a = { .code = -DSI_ENOTSAFE,
				 .text = "no",
				 .flags = RING_CHANGED,
				 .before = 3,
				 .after = 2,
				 .n_on = 2,
				 .on = { 1, 0 } },
			   b;
	struct ring_gift g = { .index = 9, .key_index = 7, .conf = key, .conf_len = 5, .key = key, .key_len = 128 }, h;
	struct wbuf w;

	wbuf_init(&w, LIM_LINK_FRAME);
	ring_answer_encode(&a, &w);
	ck_assert_int_eq(ring_answer_decode(&b, w.data, w.len), 0);
	ck_assert(b.code == a.code && !strcmp(b.text, "no") && b.flags == RING_CHANGED && b.after == 2 && b.n_on == 2 &&
		  b.on[0]);
	ck_assert_int_eq(ring_answer_decode(&b, w.data, w.len - 1), -DSI_ETRUNC);
	wbuf_reset(&w);
	ring_gift_encode(&g, &w);
	ck_assert_int_eq(ring_gift_decode(&h, w.data, w.len), 0);
	ck_assert(h.index == 9 && h.key_index == 7 && h.conf_len == 5 && h.key_len == 128);
	wbuf_u8(&w, 0);
	ck_assert_int_eq(ring_gift_decode(&h, w.data, w.len), -DSI_ETRAIL);
	wbuf_reset(&w);
	g.key_len = 127;
	ring_gift_encode(&g, &w);
	ck_assert_int_eq(ring_gift_decode(&h, w.data, w.len), -DSI_EINVAL);
	wbuf_fini(&w);
}
END_TEST

/* --- what survives -------------------------------------------------------------------------------------------- */

START_TEST(mark_round_trip)
{
	const struct ring_mark m = { .key_index = 50, .index = 52, .before = 3, .stage = RING_WRITTEN, .generation = 2 };
	struct ring_mark got = { 0 };
	u8 p[RING_MARK_SIZE];

	ring_mark_encode(&m, p);
	for (size_t n = 0; n < sizeof(p); n++)
		ck_assert(n == RING_MARK_SIZE_1 || ring_mark_decode(&got, p, n) == -DSI_EPARSE);
	ck_assert_uint_eq(got.index, 0);
	ck_assert_int_eq(ring_mark_decode(&got, p, sizeof(p)), 0);
	ck_assert(got.key_index == 50 && got.index == 52 && got.before == 3 && got.stage == RING_WRITTEN && got.generation == 2);
	/* the format before: taken for the log's own generation */
	ck_assert_int_eq(ring_mark_decode(&got, p, RING_MARK_SIZE_1), 0);
	ck_assert(!ring_mark_reformed(&got, 40, 2, false));
	ring_mark_joined(&got, 2);
	ck_assert(got.key_index == 50 && got.index == 52 && got.generation == 2);
	ck_assert(ring_mark_reformed(&got, 40, 3, false)); /* from then on it knows */
	ck_assert_uint_eq(got.key_index, 39);
}
END_TEST

/* A verdict at 50 rekeyed the ring; a reform on 39 gives it up, and dsid dies before it says so in the mark. */
START_TEST(mark_of_before_the_reform)
{
	const struct ring_mark at50 = { .key_index = 50, .index = 52, .stage = RING_IN_FORCE, .generation = 1 };
	struct ring_mark live = at50, dead = at50;

	ck_assert(ring_mark_reformed(&live, 40, 2, true));
	ck_assert(ring_mark_reformed(&dead, 40, 2, false)); /* at the next start: the same */
	ck_assert_mem_eq(&live, &dead, sizeof(live));
	ck_assert(live.key_index == 39 && live.index == 39); /* a verdict at 41 is newer */
	live.key_index = live.index = 41;
	ck_assert(!ring_mark_reformed(&live, 40, 2, false)); /* and every later start leaves its key alone */
	ring_mark_joined(&live, 2);
	ck_assert(live.key_index == 41 && live.index == 41);
	/* a start that did not replay the reform */
	dead = at50;
	ring_mark_joined(&dead, 2);
	ck_assert(!dead.key_index && !dead.index && dead.generation == 2);
	/* what the reform kept is kept */
	dead = at50;
	ck_assert(ring_mark_reformed(&dead, 60, 2, false));
	ck_assert(dead.key_index == 50 && dead.index == 52);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_ring_follow");
	TCase *t = tcase_create("ring_follow");

	tcase_add_test(t, who_comes);
	tcase_add_test(t, who_goes);
	tcase_add_test(t, who_comes_again);
	tcase_add_test(t, dead_by_a_reform);
	tcase_add_test(t, given_up_by_a_reform);
	tcase_add_test(t, failover_after_a_verdict);
	tcase_add_test(t, list_follows);
	tcase_add_test(t, list_refused);
	tcase_add_test(t, turns);
	tcase_add_test(t, jobs);
	tcase_add_test(t, answers_and_gifts);
	tcase_add_test(t, mark_round_trip);
	tcase_add_test(t, mark_of_before_the_reform);
	suite_add_tcase(s, t);
	return check_main(s);
}
