/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The direct leg: listener, kept connections, requests and replies. Must never block, never act on a
 * request before its column in the table was compared with what the log says of the key *now*, never hold
 * more for a peer than its bounds. It owns its connections; a dead one is buried by the loop, so that no
 * callback ever returns into freed memory.
 *
 *   incoming: accept ─▶ handshake ─▶ open: requests in, replies out
 *   outgoing: connect ─▶ handshake ─▶ open: calls out, replies in
 *                 └──────────┴──────────┴─▶ dead (watchers and descriptor gone) ─▶ buried
 */
#include "gcs/direct.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gcs/direct_wire.h"
#include "gcs/tls.h"
#include "lib/buf.h"

enum { CHUNK = 16 << 10, CHUNKS = 8 /* a turn */ };

struct call {
	TAILQ_ENTRY(call) next;
	struct direct *d;
	struct conn *c; /* NULL once it has its answer */
	enum direct_kind kind;
	u32 id;
	bool pinned;
	u8 expect[CRYPTO_PUB];
	struct loop_timer *timer;
	direct_fn *fn;
	void *ctx;
	int code; /* in d->ended */
	bool sent;
	size_t n;
	u8 p[];
};
TAILQ_HEAD(calls, call);

struct direct_request {
	TAILQ_ENTRY(direct_request) next;
	struct conn *c; /* NULL when the connection is gone */
	u16 kind;
	u32 id;
};

struct conn {
	TAILQ_ENTRY(conn) next;
	struct direct *d;
	bool incoming, connecting, open, dead;
	bool counted_newcomer;
	int fd;
	struct loop_fd *w;
	struct loop_timer *deadline;
	struct tls_conn *tls;
	struct direct_peer peer;
	char ip[64];           /* incoming: without the port */
	char address[LIM_PATH]; /* outgoing: as asked for */
	struct wbuf rx;
	size_t rx_used;
	bool parsing;
	bool stopped; /* frames may wait in rx: there was no room for what they cause */
	bool was_busy;
	TAILQ_HEAD(, direct_request) requests;
	u32 n_requests;
	struct calls calls;
	u32 n_calls, next_id;
};
TAILQ_HEAD(conns, conn);

struct direct {
	struct loop *loop;
	struct tls *tls;
	struct keys *keys;
	const struct direct_ops *ops;
	void *ctx;
	int fd;
	struct loop_fd *w;
	struct loop_timer *listen_again, *bury;
	struct conns conns, graves;
	struct calls ended;
	u32 n_incoming, n_newcomers;
};

/* --- death ----------------------------------------------------------------------------------------- */

static void bury_soon(struct direct *d)
{
	if (!loop_timer_active(d->bury))
		loop_timer_set(d->bury, 1);
}

/* The call will hear of it from the loop. */
static void call_end(struct call *x, int code)
{
	struct conn *c = x->c;

	TAILQ_REMOVE(&c->calls, x, next);
	c->n_calls--;
	x->c = NULL;
	x->code = code;
	loop_timer_set(x->timer, 0);
	TAILQ_INSERT_TAIL(&x->d->ended, x, next);
	bury_soon(x->d);
}

static void call_free(struct call *x)
{
	if (!x)
		return;
	loop_timer_free(x->timer);
	free(x);
}

static void newcomer_count(struct conn *c, bool is)
{
	if (c->counted_newcomer == is)
		return;
	c->counted_newcomer = is;
	if (is)
		c->d->n_newcomers++;
	else
		c->d->n_newcomers--;
}

static void conn_kill(struct conn *c, int code)
{
	struct direct *d = c->d;
	struct direct_request *rq;
	struct call *x;

	if (c->dead)
		return;
	c->dead = true;
	while ((x = TAILQ_FIRST(&c->calls)))
		call_end(x, code);
	while ((rq = TAILQ_FIRST(&c->requests))) {
		TAILQ_REMOVE(&c->requests, rq, next);
		rq->c = NULL; /* its owner still answers, into the void */
	}
	newcomer_count(c, false);
	if (c->incoming)
		d->n_incoming--;
	loop_fd_free(c->w);
	c->w = NULL;
	loop_timer_set(c->deadline, 0);
	close(c->fd);
	TAILQ_REMOVE(&d->conns, c, next);
	TAILQ_INSERT_TAIL(&d->graves, c, next);
	bury_soon(d);
}

static void conn_free(struct conn *c)
{
	loop_timer_free(c->deadline);
	tls_conn_free(c->tls);
	wbuf_fini(&c->rx);
	free(c);
}

static void on_bury(void *ctx)
{
	struct direct *d = ctx;
	struct conn *c;
	struct call *x;

	while ((x = TAILQ_FIRST(&d->ended))) {
		TAILQ_REMOVE(&d->ended, x, next);
		x->fn(x->ctx, x->code, NULL, NULL, 0);
		call_free(x);
	}
	while ((c = TAILQ_FIRST(&d->graves))) {
		TAILQ_REMOVE(&d->graves, c, next);
		conn_free(c);
	}
}

/* --- bytes ----------------------------------------------------------------------------------------- */

static size_t output_waits(const struct conn *c)
{
	const u8 *p;

	return tls_output(c->tls, &p);
}

static bool full(const struct conn *c)
{
	return c->n_requests >= DIRECT_REQUESTS || output_waits(c) > DIRECT_OUTPUT;
}

/* progress: something was finished, the clock starts anew. */
static void set_deadline(struct conn *c, bool progress)
{
	bool busy = c->rx.len > c->rx_used || output_waits(c) > 0;
	u64 ns = busy ? DIRECT_STALL_NS : DIRECT_IDLE_NS;

	if (!c->open || c->dead)
		return; /* the handshake has its own, set once */
	if (c->incoming && c->peer.nid == 0)
		ns = DIRECT_STALL_NS;
	if (progress || busy != c->was_busy || !loop_timer_active(c->deadline))
		loop_timer_set(c->deadline, ns);
	c->was_busy = busy;
}

static void watch(struct conn *c)
{
	int events = full(c) ? 0 : LOOP_READ;

	if (c->dead)
		return;
	if (c->connecting)
		events = LOOP_WRITE;
	else if (output_waits(c) > 0 || (c->stopped && !full(c)))
		events |= LOOP_WRITE; /* a socket that takes output brings us back to parse() */
	loop_fd_set(c->w, events);
}

static void push(struct conn *c)
{
	const u8 *p;
	size_t n;
	bool progress = false;

	while (!c->dead && !c->connecting && (n = tls_output(c->tls, &p)) > 0) {
		ssize_t done = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (done <= 0) {
			conn_kill(c, -DSI_ENOTCONN);
			return;
		}
		tls_output_done(c->tls, (size_t)done);
		progress = true;
	}
	if (c->dead)
		return;
	if (progress)
		set_deadline(c, true);
	watch(c);
}

static bool frame_send(struct conn *c, u16 kind, u16 code, u32 id, const void *p, size_t n)
{
	u8 head[DIRECT_HEAD];

	direct_head_put(head, kind, code, id, n);
	if (tls_write(c->tls, head, sizeof(head)) != 0 || tls_write(c->tls, p, n) != 0) {
		conn_kill(c, -DSI_EPEER);
		return false;
	}
	return true;
}

/* --- who is it --------------------------------------------------------------------------------------- */

static u32 binding(struct direct *d, const u8 *pub, u32 *ret_role)
{
	*ret_role = 0;
	return d->ops->binding(d->ctx, pub, ret_role);
}

static bool is_dead(struct direct *d, const u8 *pub)
{
	return d->ops->dead && d->ops->dead(d->ctx, pub);
}

static bool we_are_newcomer(struct direct *d)
{
	u32 role;

	return binding(d, d->keys->pub.sign, &role) == 0;
}

/* What the log says of the peer now. False: it lost what it had, or must not be spoken with. */
static bool peer_look(struct conn *c)
{
	u32 role, nid;

	if (is_dead(c->d, c->peer.pub))
		return false;
	nid = binding(c->d, c->peer.pub, &role);
	if (c->peer.nid != 0 && nid != c->peer.nid)
		return false;
	c->peer.nid = nid; /* a newcomer may have become a member */
	c->peer.role = role;
	newcomer_count(c, c->incoming && nid == 0);
	return true;
}

/* 0, or why this call may not go over this connection. */
static int call_allowed(struct call *x)
{
	struct conn *c = x->c;

	if (x->pinned)
		return crypto_equal(c->peer.pub, x->expect, CRYPTO_PUB) ? 0 : -DSI_EAUTH;
	if (c->peer.nid != 0)
		return 0;
	return we_are_newcomer(c->d) && direct_kind_who(x->kind) == DIRECT_WHO_NEWCOMER ? 0 : -DSI_EAUTH;
}

static void call_send(struct call *x)
{
	int rc = call_allowed(x);

	if (rc != 0) {
		call_end(x, rc);
		return;
	}
	x->sent = true;
	(void)frame_send(x->c, (u16)x->kind, 0, x->id, x->p, x->n);
}

/* --- frames -------------------------------------------------------------------------------------------- */

static void answer(struct conn *c, u16 kind, u32 id, int code, const void *p, size_t n)
{
	if (n > LIM_DIRECT_FRAME - DIRECT_HEAD) {
		code = -DSI_ELIMIT;
		n = 0;
	}
	if (frame_send(c, kind | DIRECT_REPLY, (u16)-code, id, p, n))
		push(c);
}

static bool on_request(struct conn *c, const struct direct_frame *f)
{
	enum direct_who who = direct_kind_who(f->kind);
	struct direct_request *rq;

	if (!c->incoming || f->code != 0)
		return false;
	if (!peer_look(c))
		return false;
	if (!who || (who == DIRECT_WHO_MEMBER && c->peer.nid == 0)) {
		answer(c, f->kind, f->id, who ? -DSI_EAUTH : -DSI_EINVAL, NULL, 0);
		return true;
	}
	rq = calloc(1, sizeof(*rq));
	if (!rq) {
		answer(c, f->kind, f->id, -DSI_EAGAIN, NULL, 0);
		return true;
	}
	rq->c = c;
	rq->kind = f->kind;
	rq->id = f->id;
	TAILQ_INSERT_TAIL(&c->requests, rq, next);
	c->n_requests++;
	c->d->ops->request(c->d->ctx, rq, &c->peer, (enum direct_kind)f->kind, f->p, f->n);
	return true;
}

static bool on_reply(struct conn *c, const struct direct_frame *f)
{
	struct call *x;

	if (c->incoming || f->code >= DSI_ERR_COUNT)
		return false;
	TAILQ_FOREACH(x, &c->calls, next)
		if (x->id == f->id)
			break;
	if (!x)
		return f->id < c->next_id; /* timed out meanwhile */
	if (!x->sent || x->kind != f->kind)
		return false;
	TAILQ_REMOVE(&c->calls, x, next);
	c->n_calls--;
	loop_timer_set(x->timer, 0);
	x->fn(x->ctx, -(int)f->code, &c->peer, f->p, f->n);
	call_free(x);
	return true;
}

static size_t frame_limit(const struct conn *c)
{
	return c->incoming && c->peer.nid == 0 ? DIRECT_FRAME_NEWCOMER : LIM_DIRECT_FRAME;
}

/* Complete frames, as long as there is room for what they cause. Not entered twice: a reply given at once
 * comes back here through push(). */
static void parse(struct conn *c)
{
	struct direct_frame f;
	bool some = false;
	long used;

	if (c->parsing)
		return;
	c->parsing = true;
	while (!c->dead && !full(c)) {
		used = direct_frame_get(&f, c->rx.data + c->rx_used, c->rx.len - c->rx_used, frame_limit(c));
		if (used < 0) {
			conn_kill(c, (int)used);
			break;
		}
		if (used == 0)
			break;
		c->rx_used += (size_t)used;
		some = true;
		if (!(f.reply ? on_reply(c, &f) : on_request(c, &f)))
			conn_kill(c, -DSI_EPEER);
	}
	c->parsing = false;
	if (c->dead)
		return;
	c->stopped = full(c);
	if (c->rx_used == c->rx.len) {
		wbuf_reset(&c->rx);
		c->rx_used = 0;
	}
	set_deadline(c, some);
	watch(c);
}

/* What was used up makes room first. */
static void rx_compact(struct conn *c)
{
	if (c->rx_used == 0)
		return;
	memmove(c->rx.data, c->rx.data + c->rx_used, c->rx.len - c->rx_used);
	c->rx.len -= c->rx_used;
	c->rx_used = 0;
}

static bool take_plain(struct conn *c)
{
	u8 buf[CHUNK];
	long n;

	while ((n = tls_read(c->tls, buf, sizeof(buf))) > 0) {
		wbuf_bytes(&c->rx, buf, (size_t)n);
		if (!wbuf_ok(&c->rx))
			return false;
	}
	return n == 0;
}

static void conn_opened(struct conn *c)
{
	struct call *x, *after;

	c->open = true;
	loop_timer_set(c->deadline, 0);
	memcpy(c->peer.pub, tls_peer(c->tls), CRYPTO_PUB);
	if (tls_exporter(c->tls, c->peer.exporter) != 0 || !peer_look(c)) {
		conn_kill(c, -DSI_EREVOKED);
		return;
	}
	for (x = TAILQ_FIRST(&c->calls); x && !c->dead; x = after) {
		after = TAILQ_NEXT(x, next);
		call_send(x);
	}
	if (!c->dead && !c->incoming && c->n_calls == 0)
		conn_kill(c, -DSI_EAUTH); /* not whom anybody asked for */
}

/* A turn's worth of bytes; the rest stays in the socket. */
static void take(struct conn *c)
{
	u8 buf[CHUNK];

	for (int i = 0; i < CHUNKS && !c->dead && !full(c); i++) {
		ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			break;
		if (n <= 0) {
			conn_kill(c, -DSI_ENOTCONN);
			return;
		}
		enum tls_state st = tls_input(c->tls, buf, (size_t)n);
		if (st == TLS_OPEN && !c->open)
			conn_opened(c);
		if (c->dead)
			return;
		rx_compact(c);
		if (c->open && !take_plain(c))
			st = TLS_FAILED;
		if (st == TLS_FAILED) {
			push(c); /* the alert, if it fits */
			conn_kill(c, c->open ? -DSI_EPEER : -DSI_EAUTH);
			return;
		}
		if (c->open)
			parse(c);
		if (!c->dead && tls_state(c->tls) == TLS_CLOSED)
			conn_kill(c, -DSI_ENOTCONN);
	}
}

static void on_connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
		conn_kill(c, -DSI_ENOTCONN);
		return;
	}
	c->connecting = false;
	if (tls_input(c->tls, NULL, 0) == TLS_FAILED)
		conn_kill(c, -DSI_ECRYPTO);
}

static void on_fd(void *ctx, int events)
{
	struct conn *c = ctx;

	if (c->connecting)
		on_connected(c);
	else if (events & LOOP_READ)
		take(c);
	if (!c->dead)
		push(c);
	if (!c->dead && c->open)
		parse(c); /* output went out: there may be room again */
}

static void on_deadline(void *ctx)
{
	struct conn *c = ctx;
	bool ours = c->n_requests > 0 || (!c->incoming && c->n_calls > 0 && c->rx.len == c->rx_used);

	if (c->open && ours && output_waits(c) == 0)
		loop_timer_set(c->deadline, DIRECT_STALL_NS); /* our answer is awaited; calls have their own time-outs */
	else
		conn_kill(c, -DSI_ETIMEDOUT);
}

/* --- connections ----------------------------------------------------------------------------------------- */

static struct conn *conn_new(struct direct *d, int fd, bool incoming)
{
	struct conn *c = calloc(1, sizeof(*c));
	int on = 1;

	if (!c)
		return NULL;
	c->d = d;
	c->fd = fd;
	c->incoming = incoming;
	c->connecting = !incoming;
	c->next_id = 1;
	TAILQ_INIT(&c->requests);
	TAILQ_INIT(&c->calls);
	wbuf_init(&c->rx, LIM_DIRECT_FRAME + CHUNKS * CHUNK);
	c->tls = tls_conn_new(d->tls, incoming);
	c->deadline = loop_timer_new(d->loop, on_deadline, c);
	if (c->tls && c->deadline)
		c->w = loop_fd_new(d->loop, fd, incoming ? LOOP_READ : LOOP_WRITE, on_fd, c);
	if (!c->w) {
		conn_free(c);
		return NULL;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	loop_timer_set(c->deadline, DIRECT_HANDSHAKE_NS);
	TAILQ_INSERT_TAIL(&d->conns, c, next);
	return c;
}

static bool may_enter(struct direct *d, const char *ip)
{
	u32 same = 0;
	struct conn *c;

	TAILQ_FOREACH(c, &d->conns, next)
		same += c->incoming && strcmp(c->ip, ip) == 0;
	return d->n_incoming < DIRECT_CONNS && same < DIRECT_CONNS_ADDRESS;
}

/* A handshake takes milliseconds; who holds a place longest is who wastes it. */
static void newcomer_room(struct direct *d)
{
	struct conn *c;

	if (d->n_newcomers < DIRECT_CONNS_NEWCOMER)
		return;
	TAILQ_FOREACH(c, &d->conns, next)
		if (c->counted_newcomer)
			break;
	if (c)
		conn_kill(c, -DSI_EAGAIN);
}

static bool accept_one(struct direct *d)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char ip[NI_MAXHOST], port[NI_MAXSERV];
	struct conn *c;
	int fd = accept4(d->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			loop_fd_set(d->w, 0);
			loop_timer_set(d->listen_again, 100000000);
		}
		return errno == ECONNABORTED || errno == EINTR;
	}
	if (getnameinfo((struct sockaddr *)&sa, len, ip, sizeof(ip), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0 ||
	    strlen(ip) >= sizeof(c->ip) - 8 || !may_enter(d, ip) || !(c = conn_new(d, fd, true))) {
		close(fd);
		return true;
	}
	newcomer_room(d);
	snprintf(c->ip, sizeof(c->ip), "%.63s", ip);
	snprintf(c->peer.address, sizeof(c->peer.address), strchr(ip, ':') ? "[%.50s]:%.5s" : "%.50s:%.5s", ip, port);
	d->n_incoming++;
	newcomer_count(c, true); /* until it proves to be somebody */
	return true;
}

static void on_accept(void *ctx, int events)
{
	struct direct *d = ctx;

	(void)events;
	for (int i = 0; i < 16; i++)
		if (!accept_one(d))
			return;
}

static void on_listen_again(void *ctx)
{
	struct direct *d = ctx;

	loop_fd_set(d->w, LOOP_READ);
}

static int listen_on(struct direct *d, const char *address, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int on = 1, rc = direct_address(address, /* dns= */ false, &sa, &len, e);

	if (rc != 0)
		return rc;
	d->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return err_errno(e, -DSI_EIO, "socket");
	(void)setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(d->fd, (struct sockaddr *)&sa, len) != 0 || listen(d->fd, 64) != 0)
		return err_errno(e, -DSI_EIO, "listen on %s", address);
	d->w = loop_fd_new(d->loop, d->fd, LOOP_READ, on_accept, d);
	return d->w ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

static int sign_with_keys(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	return keys_sign(ctx, purpose, p, n, ret);
}

int direct_new(struct direct **ret, struct loop *l, struct keys *keys, const char *listen, const struct direct_ops *ops,
	       void *ctx, struct err *e)
{
	struct tls_key key = { .sign = sign_with_keys, .ctx = keys };
	struct direct *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return err_set(e, -DSI_ENOMEM, "direct leg: out of memory");
	d->loop = l;
	d->keys = keys;
	d->ops = ops;
	d->ctx = ctx;
	d->fd = -1;
	TAILQ_INIT(&d->conns);
	TAILQ_INIT(&d->graves);
	TAILQ_INIT(&d->ended);
	memcpy(key.pub, keys->pub.sign, sizeof(key.pub));
	rc = tls_new(&d->tls, &key, e);
	d->bury = loop_timer_new(l, on_bury, d);
	d->listen_again = loop_timer_new(l, on_listen_again, d);
	if (rc == 0 && (!d->bury || !d->listen_again))
		rc = err_set(e, -DSI_ENOMEM, "out of memory");
	if (rc == 0 && listen)
		rc = listen_on(d, listen, e);
	if (rc != 0) {
		direct_free(d);
		return err_wrap(e, "direct leg"), rc;
	}
	*ret = d;
	return 0;
}

void direct_free(struct direct *d)
{
	struct conn *c;

	if (!d)
		return;
	while ((c = TAILQ_FIRST(&d->conns)))
		conn_kill(c, -DSI_ENOTCONN);
	on_bury(d);
	loop_fd_free(d->w);
	if (d->fd >= 0)
		close(d->fd);
	loop_timer_free(d->bury);
	loop_timer_free(d->listen_again);
	tls_free(d->tls);
	free(d);
}

u16 direct_port(const struct direct *d)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (d->fd < 0 || getsockname(d->fd, (struct sockaddr *)&sa, &len) != 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port :
						((struct sockaddr_in *)&sa)->sin_port);
}

/* --- asking and answering ------------------------------------------------------------------------------ */

void direct_reply(struct direct_request *rq, int code, const void *p, size_t n)
{
	struct conn *c = rq->c;

	if (c) {
		TAILQ_REMOVE(&c->requests, rq, next);
		c->n_requests--;
		answer(c, rq->kind, rq->id, code, p, n);
	}
	free(rq);
}

static int dial(struct direct *d, const char *address, struct conn **ret)
{
	struct sockaddr_storage sa;
	socklen_t len;
	struct conn *c;
	int fd, rc = direct_address(address, /* dns= */ false, &sa, &len, NULL);

	if (rc != 0)
		return rc;
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -DSI_EIO;
	if ((connect(fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS)) {
		close(fd);
		return -DSI_ENOTCONN;
	}
	c = conn_new(d, fd, false);
	if (!c) {
		close(fd);
		return -DSI_ENOMEM;
	}
	snprintf(c->address, sizeof(c->address), "%s", address);
	snprintf(c->peer.address, sizeof(c->peer.address), "%.63s", address);
	*ret = c;
	return 0;
}

/* A kept connection to the address whose key, when known already, is the one wanted. */
static struct conn *conn_find(struct direct *d, const char *address, const u8 *expect)
{
	struct conn *c;

	TAILQ_FOREACH(c, &d->conns, next)
		if (!c->incoming && strcmp(c->address, address) == 0 &&
		    (!c->open || !expect || crypto_equal(c->peer.pub, expect, CRYPTO_PUB)))
			return c;
	return NULL;
}

static void on_call_timeout(void *ctx)
{
	call_end(ctx, -DSI_ETIMEDOUT);
}

static struct call *call_new(struct direct *d, const u8 *expect, enum direct_kind kind, const void *p, size_t n,
			     direct_fn *fn, void *ctx)
{
	struct call *x = calloc(1, sizeof(*x) + n);

	if (!x)
		return NULL;
	x->timer = loop_timer_new(d->loop, on_call_timeout, x);
	if (!x->timer) {
		free(x);
		return NULL;
	}
	x->d = d;
	x->kind = kind;
	x->fn = fn;
	x->ctx = ctx;
	x->n = n;
	if (n)
		memcpy(x->p, p, n);
	x->pinned = expect != NULL;
	if (expect)
		memcpy(x->expect, expect, CRYPTO_PUB);
	return x;
}

int direct_call(struct direct *d, const char *address, const u8 *expect, enum direct_kind kind, const void *p, size_t n,
		u64 timeout_ns, direct_fn *fn, void *ctx)
{
	struct conn *c;
	struct call *x;
	int rc;

	if (n > LIM_DIRECT_FRAME - DIRECT_HEAD)
		return -DSI_ELIMIT;
	if (!direct_kind_who((u16)kind) || strlen(address) >= LIM_PATH)
		return -DSI_EINVAL;
	c = conn_find(d, address, expect);
	if (c && (c->n_calls >= DIRECT_CALLS || output_waits(c) > DIRECT_OUTPUT))
		return -DSI_EAGAIN;
	x = call_new(d, expect, kind, p, n, fn, ctx);
	if (!x)
		return -DSI_ENOMEM;
	rc = c ? 0 : dial(d, address, &c);
	if (rc != 0) {
		call_free(x);
		return rc;
	}
	x->c = c;
	x->id = c->next_id++;
	TAILQ_INSERT_TAIL(&c->calls, x, next);
	c->n_calls++;
	loop_timer_set(x->timer, MAX(timeout_ns, 1));
	if (c->open) {
		call_send(x);
		if (!c->dead)
			push(c);
	}
	return 0;
}

void direct_recheck(struct direct *d)
{
	struct conn *c, *after;

	for (c = TAILQ_FIRST(&d->conns); c; c = after) {
		after = TAILQ_NEXT(c, next);
		if (c->open && !peer_look(c))
			conn_kill(c, -DSI_EREVOKED);
	}
}
