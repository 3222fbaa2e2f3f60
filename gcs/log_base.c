/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log that begins at a base: the jump there.
 *
 * Must never: cut what the base stands for in another transaction than the one that writes the base; name an image that
 * is not complete on disk.
 */
#include <unistd.h>

#include "gcs/log_impl.h"

#define BASE_KEY "base" /* u64 index | digest of the image */

int base_read(struct log *g, struct log_base *ret)
{
	u8 b[BASE_BYTES];
	struct rbuf r;
	size_t n;
	int rc = log_kv_get(g, BASE_KEY, b, sizeof(b), &n);

	memset(ret, 0, sizeof(*ret));
	if (rc)
		return rc == -DSI_ENOENT ? 0 : rc;
	rbuf_init(&r, b, n);
	ret->index = rbuf_u64(&r);
	rbuf_copy(&r, ret->digest, sizeof(ret->digest));
	rc = rbuf_end(&r);
	return rc ? rc : ret->index > 1 ? 0 : -DSI_EPARSE;
}

static bool kept(const struct op *op, u64 index)
{
	for (u32 i = 0; i < op->n_keep; i++)
		if (op->keep[i] == index)
			return true;
	return index == 1;
}

static int cut_all(struct log *g, const struct op *op)
{
	sqlite3_stmt *s = NULL;
	int step, code = sql_code(g->wr, sqlite3_prepare_v2(g->wr, "SELECT idx FROM entry", -1, &s, NULL));

	while (!code && (step = sqlite3_step(s)) == SQLITE_ROW) {
		u64 index = (u64)sqlite3_column_int64(s, 0);

		if (kept(op, index))
			continue;
		sqlite3_bind_int64(g->cut_gap, 1, (sqlite3_int64)index);
		code = sql_step(g->wr, g->cut_gap);
	}
	if (!code)
		code = sql_code(g->wr, step);
	sqlite3_finalize(s);
	return code ? code : sql_exec(g->wr, "DELETE FROM proof");
}

int op_jump(struct log *g, const struct op *op)
{
	u8 base[BASE_BYTES];
	struct wbuf w;
	int code = blob_present(g, op->digest) ? 0 : -DSI_EIO; /* it was to be written before: no room? */

	wbuf_fixed(&w, base, sizeof(base));
	wbuf_u64(&w, op->value);
	wbuf_bytes(&w, op->digest, CRYPTO_HASH);
	if (!code)
		code = cut_all(g, op);
	if (!code)
		code = log_kv_put(g, BASE_KEY, base, sizeof(base));
	if (!code)
		code = log_kv_put_u64(g, "commit", op->value);
	if (!code)
		code = sql_exec(g->wr, "PRAGMA user_version = 2");
	if (code)
		return code;
	sqlite3_bind_int64(g->put_entry, 1, (sqlite3_int64)op->value);
	sqlite3_bind_blob64(g->put_entry, 2, op->p, op->n, SQLITE_STATIC);
	return sql_step(g->wr, g->put_entry);
}

/* A crash in between leaves a file that nothing names. */
void base_forget(struct log *g, const struct op *op)
{
	char name[2 * CRYPTO_HASH + 1];
	static const u8 none[CRYPTO_HASH];

	if (!memcmp(op->old, none, sizeof(none)) || !memcmp(op->old, op->digest, sizeof(none)))
		return;
	crypto_hex(op->old, CRYPTO_HASH, name);
	unlinkat(g->blobs, name, 0);
}

int log_jump(struct log *g, u64 index, const u8 *entry, size_t n, const u8 digest[CRYPTO_HASH], const u8 *image,
	     size_t image_n, const u64 *keep, u32 n_keep, log_done_fn *fn, void *ctx)
{
	struct op *op;
	int rc;

	if (index <= g->tail || index < 2 || !n)
		return -DSI_EINVAL;
	if (n > ENTRY_MAX || n_keep > LOG_KEEP_MAX)
		return -DSI_ELIMIT;
	rc = blob_put(g, digest, image, image_n, NULL, NULL);
	if (rc)
		return rc;
	op = op_new(OP_JUMP, index, entry, n, fn, ctx);
	if (!op)
		return -DSI_ENOMEM;
	memcpy(op->digest, digest, CRYPTO_HASH);
	memcpy(op->old, g->base.digest, CRYPTO_HASH);
	for (u32 i = 0; i < n_keep; i++)
		op->keep[op->n_keep++] = keep[i];
	mem_cut(g, 0);
	if (!mem_push(g, op)) {
		free(op);
		return -DSI_ENOMEM;
	}
	g->tail = g->base.index = index;
	memcpy(g->base.digest, digest, CRYPTO_HASH);
	g->hint = 0; /* of before */
	return op_submit(g, op);
}
