/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the order core asks of its owner: struct order_env over the application, the log and fake signatures. */
static u32 env_voters(void *ctx, struct order_voters ret[2])
{
	struct proc *p = ctx;
	const struct order_voters *now = app_set(p, UINT64_MAX, 0), *old = app_set(p, UINT64_MAX, 1);

	if (!now)
		return 0;
	ret[0] = old ? *old : *now;
	if (old)
		ret[1] = *now;
	return old ? 2 : 1;
}

static u32 env_server_rank(void *ctx, u32 nid)
{
	return server_rank(ctx, nid);
}

static bool env_nid_dead(void *ctx, u32 nid)
{
	return nid_dead(ctx, nid);
}

static bool env_bodies_present(void *ctx, const struct entry *e)
{
	struct proc *p = ctx;
	struct body b;

	if (!body_read(e, &b) || !b.blob)
		return true;
	for (u32 i = p->c->n_all; i; i--) {
		struct sent *s = p->c->all[i - 1];

		if (!memcmp(s->e.hash, e->hash, CRYPTO_HASH))
			return s->holders[role_at(p->role)][p->nid / 64] >> p->nid % 64 & 1;
	}
	return false;
}

static const u8 *env_read_entry(void *ctx, u64 index, size_t *ret_len)
{
	struct proc *p = ctx;
	struct sent *s = entries_at(&p->log, index);

	if (!s)
		return NULL;
	*ret_len = s->n;
	return s->bytes;
}

static void promise_sig(const struct proc *p, const struct gcs_ring *ring, u64 term, u32 nid, u32 leader, u8 ret[CRYPTO_SIG])
{
	static const u8 cluster[16];

	memset(ret, 0x5a, CRYPTO_SIG);
	promise_encode(cluster, p->disk.generation, ring, term, nid, leader, ret);
}

static bool env_verify_promise(void *ctx, u32 nid, const struct gcs_ring *ring, u64 term, u32 leader, const u8 sig[CRYPTO_SIG])
{
	u8 want[CRYPTO_SIG];

	promise_sig(ctx, ring, term, nid, leader, want);
	return !memcmp(want, sig, CRYPTO_SIG);
}

static u32 env_term_promises(void *ctx, const struct entry *e, u32 ret[LIM_VOTERS])
{
	struct rbuf r;
	u32 n;

	(void)ctx;
	rbuf_init(&r, e->body, e->body_len);
	rbuf_u32(&r);
	rbuf_u64(&r);
	n = rbuf_u32(&r);
	for (u32 i = 0; i < n && i < LIM_VOTERS; i++) {
		ret[i] = rbuf_u32(&r);
		rbuf_bytes(&r, CRYPTO_SIG);
	}
	return rbuf_ok(&r) ? MIN(n, (u32)LIM_VOTERS) : 0;
}

static bool term_verify(struct proc *p, const struct entry *e)
{
	const struct order_voters *set = app_set(p, e->index, 0);
	struct gcs_ring ring;
	u32 votes = 0, n;
	struct rbuf r;

	rbuf_init(&r, e->body, e->body_len);
	ring.nodeid = rbuf_u32(&r);
	ring.seq = rbuf_u64(&r);
	n = rbuf_u32(&r);
	for (u32 i = 0; i < n; i++) {
		u32 nid = rbuf_u32(&r);
		const u8 *sig = rbuf_bytes(&r, CRYPTO_SIG);

		if (!sig || !env_verify_promise(p, nid, &ring, e->term, e->author_nid, sig))
			return false;
		for (u32 k = 0; set && k < set->n; k++)
			votes += set->nid[k] == nid;
	}
	return set && votes >= set->n / 2 + 1;
}

static bool env_verify_entry(void *ctx, const struct entry *e)
{
	struct proc *p = ctx;
	u8 sig[CRYPTO_SIG];

	sign(e, sig);
	if (memcmp(sig, e->sig, CRYPTO_SIG))
		return false;
	return e->type != ENTRY_TERM || term_verify(p, e);
}

static bool env_timely(void *ctx, const struct entry *e)
{
	struct proc *p = ctx;

	return state_timely(e->wall_ms, wall_ms(p), p->last_wall_ms);
}

static bool env_changes_voters(void *ctx, const struct entry *e)
{
	struct body b;

	(void)ctx;
	return body_read(e, &b) && b.set.n;
}

static void env_urgent(void *ctx, struct blobs *ret)
{
	static _Thread_local u32 nid[64];
	static _Thread_local struct blob v[64];
	struct proc *p = ctx;

	ret->v = v;
	ret->n = 0;
	for (u32 i = 1; i < 64; i++)
		for (u32 depose = 0; depose < 2; depose++) {
			u64 set = depose ? p->disk.deposed : p->disk.suspended;

			if (!(set >> i & 1) || app_has(p, depose ? APP_DEPOSED : APP_DEAD, i, p->watch.commit) || ret->n == 64)
				continue;
			nid[ret->n] = i | (depose ? URGENT_DEPOSE : 0);
			v[ret->n] = (struct blob){ (const u8 *)&nid[ret->n], sizeof(u32) };
			ret->n++;
		}
}
