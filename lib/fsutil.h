/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files, whole: read bounded, written so that after a crash the name holds the old bytes or the new, never
 * a mix. All take a directory descriptor (AT_FDCWD for plain paths) and refuse a symbolic link as last part.
 */
#ifndef DSI_LIB_FSUTIL_H
#define DSI_LIB_FSUTIL_H

#include <sys/types.h>

#include "lib/err.h"

/* *ret is malloc'ed and NUL-terminated behind its *ret_len bytes. -DSI_ENOENT, -DSI_ELIMIT (more than max),
 * -DSI_EIO, -DSI_ENOMEM. */
int fs_read_at(int dir, const char *name, size_t max, u8 **ret, size_t *ret_len, struct err *e);
int fs_read_fd(int fd, size_t max, u8 **ret, size_t *ret_len, struct err *e); /* from where it stands to its end */
int fs_read_file(const char *path, size_t max, u8 **ret, size_t *ret_len, struct err *e);

/* Write to a temporary name, fsync, rename, fsync the directory. mode: the new file's, umask not applied.
 * On failure the old file is untouched and the temporary gone. -DSI_ENOSPC, -DSI_EIO. */
int fs_write_at(int dir, const char *name, const void *p, size_t n, mode_t mode, struct err *e);
int fs_write_file(const char *path, const void *p, size_t n, mode_t mode, struct err *e);
/* mkdir -p of one level: exists as a directory is fine; sets mode when it makes it. */
int fs_mkdir_at(int dir, const char *name, mode_t mode, struct err *e);

#endif
