/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shell around parse and check. Must never follow a directory further down or write. Invariant: file
 * texts live in the policy's arena.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policies/compiler/check.h"
#include "policies/compiler/load.h"
#include "policies/compiler/parse.h"

struct loader {
	struct arena *arena;
	const char *names[POLICY_FILES_MAX];
	u32 n;
	struct err *e;
};

static int add_name(struct loader *l, const char *dir, const char *name)
{
	size_t len = strlen(dir) + strlen(name) + 2;
	char *full;

	if (l->n == POLICY_FILES_MAX)
		return err_set(l->e, -DSI_ELIMIT, "%s: more than %d policy files", dir, POLICY_FILES_MAX);
	full = arena_alloc(l->arena, len);
	if (!full)
		return err_set(l->e, -DSI_ENOMEM, "%s: out of memory", dir);
	if (*name)
		(void)snprintf(full, len, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
	else
		(void)snprintf(full, len, "%s", dir);
	l->names[l->n++] = full;
	return 0;
}

static int is_policy(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 4 && !strcmp(d->d_name + len - 4, ".dsp");
}

static int add_directory(struct loader *l, const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, is_policy, alphasort), r = 0;

	if (n < 0)
		return err_errno(l->e, -DSI_EIO, "%s", path);
	if (!n)
		r = err_set(l->e, -DSI_ENOENT, "%s: no *.dsp files in this directory", path);
	for (int i = 0; i < n; i++) {
		if (!r)
			r = add_name(l, path, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return r;
}

static int add_path(struct loader *l, const char *path)
{
	struct stat st;

	if (!*path || stat(path, &st))
		return err_errno(l->e, *path && errno != ENOENT ? -DSI_EIO : -DSI_ENOENT, "%s", path);
	return S_ISDIR(st.st_mode) ? add_directory(l, path) : add_name(l, path, "");
}

/* Whole file, bounded; *ret_len bytes and a NUL. */
static int read_fd(struct loader *l, int fd, const char *path, char **ret, size_t *ret_len)
{
	struct stat st;
	size_t len = 0, cap;
	ssize_t n;
	char *text;

	if (fstat(fd, &st))
		return err_errno(l->e, -DSI_EIO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(l->e, -DSI_EIO, "%s: not a regular file", path);
	if (st.st_size > POLICY_FILE_SIZE_MAX)
		return err_set(l->e, -DSI_ELIMIT, "%s: larger than %d MiB", path, POLICY_FILE_SIZE_MAX >> 20);
	cap = (size_t)st.st_size;
	text = arena_alloc(l->arena, cap + 1);
	if (!text)
		return err_set(l->e, -DSI_ENOMEM, "%s: out of memory", path);
	while (len < cap) {
		n = read(fd, text + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(l->e, -DSI_EIO, "%s", path);
		if (!n)
			break; /* became shorter meanwhile */
		len += (size_t)n;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

static int read_file(struct loader *l, const char *path, char **ret, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	if (fd < 0)
		return err_errno(l->e, errno == ENOENT ? -DSI_ENOENT : -DSI_EIO, "%s", path);
	r = read_fd(l, fd, path, ret, ret_len);
	(void)close(fd);
	return r;
}

static int parse_all(struct loader *l, struct policy *p, struct diag_list *diags)
{
	size_t len = 0;
	char *text = NULL;
	int r;

	for (u32 i = 0; i < l->n; i++) {
		r = read_file(l, l->names[i], &text, &len);
		if (!r)
			r = parse_file(p, l->names[i], text, len, diags);
		if (r && r != -DSI_EPARSE)
			return r;
	}
	return 0;
}


int policy_load_files(const char *const *paths, size_t n, struct arena *arena, struct policy **ret,
		      struct diag_list *diags, struct err *e)
{
	struct loader *l = arena_alloc(arena, sizeof(*l));
	int r = 0;

	*ret = l ? policy_new(arena) : NULL;
	if (!*ret)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	l->arena = arena;
	l->e = e;
	for (size_t i = 0; !r && i < n; i++)
		r = add_path(l, paths[i]);
	if (!r)
		r = parse_all(l, *ret, diags);
	return r ? r : policy_check(*ret, diags);
}

int policy_load_text(const char *name, const char *text, size_t len, struct arena *arena, struct policy **ret,
		     struct diag_list *diags)
{
	int r;

	*ret = policy_new(arena);
	if (!*ret)
		return -DSI_ENOMEM;
	r = parse_file(*ret, name, text, len, diags);
	return r && r != -DSI_EPARSE ? r : policy_check(*ret, diags);
}
