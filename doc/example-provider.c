/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A provider: announces a service, answers requests, ends when it is replaced or stopped. Built with the installed
 * library alone:
 *
 *	cc -o example-provider example-provider.c $(pkg-config --cflags --libs dsi)
 *
 *	example-provider NAME VERSION [MILLISECONDS]
 *
 * Answers every request with "VERSION PID: what was asked", after so many milliseconds. Prints `announced`, and when it
 * has ended `drained`. When the manager is started again, it announces again; when it may not, it says why and ends.
 */
#include <dsi.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct provider {
	const char *version;
	unsigned delay_ms;
	char answer[DSI_DATA_MAX];
};

static int on_request(void *ctx, const struct dsi_request *rq, const void **ret, size_t *ret_len)
{
	struct provider *p = ctx;
	int n;

	if (p->delay_ms)
		usleep(p->delay_ms * 1000); /* the work */
	n = snprintf(p->answer, sizeof(p->answer), "%s %d: %.*s", p->version, (int)getpid(), (int)rq->len, (const char *)rq->data);
	if (n >= (int)sizeof(p->answer))
		return ENOSPC; /* the caller's dsi_call() returns -ENOSPC */
	*ret = p->answer;
	*ret_len = (size_t)n;
	return 0;
}

int main(int argc, char **argv)
{
	static struct provider p;
	unsigned pause_s = 0;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: %s NAME VERSION [MILLISECONDS]\n", argv[0]);
		return 64;
	}
	p.version = argv[2];
	p.delay_ms = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	setlinebuf(stdout);
	for (;;) {
		struct dsi *d = NULL;
		int rc = dsi_open(&d, NULL);

		if (!rc)
			rc = dsi_announce(d, argv[1], p.version, 1, 0);
		if (!rc) {
			printf("announced\n");
			pause_s = 0;
			rc = dsi_serve(d, on_request, &p);
		}
		dsi_close(d);
		if (!rc) {
			printf("drained\n");
			return 0;
		}
		if (rc != -ENOTCONN && rc != -ECONNRESET) {
			fprintf(stderr, "%s: %s\n", argv[1], strerror(-rc));
			return 1;
		}
		sleep(pause_s); /* the manager is away: growing pauses */
		pause_s = pause_s ? (pause_s < 8 ? pause_s * 2 : 8) : 1;
	}
}
