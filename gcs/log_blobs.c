/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blobs of the log: files named by their SHA-256.
 *
 * Must never: show a file under a name that its bytes do not hash to, or one that is not complete and synced.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gcs/log_impl.h"

enum { HEX = 2 * CRYPTO_HASH + 1 };

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
int blob_write(struct log *g, const struct op *op)
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
