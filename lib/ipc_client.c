/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking a daemon: one request, one answer, with a deadline.
 *
 * The sockets are abstract: anyone may bind the name while the daemon is down. So an answer is believed only
 * from a process of root, _dsid or _dsiss (or of our own user: the local backend, tests). Must never: wait
 * longer than the deadline, also not for a daemon that is stopped or was killed.
 */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <qb/qbipcc.h>

#include "lib/buf.h"
#include "lib/ipc.h"
#include "lib/ipc_wire.h"

enum { SLICE_MS = 200 };

struct call {
	qb_ipcc_connection_t *qb;
	const char *name;
	pid_t server;
	u64 until;
	struct err *e;
	union {
		struct ipc_part part;
		struct ipc_reply reply;
		u8 bytes[IPC_BUFFER];
	} m;
};

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000u + (u64)ts.tv_nsec / 1000000u;
}

static int left_ms(const struct call *k)
{
	u64 now = now_ms();

	return now >= k->until ? 0 : (int)MIN(k->until - now, (u64)SLICE_MS);
}

static int timed_out(struct call *k)
{
	return err_set(k->e, -DSI_ETIMEDOUT, "%s does not answer", k->name);
}

static bool one_of_ours(uid_t uid)
{
	static const char *const users[] = { "_dsid", "_dsiss" };

	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		const struct passwd *pw = getpwnam(users[i]);

		if (pw && pw->pw_uid == uid)
			return true;
	}
	return false;
}

/* The server's greeting, or false at the deadline. */
static bool greeted(struct call *k, int fd)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ms = left_ms(k);

		if (!ms)
			return false;
		if (poll(&p, 1, ms) > 0)
			return true;
	}
}

static int call_connect(struct call *k)
{
	uid_t uid;
	gid_t gid;
	int fd, rc;

	k->qb = qb_ipcc_connect_async(k->name, IPC_BUFFER, &fd);
	if (!k->qb)
		return err_set(k->e, -DSI_ENOTCONN, "%s is not running on this node", k->name);
	if (!greeted(k, fd)) {
		shutdown(fd, SHUT_RDWR); /* then the next call fails at once, and frees what libqb made */
		if (!qb_ipcc_connect_continue(k->qb))
			qb_ipcc_disconnect(k->qb);
		k->qb = NULL;
		return timed_out(k);
	}
	rc = qb_ipcc_connect_continue(k->qb); /* frees the connection when it fails */
	if (rc) {
		k->qb = NULL;
		return err_set(k->e, -DSI_ENOTCONN, "%s refuses the connection: %s", k->name, strerror(-rc));
	}
	if (qb_ipcc_auth_get(k->qb, &k->server, &uid, &gid) || !one_of_ours(uid))
		return err_set(k->e, -DSI_ENOTCONN, "what answers as %s is not DSI", k->name);
	return 0;
}

static int call_send(struct call *k, int id, const char *p, size_t n, bool last)
{
	size_t size = sizeof(k->m.part) + n;
	ssize_t rc;

	k->m.part = (struct ipc_part){ .h = { .id = id, .size = (int32_t)size }, .last = last, .n = (u32)n };
	if (n)
		memcpy(k->m.bytes + sizeof(k->m.part), p, n);
	while ((rc = qb_ipcc_send(k->qb, k->m.bytes, size)) == -EAGAIN) {
		if (!left_ms(k))
			return timed_out(k);
		poll(NULL, 0, 1);
	}
	return rc == (ssize_t)size ? 0 : err_set(k->e, -DSI_ENOTCONN, "%s closed the connection", k->name);
}

/* The next message: its payload is behind k->m.reply. */
static int call_recv(struct call *k)
{
	ssize_t rc;

	for (;;) {
		int ms = left_ms(k);

		if (!ms)
			return timed_out(k);
		rc = qb_ipcc_recv(k->qb, k->m.bytes, sizeof(k->m.bytes), ms);
		if (rc != -ETIMEDOUT && rc != -EAGAIN)
			break;
		/* libqb does not notice a server's death here */
		if (kill(k->server, 0) && errno == ESRCH) {
			rc = -ENOTCONN;
			break;
		}
	}
	if (rc < 0)
		return err_set(k->e, -DSI_ENOTCONN, "%s closed the connection", k->name);
	if ((size_t)rc < sizeof(k->m.reply) || k->m.reply.n != (size_t)rc - sizeof(k->m.reply))
		return err_set(k->e, -DSI_EPEER, "%s sent a malformed answer", k->name);
	return 0;
}

static int call_ask(struct call *k, const char *request, size_t n)
{
	size_t at = 0;

	for (;;) {
		size_t part = MIN(n - at, (size_t)IPC_PIECE);
		bool last = at + part == n;
		int rc = call_send(k, IPC_PART, request + at, part, last);

		if (rc || last)
			return rc;
		rc = call_recv(k);
		if (rc)
			return rc;
		at += part;
	}
}

static int call_answer(struct call *k, struct wbuf *w)
{
	for (;;) {
		int rc = call_recv(k);

		if (rc)
			return rc;
		wbuf_bytes(w, k->m.bytes + sizeof(k->m.reply), k->m.reply.n);
		if (!wbuf_ok(w))
			return err_set(k->e, -DSI_ELIMIT, "%s sent too long an answer", k->name);
		if (k->m.reply.last)
			return 0;
		rc = call_send(k, IPC_NEXT, NULL, 0, true);
		if (rc)
			return rc;
	}
}

int ipc_call(const char *name, const char *request, size_t n, int timeout_ms, char **ret, size_t *ret_len, struct err *e)
{
	struct call *k;
	struct wbuf w;
	int rc;

	if (n > LIM_CTL)
		return err_set(e, -DSI_ELIMIT, "the request is larger than %d bytes", LIM_CTL);
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_set(e, -DSI_ENOMEM, "request to %s", name);
	k->name = name;
	k->until = now_ms() + (u64)MAX(timeout_ms, 1);
	k->e = e;
	wbuf_init(&w, LIM_CTL + 1);
	rc = call_connect(k);
	if (!rc)
		rc = call_ask(k, request, n);
	if (!rc)
		rc = call_answer(k, &w);
	wbuf_u8(&w, 0);
	if (!rc && !wbuf_ok(&w))
		rc = err_set(e, -DSI_ENOMEM, "answer of %s", name);
	if (!rc) {
		*ret_len = w.len - 1;
		*ret = (char *)w.data;
	} else {
		wbuf_fini(&w);
	}
	if (k->qb)
		qb_ipcc_disconnect(k->qb);
	free(k);
	return rc;
}
