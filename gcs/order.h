/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Order: views, terms, the active server and commit, exactly as DESIGN.md §4 has them. Core: no I/O, no
 * clock, no globals; time and durability come in as events, everything to be done goes out as actions.
 * One instance per process: in a manager it is the voter (role ROLE_MANAGER, votes when its NID is in the
 * voter set in force), in dsi-ss the server (never votes, may become active).
 *
 * Inputs must already be authenticated (gcs/session.h): signature, role, sender, ring and view of the envelope.
 * Everything order sends is GCS_URGENT: one priority, so that entries keep their order. doc/order.md has the
 * protocol as a stranger needs it.
 *
 *   view ──▶ drain log thread ──▶ STATE ──▶ OPEN (first valid in the stream wins) ──▶ promise durable
 *        ──▶ OPENACK from a majority ──▶ active server: fetch the best tail, TERM(t) ──▶ entries, ACKs
 *
 * Invariants (asserted by gcs/order_check.c after every event of every simulated run):
 *   at most one server per term gets an entry acknowledged; a committed entry is never replaced at its
 *   index; commit never goes back; two nodes never commit different entries at one index; promised never
 *   goes back and is durable before it is acknowledged; nothing is acknowledged below promised; nobody
 *   truncates at or below its own commit point.
 */
#ifndef DSI_GCS_ORDER_H
#define DSI_GCS_ORDER_H

#include "gcs/entry.h"
#include "gcs/gcs.h"
#include "lib/msg.h"

struct order;

struct order_voters {
	u64 index; /* of the entry that set it; the set in force is the last in the log, committed or not */
	u32 n;
	u32 nid[LIM_VOTERS];
};

/* What the log looked like at start (from the store) and who we are. */
struct order_config {
	u32 nid;
	enum msg_role role;
	u8 cluster[16];
	u32 generation;
	u64 promised;
	u64 tail_term, tail_index; /* 0, 0: empty log */
	u8 tail_hash[CRYPTO_HASH];
	u64 commit;                /* what we knew committed; may lag */
	bool stale_disk;           /* restored or empty disk: no STATE, no ACK until relearnt from a majority */
	u32 incumbent;             /* author of the last TERM in the log; 0 none known */
	u64 open_wait_ns;          /* how long to wait for the STATEs of all present before OPEN with a majority */
	u64 heartbeat_ns;          /* own message must come back within the lease; see gcs/lease.h; 0: 500 ms */
};

/* Callbacks into the pure state that the log implies, kept by the caller (gcs/state.h), read only. Asked only
 * about entries whose ORDER_APPEND of an earlier call was carried out. */
struct order_env {
	void *ctx;
	/* Voter sets in force, newest last: one, or two while a change is uncommitted (both must agree). */
	u32 (*voters)(void *ctx, struct order_voters ret[2]);
	/* Rank of a server among those that may become active; 0 = may not (deposed, unknown, verdict). */
	u32 (*server_rank)(void *ctx, u32 nid);
	/* Is every body this entry names on our disk? Else the shell fetches it and calls order_bodies_ready. */
	bool (*bodies_present)(void *ctx, const struct entry *e);
	/* Entry as read back from the log; NULL when absent. Bytes are canonical, with signature; valid until
	 * the next call. */
	const u8 *(*read_entry)(void *ctx, u64 index, size_t *ret_len);
	/* A voter that is the target of a verdict or removal at or below the tail counts for nothing. */
	bool (*nid_dead)(void *ctx, u32 nid);
	/* Author bound as a server, signatures of entry and statement hold (chain is order's own business). */
	bool (*verify_entry)(void *ctx, const struct entry *e);
	/* The rest may be NULL (tools); a daemon sets them all.
	 * A voter's signature over promise_encode(..., nid, leader): checked before it goes into a TERM. */
	bool (*verify_promise)(void *ctx, u32 nid, const struct gcs_ring *ring, u64 term, u32 leader,
			       const u8 sig[CRYPTO_SIG]);
	/* Voters whose promises this TERM carries: it must build on the best durable tail these told us in their
	 * STATEs, so that no server can write a committed entry away. */
	u32 (*term_promises)(void *ctx, const struct entry *e, u32 ret[LIM_VOTERS]);
	/* Would this entry change the voter set? One change at a time. NULL: by type. */
	bool (*changes_voters)(void *ctx, const struct entry *e);
	/* Is the date of an entry near enough to our clock? Asked of new entries of a term, except where a majority told that
	 * it is committed: authors date entries, and could so make what expires expire; while who has the wrong clock itself
	 * must follow. NULL: always. */
	bool (*timely)(void *ctx, const struct entry *e);
	/* Statements for STATE.urgent: unexpired verdicts and depositions delivered here, not yet committed. Valid
	 * until the actions of this step are carried out. */
	void (*urgent)(void *ctx, struct blobs *ret);
};

enum order_action_type {
	ORDER_SEND,      /* send msg of type with body struct; prio */
	ORDER_PROMISE,   /* make u.promise.term durable, then order_promised() */
	ORDER_APPEND,    /* append entry bytes at index (truncating anything from index on), then order_appended();
			  * n = 0: only truncate. Exactly one completion each, in order */
	ORDER_DELIVERED, /* entry accepted into the log (our own: come back in the stream), not yet committed: a verdict
			  * suspends now. May repeat */
	ORDER_URGENT,    /* a statement out of a STATE's urgent list (u.delivered: p, n): verdict suspends now */
	ORDER_COMMIT,    /* entries up to index are committed: apply them */
	ORDER_ROLE,      /* our role as server changed: active with term, or standby */
	ORDER_FETCH,     /* get entries [from, to] from nid over the direct leg, then order_fetched() */
	ORDER_BODIES,    /* fetch the bodies that entry index names from nid, then order_bodies_ready() */
	ORDER_MAKE_TERM, /* active server: author TERM(term) with these promises via order_propose() */
	ORDER_ALARM,     /* evidence or contradiction; text */
	ORDER_HALT,      /* would have to truncate below commit: stop and alarm */
	ORDER_RELEARNT,  /* stale_disk is over: this disk votes again; note it durably */
};

/* What a voter signs (purpose PROMISE): "DSIP" | id16 cluster | u32 generation | u32 ring_nodeid | u64 ring_seq |
 * u64 term | u32 nid | u32 leader, little-endian. Shared by who signs (replica.c) and who checks (state.c).
 * leader: the server that OPEN names, the author of TERM. It is part of the promise so that one term has one
 * author even where the ring lies about its order: two majorities share a voter, who promises a term once. */
enum { PROMISE_BYTES = 4 + 16 + 4 + 4 + 8 + 8 + 4 + 4 };
void promise_encode(const u8 cluster[16], u32 generation, const struct gcs_ring *ring, u64 term, u32 nid,
		    u32 leader, u8 ret[PROMISE_BYTES]);

/* OPEN.voters: u32 NID of the server that shall lead (0: none present), then the voters whose STATEs it counts,
 * u32 NIDs ascending. */

struct order_promise_proof { /* one voter's signed promise, for TERM */
	u32 nid;
	u8 sig[CRYPTO_SIG];
};

struct order_action {
	enum order_action_type type;
	union {
		struct { u16 type; enum gcs_prio prio; union order_body *body; u32 leader; } send; /* leader: OPENACK's */
		struct { u64 term; } promise;
		struct { u64 index; const u8 *p; size_t n; } append;
		struct { u64 index; const u8 *p; size_t n; } delivered;
		struct { u64 index; } commit;
		struct { bool active; u64 term; u32 active_nid; } role;
		struct { u32 nid; u64 from, to; } fetch;
		struct { u32 nid; u64 index; } bodies;
		struct { u64 term; u32 n; const struct order_promise_proof *proofs; struct gcs_ring ring; } make_term;
		struct { const char *text; u32 nid; } alarm;
	} u;
};

/* Bodies of the messages order itself sends. The shell fills what needs a key (openack.promise). */
union order_body {
	struct body_heartbeat heartbeat;
	struct body_state state;
	struct body_open open;
	struct body_openack openack;
	struct body_entry entry;
	struct body_ack ack;
	struct body_yield yield;
};

struct order_actions {
	struct order_action *v;
	u32 n;
};

struct order *order_new(const struct order_config *cfg, const struct order_env *env); /* NULL on ENOMEM */
void order_free(struct order *o);

/* Every function below returns the actions of this step in *ret; they are valid until the next call, except
 * that entry bytes point into what was passed in. */
void order_view(struct order *o, u64 now, const struct gcs_view *v, struct order_actions *ret);
void order_quorum(struct order *o, u64 now, const struct gcs_view *v, struct order_actions *ret); /* gcs_events.quorum */
void order_lost(struct order *o, u64 now, struct order_actions *ret); /* backend down */
/* What server_rank() or nid_dead() answer changed (a verdict or deposition was delivered). */
void order_recheck(struct order *o, u64 now, struct order_actions *ret);
/* body: the decoded struct of the type. wire: the raw signed envelope (evidence). */
void order_message(struct order *o, u64 now, struct gcs_member from, u32 nid, enum msg_role role, u16 type,
		   const void *body, struct order_actions *ret);
/* The shell knows its state to be wrong: nothing is acknowledged, opened or led from here on. Who calls says why. */
void order_stop(struct order *o, u64 now, struct order_actions *ret);
void order_tick(struct order *o, u64 now, struct order_actions *ret);
u64 order_next_tick(const struct order *o); /* boottime ns when order_tick is wanted; 0 none */
void order_promised(struct order *o, u64 now, u64 term, struct order_actions *ret);
void order_appended(struct order *o, u64 now, u64 index, struct order_actions *ret); /* durable up to index */
/* An append or promise failed; so has everything queued behind it. Repeat for each, or once. */
void order_log_failed(struct order *o, u64 now, int code, struct order_actions *ret);
/* Canonical entries in order from nid, or n = 0 when they could not be had; order verifies. */
void order_fetched(struct order *o, u64 now, u32 nid, const struct blob *entries, u32 n, struct order_actions *ret);
void order_bodies_ready(struct order *o, u64 now, u64 index, bool ok, struct order_actions *ret);
/* Active server: order this entry (sealed and signed by the caller with order_next()). 0; -DSI_EAGAIN (too many
 * under way, a voter change uncommitted, TERM not committed yet, not live); -DSI_EROLE; -DSI_ECONFLICT (not next).
 * On success it is in our log and sent; it survives a change of server only where a voter of the next term's
 * majority has it: ask again after ORDER_ROLE. */
int order_next(const struct order *o, u64 *ret_term, u64 *ret_index, u8 ret_prev[CRYPTO_HASH]);
int order_propose(struct order *o, u64 now, const u8 *p, size_t n, struct order_actions *ret);

/* Active server: say YIELD, so that the next by rank takes over; what is committed and what a majority holds goes with the
 * log. 0; -DSI_EROLE not active, -DSI_ENOTSAFE nobody to follow in this view, -DSI_EAGAIN not live. Should the view change
 * before another server leads, the incumbent goes on: say it again. */
int order_yield(struct order *o, u64 now, struct order_actions *ret);

struct order_status {
	enum { ORDER_DOWN, ORDER_WAITING, ORDER_OPENING, ORDER_PROMISED, ORDER_OPEN } phase;
	u64 term, promised, tail, commit;
	u32 active_nid;           /* 0 none */
	bool live;                /* own heartbeat returned within the lease, view open */
	u64 lease_until;          /* boottime ns until which remote trust may be extended; 0 when not live */
	bool stale_disk, halted;
	u64 voter_change;         /* index of an uncommitted change of the voter set; 0 none */
	u32 voters, voters_present, majority;
	u32 present_n;
	u32 present_nid[LIM_NODES]; /* nodes whose manager is in the view, known by HELLO or STATE: only it votes and enforces */
	u32 server_n;
	u32 server_nid[LIM_NODES];  /* the same of servers */
};
void order_status(const struct order *o, u64 now, struct order_status *ret);

#endif
