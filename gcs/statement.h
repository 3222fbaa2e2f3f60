/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statements: what an operator (or root, or a token holder) authorises, as signed bytes. Servers order and
 * countersign statements; they cannot author them. Core: no I/O.
 *
 * A statement is   "DSIS" u8 version(1) u8 signer (S_ROOT, S_OPERATOR, S_TOKEN) u16 kind | id16 cluster |
 * u32 generation | id16 request | u64 expires_ms (wall; 0 never) | u64 base | key signer_pub | u32 len | body |
 * sig (purpose STATEMENT, or ROOT for S_ROOT) over all before.
 * base: the log-determined version it builds on (policy version for POLICY, else 0 = any); a stale base is a
 * conflict. In a REFORM base is the wall time (ms) at which it was signed: its entry's. request makes it apply once.
 * The body is a tpl image of the schema of its kind.
 * expires_ms: what an operator signs must expire (0 is refused), what root signs need not.
 * generation: the one in force; 1 for GENESIS, the new one for REFORM; a VERDICT of an earlier one still counts.
 *
 * The entry type that carries a statement has a body of its own (below): the statement plus what the
 * server adds (NID, wraps).
 */
#ifndef DSI_GCS_STATEMENT_H
#define DSI_GCS_STATEMENT_H

#include "gcs/entry.h"
#include "lib/body.h"
#include "lib/err.h"

enum statement_signer { S_ROOT = 1, S_OPERATOR = 2, S_TOKEN = 3 };
enum operator_role { OP_POLICY = 1, OP_NODES = 2, OP_VERDICT = 4, OP_ALL = 7 };

/* --- statement bodies (authored by people) --------------------------------------------------------- */

/* GENESIS (root): the cluster record and the first node, which is voter 1 and server 1. */
#define BODY_S_GENESIS(F)                                                                              \
	F(str, cluster) /* name */                                                                    \
	F(key, root)    /* public key; cluster id = first 16 bytes of SHA-256 of it */                \
	F(blobs, operators) /* body_operator */                                                       \
	F(blob, node)   /* body_node of the first node */
#define BODY_OPERATOR(F) F(str, name) F(key, pub) F(u32, roles)
/* A node's self-description; inside ENROL it is signed by the node key and the token key. */
#define BODY_NODE(F)                                                                                   \
	F(str, name)                                                                                  \
	F(key, sign) F(key, kem)               /* of the manager's key service */                     \
	F(key, server_sign) F(key, server_kem) /* zero unless it hosts a server */                    \
	F(text, direct)                        /* host:port of its direct leg */                      \
	F(blobs, addrs)                        /* cluster addresses: 4 or 16 bytes each */            \
	F(u32, roles)                          /* enum node_role bits asked for */
enum node_role { NODE_MEMBER = 1, NODE_VOTER = 2, NODE_SERVER = 4, NODE_WITNESS = 8 };

#define BODY_S_TOKEN(F) F(id16, token) F(str, name) F(key, token_pub) F(u32, roles) F(u64, expires_ms) F(hash, root)
#define BODY_S_POLICY(F)                                                                               \
	F(u64, version) /* = base + 1 */                                                              \
	F(hash, digest) F(u64, size) F(str, name)                                                     \
	F(u32, confirm_s)     /* 0: stays; else goes back unless confirmed within so many seconds */  \
	F(hash, back_digest)  /* image to go back to, signed beforehand; zero when confirm_s is 0 */  \
	F(text, comment)
#define BODY_S_VERDICT(F) F(u32, nid) F(str, name) F(text, reason) F(u64, until_ms) F(u32, flags) /* VERDICT_* */
enum verdict_flag { VERDICT_KEEP_ON_RING = 1, VERDICT_FENCE = 2 };
#define BODY_S_NODE_OP(F) F(u32, nid) F(str, name) F(text, reason) /* WITHDRAW, READMIT, REMOVE, DEPOSE, VOTER_* */
#define BODY_S_CONFIRM(F) F(u64, version)
/* voters, servers: u32 NIDs, little-endian (servers in order of rank). next_nid, dead: above every NID ever given,
 * and every verdict and dead key, in any log met: kept whatever the base. */
#define BODY_S_REFORM(F)                                                                               \
	F(u32, new_generation) F(u64, base_index) F(hash, base_hash) F(blob, voters) F(blob, servers) \
	F(u32, next_nid) F(blobs, dead) /* body_dead, ascending NIDs */
#define BODY_DEAD(F)                                                                                   \
	F(u32, nid) F(str, name) F(key, sign) F(key, kem) F(key, server_sign) F(key, server_kem)      \
	F(u32, status) /* NODE_REVOKED, NODE_REMOVED */ F(text, reason)

/* --- entry bodies ------------------------------------------------------------------------------------ */

/* TOKEN, VOTER_REMOVE, WITHDRAW, READMIT, REMOVE, DEPOSE, CONFIRM, GENESIS, REFORM */
#define BODY_E_STATEMENT(F) F(blob, statement)
/* statement empty: back to the back_digest of version back_of, which was not confirmed in time. */
#define BODY_E_POLICY(F) F(blob, statement) F(u64, back_of)
/* VOTER_ADD. statement empty: promotion of a learner, on the authority of the token it enrolled with. */
#define BODY_E_VOTER(F) F(blob, statement) F(u32, nid) F(id16, token)
/* SIDBLOCK, by a server alone: [first, first + count) to nid; blocks are handed out in order. */
#define BODY_E_SIDBLOCK(F) F(u32, nid) F(u32, first) F(u32, count)
#define BODY_E_ENROL(F)                                                                                \
	F(id16, token) F(u32, nid) F(blob, node) /* body_node bytes */                                \
	F(hash, exporter)                        /* TLS exporter of the enrolment session */          \
	F(sig, node_sig) F(sig, token_sig)       /* purpose ENROL over statement_enrol_bytes() */     \
	F(u32, first_voter_index)
#define BODY_E_VERDICT(F) F(blob, statement) F(u32, keygen) F(blobs, wraps) /* body_wrap */
#define BODY_WRAP(F) F(u32, nid) F(u32, role) F(blob, wrap)
#define BODY_E_TERM(F)                                                                                 \
	F(u32, ring_nodeid) F(u64, ring_seq) F(blobs, promises) /* body_promise */                    \
	F(u32, keygen) F(blobs, wraps)
#define BODY_PROMISE(F) F(u32, nid) F(sig, sig)
#define BODY_E_GROUPKEY(F) F(u32, keygen) F(blobs, wraps)

#define STATEMENT_BODIES(D)                                                                            \
	D(s_genesis, BODY_S_GENESIS) D(operator, BODY_OPERATOR) D(node, BODY_NODE) D(s_token, BODY_S_TOKEN) \
	D(s_policy, BODY_S_POLICY) D(s_verdict, BODY_S_VERDICT) D(s_node_op, BODY_S_NODE_OP)          \
	D(s_confirm, BODY_S_CONFIRM) D(s_reform, BODY_S_REFORM) D(e_statement, BODY_E_STATEMENT)      \
	D(e_policy, BODY_E_POLICY) D(e_enrol, BODY_E_ENROL) D(e_verdict, BODY_E_VERDICT)              \
	D(wrap, BODY_WRAP) D(e_term, BODY_E_TERM) D(promise, BODY_PROMISE) D(e_groupkey, BODY_E_GROUPKEY) \
	D(dead, BODY_DEAD) D(e_voter, BODY_E_VOTER) D(e_sidblock, BODY_E_SIDBLOCK)
STATEMENT_BODIES(BODY_DECLARE)

struct statement {
	u8 signer;       /* enum statement_signer */
	u16 kind;        /* enum entry_type it becomes */
	u8 cluster[16];
	u32 generation;
	u8 request[16];
	u64 expires_ms, base;
	u8 pub[CRYPTO_PUB];
	const u8 *body;
	size_t body_len;
	u8 sig[CRYPTO_SIG];
	const u8 *raw; /* all bytes, for carrying on */
	size_t raw_len;
};
enum { STATEMENT_OVERHEAD = 4 + 1 + 1 + 2 + 16 + 4 + 16 + 8 + 8 + 32 + 4 + 64,
       STATEMENT_MAX = LIM_ENTRY_BODY - 4096 }; /* leaves room for what a server adds */

/* Make and sign (offline, dsi-admin). sign_fn keeps the key where it is (file, PKCS#11). */
typedef int statement_sign_fn(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG]);
/* Appends to ret_bytes; s->pub must be the signing key's; sets s->sig. 0 or -DSI_EINVAL, -DSI_ELIMIT, -DSI_ENOMEM,
 * or what sign returned. */
int statement_make(struct statement *s /* header fields, body in */, statement_sign_fn *sign, void *ctx,
		   struct wbuf *ret_bytes) DSI_MUST_CHECK;
/* A statement_sign_fn over a seed in memory; ctx: const u8[CRYPTO_SEED]. */
int statement_sign_seed(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG]);
/* Verifies the signature under the key it names, then returns the parsed header; whether that key may say
 * such a thing is state_check()'s business. Nothing of the body is parsed before the signature holds. s points
 * into p. 0 or -DSI_ETRUNC, -DSI_ETRAIL, -DSI_EPARSE, -DSI_EVERSION, -DSI_ELIMIT, -DSI_ESIG; *s is zero then. */
int statement_open(struct statement *s, const u8 *p, size_t n) DSI_MUST_CHECK;
/* What the new node's key and the token's key sign (purpose ENROL): exporter | token id | u32 length, node bytes. Appends. */
int statement_enrol_bytes(const u8 exporter[CRYPTO_HASH], const u8 token[16], const void *node, size_t n,
			  struct wbuf *w) DSI_MUST_CHECK;
/* Node, cluster: lower case letters, digits, '-' inside, at most 63: they become host names in certificates. */
bool statement_name_ok(const char *name);

#endif
