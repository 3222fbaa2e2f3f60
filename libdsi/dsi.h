/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libdsi: a program and the security manager (dsid) of its node. Who am I; which services are there; call one; provide
 * one. `pkg-config --cflags --libs dsi`; an example of both sides is doc/example-provider.c and example-client.c.
 *
 * Ownership: what a function gives in a `**ret` is the caller's, freed as said there. Strings are copied in.
 * Calls: block until the manager has answered, DSI_WAIT_MS at most. One thread at a time for one struct dsi; another
 * thread opens its own. A child made by fork() cannot use its parent's (the manager ends it); nor can a program after
 * exec: open anew.
 * Errors: 0 or negative errno. Those that mean something here:
 *   -ENOENT      no such service               -EPERM       the policy does not allow it (dsi-admin denials says why)
 *   -EPROTONOSUPPORT  it does not speak that api, or lacks those capabilities
 *   -EEXIST      the name is somebody else's   -EDQUOT, -EAGAIN  too many: of yours, of all
 *   -ETIMEDOUT   no answer in time             -ECONNRESET  the manager ended the connection, or is gone: open anew
 *   -ENOTCONN    no manager runs here          -EINVAL, -EMSGSIZE  bad argument    -EPROTO  the manager broke the protocol
 *   -EOPNOTSUPP  not built yet
 */
#ifndef DSI_H
#define DSI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DSI_API 1          /* of this header; only ever grows */
#define DSI_WAIT_MS 15000  /* longer than the manager keeps a request */
#define DSI_DATA_MAX 60000 /* bytes of a request or an answer */

struct dsi;

/* socket: NULL for the manager of this node. *ret is closed by dsi_close(). */
int dsi_open(struct dsi **ret, const char *socket);
void dsi_close(struct dsi *d); /* NULL-safe */
int dsi_fd(const struct dsi *d); /* readable: dsi_next() or dsi_changed() may have something; never read from it */

/* --- who --- */

struct dsi_task {
	uint32_t pid;
	uint32_t uid;
	uint64_t start;   /* clock ticks since boot: with pid and node it names a process for ever */
	uint32_t node;    /* number of the node in the cluster; 0: not enrolled */
	uint32_t context; /* number of the security context; 0: this node does not label */
};

/* Who this process is, by the word of the kernel. */
int dsi_whoami(struct dsi *d, struct dsi_task *ret);
/*
 * Who is at the other end of a connected socket. -EOPNOTSUPP as yet, for every socket: the kernel part that tells a
 * program the label of its peer comes with the authentication service. Nothing is guessed meanwhile.
 */
int dsi_peer(struct dsi *d, int fd, struct dsi_task *ret);

/* --- services, from outside --- */

struct dsi_service {
	char version[32];  /* of the provider's program */
	uint32_t api;      /* what it speaks; never 0 */
	uint32_t caps;     /* what it can: the service says what the bits mean */
};

int dsi_lookup(struct dsi *d, const char *name, struct dsi_service *ret);
/*
 * A request: needs an api of at least `api` and all of `caps`. 0: *ret (malloc'ed, NUL behind it, free() it) is the answer;
 * else the error, which may be the provider's own. A request that the manager took is answered once, whatever
 * becomes of providers meanwhile; one may have begun it and died, and another have answered it.
 */
int dsi_call(struct dsi *d, const char *name, uint32_t api, uint32_t caps, const void *data, size_t len, void **ret,
	     size_t *ret_len);
/* From now on dsi_changed() tells when the service comes, is replaced or goes; the first time, what is now. */
int dsi_watch(struct dsi *d, const char *name);
/* 1: something changed; ret says what is there now, ret->api 0: nothing. 0: not within timeout_ms (-1: for ever). */
int dsi_changed(struct dsi *d, int timeout_ms, char ret_name[64], struct dsi_service *ret);

/* --- services, from inside --- */

/*
 * This program provides the service from now on, by this connection. Who announces a name that the same owner (context and
 * user) provides already takes it over: new requests go here, the other one answers what it has and ends.
 */
int dsi_announce(struct dsi *d, const char *name, const char *version, uint32_t api, uint32_t caps);

struct dsi_request {
	uint32_t id;
	struct dsi_task caller; /* by the word of the manager, not of the caller */
	const void *data;       /* until the next dsi_next() or dsi_close(); NUL behind it */
	size_t len;
};

/*
 * The next request. 1: in ret, to be answered; 0: none within timeout_ms (-1: wait for ever); -ESHUTDOWN: another
 * generation has taken over or an administrator stops the service, and all is answered: end. -ECONNRESET: the manager is gone.
 */
int dsi_next(struct dsi *d, int timeout_ms, struct dsi_request *ret);
/* error: 0 or a positive errno, which the caller's dsi_call() returns. */
int dsi_answer(struct dsi *d, uint32_t id, int error, const void *data, size_t len);
int dsi_draining(const struct dsi *d); /* 1: the manager has said that no new request comes */

/*
 * The loop of a provider: waits, asks fn, answers; returns 0 when drained, else the error. fn sets *ret, *ret_len to bytes that
 * stay good until it is called again, and returns 0 or a positive errno.
 */
typedef int dsi_serve_fn(void *ctx, const struct dsi_request *rq, const void **ret, size_t *ret_len);
int dsi_serve(struct dsi *d, dsi_serve_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
