/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to the manager, and what a program asks of it. Must never: believe a frame from before the manager
 * spoke, wait without a deadline, print.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libdsi/impl.h"

_Static_assert(DSI_DATA_MAX + SVC_HEAD + 2 * LIM_NAME + 64 <= LIM_SVC_FRAME, "data and its frame fit a packet");
_Static_assert(DSI_WAIT_MS > LIM_SVC_WAIT_MS, "the manager's own time-out is heard");
_Static_assert(LIM_NAME == 64, "dsi_changed() gives so much");

/* Both ways; the first row of a code is what it becomes. */
static const struct {
	u32 code;
	int error;
} errors[] = {
	{ DSI_ENOENT, ENOENT },	  { DSI_EPERM, EPERM },	       { DSI_EVERSION, EPROTONOSUPPORT }, { DSI_EEXIST, EEXIST },
	{ DSI_ELIMIT, EDQUOT },	  { DSI_EAGAIN, EAGAIN },      { DSI_ETIMEDOUT, ETIMEDOUT },	  { DSI_EINVAL, EINVAL },
	{ DSI_ENOMEM, ENOMEM },	  { DSI_EIO, EIO },	       { DSI_ENOSPC, ENOSPC },		  { DSI_EPARSE, EBADMSG },
	{ DSI_EPERM, EACCES },	  { DSI_ENOTCONN, ENOTCONN },
};

int dsi_errno(u32 code)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].code == code)
			return -errors[i].error;
	return code ? -EIO : 0;
}

u32 dsi_code(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].error == error)
			return errors[i].code;
	return error ? DSI_EFAIL : 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One packet, into new memory. 1, 0: none until `until` (-1: for ever), or negative errno. */
static int receive(struct dsi *d, int64_t until, struct packet **ret)
{
	for (;;) {
		struct pollfd p = { .fd = d->fd, .events = POLLIN };
		int64_t left = until < 0 ? -1 : MAX(until - now_ms(), (int64_t)0);
		struct packet *k;
		ssize_t n;
		int rc = poll(&p, 1, (int)left);

		if (rc < 0 && errno != EINTR)
			return -errno;
		if (rc < 0)
			continue;
		if (!rc)
			return 0;
		k = malloc(sizeof(*k) + LIM_SVC_FRAME + 1);
		if (!k)
			return -ENOMEM;
		n = recv(d->fd, k->bytes, LIM_SVC_FRAME + 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			free(k);
			continue;
		}
		rc = n < 0 ? -errno : n == 0 ? -ECONNRESET : svc_decode(&k->f, SVC_MANAGER, k->bytes, (size_t)n) ? -EPROTO : 1;
		if (rc < 0) {
			free(k);
			return rc;
		}
		k->next = NULL;
		k->len = (size_t)n;
		k->bytes[n] = 0; /* data is the last field: a NUL behind it */
		*ret = k;
		return 1;
	}
}

static void keep(struct dsi *d, struct packet *k)
{
	*d->waiting_end = k;
	d->waiting_end = &k->next;
}

int dsi_send(struct dsi *d, struct svc_frame *f)
{
	u8 p[LIM_SVC_FRAME];
	size_t n;

	if (f->len > DSI_DATA_MAX)
		return -EMSGSIZE;
	if (f->type != SVC_ANSWER) {
		if (!++d->last_id) /* 0 is what the manager says by itself */
			d->last_id = 1;
		f->id = d->last_id;
	}
	if (svc_encode(f, p, sizeof(p), &n))
		return -EINVAL;
	while (send(d->fd, p, n, MSG_NOSIGNAL) < 0) {
		if (errno == EPIPE)
			return -ECONNRESET;
		if (errno == EAGAIN)
			return -ETIMEDOUT; /* SO_SNDTIMEO */
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int dsi_ask(struct dsi *d, struct svc_frame *f, u16 reply, struct packet **ret)
{
	int64_t until = now_ms() + DSI_WAIT_MS;
	struct packet *k;
	int rc = dsi_send(d, f);

	while (!rc) {
		rc = receive(d, until, &k);
		if (rc <= 0)
			return rc ? rc : -ETIMEDOUT;
		if (k->f.id == f->id && k->f.type == reply)
			break;
		rc = 0;
		if (k->f.type == SVC_REQUEST || k->f.type == SVC_CHANGED)
			keep(d, k);
		else { /* the answer to what we no longer wait for */
			d->drain |= k->f.type == SVC_DRAIN;
			free(k);
		}
	}
	if (rc < 0)
		return rc;
	rc = dsi_errno(k->f.code);
	if (ret && !rc)
		*ret = k;
	else
		free(k);
	return rc;
}

int dsi_wait(struct dsi *d, u16 type, int timeout_ms, struct packet **ret)
{
	int64_t until = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;

	for (struct packet **p = &d->waiting; *p; p = &(*p)->next) {
		struct packet *k = *p;

		if (k->f.type != type)
			continue;
		*p = k->next;
		if (!*p)
			d->waiting_end = p;
		*ret = k;
		return 1;
	}
	for (;;) {
		struct packet *k;
		int rc = receive(d, until, &k);

		if (rc <= 0)
			return rc;
		if (k->f.type == type) {
			*ret = k;
			return 1;
		}
		if (k->f.type == SVC_REQUEST || k->f.type == SVC_CHANGED)
			keep(d, k);
		else {
			d->drain |= k->f.type == SVC_DRAIN;
			free(k);
		}
	}
}

/* The manager speaks first (lib/svc.h). */
static int greeted(struct dsi *d)
{
	struct packet *k;
	int rc = receive(d, now_ms() + DSI_WAIT_MS, &k);

	if (rc <= 0)
		return rc ? rc : -ETIMEDOUT;
	rc = k->f.type == SVC_ME && !k->f.id ? dsi_errno(k->f.code) : -EPROTO;
	d->me = k->f.task;
	free(k);
	return rc;
}

int dsi_open(struct dsi **ret, const char *socket_path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_sec = DSI_WAIT_MS / 1000 };
	struct dsi *d;
	int rc = 0;

	if (!socket_path)
		socket_path = SVC_SOCKET;
	if (strlen(socket_path) >= sizeof(a.sun_path))
		return -EINVAL;
	memcpy(a.sun_path, socket_path, strlen(socket_path));
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->waiting_end = &d->waiting;
	d->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (d->fd < 0 || setsockopt(d->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)))
		rc = -errno;
	while (!rc && connect(d->fd, (struct sockaddr *)&a, sizeof(a)))
		if (errno != EINTR)
			rc = errno == ENOENT || errno == ECONNREFUSED ? -ENOTCONN : -errno;
	if (!rc)
		rc = greeted(d);
	if (rc)
		dsi_close(d);
	else
		*ret = d;
	return rc;
}

void dsi_close(struct dsi *d)
{
	if (!d)
		return;
	while (d->waiting) {
		struct packet *k = d->waiting;

		d->waiting = k->next;
		free(k);
	}
	free(d->request);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

int dsi_fd(const struct dsi *d)
{
	return d->fd;
}

int dsi_whoami(struct dsi *d, struct dsi_task *ret)
{
	struct packet *k;
	int rc = dsi_ask(d, &(struct svc_frame){ .type = SVC_WHOAMI }, SVC_ME, &k);

	if (rc)
		return rc;
	*ret = (struct dsi_task){ .pid = k->f.task.pid, .uid = k->f.task.uid, .start = k->f.task.start, .node = k->f.task.nid,
				  .context = k->f.task.sid };
	free(k);
	return 0;
}

int dsi_peer(struct dsi *d, int fd, struct dsi_task *ret)
{
	(void)d;
	(void)fd;
	(void)ret;
	return -EOPNOTSUPP;
}

static int name_set(struct svc_frame *f, const char *name)
{
	if (!name || !svc_name_ok(name))
		return -EINVAL;
	memcpy(f->name, name, strlen(name) + 1);
	return 0;
}

static void service_of(const struct svc_frame *f, struct dsi_service *ret)
{
	_Static_assert(sizeof(ret->version) == SVC_TEXT, "as the frame has it");
	*ret = (struct dsi_service){ .api = f->api, .caps = f->caps };
	memcpy(ret->version, f->version, sizeof(ret->version));
}

int dsi_lookup(struct dsi *d, const char *name, struct dsi_service *ret)
{
	struct svc_frame f = { .type = SVC_LOOKUP };
	struct packet *k;
	int rc = name_set(&f, name);

	if (!rc)
		rc = dsi_ask(d, &f, SVC_FOUND, &k);
	if (rc)
		return rc;
	service_of(&k->f, ret);
	free(k);
	return 0;
}

int dsi_call(struct dsi *d, const char *name, uint32_t api, uint32_t caps, const void *data, size_t len, void **ret,
	     size_t *ret_len)
{
	struct svc_frame f = { .type = SVC_CALL, .api = api, .caps = caps, .data = data, .len = len };
	struct packet *k;
	int rc = api ? name_set(&f, name) : -EINVAL;

	if (!rc)
		rc = dsi_ask(d, &f, SVC_RESULT, &k);
	if (rc)
		return rc;
	*ret_len = k->f.len;
	*ret = malloc(k->f.len + 1);
	if (*ret) {
		memcpy(*ret, k->f.data, k->f.len);
		((char *)*ret)[k->f.len] = 0;
	}
	free(k);
	return *ret ? 0 : -ENOMEM;
}

int dsi_watch(struct dsi *d, const char *name)
{
	struct svc_frame f = { .type = SVC_WATCH };
	int rc = name_set(&f, name);
	u32 i = 0;

	while (!rc && i < d->n_watch && strcmp(d->watch[i].name, name))
		i++;
	if (!rc && i == DSI_WATCHES)
		return -EDQUOT;
	if (!rc)
		rc = dsi_send(d, &f);
	if (rc)
		return rc;
	d->watch[i].id = f.id;
	memcpy(d->watch[i].name, f.name, sizeof(f.name));
	d->n_watch = MAX(d->n_watch, i + 1);
	return 0;
}

int dsi_changed(struct dsi *d, int timeout_ms, char ret_name[64], struct dsi_service *ret)
{
	int64_t until = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;

	for (;;) {
		struct packet *k;
		int left = until < 0 ? -1 : (int)MAX(until - now_ms(), (int64_t)0);
		int rc = dsi_wait(d, SVC_CHANGED, left, &k);
		u32 i = 0;

		if (rc <= 0)
			return rc;
		while (i < d->n_watch && d->watch[i].id != k->f.id)
			i++;
		if (i < d->n_watch) {
			rc = k->f.code && k->f.code != DSI_ENOENT ? dsi_errno(k->f.code) : 1;
			memcpy(ret_name, d->watch[i].name, LIM_NAME);
			service_of(&k->f, ret);
		}
		free(k);
		if (i < d->n_watch)
			return rc;
	}
}
