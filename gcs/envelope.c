/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The envelope: fixed header, body, signature. This file knows where bytes stand and nothing about who
 * may have sent them; it must never look into a body.
 */
#include <string.h>

#include "gcs/session.h"
#include "lib/buf.h"

static const u8 magic[4] = { 'D', 'S', 'I', '1' };

static void header_get(struct envelope *v, struct rbuf *r)
{
	v->version = rbuf_u8(r);
	v->channel = rbuf_u8(r);
	v->type = rbuf_u16(r);
	rbuf_copy(r, v->cluster, sizeof(v->cluster));
	v->generation = rbuf_u32(r);
	v->nid = rbuf_u32(r);
	v->role = rbuf_u8(r);
	v->flags = rbuf_u8(r);
	v->view = rbuf_u16(r);
	v->incarnation = rbuf_u64(r);
	v->ring.nodeid = rbuf_u32(r);
	v->ring.seq = rbuf_u64(r);
	v->term = rbuf_u64(r);
	v->keygen = rbuf_u32(r);
	v->opening = rbuf_u32(r);
	v->seq = rbuf_u64(r);
}

int envelope_parse(struct envelope *v, const u8 *p, size_t n)
{
	struct rbuf r;

	memset(v, 0, sizeof(*v));
	if (n < ENVELOPE_MIN)
		return -DSI_ETRUNC;
	if (n > LIM_RING_MSG)
		return -DSI_ELIMIT;
	if (memcmp(p, magic, sizeof(magic)) != 0)
		return -DSI_EPARSE;
	rbuf_init(&r, p + sizeof(magic), n - sizeof(magic));
	header_get(v, &r);
	u32 len = rbuf_u32(&r);
	if (len > LIM_BODY + CRYPTO_TAG)
		return -DSI_ELIMIT;
	if (len > n - ENVELOPE_MIN)
		return -DSI_ETRUNC;
	if (len < n - ENVELOPE_MIN)
		return -DSI_ETRAIL;
	v->body = p + ENVELOPE_HEADER;
	v->body_len = len;
	return 0;
}

int envelope_verify(const u8 *p, size_t n, const u8 pub[CRYPTO_PUB])
{
	if (n < ENVELOPE_MIN)
		return -DSI_ETRUNC;
	return crypto_verify(pub, SIGN_ENVELOPE, p, n - CRYPTO_SIG, p + n - CRYPTO_SIG);
}

void envelope_encode(const struct envelope *v, struct wbuf *w)
{
	wbuf_bytes(w, magic, sizeof(magic));
	wbuf_u8(w, v->version);
	wbuf_u8(w, v->channel);
	wbuf_u16(w, v->type);
	wbuf_bytes(w, v->cluster, sizeof(v->cluster));
	wbuf_u32(w, v->generation);
	wbuf_u32(w, v->nid);
	wbuf_u8(w, v->role);
	wbuf_u8(w, v->flags);
	wbuf_u16(w, v->view);
	wbuf_u64(w, v->incarnation);
	wbuf_u32(w, v->ring.nodeid);
	wbuf_u64(w, v->ring.seq);
	wbuf_u64(w, v->term);
	wbuf_u32(w, v->keygen);
	wbuf_u32(w, v->opening);
	wbuf_u64(w, v->seq);
	wbuf_u32(w, (u32)v->body_len);
	wbuf_bytes(w, v->body, v->body_len);
}

enum gcs_prio envelope_prio(const struct envelope *v)
{
	return (enum gcs_prio)((v->flags & ENVELOPE_PRIO_MASK) >> ENVELOPE_PRIO_SHIFT);
}
