/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The direct leg: TLS 1.3 between two members, keys pinned to the log; needs neither ring nor view. Used
 * for enrolment, catch-up, blobs (policy images), snapshots, and as the second path of a verdict.
 *
 * Both ends present a self-signed certificate over their Ed25519 node (or server) signing key; the private
 * key stays in the key service: the handshake signature is made there (purpose TLS). No CA takes part:
 * the key must be bound, live, in the log (`binding`). An enrolling newcomer presents its new, unbound key
 * and may only call ENROL; it checks the server's key by the token (which carries the hash of the root and
 * the root-signed GENESIS is sent first).
 *
 * Requests and replies: u32 length (of what follows) | u16 kind (+ 0x8000 in a reply) | u16 code | u32 id |
 * payload. One request table with the column "who may ask" (MEMBER, NEWCOMER: members too); limits
 * LIM_DIRECT_FRAME, for newcomers 64 KiB; bounded connections per address and in all; a handshake and a
 * frame once begun must end within a deadline. The binding is looked up again at every request.
 */
#ifndef DSI_GCS_DIRECT_H
#define DSI_GCS_DIRECT_H

#include "lib/err.h"
#include "lib/keyservice.h"
#include "lib/loop.h"

#define DIRECT_TABLE(X)                                                                                \
	X(ENTRIES, 1, MEMBER)   /* u64 from, u64 to -> list of canonical entries (may stop early) */  \
	X(BLOB, 2, MEMBER)      /* hash, u64 offset -> bytes of the blob from there */                \
	X(BLOB_PUT, 3, MEMBER)  /* hash, u64 size, u64 offset, bytes -> ok */                         \
	X(ENROL, 4, NEWCOMER)   /* body_e_enrol without nid -> u32 nid, entries from 1 */             \
	X(ROOTS, 5, NEWCOMER)   /* -> GENESIS entry bytes (root-signed), newest log index */          \
	X(URGENT, 6, MEMBER)    /* a signed verdict or deposition statement -> ok */                  \
	X(RING, 7, MEMBER)      /* -> ring_gift (gcs/ring_job.h): only to a manager's live binding */  \
	X(SUBMIT, 8, MEMBER)    /* body_submit -> body_submitted (a node with a silent ring) */        \
	X(PROVEN, 9, MEMBER)    /* u64 from, u64 to -> entries and commit proofs (gcs/stage.h) */       \
	X(REFORMS, 10, MEMBER)  /* u32 generation -> REFORM entries of later ones, oldest first */     \
	X(SNAPSHOT, 11, MEMBER) /* what, see gcs/snapshot.h -> the newest state, its image, or an entry's hash */

enum direct_kind {
#define X(name, n, who) DIRECT_##name = n,
	DIRECT_TABLE(X)
#undef X
};
enum direct_who { DIRECT_WHO_MEMBER = 1, DIRECT_WHO_NEWCOMER = 2 };

struct direct;
struct direct_peer {
	u32 nid;               /* 0 for a newcomer */
	u32 role;              /* of the live binding; 0 for a newcomer */
	u8 pub[CRYPTO_PUB];    /* the key it proved */
	u8 exporter[CRYPTO_HASH]; /* TLS exporter "EXPORTER-dsi-enrol" of this session */
	char address[64];
};
struct direct_request; /* answer exactly once, now or later */

struct direct_ops {
	/* NID and role of a live binding of this key; 0 when none. */
	u32 (*binding)(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role);
	/* Bound once, now revoked, removed or suspended: cut, not even a newcomer. May be NULL. */
	bool (*dead)(void *ctx, const u8 pub[CRYPTO_PUB]);
	/* An allowed request (the table was checked). payload valid during the call. */
	void (*request)(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
			const u8 *p, size_t n);
};
void direct_reply(struct direct_request *rq, int code, const void *p, size_t n);

int direct_new(struct direct **ret, struct loop *l, struct keys *keys, const char *listen /* host:port or NULL */,
	       const struct direct_ops *ops, void *ctx, struct err *e);
void direct_free(struct direct *d); /* calls under way end with -DSI_ENOTCONN; not from inside a callback */
u16 direct_port(const struct direct *d); /* where it listens; 0 when it does not */

/* Ask. Connections are kept and reused. fn is called exactly once: code 0 or negative; p valid during it.
 * expect: the key the peer must prove; NULL accepts any bound key, for newcomers any key (they then check
 * ROOTS; our own key decides: not bound means newcomer). address: numeric host:port, [v6]:port. peer (may be
 * NULL inside fn on failure) tells what was proved and the exporter. fn is never called before direct_call
 * returned. A negative return: fn will not be called. */
typedef void direct_fn(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n);
int direct_call(struct direct *d, const char *address, const u8 *expect, enum direct_kind kind, const void *p,
		size_t n, u64 timeout_ns, direct_fn *fn, void *ctx);
/* Drop live connections whose peer key was bound when it connected and is not now, or is dead (a verdict). */
void direct_recheck(struct direct *d);

/* Blocking, for dsi-admin enroll, with a key file instead of a key service. One session, several requests. */
struct direct_client;
int direct_connect(struct direct_client **ret, const char *address, const char *keyfile, int timeout_ms,
		   struct direct_peer *ret_peer, struct err *e);
int direct_request(struct direct_client *c, enum direct_kind kind, const void *p, size_t n, u8 **ret, size_t *ret_len,
		   struct err *e);
void direct_close(struct direct_client *c);

#endif
