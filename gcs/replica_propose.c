/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries of the active server on their way to order: made, signed and given to it one by one, TERM first.
 *
 * Must never: call order from inside the actions of an earlier call.
 */
#include "gcs/replica_impl.h"

#include <stdlib.h>
#include <string.h>

struct proposal {
	struct proposal *next;
	u16 type;
	size_t n;
	u8 body[];
};

static int entry_make(struct replica *r, const struct proposal *p, struct wbuf *w)
{
	struct entry e = { .type = p->type, .author_role = ROLE_SERVER, .author_nid = r->nid, .generation = r->state->generation,
			   .wall_ms = loop_wall_ms(), .body = p->body, .body_len = p->n };
	u8 sig[CRYPTO_SIG];
	int rc = order_next(r->order, &e.term, &e.index, e.prev);

	if (rc)
		return rc;
	memcpy(e.cluster, r->state->cluster, sizeof(e.cluster));
	wbuf_init(w, ENTRY_MAX);
	rc = entry_encode(&e, w);
	if (!rc)
		rc = keys_sign(r->cfg.keys, SIGN_ENTRY, e.hash, sizeof(e.hash), sig);
	if (!rc)
		wbuf_bytes(w, sig, sizeof(sig));
	return rc ? rc : wbuf_ok(w) ? 0 : -DSI_ELIMIT;
}

static void flush_proposals(void *ctx)
{
	struct replica *r = ctx;

	r->flushing = false;
	while (r->order && r->proposals && !r->stepping) {
		struct proposal *p = r->proposals;
		struct order_actions acts;
		struct wbuf w = { 0 };
		int rc = entry_make(r, p, &w);

		if (!rc)
			rc = order_propose(r->order, loop_now(r->cfg.loop), w.data, w.len, &acts);
		if (!rc)
			replica_run(r, &acts);
		wbuf_fini(&w);
		if (rc == -DSI_EAGAIN)
			return; /* the next tick tries again */
		r->proposals = p->next;
		free(p);
	}
}

void propose_soon(struct replica *r)
{
	if (!r->flushing && r->proposals)
		r->flushing = !loop_defer(r->cfg.loop, flush_proposals, r);
}

int replica_propose(struct replica *r, u16 type, const void *body, size_t n)
{
	struct proposal *p, **at = &r->proposals;

	if (!r->order || r->cfg.role != ROLE_SERVER)
		return -DSI_EROLE;
	if (n > LIM_ENTRY_BODY)
		return -DSI_ELIMIT;
	p = malloc(sizeof(*p) + n);
	if (!p)
		return -DSI_ENOMEM;
	p->type = type;
	p->n = n;
	memcpy(p->body, body, n);
	while (*at && type != ENTRY_TERM) /* TERM is the first of its term */
		at = &(*at)->next;
	p->next = *at;
	*at = p;
	propose_soon(r);
	return 0;
}

int replica_yield(struct replica *r, struct err *e)
{
	struct order_actions acts;
	int rc = r->order ? order_yield(r->order, loop_now(r->cfg.loop), &acts) : -DSI_EROLE;

	assert(!r->stepping);
	if (!rc)
		replica_run(r, &acts);
	switch (rc) {
	case 0:
		return 0;
	case -DSI_ENOTSAFE:
		return err_set(e, rc, "no standby server is present: nobody could take over");
	case -DSI_EAGAIN:
		return err_set(e, rc, "the view is not live here: no server leads a majority now");
	default:
		return err_set(e, rc, "this server is not active");
	}
}

bool replica_proposing(const struct replica *r)
{
	return r->proposals;
}

void propose_drop(struct replica *r)
{
	while (r->proposals) {
		struct proposal *p = r->proposals;

		r->proposals = p->next;
		free(p);
	}
}
