/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stage: entries that a source on the direct leg showed, on their way from shown to proven. Core: no I/O.
 *
 * An entry is taken if it follows ours, verifies, and applies to a copy of the state; it leaves for the log only when a
 * commit proof (gcs/proof.h) reaches it, judged by the voters that the copy says. So the log and the state of a
 * learner never hold what one member merely says is committed. One source at a time: another one, another stage.
 */
#ifndef DSI_GCS_STAGE_H
#define DSI_GCS_STAGE_H

#include "gcs/proof.h"
#include "gcs/state.h"

/* --- the answer to DIRECT_PROVEN --------------------------------------------------------------------------
 * u8 version (1) | u64 commit | u64 tail | u32 n, n entries as blobs | u32 n, n proofs as blobs, ascending by what
 * they prove, the newest last. commit and tail: what the source says, a hint how much there is to ask for. */

enum { PROVEN_VERSION = 1, PROVEN_ENTRIES = 256, PROVEN_PROOFS = 16 };

struct proven {
	u64 commit, tail;
	u32 n_entry, n_proof;
	struct blob entry[PROVEN_ENTRIES], proof[PROVEN_PROOFS];
};
int proven_encode(const struct proven *a, struct wbuf *w) DSI_MUST_CHECK;
int proven_decode(struct proven *ret, const u8 *p, size_t n) DSI_MUST_CHECK; /* strict; points into p */

/* --- staging --------------------------------------------------------------------------------------------- */

struct stage;
/* applied: the state so far, copied; tail: the last entry it has applied. NULL on ENOMEM. */
struct stage *stage_new(const struct state *applied, const struct entry *tail);
void stage_free(struct stage *s); /* NULL-safe */

u64 stage_tail(const struct stage *s); /* last entry taken, or what was applied */
/* 0 taken, 1 had it; -DSI_ETRUNC not the next, -DSI_ECONFLICT does not chain or is a REFORM, -DSI_ESTALE term goes back, -DSI_ELIMIT
 * LIM_STAGE bytes or too many voter changes wait for a proof, or what state_verify_entry() says; e has text. */
int stage_add(struct stage *s, const u8 *p, size_t n, struct err *e) DSI_MUST_CHECK;
/* Kept until it is of use or pushed out; newest: replaces the former newest. 0, -DSI_ENOMEM, -DSI_ELIMIT. */
int stage_prove(struct stage *s, const u8 *p, size_t n, bool newest) DSI_MUST_CHECK;

/* The next step that the proofs allow: false when none; else entries up to *ret_commit are committed, and
 * *ret_proof (valid until the next call on s) shows it. Small steps first. The caller takes the entries, stage_read(),
 * then stage_drop(). */
bool stage_step(struct stage *s, u64 *ret_commit, struct blob *ret_proof);
const u8 *stage_read(const struct stage *s, u64 index, size_t *ret_len); /* NULL: not staged */
void stage_drop(struct stage *s, u64 upto);

#endif
