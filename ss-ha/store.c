/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The refusals' index. One writer thread with its own connection takes batches from a bounded queue;
 * questions are answered on a second connection of the loop's thread (WAL: they never wait for a writer).
 * Must never: make the thread that dispatches messages wait for a disk.
 */
#include "ss-ha/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store {
	sqlite3 *rd, *wr;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	char *queue[STORE_QUEUE_MAX];
	u32 head, n;
	bool stop;
	atomic_ullong lost;
};

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
	"CREATE TABLE IF NOT EXISTS denial(id INTEGER PRIMARY KEY, wall_ms INTEGER, node TEXT, subject TEXT, record TEXT);"
	"CREATE INDEX IF NOT EXISTS denial_time ON denial(wall_ms);";

static void write_batch(struct store *s, char **batch, u32 n)
{
	sqlite3_stmt *st = NULL;
	bool ok = sqlite3_exec(s->wr, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
		  sqlite3_prepare_v2(s->wr,
				     "INSERT INTO denial(wall_ms, node, subject, record) SELECT json_extract(?1,'$.wall_ms'),"
				     "json_extract(?1,'$.node'), json_extract(?1,'$.subject'), ?1",
				     -1, &st, NULL) == SQLITE_OK;

	for (u32 i = 0; ok && i < n; i++) {
		sqlite3_bind_text(st, 1, batch[i], -1, SQLITE_STATIC);
		ok = sqlite3_step(st) == SQLITE_DONE;
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	if (ok)
		ok = sqlite3_exec(s->wr, "DELETE FROM denial WHERE id <= (SELECT max(id) FROM denial) - 200000; COMMIT", NULL, NULL,
				  NULL) == SQLITE_OK;
	if (!ok) {
		sqlite3_exec(s->wr, "ROLLBACK", NULL, NULL, NULL);
		atomic_fetch_add(&s->lost, n);
	}
	for (u32 i = 0; i < n; i++)
		free(batch[i]);
}

static void *writer(void *arg)
{
	struct store *s = arg;
	char *batch[256];

	for (;;) {
		u32 n = 0;

		pthread_mutex_lock(&s->lock);
		while (!s->n && !s->stop)
			pthread_cond_wait(&s->wake, &s->lock);
		for (; s->n && n < ARRAY_SIZE(batch); s->n--) {
			batch[n++] = s->queue[s->head];
			s->head = (s->head + 1) % STORE_QUEUE_MAX;
		}
		pthread_mutex_unlock(&s->lock);
		if (!n)
			return NULL;
		write_batch(s, batch, n);
	}
}

int store_open(struct store **ret, const char *dir, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	char path[512];

	_Static_assert(STORE_RECORDS_MAX == 200000, "the DELETE above says the same");
	if (!s)
		return err_set(e, -DSI_ENOMEM, "store");
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	snprintf(path, sizeof(path), "%s/audit.db", dir);
	if (sqlite3_open(path, &s->wr) || sqlite3_exec(s->wr, schema, NULL, NULL, NULL) || sqlite3_open(path, &s->rd) ||
	    sqlite3_busy_timeout(s->rd, 1000) || pthread_create(&s->thread, NULL, writer, s)) {
		err_set(e, -DSI_EIO, "%s: %s", path, s->wr ? sqlite3_errmsg(s->wr) : "cannot be opened");
		sqlite3_close(s->wr);
		sqlite3_close(s->rd);
		free(s);
		return -DSI_EIO;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	sqlite3_close(s->wr);
	sqlite3_close(s->rd);
	free(s);
}

void store_denial(struct store *s, const json_t *record)
{
	char *text = json_dumps(record, JSON_COMPACT);

	pthread_mutex_lock(&s->lock);
	if (text && s->n < STORE_QUEUE_MAX) {
		s->queue[(s->head + s->n++) % STORE_QUEUE_MAX] = text;
		text = NULL;
		pthread_cond_signal(&s->wake);
	} else
		atomic_fetch_add(&s->lost, 1);
	pthread_mutex_unlock(&s->lock);
	free(text);
}

static json_t *row(sqlite3_stmt *st)
{
	const char *text = (const char *)sqlite3_column_text(st, 1);
	json_t *o = text ? json_loads(text, 0, NULL) : NULL;

	if (o)
		json_object_set_new(o, "id", json_integer(sqlite3_column_int64(st, 0)));
	return o;
}

json_t *store_denials(struct store *s, u64 since_id, u64 since_ms, const char *node, const char *subject, u32 max)
{
	json_t *a = json_array();
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->rd,
			       "SELECT id, record FROM denial WHERE id > ?1 AND wall_ms >= ?2 AND (?3 = '' OR node = ?3) AND "
			       "(?4 = '' OR subject = ?4) ORDER BY id DESC LIMIT ?5",
			       -1, &st, NULL) != SQLITE_OK)
		return a;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)since_id);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)since_ms);
	sqlite3_bind_text(st, 3, node ? node : "", -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, subject ? subject : "", -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 5, (int)max);
	while (sqlite3_step(st) == SQLITE_ROW) {
		json_t *o = row(st);

		if (o)
			json_array_append_new(a, o);
	}
	sqlite3_finalize(st);
	return a;
}

json_t *store_denial_by_id(struct store *s, u64 id)
{
	sqlite3_stmt *st = NULL;
	json_t *o = NULL;

	if (sqlite3_prepare_v2(s->rd, "SELECT id, record FROM denial WHERE id = ?1", -1, &st, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
	if (sqlite3_step(st) == SQLITE_ROW)
		o = row(st);
	sqlite3_finalize(st);
	return o;
}

u64 store_lost(const struct store *s)
{
	return atomic_load(&s->lost);
}
