/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replica: the shell that wires session, order, log, state and the direct leg into one member of the
 * cluster. dsid's engine and dsi-ss each hold one and differ in what they do with what it tells them.
 * All on one loop thread; the log has a thread of its own underneath.
 *
 * Owns: which NIDs are suspended at delivery; what is fetched from whom; when an entry is applied.
 * Never: decides a policy question, touches the kernel, holds a private key.
 */
#ifndef DSI_GCS_REPLICA_H
#define DSI_GCS_REPLICA_H

#include "gcs/direct.h"
#include "gcs/log.h"
#include "gcs/session.h"
#include "gcs/state.h"

struct replica;

struct replica_config {
	struct loop *loop;
	enum msg_role role;
	struct keys *keys;
	char node[LIM_NAME];
	char direct[LIM_PATH];  /* our manager's address, told to others */
	const char *listen;     /* direct leg; NULL: client only (dsi-ss) */
	const char *dir;        /* log directory */
	const char *cluster;    /* file with the GENESIS entry */
	char peers[LIM_VOTERS][LIM_PATH]; /* direct addresses to learn from besides those in our log */
	u32 n_peers;
	/* The ordered leg, made when our binding is known: give these events and this context to the backend. */
	int (*make_backend)(void *ctx, struct gcs_backend **ret, const struct gcs_events *ev, void *ev_ctx,
			    struct err *e);
};

enum { REPLICA_SNAPSHOT = 1 }; /* to ops->rebuilt */

struct replica_ops {
	/* An entry is committed and applied (also during replay at start: live = false). After a reform that cut the log
	 * indices begin again behind what both logs have; the REFORM itself is live. */
	void (*applied)(void *ctx, const struct entry *e, const struct state_result *r, bool live);
	/* A committed verdict brought a group key that the state took and we can open: derive from it what you need,
	 * now (also during replay at start). It is wiped after the call. May be NULL. */
	void (*verdict_key)(void *ctx, const struct entry *e, const u8 key[CRYPTO_KEY]);
	/* nid is suspended from now on: its verdict was delivered, by entry, STATE or the direct leg. */
	void (*suspended)(void *ctx, u32 nid, const struct statement *st);
	/* Our state was not the majority's. 0: it is now, made anew from the log, and what was derived from it must be
	 * derived again; negative: it cannot be helped, order is stopped. REPLICA_SNAPSHOT: it is one that voters stand
	 * behind, of entries that were never told to applied: derive all anew. Also at start, before entries are replayed.
	 * May be NULL. */
	void (*rebuilt)(void *ctx, int code);
	/* Any message order does not consume (SUBMIT, SUBMITTED, REPORT, ...). */
	void (*message)(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body);
	/* The lease: remote trust may be renewed until this boottime; 0: not live, nothing may be renewed (what was
	 * given runs out). */
	void (*lease)(void *ctx, u64 until);
	/* Active server: propose TERM with these promises and a fresh group key (replica_propose). */
	void (*make_term)(void *ctx, u64 term, const struct gcs_ring *ring, const struct order_promise_proof *proofs,
			  u32 n);
	void (*role)(void *ctx, bool active, u64 term, u32 active_nid);
	void (*view)(void *ctx, const struct gcs_view *v);
	void (*joined)(void *ctx); /* our binding is known and the ordered leg is being joined; again after a reform */
	void (*alarm)(void *ctx, u32 severity, const char *kind, const char *text);
	/* Direct requests the replica does not serve itself (ENROL, URGENT, RING, SUBMIT); NULL: refused. */
	void (*request)(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
			const u8 *p, size_t n);
};

int replica_new(struct replica **ret, const struct replica_config *cfg, const struct replica_ops *ops, void *ctx,
		struct err *e);
void replica_free(struct replica *r);
/* Opens the direct leg, learns what it missed over it, then joins the ordered leg. */
int replica_start(struct replica *r, struct err *e);
const u64 *replica_refusals(const struct replica *r); /* [REFUSED_COUNT]; zeros before the session */

/* Active server: hand over to the next by rank (order_yield); the new one is told by ops->role. Codes of order_yield(). */
int replica_yield(struct replica *r, struct err *e);

bool replica_proposing(const struct replica *r); /* proposals wait for order */
u32 replica_nid(const struct replica *r); /* 0 until our binding is in our log */
const struct state *replica_state(const struct replica *r);
/* A clone with the tail that is not committed yet applied: what an entry at the end of our log will find. NULL on ENOMEM;
 * state_free(). */
struct state *replica_state_ahead(struct replica *r);
struct log *replica_log(struct replica *r);
struct direct *replica_direct(struct replica *r);
void replica_status(const struct replica *r, struct order_status *ret);
bool replica_suspended(const struct replica *r, u32 nid);

/* A verdict or deposition met outside the log (handed in here, direct leg, a STATE). Who brought it does not matter: an
 * operator's signature with authority as of what is applied here does (state_check() without arithmetic). It takes
 * effect now and is kept for STATE until the log has decided it. 0, also when it is in effect already; else a code of
 * state_check() or statement_open() with text. */
int replica_urgent(struct replica *r, const u8 *p, size_t n, struct err *e);
bool replica_urgent_keeps(const struct replica *r, const u8 request[16]);
/* Those kept and not expired, for the active server to order; valid until the replica is called again. */
void replica_urgent_kept(struct replica *r, struct blobs *ret);

int replica_send(struct replica *r, u16 type, enum gcs_prio prio, const void *body);
/* Active server: order an entry with this body, signed by our key, when order can take it (TERM first). It is
 * seen again in ops->applied; should another server become active first, it is lost and who asked asks again.
 * 0, -DSI_EROLE, -DSI_ELIMIT, -DSI_ENOMEM. */
int replica_propose(struct replica *r, u16 type, const void *body, size_t n);
/* A root-signed REFORM, handed in here: judged at once on our log, then written, then everything begins anew in its
 * generation; ops->applied tells. 0: being taken in. -DSI_EREPLAY it was already; -DSI_ESTALE the generation is not
 * higher; -DSI_ECONFLICT its base is not in this log, or it is the second of its number (this node is silent then);
 * -DSI_EAGAIN; or state_verify_entry()'s. e has the text for the operator. Not from inside ops. */
int replica_reform(struct replica *r, const u8 *statement, size_t n, struct err *e);
bool replica_halted(const struct replica *r); /* two reforms of one number: silent until the root signs the next */
/* Where a blob may be had besides the author of the entry that names it. */
void replica_blob_hint(struct replica *r, const u8 digest[CRYPTO_HASH], u32 nid);
/* Fetch a blob if absent; fn once. */
void replica_blob_fetch(struct replica *r, const u8 digest[CRYPTO_HASH], void (*fn)(void *ctx, int code), void *ctx);

#endif
