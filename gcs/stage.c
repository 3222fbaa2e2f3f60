/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries shown, not yet proven.
 *
 * Must never: let an entry out that no proof reaches; judge a proof by other voters than its own entries name.
 * Invariant: v holds the entries after `commit` up to the tail, a chain; ahead has applied all of them; sets[0] is
 * in force at `commit`, the others are made by entries in v.
 */
#include "gcs/stage.h"

#include <stdlib.h>
#include <string.h>

enum { STAGE_SETS = 32, STAGE_PROOFS = 32 };

struct staged {
	u8 *p;
	size_t n;
	struct proof_entry e;
};

struct stage {
	struct state *ahead;
	u64 commit;
	struct proof_entry last; /* of the tail */
	struct staged *v;
	size_t n, cap, bytes;
	struct order_voters sets[STAGE_SETS];
	u32 n_sets;
	struct blob proof[STAGE_PROOFS], newest;
	u32 n_proof, used; /* used: 1 + the one that stage_step() gave out; 0 none */
};

/* --- the answer ------------------------------------------------------------------------------------------ */

int proven_encode(const struct proven *a, struct wbuf *w)
{
	wbuf_u8(w, PROVEN_VERSION);
	wbuf_u64(w, a->commit);
	wbuf_u64(w, a->tail);
	wbuf_u32(w, a->n_entry);
	for (u32 i = 0; i < a->n_entry; i++)
		wbuf_blob(w, a->entry[i].p, a->entry[i].n);
	wbuf_u32(w, a->n_proof);
	for (u32 i = 0; i < a->n_proof; i++)
		wbuf_blob(w, a->proof[i].p, a->proof[i].n);
	return wbuf_ok(w) ? 0 : -DSI_ENOMEM;
}

static u32 blobs_get(struct rbuf *in, struct blob *ret, u32 max, size_t each)
{
	u32 n = rbuf_u32(in);

	if (n > max)
		in->failed = true;
	for (u32 i = 0; i < n && rbuf_ok(in); i++)
		ret[i].p = rbuf_blob(in, each, &ret[i].n);
	return rbuf_ok(in) ? n : 0;
}

int proven_decode(struct proven *ret, const u8 *p, size_t n)
{
	struct rbuf in;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rbuf_init(&in, p, n);
	if (rbuf_u8(&in) != PROVEN_VERSION)
		return n ? -DSI_EVERSION : -DSI_ETRUNC;
	ret->commit = rbuf_u64(&in);
	ret->tail = rbuf_u64(&in);
	ret->n_entry = blobs_get(&in, ret->entry, PROVEN_ENTRIES, ENTRY_MAX);
	ret->n_proof = blobs_get(&in, ret->proof, PROVEN_PROOFS, PROOF_MAX);
	rc = rbuf_end(&in);
	if (rc)
		memset(ret, 0, sizeof(*ret));
	return rc;
}

/* --- staging --------------------------------------------------------------------------------------------- */

static void entry_note(struct proof_entry *ret, const struct entry *e)
{
	ret->term = e->term;
	ret->generation = e->generation;
	memcpy(ret->hash, e->hash, sizeof(ret->hash));
}

struct stage *stage_new(const struct state *applied, const struct entry *tail)
{
	struct stage *s = calloc(1, sizeof(*s));

	assert(tail->index == applied->applied);
	if (!s)
		return NULL;
	s->ahead = state_clone(applied);
	if (!s->ahead) {
		free(s);
		return NULL;
	}
	s->commit = applied->applied;
	entry_note(&s->last, tail);
	s->sets[0] = applied->voters[0];
	s->n_sets = 1;
	return s;
}

void stage_free(struct stage *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].p);
	for (u32 i = 0; i < s->n_proof; i++)
		free((void *)s->proof[i].p);
	free((void *)s->newest.p);
	free(s->v);
	state_free(s->ahead);
	free(s);
}

u64 stage_tail(const struct stage *s)
{
	return s->commit + s->n;
}

static int stage_check(const struct stage *s, const struct entry *e, size_t n, struct err *err)
{
	if (e->index != stage_tail(s) + 1)
		return err_set(err, -DSI_ETRUNC, "entry %llu after %llu", (unsigned long long)e->index,
			       (unsigned long long)stage_tail(s));
	if (memcmp(e->prev, s->last.hash, sizeof(e->prev)))
		return err_set(err, -DSI_ECONFLICT, "it does not follow our entry %llu", (unsigned long long)stage_tail(s));
	/* A new generation needs no majority, and has its own way in (gcs/replica_reform.c). */
	if (e->type == ENTRY_REFORM)
		return err_set(err, -DSI_ECONFLICT, "a reform is not learnt as one of many entries");
	if (e->term < s->last.term)
		return err_set(err, -DSI_ESTALE, "its term goes back");
	if (s->bytes + n > LIM_STAGE || s->n_sets == STAGE_SETS)
		return err_set(err, -DSI_ELIMIT, "%zu entries wait for a proof that they are committed", s->n);
	return state_verify_entry(s->ahead, e, err);
}

static int stage_room(struct stage *s)
{
	size_t cap = s->cap ? 2 * s->cap : 256;
	struct staged *v;

	if (s->n < s->cap)
		return 0;
	v = realloc(s->v, cap * sizeof(*v));
	if (!v)
		return -DSI_ENOMEM;
	s->v = v;
	s->cap = cap;
	return 0;
}

int stage_add(struct stage *s, const u8 *p, size_t n, struct err *err)
{
	struct state_result res;
	struct entry e;
	int rc = entry_decode(&e, p, n);
	u8 *copy;

	if (rc)
		return err_set(err, rc, "malformed entry");
	if (e.index <= stage_tail(s))
		return 1;
	rc = stage_check(s, &e, n, err);
	if (rc)
		return rc;
	copy = malloc(n);
	rc = copy ? stage_room(s) : -DSI_ENOMEM;
	if (!rc)
		rc = state_apply(s->ahead, &e, &res);
	if (rc) {
		free(copy);
		return err_set(err, rc, "%s", err_text(rc));
	}
	memcpy(copy, p, n);
	s->v[s->n].p = copy;
	s->v[s->n].n = n;
	entry_note(&s->v[s->n].e, &e);
	s->last = s->v[s->n++].e;
	s->bytes += n;
	if (s->ahead->voters[0].index == e.index)
		s->sets[s->n_sets++] = s->ahead->voters[0];
	return 0;
}

static void proof_forget(struct stage *s, u32 i)
{
	free((void *)s->proof[i].p);
	memmove(&s->proof[i], &s->proof[i + 1], (s->n_proof - i - 1) * sizeof(s->proof[0]));
	s->n_proof--;
}

int stage_prove(struct stage *s, const u8 *p, size_t n, bool newest)
{
	u8 *copy;

	if (!n || n > PROOF_MAX)
		return -DSI_ELIMIT;
	copy = malloc(n);
	if (!copy)
		return -DSI_ENOMEM;
	memcpy(copy, p, n);
	if (newest) {
		free((void *)s->newest.p);
		s->newest = (struct blob){ copy, n };
		return 0;
	}
	s->used = 0;
	if (s->n_proof == STAGE_PROOFS)
		proof_forget(s, 0);
	s->proof[s->n_proof++] = (struct blob){ copy, n };
	return 0;
}

/* --- what is proven -------------------------------------------------------------------------------------- */

static bool on_entry(void *ctx, u64 index, struct proof_entry *ret)
{
	const struct stage *s = ctx;

	if (index <= s->commit || index > stage_tail(s))
		return false;
	*ret = s->v[index - s->commit - 1].e;
	return true;
}

static bool on_voter(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB], u64 *ret_dead)
{
	const struct stage *s = ctx;
	const struct state_node *n = state_node(s->ahead, nid);

	if (!n)
		return false;
	memcpy(ret_pub, n->sign, CRYPTO_PUB);
	*ret_dead = n->status == NODE_SUSPENDED || n->status == NODE_REVOKED ? n->verdict_at : 0;
	return true;
}

static u64 stage_reach(struct stage *s, const struct blob *proof)
{
	struct proof_log l = { .ctx = s, .commit = s->commit, .sets = s->sets, .n_sets = s->n_sets, .entry = on_entry,
			       .voter = on_voter };
	u64 to;

	memcpy(l.cluster, s->ahead->cluster, sizeof(l.cluster));
	return proof->n && !proof_check(&l, proof->p, proof->n, &to) ? to : s->commit;
}

bool stage_step(struct stage *s, u64 *ret_commit, struct blob *ret_proof)
{
	u64 best = stage_reach(s, &s->newest);

	s->used = 0;
	*ret_proof = s->newest;
	for (u32 i = 0; i < s->n_proof; i++) {
		u64 to = stage_reach(s, &s->proof[i]);

		if (to > s->commit && (best <= s->commit || to <= best)) {
			best = to;
			s->used = i + 1;
			*ret_proof = s->proof[i];
		}
	}
	*ret_commit = best;
	return best > s->commit;
}

const u8 *stage_read(const struct stage *s, u64 index, size_t *ret_len)
{
	if (index <= s->commit || index > stage_tail(s))
		return NULL;
	*ret_len = s->v[index - s->commit - 1].n;
	return s->v[index - s->commit - 1].p;
}

void stage_drop(struct stage *s, u64 upto)
{
	u32 first = 0;
	size_t n;

	assert(upto >= s->commit && upto <= stage_tail(s));
	n = (size_t)(upto - s->commit);
	for (size_t i = 0; i < n; i++) {
		s->bytes -= s->v[i].n;
		free(s->v[i].p);
	}
	if (n)
		memmove(s->v, s->v + n, (s->n - n) * sizeof(*s->v));
	s->n -= n;
	s->commit = upto;
	while (first + 1 < s->n_sets && s->sets[first + 1].index <= upto)
		first++;
	memmove(s->sets, s->sets + first, (s->n_sets - first) * sizeof(s->sets[0]));
	s->n_sets -= first;
	if (s->used)
		proof_forget(s, s->used - 1); /* it has said what it knew */
	s->used = 0;
}
