/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files read whole and written whole: a reader sees the old bytes or the new ones, never a part. */
#ifndef DSI_LIB_FSUTIL_H
#define DSI_LIB_FSUTIL_H

#include <sys/types.h>

#include "lib/err.h"

/* At most max bytes, else -DSI_ELIMIT. *ret is malloc'ed with a NUL behind it. -DSI_ENOENT, -DSI_EIO. */
int fs_read_file(const char *path, size_t max, u8 **ret, size_t *ret_len, struct err *e) DSI_MUST_CHECK;
/* Write beside, fsync, rename, fsync the directory. */
int fs_write_file(const char *path, const void *p, size_t n, mode_t mode, struct err *e) DSI_MUST_CHECK;
/* mkdir -p; only missing parts get the mode. */
int fs_mkdirs(const char *path, mode_t mode, struct err *e) DSI_MUST_CHECK;

#endif
