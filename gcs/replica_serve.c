/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replica's side of the direct leg as asked by others: entries, blobs, roots. What it does not know
 * how to answer goes to the owner (ENROL, URGENT, RING, SUBMIT).
 *
 * Must never: give an entry that is not in our log, or a blob that is not complete on our disk.
 */
#include "gcs/replica_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_BYTES = 512 << 10 };

static u32 on_binding(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role)
{
	struct replica *r = ctx;

	for (u32 i = 0; i < r->state->n_node; i++) {
		const struct state_node *n = &r->state->node[i];
		bool server = !memcmp(n->server_sign, pub, CRYPTO_PUB);

		if (!server && memcmp(n->sign, pub, CRYPTO_PUB))
			continue;
		if (!state_nid_live(r->state, n->nid) || replica_suspended(r, n->nid))
			return 0;
		*ret_role = server ? ROLE_SERVER : ROLE_MANAGER;
		return n->nid;
	}
	return 0;
}

/* An operator reads it: enroll, backup and reform ask for the whole log. */
static void not_here(struct replica *r, struct direct_request *rq)
{
	char text[160];
	int n = snprintf(text, sizeof(text), "this member learnt by a snapshot and has no entries before %llu: ask another member",
			 (unsigned long long)log_base(r->log, NULL));

	direct_reply(rq, -DSI_ENOENT, text, (size_t)n);
}

/* u64 commit, u64 tail, then entries as blobs. */
static void serve_entries(struct replica *r, struct direct_request *rq, const u8 *p, size_t n)
{
	struct rbuf in;
	struct wbuf out;

	rbuf_init(&in, p, n);
	u64 from = rbuf_u64(&in), to = rbuf_u64(&in), tail = log_tail(r->log);

	if (rbuf_end(&in)) {
		direct_reply(rq, -DSI_EPARSE, NULL, 0);
		return;
	}
	if (log_gap(r->log, from)) {
		not_here(r, rq);
		return;
	}
	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	wbuf_u64(&out, r->state->applied);
	wbuf_u64(&out, tail);
	for (u64 i = MAX(from, 1); i <= MIN(to, tail) && out.len < ENTRIES_BYTES; i++) {
		size_t len;
		const u8 *e = log_entry(r->log, i, &len);

		if (!e)
			break;
		wbuf_blob(&out, e, len);
	}
	direct_reply(rq, wbuf_ok(&out) ? 0 : -DSI_ENOMEM, out.data, wbuf_ok(&out) ? out.len : 0);
	wbuf_fini(&out);
}

/* u64 size, then bytes from the offset asked for. */
static void serve_blob(struct replica *r, struct direct_request *rq, const u8 *p, size_t n)
{
	u8 digest[CRYPTO_HASH], *blob = NULL;
	size_t len = 0;
	struct rbuf in;
	struct wbuf out;
	int rc;

	rbuf_init(&in, p, n);
	rbuf_copy(&in, digest, sizeof(digest));
	u64 offset = rbuf_u64(&in);

	rc = rbuf_end(&in);
	if (!rc)
		rc = blob_get(r->log, digest, &blob, &len, NULL);
	if (!rc && offset > len)
		rc = -DSI_EINVAL;
	if (rc) {
		free(blob);
		direct_reply(rq, rc, NULL, 0);
		return;
	}
	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	wbuf_u64(&out, len);
	wbuf_bytes(&out, blob + offset, MIN(len - offset, (size_t)BLOB_CHUNK));
	direct_reply(rq, wbuf_ok(&out) ? 0 : -DSI_ENOMEM, out.data, wbuf_ok(&out) ? out.len : 0);
	wbuf_fini(&out);
	free(blob);
}

/* GENESIS bytes as a blob, u64 newest index. */
static void serve_roots(struct replica *r, struct direct_request *rq)
{
	struct wbuf out;
	size_t len;
	const u8 *e = log_entry(r->log, 1, &len);

	if (log_base(r->log, NULL)) { /* who enrols needs the whole log, and should know before it uses its token */
		not_here(r, rq);
		return;
	}
	wbuf_init(&out, LIM_DIRECT_FRAME - 1024);
	if (e)
		wbuf_blob(&out, e, len);
	wbuf_u64(&out, r->state->applied);
	direct_reply(rq, e && wbuf_ok(&out) ? 0 : -DSI_ENOENT, out.data, e ? out.len : 0);
	wbuf_fini(&out);
}

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	struct replica *r = ctx;

	switch (kind) {
	case DIRECT_ENTRIES:
		serve_entries(r, rq, p, n);
		break;
	case DIRECT_BLOB:
		serve_blob(r, rq, p, n);
		break;
	case DIRECT_ROOTS:
		serve_roots(r, rq);
		break;
	case DIRECT_REFORMS:
		reform_serve(r, rq, p, n);
		break;
	case DIRECT_PROVEN:
		prove_serve(r, rq, p, n);
		break;
	case DIRECT_SNAPSHOT:
		snap_serve(r, rq, p, n);
		break;
	default:
		if (r->ops->request)
			r->ops->request(r->ctx, rq, peer, kind, p, n);
		else
			direct_reply(rq, -DSI_EROLE, NULL, 0);
	}
}

static bool on_dead(void *ctx, const u8 pub[CRYPTO_PUB])
{
	struct replica *r = ctx;

	for (u32 i = 0; i < r->state->n_node; i++) {
		const struct state_node *n = &r->state->node[i];

		if (!memcmp(n->sign, pub, CRYPTO_PUB) || !memcmp(n->server_sign, pub, CRYPTO_PUB))
			return !state_nid_live(r->state, n->nid) || replica_suspended(r, n->nid);
	}
	return false;
}

const struct direct_ops replica_direct_ops = { 
	.binding = on_binding, .dead = on_dead, .request = on_request,
};
