/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Framed messages between two processes of a daemon, over a SOCK_SEQPACKET socketpair.
 *
 * Must never: block (link_call and its serving side excepted), grow past its bound, take a frame it cannot
 * read whole, or call back into a freed link: link_free() inside a callback only marks, the outermost
 * dispatch frees. Invariant: queued == sum of the sizes of queued frames <= max; a frame leaves its queue
 * only when the kernel took it whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/limits.h"
#include "lib/link.h"

enum { HEAD = 8, BURST = 64 /* frames read in one go before others get a turn */ };

struct frame {
	struct frame *next;
	int fd;
	size_t n;
	u8 data[];
};

struct queue {
	struct frame *head, **tail;
};

struct link {
	struct loop *loop;
	struct loop_fd *watch;
	struct link_ops ops;
	void *ctx;
	struct queue queues[2]; /* [0] urgent, [1] the rest */
	size_t queued, max;
	int fd, depth; /* depth: callbacks of ours on the stack */
	bool refused, dead, freed;
	u8 head[HEAD], in[LIM_LINK_FRAME - HEAD];
};

/* --- one packet ----------------------------------------------------------------------------------- */

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void head_put(u8 *h, u16 type, u32 id)
{
	struct wbuf w;

	wbuf_fixed(&w, h, HEAD);
	wbuf_u16(&w, type);
	wbuf_u16(&w, 0);
	wbuf_u32(&w, id);
}

/* 0, -DSI_EAGAIN, -DSI_ENOTCONN, -DSI_EIO. */
static int packet_send(int sock, const u8 *head, const void *p, size_t n, int fd)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)head, HEAD }, { (void *)(uintptr_t)p, n } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n ? 2 : 1 };
	union control c = { 0 };
	ssize_t r;

	if (fd >= 0) {
		struct cmsghdr *h;

		m.msg_control = c.room;
		m.msg_controllen = sizeof(c.room);
		h = CMSG_FIRSTHDR(&m);
		*h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
	}
	do {
		r = sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r >= 0)
		return 0;
	/* ENOBUFS and ETOOMANYREFS pass when the other side reads on */
	if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)
		return -DSI_EAGAIN;
	return errno == EPIPE || errno == ECONNRESET ? -DSI_ENOTCONN : -DSI_EIO;
}

/* Takes the first descriptor, closes any others. */
static int control_fd(struct msghdr *m)
{
	int fd = -1;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (fd < 0)
				fd = got;
			else
				close(got);
		}
	}
	return fd;
}

/* Length of the payload, or -DSI_EAGAIN, -DSI_ENOTCONN (end), -DSI_EPEER (short, long or odd). */
static ssize_t packet_recv(int sock, u8 head[HEAD], void *buf, size_t cap, int *ret_fd)
{
	struct iovec iov[2] = { { head, HEAD }, { buf, cap } };
	union control c;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = c.room, .msg_controllen = sizeof(c.room) };
	ssize_t r;

	*ret_fd = -1;
	do {
		r = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? -DSI_EAGAIN : -DSI_ENOTCONN;
	*ret_fd = control_fd(&m);
	if (r == 0)
		return -DSI_ENOTCONN;
	if (r < HEAD || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		if (*ret_fd >= 0)
			close(*ret_fd);
		*ret_fd = -1;
		return -DSI_EPEER;
	}
	return r - HEAD;
}

/* 0, or -DSI_EPEER for flags nobody defined. */
static int head_get(const u8 h[HEAD], u16 *type, u32 *id)
{
	struct rbuf r;
	u16 flags;

	rbuf_init(&r, h, HEAD);
	*type = rbuf_u16(&r);
	flags = rbuf_u16(&r);
	*id = rbuf_u32(&r);
	return flags ? -DSI_EPEER : 0;
}

/* --- the queue ------------------------------------------------------------------------------------ */

static void frame_free(struct frame *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static int enqueue(struct link *k, struct queue *q, const u8 *head, const void *p, size_t n, int fd)
{
	struct frame *f = malloc(sizeof(*f) + HEAD + n);

	if (!f)
		return -DSI_EAGAIN;
	f->next = NULL;
	f->n = HEAD + n;
	f->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0 && f->fd < 0) {
		free(f);
		return -DSI_EAGAIN;
	}
	memcpy(f->data, head, HEAD);
	if (n)
		memcpy(f->data + HEAD, p, n);
	*q->tail = f;
	q->tail = &f->next;
	k->queued += f->n;
	loop_fd_set(k->watch, LOOP_READ | LOOP_WRITE);
	return 0;
}

static void flush(struct link *k)
{
	for (struct queue *q = k->queues; q < k->queues + ARRAY_SIZE(k->queues); q++) {
		while (q->head) {
			struct frame *f = q->head;

			if (packet_send(k->fd, f->data, f->data + HEAD, f->n - HEAD, f->fd) == -DSI_EAGAIN)
				return;
			/* Sent, or lost with the peer: the reading side will see the end and say so. */
			q->head = f->next;
			if (!q->head)
				q->tail = &q->head;
			k->queued -= f->n;
			frame_free(f);
		}
	}
	loop_fd_set(k->watch, LOOP_READ);
}

static void queue_drop(struct link *k)
{
	for (struct queue *q = k->queues; q < k->queues + ARRAY_SIZE(k->queues); q++) {
		for (struct frame *f = q->head, *next; f; f = next) {
			next = f->next;
			frame_free(f);
		}
		*q = (struct queue){ NULL, &q->head };
	}
	k->queued = 0;
}

/* Urgent frames may use all of max, others seven eighths: bulk never shuts an alarm out. */
static size_t room_for(const struct link *k, bool urgent)
{
	return urgent ? k->max : k->max - k->max / 8;
}

int link_send(struct link *k, bool urgent, u16 type, u32 id, const void *p, size_t n, int fd)
{
	struct queue *q = &k->queues[urgent ? 0 : 1];
	u8 head[HEAD];
	int rc;

	if (n > LIM_LINK_FRAME - HEAD)
		return -DSI_ELIMIT;
	if (k->dead)
		return -DSI_ENOTCONN;
	head_put(head, type, id);
	rc = k->queues[0].head || (!urgent && k->queues[1].head) ? -DSI_EAGAIN : packet_send(k->fd, head, p, n, fd);
	if (rc != -DSI_EAGAIN)
		return rc;
	if (k->queued + HEAD + n > room_for(k, urgent) || enqueue(k, q, head, p, n, fd)) {
		k->refused = true;
		return -DSI_EAGAIN;
	}
	return 0;
}

size_t link_queued(const struct link *k)
{
	return k->queued;
}

/* --- dispatch ------------------------------------------------------------------------------------- */

static void die(struct link *k, const char *why)
{
	if (k->dead)
		return;
	k->dead = true;
	loop_fd_free(k->watch);
	k->watch = NULL;
	queue_drop(k);
	k->ops.closed(k->ctx, why);
}

static void deliver(struct link *k, size_t n, int fd)
{
	u16 type;
	u32 id;

	if (head_get(k->head, &type, &id)) {
		if (fd >= 0)
			close(fd);
		die(k, "frame with unknown flags");
		return;
	}
	k->ops.frame(k->ctx, type, id, k->in, n, fd);
}

static void read_some(struct link *k)
{
	for (int i = 0; i < BURST && !k->dead && !k->freed; i++) {
		int fd;
		ssize_t n = packet_recv(k->fd, k->head, k->in, sizeof(k->in), &fd);

		if (n == -DSI_EAGAIN)
			return;
		if (n == -DSI_EPEER)
			die(k, "frame of impossible size");
		else if (n < 0)
			die(k, "closed by the other process");
		else
			deliver(k, (size_t)n, fd);
	}
}

static void write_some(struct link *k)
{
	flush(k);
	if (k->refused && k->queued <= k->max / 2) {
		k->refused = false;
		if (k->ops.drained)
			k->ops.drained(k->ctx);
	}
}

static void link_destroy(struct link *k)
{
	loop_fd_free(k->watch);
	queue_drop(k);
	close(k->fd);
	free(k);
}

static void on_ready(void *ctx, int events)
{
	struct link *k = ctx;

	k->depth++;
	if (events & LOOP_WRITE)
		write_some(k);
	if ((events & LOOP_READ) && !k->dead && !k->freed)
		read_some(k);
	if (--k->depth == 0 && k->freed)
		link_destroy(k);
}

struct link *link_new(struct loop *l, int fd, size_t max_queued_bytes, const struct link_ops *ops, void *ctx)
{
	struct link *k = malloc(sizeof(*k));

	if (!k)
		return NULL;
	memset(k, 0, offsetof(struct link, head));
	k->loop = l;
	k->fd = fd;
	k->max = max_queued_bytes;
	k->ops = *ops;
	k->ctx = ctx;
	queue_drop(k);
	k->watch = loop_fd_new(l, fd, LOOP_READ, on_ready, k);
	if (!k->watch) {
		free(k);
		return NULL;
	}
	return k;
}

void link_free(struct link *k)
{
	if (!k || k->freed)
		return;
	k->freed = k->dead = true;
	if (k->depth == 0)
		link_destroy(k);
}

/* --- blocking ------------------------------------------------------------------------------------- */

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000u + (u64)ts.tv_nsec / 1000000u;
}

/* Waits for events until `until` (0: for ever). 0, -DSI_ETIMEDOUT, -DSI_ENOTCONN. */
static int wait_for(int fd, short events, u64 until)
{
	for (;;) {
		struct pollfd f = { .fd = fd, .events = events };
		u64 now = until ? now_ms() : 0;
		int r;

		if (until && now >= until)
			return -DSI_ETIMEDOUT;
		r = poll(&f, 1, until ? (int)MIN(until - now, 1000000u) : -1);
		if (r > 0)
			return f.revents & POLLNVAL ? -DSI_ENOTCONN : 0;
		if (r < 0 && errno != EINTR && errno != EAGAIN)
			return -DSI_ENOTCONN;
	}
}

static int send_until(int fd, u16 type, u32 id, const void *p, size_t n, u64 until)
{
	u8 head[HEAD];
	int rc;

	if (n > LIM_LINK_FRAME - HEAD)
		return -DSI_ELIMIT;
	head_put(head, type, id);
	while ((rc = packet_send(fd, head, p, n, -1)) == -DSI_EAGAIN) {
		rc = wait_for(fd, POLLOUT, until);
		if (rc)
			return rc;
	}
	return rc ? -DSI_ENOTCONN : 0;
}

static int recv_until(int fd, u16 *type, u32 *id, void *buf, size_t cap, size_t *ret_len, u64 until)
{
	u8 head[HEAD];
	ssize_t n;
	int passed, rc;

	while ((n = packet_recv(fd, head, buf, cap, &passed)) == -DSI_EAGAIN) {
		rc = wait_for(fd, POLLIN, until);
		if (rc)
			return rc;
	}
	if (passed >= 0)
		close(passed);
	if (n < 0)
		return (int)n;
	*ret_len = (size_t)n;
	return head_get(head, type, id);
}

int link_call(int fd, u16 type, const void *p, size_t n, u16 reply_type, void *ret, size_t cap, size_t *ret_len,
	      int timeout_ms)
{
	static u32 next_id;
	u32 id = __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED), got_id;
	u64 until = timeout_ms > 0 ? now_ms() + (u64)timeout_ms : 0;
	u16 got_type;
	int rc = send_until(fd, type, id, p, n, until);

	if (!rc)
		rc = recv_until(fd, &got_type, &got_id, ret, cap, ret_len, until);
	if (!rc && (got_type != reply_type || got_id != id))
		rc = -DSI_EPEER;
	return rc;
}

int link_recv(int fd, u16 *ret_type, u32 *ret_id, void *buf, size_t cap, size_t *ret_len)
{
	return recv_until(fd, ret_type, ret_id, buf, cap, ret_len, 0);
}

/* A client that asks and does not listen must not hold up the others. */
enum { REPLY_MS = 2000 };

int link_reply(int fd, u16 type, u32 id, const void *p, size_t n)
{
	return send_until(fd, type, id, p, n, now_ms() + REPLY_MS);
}
