/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The join token: text there and back, every cut and flip, what it says to a newcomer, and what he says with it. */
#include "tests/unit/gcs_world.h"

static char *text_of(struct world *w, struct token *t)
{
	char *text;

	w_token(w, t, "alice", "n2", "t2", NODE_MEMBER | NODE_VOTER, w->now + 1000);
	snprintf(t->direct[1], sizeof(t->direct[1]), "[fd00::1]:5407");
	t->n_direct = 2;
	text = token_text(t);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_lt(strlen(text), TOKEN_TEXT_MAX);
	return text;
}

START_TEST(round_trip)
{
	struct world *w = w_new();
	struct token t, back;
	char *text = text_of(w, &t);

	ck_assert_mem_eq(text, "dsi-join-1:", 11);
	ck_assert_ptr_null(strchr(text, '\n'));
	ck_assert_int_eq(token_parse(&back, text, strlen(text), &w->err), 0);
	ck_assert_mem_eq(back.secret, t.secret, 32);
	ck_assert_mem_eq(back.said.token, t.said.token, 16);
	ck_assert_mem_eq(back.said.token_pub, t.said.token_pub, 32);
	ck_assert_mem_eq(back.said.root, w->genesis_root, 32);
	ck_assert_mem_eq(back.cluster, w->s->cluster, 16);
	ck_assert_uint_eq(back.generation, 1);
	ck_assert_str_eq(back.said.name, "n2");
	ck_assert_uint_eq(back.said.roles, NODE_MEMBER | NODE_VOTER);
	ck_assert_uint_eq(back.n_direct, 2);
	ck_assert_str_eq(back.direct[1], "[fd00::1]:5407");
	ck_assert_uint_eq(back.statement_len, t.statement_len);
	free(text);
	w_free(w);
}
END_TEST

START_TEST(a_newline_and_nothing_else)
{
	struct world *w = w_new();
	struct token t, back;
	char *text = text_of(w, &t), line[TOKEN_TEXT_MAX + 8];
	size_t n = (size_t)snprintf(line, sizeof(line), "%s\n", text);

	ck_assert_int_eq(token_parse(&back, line, n, &w->err), 0);
	line[n] = '\n';
	ck_assert_int_ne(token_parse(&back, line, n + 1, &w->err), 0);
	snprintf(line, sizeof(line), " %s", text);
	ck_assert_int_ne(token_parse(&back, line, strlen(line), &w->err), 0);
	snprintf(line, sizeof(line), "%s ", text);
	ck_assert_int_ne(token_parse(&back, line, strlen(line), &w->err), 0);
	ck_assert_int_eq(token_parse(&back, "", 0, &w->err), -DSI_EPARSE);
	ck_assert_int_eq(token_parse(&back, "dsi-join-1:", 11, &w->err), -DSI_ETRUNC);
	ck_assert_int_eq(token_parse(&back, "dsi-join-2:AAAA", 15, &w->err), -DSI_EPARSE);
	char *huge = calloc(1, 1 << 20);

	ck_assert_int_eq(token_parse(&back, huge, 1 << 20, &w->err), -DSI_ELIMIT);
	free(huge);
	free(text);
	w_free(w);
}
END_TEST

START_TEST(every_cut_and_flip_is_refused)
{
	struct world *w = w_new();
	struct token t, back;
	static const struct token zero;
	char *text = text_of(w, &t);
	size_t len = strlen(text);

	for (size_t n = 0; n < len; n++) {
		char *cut = malloc(n ? n : 1);

		memcpy(cut, text, n);
		ck_assert_int_ne(token_parse(&back, cut, n, &w->err), 0);
		ck_assert_mem_eq(&back, &zero, sizeof(zero)); /* no half of a secret stays */
		free(cut);
	}
	for (size_t i = 0; i < len; i++)
		for (u32 bit = 0; bit < 7; bit++) {
			text[i] ^= (char)(1 << bit);
			ck_assert_int_ne(token_parse(&back, text, len, &w->err), 0);
			text[i] ^= (char)(1 << bit);
		}
	free(text);
	w_free(w);
}
END_TEST

/* The sum is against typing only: whoever recomputes it meets the signature and the secret. */
START_TEST(sum_recomputed)
{
	struct world *w = w_new();
	struct token t, back;
	char *text = text_of(w, &t);
	u8 *p, sum[32];
	size_t n;

	ck_assert_int_eq(crypto_unbase64(text + 11, strlen(text) - 11, &p, &n), 0);
	for (size_t i = 0; i < n - 8; i++) {
		char *code, line[TOKEN_TEXT_MAX];
		int rc;

		p[i] ^= 0x40;
		ck_assert_int_eq(crypto_sha256(p, n - 8, sum), 0);
		memcpy(p + n - 8, sum, 8);
		code = crypto_base64(p, n);
		snprintf(line, sizeof(line), "dsi-join-1:%s", code);
		free(code);
		rc = token_parse(&back, line, strlen(line), &w->err);
		if (i < 1 + 4 + t.statement_len + 32)
			ck_assert_msg(rc != 0, "byte %zu", i);
		else if (!rc) /* addresses are only where to ask: who answers must prove the root */
			ck_assert_mem_eq(back.secret, t.secret, 32);
		p[i] ^= 0x40;
	}
	free(p);
	free(text);
	w_free(w);
}
END_TEST

START_TEST(checked_against_the_record)
{
	struct world *w = w_new();
	struct token t;
	struct state *other = state_clone(w->s);

	w_token(w, &t, "alice", "n2", "t2", NODE_MEMBER, w->now + 1000);
	ck_assert_int_eq(token_check(&t, w->s, w->now, &w->err), 0);
	ck_assert_int_eq(token_check(&t, w->s, 0, &w->err), 0);
	ck_assert_int_eq(token_check(&t, w->s, w->now + 1001, &w->err), -DSI_EEXPIRED);
	other->root[0] ^= 1;
	ck_assert_int_eq(token_check(&t, other, w->now, &w->err), -DSI_ECLUSTER);
	w_token(w, &t, "paula", "n2", "t2", NODE_MEMBER, w->now + 1000);
	ck_assert_int_eq(token_check(&t, w->s, w->now, &w->err), -DSI_EAUTH);
	w_token(w, &t, "mallory", "n2", "t2", NODE_MEMBER, w->now + 1000);
	ck_assert_int_eq(token_check(&t, w->s, w->now, &w->err), -DSI_EAUTH);
	state_free(other);
	w_free(w);
}
END_TEST

START_TEST(refuses_what_cannot_be_used)
{
	struct world *w = w_new();
	struct body_node node;
	struct token t;
	struct statement st;
	struct wbuf b;
	u8 seed[32], exporter[32] = { 0 };

	w_seed("alice", seed);
	w_header(w, &st, ENTRY_TOKEN, "alice");
	memset(&t, 0, sizeof(t));
	ck_assert_int_eq(token_make(&t, &st, statement_sign_seed, seed, &w->err), -DSI_EINVAL);
	snprintf(t.said.name, sizeof(t.said.name), "n2");
	ck_assert_int_eq(token_make(&t, &st, statement_sign_seed, seed, &w->err), -DSI_EINVAL);
	w_token(w, &t, "alice", "n2", "t2", NODE_MEMBER, w->now + 1000);
	wbuf_init(&b, LIM_ENTRY_BODY);
	w_describe(w, &node, "n3", "n3", NODE_MEMBER);
	ck_assert_int_eq(token_enrol(&t, &node, exporter, statement_sign_seed, seed, &b, &w->err), -DSI_EAUTH);
	w_describe(w, &node, "n2", "n2", NODE_MEMBER | NODE_SERVER);
	ck_assert_int_eq(token_enrol(&t, &node, exporter, statement_sign_seed, seed, &b, &w->err), -DSI_EAUTH);
	ck_assert_uint_eq(b.len, 0);
	wbuf_fini(&b);
	w_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_token");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, a_newline_and_nothing_else);
	tcase_add_test(t, every_cut_and_flip_is_refused);
	tcase_add_test(t, sum_recomputed);
	tcase_add_test(t, checked_against_the_record);
	tcase_add_test(t, refuses_what_cannot_be_used);
	suite_add_tcase(s, t);
	return check_main(s);
}
