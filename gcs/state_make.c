/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bodies of entries: what the active server writes around what people signed, and what shells need to know about
 * an entry before it is applied. Core.
 */
#include <string.h>

#include "gcs/state_impl.h"

static const struct body_schema *body_of(u16 kind)
{
	const struct state_kind *k = state_kind(kind);

	return k && k->said ? k->entry : NULL;
}

int state_make_body(const struct statement *st, u32 keygen, const struct blobs *wraps, struct wbuf *w)
{
	const struct body_schema *schema = body_of(st->kind);
	const struct blob raw = { st->raw, st->raw_len };
	union {
		struct body_e_statement statement;
		struct body_e_policy policy;
		struct body_e_voter voter;
		struct body_e_verdict verdict;
	} b;

	if (!schema)
		return -DSI_EROLE;
	memset(&b, 0, sizeof(b));
	b.statement.statement = raw; /* first in each: state_judge.c asserts it */
	if (st->kind == ENTRY_VERDICT && wraps) {
		b.verdict.keygen = keygen;
		b.verdict.wraps = *wraps;
	}
	return body_encode(schema, &b, w);
}

int state_make_enrol(const struct state *s, const u8 *p, size_t n, struct wbuf *w)
{
	struct body_e_enrol b;
	struct arena a;
	int rc;

	arena_init(&a, JUDGED_ARENA);
	rc = body_decode(&schema_e_enrol, p, n, &b, &a);
	if (!rc) {
		b.nid = s->next_nid;
		rc = body_encode(&schema_e_enrol, &b, w);
	}
	arena_fini(&a);
	return rc;
}

int state_make_promotion(const struct state *s, u32 nid, struct wbuf *w)
{
	const struct state_node *n = state_node(s, nid);
	struct body_e_voter b = { .nid = nid };

	if (!n)
		return -DSI_ENOENT;
	memcpy(b.token, n->token, sizeof(b.token));
	return body_encode(&schema_e_voter, &b, w);
}

int state_make_back(const struct state *s, struct wbuf *w)
{
	struct body_e_policy b = { .back_of = s->policy.version };

	return s->policy.confirm_by_ms ? body_encode(&schema_e_policy, &b, w) : -DSI_ENOENT;
}

/* --- about an entry ----------------------------------------------------------------------------------- */

/* The node an entry of this kind is about; 0 when it is of another kind or does not decode. */
static u32 target(const struct entry *e, u16 kind)
{
	struct judged j;
	u32 nid = 0;

	if (e->type != kind)
		return 0;
	judge_init(&j, NULL, e->wall_ms, NULL);
	if (!judge_entry(&j, e))
		nid = state_kind(kind)->about(&j);
	judge_fini(&j);
	return nid;
}

u32 state_verdict_target(const struct entry *e)
{
	return target(e, ENTRY_VERDICT);
}

u32 state_depose_target(const struct entry *e)
{
	u32 nid = target(e, ENTRY_DEPOSE);

	return nid ? nid : target(e, ENTRY_VERDICT);
}

u32 state_withdraw_target(const struct entry *e)
{
	return target(e, ENTRY_WITHDRAW);
}

static int back_blob(const struct state *s, u64 back_of, u8 ret[CRYPTO_HASH], u64 *ret_size)
{
	for (u32 i = 0; i < s->n_history; i++) {
		if (s->history[i].version != back_of)
			continue;
		memcpy(ret, s->history[i].back_digest, CRYPTO_HASH);
		for (u32 k = i; k < s->n_history; k++)
			if (!memcmp(s->history[k].digest, ret, CRYPTO_HASH))
				*ret_size = s->history[k].size;
		return state_key_zero(ret) ? -DSI_ENOENT : 0;
	}
	return -DSI_ENOENT;
}

int state_entry_blob(const struct state *s, const struct entry *e, u8 ret[CRYPTO_HASH], u64 *ret_size)
{
	struct judged j;
	int rc;

	*ret_size = 0;
	if (e->type != ENTRY_POLICY)
		return -DSI_ENOENT;
	judge_init(&j, s, e->wall_ms, NULL);
	rc = judge_entry(&j, e);
	if (!rc && j.has_statement) {
		memcpy(ret, j.said.policy.digest, CRYPTO_HASH);
		*ret_size = j.said.policy.size;
	} else if (!rc) {
		rc = back_blob(s, j.entry.policy.back_of, ret, ret_size);
	}
	judge_fini(&j);
	return rc;
}
