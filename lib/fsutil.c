/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files read whole and written whole. */
#include "lib/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fs_read_file(const char *path, size_t max, u8 **ret, size_t *ret_len, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t cap = 4096, n = 0;
	u8 *p = NULL;

	if (fd < 0)
		return err_errno(e, errno == ENOENT ? -DSI_ENOENT : -DSI_EIO, "%s", path);
	for (;;) {
		u8 *bigger = !p || n + 1 >= cap ? realloc(p, cap *= 2) : p;
		ssize_t got;

		if (!bigger)
			break;
		p = bigger;
		got = read(fd, p + n, cap - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			close(fd);
			if (got) {
				free(p);
				return err_errno(e, -DSI_EIO, "%s", path);
			}
			p[n] = '\0';
			*ret = p;
			*ret_len = n;
			return 0;
		}
		n += (size_t)got;
		if (n > max) {
			close(fd);
			free(p);
			return err_set(e, -DSI_ELIMIT, "%s: larger than %zu bytes", path, max);
		}
	}
	close(fd);
	free(p);
	return err_set(e, -DSI_ENOMEM, "%s", path);
}

static bool write_all(int fd, const u8 *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static void sync_parent(const char *path)
{
	char dir[4096];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		*(slash == dir ? slash + 1 : slash) = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

int fs_write_file(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	char tmp[4096];
	int fd;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= sizeof(tmp))
		return err_set(e, -DSI_EINVAL, "%s: path too long", path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno == ENOSPC ? -DSI_ENOSPC : -DSI_EIO, "%s", path);
	if (!write_all(fd, p, n) || fchmod(fd, mode) || fsync(fd) || rename(tmp, path)) {
		int code = errno == ENOSPC ? -DSI_ENOSPC : -DSI_EIO;

		err_errno(e, code, "%s", path);
		close(fd);
		unlink(tmp);
		return code;
	}
	close(fd);
	sync_parent(path);
	return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char part[4096];

	if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
		return err_set(e, -DSI_EINVAL, "%s: path too long", path);
	for (char *c = part + 1;; c++) {
		char was = *c;

		if (was && was != '/')
			continue;
		*c = '\0';
		if (mkdir(part, mode) && errno != EEXIST)
			return err_errno(e, -DSI_EIO, "%s", part);
		*c = was;
		if (!was)
			return 0;
	}
}
