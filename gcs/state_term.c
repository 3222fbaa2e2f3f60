/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a server says by itself: a term, a group key, a block of SIDs. Core.
 *
 * Invariant: terms and key numbers rise; SID blocks never overlap.
 */
#include <string.h>

#include "gcs/state_impl.h"

/* --- TERM --------------------------------------------------------------------------------------------- */

static int promise_ok(struct judged *j, const struct blob *p, u32 *last, bool *ret_voter)
{
	const struct body_e_term *t = &j->entry.term;
	const struct gcs_ring ring = { t->ring_nodeid, t->ring_seq };
	const struct state_node *n;
	struct body_promise b;
	u8 bytes[PROMISE_BYTES];
	int rc = body_decode(&schema_promise, p->p, p->n, &b, &j->arena);

	if (rc)
		return err_set(j->err, rc, "promise: %s", err_text(rc));
	if (b.nid <= *last)
		return err_set(j->err, -DSI_EPARSE, "promises are not in order");
	*last = b.nid;
	*ret_voter = voters_have(voters_now(j->s), b.nid);
	n = state_node(j->s, b.nid);
	if (!n)
		return 0; /* bound in what is not applied yet: counts for nothing here */
	promise_encode(j->s->cluster, j->s->generation, &ring, j->e->term, b.nid, j->e->author_nid, bytes);
	rc = crypto_verify(n->sign, SIGN_PROMISE, bytes, sizeof(bytes), b.sig);
	return rc ? err_set(j->err, rc, "promise of node %u: %s", b.nid, err_text(rc)) : 0;
}

int term_promises(struct judged *j)
{
	const struct blobs *p = &j->entry.term.promises;
	u32 last = 0, n = 0;

	for (u32 i = 0; i < p->n; i++) {
		bool voter = false;
		int rc = promise_ok(j, &p->v[i], &last, &voter);

		if (rc)
			return rc;
		n += voter;
	}
	if (n < state_majority(j->s))
		return err_set(j->err, -DSI_EQUORUM, "term %llu has the promises of %u of %u voters; a majority is %u",
			       (unsigned long long)j->e->term, n, voters_now(j->s)->n, state_majority(j->s));
	return 0;
}

int term_check(struct judged *j)
{
	const struct wraps w = { j->entry.term.keygen, &j->entry.term.wraps };

	if (j->e->term <= j->s->term)
		return err_set(j->err, -DSI_ESTALE, "term %llu, but term %llu was there", (unsigned long long)j->e->term,
			       (unsigned long long)j->s->term);
	return wraps_judge(j, &w, 0);
}

void term_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	s->term = j->e->term;
	s->active_nid = j->e->author_nid;
	ret->changed = CHANGED_TERM;
	if (!j->take_key)
		return;
	s->keygen = j->entry.term.keygen;
	s->keygen_index = j->e->index;
	ret->changed |= CHANGED_KEY;
}

/* --- GROUPKEY ----------------------------------------------------------------------------------------- */

int groupkey_check(struct judged *j)
{
	const struct body_e_groupkey *k = &j->entry.groupkey;
	const struct wraps w = { k->keygen, &k->wraps };
	int rc;

	if (k->keygen <= j->s->keygen)
		return err_set(j->err, -DSI_ESTALE, "group key %u, but %u was there", k->keygen, j->s->keygen);
	rc = wraps_check(j->s, &w, 0, &j->arena);
	return rc ? err_set(j->err, rc, "key wraps: %s", err_text(rc)) : 0;
}

void groupkey_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	s->keygen = j->entry.groupkey.keygen;
	s->keygen_index = j->e->index;
	ret->changed = CHANGED_KEY;
}

/* --- SIDBLOCK ----------------------------------------------------------------------------------------- */

u32 sidblock_about(const struct judged *j)
{
	return j->entry.sidblock.nid;
}

int sidblock_check(struct judged *j)
{
	const struct body_e_sidblock *b = &j->entry.sidblock;

	if (!state_nid_live(j->s, b->nid))
		return err_set(j->err, -DSI_ENOENT, "node %u is no live member", b->nid);
	if (b->first != j->s->next_sid)
		return err_set(j->err, -DSI_ECONFLICT, "block at %u, but the next is at %u", b->first, j->s->next_sid);
	if (!b->count || b->count > STATE_SID_BLOCK || b->count > UINT32_MAX - b->first)
		return err_set(j->err, -DSI_ELIMIT, "block of %u: 1 to %d", b->count, STATE_SID_BLOCK);
	return 0;
}

void sidblock_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	const struct body_e_sidblock *b = &j->entry.sidblock;
	struct state_node *n = state_node_mut(s, b->nid);

	n->sid_first = b->first;
	n->sid_count = b->count;
	s->next_sid = b->first + b->count;
	ret->changed = CHANGED_NODES;
}
