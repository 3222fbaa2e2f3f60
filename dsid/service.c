/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service socket. A connection is only ever marked dead where something happens to it; reap() ends it, afterwards. */
#include "dsid/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum { CONNS = 256, CONNS_OF_ROOT = 32 /* beyond those */, CONNS_PER_USER = 64, QUEUED = LIM_SVC_CALLS + 64, ACCEPTS = 16, READS = 16 };

struct out {
	struct out *next;
	size_t len;
	u8 data[];
};
struct conn {
	struct conn *next;
	struct service *service;
	reg_conn id;
	int fd, pidfd;
	struct loop_fd *watch, *life;
	struct ucred peer;
	struct svc_task task;
	bool exact; /* pidfd is of who connected for certain: SO_PEERPIDFD */
	bool provider, dead;
	struct out *out, **out_end;
	u32 queued;
};
struct service {
	struct loop *loop;
	int listener;
	struct loop_fd *watch;
	struct loop_timer *timer;
	const struct service_ops *ops;
	void *ctx;
	struct registry *registry;
	struct reg_actions acts;
	struct conn *conns;
	u32 n_conns;
	reg_conn last;
	u8 in[LIM_SVC_FRAME + 1], packet[LIM_SVC_FRAME];
};

static u64 now_ms(const struct service *s)
{
	return loop_now(s->loop) / 1000000;
}

/* --- out --------------------------------------------------------------------------------------------------- */

static void flush(struct conn *c)
{
	while (c->out) {
		struct out *o = c->out;

		if (send(c->fd, o->data, o->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != ENOBUFS)
				c->dead = true;
			break;
		}
		c->out = o->next;
		c->queued--;
		free(o);
	}
	if (!c->out)
		c->out_end = &c->out;
	loop_fd_set(c->watch, c->out && !c->dead ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void say(struct conn *c, const struct svc_frame *f)
{
	struct service *s = c->service;
	struct out *o;
	size_t n;
	int rc = svc_encode(f, s->packet, sizeof(s->packet), &n);

	if (rc || c->dead || c->queued >= QUEUED || !(o = malloc(sizeof(*o) + n))) {
		c->dead = true; /* it would wait for this frame for ever */
		return;
	}
	o->next = NULL;
	o->len = n;
	memcpy(o->data, s->packet, n);
	*c->out_end = o;
	c->out_end = &o->next;
	c->queued++;
	flush(c);
}

static void answer(struct conn *c, u16 type, u32 id, int rc)
{
	say(c, &(struct svc_frame){ .type = type, .id = id, .code = (u32)-rc });
}

static struct conn *by_id(struct service *s, reg_conn id)
{
	for (struct conn *c = s->conns; c; c = c->next)
		if (c->id == id)
			return c;
	return NULL;
}

static void carry_out(struct service *s)
{
	for (u32 i = 0; i < s->acts.n; i++) {
		const struct reg_action *a = &s->acts.a[i];
		struct conn *c = by_id(s, a->to);

		if (c && a->drop)
			c->dead = true;
		else if (c)
			say(c, &a->frame);
	}
	s->acts.n = 0;
}

/* --- the end of a connection ------------------------------------------------------------------------------- */

static void conn_free(struct conn *c)
{
	loop_fd_free(c->watch);
	loop_fd_free(c->life);
	while (c->out) {
		struct out *o = c->out;

		c->out = o->next;
		free(o);
	}
	if (c->pidfd >= 0)
		close(c->pidfd);
	close(c->fd);
	free(c);
}

/* An end may hand requests to others, who may end by that: until nobody is left to end. Then the clock is set. */
static void reap(struct service *s)
{
	u64 next, now = now_ms(s);

	for (struct conn **p = &s->conns; *p;) {
		struct conn *c = *p;

		if (!c->dead) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		s->n_conns--;
		registry_gone(s->registry, c->id, now, &s->acts);
		conn_free(c);
		carry_out(s);
		p = &s->conns;
	}
	next = registry_next(s->registry);
	loop_timer_set(s->timer, next == UINT64_MAX ? 0 : next > now ? (next - now) * 1000000 : 1);
}

static void on_time(void *ctx)
{
	struct service *s = ctx;

	registry_tick(s->registry, now_ms(s), &s->acts);
	carry_out(s);
	reap(s);
}

static void on_death(void *ctx, int events)
{
	struct conn *c = ctx;

	c->dead = true;
	reap(c->service);
}

/* --- in ---------------------------------------------------------------------------------------------------- */

static void do_announce(struct conn *c, const struct svc_frame *f)
{
	struct service *s = c->service;
	struct reg_owner who = { c->task.sid, c->task.uid };
	int rc = s->ops->may_announce(s->ctx, &c->task, f->name);

	if (!rc)
		rc = registry_announce(s->registry, c->id, f, &who, c->task.pid, now_ms(s), &s->acts);
	if (rc) {
		answer(c, SVC_ANNOUNCED, f->id, rc);
		return;
	}
	c->provider = true;
	carry_out(s);
}

static void do_frame(struct conn *c, const struct svc_frame *f)
{
	struct service *s = c->service;
	struct svc_frame found = { .type = SVC_FOUND };
	int rc;

	/* Asked anew each time: a process may enter another context by exec with the connection open. */
	c->task.nid = s->ops->nid(s->ctx);
	c->task.sid = c->exact ? s->ops->sid(s->ctx, &c->task) : 0;
	switch (f->type) {
	case SVC_WHOAMI:
		say(c, &(struct svc_frame){ .type = SVC_ME, .id = f->id, .task = c->task });
		break;
	case SVC_ANNOUNCE:
		do_announce(c, f);
		break;
	case SVC_LOOKUP:
		rc = registry_look(s->registry, f->name, &found);
		found.id = f->id;
		found.code = (u32)-rc;
		say(c, &found);
		break;
	case SVC_CALL:
		rc = registry_call(s->registry, c->id, f, &c->task, now_ms(s), &s->acts);
		if (rc)
			answer(c, SVC_RESULT, f->id, rc);
		else
			carry_out(s);
		break;
	case SVC_ANSWER: /* a refusal is no fault of the provider's: its request may have timed out */
		if (!registry_answer(s->registry, c->id, f, &s->acts))
			carry_out(s);
		break;
	}
}

static void close_rights(const struct cmsghdr *h)
{
	for (size_t at = 0; at + sizeof(int) <= h->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
		int fd;

		memcpy(&fd, CMSG_DATA(h) + at, sizeof(fd));
		close(fd);
	}
}

/* One packet of the very process that connected, alone; else -1, and the connection is at its end. */
static ssize_t packet(struct conn *c)
{
	struct service *s = c->service;
	struct iovec iov = { s->in, sizeof(s->in) };
	union {
		char b[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	bool same = false, rights = false;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		struct ucred u;

		if (h->cmsg_level != SOL_SOCKET)
			continue;
		if (h->cmsg_type == SCM_RIGHTS) {
			close_rights(h);
			rights = true;
		} else if (h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(u))) {
			memcpy(&u, CMSG_DATA(h), sizeof(u));
			same = u.pid == c->peer.pid && u.uid == c->peer.uid;
		}
	}
	return n && same && !rights && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? n : -1;
}

static void on_conn(void *ctx, int events)
{
	struct conn *c = ctx;
	struct service *s = c->service;

	if (events & LOOP_WRITE)
		flush(c);
	for (int i = 0; i < READS && !c->dead; i++) { /* others have their turn too */
		struct svc_frame f;
		ssize_t n = packet(c);

		if (!n)
			break;
		if (n < 0 || svc_decode(&f, SVC_CLIENT | (c->provider ? SVC_PROVIDER : 0), s->in, (size_t)n))
			c->dead = true;
		else
			do_frame(c, &f);
	}
	reap(s);
}

static bool room(const struct service *s, uid_t uid)
{
	u32 same = 0;

	if (!uid)
		return s->n_conns < CONNS + CONNS_OF_ROOT;
	for (const struct conn *c = s->conns; c; c = c->next)
		same += c->peer.uid == uid;
	return s->n_conns < CONNS && same < CONNS_PER_USER;
}

static void admit(struct service *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	socklen_t n = sizeof(c->peer), n_fd = sizeof(int);

	if (!c) {
		close(fd);
		return;
	}
	c->service = s;
	c->fd = fd;
	c->pidfd = -1;
	c->out_end = &c->out;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &n) || c->peer.pid <= 0 || !room(s, c->peer.uid))
		goto refuse;
	c->exact = !getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &c->pidfd, &n_fd);
	if (!c->exact)
		c->pidfd = (int)syscall(SYS_pidfd_open, c->peer.pid, 0);
	if (c->pidfd < 0)
		goto refuse;
	c->task = (struct svc_task){ .pid = (u32)c->peer.pid, .uid = c->peer.uid };
	c->watch = loop_fd_new(s->loop, fd, LOOP_READ, on_conn, c);
	c->life = loop_fd_new(s->loop, c->pidfd, LOOP_READ, on_death, c);
	if (!c->watch || !c->life)
		goto refuse;
	c->id = ++s->last;
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	return;
refuse:
	conn_free(c);
}

static void on_listener(void *ctx, int events)
{
	struct service *s = ctx;

	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		admit(s, fd);
	}
}

struct service *service_new(struct loop *l, int listener, const struct service_ops *ops, void *ctx)
{
	struct service *s = calloc(1, sizeof(*s));
	int on = 1;

	if (!s) {
		close(listener);
		return NULL;
	}
	s->loop = l;
	s->listener = listener;
	s->ops = ops;
	s->ctx = ctx;
	s->registry = registry_new();
	s->timer = loop_timer_new(l, on_time, s);
	/* On the listener: a connection has it from there, so that what is sent before accept has its sender too. */
	if (s->registry && s->timer && !setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		s->watch = loop_fd_new(l, listener, LOOP_READ, on_listener, s);
	if (s->watch)
		return s;
	service_free(s);
	return NULL;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	while (s->conns) {
		struct conn *c = s->conns;

		s->conns = c->next;
		conn_free(c);
	}
	loop_fd_free(s->watch);
	loop_timer_free(s->timer);
	registry_free(s->registry);
	close(s->listener);
	free(s);
}

struct registry *service_registry(struct service *s)
{
	return s->registry;
}
