/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to gcs/replica*.c. */
#ifndef DSI_GCS_REPLICA_IMPL_H
#define DSI_GCS_REPLICA_IMPL_H

#include "gcs/agree.h"
#include "gcs/proof.h"
#include "gcs/replica.h"
#include "gcs/snapshot.h"
#include "gcs/stage.h"

enum { BLOB_HINTS = 8, BLOB_CHUNK = 256 << 10, LEARN_RETRY_MS = 1000, LEARN_DOUBT_MS = 10000, URGENT_MAX = 16,
       URGENT_VOID = 64, REFORMS_MAX = 32, SNAP_IMAGES = 4 };
#define META_STALE "stale-disk" /* non-empty: this disk's vote waits until a majority has told it again */
#define META_HALT "reform-halt" /* u32: two different reforms of this generation were met; empty: none */

struct blob_hint {
	u8 digest[CRYPTO_HASH];
	u32 nid;
};

/* An operator's verdict or deposition that is in effect here and that the log has not decided. */
struct urgent {
	struct blob raw; /* owned */
	u16 kind;
	u32 nid;
	u8 request[16];
	u64 expires_ms;
};

struct fetch;    /* a blob being fetched */
struct proposal; /* an entry body that waits for order */
struct reforming; /* a reform being taken in */
struct jump;     /* a snapshot being taken in */

struct snap_image { /* our state at a place of the log */
	u64 index; /* 0: none */
	u8 entry[CRYPTO_HASH], digest[CRYPTO_HASH];
	u8 *p;     /* owned */
	size_t n;
};

struct reform_source { /* a member's direct leg */
	char address[LIM_PATH];
	u8 key[CRYPTO_PUB];
	bool keyed;
};

struct replica {
	struct replica_config cfg;
	const struct replica_ops *ops;
	void *ctx;
	struct log *log;
	struct log_boot boot;
	struct state *state;
	struct session *session; /* NULL until our binding is known */
	struct order *order;     /* NULL likewise */
	struct gcs_backend *backend;
	struct direct *direct;
	struct loop_timer *tick;
	u32 nid;
	bool stepping;           /* inside the actions of a step: events that come now wait their turn */
	bool live;
	bool closing;            /* being freed: answers that come now change nothing */
	u8 suspended[LIM_NIDS / 8 + 1]; /* by a verdict delivered, until the log has decided it */
	u8 deposed[LIM_NIDS / 8 + 1];   /* likewise by a deposition: its server has rank 0 */
	/* learning over the direct leg, before and beside the ordered leg */
	struct loop_timer *learn_timer;
	u32 learn_next;          /* index into candidates */
	bool learning;
	struct reform_source learn_source; /* who is asked now */
	struct stage *stage;     /* shown by the source asked last, not proven yet; NULL none */
	struct {                 /* a newcomer asks everybody it can reach whether they have the same history */
		bool on, contradicted;
		u64 at;          /* entry to compare, where the source has less than we; 0: our last */
	} second;
	u32 fetch_nid;           /* whom ORDER_FETCH asked last */
	struct blob_hint hint[BLOB_HINTS];
	u32 n_hint, hint_next;
	struct fetch *fetches;
	struct proposal *proposals; /* waiting for order to take them, in order */
	bool flushing;
	bool learnt;             /* entries came over the direct leg since start */
	bool recheck;            /* suspensions or ranks changed: tell order when the step is over */
	struct urgent urgent[URGENT_MAX]; /* for STATE.urgent */
	u32 n_urgent;
	struct blob urgent_list[URGENT_MAX];
	u8 voided[URGENT_VOID][16]; /* requests that a withdrawal overtook, the latest: they do not come back */
	u32 n_voided;
	u64 last_wall_ms;        /* date of the last entry applied */
	u64 clock_alarm_at;      /* boottime; an alarm a minute is enough */
	/* commit proofs */
	struct proof_book book;
	struct {
		u64 index;       /* what the newest shows; 0 none */
		u8 *p;
		size_t n;
		u64 row;         /* in the log, to be replaced by a newer one; 0 none */
		u64 kept;        /* last one stored for good */
	} proof;
	struct loop_timer *proof_timer;
	struct agree agree;
	struct loop_timer *agree_timer;
	struct {                 /* to be shown to who learns */
		struct snapshot_book book;
		struct snap_image image[SNAP_IMAGES];
	} snap;
	struct jump *jump;
	u64 n_jumps;
	struct {                 /* asked for a snapshot in vain: not again until one of these is another */
		u64 set;         /* index of our voter set, + 1 */
		u32 source;      /* learn_next */
	} jump_tried;
	bool diverged;           /* stopped: the state was not the majority's */
	struct gcs_ring view_ring;
	/* generations: replica_reform.c */
	struct reforming *reforming;
	u64 reforms[REFORMS_MAX]; /* indices of REFORM entries applied, oldest first */
	u32 n_reforms;
	u32 halted;              /* two different reforms of this generation: silent; 0 no */
	struct blob other;       /* the one of them that is not in our log */
	struct loop_timer *look_timer;
	u8 look[LIM_NIDS / 8 + 1]; /* whose reforms are to be seen */
	u64 looked[LIM_NIDS];    /* incarnation of whom we saw them */
	u32 looking;             /* NID asked now; 0 none */
	u64 look_next;
	struct arena arena;      /* of the step */
};

/* replica_env.c */
extern const struct order_env replica_env; /* ctx to be set */
bool replica_is_voter(const struct replica *r, u32 nid);

/* replica_propose.c */
void propose_soon(struct replica *r);
void propose_drop(struct replica *r);

/* replica_ring.c */
int replica_join(struct replica *r, struct err *e);
void replica_tick(void *ctx);
void replica_quiet(struct replica *r); /* order and session end: nothing is said any more; the direct leg stays */
void replica_again(struct replica *r); /* a new generation is in the log and in the state: join again, or go on learning */

/* replica.c */
void replica_arm(struct replica *r); /* the tick order asked for */
void replica_run(struct replica *r, const struct order_actions *acts);
int replica_apply_to(struct replica *r, u64 index, bool live);
u32 replica_find_nid(const struct replica *r);
void replica_alarm(struct replica *r, u32 severity, const char *kind, const char *fmt, ...) DSI_PRINTF(4, 5);

/* replica_urgent.c */
bool urgent_deposed(const struct replica *r, u32 nid);
void urgent_list(void *ctx, struct blobs *ret); /* order_env.urgent */
void urgent_delivered(struct replica *r, const u8 *p, size_t n); /* an entry went into our log */
void urgent_applied(struct replica *r, const struct entry *e, const struct state_result *res);
void urgent_submitted(struct replica *r, const struct body_submit *m); /* one of two voters: no entry will carry it */
void urgent_skipped(struct replica *r); /* a snapshot stands for entries that were never applied here */
void urgent_settle(struct replica *r); /* a reform was taken in: whom it made dead needs no suspension */
void urgent_free(struct replica *r);

/* replica_learn.c */
int learn_start(struct replica *r);
void learn_stop(struct replica *r);
void learn_soon(struct replica *r); /* we met something we do not know: ask again */
void learn_entries(struct replica *r, u32 nid, u64 from, u64 to); /* ORDER_FETCH */
void learn_bodies(struct replica *r, u32 nid, u64 index);         /* ORDER_BODIES */
void learn_drop(struct replica *r);   /* what was shown and not proven: it stood on a state that is gone */
void learn_resume(struct replica *r); /* a reform came in between: go on, unless we have joined */
void learn_free(struct replica *r);
/* What a snapshot came to. 0: it is installed; else the source of before is asked for entries. */
void learn_jumped(struct replica *r, int code);
void learn_contradiction(struct replica *r, const char *who, const char *what);
bool learn_candidate(struct replica *r, u32 i, char ret[LIM_PATH], u8 ret_key[CRYPTO_PUB], bool *ret_keyed);

/* replica_jump.c */
bool jump_begin(struct replica *r); /* true: learn_source is asked for a snapshot; learn_jumped() follows */
bool jump_busy(const struct replica *r); /* the log is being cut */
struct state *jump_base(struct replica *r, struct err *e); /* a fresh state at the log's base, or empty; NULL */
int jump_start(struct replica *r, struct err *e);
void jump_free(struct replica *r);

/* replica_snapshot.c */
void snap_keep(struct replica *r, const struct entry *e, const u8 digest[CRYPTO_HASH], const struct wbuf *image);
void snap_noted(struct replica *r, u32 nid, const struct body_digest *m, const u8 *raw, size_t n);
void snap_forget(struct replica *r);
void snap_serve(struct replica *r, struct direct_request *rq, const u8 *p, size_t n);

/* replica_reform.c */
void reform_load(struct replica *r);
void reform_applied(struct replica *r, u64 index);
void reform_serve(struct replica *r, struct direct_request *rq, const u8 *p, size_t n);
/* An answer to DIRECT_REFORMS. True: one is being taken in; learn_resume() or replica_again() follows. */
bool reform_seen(struct replica *r, const struct reform_source *src, const u8 *p, size_t n);
void reform_look(struct replica *r, u32 nid, u64 incarnation); /* a member of our generation: is its reform ours? */
void reform_ahead(struct replica *r);                          /* somebody claims a later generation */
void reform_look_next(void *ctx);
void reform_free(struct replica *r);
/* replica_proof.c */
int prove_start(struct replica *r);
void prove_free(struct replica *r); /* before the log closes */
void prove_forget(struct replica *r); /* a generation ends: its acknowledgements prove nothing in the next */
void prove_noted(struct replica *r, u32 nid, const struct body_ack *ack, const u8 *raw, size_t n);
void prove_committed(struct replica *r, u64 before); /* applied went on from before, by what the stream shows */
void prove_learnt(struct replica *r, u64 before, const struct blob *proof); /* likewise, by this proof */
void prove_serve(struct replica *r, struct direct_request *rq, const u8 *p, size_t n); /* DIRECT_PROVEN */

/* replica_agree.c */
int agree_start(struct replica *r);
void agree_forget(struct replica *r);                   /* a generation ends */
void agree_again(struct replica *r);                    /* its state was made anew by a reform */
void agree_applied(struct replica *r, const struct entry *e, bool live);
void replica_take_state(struct replica *r, struct state *fresh); /* instead of ours; fresh is freed */
void agree_message(struct replica *r, u32 nid, const struct body_digest *m);

/* replica_serve.c */
extern const struct direct_ops replica_direct_ops;

#endif
