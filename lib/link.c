/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Framed messages between two processes of one daemon. SEQPACKET keeps frames whole; the queue is bounded
 * in bytes; what comes in is judged like a stranger's. Must never block (the blocking calls at the end are
 * for descriptors that no loop watches).
 */
#include "lib/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/limits.h"

struct head {
	u16 type, flags;
	u32 id;
};
_Static_assert(sizeof(struct head) == 8, "frame head is a format");

struct frame {
	struct frame *next;
	int fd;
	size_t n;
	u8 bytes[];
};

struct queue {
	struct frame *first, **last;
};

struct link {
	struct loop *loop;
	struct loop_fd *watch;
	const struct link_ops *ops;
	void *ctx;
	int fd;
	size_t max, queued;
	bool refused; /* somebody heard -DSI_EAGAIN: tell when there is room */
	bool dead;
	struct queue q[2]; /* 0 urgent, 1 the rest */
	u8 *in;
};

static void drop(struct link *k, const char *why)
{
	if (k->dead)
		return;
	k->dead = true;
	loop_fd_set(k->watch, 0);
	k->ops->closed(k->ctx, why);
}

static void queue_push(struct queue *q, struct frame *f)
{
	*q->last = f;
	q->last = &f->next;
}

static struct frame *queue_pop(struct queue *q)
{
	struct frame *f = q->first;

	q->first = f->next;
	if (!q->first)
		q->last = &q->first;
	return f;
}

static void frame_free(struct frame *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static ssize_t send_one(int fd, const void *p, size_t n, int pass)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (void *)p, .iov_len = n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (pass >= 0) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void flush(struct link *k)
{
	for (int i = 0; i < 2 && !k->dead; i++)
		while (k->q[i].first) {
			struct frame *f = k->q[i].first;

			if (send_one(k->fd, f->bytes, f->n, f->fd) < 0) {
				if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EINTR)
					goto out;
				drop(k, strerror(errno));
				return;
			}
			k->queued -= f->n;
			frame_free(queue_pop(&k->q[i]));
		}
out:
	loop_fd_set(k->watch, LOOP_READ | (k->queued ? LOOP_WRITE : 0));
	if (k->refused && k->queued <= k->max / 2) {
		k->refused = false;
		if (k->ops->drained)
			k->ops->drained(k->ctx);
	}
}

static ssize_t recv_one(int fd, void *p, size_t cap, int *ret_fd, bool *ret_long, int flags)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = p, .iov_len = cap };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | flags);

	*ret_fd = -1;
	if (n < 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	*ret_long = m.msg_flags & MSG_TRUNC;
	return n;
}

enum { FRAMES_PER_TURN = 64 };

static void on_readable(struct link *k)
{
	for (int i = 0; i < FRAMES_PER_TURN && !k->dead; i++) {
		struct head h;
		bool too_long;
		int fd;
		ssize_t n = recv_one(k->fd, k->in, LIM_LINK_FRAME, &fd, &too_long, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0) {
			drop(k, n ? strerror(errno) : "closed by the other end");
			return;
		}
		if (too_long || (size_t)n < sizeof(h)) {
			if (fd >= 0)
				close(fd);
			drop(k, "malformed frame");
			return;
		}
		memcpy(&h, k->in, sizeof(h));
		k->ops->frame(k->ctx, h.type, h.id, k->in + sizeof(h), (size_t)n - sizeof(h), fd);
	}
}

static void on_event(void *ctx, int events)
{
	struct link *k = ctx;

	if (events & LOOP_READ)
		on_readable(k);
	if (!k->dead && (events & LOOP_WRITE))
		flush(k);
}

struct link *link_new(struct loop *l, int fd, size_t max_queued_bytes, const struct link_ops *ops, void *ctx)
{
	struct link *k = calloc(1, sizeof(*k));
	int room = 2 << 20;

	if (!k)
		return NULL;
	k->loop = l;
	k->fd = fd;
	k->max = max_queued_bytes;
	k->ops = ops;
	k->ctx = ctx;
	k->q[0].last = &k->q[0].first;
	k->q[1].last = &k->q[1].first;
	k->in = malloc(LIM_LINK_FRAME);
	k->watch = k->in ? loop_fd_new(l, fd, LOOP_READ, on_event, k) : NULL;
	if (!k->watch) {
		free(k->in);
		free(k);
		return NULL;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return k;
}

void link_free(struct link *k)
{
	if (!k)
		return;
	for (int i = 0; i < 2; i++)
		while (k->q[i].first)
			frame_free(queue_pop(&k->q[i]));
	loop_fd_free(k->watch);
	close(k->fd);
	free(k->in);
	free(k);
}

int link_send(struct link *k, bool urgent, u16 type, u32 id, const void *p, size_t n, int fd)
{
	struct head h = { .type = type, .id = id };
	struct frame *f;

	if (k->dead)
		return -DSI_ENOTCONN;
	if (n > LIM_LINK_FRAME - sizeof(h))
		return -DSI_ELIMIT;
	if (!urgent && k->queued + n > k->max) {
		k->refused = true;
		return -DSI_EAGAIN;
	}
	f = malloc(sizeof(*f) + sizeof(h) + n);
	if (!f)
		return -DSI_ENOMEM;
	f->next = NULL;
	f->fd = fd < 0 ? -1 : dup(fd);
	f->n = sizeof(h) + n;
	memcpy(f->bytes, &h, sizeof(h));
	if (n)
		memcpy(f->bytes + sizeof(h), p, n);
	queue_push(&k->q[urgent ? 0 : 1], f);
	k->queued += f->n;
	loop_fd_set(k->watch, LOOP_READ | LOOP_WRITE);
	return 0;
}

size_t link_queued(const struct link *k)
{
	return k->queued;
}

/* --- blocking ------------------------------------------------------------------------------------------- */

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int rc;

	do
		rc = poll(&p, 1, timeout_ms);
	while (rc < 0 && errno == EINTR);
	return rc > 0 ? 0 : rc ? -DSI_EIO : -DSI_ETIMEDOUT;
}

static int send_frame(int fd, u16 type, u32 id, const void *p, size_t n)
{
	struct head h = { .type = type, .id = id };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)p, n } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t rc;

	if (n > LIM_LINK_FRAME - sizeof(h))
		return -DSI_ELIMIT;
	do
		rc = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (rc < 0 && (errno == EINTR || (errno == EAGAIN && !wait_for(fd, POLLOUT, -1))));
	return rc < 0 ? -DSI_ENOTCONN : 0;
}

static int recv_frame(int fd, struct head *h, void *ret, size_t cap, size_t *ret_len)
{
	struct iovec iov[2] = { { h, sizeof(*h) }, { ret, cap } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = recvmsg(fd, &m, 0);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && !wait_for(fd, POLLIN, -1))));
	if (n <= 0)
		return -DSI_ENOTCONN;
	if ((size_t)n < sizeof(*h) || (m.msg_flags & MSG_TRUNC))
		return -DSI_EPEER;
	*ret_len = (size_t)n - sizeof(*h);
	return 0;
}

int link_call(int fd, u16 type, const void *p, size_t n, u16 reply_type, void *ret, size_t cap, size_t *ret_len,
	      int timeout_ms)
{
	static _Thread_local u32 next_id;
	u32 id = ++next_id;
	struct head h;
	int rc = send_frame(fd, type, id, p, n);

	if (!rc)
		rc = wait_for(fd, POLLIN, timeout_ms);
	if (!rc)
		rc = recv_frame(fd, &h, ret, cap, ret_len);
	if (!rc && (h.type != reply_type || h.id != id))
		rc = -DSI_EPEER;
	return rc;
}

int link_recv(int fd, u16 *ret_type, u32 *ret_id, void *buf, size_t cap, size_t *ret_len)
{
	struct head h;
	int rc = recv_frame(fd, &h, buf, cap, ret_len);

	if (rc)
		return rc;
	*ret_type = h.type;
	*ret_id = h.id;
	return 0;
}

int link_reply(int fd, u16 type, u32 id, const void *p, size_t n)
{
	return send_frame(fd, type, id, p, n);
}
