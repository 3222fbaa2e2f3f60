/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What DSI wants of Pacemaker: the attribute of each node, who is to be fenced and who is not any more, and the bytes. */
#include "dsid/pacemaker_job.h"
#include "tests/unit/gcs_world.h"

static struct pacemaker_job want;

static int verdict(struct world *w, u32 nid, u32 flags, u64 until)
{
	struct body_s_verdict v = { .nid = nid, .flags = flags, .until_ms = until, .reason = "caught" };

	snprintf(v.name, sizeof(v.name), "%s", state_node(w->s, nid)->name);
	return w_order(w, w_statement(w, ENTRY_VERDICT, "vera", &schema_s_verdict, &v));
}

static bool in_set(void *ctx, u32 nid)
{
	return ctx && *(u32 *)ctx == nid;
}

static const char *wanted(struct world *w, u32 *suspended, const char *name)
{
	pacemaker_want(w->s, in_set, suspended, &want);
	for (u32 i = 0; i < want.n; i++)
		if (!strcmp(want.node[i].name, name))
			return pacemaker_state_text(want.node[i].state);
	return "";
}

START_TEST(attribute_follows)
{
	struct world *w = w_three();
	u32 nid = 2;

	w_join(w, "n4", "n4", NODE_MEMBER);
	ck_assert_str_eq(wanted(w, NULL, "n1"), "trusted");
	ck_assert_uint_eq(want.n, 4);
	ck_assert_str_eq(wanted(w, &nid, "n2"), "suspect"); /* delivered, not committed */
	ck_assert_int_eq(verdict(w, 4, 0, w->now + 5000), 0);
	ck_assert_str_eq(wanted(w, NULL, "n4"), "suspect");
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 4)), 0);
	ck_assert_str_eq(wanted(w, NULL, "n4"), "trusted");
	ck_assert_int_eq(verdict(w, 3, 0, 0), 0);
	ck_assert_str_eq(wanted(w, NULL, "n3"), "revoked");
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), 0);
	ck_assert_uint_eq(w_join(w, "n3", "n3 new", NODE_MEMBER), 5);
	ck_assert_str_eq(wanted(w, NULL, "n3"), "trusted"); /* one name, one value: the living's */
	ck_assert_uint_eq(want.n, 4);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_REMOVE, "alice", 4)), 0);
	ck_assert_str_eq(wanted(w, NULL, "n4"), ""); /* a planned leave */
	w_free(w);
}
END_TEST

START_TEST(only_differences)
{
	struct pacemaker_job told = { .n = 2, .node = { { "a", PACEMAKER_TRUSTED }, { "b", PACEMAKER_TRUSTED } } };
	struct pacemaker_job of = { .n = 3, .node = { { "a", PACEMAKER_TRUSTED }, { "b", PACEMAKER_REVOKED }, { "c", PACEMAKER_TRUSTED } } };

	pacemaker_differs(&of, &told);
	ck_assert_uint_eq(of.n, 2);
	ck_assert_str_eq(of.node[0].name, "b");
	ck_assert_str_eq(of.node[1].name, "c");
}
END_TEST

START_TEST(fenced_once_and_by_right)
{
	struct world *w = w_three();
	struct pacemaker_mark m = { 0 };

	w_join(w, "n4", "n4", NODE_MEMBER);
	w_join(w, "n5", "n5", NODE_MEMBER);
	ck_assert_int_eq(verdict(w, 5, 0, 0), 0); /* does not ask for it */
	ck_assert(!pacemaker_mark_add(&m, w->s, 5, w->s->applied, 1000));
	ck_assert_ptr_null(pacemaker_mark_next(&m, w->s, 0));
	ck_assert_int_eq(verdict(w, 4, VERDICT_FENCE, 0), 0);
	ck_assert(pacemaker_mark_add(&m, w->s, 4, w->s->applied, 1000));
	ck_assert(!pacemaker_mark_add(&m, w->s, 4, w->s->applied, 1000)); /* the same again */
	ck_assert_uint_eq(pacemaker_mark_next(&m, w->s, 0)->nid, 4);
	ck_assert_int_eq(verdict(w, 3, VERDICT_FENCE, 0), 0);
	ck_assert(pacemaker_mark_add(&m, w->s, 3, w->s->applied, 2000));
	/* one that fails does not keep the other waiting */
	ck_assert_uint_eq(pacemaker_mark_next(&m, w->s, state_node(w->s, 4)->verdict_at)->nid, 3);
	ck_assert_uint_eq(pacemaker_mark_next(&m, w->s, state_node(w->s, 3)->verdict_at)->nid, 4);
	ck_assert_uint_eq(pacemaker_mark_at(&m, state_node(w->s, 3)->verdict_at)->nid, 3);
	ck_assert_ptr_null(pacemaker_mark_at(&m, 1));
	pacemaker_mark_done(&m, state_node(w->s, 4)->verdict_at);
	ck_assert_uint_eq(pacemaker_mark_next(&m, w->s, 0)->nid, 3);
	ck_assert_uint_eq(m.n, 1);
	/* whoever has the name of a revoked node now is not shot for it */
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_READMIT, "alice", 3)), 0);
	ck_assert_uint_eq(pacemaker_mark_next(&m, w->s, 0)->nid, 3);
	ck_assert_uint_eq(w_join(w, "n3", "n3 new", NODE_MEMBER), 6);
	ck_assert_ptr_null(pacemaker_mark_next(&m, w->s, 0));
	ck_assert_uint_eq(m.n, 0);
	w_free(w);
}
END_TEST

START_TEST(withdrawn_is_not_fenced)
{
	struct world *w = w_three();
	struct pacemaker_mark m = { 0 };

	w_join(w, "n4", "n4", NODE_MEMBER);
	ck_assert_int_eq(verdict(w, 4, VERDICT_FENCE, w->now + 5000), 0);
	ck_assert(pacemaker_mark_add(&m, w->s, 4, w->s->applied, 1000));
	ck_assert_uint_eq(pacemaker_mark_next(&m, w->s, 0)->nid, 4);
	ck_assert_int_eq(w_order(w, w_node_op(w, ENTRY_WITHDRAW, "vera", 4)), 0);
	ck_assert_ptr_null(pacemaker_mark_next(&m, w->s, 0));
	w_free(w);
}
END_TEST

START_TEST(bytes)
{
	static const struct {
		struct pacemaker_job job;
		int rc;
	} cases[] = {
		{ { PACEMAKER_FENCE, 7, 1, { { "n1", PACEMAKER_NONE } } }, 0 },
		{ { PACEMAKER_STATE, 0, 2, { { "n1", PACEMAKER_TRUSTED }, { "n2.example", PACEMAKER_REVOKED } } }, 0 },
		{ { PACEMAKER_FENCE, 7, 2, { { "n1", PACEMAKER_NONE }, { "n2", PACEMAKER_NONE } } }, -DSI_EINVAL },
		{ { PACEMAKER_FENCE, 7, 1, { { "n1", PACEMAKER_TRUSTED } } }, -DSI_EINVAL },
		{ { PACEMAKER_FENCE, 7, 0, { { "", 0 } } }, -DSI_EINVAL },
		{ { PACEMAKER_STATE, 0, 0, { { "", 0 } } }, -DSI_EINVAL },
		{ { PACEMAKER_STATE, 1, 1, { { "n1", PACEMAKER_TRUSTED } } }, -DSI_EINVAL },
		{ { PACEMAKER_STATE, 0, 1, { { "n1", PACEMAKER_STATES } } }, -DSI_EINVAL },
		{ { (enum pacemaker_kind)3, 0, 1, { { "n1", PACEMAKER_NONE } } }, -DSI_EINVAL },
		/* no option, no pattern, nothing for a shell, were there one */
		{ { PACEMAKER_FENCE, 7, 1, { { "-n1", PACEMAKER_NONE } } }, -DSI_EPARSE },
		{ { PACEMAKER_FENCE, 7, 1, { { "n1 n2", PACEMAKER_NONE } } }, -DSI_EPARSE },
		{ { PACEMAKER_FENCE, 7, 1, { { "n*", PACEMAKER_NONE } } }, -DSI_EPARSE },
		{ { PACEMAKER_FENCE, 7, 1, { { "$(n)", PACEMAKER_NONE } } }, -DSI_EPARSE },
		{ { PACEMAKER_FENCE, 7, 1, { { "", PACEMAKER_NONE } } }, -DSI_EPARSE },
	};
	struct pacemaker_job back;
	struct wbuf w;

	wbuf_init(&w, 4096);
	pacemaker_job_encode(&cases[_i].job, &w);
	ck_assert_int_eq(pacemaker_job_decode(&back, w.data, w.len), cases[_i].rc);
	if (!cases[_i].rc) {
		ck_assert_mem_eq(&back, &cases[_i].job, sizeof(back));
		for (size_t n = 0; n < w.len; n++)
			ck_assert_int_ne(pacemaker_job_decode(&back, w.data, n), 0);
		wbuf_u8(&w, 0);
		ck_assert_int_ne(pacemaker_job_decode(&back, w.data, w.len), 0);
	}
	wbuf_fini(&w);
}
END_TEST

START_TEST(answers_and_mark)
{
	struct pacemaker_answer a = { -DSI_EFAIL, 105, "no device" }, b;
	struct pacemaker_mark m = { 2, { { 5, 1, 1000 }, { 9, 2, 2000 } } }, n;
	struct wbuf w;

	wbuf_init(&w, 4096);
	pacemaker_answer_encode(&a, &w);
	ck_assert_int_eq(pacemaker_answer_decode(&b, w.data, w.len), 0);
	ck_assert_int_eq(b.code, a.code);
	ck_assert_uint_eq(b.status, 105);
	ck_assert_str_eq(b.text, a.text);
	ck_assert_int_ne(pacemaker_answer_decode(&b, w.data, w.len - 1), 0);
	wbuf_fini(&w);
	wbuf_init(&w, 4096);
	pacemaker_mark_encode(&m, &w);
	ck_assert_int_eq(pacemaker_mark_decode(&n, w.data, w.len), 0);
	ck_assert_mem_eq(&n, &m, sizeof(m));
	ck_assert_int_ne(pacemaker_mark_decode(&n, w.data, w.len - 1), 0);
	wbuf_fini(&w);
	m.fence[1].index = 5; /* not ascending */
	wbuf_init(&w, 4096);
	pacemaker_mark_encode(&m, &w);
	ck_assert_int_ne(pacemaker_mark_decode(&n, w.data, w.len), 0);
	wbuf_fini(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dsid_pacemaker");
	TCase *t = tcase_create("pacemaker");

	tcase_add_test(t, attribute_follows);
	tcase_add_test(t, only_differences);
	tcase_add_test(t, fenced_once_and_by_right);
	tcase_add_test(t, withdrawn_is_not_fenced);
	tcase_add_loop_test(t, bytes, 0, 14);
	tcase_add_test(t, answers_and_mark);
	suite_add_tcase(s, t);
	return check_main(s);
}
