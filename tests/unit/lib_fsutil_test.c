/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files: bounds, links, and old-or-new whatever fails. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "lib/fsutil.h"
#include "tests/unit/lib_check.h"

static char dir[64];
static int dirfd_;
static u8 *p;
static size_t n;
static struct err e;

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/dsi-fs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
}

static int entries(void)
{
	DIR *d = opendir(dir);
	int k = -2;

	while (readdir(d))
		k++;
	closedir(d);
	return k;
}

static void teardown(void)
{
	char cmd[128];

	close(dirfd_);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(write_then_read)
{
	struct stat st;

	setup();
	umask(077);
	ck_assert_int_eq(fs_write_at(dirfd_, "a", "hello", 5, 0644, &e), 0);
	ck_assert_int_eq(fs_write_at(dirfd_, "a", "world!", 6, 0640, &e), 0);
	ck_assert_int_eq(fstatat(dirfd_, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(fs_read_at(dirfd_, "a", 6, &p, &n, &e), 0);
	ck_assert_uint_eq(n, 6);
	ck_assert_str_eq((char *)p, "world!");
	free(p);
	ck_assert_int_eq(fs_read_at(dirfd_, "a", 5, &p, &n, &e), -DSI_ELIMIT);
	ck_assert_int_eq(fs_read_at(dirfd_, "b", 5, &p, &n, &e), -DSI_ENOENT);
	ck_assert_int_eq(fs_write_at(dirfd_, "empty", NULL, 0, 0600, &e), 0);
	ck_assert_int_eq(fs_read_at(dirfd_, "empty", 0, &p, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	free(p);
	teardown();
}
END_TEST

START_TEST(sizes_around_the_buffer)
{
	u8 *big = malloc(70000);

	setup();
	for (size_t size = 4090; size < 4102; size++) {
		memset(big, (int)size, size);
		ck_assert_int_eq(fs_write_at(dirfd_, "a", big, size, 0600, &e), 0);
		ck_assert_int_eq(fs_read_at(dirfd_, "a", 70000, &p, &n, &e), 0);
		ck_assert_uint_eq(n, size);
		ck_assert_mem_eq(p, big, size);
		free(p);
		ck_assert_int_eq(fs_read_at(dirfd_, "a", size, &p, &n, &e), 0);
		free(p);
		ck_assert_int_eq(fs_read_at(dirfd_, "a", size - 1, &p, &n, &e), -DSI_ELIMIT);
	}
	free(big);
	teardown();
}
END_TEST

/* Threat: somebody who may write into the directory points a name at a file that is not his. */
START_TEST(links_are_not_followed)
{
	setup();
	ck_assert_int_eq(fs_write_at(dirfd_, "secret", "s", 1, 0600, &e), 0);
	ck_assert_int_eq(symlinkat("secret", dirfd_, "link"), 0);
	ck_assert_int_lt(fs_read_at(dirfd_, "link", 10, &p, &n, &e), 0);
	ck_assert_int_eq(fs_write_at(dirfd_, "link", "x", 1, 0600, &e), 0); /* replaces the link itself */
	ck_assert_int_eq(fs_read_at(dirfd_, "secret", 10, &p, &n, &e), 0);
	ck_assert_str_eq((char *)p, "s");
	free(p);
	teardown();
}
END_TEST

/* The write fails in the middle: the old bytes stand, nothing is left beside them. */
START_TEST(failed_write_changes_nothing)
{
	struct rlimit small = { 1000, RLIM_INFINITY }, all;
	char *big = calloc(1, 5000);

	setup();
	ck_assert_int_eq(fs_write_at(dirfd_, "a", "old", 3, 0600, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &all);
	setrlimit(RLIMIT_FSIZE, &small);
	ck_assert_int_lt(fs_write_at(dirfd_, "a", big, 5000, 0600, &e), 0);
	ck_assert_int_lt(fs_write_at(dirfd_, "new", big, 5000, 0600, &e), 0);
	setrlimit(RLIMIT_FSIZE, &all);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_eq(fs_read_at(dirfd_, "a", 10, &p, &n, &e), 0);
	ck_assert_str_eq((char *)p, "old");
	free(p);
	ck_assert_int_eq(fs_write_at(dirfd_, "none/a", "x", 1, 0600, &e), -DSI_ENOENT);
	free(big);
	teardown();
}
END_TEST

START_TEST(directories)
{
	char path[128];

	setup();
	snprintf(path, sizeof(path), "%s/x/y/z", dir);
	ck_assert_int_eq(fs_mkdirs(path, 0755, &e), 0);
	ck_assert_int_eq(fs_mkdirs(path, 0755, &e), 0);
	strcat(path, "/f");
	ck_assert_int_eq(fs_write_file(path, "1", 1, 0600, &e), 0);
	ck_assert_int_eq(fs_read_file(path, 1, &p, &n, &e), 0);
	free(p);
	strcat(path, "/g");
	ck_assert_int_lt(fs_mkdirs(path, 0755, &e), 0);
	ck_assert_int_eq(fs_mkdirs("", 0755, &e), -DSI_EINVAL);
	teardown();
}
END_TEST

LIB_TESTS("fsutil", write_then_read, sizes_around_the_buffer, links_are_not_followed, failed_write_changes_nothing,
	  directories)
