// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ring buffer reader, and the courtesy of a RST: the kernel hook dropped a SYN, the client would retry
 * for two minutes. ack = ISN + 1 makes the client accept it; nothing else ever leaves this socket.
 */
#include "kernel/ring.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/kern_impl.h"
#include "kernel/nodes.h"

struct ring {
	struct kern *k;
	struct ring_buffer *rb;
	ring_fn fn;
	void *ctx;
	int raw4, raw6; /* -1: cannot answer */
	u32 left;       /* of this consume; UINT32_MAX: no limit */
	u64 malformed;
};

/* --- the RST -------------------------------------------------------------------------------------- */

enum { RST_LEN = 20 };

static u32 sum16(const u8 *b, size_t n, u32 sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (u32)b[i] << 8 | b[i + 1];
	return sum;
}

static void put32(u8 *p, u32 v)
{
	v = htonl(v);
	memcpy(p, &v, sizeof(v));
}

/* RST|ACK from the refused port, as the kernel would have sent for a closed one. Header-included raw
 * sockets of protocol 255 receive nothing, so established traffic pays nothing for them. */
static void rst_send(const struct ring *r, const struct dsi_event *ev)
{
	static const u8 mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = !memcmp(ev->saddr.a, mapped, sizeof(mapped));
	size_t skip = v4 ? 12 : 0, ip = v4 ? 20 : 40;
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	u8 b[60] = { 0 }, *t = b + ip;
	u32 sum = IPPROTO_TCP + RST_LEN;

	b[0] = v4 ? 0x45 : 0x60;
	b[v4 ? 8 : 7] = 64;          /* hops */
	b[v4 ? 9 : 6] = IPPROTO_TCP;
	b[v4 ? 3 : 5] = v4 ? ip + RST_LEN : RST_LEN;
	memcpy(b + (v4 ? 12 : 8), ev->daddr.a + skip, 16 - skip);
	memcpy(b + (v4 ? 16 : 24), ev->saddr.a + skip, 16 - skip);
	put32(t, (u32)ev->dport << 16 | ev->sport);
	put32(t + 8, ev->isn + 1);
	t[12] = 5 << 4;
	t[13] = 0x14;
	sum = sum16(ev->saddr.a + skip, 16 - skip, sum);
	sum = sum16(ev->daddr.a + skip, 16 - skip, sum);
	sum = sum16(t, RST_LEN, sum);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	t[16] = (u8)(~sum >> 8);
	t[17] = (u8)~sum;
	memcpy(&to4.sin_addr, ev->saddr.a + 12, 4);
	memcpy(&to6.sin6_addr, ev->saddr.a, 16);
	sendto(v4 ? r->raw4 : r->raw6, b, ip + RST_LEN, MSG_DONTWAIT | MSG_NOSIGNAL,
	       v4 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6, v4 ? sizeof(to4) : sizeof(to6));
}

/* --- reading -------------------------------------------------------------------------------------- */

static int on_record(void *ctx, void *data, size_t size)
{
	const struct dsi_event *ev = data;
	struct ring *r = ctx;

	if (size < sizeof(*ev) || ev->abi != DSI_ABI_VERSION) {
		r->malformed++;
		return 0;
	}
	if ((ev->flags & (DSI_EVENT_SYN | DSI_EVENT_TUPLE | DSI_EVENT_ENFORCED)) ==
	    (DSI_EVENT_SYN | DSI_EVENT_TUPLE | DSI_EVENT_ENFORCED))
		rst_send(r, ev);
	r->fn(r->ctx, ev);
	if (r->left != UINT32_MAX && !--r->left)
		return -ECANCELED;
	return 0;
}

int ring_open(struct kern *k, ring_fn fn, void *ctx, struct ring **ret, struct err *e)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, -DSI_ENOMEM, "event reader");
	r->k = k;
	r->fn = fn;
	r->ctx = ctx;
	r->raw4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	r->raw6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	setsockopt(r->raw6, IPPROTO_IPV6, IPV6_HDRINCL, &(int){ 1 }, sizeof(int));
	r->rb = ring_buffer__new(k->maps[KM_EVENTS], on_record, r, NULL);
	if (!r->rb) {
		int x = err_errno(e, -DSI_EIO, "open the event ring");

		ring_close(r);
		return x;
	}
	*ret = r;
	return 0;
}

int ring_fd(const struct ring *r)
{
	return ring_buffer__epoll_fd(r->rb);
}

int ring_consume(struct ring *r, u32 max)
{
	int n;

	r->left = max ? max : UINT32_MAX;
	n = ring_buffer__consume(r->rb);
	if (n == -ECANCELED)
		return (int)max;
	return n < 0 ? -DSI_EIO : n;
}

u64 ring_malformed(const struct ring *r)
{
	return r->malformed;
}

void ring_close(struct ring *r)
{
	if (!r)
		return;
	if (r->rb)
		ring_buffer__free(r->rb);
	if (r->raw4 >= 0)
		close(r->raw4);
	if (r->raw6 >= 0)
		close(r->raw6);
	free(r);
}
