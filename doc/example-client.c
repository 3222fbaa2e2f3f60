/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of a service: one request, or many at a steady rate.
 *
 *	cc -o example-client example-client.c $(pkg-config --cflags --libs dsi)
 *
 *	example-client NAME TEXT                 prints the answer
 *	example-client NAME TEXT COUNT RATE      COUNT requests, RATE each second; prints how many were answered and how late
 *	example-client --whoami                  who this process is, as the kernel says
 *
 * Exits 0 when every request was answered.
 */
#include <dsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int whoami(struct dsi *d)
{
	struct dsi_task t;
	int rc = dsi_whoami(d, &t);

	if (!rc)
		printf("pid %u uid %u start %llu node %u context %u\n", t.pid, t.uid, (unsigned long long)t.start, t.node, t.context);
	return rc;
}

static int once(struct dsi *d, const char *name, const char *text)
{
	void *answer;
	size_t n;
	int rc = dsi_call(d, name, 1, 0, text, strlen(text), &answer, &n);

	if (rc)
		return rc;
	printf("%.*s\n", (int)n, (char *)answer);
	free(answer);
	return 0;
}

/* Each at its time, whether the one before was slow or not. */
static int many(struct dsi *d, const char *name, const char *text, int count, int rate)
{
	long long start = now_us(), worst = 0;
	int answered = 0, rc = 0;

	for (int i = 0; i < count; i++) {
		long long due = start + 1000000LL * i / rate, began, wait = due - now_us();
		void *answer;
		size_t n;
		int failed;

		if (wait > 0)
			nanosleep(&(struct timespec){ wait / 1000000, wait % 1000000 * 1000 }, NULL);
		began = now_us();
		failed = dsi_call(d, name, 1, 0, text, strlen(text), &answer, &n);
		if (now_us() - began > worst)
			worst = now_us() - began;
		if (failed)
			rc = failed;
		else {
			answered++;
			free(answer);
		}
	}
	printf("sent %d answered %d lost %d worst %lld us took %lld ms\n", count, answered, count - answered, worst,
	       (now_us() - start) / 1000);
	return rc;
}

int main(int argc, char **argv)
{
	struct dsi *d = NULL;
	int rc;

	if (!(argc == 2 && !strcmp(argv[1], "--whoami")) && argc != 3 && argc != 5) {
		fprintf(stderr, "usage: %s NAME TEXT [COUNT RATE] | --whoami\n", argv[0]);
		return 64;
	}
	rc = dsi_open(&d, NULL);
	if (!rc)
		rc = argc == 2 ? whoami(d) :
		     argc == 3 ? once(d, argv[1], argv[2]) :
				 many(d, argv[1], argv[2], atoi(argv[3]), atoi(argv[4]) > 0 ? atoi(argv[4]) : 1);
	if (rc)
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-rc));
	dsi_close(d);
	return rc ? 1 : 0;
}
