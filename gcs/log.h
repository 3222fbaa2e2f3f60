/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port and adapter of the durable log: entries, promised term, incarnation, blobs (policy images). SQLite
 * on a thread of its own, so that no fsync ever happens where messages are dispatched. Calls only queue;
 * completions come back on the loop's thread, in order. Group commit: everything queued while one
 * transaction was under way goes into the next.
 *
 * One directory per process: log.db, blobs/<hex>. A blob is complete under its name or absent.
 *
 * A log may have a base: the index of an entry that the owner took on the word of a majority, with the image of the state
 * at it (a blob, named by the digest in the base). Then the log is GENESIS, the REFORM entries that were there, the
 * entry at the base, and what follows; between them is a gap, where log_entry() is NULL. A program that knows no bases
 * refuses such a log by its format.
 */
#ifndef DSI_GCS_LOG_H
#define DSI_GCS_LOG_H

#include "gcs/entry.h"
#include "lib/err.h"
#include "lib/loop.h"

struct log;

struct log_boot { /* what was on disk */
	u64 promised;
	u64 incarnation;     /* already raised for this start, durable */
	u64 commit;          /* last known commit point (a hint written lazily; never too high) */
	u64 tail_term, tail_index;
	u8 tail_hash[CRYPTO_HASH];
	u32 generation;
	u64 reform;          /* index of the last REFORM, which is committed by nature; 0 none */
	u64 base;            /* 0: the whole log is here */
	bool empty;
};

typedef void log_done_fn(void *ctx, u64 value, int code); /* code 0, -DSI_ENOSPC, -DSI_EIO */

/* Opens or creates; integrity-checks the chain (hash links) before returning. Blocking, at start only. */
int log_open(struct log **ret, struct loop *l, const char *dir, struct log_boot *boot, struct err *e);
void log_close(struct log *g); /* drains, then closes */

/* Queued. value: term / index / 0. 0, -DSI_ENOMEM, -DSI_EINVAL (index beyond tail + 1), -DSI_ELIMIT. fn may be NULL.
 * After a failure everything queued behind it fails too, nothing of it is on disk, and log_tail() is the durable
 * tail again; the next call starts afresh. */
int log_promise(struct log *g, u64 term, log_done_fn *fn, void *ctx);
/* Truncates from index; n = 0: only that. Never the base or before it: -DSI_EINVAL. */
int log_append(struct log *g, u64 index, const u8 *p, size_t n, log_done_fn *fn, void *ctx);
/* The state at index, and the entry there, instead of all before: entries (but GENESIS and keep[]: REFORMs), proofs and
 * the old tail go, the base, entry, image and commit point come, in one transaction. Both or neither survive a crash.
 * The image goes under its SHA-256, which must be digest. index must be beyond the tail. */
int log_jump(struct log *g, u64 index, const u8 *entry, size_t n, const u8 digest[CRYPTO_HASH], const u8 *image,
	     size_t image_n, const u64 *keep, u32 n_keep, log_done_fn *fn, void *ctx);
int log_commit_hint(struct log *g, u64 index);
int log_drain(struct log *g, log_done_fn *fn, void *ctx); /* fn when all queued before is durable */
bool log_drained(const struct log *g);

/* Reads see queued appends too (memory tail). Valid until the next call on g. NULL when absent. */
const u8 *log_entry(struct log *g, u64 index, size_t *ret_len);
u64 log_tail(const struct log *g);
u64 log_next(struct log *g, u64 from);    /* first index at or after from that is here; 0 none */
u64 log_base(const struct log *g, u8 ret_digest[CRYPTO_HASH]); /* 0: none; ret may be NULL */
bool log_gap(const struct log *g, u64 index); /* inside what the base stands for */
int log_meta_set(struct log *g, const char *key, const void *p, size_t n); /* small, queued */
int log_meta_get(struct log *g, const char *key, void *ret, size_t cap, size_t *ret_len);

/* Commit proofs (gcs/proof.h; bytes here) by the index they prove. over: the row that this one replaces; 0 none.
 * Queued, no completion: losing the newest in a crash only means proving less. Reads see what is on disk. */
int log_proof_put(struct log *g, u64 index, u64 over, const u8 *p, size_t n);
/* The first at or after from; the last. Valid until the next call on g. NULL: none. */
const u8 *log_proof(struct log *g, u64 from, u64 *ret_index, size_t *ret_len);
const u8 *log_proof_last(struct log *g, u64 *ret_index, size_t *ret_len);

/* Blobs. */
bool blob_present(const struct log *g, const u8 digest[CRYPTO_HASH]);
int blob_put(struct log *g, const u8 digest[CRYPTO_HASH], const u8 *p, size_t n, log_done_fn *fn, void *ctx);
int blob_get(const struct log *g, const u8 digest[CRYPTO_HASH], u8 **ret, size_t *ret_len, struct err *e); /* free() */

#endif
