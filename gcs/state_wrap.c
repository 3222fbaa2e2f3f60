/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Group keys: made by a server, wrapped to every live member, carried by TERM, VERDICT and GROUPKEY. Core.
 *
 * Must never: count a key that the target of its own verdict, or anybody dead, can unwrap.
 * Invariant: keygen rises; the key of generation g was wrapped to nobody who was not live at its entry.
 */
#include <string.h>

#include "gcs/state_impl.h"

/* No server can use the numbers up, however it jumps. */
enum { KEYGEN_STEP = 1024 };
static const char wrap_label[14] = "dsi-groupkey-1";

/* Binds a wrap to its place: another cluster, generation, key number or receiver cannot be shown it. */
static size_t wrap_info(const struct state *s, u32 keygen, u32 nid, u32 role, u8 ret[64])
{
	struct wbuf w;

	wbuf_fixed(&w, ret, 64);
	wbuf_bytes(&w, wrap_label, sizeof(wrap_label));
	wbuf_bytes(&w, s->cluster, sizeof(s->cluster));
	wbuf_u32(&w, s->generation);
	wbuf_u32(&w, keygen);
	wbuf_u32(&w, nid);
	wbuf_u32(&w, role);
	return w.len;
}

/* --- making ------------------------------------------------------------------------------------------- */

static int wrap_one(const struct state *s, u32 keygen, const u8 key[CRYPTO_KEY], u32 nid, u32 role, const u8 kem[32],
		    struct arena *a, struct blob *ret)
{
	struct body_wrap b = { .nid = nid, .role = role };
	u8 *bytes = arena_alloc(a, CRYPTO_WRAP);
	u8 info[64];
	struct wbuf w;
	int rc;

	if (!bytes)
		return -DSI_ENOMEM;
	rc = crypto_wrap(kem, info, wrap_info(s, keygen, nid, role, info), key, bytes);
	if (rc)
		return rc;
	b.wrap = (struct blob){ bytes, CRYPTO_WRAP };
	wbuf_init(&w, LIM_ENTRY_BODY);
	rc = body_encode(&schema_wrap, &b, &w);
	if (!rc) {
		u8 *copy = arena_alloc(a, w.len);

		if (copy)
			memcpy(copy, w.data, w.len);
		else
			rc = -DSI_ENOMEM;
		*ret = (struct blob){ copy, w.len };
	}
	wbuf_fini(&w);
	return rc;
}

/* A key that nothing can be wrapped to (a low-order point, say) is its node's problem, not the cluster's: left out. */
static int wrap_add(const struct state *s, u32 keygen, const u8 key[CRYPTO_KEY], u32 nid, u32 role, const u8 kem[32],
		    struct arena *a, struct blobs *to)
{
	int rc = wrap_one(s, keygen, key, nid, role, kem, a, &to->v[to->n]);

	to->n += !rc;
	return rc == -DSI_ECRYPTO || rc == -DSI_ESIG ? 0 : rc;
}

int state_make_wraps(const struct state *s, u32 keygen, const u8 key[CRYPTO_KEY], u32 exclude, struct arena *a,
		     struct blobs *ret)
{
	struct blobs to = { arena_array(a, 2 * (size_t)s->n_node + 1, sizeof(struct blob)), 0 };
	int rc = 0;

	*ret = (struct blobs){ 0 };
	if (!to.v)
		return -DSI_ENOMEM;
	for (u32 i = 0; !rc && i < s->n_node; i++) {
		const struct state_node *d = &s->node[i];

		if (d->status != NODE_BOUND || d->nid == exclude)
			continue;
		rc = wrap_add(s, keygen, key, d->nid, ROLE_MANAGER, d->kem, a, &to);
		if (!rc && !d->deposed && !state_key_zero(d->server_kem))
			rc = wrap_add(s, keygen, key, d->nid, ROLE_SERVER, d->server_kem, a, &to);
	}
	if (!rc && !to.n)
		rc = -DSI_ECRYPTO;
	if (!rc)
		*ret = to;
	return rc;
}

/* --- judging ------------------------------------------------------------------------------------------ */

static int wrap_decode(const struct blob *b, struct body_wrap *ret, struct arena *a)
{
	int rc = body_decode(&schema_wrap, b->p, b->n, ret, a);

	if (!rc && (ret->wrap.n != CRYPTO_WRAP || (ret->role != ROLE_MANAGER && ret->role != ROLE_SERVER)))
		rc = -DSI_EPARSE;
	return rc;
}

static bool wrap_receiver_ok(const struct state *s, const struct body_wrap *w)
{
	const struct state_node *n = state_node(s, w->nid);

	return n && n->status == NODE_BOUND &&
	       (w->role == ROLE_MANAGER || (!n->deposed && !state_key_zero(n->server_kem)));
}

int wraps_check(const struct state *s, const struct wraps *w, u32 exclude, struct arena *a)
{
	u64 last = 0;

	if (!w->keygen || !w->list->n)
		return w->keygen || w->list->n ? -DSI_EPARSE : 0;
	if (s && w->keygen > s->keygen && w->keygen - s->keygen > KEYGEN_STEP)
		return -DSI_ELIMIT;
	for (u32 i = 0; i < w->list->n; i++) {
		struct body_wrap b;
		int rc = wrap_decode(&w->list->v[i], &b, a);
		u64 at = (u64)b.nid << 8 | b.role;

		if (rc)
			return rc;
		if (at <= last)
			return -DSI_EPARSE;
		if (b.nid == exclude || (s && !wrap_receiver_ok(s, &b)))
			return -DSI_EPERM;
		last = at;
	}
	return 0;
}

int wraps_judge(struct judged *j, const struct wraps *w, u32 exclude)
{
	int rc = wraps_check(j->s, w, exclude, &j->arena);

	j->take_key = !rc && w->keygen > j->s->keygen;
	return judge_machine_failed(rc) ? rc : 0;
}

/* --- finding ours ------------------------------------------------------------------------------------- */

/* The key an entry carries and who must not have it; all is in j, which lives on. */
static int entry_wraps(struct judged *j, const struct entry *e, struct wraps *ret, u32 *ret_exclude)
{
	int rc;

	*ret_exclude = 0;
	if (e->type != ENTRY_TERM && e->type != ENTRY_VERDICT && e->type != ENTRY_GROUPKEY)
		return -DSI_ENOENT;
	rc = judge_entry(j, e);
	if (rc)
		return rc;
	if (e->type == ENTRY_TERM)
		*ret = (struct wraps){ j->entry.term.keygen, &j->entry.term.wraps };
	else if (e->type == ENTRY_GROUPKEY)
		*ret = (struct wraps){ j->entry.groupkey.keygen, &j->entry.groupkey.wraps };
	else {
		*ret = (struct wraps){ j->entry.verdict.keygen, &j->entry.verdict.wraps };
		*ret_exclude = j->said.verdict.nid;
	}
	return 0;
}

static int find_in(const struct wraps *w, u32 nid, u32 role, struct arena *a, u8 ret[CRYPTO_WRAP])
{
	for (u32 i = 0; i < w->list->n; i++) {
		struct body_wrap b;
		int rc = wrap_decode(&w->list->v[i], &b, a);

		if (rc)
			return rc;
		if (b.nid != nid || b.role != role)
			continue;
		memcpy(ret, b.wrap.p, CRYPTO_WRAP);
		return 0;
	}
	return -DSI_ENOENT;
}

int state_find_wrap(const struct state *s, const struct entry *e, u32 nid, u32 role, u32 *ret_keygen,
		    u8 ret_wrap[CRYPTO_WRAP], u8 ret_info[64], size_t *ret_info_len)
{
	struct wraps w;
	struct judged j;
	u32 exclude;
	int rc;

	judge_init(&j, s, e->wall_ms, NULL);
	rc = entry_wraps(&j, e, &w, &exclude);
	if (!rc)
		rc = wraps_check(s, &w, exclude, &j.arena);
	if (!rc)
		rc = find_in(&w, nid, role, &j.arena, ret_wrap);
	if (!rc) {
		*ret_keygen = w.keygen;
		*ret_info_len = wrap_info(s, w.keygen, nid, role, ret_info);
	}
	judge_fini(&j);
	return rc;
}
