/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to gcs/order*.c. One noun per file:
 *   order.c        life, dispatch, what each step tries
 *   order_view.c   members of the view, STATE, OPEN, the promise, OPENACK, opening again
 *   order_log.c    our end of the log: accept, truncate, durability, bodies
 *   order_term.c   the server that leads: best tail, TERM, proposals
 *   order_commit.c acknowledgements, quorums, commit, relearning
 *   order_catch.c  fetching what we lack
 *
 * Every public call notes what happened, then order_settle() tries each thing that may now be due; each
 * of these decides from the state alone, so that nothing is lost when it could not be done at once.
 */
#ifndef DSI_GCS_ORDER_IMPL_H
#define DSI_GCS_ORDER_IMPL_H

#include "gcs/lease.h"
#include "gcs/order.h"

enum {
	ORDER_WINDOW = 512,    /* entries at the end of the log whose hashes we hold */
	ORDER_UNDERWAY = 512,  /* appends queued to the log thread */
	ORDER_PIPELINE = 256,  /* entries of a leader not yet committed */
	ORDER_FETCH_STEP = 128,/* fetched entries taken per call */
	ORDER_ACTIONS = 2 * ORDER_FETCH_STEP + 64,
	ORDER_BODIES_N = 16,   /* messages per step */
	ORDER_PROMISE_JUMP = 40, /* a STATE more than 2^40 terms ahead of us is a lie: it would exhaust terms */
};

struct tail {
	u64 term, index;
	u8 hash[CRYPTO_HASH];
};

struct openack {
	u64 term; /* 0 none */
	u8 sig[CRYPTO_SIG];
	struct tail st; /* the tail that its voter had told when it promised */
};

/* A member of the view. What managers tell as voters is kept for all: a lagging node does not know yet
 * who votes. */
struct peer {
	struct gcs_member m;
	u32 nid;        /* 0 until heard in this view */
	enum msg_role role;
	u64 heard;
	bool has_state, fresh; /* fresh: since the last OPEN that we accepted */
	bool unfetchable;      /* claimed a tail that we could not get and verify */
	bool bad_promise;
	bool raised;           /* had its higher promise respected once in this view: no more */
	u64 promised;
	struct tail st;
	struct openack oa, ahead; /* of the current term; of a higher one, for an OPEN that we refused */
	u64 acked;             /* verified against our log */
	u64 told;              /* commit point it told: evidence of a majority, never by itself */
	u64 pend;              /* acknowledged, beyond what we can check yet; 0 none */
	u8 pend_hash[CRYPTO_HASH];
};

enum reopen {
	REOPEN_NONE = 0, REOPEN_HIGHER, REOPEN_NOSERVER, REOPEN_DEPOSED, REOPEN_YIELDED, REOPEN_SILENT, REOPEN_NOTERM, REOPEN_CLOCK
};

struct order {
	struct order_config cfg;
	struct order_env env;
	u64 now;
	u64 wake;            /* earliest time something is due; 0 none */
	bool stepped;        /* the log's end moved in this call: env knows it from the next call on */
	bool halted;
	bool courtesy;       /* we voted in a set that a committed change replaced, in this life */
	bool stale;          /* our disk does not vote until relearnt */
	bool mute;           /* our log failed while we led: no more of this term */

	/* end of the log */
	struct tail tail;
	u64 durable, commit;
	u64 window_lo;       /* window holds [max(window_lo, tail - ORDER_WINDOW + 1), tail] */
	struct { u64 term; u32 author; u8 hash[CRYPTO_HASH]; } window[ORDER_WINDOW];
	struct { u64 index; bool dead; } underway[ORDER_UNDERWAY];
	u32 underway_first, underway_n;
	u64 bodies_ok;       /* bodies of all entries up to here are on disk */
	u64 bodies_wait, bodies_retry;
	u32 incumbent;       /* author of the last TERM in our log */

	/* promise */
	u64 promised, promised_durable, promise_asked;
	u64 promise_retry;

	/* view */
	bool view_on;
	struct gcs_view view;
	struct peer peers[LIM_NODES];
	u64 round_began, all_in_at;
	bool state_sent;
	struct tail state_tail;
	u64 state_promised, state_at;
	u64 open_sent_at;
	enum reopen reopening;
	u32 shunned[LIM_SERVERS];
	u32 n_shunned;
	u32 yielded;         /* who gave the lead away in this view; 0 none */

	/* what the accepted OPEN of this view says */
	bool opened, usable; /* usable: a majority promised */
	u64 term;
	u32 leader;
	u64 open_at, leader_heard;
	u64 refused_term;    /* last OPEN that we did not take for valid, and its leader */
	u32 refused_leader;
	u64 term_index;      /* of TERM(term) in our log; 0 not yet */
	u64 untimely_at;     /* since when the leader's entries are dated out of our bounds; 0 they are not */
	u64 oa_due, oa_at;   /* the term we owe an OPENACK for; when sent */

	/* acknowledging */
	u64 ack_sent, ack_at;
	bool ack_again;

	/* leading */
	bool term_asked;
	u64 term_asked_at;
	struct tail base;    /* of TERM: valid while term_asked */
	struct order_promise_proof proofs[LIM_VOTERS];
	u32 n_proofs;
	u64 yield_term, yield_at; /* term that we have said YIELD in, and when: nothing new is proposed in it */
	u64 progress_at;     /* last commit or resend while leading */
	bool resending;
	u64 resent;

	/* catching up; also the leader's fetch of the best tail */
	u64 want;            /* highest index of the term seen in the stream */
	struct { bool on; u32 nid; u64 from, to, at; } fetch;
	u64 fetch_retry;
	u32 fetch_try;
	bool diverged;
	u64 linked;          /* while diverged: our log equals the source's up to here */

	/* role told to the shell */
	bool role_active;
	u64 role_term;
	u32 role_nid;

	struct lease lease;
	u64 beat_ns, beat_at;

	/* per call */
	bool sets_known;
	struct order_voters sets[2];
	u32 n_sets;
	struct order_action act[ORDER_ACTIONS];
	u32 n_act;
	union order_body body[ORDER_BODIES_N];
	u32 n_body;
	u8 open_buf[4 * (1 + LIM_VOTERS)];
};

/* order.c */
struct order_action *order_act(struct order *o, enum order_action_type type);
union order_body *order_send(struct order *o, u16 type, u32 leader); /* fill the body it returns */
void order_alarm(struct order *o, u32 nid, const char *text);
void order_halt(struct order *o, const char *why);
void order_want(struct order *o, u64 at); /* wake us then */
bool order_may_send(const struct order *o); /* quorate view, not halted, not mute */
static inline u64 order_resend_ns(const struct order *o)
{
	return 2 * o->beat_ns + o->cfg.open_wait_ns;
}

/* order_view.c */
struct peer *order_peer_at(struct order *o, struct gcs_member m);
struct peer *order_peer_of(struct order *o, u32 nid, enum msg_role role); /* NULL: not heard in this view */
int order_tail_compare(const struct tail *a, const struct tail *b); /* by term, then index */
void order_view_begin(struct order *o, const struct gcs_view *v);
void order_view_end(struct order *o);
void order_view_heard(struct order *o, struct peer *p, u32 nid, enum msg_role role);
void order_view_state(struct order *o, struct peer *p, const struct body_state *b);
void order_view_open(struct order *o, struct peer *p, const struct body_open *b);
void order_view_openack(struct order *o, struct peer *p, const struct body_openack *b);
void order_view_yield(struct order *o, struct peer *p, const struct body_yield *b);
bool order_view_heir(struct order *o); /* is a server here that would lead when the present leader does not? */
void order_view_settle(struct order *o);

/* order_log.c */
void order_log_init(struct order *o);
bool order_log_at(struct order *o, u64 index, struct tail *ret, u32 *ret_author); /* false: absent */
bool order_log_has(struct order *o, const struct tail *t);
bool order_log_drained(const struct order *o);
enum accept_mode { ACCEPT_FOLLOW, ACCEPT_LEAD, ACCEPT_OWN };
/* 0, 1 (had it already), -DSI_ECONFLICT (does not link: look further back), -DSI_EAGAIN, or refused. */
int order_log_accept(struct order *o, const struct entry *e, const u8 *p, size_t n, enum accept_mode mode);
void order_log_delivered(struct order *o, u64 index, const u8 *p, size_t n);
void order_log_truncate(struct order *o, u64 from); /* with an ORDER_APPEND that truncates */
void order_log_appended(struct order *o, u64 index);
void order_log_fail(struct order *o);
void order_log_bodies_ready(struct order *o, u64 index, bool ok);
void order_log_settle(struct order *o);

/* order_commit.c */
const struct order_voters *order_quorum_sets(struct order *o, u32 *ret_n); /* in force, newest last */
bool order_quorum_votes(struct order *o, u32 nid);                         /* in a set in force, not dead */
bool order_quorum_self(struct order *o);
bool order_quorum_reached(struct order *o, bool (*counts)(struct order *o, const struct peer *p));
bool order_quorum_any(struct order *o, bool (*counts)(struct order *o, const struct peer *p)); /* of one set, not all */
bool order_quorum_told(struct order *o, u64 index); /* a majority of each set tells a commit point at or past it */
u64 order_quorum_change(struct order *o); /* index of an uncommitted voter change; 0 none */
void order_commit_ack(struct order *o, struct peer *p, const struct body_ack *b);
void order_commit_settle(struct order *o);

/* order_term.c */
void order_term_settle(struct order *o);
bool order_term_base_holds(struct order *o, const struct entry *e);

/* order_catch.c */
void order_catch_entry(struct order *o, struct peer *p, const struct body_entry *b);
void order_catch_fetched(struct order *o, u32 nid, const struct blob *v, u32 n);
void order_catch_ask(struct order *o, u32 nid, u64 from, u64 to);
void order_catch_settle(struct order *o);

#endif
