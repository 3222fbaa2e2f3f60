/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key service and its client. The service's memory: three seeds, locked, never written anywhere. Its
 * requests are a table (KEYSVC_TABLE), and so is what may be signed. Reply: i32 code, result.
 */
#include "lib/keyservice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/limits.h"
#include "lib/link.h"
#include "lib/sandbox.h"
#include "lib/secret.h"

enum { REPLY_MAX = 256, DERIVE_MAX = 64, CALL_MS = 5000, START_MS = 60000, FDS_MAX = 8 };

struct seeds {
	u8 sign[CRYPTO_SEED], kem[CRYPTO_SEED], ca[CRYPTO_SEED];
};

/* --- key files ------------------------------------------------------------------------------------------ */

static int keyfile_parse(const u8 p[KEYFILE_SIZE], enum keyfile_kind kind, struct seeds *ret, struct err *e)
{
	u8 sum[CRYPTO_HASH];

	if (memcmp(p, "DSIK", 4))
		return err_set(e, -DSI_EPARSE, "not a key file");
	if (p[4] != 1)
		return err_set(e, -DSI_EVERSION, "key file of version %u", p[4]);
	if (p[5] != kind)
		return err_set(e, -DSI_EINVAL, "key file of another kind");
	if (crypto_sha256(p, KEYFILE_SIZE - CRYPTO_HASH, sum) || !crypto_equal(sum, p + KEYFILE_SIZE - CRYPTO_HASH, CRYPTO_HASH))
		return err_set(e, -DSI_EPARSE, "key file is damaged");
	memcpy(ret, p + 6, sizeof(*ret));
	return 0;
}

static int keyfile_load_fd(int fd, enum keyfile_kind kind, struct seeds *ret, struct err *e)
{
	u8 p[KEYFILE_SIZE + 1];
	ssize_t n = pread(fd, p, sizeof(p), 0);
	int rc = n == KEYFILE_SIZE ? keyfile_parse(p, kind, ret, e) : err_set(e, -DSI_ETRUNC, "key file has a wrong size");

	crypto_wipe(p, sizeof(p));
	return rc;
}

static int keyfile_load(const char *path, enum keyfile_kind kind, struct seeds *ret, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;

	if (fd < 0)
		return err_errno(e, errno == ENOENT ? -DSI_ENOENT : -DSI_EIO, "%s", path);
	rc = keyfile_load_fd(fd, kind, ret, e);
	close(fd);
	return rc ? err_wrap(e, "%s", path) : 0;
}

static int pub_of(const struct seeds *s, struct keyfile_pub *ret)
{
	int rc = crypto_sign_pub(s->sign, ret->sign);

	return rc ? rc : crypto_kem_pub(s->kem, ret->kem);
}

static int write_key(const char *path, const u8 p[KEYFILE_SIZE], struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0440);
	bool ok;

	if (fd < 0)
		return err_errno(e, errno == EEXIST ? -DSI_EEXIST : -DSI_EIO, "%s", path);
	ok = write(fd, p, KEYFILE_SIZE) == KEYFILE_SIZE && !fchmod(fd, 0440) && !fsync(fd);
	if (close(fd) || !ok) {
		unlink(path);
		return err_errno(e, -DSI_EIO, "%s", path);
	}
	return 0;
}

int keyfile_create(const char *path, enum keyfile_kind kind, struct keyfile_pub *ret, struct err *e)
{
	u8 p[KEYFILE_SIZE] = { 'D', 'S', 'I', 'K', 1, (u8)kind };
	struct seeds s;
	int rc = crypto_random(&s, sizeof(s));

	if (!rc)
		rc = pub_of(&s, ret);
	memcpy(p + 6, &s, sizeof(s));
	if (!rc)
		rc = crypto_sha256(p, KEYFILE_SIZE - CRYPTO_HASH, p + KEYFILE_SIZE - CRYPTO_HASH);
	rc = rc ? err_set(e, rc, "%s: %s", path, err_text(rc)) : write_key(path, p, e);
	crypto_wipe(&s, sizeof(s));
	crypto_wipe(p, sizeof(p));
	return rc;
}

int keyfile_read_pub(const char *path, enum keyfile_kind kind, struct keyfile_pub *ret, struct err *e)
{
	struct seeds s;
	int rc = keyfile_load(path, kind, &s, e);

	if (!rc)
		rc = pub_of(&s, ret);
	crypto_wipe(&s, sizeof(s));
	return rc;
}

static bool purpose_known(enum sign_purpose p)
{
	return p > 0 && p < SIGN_PURPOSE_COUNT;
}

int keyfile_sign(const char *path, enum sign_purpose p, const void *d, size_t n, u8 ret[CRYPTO_SIG], struct err *e)
{
	struct seeds s;
	int rc = keyfile_load(path, KEYFILE_NODE, &s, NULL);

	if (rc)
		rc = keyfile_load(path, KEYFILE_SERVER, &s, e);
	if (!rc && crypto_sign(s.sign, p, d, n, ret))
		rc = err_set(e, -DSI_ECRYPTO, "%s: cannot sign", path);
	crypto_wipe(&s, sizeof(s));
	return rc;
}

/* --- service ---------------------------------------------------------------------------------------------- */

/* TLS transcripts start with 64 spaces and nothing else does. */
static bool looks_tls(const u8 *d, size_t n)
{
	static const u8 spaces[] = "                                                                TLS 1.3, ";

	return n > sizeof(spaces) && !memcmp(d, spaces, sizeof(spaces) - 1);
}

/* A DER SEQUENCE: neither of the other raw forms. */
static bool looks_cert(const u8 *d, size_t n)
{
	return n && d[0] == 0x30;
}

/* What a service of this kind may sign, and what it must look like where no prefix of ours tells it apart. STATEMENT and
 * ROOT have no row: people's keys, never here. */
static const struct {
	u32 kinds;
	bool (*looks)(const u8 *d, size_t n);
} purposes[SIGN_PURPOSE_COUNT] = {
	[SIGN_ENVELOPE] = { KEYFILE_NODE | KEYFILE_SERVER, NULL },
	[SIGN_STATE] = { KEYFILE_NODE | KEYFILE_SERVER, NULL },
	[SIGN_TLS] = { KEYFILE_NODE | KEYFILE_SERVER, looks_tls },
	[SIGN_CERT] = { KEYFILE_NODE | KEYFILE_SERVER, looks_cert },
	[SIGN_PROMISE] = { KEYFILE_NODE, NULL },
	[SIGN_ENROL] = { KEYFILE_NODE, NULL },
	[SIGN_ENTRY] = { KEYFILE_SERVER, NULL },
};

static bool may_sign(enum keyfile_kind kind, enum sign_purpose p, const u8 *d, size_t n)
{
	return purposes[p].kinds & kind && (!purposes[p].looks || purposes[p].looks(d, n));
}

static int serve_PUB(const struct seeds *s, enum keyfile_kind kind, struct rbuf *in, struct wbuf *out)
{
	struct keyfile_pub pub;
	int rc = pub_of(s, &pub);

	wbuf_bytes(out, &pub, sizeof(pub));
	return rc;
}

static int serve_SIGN(const struct seeds *s, enum keyfile_kind kind, struct rbuf *in, struct wbuf *out)
{
	enum sign_purpose p = rbuf_u8(in);
	size_t n = rbuf_left(in);
	const u8 *d = rbuf_bytes(in, n);
	u8 sig[CRYPTO_SIG];
	int rc;

	if (!d || !purpose_known(p) || !may_sign(kind, p, d, n))
		return -DSI_EROLE;
	rc = crypto_sign(s->sign, p, d, n, sig);
	wbuf_bytes(out, sig, sizeof(sig));
	return rc;
}

static int serve_UNWRAP(const struct seeds *s, enum keyfile_kind kind, struct rbuf *in, struct wbuf *out)
{
	size_t n = rbuf_u16(in);
	const u8 *info = rbuf_bytes(in, n), *wrap = rbuf_bytes(in, CRYPTO_WRAP);
	u8 key[CRYPTO_KEY];
	int rc;

	if (!wrap || rbuf_left(in))
		return -DSI_EPARSE;
	rc = crypto_unwrap(s->kem, info, n, wrap, key);
	wbuf_bytes(out, key, sizeof(key));
	crypto_wipe(key, sizeof(key));
	return rc;
}

static int serve_DERIVE(const struct seeds *s, enum keyfile_kind kind, struct rbuf *in, struct wbuf *out)
{
	const u8 *peer = rbuf_bytes(in, CRYPTO_PUB);
	size_t want = rbuf_u16(in), n = rbuf_left(in);
	const u8 *info = rbuf_bytes(in, n);
	u8 dh[CRYPTO_KEY], key[DERIVE_MAX];
	int rc;

	if (!peer || !info || !want || want > sizeof(key))
		return -DSI_EPARSE;
	rc = crypto_dh(s->kem, peer, dh);
	if (!rc)
		rc = crypto_hkdf(NULL, 0, dh, sizeof(dh), info, n, key, want);
	wbuf_bytes(out, key, want);
	crypto_wipe(dh, sizeof(dh));
	crypto_wipe(key, sizeof(key));
	return rc;
}

static const struct {
	u32 kinds;
	int (*serve)(const struct seeds *s, enum keyfile_kind kind, struct rbuf *in, struct wbuf *out);
} op_table[KEYSVC_OPS] = {
#define X(op, number, who) [number] = { who, serve_##op },
	KEYSVC_TABLE(X)
#undef X
};
_Static_assert((int)KEYSVC_OPS <= (int)KEYSVC_REPLY, "a reply is no request");

/* One request of a client of this service. */
static int serve(const struct seeds *s, enum keyfile_kind kind, u16 op, struct rbuf *in, struct wbuf *out)
{
	if (op >= KEYSVC_OPS || !op_table[op].serve)
		return -DSI_EINVAL;
	return op_table[op].kinds & kind ? op_table[op].serve(s, kind, in, out) : -DSI_EROLE;
}

/* One request; false when the client is gone or broke the protocol. */
static bool serve_one(const struct seeds *s, enum keyfile_kind kind, int fd, u8 *buf)
{
	u8 reply[REPLY_MAX];
	struct wbuf out;
	struct rbuf in;
	size_t n;
	u32 id;
	u16 type;
	int rc;

	if (link_recv(fd, &type, &id, buf, LIM_LINK_FRAME, &n))
		return false;
	rbuf_init(&in, buf, n);
	wbuf_fixed(&out, reply, sizeof(reply));
	wbuf_u32(&out, 0);
	rc = serve(s, kind, type, &in, &out);
	if (rc) {
		wbuf_reset(&out);
		wbuf_u32(&out, (u32)rc);
	}
	rc = link_reply(fd, KEYSVC_REPLY, id, reply, out.len);
	crypto_wipe(reply, sizeof(reply));
	return !rc;
}

void keyservice_run(int key_fd, enum keyfile_kind kind, const int *fds, size_t n_fds)
{
	struct pollfd p[FDS_MAX];
	struct secret *secret = secret_new(sizeof(struct seeds));
	struct seeds *s = secret ? (struct seeds *)secret_bytes(secret) : NULL;
	u8 *buf = malloc(LIM_LINK_FRAME);
	struct err e = { 0 };
	size_t live = MIN(n_fds, (size_t)FDS_MAX);

	/* what OpenSSL wants to open, it opens before the filter is on */
	if (!s || !buf || crypto_init() || keyfile_load_fd(key_fd, kind, s, &e)) {
		dprintf(2, "key service: %s\n", s ? e.text : "no locked memory");
		_exit(3);
	}
	close(key_fd);
	if (sandbox_enter(kind == KEYFILE_NODE ? SANDBOX_NODE_KEYS : SANDBOX_SERVER_KEYS, &e)) {
		dprintf(2, "key service: %s\n", e.text);
		_exit(3);
	}
	for (size_t i = 0; i < live; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	while (live) {
		if (poll(p, (nfds_t)MIN(n_fds, (size_t)FDS_MAX), -1) < 0 && errno != EINTR)
			break;
		for (size_t i = 0; i < MIN(n_fds, (size_t)FDS_MAX); i++)
			if (p[i].fd >= 0 && p[i].revents && !serve_one(s, kind, p[i].fd, buf)) {
				close(p[i].fd);
				p[i].fd = -1;
				live--;
			}
	}
	secret_free(secret);
	_exit(0);
}

/* --- client ------------------------------------------------------------------------------------------------ */

static int call_within(struct keys *k, int ms, enum keysvc_op op, const struct wbuf *in, void *ret, size_t want)
{
	u8 reply[REPLY_MAX];
	struct rbuf r;
	size_t n = 0;
	int rc;

	if (!wbuf_ok(in))
		return -DSI_ELIMIT;
	rc = link_call(k->fd, op, in->data, in->len, KEYSVC_REPLY, reply, sizeof(reply), &n, ms);
	if (rc)
		return rc;
	rbuf_init(&r, reply, n);
	rc = (int)rbuf_u32(&r);
	if (!rc)
		rbuf_copy(&r, ret, want);
	if (!rc && rbuf_end(&r))
		rc = -DSI_EPEER;
	crypto_wipe(reply, sizeof(reply));
	return rc;
}

static int call(struct keys *k, enum keysvc_op op, const struct wbuf *in, void *ret, size_t want)
{
	return call_within(k, CALL_MS, op, in, ret, want);
}

/* The service is only starting: a machine under load may take its time to load and seal it. */
int keys_open(struct keys *k, int fd, struct err *e)
{
	struct wbuf none = { 0 };
	int rc;

	k->fd = fd;
	rc = call_within(k, START_MS, KEYSVC_PUB, &none, &k->pub, sizeof(k->pub));
	return rc ? err_set(e, rc, "key service does not answer: %s", err_text(rc)) : 0;
}

int keys_sign(struct keys *k, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	struct wbuf w;
	int rc;

	wbuf_init(&w, LIM_LINK_FRAME - 16);
	wbuf_u8(&w, (u8)purpose);
	wbuf_bytes(&w, p, n);
	rc = call(k, KEYSVC_SIGN, &w, ret, CRYPTO_SIG);
	wbuf_fini(&w);
	return rc;
}

int keys_unwrap(struct keys *k, const void *info, size_t info_len, const u8 wrap[CRYPTO_WRAP], u8 ret[CRYPTO_KEY])
{
	struct wbuf w;
	int rc;

	wbuf_init(&w, 4096);
	wbuf_u16(&w, (u16)info_len);
	wbuf_bytes(&w, info, info_len);
	wbuf_bytes(&w, wrap, CRYPTO_WRAP);
	rc = call(k, KEYSVC_UNWRAP, &w, ret, CRYPTO_KEY);
	wbuf_fini(&w);
	return rc;
}

int keys_derive(struct keys *k, const u8 peer[CRYPTO_PUB], const void *info, size_t info_len, u8 *ret, size_t n)
{
	struct wbuf w;
	int rc;

	wbuf_init(&w, 4096);
	wbuf_bytes(&w, peer, CRYPTO_PUB);
	wbuf_u16(&w, (u16)n);
	wbuf_bytes(&w, info, info_len);
	rc = call(k, KEYSVC_DERIVE, &w, ret, n);
	wbuf_fini(&w);
	return rc;
}
