/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshot of the replicated state: canonical bytes, and back. Core.
 *
 * One table of fields per record drives both directions, so they cannot drift. Loading is strict: bounds as they
 * are read, then the invariants of the other state files, then the proof that what was read saves to the same
 * bytes, in the format it had. Not in it: incarnations (not agreed on).
 *
 * To append: raise STATE_FORMAT, put the new lists behind the last one in save_as() and load_all(), both under
 * `if (format >= that number)`, and leave every line before alone; keep a state of the format before in
 * tests/golden/state/. What an older format lacks is as state_new() makes it.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/state_impl.h"

static const u8 save_magic[4] = { 'D', 'S', 'I', 'Z' };
enum { SAVE_LIMIT = LIM_STATE };

/* F(kind, member); kinds: u32 u64 str bytes flag, and addrs of a node */
#define NODE_FIELDS(F)                                                                                 \
	F(u32, nid) F(str, name) F(bytes, sign) F(bytes, kem) F(bytes, server_sign) F(bytes, server_kem) \
	F(str, direct) F(u32, n_addr) F(addrs, addr) F(u32, roles) F(u32, granted) F(bytes, token)     \
	F(u32, status) F(flag, deposed) F(flag, readmitted) F(u32, sid_first) F(u32, sid_count)        \
	F(u64, enrolled_at) F(u64, verdict_at) F(u64, suspended_until_ms) F(str, reason) F(u32, verdict_flags)
#define POLICY_FIELDS(F)                                                                               \
	F(u64, version) F(u64, index) F(bytes, digest) F(u64, size) F(str, name) F(str, comment)       \
	F(str, author) F(u64, wall_ms) F(u32, confirm_s) F(bytes, back_digest) F(u64, confirm_by_ms)
#define TOKEN_FIELDS(F)                                                                                \
	F(bytes, id) F(bytes, pub) F(str, name) F(u32, roles) F(u64, expires_ms) F(flag, used)
#define OPERATOR_FIELDS(F) F(str, name) F(bytes, pub) F(u32, roles)
#define REQUEST_FIELDS(F) F(bytes, id) F(u64, expires_ms)
#define STATE_HEAD(F)                                                                                  \
	F(u64, applied) F(u64, term) F(bytes, cluster) F(u32, generation) F(str, name) F(bytes, root)  \
	F(u32, next_nid) F(u32, next_sid) F(u32, active_nid) F(u32, keygen) F(u64, keygen_index)       \
	F(u64, last_verdict)

#define RECORDS(R)                                                                                     \
	R(node, struct state_node, NODE_FIELDS) R(policy, struct state_policy, POLICY_FIELDS)          \
	R(token, struct state_token, TOKEN_FIELDS) R(operator, struct state_operator, OPERATOR_FIELDS) \
	R(request, struct state_request, REQUEST_FIELDS) R(head, struct state, STATE_HEAD)

/* --- save --------------------------------------------------------------------------------------------- */

static void save_addrs(const struct state_node *n, struct wbuf *w)
{
	for (u32 i = 0; i < n->n_addr; i++) {
		wbuf_u8(w, n->addr[i].len);
		wbuf_bytes(w, n->addr[i].bytes, n->addr[i].len);
	}
}

#define SAVE_u32(m) wbuf_u32(w, (u32)x->m);
#define SAVE_u64(m) wbuf_u64(w, x->m);
#define SAVE_str(m) wbuf_str(w, x->m);
#define SAVE_bytes(m) wbuf_bytes(w, x->m, sizeof(x->m));
#define SAVE_flag(m) wbuf_u8(w, x->m);
#define SAVE_addrs(m) save_addrs(x, w);
#define SAVE_FIELD(kind, member) SAVE_##kind(member)
#define SAVE_RECORD(tag, type, FIELDS)                                                                 \
	static void save_##tag(const type *x, struct wbuf *w)                                          \
	{                                                                                              \
		FIELDS(SAVE_FIELD)                                                                     \
	}
RECORDS(SAVE_RECORD)

#define SAVE_LIST(tag, v, n)                                                                           \
	do {                                                                                           \
		wbuf_u32(w, n);                                                                        \
		for (u32 i_ = 0; i_ < (n); i_++)                                                       \
			save_##tag(&(v)[i_], w);                                                       \
	} while (0)

static void save_nids(const u32 *nid, u32 n, struct wbuf *w)
{
	wbuf_u32(w, n);
	for (u32 i = 0; i < n; i++)
		wbuf_u32(w, nid[i]);
}

static int save_as(const struct state *s, u8 format, struct wbuf *w)
{
	wbuf_bytes(w, save_magic, sizeof(save_magic));
	wbuf_u8(w, format);
	save_head(s, w);
	SAVE_LIST(operator, s->op, s->n_op);
	SAVE_LIST(node, s->node, s->n_node);
	wbuf_u64(w, s->voters[0].index);
	save_nids(s->voters[0].nid, s->voters[0].n, w);
	save_nids(s->server_order, s->n_server, w);
	SAVE_LIST(policy, s->history, s->n_history);
	SAVE_LIST(token, s->token, s->n_token);
	SAVE_LIST(request, s->request, s->n_request);
	return wbuf_ok(w) ? 0 : -DSI_ENOMEM;
}

int state_save(const struct state *s, struct wbuf *w)
{
	return save_as(s, STATE_FORMAT, w);
}

int state_digest(const struct state *s, u8 ret[CRYPTO_HASH])
{
	struct wbuf w;
	int rc;

	wbuf_init(&w, SAVE_LIMIT);
	rc = state_save(s, &w);
	if (!rc)
		rc = crypto_sha256(w.data, w.len, ret);
	wbuf_fini(&w);
	return rc;
}

/* --- load --------------------------------------------------------------------------------------------- */

static void load_addrs(struct state_node *n, struct rbuf *r)
{
	for (u32 i = 0; i < n->n_addr && i < LIM_ADDRS; i++) {
		n->addr[i].len = rbuf_u8(r);
		if (n->addr[i].len != 4 && n->addr[i].len != 16)
			r->failed = true;
		else
			rbuf_copy(r, n->addr[i].bytes, n->addr[i].len);
	}
	if (n->n_addr > LIM_ADDRS)
		r->failed = true;
}

#define LOAD_u32(m) x->m = rbuf_u32(r);
#define LOAD_u64(m) x->m = rbuf_u64(r);
#define LOAD_str(m) rbuf_str(r, x->m, sizeof(x->m));
#define LOAD_bytes(m) rbuf_copy(r, x->m, sizeof(x->m));
#define LOAD_flag(m) x->m = rbuf_u8(r) == 1;
#define LOAD_addrs(m) load_addrs(x, r);
#define LOAD_FIELD(kind, member) LOAD_##kind(member)
#define LOAD_RECORD(tag, type, FIELDS)                                                                 \
	static void load_##tag(type *x, struct rbuf *r)                                                \
	{                                                                                              \
		FIELDS(LOAD_FIELD)                                                                     \
	}
RECORDS(LOAD_RECORD)

static u32 load_count(struct rbuf *r, u32 max)
{
	u32 n = rbuf_u32(r);

	if (n > max)
		r->failed = true;
	return r->failed ? 0 : n;
}

#define LOAD_LIST(tag, v, n, max)                                                                      \
	do {                                                                                           \
		n = load_count(r, max);                                                                \
		for (u32 i_ = 0; i_ < (n) && rbuf_ok(r); i_++)                                         \
			load_##tag(&(v)[i_], r);                                                       \
	} while (0)

static u32 load_nids(u32 *nid, u32 max, struct rbuf *r)
{
	u32 n = load_count(r, max);

	for (u32 i = 0; i < n; i++)
		nid[i] = rbuf_u32(r);
	return n;
}

static int load_all(struct state *s, struct rbuf *r, u8 *ret_format)
{
	const u8 *magic = rbuf_bytes(r, sizeof(save_magic));
	u8 format = rbuf_u8(r);

	*ret_format = format;
	if (!magic || memcmp(magic, save_magic, sizeof(save_magic)))
		return magic ? -DSI_EPARSE : -DSI_ETRUNC;
	if (!format || format > STATE_FORMAT)
		return rbuf_ok(r) ? -DSI_EVERSION : -DSI_ETRUNC;
	load_head(s, r);
	LOAD_LIST(operator, s->op, s->n_op, LIM_OPERATORS);
	LOAD_LIST(node, s->node, s->n_node, LIM_NIDS);
	s->voters[0].index = rbuf_u64(r);
	s->voters[0].n = load_nids(s->voters[0].nid, LIM_VOTERS, r);
	s->n_server = load_nids(s->server_order, LIM_SERVERS, r);
	LOAD_LIST(policy, s->history, s->n_history, STATE_HISTORY);
	LOAD_LIST(token, s->token, s->n_token, LIM_TOKENS);
	LOAD_LIST(request, s->request, s->n_request, STATE_REQUESTS);
	return rbuf_end(r);
}

static bool nodes_valid(const struct state *s)
{
	u32 last = 0;

	for (u32 i = 0; i < s->n_node; i++) {
		const struct state_node *n = &s->node[i];

		if (n->nid <= last || n->nid >= s->next_nid || n->status < NODE_BOUND || n->status > NODE_REMOVED ||
		    !statement_name_ok(n->name) || state_key_zero(n->sign))
			return false;
		last = n->nid;
	}
	return s->next_nid <= LIM_NIDS;
}

static bool voters_valid(const struct state *s)
{
	const struct order_voters *v = &s->voters[0];
	u32 with_role = 0;

	for (u32 i = 0; i < s->n_node; i++)
		with_role += !!(s->node[i].roles & NODE_VOTER);
	for (u32 i = 0; i < v->n; i++) {
		const struct state_node *n = state_node(s, v->nid[i]);

		if ((i && v->nid[i] <= v->nid[i - 1]) || !n || n->status != NODE_BOUND || !(n->roles & NODE_VOTER))
			return false;
	}
	return with_role == v->n && (v->n > 0) == (s->n_node > 0);
}

static bool servers_valid(const struct state *s)
{
	for (u32 i = 0; i < s->n_server; i++) {
		const struct state_node *n = state_node(s, s->server_order[i]);

		if (!n || n->status != NODE_BOUND || n->deposed)
			return false;
		for (u32 k = 0; k < i; k++)
			if (s->server_order[k] == s->server_order[i])
				return false;
	}
	return true;
}

static bool history_valid(const struct state *s)
{
	for (u32 i = 0; i < s->n_history; i++)
		if (!s->history[i].version || (i && s->history[i].version + 1 != s->history[i - 1].version))
			return false;
	return true;
}

/* What was read must save to what was read: no second spelling of one state. */
static int load_canonical(const struct state *s, u8 format, const u8 *p, size_t n)
{
	struct wbuf w;
	int rc;

	wbuf_init(&w, SAVE_LIMIT);
	rc = save_as(s, format, &w);
	if (!rc && (w.len != n || memcmp(w.data, p, n)))
		rc = -DSI_EPARSE;
	wbuf_fini(&w);
	return rc;
}

int state_load(struct state *s, const u8 *p, size_t n)
{
	struct state *t = state_new();
	struct state old = *s;
	struct rbuf r;
	u8 format;
	int rc;

	if (!t)
		return -DSI_ENOMEM;
	rbuf_init(&r, p, n);
	rc = load_all(t, &r, &format);
	if (!rc && !(nodes_valid(t) && voters_valid(t) && servers_valid(t) && history_valid(t)))
		rc = -DSI_EPARSE;
	if (!rc)
		rc = load_canonical(t, format, p, n);
	if (!rc) {
		t->n_voters = t->voters[0].n ? 1 : 0;
		if (t->n_history)
			t->policy = t->history[0];
		*s = *t;
		*t = old;
	}
	state_free(t);
	return rc;
}
