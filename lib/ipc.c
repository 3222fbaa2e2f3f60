/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's server, and the glue between libqb and lib/loop.
 *
 * What libqb (2.0.6) leaves open towards a hostile local user is closed here, before it sees a byte:
 *  - it believes the length that a message claims to have: gate() compares it with what is there;
 *  - anyone may send to a connection's abstract socket, its name is in /proc/net/unix: gate() takes only
 *    datagrams of the process that was authenticated, by the credentials the kernel attaches;
 *  - its first answer waits up to a second, asleep, for the client's socket: reachable() looks first;
 *  - half-open and idle connections live for ever: counted and timed here.
 * Shared memory transport is not used: its ring indices are the client's to write.
 *
 * Must never: run a handler for a caller whose right the table does not show; free a watch while a callback
 * of it is on the stack (libqb removes and re-adds a descriptor inside its own callback).
 * Invariant: one request per connection under way; a request's connection pointer is NULL once it is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <qb/qbdefs.h>
#include <qb/qbipcs.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/ipc_wire.h"

enum { CONNS = 64, CONNS_OF_ROOT = 32 /* beyond those */, CONNS_PER_USER = 8, HALF_OPEN = 32, HALF_OPEN_HARD = 128 };
static const u64 AUTH_NS = 5000000000ull, IDLE_NS = 60000000000ull;

struct conn {
	struct conn *next;
	struct ipc_server *server;
	qb_ipcs_connection_t *qb;
	struct ipc_caller caller;
	struct ipc_request *pending;
	struct loop_timer *idle;
	struct wbuf in;
	char *out;
	size_t out_len, out_at;
	struct sockaddr_un peer; /* where answers go */
	socklen_t peer_len;
	bool answered_before, closing;
};

struct ipc_server {
	struct loop *loop;
	qb_ipcs_service_t *qb;
	enum ctl_served by;
	ipc_handler *const *handlers;
	void *ctx;
	struct conn *conns;
	u32 n_conns;
};

struct ipc_request {
	struct conn *conn; /* NULL: gone */
	struct ipc_caller caller;
};

static const struct verb {
	const char *name;
	u32 by, who;
} verbs[CTL_COUNT] = {
#define X(name, verb, served, who) [CTL_##name] = { verb, served, who },
	CTL_TABLE(X)
#undef X
};

static void conn_cut(struct conn *c);

/* --- libqb's poll interface on the loop ------------------------------------------------------------ */

struct watch {
	struct watch *next;
	int fd, depth;
	bool dead, gated;
	qb_ipcs_dispatch_fn_t fn;
	void *data;
	struct loop_fd *io;
	struct loop_timer *auth; /* half-open: cut when it runs out */
};
/* libqb's handlers have no context argument: one loop per process serves IPC. */
static struct {
	struct loop *loop;
	struct watch *watches;
	u32 users, half_open;
} glue;

static void watch_reap(void)
{
	for (struct watch **at = &glue.watches, *w; (w = *at);) {
		if (!w->dead || w->depth) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
	}
}

static void watch_kill(struct watch *w)
{
	w->dead = true;
	loop_fd_free(w->io);
	w->io = NULL;
	if (w->auth) {
		loop_timer_free(w->auth);
		w->auth = NULL;
		glue.half_open--;
	}
}

static struct watch *watch_find(int fd)
{
	struct watch *w = glue.watches;

	while (w && (w->dead || w->fd != fd))
		w = w->next;
	return w;
}

/* The credentials the kernel attached. */
static bool creds_of(struct msghdr *m, struct ucred *ret)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(*ret))) {
			memcpy(ret, CMSG_DATA(h), sizeof(*ret));
			return true;
		}
	}
	return false;
}

/* libqb's client speaks from the very address that answers go to: ours with another ending. */
static bool is_answer_address(int fd, const struct sockaddr_un *from)
{
	static const char ours[] = "-request", theirs[] = "-response";
	struct sockaddr_un own = { 0 };
	socklen_t len = sizeof(own);
	const char *a = own.sun_path + 1, *b = from->sun_path + 1;
	size_t max = sizeof(own.sun_path) - 1, base;

	if (getsockname(fd, (struct sockaddr *)&own, &len) || strnlen(a, max) < sizeof(ours))
		return false;
	base = strnlen(a, max) - (sizeof(ours) - 1);
	return !strncmp(a + base, ours, max - base) && strnlen(b, max) == base + sizeof(theirs) - 1 && !memcmp(a, b, base) &&
	       !memcmp(b + base, theirs, sizeof(theirs) - 1);
}

enum verdict { PASS, SKIP, CUT };

/* Looks at the next datagram without taking it: is it from the authenticated process, and is its length what
 * it says and what fits? */
static enum verdict gate(struct conn *c, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(struct ucred))]; /* no room for descriptors: none are taken in */
		struct cmsghdr align;
	} control;
	struct qb_ipc_request_header h = { 0 };
	struct sockaddr_un from = { 0 };
	struct iovec iov = { &h, sizeof(h) };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control.room, .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(fd, &m, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct ucred cred;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? SKIP : CUT;
	if (!creds_of(&m, &cred) || cred.pid != c->caller.pid || cred.uid != c->caller.uid) {
		recv(fd, &h, sizeof(h), MSG_DONTWAIT); /* somebody else's: take it away */
		return SKIP;
	}
	if ((size_t)n < sizeof(struct ipc_part) || n > IPC_BUFFER || h.size != (int32_t)n || !is_answer_address(fd, &from))
		return CUT;
	c->peer = from;
	c->peer_len = m.msg_namelen;
	return PASS;
}

static void on_watch(void *ctx, int events)
{
	struct watch *w = ctx;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	struct conn *c = w->gated ? qb_ipcs_context_get(w->data) : NULL;
	enum verdict v = PASS;

	/* The loop folds a hang-up into readable: ask for the truth. */
	if (poll(&p, 1, 0) <= 0)
		return;
	if (c && (p.revents & POLLIN))
		v = gate(c, w->fd);
	w->depth++;
	if (v == CUT)
		conn_cut(c);
	else if (v == PASS && w->fn(w->fd, p.revents, w->data) < 0 && !w->dead)
		watch_kill(w);
	w->depth--;
	watch_reap();
}

static void on_auth_timeout(void *ctx)
{
	struct watch *w = ctx;

	shutdown(w->fd, SHUT_RDWR); /* libqb sees the end and closes it */
}

/* Someone who opens and says nothing must not shut others out: those who mean it take microseconds. */
static void evict_oldest(void)
{
	struct watch *oldest = NULL;

	for (struct watch *w = glue.watches; w; w = w->next) {
		if (!w->dead && w->auth && loop_timer_active(w->auth))
			oldest = w; /* the list is newest first */
	}
	if (!oldest)
		return;
	loop_timer_set(oldest->auth, 0);
	shutdown(oldest->fd, SHUT_RDWR);
}

static int socket_flag(int fd, int option)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, option, &v, &len) ? -1 : v;
}

/* Three kinds of descriptor come here: the listener; a stream socket, first half-open (data is libqb's own),
 * then for liveness; the request socket of a connection, the only one of type datagram. */
static bool watch_kind(struct watch *w)
{
	int on = 1;

	if (socket_flag(w->fd, SO_TYPE) == SOCK_DGRAM) {
		w->gated = true;
		return !setsockopt(w->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	}
	if (socket_flag(w->fd, SO_ACCEPTCONN))
		return true;
	for (struct watch *o = glue.watches; o; o = o->next) {
		if (!o->dead && o->gated && o->data == w->data)
			return true; /* libqb adds the request socket first, then this for liveness */
	}
	if (glue.half_open >= HALF_OPEN_HARD)
		return false;
	if (glue.half_open >= HALF_OPEN)
		evict_oldest();
	w->auth = loop_timer_new(glue.loop, on_auth_timeout, w);
	if (!w->auth)
		return false;
	loop_timer_set(w->auth, AUTH_NS);
	glue.half_open++;
	return true;
}

static int32_t dispatch_add(enum qb_loop_priority p, int32_t fd, int32_t events, void *data, qb_ipcs_dispatch_fn_t fn)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fd = fd;
	w->fn = fn;
	w->data = data;
	if (!watch_kind(w)) {
		free(w);
		return -ENOSPC;
	}
	w->io = loop_fd_new(glue.loop, fd, LOOP_READ, on_watch, w);
	if (!w->io) {
		watch_kill(w);
		free(w);
		return -ENOMEM;
	}
	w->next = glue.watches;
	glue.watches = w;
	return 0;
}

static int32_t dispatch_mod(enum qb_loop_priority p, int32_t fd, int32_t events, void *data, qb_ipcs_dispatch_fn_t fn)
{
	struct watch *w = watch_find(fd);

	if (!w)
		return -ENOENT;
	w->fn = fn;
	w->data = data;
	loop_fd_set(w->io, events & POLLIN ? LOOP_READ : 0);
	return 0;
}

static int32_t dispatch_del(int32_t fd)
{
	struct watch *w = watch_find(fd);

	if (w)
		watch_kill(w);
	watch_reap();
	return 0;
}

/* --- connections ----------------------------------------------------------------------------------- */

static bool in_group(uid_t uid, gid_t gid, gid_t want)
{
	gid_t list[256];
	int n = ARRAY_SIZE(list);
	const struct passwd *pw;

	if (gid == want)
		return true;
	pw = getpwuid(uid);
	if (!pw || getgrouplist(pw->pw_name, gid, list, &n) < 0)
		return false;
	for (int i = 0; i < n; i++) {
		if (list[i] == want)
			return true;
	}
	return false;
}

static u32 rights_of(uid_t uid, gid_t gid)
{
	const struct group *g;

	if (uid == 0)
		return CTL_ANY | CTL_GROUP | CTL_ROOT;
	g = getgrnam("dsi");
	return g && in_group(uid, gid, g->gr_gid) ? CTL_ANY | CTL_GROUP : CTL_ANY;
}

static bool room_for(const struct ipc_server *s, uid_t uid)
{
	u32 of_user = 0;

	for (const struct conn *c = s->conns; c; c = c->next)
		of_user += c->caller.uid == uid;
	if (uid == 0)
		return s->n_conns < CONNS + CONNS_OF_ROOT;
	return s->n_conns < CONNS && of_user < CONNS_PER_USER;
}

/* libqb gives the connection's directory to the caller, which only root can; as another user we open the way
 * through it instead. The file inside holds two counters; its name is not to be guessed. */
static void open_way(pid_t client)
{
	char prefix[64];
	DIR *d = opendir("/dev/shm");
	struct dirent *e;

	if (!d)
		return;
	snprintf(prefix, sizeof(prefix), "qb-%d-%d-", (int)getpid(), (int)client);
	while ((e = readdir(d))) {
		struct stat st;

		if (!strncmp(e->d_name, prefix, strlen(prefix)) && !fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISDIR(st.st_mode) && st.st_uid == geteuid())
			fchmodat(dirfd(d), e->d_name, 0711, 0);
	}
	closedir(d);
}

static void on_idle(void *ctx)
{
	struct conn *c = ctx;

	if (c->pending)
		loop_timer_set(c->idle, IDLE_NS);
	else
		conn_cut(c);
}

static int32_t on_accept(qb_ipcs_connection_t *qb, uid_t uid, gid_t gid)
{
	struct ipc_server *s = qb_ipcs_connection_service_context_get(qb);
	struct qb_ipcs_connection_stats st = { 0 };
	struct conn *c;

	if (qb_ipcs_connection_get_buffer_size(qb) > IPC_BUFFER)
		return -EMSGSIZE;
	if (!room_for(s, uid))
		return -EAGAIN;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->idle = loop_timer_new(s->loop, on_idle, c);
	if (!c->idle) {
		free(c);
		return -ENOMEM;
	}
	qb_ipcs_connection_stats_get(qb, &st, QB_FALSE);
	c->server = s;
	c->qb = qb;
	c->caller = (struct ipc_caller){ uid, gid, st.client_pid, rights_of(uid, gid) };
	wbuf_init(&c->in, LIM_CTL);
	loop_timer_set(c->idle, IDLE_NS);
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	qb_ipcs_context_set(qb, c);
	if (geteuid() && uid && uid != geteuid()) {
		open_way(st.client_pid);
		qb_ipcs_connection_auth_set(qb, uid, gid, 0666);
	}
	return 0;
}

static void detach_request(struct conn *c)
{
	if (c->pending)
		c->pending->conn = NULL;
	c->pending = NULL;
}

static int32_t on_closed(qb_ipcs_connection_t *qb)
{
	struct conn *c = qb_ipcs_context_get(qb);

	if (c) {
		c->closing = true;
		detach_request(c);
	}
	return 0;
}

/* Also for connections that were refused (no context) or never established. */
static void on_destroyed(qb_ipcs_connection_t *qb)
{
	struct conn *c = qb_ipcs_context_get(qb), **at;

	if (!c)
		return;
	qb_ipcs_context_set(qb, NULL);
	for (at = &c->server->conns; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	c->server->n_conns--;
	detach_request(c);
	loop_timer_free(c->idle);
	wbuf_fini(&c->in);
	free(c->out);
	free(c);
}

static void conn_cut(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	detach_request(c);
	qb_ipcs_disconnect(c->qb);
}

/* --- answers --------------------------------------------------------------------------------------- */

/* libqb would wait up to a second, sleeping, for a client that takes no answer. */
static bool reachable(const struct conn *c)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool ok = fd >= 0 && (!connect(fd, (const struct sockaddr *)&c->peer, c->peer_len) || errno == EPERM);

	/* EPERM: it is connected to our request socket and takes nothing from this one: it is there */
	if (fd >= 0)
		close(fd);
	return ok;
}

static void send_reply(struct conn *c, const char *p, size_t n, bool last)
{
	static union {
		struct ipc_reply r;
		u8 bytes[IPC_BUFFER];
	} m;
	size_t size = sizeof(m.r) + n;

	if (!c->answered_before && !reachable(c)) {
		conn_cut(c);
		return;
	}
	c->answered_before = true;
	m.r = (struct ipc_reply){ .h = { .id = IPC_PART, .size = (int32_t)size }, .last = last, .n = (u32)n };
	if (n)
		memcpy(m.bytes + sizeof(m.r), p, n);
	if (qb_ipcs_response_send(c->qb, m.bytes, size) != (ssize_t)size)
		conn_cut(c); /* its queue cannot be full: we speak in turn */
}

static void send_piece(struct conn *c)
{
	size_t n = MIN(c->out_len - c->out_at, (size_t)IPC_PIECE);
	bool last = c->out_at + n == c->out_len;
	char *out = c->out;

	c->out_at += n;
	if (last)
		c->out = NULL;
	send_reply(c, out + c->out_at - n, n, last); /* may free c */
	if (last)
		free(out);
}

static char *reply_text(int code, const char *text, json_t *data)
{
	json_t *o = json_pack("{s:i, s:s, s:s, s:O}", "code", code, "name", err_name(code), "text", text, "data", data);
	char *s;

	/* a text that is not UTF-8 must not cost the caller the code */
	if (!o)
		o = json_pack("{s:i, s:s, s:s, s:O}", "code", code, "name", err_name(code), "text", err_text(code), "data", data);
	s = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	json_decref(data);
	return s;
}

void ipc_answer(struct ipc_request *rq, int code, const char *text, json_t *data)
{
	struct conn *c = rq->conn;
	char *s;

	free(rq);
	if (!c) {
		json_decref(data);
		return;
	}
	c->pending = NULL;
	s = reply_text(code, text ? text : code ? err_text(code) : "", data ? data : json_object());
	if (s && strlen(s) > LIM_CTL) {
		free(s);
		s = reply_text(-DSI_ELIMIT, "the answer is too long: ask for less", json_object());
	}
	if (!s) {
		conn_cut(c);
		return;
	}
	c->out = s;
	c->out_len = strlen(s);
	c->out_at = 0;
	loop_timer_set(c->idle, IDLE_NS);
	send_piece(c);
}

const struct ipc_caller *ipc_caller(const struct ipc_request *rq)
{
	return &rq->caller;
}

/* --- requests -------------------------------------------------------------------------------------- */

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	}
	return NULL;
}

static const char *needed(u32 who)
{
	return who == CTL_ROOT ? "root" : "root or group dsi";
}

static void dispatch(struct ipc_server *s, struct ipc_request *rq, json_t *doc)
{
	json_t *args = json_object_get(doc, "args"), *none = NULL;
	const char *name = json_string_value(json_object_get(doc, "verb"));
	const struct verb *v = verb_find(name);
	char text[128];

	if (!name || (args && !json_is_object(args) && !json_is_null(args))) {
		ipc_answer(rq, -DSI_EPARSE, "malformed request", NULL);
	} else if (!v) {
		ipc_answer(rq, -DSI_EUSAGE, "unknown verb", NULL);
	} else if (!(v->by & s->by) || !s->handlers[v - verbs]) {
		snprintf(text, sizeof(text), "%s: not asked of this service", v->name);
		ipc_answer(rq, -DSI_EUSAGE, text, NULL);
	} else if (!(v->who & rq->caller.who)) {
		snprintf(text, sizeof(text), "%s: needs %s", v->name, needed(v->who));
		ipc_answer(rq, -DSI_EPERM, text, NULL);
	} else {
		if (!json_is_object(args))
			args = none = json_object();
		s->handlers[v - verbs](s->ctx, rq, args);
		json_decref(none);
	}
}

static void request_complete(struct conn *c)
{
	struct ipc_server *s = c->server;
	struct ipc_request *rq = calloc(1, sizeof(*rq));
	json_t *doc;

	if (!rq) {
		conn_cut(c);
		return;
	}
	rq->conn = c;
	rq->caller = c->caller;
	c->pending = rq;
	doc = json_loadb((const char *)c->in.data, c->in.len, JSON_REJECT_DUPLICATES, NULL);
	wbuf_fini(&c->in);
	wbuf_init(&c->in, LIM_CTL);
	if (json_is_object(doc))
		dispatch(s, rq, doc);
	else
		ipc_answer(rq, -DSI_EPARSE, "the request is not a JSON object", NULL);
	json_decref(doc);
}

static void on_part(struct conn *c, const struct ipc_part *h, const u8 *p, size_t n)
{
	if (h->n != n || c->pending || c->out) {
		conn_cut(c);
		return;
	}
	wbuf_bytes(&c->in, p, n);
	if (!wbuf_ok(&c->in))
		conn_cut(c);
	else if (h->last)
		request_complete(c);
	else
		send_reply(c, NULL, 0, false);
}

/* data is a copy in libqb's memory (socket transport): nobody changes it under us. libqb holds a reference to
 * the connection during this call. */
static int32_t on_message(qb_ipcs_connection_t *qb, void *data, size_t size)
{
	struct conn *c = qb_ipcs_context_get(qb);
	struct ipc_part h;

	if (!c || c->closing)
		return 0;
	if (size < sizeof(h) || size > IPC_BUFFER) {
		conn_cut(c);
		return 0;
	}
	memcpy(&h, data, sizeof(h));
	loop_timer_set(c->idle, IDLE_NS);
	if (h.h.id == IPC_PART)
		on_part(c, &h, (const u8 *)data + sizeof(h), size - sizeof(h));
	else if (h.h.id == IPC_NEXT && c->out)
		send_piece(c);
	else
		conn_cut(c);
	return 0;
}

/* --- the server ------------------------------------------------------------------------------------ */

int ipc_server_new(struct ipc_server **ret, struct loop *l, const char *name, enum ctl_served by,
		   ipc_handler *const handlers[CTL_COUNT], void *ctx, struct err *e)
{
	static struct qb_ipcs_poll_handlers poll_handlers = { NULL, dispatch_add, dispatch_mod, dispatch_del };
	static struct qb_ipcs_service_handlers service = { on_accept, NULL, on_message, on_closed, on_destroyed };
	struct ipc_server *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(e, -DSI_ENOMEM, "control socket %s", name);
	assert(!glue.users || glue.loop == l);
	glue.loop = l;
	*s = (struct ipc_server){ .loop = l, .by = by, .handlers = handlers, .ctx = ctx };
	s->qb = qb_ipcs_create(name, 0, QB_IPC_SOCKET, &service);
	if (!s->qb) {
		free(s);
		return err_set(e, -DSI_ENOMEM, "control socket %s", name);
	}
	glue.users++;
	qb_ipcs_service_context_set(s->qb, s);
	qb_ipcs_poll_handlers_set(s->qb, &poll_handlers);
	qb_ipcs_request_rate_limit(s->qb, QB_IPCS_RATE_SLOW); /* one datagram per call, each after gate() */
	rc = qb_ipcs_run(s->qb);
	if (rc) {
		glue.users--; /* libqb freed the service */
		free(s);
		return err_set(e, rc == -EADDRINUSE ? -DSI_EEXIST : -DSI_EIO, "control socket %s: %s", name, strerror(-rc));
	}
	*ret = s;
	return 0;
}

void ipc_server_free(struct ipc_server *s)
{
	if (!s)
		return;
	for (struct conn *c = s->conns, *next; c; c = next) {
		next = c->next;
		conn_cut(c);
	}
	qb_ipcs_destroy(s->qb);
	glue.users--;
	watch_reap();
	free(s);
}
