/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state under random histories: invariants after each entry, and a replay that ends with the same digest. */
#include "tests/unit/gcs_world.h"

static u32 rnd_state;

static u32 rnd(u32 n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state % n;
}

/* Something that somebody might sign, wrong as often as right. */
static struct blob random_statement(struct world *w)
{
	static const char *who[] = { "alice", "alice", "alice", "paula", "vera", "mallory" };
	static const u16 ops[] = { ENTRY_WITHDRAW, ENTRY_READMIT, ENTRY_REMOVE, ENTRY_DEPOSE, ENTRY_VOTER_ADD, ENTRY_VOTER_REMOVE };
	const char *signer = who[rnd(ARRAY_SIZE(who))];
	u32 nid = 1 + rnd(w->s->next_nid);
	struct body_s_confirm c = { .version = w->s->policy.version };
	char name[16];

	switch (rnd(6)) {
	case 0:
		return w_verdict_until(w, signer, nid, rnd(3) ? w->now + 1000 : 0);
	case 1:
		snprintf(name, sizeof(name), "p%u", rnd(5));
		return w_policy(w, signer, name, rnd(2) ? 5 : 0);
	case 2:
		return w_statement(w, ENTRY_CONFIRM, signer, &schema_s_confirm, &c);
	default:
		return w_node_op(w, ops[rnd(ARRAY_SIZE(ops))], signer, nid);
	}
}

static char keys_of_run[64][16];

static void random_join(struct world *w, u32 step)
{
	u8 exporter[32] = { (u8)step };
	u32 roles = NODE_MEMBER | rnd(8) << 1;
	char name[16];
	struct token t;

	if (w->s->next_nid >= 60)
		return;
	snprintf(name, sizeof(name), "r%u", rnd(6));
	snprintf(keys_of_run[step % 64], 16, "k%u", rnd(40));
	w_token(w, &t, "alice", name, keys_of_run[step % 64], roles, w->now + rnd(4000));
	w_order(w, (struct blob){ t.statement, t.statement_len });
	w->now += rnd(2000);
	if (w_put(w, ENTRY_ENROL, w_enrol_body(w, w_request(w, &t, name, keys_of_run[step % 64], roles, exporter))))
		return;
	w_keys[w->res.nid] = keys_of_run[step % 64];
	w_promote(w, w->res.nid);
}

static void random_step(struct world *w, u32 step)
{
	w->now += rnd(3000);
	switch (rnd(5)) {
	case 0:
		random_join(w, step);
		break;
	case 1:
		w_go_back(w, w->s->policy.version);
		break;
	case 2:
		if (w->s->n_server)
			w_term(w, w->s->server_order[rnd(w->s->n_server)]);
		break;
	default:
		w_order(w, random_statement(w));
	}
}

static void invariants(const struct state *s)
{
	const struct order_voters *v = &s->voters[0];

	ck_assert_uint_ge(v->n, 1);
	ck_assert_uint_ge(s->n_server, 1);
	for (u32 i = 0; i < v->n; i++)
		ck_assert(state_nid_live(s, v->nid[i]) && (!i || v->nid[i] > v->nid[i - 1]));
	for (u32 i = 0; i < s->n_server; i++)
		ck_assert(state_nid_live(s, s->server_order[i]) && !state_node(s, s->server_order[i])->deposed);
	for (u32 i = 0; i < s->n_node; i++)
		for (u32 k = 0; k < i; k++)
			ck_assert_mem_ne(s->node[i].sign, s->node[k].sign, 32);
}

/* Replays the log of w on a second state that is saved and loaded now and then: the same at every step. */
static void replay(const struct world *w)
{
	struct state *t = state_new();
	struct state_result res;
	u8 d1[32], d2[32];

	for (u64 i = 0; i < w->s->applied; i++) {
		struct entry e;

		ck_assert_int_eq(entry_decode(&e, w->log[i].p, w->log[i].n), 0);
		ck_assert_int_eq(state_apply(t, &e, &res), 0);
		if (i % 7 == 3) {
			struct state *u = state_new();
			struct wbuf b;

			w_save(t, &b);
			ck_assert_int_eq(state_load(u, b.data, b.len), 0);
			wbuf_fini(&b);
			state_free(t);
			t = u;
		}
	}
	w_digest(w->s, d1);
	w_digest(t, d2);
	ck_assert_mem_eq(d1, d2, 32);
	state_free(t);
}

START_TEST(random_histories)
{
	struct world *w = w_three();

	rnd_state = 0x9e3779b9u * (u32)(_i + 1);
	for (u32 step = 0; step < 60; step++) {
		u8 before[32], after[32];
		u64 at = w->s->applied;

		w_digest(w->s, before);
		random_step(w, step);
		w_digest(w->s, after);
		ck_assert((at == w->s->applied) == !memcmp(before, after, 32));
		invariants(w->s);
	}
	replay(w);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_state_random");
	TCase *r = tcase_create("random");

	tcase_set_timeout(r, 120);
	tcase_add_loop_test(r, random_histories, 0, 12);
	suite_add_tcase(s, r);
	return check_main(s);
}
