/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What DSI wants of Pacemaker. Core. Must never: want a node fenced whose name somebody innocent has. */
#include "dsid/pacemaker_job.h"

#include <string.h>

#include "lib/buf.h"

const char *pacemaker_state_text(enum pacemaker_state s)
{
	static const char *const text[PACEMAKER_STATES] = {
#define X(name, n, text) [n] = text,
		PACEMAKER_STATE_TABLE(X)
#undef X
	};

	return (u32)s < PACEMAKER_STATES ? text[s] : NULL;
}

/* --- bytes ----------------------------------------------------------------------------------------------------- */

static bool name_ok(const char *s)
{
	if (!*s || *s == '-')
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("._-", *s)))
			return false;
	return true;
}

void pacemaker_job_encode(const struct pacemaker_job *j, struct wbuf *w)
{
	wbuf_u8(w, PACEMAKER_FORMAT);
	wbuf_u8(w, (u8)j->kind);
	wbuf_u32(w, j->tolerance_s);
	wbuf_u32(w, j->n);
	for (u32 i = 0; i < j->n; i++) {
		wbuf_str(w, j->node[i].name);
		wbuf_u8(w, (u8)j->node[i].state);
	}
}

static bool job_fits(const struct pacemaker_job *j)
{
	switch (j->kind) {
	case PACEMAKER_FENCE:
		return j->n == 1 && j->node[0].state == PACEMAKER_NONE;
	case PACEMAKER_STATE:
		for (u32 i = 0; i < j->n; i++)
			if (!pacemaker_state_text(j->node[i].state))
				return false;
		return j->n && !j->tolerance_s;
	default:
		return false;
	}
}

int pacemaker_job_decode(struct pacemaker_job *j, const u8 *p, size_t n)
{
	struct rbuf r;
	int rc;

	memset(j, 0, sizeof(*j));
	rbuf_init(&r, p, n);
	if (rbuf_u8(&r) != PACEMAKER_FORMAT)
		return -DSI_EVERSION;
	j->kind = rbuf_u8(&r);
	j->tolerance_s = rbuf_u32(&r);
	j->n = rbuf_u32(&r);
	if (j->n > LIM_NODES)
		return -DSI_ELIMIT;
	for (u32 i = 0; i < j->n; i++) {
		if (!rbuf_str(&r, j->node[i].name, sizeof(j->node[i].name)) || !name_ok(j->node[i].name))
			return -DSI_EPARSE;
		j->node[i].state = rbuf_u8(&r);
	}
	rc = rbuf_end(&r);
	return rc ? rc : job_fits(j) ? 0 : -DSI_EINVAL;
}

void pacemaker_answer_encode(const struct pacemaker_answer *a, struct wbuf *w)
{
	wbuf_u8(w, PACEMAKER_FORMAT);
	wbuf_u32(w, (u32)-a->code);
	wbuf_u32(w, a->status);
	wbuf_str(w, a->text);
}

int pacemaker_answer_decode(struct pacemaker_answer *a, const u8 *p, size_t n)
{
	struct rbuf r;
	u32 code;

	memset(a, 0, sizeof(*a));
	rbuf_init(&r, p, n);
	if (rbuf_u8(&r) != PACEMAKER_FORMAT)
		return -DSI_EVERSION;
	code = rbuf_u32(&r);
	a->code = code < DSI_ERR_COUNT ? -(int)code : -DSI_EFAIL;
	a->status = rbuf_u32(&r);
	if (!rbuf_str(&r, a->text, sizeof(a->text)))
		return -DSI_EPARSE;
	return rbuf_end(&r);
}

/* --- the attribute --------------------------------------------------------------------------------------------- */

static enum pacemaker_state state_now(const struct state_node *n, bool suspended)
{
	switch (n->status) {
	case NODE_BOUND:
		return suspended ? PACEMAKER_SUSPECT : PACEMAKER_TRUSTED;
	case NODE_SUSPENDED:
		return PACEMAKER_SUSPECT;
	case NODE_REVOKED:
		return PACEMAKER_REVOKED;
	default:
		return PACEMAKER_NONE;
	}
}

static struct pacemaker_node *row_of(struct pacemaker_job *j, const char *name)
{
	for (u32 i = 0; i < j->n; i++)
		if (!strcmp(j->node[i].name, name))
			return &j->node[i];
	return NULL;
}

void pacemaker_want(const struct state *s, bool (*suspended)(void *ctx, u32 nid), void *ctx, struct pacemaker_job *ret)
{
	*ret = (struct pacemaker_job){ .kind = PACEMAKER_STATE };
	for (u32 i = 0; i < s->n_node; i++) { /* ascending NID: who has a name later has it rightly */
		const struct state_node *n = &s->node[i];
		enum pacemaker_state state = state_now(n, suspended(ctx, n->nid));
		struct pacemaker_node *row = row_of(ret, n->name);

		if (state == PACEMAKER_NONE || !name_ok(n->name))
			continue;
		if (!row && ret->n < LIM_NODES) {
			row = &ret->node[ret->n++];
			memcpy(row->name, n->name, sizeof(row->name));
		}
		if (row)
			row->state = state;
	}
}

void pacemaker_differs(struct pacemaker_job *of, const struct pacemaker_job *told)
{
	u32 n = 0;

	for (u32 i = 0; i < of->n; i++) {
		const struct pacemaker_node *was = row_of((struct pacemaker_job *)told, of->node[i].name);

		if (!was || was->state != of->node[i].state)
			of->node[n++] = of->node[i];
	}
	of->n = n;
}

/* --- fencing ---------------------------------------------------------------------------------------------------- */

static void drop(struct pacemaker_mark *m, u32 i)
{
	memmove(&m->fence[i], &m->fence[i + 1], (m->n - i - 1) * sizeof(m->fence[0]));
	m->n--;
}

bool pacemaker_mark_add(struct pacemaker_mark *m, const struct state *s, u32 nid, u64 index, u64 wall_ms)
{
	const struct state_node *n = state_node(s, nid);

	if (!n || n->verdict_at != index || !(n->verdict_flags & VERDICT_FENCE) || (m->n && m->fence[m->n - 1].index >= index))
		return false;
	if (m->n == PACEMAKER_FENCES)
		drop(m, 0);
	m->fence[m->n++] = (struct pacemaker_fence){ .index = index, .nid = nid, .wall_ms = wall_ms };
	return true;
}

void pacemaker_mark_done(struct pacemaker_mark *m, u64 index)
{
	for (u32 i = 0; i < m->n; i++)
		if (m->fence[i].index == index) {
			drop(m, i);
			return;
		}
}

static bool stands(const struct state *s, const struct pacemaker_fence *f)
{
	const struct state_node *n = state_node(s, f->nid);

	return n && n->verdict_at == f->index && (n->status == NODE_SUSPENDED || n->status == NODE_REVOKED) && name_ok(n->name) &&
	       (n->status == NODE_SUSPENDED || !state_node_named(s, n->name));
}

const struct pacemaker_fence *pacemaker_mark_next(struct pacemaker_mark *m, const struct state *s, u64 after)
{
	for (u32 i = m->n; i > 0; i--)
		if (!stands(s, &m->fence[i - 1]))
			drop(m, i - 1);
	for (u32 i = 0; i < m->n; i++)
		if (m->fence[i].index > after)
			return &m->fence[i];
	return m->n ? &m->fence[0] : NULL;
}

const struct pacemaker_fence *pacemaker_mark_at(const struct pacemaker_mark *m, u64 index)
{
	for (u32 i = 0; i < m->n; i++)
		if (m->fence[i].index == index)
			return &m->fence[i];
	return NULL;
}

void pacemaker_mark_encode(const struct pacemaker_mark *m, struct wbuf *w)
{
	wbuf_u8(w, PACEMAKER_FORMAT);
	wbuf_u32(w, m->n);
	for (u32 i = 0; i < m->n; i++) {
		wbuf_u64(w, m->fence[i].index);
		wbuf_u32(w, m->fence[i].nid);
		wbuf_u64(w, m->fence[i].wall_ms);
	}
}

int pacemaker_mark_decode(struct pacemaker_mark *m, const u8 *p, size_t n)
{
	struct rbuf r;

	memset(m, 0, sizeof(*m));
	rbuf_init(&r, p, n);
	if (rbuf_u8(&r) != PACEMAKER_FORMAT)
		return -DSI_EVERSION;
	m->n = rbuf_u32(&r);
	if (m->n > PACEMAKER_FENCES) {
		m->n = 0;
		return -DSI_ELIMIT;
	}
	for (u32 i = 0; i < m->n; i++) {
		m->fence[i].index = rbuf_u64(&r);
		m->fence[i].nid = rbuf_u32(&r);
		m->fence[i].wall_ms = rbuf_u64(&r);
		if (i && m->fence[i].index <= m->fence[i - 1].index)
			return -DSI_EPARSE;
	}
	return rbuf_end(&r);
}
