/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to gcs/log_*.c: the queue between the loop's thread and the log's, and who owns which field. */
#ifndef DSI_GCS_LOG_IMPL_H
#define DSI_GCS_LOG_IMPL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/log.h"

enum { META_KEY_MAX = 32, LOG_KEEP_MAX = 32, BASE_BYTES = 8 + CRYPTO_HASH, PROOF_BYTES_MAX = ENTRY_MAX };

enum op_kind { OP_APPEND, OP_PROMISE, OP_HINT, OP_META, OP_PROOF, OP_JUMP, OP_DRAIN, OP_BLOB };

struct op {
	struct op *next;
	enum op_kind kind;
	u64 value; /* index, term */
	u64 over;  /* OP_PROOF: the one it replaces */
	char key[META_KEY_MAX];
	u8 digest[CRYPTO_HASH];
	u64 keep[LOG_KEEP_MAX]; /* OP_JUMP */
	u32 n_keep;
	u8 old[CRYPTO_HASH]; /* image of the base before; zero none */
	log_done_fn *fn;
	void *ctx;
	int code;
	size_t n;
	u8 p[];
};

struct queue {
	struct op *first, **last;
};

struct log_base { /* index 0: none */
	u64 index;
	u8 digest[CRYPTO_HASH];
};

struct log {
	struct loop *loop;
	struct loop_wake *wake;
	struct loop_timer *hint_timer;
	int dir, blobs, lock;
	/* loop thread */
	sqlite3 *rd;
	sqlite3_stmt *rd_entry, *rd_next, *rd_meta, *rd_proof, *rd_proof_last;
	u64 tail, durable, hint;
	struct log_base base, base_durable;
	struct op **mem; /* mem[i - mem_lo], i in [mem_lo, tail] */
	u64 mem_lo;
	size_t mem_n, mem_cap;
	struct op *meta; /* values set in this run, newest first */
	u8 *buf;
	u32 under_way;
	/* shared */
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	struct queue todo, done;
	bool stop, poison, started;
	int poison_code;
	/* log thread */
	pthread_t thread;
	sqlite3 *wr;
	sqlite3_stmt *put_entry, *cut_entries, *cut_gap, *put_kv, *put_proof, *cut_proof, *cut_proofs;
};

/* log_sqlite.c: SQLite, and what the log thread does */
int sql_code(sqlite3 *db, int rc);
int sql_exec(sqlite3 *db, const char *text);
int sql_step(sqlite3 *db, sqlite3_stmt *s);
int log_kv_put(struct log *g, const char *key, const void *p, size_t n);
int log_kv_put_u64(struct log *g, const char *key, u64 v);
int log_kv_get(struct log *g, const char *key, void *ret, size_t cap, size_t *ret_len);
int log_kv_get_u64(struct log *g, const char *key, u64 *ret); /* 0 when absent */
void *log_thread(void *arg);

/* log_queue.c: the loop's side of the queue */
void queue_init(struct queue *q);
void queue_push(struct queue *q, struct op *op);
void queue_move(struct queue *to, struct queue *from);
void queue_free(struct queue *q);
struct op *op_new(enum op_kind kind, u64 value, const void *p, size_t n, log_done_fn *fn, void *ctx); /* NULL on ENOMEM */
int op_submit(struct log *g, struct op *op); /* NULL: -DSI_ENOMEM */
int hint_queue(struct log *g);
bool mem_push(struct log *g, struct op *op);
void mem_cut(struct log *g, u64 from);
void log_on_wake(void *ctx); /* completions */
void log_on_hint(void *ctx);

/* log_base.c */
int op_jump(struct log *g, const struct op *op);   /* log thread, inside the transaction */
void base_forget(struct log *g, const struct op *op); /* log thread, after it: the image of an earlier base */
int base_read(struct log *g, struct log_base *ret); /* 0 also when there is none */

/* log_blobs.c */
int blob_write(struct log *g, const struct op *op); /* log thread */

#endif
