/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The direct leg for a command: one session, blocking, with a key file. Must never be used where a loop
 * runs. Whom it speaks with is the caller's to judge: it gets the proved key and the exporter.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gcs/direct.h"
#include "gcs/direct_wire.h"
#include "gcs/tls.h"
#include "lib/buf.h"
#include "lib/loop.h"

struct direct_client {
	struct tls *tls;
	struct tls_conn *conn;
	int fd;
	int timeout_ms;
	u64 until;
	u32 next_id;
	struct wbuf rx;
	char keyfile[LIM_PATH];
};

static int sign_with_file(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	const struct direct_client *c = ctx;

	return keyfile_sign(c->keyfile, purpose, p, n, ret, NULL);
}

static int wait_for(struct direct_client *c, short events, struct err *e)
{
	struct pollfd pfd = { .fd = c->fd, .events = events };

	for (;;) {
		u64 now = loop_boottime();
		int rc = now < c->until ? poll(&pfd, 1, (int)((c->until - now) / 1000000) + 1) : 0;

		if (rc > 0)
			return 0;
		if (rc == 0)
			return err_set(e, -DSI_ETIMEDOUT, "no answer in time");
		if (errno != EINTR)
			return err_errno(e, -DSI_EIO, "poll");
	}
}

static int push(struct direct_client *c, struct err *e)
{
	const u8 *p;
	size_t n;

	while ((n = tls_output(c->conn, &p)) > 0) {
		ssize_t done = send(c->fd, p, n, MSG_NOSIGNAL);
		int rc;

		if (done > 0) {
			tls_output_done(c->conn, (size_t)done);
			continue;
		}
		if (done == 0 || (errno != EAGAIN && errno != EINTR))
			return err_errno(e, -DSI_ENOTCONN, "connection lost");
		rc = wait_for(c, POLLOUT, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int pull(struct direct_client *c, struct err *e)
{
	u8 buf[16 << 10];
	ssize_t n;
	int rc = wait_for(c, POLLIN, e);

	if (rc != 0)
		return rc;
	n = recv(c->fd, buf, sizeof(buf), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return err_set(e, -DSI_ENOTCONN, "the peer closed the connection");
	if (tls_input(c->conn, buf, (size_t)n) == TLS_FAILED) {
		(void)push(c, NULL);
		return err_set(e, -DSI_EPEER, "TLS: %s", tls_why(c->conn));
	}
	return 0;
}

static int pull_plain(struct direct_client *c, struct err *e)
{
	u8 buf[16 << 10];
	long n;
	int rc = pull(c, e);

	if (rc != 0)
		return rc;
	while ((n = tls_read(c->conn, buf, sizeof(buf))) > 0)
		wbuf_bytes(&c->rx, buf, (size_t)n);
	if (n < 0 || !wbuf_ok(&c->rx))
		return err_set(e, -DSI_EPEER, "TLS: %s", n < 0 ? tls_why(c->conn) : "reply too long");
	if (tls_state(c->conn) == TLS_CLOSED)
		return err_set(e, -DSI_ENOTCONN, "the peer closed the connection");
	return 0;
}

static void start_clock(struct direct_client *c)
{
	c->until = loop_boottime() + (u64)MAX(c->timeout_ms, 1) * 1000000;
}

static int dial(struct direct_client *c, const char *address, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(int);
	int error = 0, rc = direct_address(address, /* dns= */ true, &sa, &len, e);

	if (rc != 0)
		return rc;
	c->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_errno(e, -DSI_EIO, "socket");
	if (connect(c->fd, (struct sockaddr *)&sa, len) != 0) {
		if (errno != EINPROGRESS)
			return err_errno(e, -DSI_ENOTCONN, "connect");
		rc = wait_for(c, POLLOUT, e);
		if (rc != 0)
			return rc;
		len = sizeof(error);
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
			errno = error;
			return err_errno(e, -DSI_ENOTCONN, "connect");
		}
	}
	return 0;
}

static int handshake(struct direct_client *c, struct direct_peer *peer, struct err *e)
{
	int rc = 0;

	if (tls_input(c->conn, NULL, 0) == TLS_FAILED)
		return err_set(e, -DSI_ECRYPTO, "TLS: %s", tls_why(c->conn));
	while (rc == 0 && tls_state(c->conn) == TLS_HANDSHAKE) {
		rc = push(c, e);
		if (rc == 0 && tls_state(c->conn) == TLS_HANDSHAKE)
			rc = pull(c, e);
	}
	if (rc == 0)
		rc = push(c, e);
	if (rc != 0)
		return rc;
	memcpy(peer->pub, tls_peer(c->conn), CRYPTO_PUB);
	if (tls_exporter(c->conn, peer->exporter) != 0)
		return err_set(e, -DSI_ECRYPTO, "TLS: no exporter");
	return 0;
}

static int set_up(struct direct_client *c, const char *address, const char *keyfile, struct direct_peer *peer,
		  struct err *e)
{
	struct tls_key key = { .sign = sign_with_file, .ctx = c };
	struct keyfile_pub pub;
	int rc;

	if (strlen(keyfile) >= sizeof(c->keyfile))
		return err_set(e, -DSI_ELIMIT, "%s: path too long", keyfile);
	snprintf(c->keyfile, sizeof(c->keyfile), "%s", keyfile);
	rc = keyfile_read_pub(keyfile, KEYFILE_NODE, &pub, NULL);
	if (rc != 0)
		rc = keyfile_read_pub(keyfile, KEYFILE_SERVER, &pub, e);
	if (rc != 0)
		return rc;
	memcpy(key.pub, pub.sign, sizeof(key.pub));
	rc = tls_new(&c->tls, &key, e);
	if (rc != 0)
		return rc;
	c->conn = tls_conn_new(c->tls, /* server= */ false);
	if (!c->conn)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	start_clock(c);
	rc = dial(c, address, e);
	return rc == 0 ? handshake(c, peer, e) : rc;
}

int direct_connect(struct direct_client **ret, const char *address, const char *keyfile, int timeout_ms,
		   struct direct_peer *ret_peer, struct err *e)
{
	struct direct_client *c = calloc(1, sizeof(*c));
	struct direct_peer peer = { 0 };
	int rc;

	if (!c)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	c->fd = -1;
	c->timeout_ms = timeout_ms;
	c->next_id = 1;
	wbuf_init(&c->rx, LIM_DIRECT_FRAME + (32 << 10));
	rc = set_up(c, address, keyfile, &peer, e);
	if (rc != 0) {
		direct_close(c);
		err_wrap(e, "%s", address);
		return rc;
	}
	snprintf(peer.address, sizeof(peer.address), "%.63s", address);
	*ret_peer = peer;
	*ret = c;
	return 0;
}

/* The reply to id, in c->rx from *ret_used on. Nothing else may come. */
static int await(struct direct_client *c, enum direct_kind kind, u32 id, struct direct_frame *f, struct err *e)
{
	long used;
	int rc;

	while ((used = direct_frame_get(f, c->rx.data, c->rx.len, LIM_DIRECT_FRAME)) == 0) {
		rc = pull_plain(c, e);
		if (rc != 0)
			return rc;
	}
	if (used < 0 || (size_t)used != c->rx.len || !f->reply || f->kind != kind || f->id != id ||
	    f->code >= DSI_ERR_COUNT)
		return err_set(e, -DSI_EPEER, "the peer broke the protocol");
	return 0;
}

/* A refusal may carry its reason as text; what a terminal would obey is not passed on. */
static int refusal(const struct direct_frame *f, struct err *e)
{
	char why[200];
	size_t n = MIN(f->n, sizeof(why) - 1);

	for (size_t i = 0; i < n; i++)
		why[i] = f->p[i] >= ' ' && f->p[i] < 0x7f ? (char)f->p[i] : '?';
	why[n] = '\0';
	return err_set(e, -(int)f->code, "%s%s%s", err_text(f->code), n ? ": " : "", why);
}

static int take_reply(const struct direct_frame *f, u8 **ret, size_t *ret_len, struct err *e)
{
	u8 *p;

	if (f->code != 0)
		return refusal(f, e);
	p = malloc(f->n + 1);
	if (!p)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	if (f->n)
		memcpy(p, f->p, f->n);
	*ret = p;
	*ret_len = f->n;
	return 0;
}

int direct_request(struct direct_client *c, enum direct_kind kind, const void *p, size_t n, u8 **ret, size_t *ret_len,
		   struct err *e)
{
	u8 head[DIRECT_HEAD];
	struct direct_frame f;
	u32 id = c->next_id++;
	int rc;

	if (n > LIM_DIRECT_FRAME - DIRECT_HEAD)
		return err_set(e, -DSI_ELIMIT, "%s: request too long", direct_kind_name((u16)kind));
	start_clock(c);
	wbuf_reset(&c->rx);
	direct_head_put(head, (u16)kind, 0, id, n);
	if (tls_write(c->conn, head, sizeof(head)) != 0 || tls_write(c->conn, p, n) != 0)
		return err_set(e, -DSI_EPEER, "TLS: %s", tls_why(c->conn));
	rc = push(c, e);
	if (rc == 0)
		rc = await(c, kind, id, &f, e);
	if (rc == 0)
		rc = take_reply(&f, ret, ret_len, e);
	if (rc != 0)
		err_wrap(e, "%s", direct_kind_name((u16)kind));
	return rc;
}

void direct_close(struct direct_client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	tls_conn_free(c->conn);
	tls_free(c->tls);
	wbuf_fini(&c->rx);
	free(c);
}
