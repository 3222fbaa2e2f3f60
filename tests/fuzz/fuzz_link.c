/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any packets from the other end of a link: frames that were whole, or the link is dropped; never both. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static int closed;

static void on_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	volatile u8 sum = 0;

	if (closed)
		abort();
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < n; i++)
		sum ^= p[i];
}

static void on_closed(void *ctx, const char *why)
{
	closed = 1;
	loop_stop(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_ops ops = { on_frame, on_closed, NULL };
	struct link *k;
	int sv[2];

	if (!loop)
		loop = loop_new();
	closed = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return 0;
	k = link_new(loop, sv[1], 4096, &ops, NULL);
	for (size_t at = 0; at < size;) {
		size_t n = MIN((size_t)data[at] + 1, size - at);

		if (send(sv[0], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		at += n;
	}
	close(sv[0]);
	loop_run(loop);
	link_free(k);
	if (!closed)
		abort();
	return 0;
}
