/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's end of the channel. Must never believe a frame it has not measured. */
#include "gcs/channel_proxy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gcs/channel.h"
#include "lib/link.h"

struct proxy {
	struct gcs_backend b;
	struct link *link;
	const struct gcs_events *events;
	void *ctx;
	bool in_view, dead;
	u32 queued; /* handed over, not yet SENT */
	struct wbuf w;
};

static struct proxy *of(struct gcs_backend *b)
{
	return container_of(b, struct proxy, b);
}

static void die(struct proxy *x, const char *why)
{
	if (x->dead)
		return;
	x->dead = true;
	x->in_view = false;
	x->events->down(x->ctx, why);
}

static bool take_view(struct proxy *x, const u8 *p, size_t n, struct gcs_view *v)
{
	struct rbuf r;

	rbuf_init(&r, p, n);
	return channel_view_get(&r, &x->b.self, v) == 0;
}

static bool on_view(struct proxy *x, const u8 *p, size_t n)
{
	struct gcs_view v;

	if (!take_view(x, p, n, &v))
		return false;
	x->in_view = true;
	x->events->view(x->ctx, &v);
	return true;
}

static bool on_quorum(struct proxy *x, const u8 *p, size_t n)
{
	struct gcs_view v;

	if (!x->in_view || !take_view(x, p, n, &v))
		return false;
	if (x->events->quorum)
		x->events->quorum(x->ctx, &v);
	return true;
}

static bool on_deliver(struct proxy *x, const u8 *p, size_t n)
{
	struct gcs_member from;
	struct rbuf r;

	rbuf_init(&r, p, n);
	from.nodeid = rbuf_u32(&r);
	from.pid = rbuf_u32(&r);
	if (!rbuf_ok(&r) || !x->in_view || rbuf_left(&r) > LIM_RING_MSG)
		return false;
	x->events->deliver(x->ctx, from, p + r.pos, rbuf_left(&r));
	return true;
}

static bool on_sent(struct proxy *x, const u8 *p, size_t n)
{
	struct rbuf r;
	u32 count;

	rbuf_init(&r, p, n);
	count = rbuf_u32(&r);
	if (rbuf_end(&r) != 0 || count > x->queued)
		return false;
	x->queued -= count;
	return true;
}

static bool on_down(struct proxy *x, const u8 *p, size_t n)
{
	char why[256];

	if (n >= sizeof(why) || memchr(p, '\0', n))
		return false;
	memcpy(why, p, n);
	why[n] = '\0';
	x->in_view = false;
	x->events->down(x->ctx, why);
	return true;
}

static bool (*const handlers[])(struct proxy *x, const u8 *p, size_t n) = {
	[CHANNEL_SENT] = on_sent,     [CHANNEL_DELIVER] = on_deliver, [CHANNEL_VIEW] = on_view,
	[CHANNEL_QUORUM] = on_quorum, [CHANNEL_DOWN] = on_down,
};

static void on_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	struct proxy *x = ctx;

	(void)id;
	if (fd >= 0)
		close(fd);
	if (x->dead)
		return;
	if (fd >= 0 || type >= ARRAY_SIZE(handlers) || !handlers[type] || !handlers[type](x, p, n))
		die(x, "the channel process broke the protocol");
}

static void on_closed(void *ctx, const char *why)
{
	(void)why;
	die(ctx, "the channel process ended");
}

static int proxy_send(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	struct proxy *x = of(b);
	int rc;

	if (n > LIM_RING_MSG)
		return -DSI_ELIMIT;
	if (x->dead || !x->in_view)
		return -DSI_ENOTCONN;
	if (x->queued >= LIM_QUEUE)
		return -DSI_EAGAIN;
	wbuf_reset(&x->w);
	wbuf_u8(&x->w, (u8)prio);
	wbuf_bytes(&x->w, p, n);
	if (!wbuf_ok(&x->w))
		return -DSI_EAGAIN;
	rc = link_send(x->link, prio == GCS_URGENT, CHANNEL_SEND, 0, x->w.data, x->w.len, -1);
	if (rc == 0)
		x->queued++;
	return rc;
}

/* Until the next VIEW nothing is sent, and nothing that comes is of a view. */
static void proxy_again(struct gcs_backend *b)
{
	struct proxy *x = of(b);

	if (!x->dead && link_send(x->link, /* urgent= */ false, CHANNEL_AGAIN, 0, NULL, 0, -1))
		die(x, "the channel process does not take its frames");
}

static void proxy_free(struct gcs_backend *b)
{
	struct proxy *x = of(b);

	link_free(x->link);
	wbuf_fini(&x->w);
	free(x);
}

static const struct link_ops link_ops = { .frame = on_frame, .closed = on_closed };

int channel_proxy_new(struct gcs_backend **ret, struct loop *l, int link_fd, const struct gcs_events *events, void *ctx)
{
	struct proxy *x = calloc(1, sizeof(*x));

	if (!x) {
		close(link_fd);
		return -DSI_ENOMEM;
	}
	x->b.send = proxy_send;
	x->b.free = proxy_free;
	x->b.again = proxy_again;
	x->events = events;
	x->ctx = ctx;
	wbuf_init(&x->w, LIM_LINK_FRAME);
	x->link = link_new(l, link_fd, CHANNEL_BYTES, &link_ops, x);
	if (!x->link) {
		wbuf_fini(&x->w);
		free(x);
		close(link_fd);
		return -DSI_ENOMEM;
	}
	*ret = &x->b;
	return 0;
}

u32 channel_proxy_queued(struct gcs_backend *b)
{
	return of(b)->queued;
}
