/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server's proposals, and the TERM that it makes when order asks for one. */
struct making {
	struct proc *p;
	u32 life, n;
	u64 term;
	struct gcs_ring ring;
	struct order_promise_proof proofs[LIM_VOTERS];
};

static int propose(struct proc *p, u16 type, const void *body, size_t n, u64 *ret)
{
	struct order_actions acts;
	struct entry e = { .type = type, .author_role = ROLE_SERVER, .author_nid = p->nid, .generation = p->disk.generation, .body = body,
			   .body_len = n, .wall_ms = wall_ms(p) };
	struct sent *s;
	struct body b;
	int rc = order_next(p->o, &e.term, &e.index, e.prev);

	if (rc)
		return rc;
	s = sent_new(p->c, &e);
	s->holders[1][p->nid / 64] |= 1ull << p->nid % 64;
	s->holders[0][p->nid / 64] |= 1ull << p->nid % 64;
	if (p->role == ROLE_SERVER && type != ENTRY_TERM && body_read(&s->e, &b) && b.target && type == ENTRY_VERDICT &&
	    b.target < 64)
		p->c->dead |= 1ull << b.target;
	rc = order_propose(p->o, sim_now(p->c->s), s->bytes, s->n, &acts);
	if (!rc)
		run(p, &acts);
	if (!rc && ret)
		*ret = e.index;
	return rc;
}

static bool log_has(void *ctx, u64 index, const u8 hash[CRYPTO_HASH])
{
	struct proc *p = ctx;
	struct sent *s = entries_at(&p->log, index);

	return s && !memcmp(s->e.hash, hash, CRYPTO_HASH);
}

static void make_term(void *ctx, u64 arg)
{
	struct making *m = ctx;
	struct proc *p = m->p;
	u8 buf[2048];
	struct wbuf w;
	u64 index;

	(void)arg;
	if (p->alive && p->life == m->life) {
		wbuf_fixed(&w, buf, sizeof(buf));
		wbuf_u32(&w, m->ring.nodeid);
		wbuf_u64(&w, m->ring.seq);
		wbuf_u32(&w, m->n);
		for (u32 i = 0; i < m->n; i++) {
			wbuf_u32(&w, m->proofs[i].nid);
			wbuf_bytes(&w, m->proofs[i].sig, CRYPTO_SIG);
		}
		if (!propose(p, ENTRY_TERM, buf, w.len, &index))
			order_check_term(check_of(p), &p->watch, &entries_at(&p->log, index)->e, log_has, p);
	}
	free(m);
}

static void do_make_term(struct proc *p, const struct order_action *a)
{
	struct making *m = malloc(sizeof(*m));

	assert(m);
	*m = (struct making){ .p = p, .life = p->life, .n = a->u.make_term.n, .term = a->u.make_term.term, .ring = a->u.make_term.ring };
	memcpy(m->proofs, a->u.make_term.proofs, m->n * sizeof(m->proofs[0]));
	sim_at(p->c->s, MS / 10, make_term, m, 0);
}
