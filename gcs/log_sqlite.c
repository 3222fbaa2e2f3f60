/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The durable log on SQLite: what the log thread does with what was queued. It takes the whole queue, one transaction, one
 * fsync; it owns the writing connection.
 *
 * Must never: report done what is not on disk; leave half an operation behind. After a failure it touches nothing until
 * the loop thread has seen it and reset its view (`poison`).
 */
#include <errno.h>

#include "gcs/log_impl.h"

/* --- SQLite ---------------------------------------------------------------------------------------- */

int sql_code(sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return 0;
	if ((rc & 0xff) == SQLITE_NOMEM)
		return -DSI_ENOMEM;
	if ((rc & 0xff) == SQLITE_FULL || sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT)
		return -DSI_ENOSPC;
	return -DSI_EIO;
}

int sql_exec(sqlite3 *db, const char *text)
{
	return sql_code(db, sqlite3_exec(db, text, NULL, NULL, NULL));
}

int sql_step(sqlite3 *db, sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);
	int code = sql_code(db, rc);

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return code;
}

int log_kv_put(struct log *g, const char *key, const void *p, size_t n)
{
	sqlite3_bind_text(g->put_kv, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(g->put_kv, 2, p, n, SQLITE_STATIC);
	return sql_step(g->wr, g->put_kv);
}

int log_kv_put_u64(struct log *g, const char *key, u64 v)
{
	u8 b[8];
	struct wbuf w;

	wbuf_fixed(&w, b, sizeof(b));
	wbuf_u64(&w, v);
	return log_kv_put(g, key, b, sizeof(b));
}

int log_kv_get(struct log *g, const char *key, void *ret, size_t cap, size_t *ret_len)
{
	int rc, code = -DSI_ENOENT;

	*ret_len = 0;
	sqlite3_bind_text(g->rd_meta, 1, key, -1, SQLITE_STATIC);
	rc = sqlite3_step(g->rd_meta);
	if (rc == SQLITE_ROW) {
		size_t n = (size_t)sqlite3_column_bytes(g->rd_meta, 0);
		const void *p = sqlite3_column_blob(g->rd_meta, 0);

		code = n <= cap ? 0 : -DSI_ELIMIT;
		if (!code && n)
			memcpy(ret, p, n);
		if (!code)
			*ret_len = n;
	} else if (rc != SQLITE_DONE)
		code = sql_code(g->rd, rc);
	sqlite3_reset(g->rd_meta);
	return code;
}

int log_kv_get_u64(struct log *g, const char *key, u64 *ret)
{
	u8 b[8];
	size_t n;
	struct rbuf r;
	int rc = log_kv_get(g, key, b, sizeof(b), &n);

	*ret = 0;
	if (rc == -DSI_ENOENT)
		return 0;
	if (rc || n != sizeof(b))
		return rc ? rc : -DSI_EPARSE;
	rbuf_init(&r, b, n);
	*ret = rbuf_u64(&r);
	return 0;
}

/* --- log thread ------------------------------------------------------------------------------------ */

static int op_append(struct log *g, const struct op *op)
{
	int code;

	sqlite3_bind_int64(g->cut_entries, 1, (sqlite3_int64)op->value);
	code = sql_step(g->wr, g->cut_entries);
	if (!code && !op->n) { /* also below what was committed: a reform */
		sqlite3_bind_int64(g->cut_proofs, 1, (sqlite3_int64)op->value);
		code = sql_step(g->wr, g->cut_proofs);
	}
	if (code || !op->n)
		return code;
	sqlite3_bind_int64(g->put_entry, 1, (sqlite3_int64)op->value);
	sqlite3_bind_blob64(g->put_entry, 2, op->p, op->n, SQLITE_STATIC);
	return sql_step(g->wr, g->put_entry);
}

static int op_proof(struct log *g, const struct op *op)
{
	int code;

	sqlite3_bind_int64(g->cut_proof, 1, (sqlite3_int64)op->over);
	code = sql_step(g->wr, g->cut_proof);
	if (code)
		return code;
	sqlite3_bind_int64(g->put_proof, 1, (sqlite3_int64)op->value);
	sqlite3_bind_blob64(g->put_proof, 2, op->p, op->n, SQLITE_STATIC);
	return sql_step(g->wr, g->put_proof);
}

static int op_run(struct log *g, const struct op *op)
{
	switch (op->kind) {
	case OP_APPEND:
		return op_append(g, op);
	case OP_PROMISE:
		return log_kv_put_u64(g, "promised", op->value);
	case OP_HINT:
		return log_kv_put_u64(g, "commit", op->value);
	case OP_META:
		return log_kv_put(g, op->key, op->p, op->n);
	case OP_PROOF:
		return op_proof(g, op);
	case OP_JUMP:
		return op_jump(g, op);
	case OP_DRAIN:
	case OP_BLOB:
		break;
	}
	return 0;
}

static bool op_writes(const struct op *op)
{
	return op->kind != OP_DRAIN && op->kind != OP_BLOB;
}

static int batch_commit(struct log *g, struct op *first)
{
	bool writes = false;
	int code = 0;

	for (struct op *op = first; op; op = op->next)
		writes |= op_writes(op);
	if (!writes)
		return 0;
	code = sql_exec(g->wr, "BEGIN IMMEDIATE");
	for (struct op *op = first; op && !code; op = op->next)
		code = op_run(g, op);
	if (!code)
		code = sql_exec(g->wr, "COMMIT");
	for (struct op *op = first; op && !code; op = op->next)
		if (op->kind == OP_JUMP)
			base_forget(g, op);
	if (code && !sqlite3_get_autocommit(g->wr))
		sql_exec(g->wr, "ROLLBACK");
	return code;
}

static void batch_run(struct log *g, struct op *first)
{
	int code;

	for (struct op *op = first; op; op = op->next)
		if (op->kind == OP_BLOB)
			op->code = blob_write(g, op);
	code = batch_commit(g, first);
	for (struct op *op = first; op && code; op = op->next)
		if (op->kind != OP_BLOB)
			op->code = code;
	pthread_mutex_lock(&g->mutex);
	if (code) {
		g->poison = true;
		g->poison_code = code;
	}
}

void *log_thread(void *arg)
{
	struct log *g = arg;

	pthread_mutex_lock(&g->mutex);
	for (;;) {
		struct queue batch;

		while (!g->stop && (!g->todo.first || g->poison))
			pthread_cond_wait(&g->cond, &g->mutex);
		if (!g->todo.first || g->poison)
			break; /* stopping, and nothing left that may be written */
		queue_init(&batch);
		queue_move(&batch, &g->todo);
		pthread_mutex_unlock(&g->mutex);
		batch_run(g, batch.first); /* returns with the mutex held */
		queue_move(&g->done, &batch);
		if (g->wake)
			loop_wake(g->wake);
	}
	pthread_mutex_unlock(&g->mutex);
	return NULL;
}
