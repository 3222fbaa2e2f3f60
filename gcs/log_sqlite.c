/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The durable log on SQLite (the only file that includes sqlite3.h for it), on a thread of its own.
 *
 * Loop thread: queues operations, keeps the not yet durable end of the log readable (mem), runs completions.
 * Log thread: takes the whole queue, one transaction, one fsync; owns the writing connection.
 *
 * Must never: let an fsync happen on the loop's thread after log_open(); report done what is not on disk; leave
 * half an operation behind. Invariant: entries on disk are a chain 1..durable; mem holds every entry from
 * mem_lo to tail that is not known durable. After a failure the log thread touches nothing until the loop
 * thread has seen it and reset its view (`poison`).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gcs/log.h"

enum { LOG_FORMAT = 1, META_KEY_MAX = 32, META_MAX = 4096, PROOF_BYTES_MAX = ENTRY_MAX, HEX = 2 * CRYPTO_HASH + 1 };
static const u64 HINT_AFTER_NS = 1000000000ull;

enum op_kind { OP_APPEND, OP_PROMISE, OP_HINT, OP_META, OP_PROOF, OP_DRAIN, OP_BLOB };

struct op {
	struct op *next;
	enum op_kind kind;
	u64 value; /* index, term */
	u64 over;  /* OP_PROOF: the one it replaces */
	char key[META_KEY_MAX];
	u8 digest[CRYPTO_HASH];
	log_done_fn *fn;
	void *ctx;
	int code;
	size_t n;
	u8 p[];
};

struct queue {
	struct op *first, **last;
};

struct log {
	struct loop *loop;
	struct loop_wake *wake;
	struct loop_timer *hint_timer;
	int dir, blobs, lock;
	/* loop thread */
	sqlite3 *rd;
	sqlite3_stmt *rd_entry, *rd_meta, *rd_proof, *rd_proof_last;
	u64 tail, durable, hint;
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
	sqlite3_stmt *put_entry, *cut_entries, *put_kv, *put_proof, *cut_proof, *cut_proofs;
};

/* --- SQLite ---------------------------------------------------------------------------------------- */

static int sql_code(sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return 0;
	if ((rc & 0xff) == SQLITE_NOMEM)
		return -DSI_ENOMEM;
	if ((rc & 0xff) == SQLITE_FULL || sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT)
		return -DSI_ENOSPC;
	return -DSI_EIO;
}

static int sql_exec(sqlite3 *db, const char *text)
{
	return sql_code(db, sqlite3_exec(db, text, NULL, NULL, NULL));
}

static int sql_step(sqlite3 *db, sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);
	int code = sql_code(db, rc);

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return code;
}

static int kv_put(struct log *g, const char *key, const void *p, size_t n)
{
	sqlite3_bind_text(g->put_kv, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(g->put_kv, 2, p, n, SQLITE_STATIC);
	return sql_step(g->wr, g->put_kv);
}

static int kv_put_u64(struct log *g, const char *key, u64 v)
{
	u8 b[8];
	struct wbuf w;

	wbuf_fixed(&w, b, sizeof(b));
	wbuf_u64(&w, v);
	return kv_put(g, key, b, sizeof(b));
}

static int kv_get(struct log *g, const char *key, void *ret, size_t cap, size_t *ret_len)
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

static int kv_get_u64(struct log *g, const char *key, u64 *ret)
{
	u8 b[8];
	size_t n;
	struct rbuf r;
	int rc = kv_get(g, key, b, sizeof(b), &n);

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

static void hex_name(const u8 digest[CRYPTO_HASH], char ret[HEX])
{
	crypto_hex(digest, CRYPTO_HASH, ret);
}

static int write_all(int fd, const u8 *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return errno == ENOSPC || errno == EDQUOT ? -DSI_ENOSPC : -DSI_EIO;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* Complete under its name or absent: written aside, synced, renamed, directory synced. */
static int blob_write(struct log *g, const struct op *op)
{
	char name[HEX], aside[HEX + 4];
	u8 digest[CRYPTO_HASH];
	int fd, code;

	if (crypto_sha256(op->p, op->n, digest) || memcmp(digest, op->digest, sizeof(digest)))
		return -DSI_EINVAL;
	hex_name(op->digest, name);
	snprintf(aside, sizeof(aside), "%s.new", name);
	fd = openat(g->blobs, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == ENOSPC ? -DSI_ENOSPC : -DSI_EIO;
	code = write_all(fd, op->p, op->n);
	if (!code && fsync(fd))
		code = errno == ENOSPC ? -DSI_ENOSPC : -DSI_EIO;
	if (close(fd) && !code)
		code = -DSI_EIO;
	if (!code && renameat(g->blobs, aside, g->blobs, name))
		code = -DSI_EIO;
	if (!code && fsync(g->blobs))
		code = -DSI_EIO;
	if (code)
		unlinkat(g->blobs, aside, 0);
	return code;
}

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
		return kv_put_u64(g, "promised", op->value);
	case OP_HINT:
		return kv_put_u64(g, "commit", op->value);
	case OP_META:
		return kv_put(g, op->key, op->p, op->n);
	case OP_PROOF:
		return op_proof(g, op);
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

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_push(struct queue *q, struct op *op)
{
	op->next = NULL;
	*q->last = op;
	q->last = &op->next;
}

static void queue_move(struct queue *to, struct queue *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	queue_init(from);
}

static void *log_thread(void *arg)
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

/* --- the end of the log in memory ------------------------------------------------------------------- */

static bool mem_push(struct log *g, struct op *op)
{
	if (g->mem_n == g->mem_cap) {
		size_t cap = g->mem_cap ? 2 * g->mem_cap : 64;
		struct op **mem = realloc(g->mem, cap * sizeof(*mem));

		if (!mem)
			return false;
		g->mem = mem;
		g->mem_cap = cap;
	}
	if (!g->mem_n)
		g->mem_lo = op->value;
	g->mem[g->mem_n++] = op;
	return true;
}

static void mem_cut(struct log *g, u64 from)
{
	while (g->mem_n && g->mem_lo + g->mem_n > from)
		g->mem_n--;
}

static void mem_durable(struct log *g, const struct op *op)
{
	if (!g->mem_n || g->mem[0] != op)
		return; /* replaced while it was under way */
	memmove(g->mem, g->mem + 1, (g->mem_n - 1) * sizeof(*g->mem));
	g->mem_n--;
	g->mem_lo++;
}

/* --- completions ----------------------------------------------------------------------------------- */

static void op_done(struct log *g, struct op *op)
{
	if (op->kind == OP_APPEND && !op->code) {
		mem_durable(g, op);
		g->durable = op->n ? op->value : op->value - 1; /* operations complete in their order */
	}
	g->under_way--;
	if (op->fn)
		op->fn(op->ctx, op->value, op->code);
	free(op);
}

/* Everything behind a failed batch fails with it; then both sides start afresh from what is on disk. */
static void fail_rest(struct log *g, struct queue *done)
{
	pthread_mutex_lock(&g->mutex);
	if (g->poison) {
		queue_move(done, &g->done);
		for (struct op *op = g->todo.first; op; op = op->next)
			op->code = g->poison_code;
		queue_move(done, &g->todo);
		g->poison = false;
		g->tail = g->durable;
		for (struct op *op = done->first; op; op = op->next)
			if (op->kind == OP_APPEND && !op->code)
				g->tail = op->n ? op->value : op->value - 1;
		g->mem_n = 0;
		for (struct op *op = done->first; op; op = op->next)
			op->kind = op->kind == OP_APPEND && op->code ? OP_DRAIN : op->kind;
	}
	pthread_mutex_unlock(&g->mutex);
}

static void run_completions(void *ctx)
{
	struct log *g = ctx;
	struct queue done;
	struct op *op;

	queue_init(&done);
	pthread_mutex_lock(&g->mutex);
	queue_move(&done, &g->done);
	pthread_mutex_unlock(&g->mutex);
	fail_rest(g, &done);
	while ((op = done.first)) {
		done.first = op->next;
		op_done(g, op);
	}
}

/* --- queueing -------------------------------------------------------------------------------------- */

static struct op *op_new(enum op_kind kind, u64 value, const void *p, size_t n, log_done_fn *fn, void *ctx)
{
	struct op *op = malloc(sizeof(*op) + n);

	if (!op)
		return NULL;
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->value = value;
	op->fn = fn;
	op->ctx = ctx;
	op->n = n;
	if (n)
		memcpy(op->p, p, n);
	return op;
}

static void op_queue(struct log *g, struct op *op, bool now)
{
	g->under_way++;
	pthread_mutex_lock(&g->mutex);
	queue_push(&g->todo, op);
	if (now)
		pthread_cond_signal(&g->cond);
	pthread_mutex_unlock(&g->mutex);
}

static int hint_queue(struct log *g)
{
	struct op *op;

	if (!g->hint)
		return 0;
	op = op_new(OP_HINT, g->hint, NULL, 0, NULL, NULL);
	if (!op)
		return -DSI_ENOMEM;
	g->hint = 0;
	op_queue(g, op, false);
	return 0;
}

static int op_submit(struct log *g, struct op *op)
{
	if (!op)
		return -DSI_ENOMEM;
	op_queue(g, op, true);
	return 0;
}

int log_promise(struct log *g, u64 term, log_done_fn *fn, void *ctx)
{
	return op_submit(g, op_new(OP_PROMISE, term, NULL, 0, fn, ctx));
}

int log_append(struct log *g, u64 index, const u8 *p, size_t n, log_done_fn *fn, void *ctx)
{
	struct op *op;

	if (!index || index > g->tail + 1)
		return -DSI_EINVAL;
	if (n > ENTRY_MAX)
		return -DSI_ELIMIT;
	op = op_new(OP_APPEND, index, p, n, fn, ctx);
	if (!op)
		return -DSI_ENOMEM;
	mem_cut(g, index);
	if (n && !mem_push(g, op)) {
		free(op);
		return -DSI_ENOMEM;
	}
	g->tail = n ? index : index - 1;
	hint_queue(g); /* rides along */
	return op_submit(g, op);
}

static void on_hint(void *ctx)
{
	struct log *g = ctx;

	if (!hint_queue(g)) {
		pthread_mutex_lock(&g->mutex);
		pthread_cond_signal(&g->cond);
		pthread_mutex_unlock(&g->mutex);
	}
}

int log_commit_hint(struct log *g, u64 index)
{
	g->hint = index;
	if (g->hint_timer && !loop_timer_active(g->hint_timer))
		loop_timer_set(g->hint_timer, HINT_AFTER_NS);
	return 0;
}

int log_drain(struct log *g, log_done_fn *fn, void *ctx)
{
	return op_submit(g, op_new(OP_DRAIN, 0, NULL, 0, fn, ctx));
}

bool log_drained(const struct log *g)
{
	return !g->under_way;
}

/* --- reading --------------------------------------------------------------------------------------- */

const u8 *log_entry(struct log *g, u64 index, size_t *ret_len)
{
	const u8 *ret = NULL;

	if (!index || index > g->tail)
		return NULL;
	if (g->mem_n && index >= g->mem_lo) {
		*ret_len = g->mem[index - g->mem_lo]->n;
		return g->mem[index - g->mem_lo]->p;
	}
	sqlite3_bind_int64(g->rd_entry, 1, (sqlite3_int64)index);
	if (sqlite3_step(g->rd_entry) == SQLITE_ROW) {
		size_t n = (size_t)sqlite3_column_bytes(g->rd_entry, 0);
		const void *p = sqlite3_column_blob(g->rd_entry, 0);

		if (n && n <= ENTRY_MAX && p) {
			memcpy(g->buf, p, n);
			*ret_len = n;
			ret = g->buf;
		}
	}
	sqlite3_reset(g->rd_entry);
	return ret;
}

u64 log_tail(const struct log *g)
{
	return g->tail;
}

int log_meta_set(struct log *g, const char *key, const void *p, size_t n)
{
	struct op *op, *copy;

	if (n > META_MAX || strlen(key) + 5 > META_KEY_MAX)
		return -DSI_ELIMIT;
	op = op_new(OP_META, 0, p, n, NULL, NULL);
	copy = op_new(OP_META, 0, p, n, NULL, NULL);
	if (!op || !copy) {
		free(op);
		free(copy);
		return -DSI_ENOMEM;
	}
	snprintf(op->key, sizeof(op->key), "meta.%.26s", key);
	memcpy(copy->key, op->key, sizeof(copy->key));
	for (struct op **at = &g->meta; *at; at = &(*at)->next)
		if (!strcmp((*at)->key, copy->key)) {
			struct op *old = *at;

			*at = old->next;
			free(old);
			break;
		}
	copy->next = g->meta;
	g->meta = copy;
	return op_submit(g, op);
}

int log_meta_get(struct log *g, const char *key, void *ret, size_t cap, size_t *ret_len)
{
	char full[META_KEY_MAX];

	*ret_len = 0;
	if (snprintf(full, sizeof(full), "meta.%s", key) >= (int)sizeof(full))
		return -DSI_ELIMIT;
	for (struct op *m = g->meta; m; m = m->next) {
		if (strcmp(m->key, full))
			continue;
		if (m->n > cap)
			return -DSI_ELIMIT;
		memcpy(ret, m->p, m->n);
		*ret_len = m->n;
		return 0;
	}
	return kv_get(g, full, ret, cap, ret_len);
}

/* --- proofs ---------------------------------------------------------------------------------------- */

int log_proof_put(struct log *g, u64 index, u64 over, const u8 *p, size_t n)
{
	struct op *op;

	if (!index || !n || n > PROOF_BYTES_MAX)
		return -DSI_ELIMIT;
	op = op_new(OP_PROOF, index, p, n, NULL, NULL);
	if (op)
		op->over = over;
	return op_submit(g, op);
}

static const u8 *proof_row(struct log *g, sqlite3_stmt *s, u64 *ret_index, size_t *ret_len)
{
	const u8 *ret = NULL;

	if (sqlite3_step(s) == SQLITE_ROW) {
		size_t n = (size_t)sqlite3_column_bytes(s, 1);
		const void *p = sqlite3_column_blob(s, 1);

		if (n && n <= PROOF_BYTES_MAX && p) {
			memcpy(g->buf, p, n);
			*ret_index = (u64)sqlite3_column_int64(s, 0);
			*ret_len = n;
			ret = g->buf;
		}
	}
	sqlite3_reset(s);
	return ret;
}

const u8 *log_proof(struct log *g, u64 from, u64 *ret_index, size_t *ret_len)
{
	sqlite3_bind_int64(g->rd_proof, 1, (sqlite3_int64)MIN(from, (u64)INT64_MAX));
	return proof_row(g, g->rd_proof, ret_index, ret_len);
}

const u8 *log_proof_last(struct log *g, u64 *ret_index, size_t *ret_len)
{
	return proof_row(g, g->rd_proof_last, ret_index, ret_len);
}

/* --- blobs ----------------------------------------------------------------------------------------- */

bool blob_present(const struct log *g, const u8 digest[CRYPTO_HASH])
{
	char name[HEX];

	hex_name(digest, name);
	return !faccessat(g->blobs, name, F_OK, 0);
}

int blob_put(struct log *g, const u8 digest[CRYPTO_HASH], const u8 *p, size_t n, log_done_fn *fn, void *ctx)
{
	struct op *op;

	if (n > LIM_POLICY)
		return -DSI_ELIMIT;
	op = op_new(OP_BLOB, 0, p, n, fn, ctx);
	if (op)
		memcpy(op->digest, digest, CRYPTO_HASH);
	return op_submit(g, op);
}

int blob_get(const struct log *g, const u8 digest[CRYPTO_HASH], u8 **ret, size_t *ret_len, struct err *e)
{
	char name[HEX];
	u8 have[CRYPTO_HASH], *p = NULL;
	struct stat st;
	size_t got = 0;
	int code, fd;

	hex_name(digest, name);
	fd = openat(g->blobs, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno == ENOENT ? -DSI_ENOENT : -DSI_EIO, "blob %.16s", name);
	if (fstat(fd, &st) || st.st_size > LIM_POLICY) {
		code = err_set(e, -DSI_EIO, "blob %.16s: unreadable or too large", name);
		goto close;
	}
	p = malloc((size_t)st.st_size + 1);
	if (!p) {
		code = err_set(e, -DSI_ENOMEM, "blob %.16s", name);
		goto close;
	}
	while (got < (size_t)st.st_size) {
		ssize_t k = read(fd, p + got, (size_t)st.st_size - got);

		if (k <= 0)
			break;
		got += (size_t)k;
	}
	if (got != (size_t)st.st_size || crypto_sha256(p, got, have) || memcmp(have, digest, sizeof(have))) {
		code = err_set(e, -DSI_EIO, "blob %.16s: damaged on disk", name);
		goto close;
	}
	*ret = p;
	*ret_len = got;
	p = NULL;
	code = 0;
close:
	free(p);
	close(fd);
	return code;
}

/* --- opening --------------------------------------------------------------------------------------- */

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS entry (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
	"CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS proof (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
	"PRAGMA user_version = 1;";

static int directories(struct log *g, const char *dir, struct err *e)
{
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_errno(e, -DSI_EIO, "%s", dir);
	g->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dir < 0)
		return err_errno(e, -DSI_EIO, "%s", dir);
	if (mkdirat(g->dir, "blobs", 0700) && errno != EEXIST)
		return err_errno(e, -DSI_EIO, "%s/blobs", dir);
	g->blobs = openat(g->dir, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->blobs < 0)
		return err_errno(e, -DSI_EIO, "%s/blobs", dir);
	g->lock = openat(g->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (g->lock < 0)
		return err_errno(e, -DSI_EIO, "%s/lock", dir);
	if (flock(g->lock, LOCK_EX | LOCK_NB))
		return err_set(e, -DSI_EEXIST, "%s: in use by another process", dir);
	return 0;
}

static int connect_db(sqlite3 **ret, const char *path, int flags, struct err *e)
{
	int rc = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return err_set(e, *ret ? sql_code(*ret, rc) : -DSI_ENOMEM, "%s: %s", path,
			       *ret ? sqlite3_errmsg(*ret) : "out of memory");
	sqlite3_busy_timeout(*ret, 5000);
	return 0;
}

static int prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret, struct err *e)
{
	int rc = sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

	return rc ? err_set(e, sql_code(db, rc), "log.db: %s", sqlite3_errmsg(db)) : 0;
}

static int format_check(struct log *g, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int version = 0, rc = prepare(g->wr, "PRAGMA user_version", &s, e);

	if (rc)
		return rc;
	if (sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	if (version > LOG_FORMAT)
		return err_set(e, -DSI_EVERSION, "log.db: format %d, this program knows %d", version, LOG_FORMAT);
	return 0;
}

/* Creating the file makes names in the directory: synced here, once. In WAL mode FULL syncs the log at every
 * commit; EXTRA adds the directory where a rollback journal is unlinked, so it is on until WAL is. */
static int database(struct log *g, const char *dir, struct err *e)
{
	char path[LIM_PATH + 16];
	int rc;

	if (snprintf(path, sizeof(path), "%s/log.db", dir) >= (int)sizeof(path))
		return err_set(e, -DSI_ELIMIT, "%s: path too long", dir);
	rc = connect_db(&g->wr, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
	if (!rc)
		rc = format_check(g, e);
	if (rc)
		return rc;
	rc = sql_exec(g->wr, "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			     "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;");
	if (!rc)
		rc = sql_exec(g->wr, schema);
	if (rc)
		return err_set(e, rc, "%s: %s", path, sqlite3_errmsg(g->wr));
	if (fsync(g->dir))
		return err_errno(e, -DSI_EIO, "%s", dir);
	rc = prepare(g->wr, "INSERT INTO entry (idx, bytes) VALUES (?1, ?2)", &g->put_entry, e);
	if (!rc)
		rc = prepare(g->wr, "DELETE FROM entry WHERE idx >= ?1", &g->cut_entries, e);
	if (!rc)
		rc = prepare(g->wr, "INSERT OR REPLACE INTO kv (key, value) VALUES (?1, ?2)", &g->put_kv, e);
	if (!rc)
		rc = prepare(g->wr, "INSERT OR REPLACE INTO proof (idx, bytes) VALUES (?1, ?2)", &g->put_proof, e);
	if (!rc)
		rc = prepare(g->wr, "DELETE FROM proof WHERE idx = ?1", &g->cut_proof, e);
	if (!rc)
		rc = prepare(g->wr, "DELETE FROM proof WHERE idx >= ?1", &g->cut_proofs, e);
	if (!rc)
		rc = connect_db(&g->rd, path, SQLITE_OPEN_READONLY, e);
	if (!rc)
		rc = prepare(g->rd, "SELECT bytes FROM entry WHERE idx = ?1", &g->rd_entry, e);
	if (!rc)
		rc = prepare(g->rd, "SELECT value FROM kv WHERE key = ?1", &g->rd_meta, e);
	if (!rc)
		rc = prepare(g->rd, "SELECT idx, bytes FROM proof WHERE idx >= ?1 ORDER BY idx LIMIT 1", &g->rd_proof, e);
	if (!rc)
		rc = prepare(g->rd, "SELECT idx, bytes FROM proof ORDER BY idx DESC LIMIT 1", &g->rd_proof_last, e);
	return rc;
}

static int chain_check(struct log *g, struct log_boot *boot, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int step, rc = prepare(g->rd, "SELECT idx, bytes FROM entry ORDER BY idx", &s, e);

	while (!rc && (step = sqlite3_step(s)) != SQLITE_DONE) {
		u64 index = (u64)sqlite3_column_int64(s, 0);
		struct entry en;

		if (step != SQLITE_ROW)
			rc = err_set(e, sql_code(g->rd, step), "log.db: %s", sqlite3_errmsg(g->rd));
		else if (entry_decode(&en, sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1)) ||
			 en.index != index || index != boot->tail_index + 1 || en.term < boot->tail_term ||
			 memcmp(en.prev, boot->tail_hash, CRYPTO_HASH))
			rc = err_set(e, -DSI_EDIVERGED, "log.db: entry %llu is damaged or out of the chain; move the "
				     "directory away and start again to learn the log from the others", (unsigned long long)index);
		else {
			boot->tail_index = index;
			boot->tail_term = en.term;
			boot->generation = en.generation;
			if (en.type == ENTRY_REFORM)
				boot->reform = index;
			memcpy(boot->tail_hash, en.hash, CRYPTO_HASH);
		}
	}
	sqlite3_finalize(s);
	return rc;
}

static int boot_read(struct log *g, struct log_boot *boot, struct err *e)
{
	int rc = chain_check(g, boot, e);

	if (rc)
		return rc;
	if ((rc = kv_get_u64(g, "promised", &boot->promised)) || (rc = kv_get_u64(g, "commit", &boot->commit)) ||
	    (rc = kv_get_u64(g, "incarnation", &boot->incarnation)))
		return err_set(e, rc, "log.db: state is damaged");
	boot->commit = MIN(boot->commit, boot->tail_index);
	boot->empty = !boot->tail_index;
	boot->incarnation++;
	rc = kv_put_u64(g, "incarnation", boot->incarnation); /* a transaction by itself: durable when it returns */
	if (rc)
		return err_set(e, rc, "log.db: incarnation cannot be raised");
	g->tail = g->durable = boot->tail_index;
	return 0;
}

static int thread_start(struct log *g, struct err *e)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&g->thread, NULL, log_thread, g);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return err_set(e, -DSI_EAGAIN, "log thread cannot be started");
	g->started = true;
	return 0;
}

int log_open(struct log **ret, struct loop *l, const char *dir, struct log_boot *boot, struct err *e)
{
	struct log *g = calloc(1, sizeof(*g));
	int rc;

	memset(boot, 0, sizeof(*boot));
	if (!g)
		return err_set(e, -DSI_ENOMEM, "log");
	g->loop = l;
	g->dir = g->blobs = g->lock = -1;
	queue_init(&g->todo);
	queue_init(&g->done);
	pthread_mutex_init(&g->mutex, NULL);
	pthread_cond_init(&g->cond, NULL);
	g->buf = malloc(ENTRY_MAX);
	rc = g->buf ? directories(g, dir, e) : err_set(e, -DSI_ENOMEM, "log");
	if (!rc)
		rc = database(g, dir, e);
	if (!rc)
		rc = boot_read(g, boot, e);
	if (!rc && l) {
		g->wake = loop_wake_new(l, run_completions, g);
		g->hint_timer = loop_timer_new(l, on_hint, g);
		if (!g->wake || !g->hint_timer)
			rc = err_set(e, -DSI_ENOMEM, "log");
	}
	if (!rc)
		rc = thread_start(g, e);
	if (rc) {
		log_close(g);
		return err_wrap(e, "open the log in %s", dir);
	}
	*ret = g;
	return 0;
}

static void queue_free(struct queue *q)
{
	while (q->first) {
		struct op *op = q->first;

		q->first = op->next;
		free(op);
	}
	queue_init(q);
}

void log_close(struct log *g)
{
	if (!g)
		return;
	if (g->started) {
		hint_queue(g);
		pthread_mutex_lock(&g->mutex);
		g->stop = true;
		pthread_cond_signal(&g->cond);
		pthread_mutex_unlock(&g->mutex);
		pthread_join(g->thread, NULL);
	}
	if (g->loop) {
		loop_wake_free(g->wake);
		loop_timer_free(g->hint_timer);
	}
	queue_free(&g->todo);
	queue_free(&g->done);
	while (g->meta) {
		struct op *m = g->meta;

		g->meta = m->next;
		free(m);
	}
	sqlite3_finalize(g->rd_entry);
	sqlite3_finalize(g->rd_meta);
	sqlite3_finalize(g->rd_proof);
	sqlite3_finalize(g->rd_proof_last);
	sqlite3_finalize(g->put_proof);
	sqlite3_finalize(g->cut_proof);
	sqlite3_finalize(g->cut_proofs);
	sqlite3_finalize(g->put_entry);
	sqlite3_finalize(g->cut_entries);
	sqlite3_finalize(g->put_kv);
	sqlite3_close(g->rd);
	sqlite3_close(g->wr);
	if (g->blobs >= 0)
		close(g->blobs);
	if (g->lock >= 0)
		close(g->lock);
	if (g->dir >= 0)
		close(g->dir);
	pthread_mutex_destroy(&g->mutex);
	pthread_cond_destroy(&g->cond);
	free(g->mem);
	free(g->buf);
	free(g);
}
