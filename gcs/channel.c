/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Body of the channel process. Must never look into a message, never block on its parent, never hold
 * more than its bounds. Owns the rule that the parent sees views and messages in corosync's order.
 */
#include "gcs/channel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gcs/corosync.h"
#include "lib/link.h"

/* Frames that the link did not take. corosync is paused from the first on, so they stay few: one delivery,
 * and what the quorum side says meanwhile. */
enum { WAITING_MAX = 64 };

struct waiting {
	STAILQ_ENTRY(waiting) next;
	u16 type;
	size_t n;
	u8 p[];
};

struct channel {
	struct loop *loop;
	struct link *link;
	struct gcs_backend *b;
	u32 sent; /* credit not yet given back */
	STAILQ_HEAD(, waiting) waiting;
	u32 n_waiting;
	struct wbuf w;
};

void channel_view_put(struct wbuf *w, struct gcs_member self, const struct gcs_view *v)
{
	wbuf_u32(w, self.nodeid);
	wbuf_u32(w, self.pid);
	wbuf_u32(w, v->ring.nodeid);
	wbuf_u64(w, v->ring.seq);
	wbuf_u8(w, v->quorate);
	wbuf_u32(w, v->expected);
	wbuf_u32(w, v->total);
	wbuf_u64(w, v->token_ns);
	wbuf_u64(w, v->consensus_ns);
	wbuf_u32(w, v->n);
	for (u32 i = 0; i < v->n; i++) {
		wbuf_u32(w, v->members[i].nodeid);
		wbuf_u32(w, v->members[i].pid);
	}
}

static int members_get(struct rbuf *r, struct gcs_view *v)
{
	for (u32 i = 0; i < v->n; i++) {
		struct gcs_member *m = &v->members[i];

		m->nodeid = rbuf_u32(r);
		m->pid = rbuf_u32(r);
		if (i > 0 && (m->nodeid < m[-1].nodeid || (m->nodeid == m[-1].nodeid && m->pid <= m[-1].pid)))
			return -DSI_EPARSE;
	}
	return rbuf_end(r);
}

int channel_view_get(struct rbuf *r, struct gcs_member *self, struct gcs_view *v)
{
	u8 quorate;

	memset(v, 0, sizeof(*v));
	self->nodeid = rbuf_u32(r);
	self->pid = rbuf_u32(r);
	v->ring.nodeid = rbuf_u32(r);
	v->ring.seq = rbuf_u64(r);
	quorate = rbuf_u8(r);
	v->quorate = quorate;
	v->expected = rbuf_u32(r);
	v->total = rbuf_u32(r);
	v->token_ns = rbuf_u64(r);
	v->consensus_ns = rbuf_u64(r);
	v->n = rbuf_u32(r);
	if (!rbuf_ok(r) || v->n == 0 || v->n > LIM_NODES || quorate > 1) {
		v->n = 0;
		return -DSI_EPARSE;
	}
	return members_get(r, v);
}

/* --- towards the parent -------------------------------------------------------------------------- */

static void keep(struct channel *c, u16 type, const void *p, size_t n)
{
	struct waiting *x = c->n_waiting < WAITING_MAX ? malloc(sizeof(*x) + n) : NULL;

	if (!x) {
		loop_stop(c->loop, 1); /* an order with a hole is worse than a new start */
		return;
	}
	x->type = type;
	x->n = n;
	memcpy(x->p, p, n);
	STAILQ_INSERT_TAIL(&c->waiting, x, next);
	c->n_waiting++;
	corosync_pause(c->b, true);
}

static void tell(struct channel *c, u16 type, const void *p, size_t n)
{
	int rc = c->n_waiting ? -DSI_EAGAIN : link_send(c->link, /* urgent= */ false, type, 0, p, n, -1);

	if (rc == -DSI_EAGAIN)
		keep(c, type, p, n);
	else if (rc != 0)
		loop_stop(c->loop, 1);
}

static void tell_sent(struct channel *c)
{
	if (c->sent == 0 || c->n_waiting)
		return;
	wbuf_reset(&c->w);
	wbuf_u32(&c->w, c->sent);
	if (link_send(c->link, false, CHANNEL_SENT, 0, c->w.data, c->w.len, -1) == 0)
		c->sent = 0;
}

static void on_drained(void *ctx)
{
	struct channel *c = ctx;
	struct waiting *x;

	while ((x = STAILQ_FIRST(&c->waiting))) {
		int rc = link_send(c->link, false, x->type, 0, x->p, x->n, -1);

		if (rc == -DSI_EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&c->waiting, next);
		free(x);
		c->n_waiting--;
		if (rc != 0) {
			loop_stop(c->loop, 1);
			return;
		}
	}
	tell_sent(c);
	corosync_pause(c->b, false);
}

static void on_deliver(void *ctx, struct gcs_member from, const u8 *p, size_t n)
{
	struct channel *c = ctx;

	wbuf_reset(&c->w);
	wbuf_u32(&c->w, from.nodeid);
	wbuf_u32(&c->w, from.pid);
	wbuf_bytes(&c->w, p, n);
	if (wbuf_ok(&c->w))
		tell(c, CHANNEL_DELIVER, c->w.data, c->w.len);
	else
		loop_stop(c->loop, 1);
}

static void tell_view(struct channel *c, u16 type, const struct gcs_view *v)
{
	wbuf_reset(&c->w);
	channel_view_put(&c->w, c->b->self, v);
	if (wbuf_ok(&c->w))
		tell(c, type, c->w.data, c->w.len);
	else
		loop_stop(c->loop, 1);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	tell_view(ctx, CHANNEL_VIEW, v);
}

static void on_quorum(void *ctx, const struct gcs_view *v)
{
	tell_view(ctx, CHANNEL_QUORUM, v);
}

static void on_down(void *ctx, const char *why)
{
	tell(ctx, CHANNEL_DOWN, why, strlen(why));
}

static void on_sent(void *ctx, u32 n)
{
	struct channel *c = ctx;

	c->sent += n;
	tell_sent(c);
}

/* --- from the parent ----------------------------------------------------------------------------- */

static void on_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	struct channel *c = ctx;

	(void)id;
	if (fd >= 0)
		close(fd);
	if (type == CHANNEL_AGAIN && !n && fd < 0) {
		c->b->again(c->b);
		return;
	}
	if (type != CHANNEL_SEND || n < 1 || p[0] > GCS_BULK || fd >= 0) {
		loop_stop(c->loop, 1);
		return;
	}
	/* What has no view to go to is dropped; its sender hears of the loss as DOWN or a view. */
	if (c->b->send(c->b, (enum gcs_prio)p[0], p + 1, n - 1) != 0)
		on_sent(c, 1);
}

static void on_closed(void *ctx, const char *why)
{
	struct channel *c = ctx;

	(void)why;
	loop_stop(c->loop, 0);
}

static const struct corosync_ops corosync_ops = {
	.events = { .deliver = on_deliver, .view = on_view, .quorum = on_quorum, .down = on_down },
	.sent = on_sent,
};
static const struct link_ops link_ops = {
	.frame = on_frame,
	.closed = on_closed,
	.drained = on_drained,
};

void channel_run(int link_fd)
{
	struct channel c = { 0 };
	int status = 1;

	STAILQ_INIT(&c.waiting);
	wbuf_init(&c.w, LIM_LINK_FRAME);
	c.loop = loop_new();
	if (c.loop)
		c.link = link_new(c.loop, link_fd, CHANNEL_BYTES, &link_ops, &c);
	if (c.link && corosync_new(&c.b, c.loop, COROSYNC_GROUP, &corosync_ops, &c) == 0) {
		status = loop_run(c.loop);
		c.b->free(c.b);
	}
	link_free(c.link);
	_exit(status);
}
