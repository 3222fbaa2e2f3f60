/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key service: a process that holds the private keys of a node (or of a server) and can do nothing
 * but sign, unwrap and derive. It reads its key file once (descriptor inherited from the root parent),
 * locks its memory, drops to its own user, enters a seccomp filter that knows read/write/poll/exit, and
 * serves requests on inherited socketpairs, one at a time.
 *
 * Who may ask for what is a column of the request table (KEYSVC_TABLE), not an if: an operation that the service of
 * this kind has no row for is refused as -DSI_EROLE, before its payload is looked at.
 *
 * Key file (root:_dsikey 0440; written by `dsi-admin init|enroll`): "DSIK" u8 version, u8 kind
 * (1 node, 2 server), 32-byte Ed25519 seed, 32-byte X25519 seed, 32-byte CA seed (P-256 scalar for the
 * node's or server's CA), SHA-256 of all before.
 */
#ifndef DSI_LIB_KEYSERVICE_H
#define DSI_LIB_KEYSERVICE_H

#include "lib/crypto.h"
#include "lib/err.h"

enum keyfile_kind { KEYFILE_NODE = 1, KEYFILE_SERVER = 2 }; /* bits, for columns */

/*
 * X(NAME, number, key services that have it, what it takes -> what it gives). Numbers are a format between processes of
 * one package: append only. Everybody who holds a socket to the service may ask what is in its column; which
 * purposes SIGN has is a second column, by purpose (keyservice.c).
 */
#define KEYSVC_TABLE(X)                                                                                \
	X(PUB, 1, KEYFILE_NODE | KEYFILE_SERVER)    /* nothing -> both public halves */               \
	X(SIGN, 2, KEYFILE_NODE | KEYFILE_SERVER)   /* u8 purpose, bytes -> signature */              \
	X(UNWRAP, 3, KEYFILE_NODE | KEYFILE_SERVER) /* u16 info length, info, wrap -> group key */    \
	X(DERIVE, 4, KEYFILE_NODE | KEYFILE_SERVER) /* peer's key, u16 wanted, info -> that many bytes */

enum keysvc_op {
#define X(name, number, kinds) KEYSVC_##name = number,
	KEYSVC_TABLE(X)
#undef X
	KEYSVC_OPS,
	KEYSVC_REPLY = 64,
};
enum { KEYFILE_SIZE = 6 + 3 * 32 + 32 };

struct keyfile_pub {
	u8 sign[CRYPTO_PUB];
	u8 kem[CRYPTO_PUB];
};

/* Make a fresh key file at path (0440, O_EXCL, fsync'ed); returns its public halves. */
int keyfile_create(const char *path, enum keyfile_kind kind, struct keyfile_pub *ret, struct err *e);
int keyfile_read_pub(const char *path, enum keyfile_kind kind, struct keyfile_pub *ret, struct err *e);
/* Sign with the key in a file, in this process: only for offline commands run by root (enroll). */
int keyfile_sign(const char *path, enum sign_purpose p, const void *d, size_t n, u8 ret[CRYPTO_SIG], struct err *e);

/* Body of the key service process: never returns. key_fd: the open key file. fds: client sockets. */
void keyservice_run(int key_fd, enum keyfile_kind kind, const int *fds, size_t n_fds) DSI_NORETURN;

/* Client side, blocking, about 80 us a call. One client per thread. */
struct keys {
	int fd;
	struct keyfile_pub pub; /* filled by keys_open */
};
int keys_open(struct keys *k, int fd, struct err *e);
int keys_sign(struct keys *k, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG]) DSI_MUST_CHECK;
int keys_unwrap(struct keys *k, const void *info, size_t info_len, const u8 wrap[CRYPTO_WRAP],
		u8 ret[CRYPTO_KEY]) DSI_MUST_CHECK;
/* HKDF(DH(own KEM seed, peer), info): the pairwise secret; both ends get the same. */
int keys_derive(struct keys *k, const u8 peer[CRYPTO_PUB], const void *info, size_t info_len, u8 *ret,
		size_t n) DSI_MUST_CHECK;

#endif
