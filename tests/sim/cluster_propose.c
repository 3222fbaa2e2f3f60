/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server is asked to order, and verdicts by the direct leg. */
static bool set_after(const struct proc *p, u16 type, u32 target, struct order_voters *ret)
{
	const struct order_voters *now = app_set(p, UINT64_MAX, 0);
	bool in = false;

	ret->n = 0;
	for (u32 i = 0; now && i < now->n; i++) {
		in |= now->nid[i] == target;
		if (now->nid[i] != target)
			ret->nid[ret->n++] = now->nid[i];
	}
	if (type == ENTRY_VOTER_ADD) {
		if (in || ret->n == LIM_VOTERS || nid_dead(p, target))
			return false;
		ret->nid[ret->n++] = target;
		return true;
	}
	if (type == ENTRY_VOTER_REMOVE)
		return in;
	if (type == ENTRY_VERDICT && !in)
		ret->n = 0; /* no voter: nothing changes */
	return type == ENTRY_VERDICT;
}

int cluster_propose(struct cluster *c, u32 nid, u16 type, u32 target, bool with_body, u64 *ret)
{
	struct proc *p = cluster_proc(c, nid, ROLE_SERVER);
	struct order_voters set = { 0 };
	u8 buf[256];
	struct wbuf w;

	if (!p || !p->active)
		return -DSI_EROLE;
	if ((type == ENTRY_VOTER_ADD || type == ENTRY_VOTER_REMOVE || type == ENTRY_VERDICT) && !set_after(p, type, target, &set))
		return -DSI_EINVAL;
	if (type == ENTRY_VERDICT && app_has(p, APP_DEAD, target, UINT64_MAX))
		return -DSI_EEXIST;
	wbuf_fixed(&w, buf, sizeof(buf));
	wbuf_u8(&w, with_body);
	wbuf_u32(&w, target);
	wbuf_u32(&w, set.n);
	for (u32 i = 0; i < set.n; i++)
		wbuf_u32(&w, set.nid[i]);
	wbuf_u64(&w, c->random_body++);
	return propose(p, type, buf, w.len, ret);
}

void cluster_urgent(struct cluster *c, u32 nid, u16 type, u32 target)
{
	struct proc *p = cluster_proc(c, nid, ROLE_MANAGER);

	if (type == ENTRY_VERDICT && target < 64)
		c->dead |= 1ull << target;
	urgent_take(p, target | (type == ENTRY_DEPOSE ? URGENT_DEPOSE : 0));
	recheck(p);
}

int cluster_yield(struct cluster *c, u32 nid)
{
	struct proc *p = cluster_proc(c, nid, ROLE_SERVER);
	struct order_actions acts;
	int rc = p && !p->hung ? order_yield(p->o, sim_now(c->s), &acts) : -DSI_EROLE;

	if (!rc) {
		trace(p, "YIELD");
		run(p, &acts);
	}
	return rc;
}
