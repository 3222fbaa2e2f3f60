/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What order may ask of the replicated state: who votes, who serves, whom to believe (order.h, order_env).
 *
 * Must never: change anything order can see; answer by other entries than those of our log.
 */
#include "gcs/replica_impl.h"

#include <stdlib.h>
#include <string.h>

static const u64 CLOCK_ALARM_NS = 60000000000ull;

enum { PREVIEW_MAX = 64 };

/* Entries in the log beyond what is applied, in order, in the step's arena. */
static u32 uncommitted(struct replica *r, struct entry *e, const struct entry **ptr)
{
	u64 tail = log_tail(r->log);
	u32 n = 0;

	for (u64 i = r->state->applied + 1; i <= tail && n < PREVIEW_MAX; i++, n++) {
		size_t len;
		const u8 *p = log_entry(r->log, i, &len);
		u8 *copy = p ? arena_alloc(&r->arena, len) : NULL;

		if (!copy)
			break;
		memcpy(copy, p, len); /* log_entry's bytes live until its next call */
		if (entry_decode(&e[n], copy, len))
			break;
		ptr[n] = &e[n];
	}
	return n;
}

bool replica_is_voter(const struct replica *r, u32 nid)
{
	const struct state *s = r->state;

	for (u32 i = 0; s->n_voters && i < s->voters[s->n_voters - 1].n; i++)
		if (s->voters[s->n_voters - 1].nid[i] == nid)
			return true;
	return false;
}

static u32 env_voters(void *ctx, struct order_voters ret[2])
{
	struct replica *r = ctx;
	struct entry e[PREVIEW_MAX];
	const struct entry *ptr[PREVIEW_MAX];
	u32 n = uncommitted(r, e, ptr), n_sets = 0;

	state_preview(r->state, ptr, n, ret, &n_sets);
	return n_sets;
}

static u32 env_server_rank(void *ctx, u32 nid)
{
	struct replica *r = ctx;
	const struct state_node *node = state_node(r->state, nid);

	if (!node || node->deposed || !state_nid_live(r->state, nid) || replica_suspended(r, nid) || urgent_deposed(r, nid))
		return 0;
	for (u32 i = 0; i < r->state->n_server; i++)
		if (r->state->server_order[i] == nid)
			return i + 1;
	return 0;
}

static bool env_bodies_present(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	u8 digest[CRYPTO_HASH];
	u64 size;

	return state_entry_blob(r->state, e, digest, &size) || blob_present(r->log, digest);
}

static const u8 *env_read_entry(void *ctx, u64 index, size_t *ret_len)
{
	struct replica *r = ctx;

	return log_entry(r->log, index, ret_len);
}

static bool env_nid_dead(void *ctx, u32 nid)
{
	struct replica *r = ctx;

	return !state_nid_live(r->state, nid) || replica_suspended(r, nid);
}

static bool env_verify_entry(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	struct err err = { 0 };

	if (!state_verify_entry(r->state, e, &err))
		return true;
	replica_alarm(r, 2, "entry", "entry %llu refused: %s", (unsigned long long)e->index, err.text);
	return false;
}

static bool env_timely(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	u64 now = loop_wall_ms();

	if (state_timely(e->wall_ms, now, r->last_wall_ms))
		return true;
	if (!r->clock_alarm_at || loop_boottime() >= r->clock_alarm_at + CLOCK_ALARM_NS) {
		r->clock_alarm_at = loop_boottime();
		replica_alarm(r, 2, "clock", "clock differs: entry %llu is dated %lld s from our time by node %u; not acknowledged "
			      "here until a majority has committed it: set the clock of the one that is wrong", (unsigned long long)e->index,
			      (long long)((int64_t)(e->wall_ms - now) / 1000), e->author_nid);
	}
	return false;
}

static bool env_verify_promise(void *ctx, u32 nid, const struct gcs_ring *ring, u64 term, u32 leader,
			       const u8 sig[CRYPTO_SIG])
{
	struct replica *r = ctx;
	const struct state_node *n = state_node(r->state, nid);
	u8 bytes[PROMISE_BYTES];

	promise_encode(r->state->cluster, r->state->generation, ring, term, nid, leader, bytes);
	return n && !crypto_verify(n->sign, SIGN_PROMISE, bytes, sizeof(bytes), sig);
}

static u32 env_term_promises(void *ctx, const struct entry *e, u32 ret[LIM_VOTERS])
{
	struct replica *r = ctx;
	struct body_e_term term;
	u32 n = 0;

	if (e->type != ENTRY_TERM || body_decode(&schema_e_term, e->body, e->body_len, &term, &r->arena))
		return 0;
	for (u32 i = 0; i < term.promises.n && n < LIM_VOTERS; i++) {
		struct body_promise p;

		if (!body_decode(&schema_promise, term.promises.v[i].p, term.promises.v[i].n, &p, &r->arena))
			ret[n++] = p.nid;
	}
	return n;
}

static bool env_changes_voters(void *ctx, const struct entry *e)
{
	struct replica *r = ctx;
	u32 target = state_verdict_target(e);

	if (e->type == ENTRY_VERDICT)
		return replica_is_voter(r, target);
	return e->type == ENTRY_VOTER_ADD || e->type == ENTRY_VOTER_REMOVE || e->type == ENTRY_REMOVE ||
	       e->type == ENTRY_REFORM;
}

const struct order_env replica_env = {
	.voters = env_voters, .server_rank = env_server_rank, .bodies_present = env_bodies_present,
	.read_entry = env_read_entry, .nid_dead = env_nid_dead, .verify_entry = env_verify_entry,
	.verify_promise = env_verify_promise, .term_promises = env_term_promises,
	.changes_voters = env_changes_voters, .urgent = urgent_list, .timely = env_timely,
};
