/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated state: what the log says. A pure function of the entries applied, the same on every
 * member; its digest proves it. Core: no I/O, no clock (wall time comes from entries).
 *
 * check before order: state_check() says whether the active server may order a statement now, with the
 * text an operator reads. apply cannot fail for a reason that check would have found; an entry that
 * passes the chain but not the rules (a lying server) is applied as a refusal everywhere alike.
 */
#ifndef DSI_GCS_STATE_H
#define DSI_GCS_STATE_H

#include "gcs/order.h"
#include "gcs/statement.h"

enum node_status { NODE_NONE = 0, NODE_BOUND, NODE_SUSPENDED, NODE_REVOKED, NODE_REMOVED };

struct state_node {
	u32 nid;
	char name[LIM_NAME];
	u8 sign[32], kem[32], server_sign[32], server_kem[32];
	char direct[LIM_PATH];
	struct { u8 len, bytes[16]; } addr[LIM_ADDRS];
	u32 n_addr;
	u32 roles;           /* node_role bits in force */
	enum node_status status;
	bool deposed;
	u64 enrolled_at, verdict_at; /* log index; 0 none */
	u64 suspended_until_ms;
	char reason[LIM_PATH];
	u32 verdict_flags;
	u64 incarnation[2];  /* highest seen, by manager/server: not part of the digest */
};

struct state_policy {
	u64 version; /* 0 none */
	u64 index;
	u8 digest[CRYPTO_HASH];
	u64 size;
	char name[LIM_NAME], comment[LIM_PATH], author[LIM_NAME];
	u64 wall_ms;
	u32 confirm_s;
	u8 back_digest[CRYPTO_HASH];
	u64 confirm_by_ms;   /* 0 when confirmed or not asked */
};

enum { STATE_HISTORY = 64 };

struct state_token {
	u8 id[16], pub[32];
	char name[LIM_NAME];
	u32 roles;
	u64 expires_ms;
	bool used;
};

struct state_operator {
	char name[LIM_NAME];
	u8 pub[32];
	u32 roles;
};

struct state {
	u64 applied, term;
	u8 cluster[16];
	u32 generation;
	char name[LIM_NAME];
	u8 root[32];
	struct state_operator op[LIM_OPERATORS];
	u32 n_op;
	struct state_node *node; /* [n_node], ascending NID */
	u32 n_node, next_nid;
	struct order_voters voters[2]; /* in force, newest last */
	u32 n_voters;
	u32 server_order[LIM_SERVERS]; /* NIDs by rank */
	u32 n_server;
	u32 active_nid;          /* author of the last TERM */
	struct state_policy policy, history[STATE_HISTORY]; /* newest first */
	u32 n_history;
	struct state_token token[LIM_TOKENS];
	u32 n_token;
	u8 (*request)[16];       /* applied request ids, bounded ring */
	u32 n_request;
	u32 keygen;              /* newest group key: id {term, keygen} */
	u64 keygen_index;
	u64 last_verdict;        /* index */
};

struct state *state_new(void);
void state_free(struct state *s);

/* What changed by an apply, so that shells act on it without comparing. */
enum state_change {
	CHANGED_NODES = 1, CHANGED_VOTERS = 2, CHANGED_POLICY = 4, CHANGED_VERDICT = 8, CHANGED_TOKENS = 16,
	CHANGED_TERM = 32, CHANGED_KEY = 64, CHANGED_SERVERS = 128,
};
struct state_result {
	u32 changed;
	int code;            /* 0, or why the entry was refused when applied */
	char text[LIM_PATH];
	u32 nid;             /* the node it was about */
	u8 request[16];
};

/* Is this entry acceptable into a log at all (chain position is order's business): author's key bound as a
 * server and not deposed, signature, statement's signature. For catch-up and delivery. */
int state_verify_entry(const struct state *s, const struct entry *e, struct err *err) DSI_MUST_CHECK;
/* May the active server order this statement now? wall_ms: for expiry. live: NIDs of voters present (for
 * the arithmetic of revoke-node). e gets the operator's text, e.g. "would leave 1 of 3 voters, 2 needed". */
int state_check(const struct state *s, const struct statement *st, u64 wall_ms, const u32 *live, u32 n_live,
		struct err *e) DSI_MUST_CHECK;
int state_apply(struct state *s, const struct entry *e, struct state_result *ret);
/* Voter sets in force as of the last entry in the log, committed or not: order's env needs them before commit. */
void state_preview(const struct state *s, const struct entry *const *uncommitted, u32 n, struct order_voters ret[2], u32 *ret_n);

/* Snapshot: canonical bytes; digest is SHA-256 of them. load is strict (untrusted until the digest matches). */
int state_save(const struct state *s, struct wbuf *w) DSI_MUST_CHECK;
int state_load(struct state *s, const u8 *p, size_t n) DSI_MUST_CHECK;
int state_digest(const struct state *s, u8 ret[CRYPTO_HASH]) DSI_MUST_CHECK;

const struct state_node *state_node(const struct state *s, u32 nid);           /* NULL */
const struct state_node *state_node_named(const struct state *s, const char *name); /* live binding only */
const struct state_node *state_node_keyed(const struct state *s, const u8 sign[32]);
bool state_nid_live(const struct state *s, u32 nid);
u32 state_majority(const struct state *s); /* of the newest set */

/* What a server adds when it turns a checked statement into an entry body (NID, group-key wraps). key: fresh
 * group key made by the caller; exclude: NID that must not get it (verdict), 0 none. */
int state_make_wraps(const struct state *s, u32 keygen, const u8 key[CRYPTO_KEY], u32 exclude, struct arena *a,
		     struct blobs *ret) DSI_MUST_CHECK;
/* Our wrap in a TERM, VERDICT or GROUPKEY entry; 0 or -DSI_ENOENT. info: context to give to keys_unwrap. */
int state_find_wrap(const struct state *s, const struct entry *e, u32 nid, u32 role, u32 *ret_keygen,
		    u8 ret_wrap[CRYPTO_WRAP], u8 ret_info[64], size_t *ret_info_len);

#endif
