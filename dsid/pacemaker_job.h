/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What DSI wants of Pacemaker, and the bytes in which the engine asks the Pacemaker helper for it. Core.
 *
 * Two things follow from the log: the node attribute `dsi-state` of each node (by name), so that resources can leave one
 * that is not trusted; and the fencing of those whose verdict asks for it. Both are asked by the node of the active
 * server alone. Pacemaker decides nothing for DSI: a verdict holds whether or not anything here succeeds.
 *
 * Job: u8 version, u8 kind, u32 tolerance_s, u32 n, n x { str name, u8 state }. FENCE: exactly one name, state 0.
 * Answer: u8 version, u32 code, u32 exit status of the tool, str text.
 * Mark (kept in the log's meta): u8 version, u32 n, n x { u64 index, u32 nid, u64 wall_ms }, ascending index.
 */
#ifndef DSI_DSID_PACEMAKER_JOB_H
#define DSI_DSID_PACEMAKER_JOB_H

#include "gcs/state.h"

enum { PACEMAKER_FORMAT = 1, PACEMAKER_TEXT = 256, PACEMAKER_FENCES = 16 };
enum pacemaker_kind { PACEMAKER_FENCE = 1, PACEMAKER_STATE = 2 };

/* Values of the attribute. X(NAME, number, text) */
#define PACEMAKER_STATE_TABLE(X)                                                                       \
	X(TRUSTED, 1, "trusted")  /* bound */                                                          \
	X(SUSPECT, 2, "suspect")  /* suspended: by a verdict not committed yet, or one with an end */  \
	X(REVOKED, 3, "revoked")
enum pacemaker_state {
	PACEMAKER_NONE = 0,
#define X(name, n, text) PACEMAKER_##name = n,
	PACEMAKER_STATE_TABLE(X)
#undef X
	PACEMAKER_STATES,
};
const char *pacemaker_state_text(enum pacemaker_state s); /* NULL: none of these */

struct pacemaker_node {
	char name[LIM_NAME];
	enum pacemaker_state state;
};
struct pacemaker_job {
	enum pacemaker_kind kind;
	u32 tolerance_s; /* FENCE: one that succeeded so recently is enough */
	u32 n;
	struct pacemaker_node node[LIM_NODES];
};
void pacemaker_job_encode(const struct pacemaker_job *j, struct wbuf *w);
/* Strict. Names are such that no tool takes them for an option or a pattern: letters, digits, '.', '_', '-', the first
 * no '-'. */
int pacemaker_job_decode(struct pacemaker_job *j, const u8 *p, size_t n) DSI_MUST_CHECK;

struct pacemaker_answer {
	int code;   /* 0 or negative: -DSI_ENOENT no Pacemaker on this node, -DSI_EFAIL the tool refused: status */
	u32 status; /* exit status of the tool, Pacemaker's numbers */
	char text[PACEMAKER_TEXT];
};
void pacemaker_answer_encode(const struct pacemaker_answer *a, struct wbuf *w);
int pacemaker_answer_decode(struct pacemaker_answer *a, const u8 *p, size_t n) DSI_MUST_CHECK;

/* What dsi-state should be, for every name that the log knows: who is bound goes before who was revoked under the same
 * name. suspended(ctx, nid): by a verdict delivered and not committed. A planned leave has no state. */
void pacemaker_want(const struct state *s, bool (*suspended)(void *ctx, u32 nid), void *ctx, struct pacemaker_job *ret);
/* of->node leaves those that `told` has alike; what is left differs. */
void pacemaker_differs(struct pacemaker_job *of, const struct pacemaker_job *told);

struct pacemaker_mark { /* verdicts that ask for fencing and have not had it, as far as this node knows */
	u32 n;
	struct pacemaker_fence { u64 index; u32 nid; u64 wall_ms; } fence[PACEMAKER_FENCES];
};
/* false: not asked for, or known already. When full the oldest goes. */
bool pacemaker_mark_add(struct pacemaker_mark *m, const struct state *s, u32 nid, u64 index, u64 wall_ms);
void pacemaker_mark_done(struct pacemaker_mark *m, u64 index);
/* The oldest newer than `after`, else the oldest: one that cannot be had does not keep the others waiting. Those that no
 * longer stand are dropped: withdrawn, or the name is bound again: *that* machine is innocent. NULL: none. */
const struct pacemaker_fence *pacemaker_mark_next(struct pacemaker_mark *m, const struct state *s, u64 after);
const struct pacemaker_fence *pacemaker_mark_at(const struct pacemaker_mark *m, u64 index); /* NULL */
void pacemaker_mark_encode(const struct pacemaker_mark *m, struct wbuf *w);
int pacemaker_mark_decode(struct pacemaker_mark *m, const u8 *p, size_t n) DSI_MUST_CHECK;

#endif
