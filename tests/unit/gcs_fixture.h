/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gcs tests share: a check that counts, and a key service behind a struct keys. */
#ifndef DSI_TESTS_GCS_FIXTURE_H
#define DSI_TESTS_GCS_FIXTURE_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/keyservice.h"

static int fixture_failed, fixture_cases, fixture_bad;

/* One test function, counted as a case; tests/run reads how it ended. */
#define RUN(fn)                                                                                        \
	do {                                                                                           \
		int before_ = fixture_failed;                                                          \
		fn();                                                                                  \
		fixture_cases++;                                                                       \
		fixture_bad += fixture_failed > before_;                                               \
		printf("%s %s\n", fixture_failed > before_ ? "not ok" : "ok", #fn);                     \
		fflush(stdout);                                                                        \
	} while (0)

#define CHECK(cond)                                                                                    \
	do {                                                                                           \
		if (!(cond)) {                                                                         \
			fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #cond); \
			fixture_failed++;                                                              \
		}                                                                                      \
	} while (0)

#define MUST(cond)                                                                                     \
	do {                                                                                           \
		if (!(cond)) {                                                                         \
			fprintf(stderr, "%s:%d: %s: cannot go on: %s\n", __FILE__, __LINE__, __func__, #cond); \
			exit(1);                                                                       \
		}                                                                                      \
	} while (0)

struct fixture_keys {
	struct keys keys;
	pid_t pid;
	char path[64];
};

/* A real key service process on the key file at k->path. */
static inline void fixture_keys_serve(struct fixture_keys *k, enum keyfile_kind kind)
{
	struct err e = { 0 };
	int sv[2], fd;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == 0);
	fd = open(k->path, O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0);
	fflush(NULL);
	k->pid = fork();
	MUST(k->pid >= 0);
	if (k->pid == 0) {
		for (int i = 3; i < 64; i++) /* other services' ends too, or they would never see theirs close */
			if (i != fd && i != sv[1])
				close(i);
		if (geteuid() == 0) /* its own user need not exist here */
			MUST(setresuid(65534, 65534, 65534) == 0);
		keyservice_run(fd, kind, &sv[1], 1);
	}
	close(fd);
	close(sv[1]);
	MUST(keys_open(&k->keys, sv[0], &e) == 0);
}

static inline void fixture_keys_path(struct fixture_keys *k)
{
	snprintf(k->path, sizeof(k->path), "/tmp/dsi-test-key.%d.%p", (int)getpid(), (void *)k);
	unlink(k->path);
}

/* Fresh keys. */
static inline void fixture_keys_start(struct fixture_keys *k, enum keyfile_kind kind)
{
	struct keyfile_pub pub;
	struct err e = { 0 };

	fixture_keys_path(k);
	MUST(keyfile_create(k->path, kind, &pub, &e) == 0);
	fixture_keys_serve(k, kind);
	MUST(memcmp(k->keys.pub.sign, pub.sign, sizeof(pub.sign)) == 0);
}

/* Known keys: signing, KEM and CA seed. */
static inline void fixture_keys_seeded(struct fixture_keys *k, enum keyfile_kind kind, const u8 seeds[3][CRYPTO_SEED])
{
	u8 file[KEYFILE_SIZE] = { 'D', 'S', 'I', 'K', 1, (u8)kind };
	int fd;

	fixture_keys_path(k);
	memcpy(file + 6, seeds, 3 * CRYPTO_SEED);
	MUST(crypto_sha256(file, KEYFILE_SIZE - CRYPTO_HASH, file + KEYFILE_SIZE - CRYPTO_HASH) == 0);
	fd = open(k->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0440);
	MUST(fd >= 0 && write(fd, file, sizeof(file)) == (ssize_t)sizeof(file) && close(fd) == 0);
	fixture_keys_serve(k, kind);
}

static inline void fixture_keys_stop(struct fixture_keys *k)
{
	close(k->keys.fd);
	unlink(k->path);
	waitpid(k->pid, NULL, 0);
}

/* What tests/run reads; the exit status of main(). */
static inline int fixture_end(const char *name)
{
	if (fixture_failed > 0 && fixture_bad == 0)
		fixture_cases = fixture_bad = 1;
	printf("%s: %s\nRESULT %d %d 0\n", name, fixture_failed ? "FAILED" : "ok", fixture_cases - fixture_bad,
	       fixture_bad);
	return fixture_failed != 0;
}

#endif
