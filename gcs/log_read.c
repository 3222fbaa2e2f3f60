/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the log: entries, meta values, proofs. On the loop thread, over its own connection.
 *
 * Must never: give bytes beyond the bounds of what was written.
 */
#include "gcs/log_impl.h"

const u8 *log_entry(struct log *g, u64 index, size_t *ret_len)
{
	const u8 *ret = NULL;
	struct entry e;

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
	/* A jump that is not on disk yet leaves what it cuts readable there. */
	if (ret && log_gap(g, index) && (entry_decode(&e, ret, *ret_len) || e.type != ENTRY_REFORM))
		return NULL;
	return ret;
}

u64 log_tail(const struct log *g)
{
	return g->tail;
}

bool log_gap(const struct log *g, u64 index)
{
	return index > 1 && index < g->base.index;
}

u64 log_base(const struct log *g, u8 ret_digest[CRYPTO_HASH])
{
	if (ret_digest)
		memcpy(ret_digest, g->base.digest, CRYPTO_HASH);
	return g->base.index;
}

u64 log_next(struct log *g, u64 from)
{
	size_t n;

	from = MAX(from, 1);
	while (log_gap(g, from) && !log_entry(g, from, &n)) {
		u64 next = g->base.index;

		sqlite3_bind_int64(g->rd_next, 1, (sqlite3_int64)from + 1);
		if (sqlite3_step(g->rd_next) == SQLITE_ROW)
			next = MIN(next, (u64)sqlite3_column_int64(g->rd_next, 0));
		sqlite3_reset(g->rd_next);
		from = next;
	}
	return from <= g->tail ? from : 0;
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
	return log_kv_get(g, full, ret, cap, ret_len);
}

/* --- proofs ---------------------------------------------------------------------------------------- */

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
