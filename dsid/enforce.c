/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Proxy of the privileged operations. Replies come in the order of the calls; ids only prove it. */
#include "dsid/enforce.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUE_BYTES = 8 << 20 };

struct pending {
	struct pending *next;
	u32 id;
	enforce_fn *fn;
	void *ctx;
};

struct enforce {
	struct link *link;
	const struct enforce_ops *ops;
	void *ctx;
	struct pending *first, **last;
	u32 next_id;
};

static void on_reply(struct enforce *x, u32 id, const u8 *p, size_t n)
{
	struct pending *q = x->first;
	struct monop_reply r;

	if (n < sizeof(r) || !q || q->id != id) {
		x->ops->closed(x->ctx, "monitor answered out of order");
		return;
	}
	memcpy(&r, p, sizeof(r));
	r.text[sizeof(r.text) - 1] = '\0';
	x->first = q->next;
	if (!x->first)
		x->last = &x->first;
	if (q->fn)
		q->fn(q->ctx, r.code, r.text, p + sizeof(r), n - sizeof(r));
	free(q);
}

static void on_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	struct enforce *x = ctx;
	struct monop_kernel k;
	struct dsi_event ev;

	(void)fd;
	switch (type) {
	case UP_REPLY:
		on_reply(x, id, p, n);
		break;
	case UP_EVENT:
		if (n == sizeof(ev)) {
			memcpy(&ev, p, sizeof(ev));
			x->ops->event(x->ctx, &ev);
		}
		break;
	case UP_KERNEL:
		if (n == sizeof(k)) {
			memcpy(&k, p, sizeof(k));
			x->ops->kernel(x->ctx, &k);
		}
		break;
	case UP_RING:
		x->ops->ring(x->ctx, p, n);
		break;
	default:
		x->ops->closed(x->ctx, "unknown frame from the monitor");
	}
}

static void on_closed(void *ctx, const char *why)
{
	struct enforce *x = ctx;

	x->ops->closed(x->ctx, why);
}

static void on_drained(void *ctx)
{
	struct enforce *x = ctx;

	x->ops->drained(x->ctx);
}

static const struct link_ops link_ops = { .frame = on_frame, .closed = on_closed, .drained = on_drained };

struct enforce *enforce_new(struct loop *l, int fd, const struct enforce_ops *ops, void *ctx)
{
	struct enforce *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->ops = ops;
	x->ctx = ctx;
	x->last = &x->first;
	x->link = link_new(l, fd, QUEUE_BYTES, &link_ops, x);
	if (!x->link) {
		free(x);
		return NULL;
	}
	return x;
}

void enforce_free(struct enforce *x)
{
	if (!x)
		return;
	link_free(x->link);
	while (x->first) {
		struct pending *q = x->first;

		x->first = q->next;
		free(q);
	}
	free(x);
}

static bool urgent(enum monop op)
{
	return op == MONOP_LEASE; /* everything else keeps its order: a verdict must not overtake its node */
}

int enforce_call(struct enforce *x, enum monop op, const void *p, size_t n, enforce_fn *fn, void *ctx)
{
	struct pending *q = NULL;
	int rc;

	if (op != MONOP_LEASE) {
		q = calloc(1, sizeof(*q));
		if (!q)
			return -DSI_ENOMEM;
		q->id = ++x->next_id;
		q->fn = fn;
		q->ctx = ctx;
	}
	rc = link_send(x->link, urgent(op), (u16)op, q ? q->id : 0, p, n, -1);
	if (rc) {
		free(q);
		return rc;
	}
	if (q) {
		*x->last = q;
		x->last = &q->next;
	}
	return 0;
}
