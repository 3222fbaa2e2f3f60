/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening and closing the durable log: directories, database, the check of the chain, the thread.
 *
 * Must never: begin on a chain that is damaged, or in a directory that another process uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gcs/log_impl.h"

enum { LOG_FORMAT = 2 }; /* 1: no base */

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS entry (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
	"CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS proof (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL);";

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

static int format_check(struct log *g, int *ret, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int version = 0, rc = prepare(g->wr, "PRAGMA user_version", &s, e);

	if (rc)
		return rc;
	if (sqlite3_step(s) == SQLITE_ROW)
		version = sqlite3_column_int(s, 0);
	*ret = version;
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
	int format, rc;

	if (snprintf(path, sizeof(path), "%s/log.db", dir) >= (int)sizeof(path))
		return err_set(e, -DSI_ELIMIT, "%s: path too long", dir);
	rc = connect_db(&g->wr, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
	if (!rc)
		rc = format_check(g, &format, e);
	if (rc)
		return rc;
	rc = sql_exec(g->wr, "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			     "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;");
	if (!rc)
		rc = sql_exec(g->wr, schema);
	if (!rc && !format) /* a new one; 2 comes with a base */
		rc = sql_exec(g->wr, "PRAGMA user_version = 1");
	if (rc)
		return err_set(e, rc, "%s: %s", path, sqlite3_errmsg(g->wr));
	if (fsync(g->dir))
		return err_errno(e, -DSI_EIO, "%s", dir);
	rc = prepare(g->wr, "INSERT INTO entry (idx, bytes) VALUES (?1, ?2)", &g->put_entry, e);
	if (!rc)
		rc = prepare(g->wr, "DELETE FROM entry WHERE idx >= ?1", &g->cut_entries, e);
	if (!rc)
		rc = prepare(g->wr, "DELETE FROM entry WHERE idx = ?1", &g->cut_gap, e);
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
		rc = prepare(g->rd, "SELECT idx FROM entry WHERE idx >= ?1 ORDER BY idx LIMIT 1", &g->rd_next, e);
	if (!rc)
		rc = prepare(g->rd, "SELECT value FROM kv WHERE key = ?1", &g->rd_meta, e);
	if (!rc)
		rc = prepare(g->rd, "SELECT idx, bytes FROM proof WHERE idx >= ?1 ORDER BY idx LIMIT 1", &g->rd_proof, e);
	if (!rc)
		rc = prepare(g->rd, "SELECT idx, bytes FROM proof ORDER BY idx DESC LIMIT 1", &g->rd_proof_last, e);
	return rc;
}

/* Does entry en come next? In the gap before a base only what root signed remains, and the base itself has no
 * predecessor here: its hash is what a majority stood behind. */
static bool chain_next(const struct log *g, const struct log_boot *boot, const struct entry *en, u64 index)
{
	if (en->index != index || en->term < boot->tail_term)
		return false;
	if (g->base.index && index > 1 && index < g->base.index)
		return index > boot->tail_index && en->type == ENTRY_REFORM;
	if (g->base.index && index == g->base.index)
		return boot->tail_index && boot->tail_index < index;
	return index == boot->tail_index + 1 && !memcmp(en->prev, boot->tail_hash, CRYPTO_HASH);
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
			 !chain_next(g, boot, &en, index))
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
	if (!rc && boot->tail_index < g->base.index)
		rc = err_set(e, -DSI_EDIVERGED, "log.db: the entry at its base, %llu, is missing; move the directory away and start "
			     "again to learn the log from the others", (unsigned long long)g->base.index);
	return rc;
}

static int boot_read(struct log *g, struct log_boot *boot, struct err *e)
{
	int rc = base_read(g, &g->base);

	if (rc)
		return err_set(e, rc, "log.db: its base is damaged; move the directory away and start again to learn the log from the "
			       "others");
	g->base_durable = g->base;
	rc = chain_check(g, boot, e);
	if (rc)
		return rc;
	if ((rc = log_kv_get_u64(g, "promised", &boot->promised)) || (rc = log_kv_get_u64(g, "commit", &boot->commit)) ||
	    (rc = log_kv_get_u64(g, "incarnation", &boot->incarnation)))
		return err_set(e, rc, "log.db: state is damaged");
	boot->base = g->base.index;
	boot->commit = MAX(MIN(boot->commit, boot->tail_index), boot->base);
	boot->empty = !boot->tail_index;
	boot->incarnation++;
	rc = log_kv_put_u64(g, "incarnation", boot->incarnation); /* a transaction by itself: durable when it returns */
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
		g->wake = loop_wake_new(l, log_on_wake, g);
		g->hint_timer = loop_timer_new(l, log_on_hint, g);
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
	sqlite3_finalize(g->rd_next);
	sqlite3_finalize(g->cut_gap);
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
