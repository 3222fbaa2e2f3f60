/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of the ring helper's jobs. Core. Must never accept what it would not write itself. */
#include <string.h>

#include "gcs/ring_job.h"

static bool key_ok(size_t n)
{
	return n >= LIM_RING_KEY_MIN && n <= LIM_RING_KEY;
}

static const u8 *text_blob(struct rbuf *r, size_t max, size_t *ret_len)
{
	const u8 *p = rbuf_blob(r, max, ret_len);

	if (!p)
		*ret_len = 0;
	return p;
}

/* --- job ------------------------------------------------------------------------------------------------ */

void ring_job_encode(const struct ring_job *j, struct wbuf *w)
{
	wbuf_u8(w, RING_FORMAT);
	wbuf_u8(w, (u8)j->kind);
	wbuf_u64(w, j->index);
	wbuf_blob(w, j->key, j->key_len);
	wbuf_blob(w, j->conf, j->conf_len);
	wbuf_u32(w, j->n_member);
	for (u32 i = 0; i < j->n_member; i++) {
		const struct ring_member *m = &j->member[i];

		wbuf_u32(w, m->nid);
		wbuf_u8(w, (u8)m->wish);
		wbuf_str(w, m->name);
		wbuf_u8(w, (u8)m->n_addr);
		for (u32 a = 0; a < m->n_addr; a++)
			wbuf_str(w, m->addr[a]);
	}
}

static bool member_get(struct rbuf *r, struct ring_member *m)
{
	memset(m, 0, sizeof(*m));
	m->nid = rbuf_u32(r);
	m->wish = rbuf_u8(r);
	if (!rbuf_str(r, m->name, sizeof(m->name)) || !m->name[0] || m->wish < RING_KNOWN || m->wish > RING_OFF)
		return false;
	m->n_addr = rbuf_u8(r);
	if (m->n_addr > LIM_ADDRS)
		return false;
	for (u32 i = 0; i < m->n_addr; i++)
		if (!rbuf_str(r, m->addr[i], sizeof(m->addr[i])) || !m->addr[i][0])
			return false;
	return true;
}

/* What a kind takes and what it does not. */
static bool job_fits(const struct ring_job *j)
{
	bool follow = j->kind == RING_JOB_FOLLOW, take = j->kind == RING_JOB_TAKE;

	if (j->kind < RING_JOB_READ || j->kind > RING_JOB_RELOAD || (j->key_len && !key_ok(j->key_len)))
		return false;
	if (take != (j->conf_len > 0) || (j->key_len && !follow && !take) || (take && !j->key_len))
		return false;
	return follow ? j->n_member > 0 : !j->n_member && !j->index;
}

int ring_job_decode(struct ring_job *j, struct ring_member *member, const u8 *p, size_t n)
{
	struct rbuf r;
	int rc;

	memset(j, 0, sizeof(*j));
	rbuf_init(&r, p, n);
	if (rbuf_u8(&r) != RING_FORMAT)
		return -DSI_EVERSION;
	j->kind = rbuf_u8(&r);
	j->index = rbuf_u64(&r);
	j->key = text_blob(&r, LIM_RING_KEY, &j->key_len);
	j->conf = text_blob(&r, LIM_RING_CONF, &j->conf_len);
	j->n_member = rbuf_u32(&r);
	j->member = member;
	if (j->n_member > RING_MEMBERS)
		return -DSI_ELIMIT;
	for (u32 i = 0; i < j->n_member; i++)
		if (!member_get(&r, &member[i]))
			return -DSI_EPARSE;
	rc = rbuf_end(&r);
	return rc ? rc : job_fits(j) ? 0 : -DSI_EINVAL;
}

/* --- answer --------------------------------------------------------------------------------------------- */

void ring_answer_encode(const struct ring_answer *a, struct wbuf *w)
{
	wbuf_u8(w, RING_FORMAT);
	wbuf_u32(w, (u32)-a->code);
	wbuf_str(w, a->text);
	wbuf_u8(w, (u8)a->flags);
	wbuf_u32(w, a->before);
	wbuf_u32(w, a->after);
	wbuf_blob(w, a->conf, a->conf_len);
	wbuf_blob(w, a->key, a->key_len);
	wbuf_u32(w, a->n_on);
	wbuf_bytes(w, a->on, a->n_on);
}

int ring_answer_decode(struct ring_answer *a, const u8 *p, size_t n)
{
	struct rbuf r;
	u32 code;
	int rc;

	memset(a, 0, sizeof(*a));
	rbuf_init(&r, p, n);
	if (rbuf_u8(&r) != RING_FORMAT)
		return -DSI_EVERSION;
	code = rbuf_u32(&r);
	a->code = code < DSI_ERR_COUNT ? -(int)code : -DSI_EFAIL;
	if (!rbuf_str(&r, a->text, sizeof(a->text)))
		return -DSI_EPARSE;
	a->flags = rbuf_u8(&r);
	a->before = rbuf_u32(&r);
	a->after = rbuf_u32(&r);
	a->conf = text_blob(&r, LIM_RING_CONF, &a->conf_len);
	a->key = text_blob(&r, LIM_RING_KEY, &a->key_len);
	a->n_on = rbuf_u32(&r);
	if (a->n_on > RING_MEMBERS)
		return -DSI_ELIMIT;
	rbuf_copy(&r, a->on, a->n_on);
	rc = rbuf_end(&r);
	return rc ? rc : a->flags & ~(u32)RING_CHANGED ? -DSI_EPARSE : 0;
}

/* --- DIRECT_RING ---------------------------------------------------------------------------------------- */

void ring_gift_encode(const struct ring_gift *g, struct wbuf *w)
{
	wbuf_u8(w, RING_FORMAT);
	wbuf_u64(w, g->index);
	wbuf_u64(w, g->key_index);
	wbuf_blob(w, g->conf, g->conf_len);
	wbuf_blob(w, g->key, g->key_len);
}

int ring_gift_decode(struct ring_gift *g, const u8 *p, size_t n)
{
	struct rbuf r;
	int rc;

	memset(g, 0, sizeof(*g));
	rbuf_init(&r, p, n);
	if (rbuf_u8(&r) != RING_FORMAT)
		return -DSI_EVERSION;
	g->index = rbuf_u64(&r);
	g->key_index = rbuf_u64(&r);
	g->conf = text_blob(&r, LIM_RING_CONF, &g->conf_len);
	g->key = text_blob(&r, LIM_RING_KEY, &g->key_len);
	rc = rbuf_end(&r);
	return rc ? rc : g->conf_len && key_ok(g->key_len) ? 0 : -DSI_EINVAL;
}
