/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One job, one thread for its time, a few answers remembered. The thread touches the job alone; join hands it back. */
#include "ss-ha/lockout.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/limits.h"
#include "policies/compiler/mustallow.h"

enum { ANSWERS = 8, LIST_MAX = 1 << 20 };

struct answer {
	u8 digest[CRYPTO_HASH];
	bool known;
	struct err e; /* code and text; code 0: safe */
	u32 level;
};

struct lockout {
	struct loop_wake *wake;
	char list[LIM_PATH];
	lockout_fn *fn;
	void *ctx;
	struct answer answer[ANSWERS];
	u32 next;
	/* the job: the thread's from start to wake */
	bool running;
	pthread_t thread;
	u8 digest[CRYPTO_HASH], *image;
	size_t len;
	struct err e;
	int code;
	u32 level;
};

static int read_list(const char *path, char **ret, size_t *ret_len, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(LIST_MAX);
	size_t n = 0;
	ssize_t k = -1;

	if (fd < 0)
		return err_errno(e, -DSI_ENOENT, "%s: no policy is ordered without it (installed with DSI)", path);
	while (text && n < LIST_MAX && (k = read(fd, text + n, LIST_MAX - n)) > 0)
		n += (size_t)k;
	close(fd);
	if (!text || k) { /* no memory, an error, or longer than we take */
		free(text);
		return err_set(e, -DSI_EIO, "%s cannot be read whole", path);
	}
	*ret = text;
	*ret_len = n;
	return 0;
}

static int judge(struct lockout *k)
{
	struct image img;
	char *text = NULL;
	size_t n = 0;
	int rc = read_list(k->list, &text, &n, &k->e);

	if (!rc)
		rc = image_open(&img, k->image, k->len, &k->e);
	k->level = rc ? (u32)KNOWS_NOBODY : image_level(&img);
	if (!rc)
		rc = mustallow_check(&img, "must-allow.list", text, n, NULL, NULL, &k->e);
	free(text);
	return rc == -DSI_ENOTSAFE ? err_wrap(&k->e, "this policy would lock you or DSI out") : rc;
}

static void *run(void *arg)
{
	struct lockout *k = arg;

	k->code = judge(k);
	loop_wake(k->wake);
	return NULL;
}

static void job_end(struct lockout *k)
{
	pthread_join(k->thread, NULL);
	k->running = false;
	free(k->image);
	k->image = NULL;
}

static void on_judged(void *ctx)
{
	struct lockout *k = ctx;
	struct answer *a = &k->answer[k->next++ % ANSWERS];
	u8 digest[CRYPTO_HASH];

	if (!k->running)
		return;
	job_end(k);
	memcpy(digest, k->digest, sizeof(digest));
	memcpy(a->digest, k->digest, sizeof(a->digest));
	a->known = true;
	a->e = k->e;
	a->e.code = k->code;
	a->level = k->level;
	k->fn(k->ctx, digest);
}

int lockout_new(struct lockout **ret, struct loop *l, const char *list, lockout_fn *fn, void *ctx, struct err *e)
{
	struct lockout *k = calloc(1, sizeof(*k));

	if (!k)
		return err_set(e, -DSI_ENOMEM, "must-allow list");
	snprintf(k->list, sizeof(k->list), "%s", list);
	k->fn = fn;
	k->ctx = ctx;
	k->wake = loop_wake_new(l, on_judged, k);
	if (!k->wake) {
		free(k);
		return err_set(e, -DSI_ENOMEM, "must-allow list");
	}
	*ret = k;
	return 0;
}

void lockout_free(struct lockout *k)
{
	if (!k)
		return;
	if (k->running)
		job_end(k);
	loop_wake_free(k->wake);
	free(k);
}

bool lockout_answer(struct lockout *k, const u8 digest[CRYPTO_HASH], int *ret_code, u32 *ret_level, struct err *e)
{
	for (u32 i = 0; i < ANSWERS; i++) {
		struct answer *a = &k->answer[i];

		if (!a->known || memcmp(a->digest, digest, CRYPTO_HASH))
			continue;
		a->known = !a->e.code || a->e.code == -DSI_ENOTSAFE;
		*ret_level = a->level;
		*ret_code = a->e.code ? err_set(e, a->e.code, "%s", a->e.text) : 0;
		return true;
	}
	return false;
}

int lockout_judge(struct lockout *k, const u8 digest[CRYPTO_HASH], u8 *image, size_t len)
{
	sigset_t all, old;
	int rc;

	if (k->running) {
		free(image);
		return -DSI_EAGAIN;
	}
	memcpy(k->digest, digest, sizeof(k->digest));
	k->image = image;
	k->len = len;
	k->e = (struct err){ 0 };
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&k->thread, NULL, run, k);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	k->running = !rc;
	if (!rc)
		return 0;
	free(image);
	k->image = NULL;
	return -DSI_ENOMEM;
}
