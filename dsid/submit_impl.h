/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to dsid/submit.c and dsid/relay.c: one submission, ours or another member's. */
#ifndef DSI_DSID_SUBMIT_IMPL_H
#define DSI_DSID_SUBMIT_IMPL_H

#include "dsid/engine.h"

enum { ACKS_MAX = LIM_NODES };

struct ack {
	u32 nid;
	u64 suspended_ms, final_ms; /* since the command came in; 0: not yet */
};

struct submission {
	struct submission *next;
	struct engine *g;
	struct ipc_request *rq;       /* of a local caller; NULL: foreign */
	struct direct_request *drq;   /* of another member; NULL: local */
	u32 from;                     /* NID of that member */
	u8 *statement;
	size_t n;
	u8 request[16];
	u16 kind;
	bool committed;
	u32 blob_from; /* NID that holds the named blob; 0 none */
	u32 relays, relaying, relay_next; /* members asked over the direct leg; those not answered yet; whom next */
	u32 through;            /* the one whose outcome this is; 0: seen by ourselves */
	u32 replayed;           /* one that said it was ordered before: by one asked earlier; 0 none */
	u32 target;   /* NID of a verdict */
	u64 version;  /* of a policy */
	u64 began, deadline, committed_at, index;
	struct loop_timer *timer;
	struct ack ack[ACKS_MAX];
	u32 n_ack;
};

/* submit.c */
int submission_new(struct submission **ret, struct engine *g, const struct statement *st, u32 blob_from, u64 wait_ms);
void submission_begin(struct submission *s, const struct statement *st); /* once it is known who waits for it */
void submission_finish(struct submission *s, int code, const char *text); /* answers and frees it */
u64 submission_ms(const struct submission *s); /* since it came in */

/* relay.c */
void relay_next(struct submission *s);     /* our order is not live: ask one more member */
bool relay_replayed(struct submission *s); /* known to be ordered, and nobody else will say more: finished, freed */
void relay_answer(struct submission *s, int code, const char *text); /* to the member that handed it in */

#endif
