/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crypto.h"

static int read_all(int fd, size_t max, u8 **ret, size_t *ret_len)
{
	size_t cap = 4096, len = 0;
	u8 *p = malloc(cap + 1), *more;
	ssize_t n;

	while (p && (n = read(fd, p + len, cap - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (len += (size_t)n) > max) {
			crypto_wipe(p, len <= cap ? len : cap);
			free(p);
			return n < 0 ? -DSI_EIO : -DSI_ELIMIT;
		}
		if (len < cap)
			continue;
		/* Not realloc: it may leave a copy of a secret behind. */
		more = malloc(cap * 2 + 1);
		if (more)
			memcpy(more, p, len);
		crypto_wipe(p, len);
		free(p);
		p = more;
		cap *= 2;
	}
	if (!p)
		return -DSI_ENOMEM;
	p[len] = 0;
	*ret = p;
	*ret_len = len;
	return 0;
}

int files_read(const char *path, size_t max, u8 **ret, size_t *ret_len, struct err *e)
{
	bool in = !strcmp(path, "-");
	int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), r;
	struct stat st;

	if (fd < 0)
		return err_errno(e, errno == ENOENT ? -DSI_ENOENT : errno == EACCES ? -DSI_EPERM : -DSI_EIO,
				 "cannot open %s", path);
	if (!in && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(e, -DSI_EINVAL, "%s is a directory", path);
	}
	r = read_all(fd, max, ret, ret_len);
	if (!in)
		close(fd);
	if (r == -DSI_ELIMIT)
		return err_set(e, r, "%s is larger than %zu bytes", in ? "standard input" : path, max);
	return r < 0 ? err_errno(e, r, "cannot read %s", in ? "standard input" : path) : 0;
}

static int fsync_dir_of(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	int fd, r;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)MAX(slash - path, 1) : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

static int write_all(int fd, const u8 *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return fsync(fd);
}

int files_write(const char *path, mode_t mode, bool replace, const void *p, size_t n, struct err *e)
{
	char tmp[4096];
	int fd, bad;

	if (!replace && files_exists(path))
		return err_set(e, -DSI_EEXIST, "%s exists already and is left alone", path);
	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		return err_set(e, -DSI_ELIMIT, "%s: path too long", path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno == EACCES ? -DSI_EPERM : -DSI_EIO, "cannot write beside %s", path);
	bad = write_all(fd, p, n) < 0 || fchmod(fd, mode) < 0;
	bad = close(fd) < 0 || bad;
	if (!bad && replace)
		bad = rename(tmp, path) < 0;
	else if (!bad)
		bad = link(tmp, path) < 0 || unlink(tmp) < 0;
	if (bad) {
		int code = errno == EEXIST ? -DSI_EEXIST : errno == ENOSPC ? -DSI_ENOSPC : -DSI_EIO;

		err_errno(e, code, "cannot write %s", path);
		unlink(tmp);
		return code;
	}
	return fsync_dir_of(path) < 0 ? err_errno(e, -DSI_EIO, "cannot sync the directory of %s", path) : 0;
}

int files_mkdir(const char *path, mode_t mode, struct err *e)
{
	char part[4096];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return err_set(e, -DSI_ELIMIT, "%s: path too long", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		if (mkdir(part, i == n ? mode : 0755) == 0) {
			/* exact whatever the umask */
			if (i == n && chmod(part, mode) < 0)
				return err_errno(e, -DSI_EIO, "cannot set the mode of %s", part);
		} else if (errno != EEXIST) {
			return err_errno(e, errno == EACCES ? -DSI_EPERM : -DSI_EIO, "cannot make directory %s", part);
		}
	}
	return 0;
}

bool files_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int files_chown(const char *path, const char *user, const char *group, struct err *e)
{
	const struct passwd *pw = user ? getpwnam(user) : NULL;
	const struct group *gr = group ? getgrnam(group) : NULL;

	if (geteuid() != 0 || (!pw && !gr))
		return 0;
	if (lchown(path, pw ? pw->pw_uid : (uid_t)-1, gr ? gr->gr_gid : (gid_t)-1) < 0)
		return err_errno(e, -DSI_EPERM, "cannot give %s to %s:%s", path, user ? user : "", group ? group : "");
	return 0;
}

static const char *tree_owner;

static int give_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return files_chown(path, tree_owner, tree_owner, NULL);
}

int files_chown_tree(const char *path, const char *owner, struct err *e)
{
	tree_owner = owner;
	return nftw(path, give_one, 16, FTW_PHYS) ? err_set(e, -DSI_EPERM, "cannot give %s to %s", path, owner) : 0;
}
