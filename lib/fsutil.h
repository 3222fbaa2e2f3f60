/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files read whole and written whole: a reader sees the old bytes or the new ones, never a part. */
#ifndef DSI_LIB_FSUTIL_H
#define DSI_LIB_FSUTIL_H

#include <sys/types.h>

#include "lib/err.h"

/* At most max bytes, else -DSI_ELIMIT. *ret is malloc'ed with a NUL behind it. -DSI_ENOENT, -DSI_EIO. The _at
 * forms refuse a symbolic link as the last part; dir may be AT_FDCWD. fs_read_fd reads on from where fd stands. */
int fs_read_at(int dir, const char *name, size_t max, u8 **ret, size_t *ret_len, struct err *e) DSI_MUST_CHECK;
int fs_read_fd(int fd, const char *name, size_t max, u8 **ret, size_t *ret_len, struct err *e) DSI_MUST_CHECK;
int fs_read_file(const char *path, size_t max, u8 **ret, size_t *ret_len, struct err *e) DSI_MUST_CHECK;
/* Write beside, fsync, rename, fsync the directory: after a failure the old file is untouched and nothing is
 * left beside it. mode is the new file's, whatever the umask. -DSI_ENOSPC, -DSI_EIO. */
int fs_write_at(int dir, const char *name, const void *p, size_t n, mode_t mode, struct err *e) DSI_MUST_CHECK;
int fs_write_file(const char *path, const void *p, size_t n, mode_t mode, struct err *e) DSI_MUST_CHECK;
/* mkdir -p; only missing parts get the mode. */
int fs_mkdirs(const char *path, mode_t mode, struct err *e) DSI_MUST_CHECK;

#endif
