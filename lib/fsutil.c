/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files read whole and written whole.
 *
 * Must never: follow a symbolic link at the last part of a name given with a directory; leave a temporary
 * file behind after an error. Invariant: the name holds the old bytes or the new, at every moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fsutil.h"

static int code_of(int error)
{
	switch (error) {
	case ENOENT:
		return -DSI_ENOENT;
	case ENOSPC:
	case EDQUOT:
		return -DSI_ENOSPC;
	case EACCES:
	case EPERM:
		return -DSI_EPERM;
	case ENOMEM:
		return -DSI_ENOMEM;
	}
	return -DSI_EIO;
}

/* --- reading -------------------------------------------------------------------------------------- */

/* One byte more than max is asked for, so that "larger" is seen without reading on. 0 at the end. */
static ssize_t read_more(int fd, u8 *p, size_t room)
{
	ssize_t got;

	do {
		got = read(fd, p, room);
	} while (got < 0 && errno == EINTR);
	return got;
}

int fs_read_fd(int fd, const char *name, size_t max, u8 **ret, size_t *ret_len, struct err *e)
{
	size_t cap = MIN(max, (size_t)4096) + 2, n = 0;
	u8 *p = malloc(cap);

	while (p) {
		ssize_t got = read_more(fd, p + n, cap - n - 1);

		if (got < 0) {
			free(p);
			return err_errno(e, code_of(errno), "%s", name);
		}
		n += (size_t)got;
		if (n > max) {
			free(p);
			return err_set(e, -DSI_ELIMIT, "%s: larger than %zu bytes", name, max);
		}
		if (!got) {
			p[n] = 0;
			*ret = p;
			*ret_len = n;
			return 0;
		}
		if (n + 1 == cap) {
			u8 *bigger;

			cap = MIN(2 * cap, max + 2);
			bigger = realloc(p, cap);
			if (!bigger)
				free(p);
			p = bigger;
		}
	}
	return err_set(e, -DSI_ENOMEM, "%s", name);
}

static int read_open(int dir, const char *name, int flags, size_t max, u8 **ret, size_t *ret_len, struct err *e)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags), rc;

	if (fd < 0)
		return err_errno(e, code_of(errno), "%s", name);
	rc = fs_read_fd(fd, name, max, ret, ret_len, e);
	close(fd);
	return rc;
}

int fs_read_at(int dir, const char *name, size_t max, u8 **ret, size_t *ret_len, struct err *e)
{
	return read_open(dir, name, O_NOFOLLOW, max, ret, ret_len, e);
}

int fs_read_file(const char *path, size_t max, u8 **ret, size_t *ret_len, struct err *e)
{
	return read_open(AT_FDCWD, path, 0, max, ret, ret_len, e);
}

/* --- writing -------------------------------------------------------------------------------------- */

static bool write_all(int fd, const u8 *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done == 0)
			errno = EIO;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

/* The directory entry is part of what was promised: its fsync counts. */
static bool sync_parent(int dir, const char *name)
{
	char parent[4096];
	char *slash;
	bool ok;
	int fd;

	snprintf(parent, sizeof(parent), "%s", name);
	slash = strrchr(parent, '/');
	if (slash)
		*(slash == parent ? slash + 1 : slash) = 0;
	fd = openat(dir, slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = !fsync(fd) || errno == EINVAL; /* EINVAL: a file system without directory fsync */
	close(fd);
	return ok;
}

/* A name nobody else uses at the same time; unpredictability is not needed, O_EXCL decides. */
static int open_beside(int dir, const char *name, char *tmp, size_t cap)
{
	static u32 counter;

	for (int i = 0; i < 100; i++) {
		u32 n = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
		int fd;

		if ((size_t)snprintf(tmp, cap, "%s.tmp-%d-%u", name, (int)getpid(), n) >= cap) {
			errno = ENAMETOOLONG;
			return -1;
		}
		fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

int fs_write_at(int dir, const char *name, const void *p, size_t n, mode_t mode, struct err *e)
{
	char tmp[4096];
	int fd = open_beside(dir, name, tmp, sizeof(tmp));
	bool ok;
	int error;

	if (fd < 0)
		return err_errno(e, code_of(errno), "%s", name);
	ok = write_all(fd, p, n) && !fchmod(fd, mode) && !fsync(fd);
	error = errno;
	if (close(fd) && ok) {
		ok = false;
		error = errno;
	}
	if (ok && renameat(dir, tmp, dir, name)) {
		ok = false;
		error = errno;
	}
	if (!ok) {
		unlinkat(dir, tmp, 0);
		errno = error;
		return err_errno(e, code_of(error), "%s", name);
	}
	return sync_parent(dir, name) ? 0 : err_errno(e, code_of(errno), "%s: its directory", name);
}

int fs_write_file(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	return fs_write_at(AT_FDCWD, path, p, n, mode, e);
}

int fs_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char part[4096];

	if (!*path || (size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
		return err_set(e, -DSI_EINVAL, "%s: empty or too long a path", path);
	for (char *c = part + 1;; c++) {
		char was = *c;
		struct stat st;

		if (was && was != '/')
			continue;
		*c = 0;
		if (mkdir(part, mode) && (errno != EEXIST || stat(part, &st) || !S_ISDIR(st.st_mode)))
			return err_errno(e, code_of(errno), "%s", part);
		*c = was;
		if (!was)
			return 0;
	}
}
