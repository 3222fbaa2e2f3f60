/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of dsi-admin: bounded reads, durable writes that are complete or absent, owners of key files.
 * Paths are used as given; commands put --root before them.
 */
#ifndef DSI_CLI_FILES_H
#define DSI_CLI_FILES_H

#include <sys/types.h>

#include "lib/err.h"

/* *ret is malloc'ed, one NUL is added behind it. "-" reads stdin. */
int files_read(const char *path, size_t max, u8 **ret, size_t *ret_len, struct err *e);
/* Write beside, fsync, rename, fsync the directory. replace false: -DSI_EEXIST when path exists, without a race. */
int files_write(const char *path, mode_t mode, bool replace, const void *p, size_t n, struct err *e);
/* mkdir -p; mode is for those it makes. */
int files_mkdir(const char *path, mode_t mode, struct err *e);
bool files_exists(const char *path);
/* Owner and group by name; a name that does not exist here (NULL: leave) is skipped, not an error, so that
 * init works before the package made its users. Without root: nothing is done. */
int files_chown(const char *path, const char *user, const char *group, struct err *e);
int files_chown_tree(const char *path, const char *owner, struct err *e); /* user and group of that name */

#endif
