/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames, request table and addresses of the direct leg: what its server, caller and client share. Pure. */
#ifndef DSI_GCS_DIRECT_WIRE_H
#define DSI_GCS_DIRECT_WIRE_H

#include <sys/socket.h>

#include "gcs/direct.h"
#include "lib/limits.h"

enum {
	DIRECT_HEAD = 12,                  /* length, kind, code, id */
	DIRECT_REPLY = 0x8000,             /* in kind */
	DIRECT_FRAME_NEWCOMER = 64 << 10,  /* what a stranger may make us hold */
	DIRECT_CONNS = 2 * LIM_NODES,      /* incoming */
	DIRECT_CONNS_ADDRESS = 16,         /* of these from one address */
	DIRECT_CONNS_NEWCOMER = 32,        /* of these not bound, handshakes included; the oldest makes room */
	DIRECT_REQUESTS = 16,              /* of one connection being answered; then it is not read */
	DIRECT_CALLS = 64,                 /* waiting on one outgoing connection */
	DIRECT_OUTPUT = 2 * LIM_DIRECT_FRAME, /* written and not taken by the peer; then nothing is read */
};
/* Nanoseconds. */
#define DIRECT_HANDSHAKE_NS (10ull * 1000000000)
#define DIRECT_STALL_NS (30ull * 1000000000)  /* for one frame, once begun; for the peer to take output */
#define DIRECT_IDLE_NS (300ull * 1000000000)  /* members; newcomers have DIRECT_STALL_NS */

_Static_assert((int)DIRECT_FRAME_NEWCOMER < (int)LIM_DIRECT_FRAME, "strangers get less");

struct direct_frame {
	u16 kind; /* without DIRECT_REPLY */
	bool reply;
	u16 code;
	u32 id;
	const u8 *p;
	size_t n;
};

/* Bytes used by the first frame; 0 when it is not complete; -DSI_ELIMIT, -DSI_EPEER when it never will be:
 * judged from the length alone, before the rest is there. */
long direct_frame_get(struct direct_frame *ret, const u8 *p, size_t n, size_t limit) DSI_MUST_CHECK;
void direct_head_put(u8 ret[DIRECT_HEAD], u16 kind, u16 code, u32 id, size_t n);
/* Who may ask; 0: no such kind. */
enum direct_who direct_kind_who(u16 kind);
const char *direct_kind_name(u16 kind);
/* "1.2.3.4:5", "[::1]:5"; names only when dns (blocking). */
int direct_address(const char *text, bool dns, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *e)
	DSI_MUST_CHECK;

#endif
