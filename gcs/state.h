/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated state: what the log says. A pure function of the entries applied, the same on every
 * member; its digest proves it. Core: no I/O, no clock (wall time comes from entries).
 *
 * check before order: state_check() says whether the active server may order a statement now, with the
 * text an operator reads. apply cannot fail for a reason that check would have found; an entry that
 * passes the chain but not the rules (a lying server) is applied as a refusal everywhere alike.
 *
 * Life of a node: BOUND by ENROL (or GENESIS); VERDICT makes it REVOKED, or SUSPENDED when the verdict has an
 * end (until_ms); WITHDRAW, or the first entry dated past that end, brings SUSPENDED back to BOUND; REMOVE makes it REMOVED. REVOKED and REMOVED are for
 * ever: NID and keys stay dead, also after READMIT, which only opens the *name* for a new token.
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
	u32 roles;           /* node_role bits in force: a learner has no NODE_VOTER yet */
	u32 granted;         /* bits that token or operator granted; granted voter and not in force: learner */
	u8 token[16];        /* it enrolled with; zero for the first node */
	enum node_status status;
	bool deposed;        /* its server may never be active again */
	bool readmitted;     /* revoked, but its name is open for a new token (until used) */
	u32 sid_first, sid_count; /* newest block granted; 0, 0 none */
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

enum {
	STATE_HISTORY = 64,
	STATE_REQUESTS = 4096,       /* request ids remembered; an id is forgotten only once it has expired */
	STATE_SID_FIRST = 1 << 20,   /* SIDs from here on are granted to nodes in blocks */
	STATE_SID_BLOCK = 1 << 16,   /* largest block */
};

struct state_request {
	u8 id[16];
	u64 expires_ms; /* 0 never */
};

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
	struct state_node *node; /* [n_node], ascending NID; dead ones stay */
	u32 n_node, next_nid, next_sid;
	struct order_voters voters[2]; /* all applied is committed, so one; two only from state_preview() */
	u32 n_voters;
	u32 server_order[LIM_SERVERS]; /* NIDs by rank */
	u32 n_server;
	u32 active_nid;          /* author of the last TERM */
	struct state_policy policy, history[STATE_HISTORY]; /* newest first; history[0] is policy */
	u32 n_history;
	struct state_token token[LIM_TOKENS];
	u32 n_token;
	struct state_request *request; /* used, oldest first */
	u32 n_request;
	u32 keygen;              /* newest group key: id {term, keygen} */
	u64 keygen_index;
	u64 last_verdict;        /* index */
};

struct state *state_new(void); /* NULL on ENOMEM */
void state_free(struct state *s);
struct state *state_clone(const struct state *s); /* to apply what is not committed yet; NULL on ENOMEM */

/* What changed by an apply, so that shells act on it without comparing. */
enum state_change {
	CHANGED_NODES = 1, CHANGED_VOTERS = 2, CHANGED_POLICY = 4, CHANGED_VERDICT = 8, CHANGED_TOKENS = 16,
	CHANGED_TERM = 32, CHANGED_KEY = 64, CHANGED_SERVERS = 128,
};
struct state_result {
	u32 changed;
	int code;            /* 0, or why the entry was refused when applied */
	char text[LIM_PATH];
	u32 nid;             /* the node it was about, also when refused; 0 none */
	u8 request[16];      /* of the statement it carried, also when refused; zero none */
};

/* Is this entry acceptable into a log at all (chain position is order's business): author's key bound as a
 * server and not deposed, its signature, cluster and generation; the statement's signature, its signer known and
 * of the role the type needs; promises of a TERM valid and a majority of the voters as applied; no key wrap for
 * the target of the verdict it carries. A REFORM: all that state_apply() asks, on a state at its base.
 * For catch-up and delivery. Rules that need all earlier entries applied
 * are state_apply()'s. On an empty state only GENESIS passes, under the root it names itself: see genesis.h. */
int state_verify_entry(const struct state *s, const struct entry *e, struct err *err) DSI_MUST_CHECK;
/* May an entry of this date be acknowledged by who has this clock, after one dated last_ms was committed? No more than
 * LIM_SKEW_MS ahead of our clock, nor behind the last committed one; unless that one is itself ahead of our clock: a
 * cluster whose clocks were once set right goes on. Never asked when applying: what a majority committed counts. */
bool state_timely(u64 wall_ms, u64 now_ms, u64 last_ms);
/* May the active server order this statement now? wall_ms: for expiry. live: NIDs of nodes present (for
 * the arithmetic of revoke-node and of voter changes); NULL: no arithmetic (a statement met elsewhere, say in a
 * STATE). e gets the operator's text, e.g. "would leave 1 live voter besides the target; ...". Codes:
 * -DSI_ECONFLICT stale base, -DSI_EEXPIRED, -DSI_ECLUSTER, -DSI_ESTALE generation, -DSI_EREPLAY, -DSI_EAUTH
 * signer unknown or without the role, -DSI_EREVOKED, -DSI_EEXIST, -DSI_ENOENT, -DSI_EINVAL, -DSI_EQUORUM too few
 * voters, -DSI_ENOTSAFE last server, or one of two voters (suspend it, but it cannot become final). */
int state_check(const struct state *s, const struct statement *st, u64 wall_ms, const u32 *live, u32 n_live,
		struct err *e) DSI_MUST_CHECK;
/* The same for an enrolment: p, n is the body_e_enrol image as the newcomer sent it, exporter that of the
 * session it came over. */
int state_check_enrol(const struct state *s, const u8 *p, size_t n, const u8 exporter[CRYPTO_HASH], u64 wall_ms,
		      struct err *e) DSI_MUST_CHECK;
/* May this learner become a voter on the authority of its token? */
int state_check_promotion(const struct state *s, u32 nid, const u32 *live, u32 n_live, struct err *e) DSI_MUST_CHECK;
bool state_learner(const struct state *s, u32 nid); /* granted a vote that it does not have yet */

/* Always moves s->applied to e->index (which must be the next) except when it returns -DSI_EINVAL (not the next),
 * -DSI_ENOMEM or -DSI_ECRYPTO (this machine failed, not the entry): nothing has changed then, stop. 0 otherwise:
 * applied, or refused everywhere alike with ret->code and ret->text. ret may not be NULL. A refused or withdrawn
 * verdict ends the suspension of ret->nid that its delivery began: see state_verdict_target(). */
int state_apply(struct state *s, const struct entry *e, struct state_result *ret);
/* Voter sets in force as of the last entry in the log, committed or not: order's env needs them before commit.
 * uncommitted: all entries after s->applied, in order. On ENOMEM only the applied set is returned. */
void state_preview(const struct state *s, const struct entry *const *uncommitted, u32 n, struct order_voters ret[2], u32 *ret_n);

/* The same for one who needs all of it: on a clone, entry by entry. 0 or a code of state_apply(). */
int state_preview_apply(struct state *clone, const struct entry *e);

/* Whom the delivery of this entry suspends (VERDICT), takes out of rank (VERDICT, DEPOSE), or frees of a
 * suspension when applied without refusal (WITHDRAW); 0 none. The entry must have passed state_verify_entry(). */
u32 state_verdict_target(const struct entry *e);
u32 state_depose_target(const struct entry *e);
u32 state_withdraw_target(const struct entry *e);
/* Digest of the body (policy image) that must be on disk before this entry is acknowledged; *ret_size 0 when not
 * known here. -DSI_ENOENT: none. */
int state_entry_blob(const struct state *s, const struct entry *e, u8 ret[CRYPTO_HASH], u64 *ret_size);

/* Bodies of entries, appended to w. keygen, wraps: for VERDICT (0, NULL: no key change). */
int state_make_body(const struct statement *st, u32 keygen, const struct blobs *wraps, struct wbuf *w) DSI_MUST_CHECK;
int state_make_enrol(const struct state *s, const u8 *p, size_t n, struct wbuf *w) DSI_MUST_CHECK; /* sets NID */
int state_make_promotion(const struct state *s, u32 nid, struct wbuf *w) DSI_MUST_CHECK; /* VOTER_ADD */
int state_make_back(const struct state *s, struct wbuf *w) DSI_MUST_CHECK;               /* POLICY: goes back */
/* The policy in force was to be confirmed and was not: the active server orders state_make_back(). */
/* A suspension has reached its end (until_ms). It ends with the next entry whose date is past it, whatever that entry is:
 * the active server orders a NOP for it. */
bool state_suspension_over(const struct state *s, u64 wall_ms);
bool state_policy_overdue(const struct state *s, u64 wall_ms);

/* Snapshot: canonical bytes of the newest format; digest is SHA-256 of them. load takes every format up to it and is
 * strict (untrusted until the digest matches): what it accepts, saved in the format it had, gives the same bytes; on
 * failure *s is as before. -DSI_EVERSION: of a newer format than we know. */
int state_save(const struct state *s, struct wbuf *w) DSI_MUST_CHECK;
int state_load(struct state *s, const u8 *p, size_t n) DSI_MUST_CHECK;
enum { STATE_FORMAT = 1 }; /* of these bytes */
int state_digest(const struct state *s, u8 ret[CRYPTO_HASH]) DSI_MUST_CHECK;

const struct state_node *state_node(const struct state *s, u32 nid);           /* NULL */
const struct state_node *state_node_named(const struct state *s, const char *name); /* bound or suspended; else NULL */
const struct state_node *state_node_keyed(const struct state *s, const u8 sign[32]); /* manager's or server's, dead too */
bool state_nid_live(const struct state *s, u32 nid); /* bound; not suspended, revoked, removed, unknown */
u32 state_majority(const struct state *s); /* of the newest set */

/* What a server adds when it turns a checked statement into an entry body (NID, group-key wraps). s: a clone with the
 * uncommitted tail applied (replica_state_ahead()): a number that was there, or a wrap to somebody who is dead by then,
 * makes the entry bring no key. key: fresh group key made by the caller, keygen: s->keygen + 1; exclude: NID that must not get it (verdict), 0 none. */
int state_make_wraps(const struct state *s, u32 keygen, const u8 key[CRYPTO_KEY], u32 exclude, struct arena *a,
		     struct blobs *ret) DSI_MUST_CHECK;
/* Our wrap in a TERM, VERDICT or GROUPKEY entry; 0, -DSI_ENOENT, or -DSI_EPERM when the entry also wraps the key
 * to somebody dead or to its verdict's target: nobody takes such a key. info: context to give to keys_unwrap. */
int state_find_wrap(const struct state *s, const struct entry *e, u32 nid, u32 role, u32 *ret_keygen,
		    u8 ret_wrap[CRYPTO_WRAP], u8 ret_info[64], size_t *ret_info_len);

#endif
