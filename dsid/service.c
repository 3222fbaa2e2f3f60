/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service socket. A connection is only ever marked dead where something happens to it; reap() ends it, afterwards. */
#include "dsid/service.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum { CONNS = 256, CONNS_OF_ROOT = 32 /* beyond those */, CONNS_PER_USER = 64, QUEUED = LIM_SVC_CALLS + 64, ACCEPTS = 16 };
static const u64 ACCEPT_AGAIN_NS = 100ull * 1000000;

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
	struct svc_task task; /* as it was when it connected */
	char comm[16];
	bool known;           /* task and comm are told, and so is the program: it may send */
	bool asked;           /* who() is under way: nothing is read meanwhile */
	u8 *held;             /* one packet: it was sent before who() is answered, so the answer is about its sender */
	size_t held_len;
	bool provider, dead;
	struct out *out, **out_end;
	u32 queued;
	size_t queued_bytes;
};
enum { LOCALS = 64 };
struct local {
	reg_conn id; /* 0: free */
	service_local_fn *fn;
	void *ctx;
};
/* A frame on its way to one: not handed over in the middle of a step of the registry. */
struct inside {
	struct inside *next;
	reg_conn to;
	bool drop;
	struct svc_frame frame;
	u8 data[];
};
struct service {
	struct local local[LOCALS];
	struct inside *inside, **inside_end;
	bool handing;
	struct loop *loop;
	int listener;
	struct loop_fd *watch;
	struct loop_timer *timer, *accept_again;
	const struct service_env *env;
	void *ctx;
	struct registry *registry;
	struct reg_actions acts;
	struct conn *conns;
	u32 n_conns;
	reg_conn last;
	size_t queued_bytes;
	u64 changes; /* of the registry, as told */
	u64 refused[SERVICE_REFUSED_COUNT];
	u8 in[LIM_SVC_FRAME + 1], packet[LIM_SVC_FRAME];
};

static u64 now_ms(const struct service *s)
{
	return loop_now(s->loop) / 1000000;
}

/* --- out --------------------------------------------------------------------------------------------------- */

static void conn_end(struct conn *c, enum service_refused why)
{
	if (!c->dead)
		c->service->refused[why]++;
	c->dead = true;
}

static void events_set(struct conn *c)
{
	if (!c->dead)
		loop_fd_set(c->watch, (c->known && !c->asked ? LOOP_READ : 0) | (c->out ? LOOP_WRITE : 0));
}

static void out_free(struct conn *c)
{
	struct out *o = c->out;

	c->out = o->next;
	c->queued--;
	c->queued_bytes -= o->len;
	c->service->queued_bytes -= o->len;
	free(o);
}

static void flush(struct conn *c)
{
	while (c->out) {
		if (send(c->fd, c->out->data, c->out->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != ENOBUFS)
				c->dead = true;
			break;
		}
		out_free(c);
	}
	if (!c->out)
		c->out_end = &c->out;
	events_set(c);
}

static void say(struct conn *c, const struct svc_frame *f)
{
	struct service *s = c->service;
	struct out *o;
	size_t n;
	int rc = svc_encode(f, s->packet, sizeof(s->packet), &n);

	if (c->dead)
		return;
	/* Whom we cannot tell would wait for this frame for ever: its connection ends. */
	if (rc || c->queued >= QUEUED || c->queued_bytes + n > LIM_SVC_QUEUED || s->queued_bytes + n > LIM_SVC_QUEUED_ALL ||
	    !(o = malloc(sizeof(*o) + n))) {
		conn_end(c, SERVICE_SLOW);
		return;
	}
	o->next = NULL;
	o->len = n;
	memcpy(o->data, s->packet, n);
	*c->out_end = o;
	c->out_end = &o->next;
	c->queued++;
	c->queued_bytes += n;
	s->queued_bytes += n;
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

static struct local *local_by_id(struct service *s, reg_conn id)
{
	for (u32 i = 0; i < LOCALS; i++)
		if (s->local[i].id == id)
			return &s->local[i];
	return NULL;
}

static void hand_inside(void *ctx)
{
	struct service *s = ctx;

	s->handing = false;
	while (s->inside) {
		struct inside *k = s->inside;
		struct local *l = local_by_id(s, k->to);
		struct local was = l ? *l : (struct local){ 0 };

		s->inside = k->next;
		if (!s->inside)
			s->inside_end = &s->inside;
		if (l && k->drop)
			memset(l, 0, sizeof(*l));
		if (was.fn)
			was.fn(was.ctx, k->drop ? NULL : &k->frame);
		free(k);
	}
}

static void to_inside(struct service *s, const struct reg_action *a)
{
	struct inside *k = malloc(sizeof(*k) + a->frame.len);

	if (!k) /* a request that is not handed over ends by its time-out */
		return;
	*k = (struct inside){ .to = a->to, .drop = a->drop, .frame = a->frame };
	if (a->frame.len)
		memcpy(k->data, a->frame.data, a->frame.len);
	k->frame.data = k->data;
	*s->inside_end = k;
	s->inside_end = &k->next;
	if (!s->handing)
		s->handing = !loop_defer(s->loop, hand_inside, s);
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
		else if (local_by_id(s, a->to))
			to_inside(s, a);
	}
	s->acts.n = 0;
}

/* --- the end of a connection ------------------------------------------------------------------------------- */

static void conn_free(struct conn *c)
{
	loop_fd_free(c->watch);
	loop_fd_free(c->life);
	while (c->out)
		out_free(c);
	free(c->held);
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
	if (s->changes != registry_changes(s->registry) && s->env->changed) {
		s->changes = registry_changes(s->registry);
		s->env->changed(s->ctx);
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
	int rc = s->env->may(s->ctx, &c->task, c->comm, f->name, DSI_PERM_SERVICE_ANNOUNCE);

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

	c->task.nid = s->env->nid(s->ctx);
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
	case SVC_WATCH:
		rc = registry_watch(s->registry, c->id, f, &s->acts);
		if (rc)
			answer(c, SVC_CHANGED, f->id, rc);
		else
			carry_out(s);
		break;
	case SVC_CALL:
		rc = s->env->may(s->ctx, &c->task, c->comm, f->name, DSI_PERM_SERVICE_USE);
		if (!rc)
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

/* One packet of the very process that connected, alone; 0: none now; else -1, and the connection is at its end. */
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

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0) {
		c->dead = true;
		return -1;
	}
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
	if (!n) /* closed; an empty packet looks the same, but may have brought descriptors */
		c->dead = true;
	else if (!same || rights || m.msg_flags & MSG_CTRUNC)
		conn_end(c, SERVICE_SENDER);
	else if (m.msg_flags & MSG_TRUNC)
		conn_end(c, SERVICE_FRAME);
	return c->dead ? -1 : n;
}

static void ask_who(struct conn *c)
{
	struct service *s = c->service;

	c->asked = true;
	events_set(c);
	if (s->env->who(s->ctx, c->task.pid, c->id))
		c->dead = true;
}

/* What was sent before we knew who is there may be of another context. */
static bool sent_already(const struct conn *c)
{
	u8 byte;

	return recv(c->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Still the process that connected: else the number may have been another's when it was asked about. */
static bool lives(const struct conn *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	return !poll(&p, 1, 0);
}

static void greet(struct conn *c, const struct monop_peer *p)
{
	if (sent_already(c)) {
		conn_end(c, SERVICE_EARLY);
		return;
	}
	c->task.nid = c->service->env->nid(c->service->ctx);
	c->task.start = p->start;
	c->task.sid = p->sid;
	c->known = true;
	say(c, &(struct svc_frame){ .type = SVC_ME, .task = c->task });
}

static void serve(struct conn *c)
{
	u8 *p = c->held;
	struct svc_frame f;

	c->held = NULL;
	if (svc_decode(&f, SVC_CLIENT | (c->provider ? SVC_PROVIDER : 0), p, c->held_len))
		conn_end(c, SERVICE_FRAME);
	else
		do_frame(c, &f);
	free(p);
}

/* Read first, then asked who it is, then served: what is sent after the question is for the next one. */
static void hold(struct conn *c)
{
	ssize_t n = packet(c);

	if (n <= 0)
		return;
	c->held = malloc((size_t)n);
	if (!c->held) {
		c->dead = true;
		return;
	}
	memcpy(c->held, c->service->in, (size_t)n);
	c->held_len = (size_t)n;
	ask_who(c);
}

void service_told(struct service *s, u64 token, int code, const struct monop_peer *p)
{
	struct conn *c = by_id(s, token);

	if (!c || !c->asked)
		return;
	c->asked = false;
	if (code || !lives(c))
		c->dead = true;
	else {
		memcpy(c->comm, p->comm, sizeof(c->comm)); /* a process may change it: for people */
		c->comm[sizeof(c->comm) - 1] = '\0';
		if (!c->known)
			greet(c, p);
		else if (p->sid != c->task.sid || p->start != c->task.start)
			conn_end(c, SERVICE_CONTEXT);
		else
			serve(c);
	}
	events_set(c);
	reap(s);
}

static void on_conn(void *ctx, int events)
{
	struct conn *c = ctx;

	if (events & LOOP_WRITE)
		flush(c);
	if (events & LOOP_READ && c->known && !c->dead && !c->asked)
		hold(c);
	reap(c->service);
}

/* --- providers in this process ----------------------------------------------------------------------------- */

int service_local_announce(struct service *s, const char *name, const char *version, u32 api, u32 caps, service_local_fn *fn, void *ctx,
			   reg_conn *ret)
{
	struct svc_frame f = { .type = SVC_ANNOUNCE, .api = api, .caps = caps };
	const struct reg_owner own = { DSI_SID_DSI, 0 };
	struct local *l = local_by_id(s, 0);
	int rc;

	if (!l)
		return -DSI_ELIMIT;
	assert(svc_name_ok(name) && strlen(version) < SVC_TEXT);
	memcpy(f.name, name, strlen(name) + 1);
	memcpy(f.version, version, strlen(version) + 1);
	*l = (struct local){ ++s->last, fn, ctx };
	rc = registry_announce(s->registry, l->id, &f, &own, (u32)getpid(), now_ms(s), &s->acts);
	if (rc) {
		memset(l, 0, sizeof(*l));
		return rc;
	}
	*ret = l->id;
	carry_out(s);
	reap(s);
	return 0;
}

void service_local_answer(struct service *s, reg_conn at, u32 ticket, int code, const void *data, size_t len)
{
	struct svc_frame f = { .type = SVC_ANSWER, .id = ticket, .code = (u32)-code, .data = data, .len = len };

	if (registry_answer(s->registry, at, &f, &s->acts))
		return;
	carry_out(s);
	reap(s);
}

void service_local_gone(struct service *s, reg_conn at)
{
	struct local *l = at ? local_by_id(s, at) : NULL;

	if (!l)
		return;
	memset(l, 0, sizeof(*l));
	registry_gone(s->registry, at, now_ms(s), &s->acts);
	carry_out(s);
	reap(s);
}

int service_stop(struct service *s, const char *name)
{
	int rc = registry_stop(s->registry, name, now_ms(s), &s->acts);

	if (rc)
		return rc;
	carry_out(s);
	reap(s);
	return 0;
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
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &n) || c->peer.pid <= 0 || !room(s, c->peer.uid)) {
		s->refused[SERVICE_CONNECTION]++;
		goto refuse;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &c->pidfd, &n_fd))
		c->pidfd = (int)syscall(SYS_pidfd_open, c->peer.pid, 0); /* the header says why that will do */
	if (c->pidfd < 0) {
		s->refused[errno == EMFILE || errno == ENFILE ? SERVICE_DESCRIPTORS : SERVICE_CONNECTION]++;
		goto refuse;
	}
	c->task = (struct svc_task){ .pid = (u32)c->peer.pid, .uid = c->peer.uid };
	c->watch = loop_fd_new(s->loop, fd, LOOP_READ, on_conn, c);
	c->life = loop_fd_new(s->loop, c->pidfd, LOOP_READ, on_death, c);
	if (!c->watch || !c->life)
		goto refuse;
	c->id = ++s->last;
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	ask_who(c);
	return;
refuse:
	conn_free(c);
}

/* With no descriptor left the listener stays readable: we look again after a while, not at once. */
static void on_listener(void *ctx, int events)
{
	struct service *s = ctx;

	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			admit(s, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			s->refused[SERVICE_DESCRIPTORS]++;
			loop_fd_set(s->watch, 0);
			loop_timer_set(s->accept_again, ACCEPT_AGAIN_NS);
		}
		break;
	}
	reap(s);
}

static void on_accept_again(void *ctx)
{
	struct service *s = ctx;

	loop_fd_set(s->watch, LOOP_READ);
}

struct service *service_new(struct loop *l, int listener, const struct service_env *env, void *ctx)
{
	struct service *s = calloc(1, sizeof(*s));
	int on = 1;

	if (!s) {
		close(listener);
		return NULL;
	}
	s->loop = l;
	s->inside_end = &s->inside;
	s->listener = listener;
	s->env = env;
	s->ctx = ctx;
	s->registry = registry_new();
	s->timer = loop_timer_new(l, on_time, s);
	s->accept_again = loop_timer_new(l, on_accept_again, s);
	/* On the listener: a connection has it from there, so that what is sent before accept has its sender too. */
	if (s->registry && s->timer && s->accept_again && !setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
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
	while (s->inside) {
		struct inside *k = s->inside;

		s->inside = k->next;
		free(k);
	}
	loop_fd_free(s->watch);
	loop_timer_free(s->timer);
	loop_timer_free(s->accept_again);
	registry_free(s->registry);
	close(s->listener);
	free(s);
}

struct registry *service_registry(struct service *s)
{
	return s->registry;
}

u64 service_refused(const struct service *s, enum service_refused what)
{
	return s->refused[what];
}

const char *service_refused_name(enum service_refused what)
{
	static const char *const names[] = {
#define X(name, text) [SERVICE_##name] = text,
		SERVICE_REFUSED_TABLE(X)
#undef X
	};

	return names[what];
}

u32 service_connections(const struct service *s)
{
	return s->n_conns;
}
