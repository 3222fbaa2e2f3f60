/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service protocol: what a program and its manager say to each other on /run/dsi/dsi.sock. One frame is one packet
 * of a SOCK_SEQPACKET socket. Core: bytes to frame and back, strict; it never asks who is at the other end (a frame
 * says nothing about its sender that counts: the kernel does).
 *
 * Packet: u16 version, u16 type, u32 id, then the fields of the type in the order of SVC_FIELD_TABLE. All integers
 * little-endian. What a type does not carry is absent, not zero. `id` is chosen by who asks, and comes back in the
 * reply; for REQUEST the manager chooses it. Numbers are append-only.
 */
#ifndef DSI_LIB_SVC_H
#define DSI_LIB_SVC_H

#include "lib/err.h"
#include "lib/limits.h"

enum { SVC_VERSION = 1, SVC_HEAD = 8, SVC_TEXT = 32 };

enum svc_from { /* who may send a type */
	SVC_CLIENT = 1 << 0,   /* any program that is connected */
	SVC_PROVIDER = 1 << 1, /* one whose ANNOUNCE was taken */
	SVC_MANAGER = 1 << 2,
};

/* Fields: name, bit. The order here is the order in the packet. */
#define SVC_FIELD_TABLE(X)                                                                            \
	X(NAME, 0)    /* str: of a service: svc_name_ok() */                                              \
	X(VERSION, 1) /* str: of the provider's program, printable, for people */                         \
	X(API, 2)     /* u32: ANNOUNCE: what it speaks; CALL: the least that will do; not 0 */            \
	X(CAPS, 3)    /* u32: ANNOUNCE: what it can; CALL: what it must; the service says what bits mean */ \
	X(CODE, 4)    /* u32: 0 or DSI_E*, positive */                                                    \
	X(TASK, 5)    /* u32 pid, u64 start time (clock ticks since boot), u32 uid, u32 nid, u32 sid; start, sid 0: not known */ \
	X(DATA, 6)    /* blob: opaque to the manager */

enum svc_field {
#define X(name, bit) SVC_F_##name = 1 << (bit),
	SVC_FIELD_TABLE(X)
#undef X
};

/* Types: name, number, who may send, fields. */
#define SVC_TABLE(X)                                                                                  \
	X(WHOAMI, 1, SVC_CLIENT, 0)                                                                       \
	X(ME, 2, SVC_MANAGER, SVC_F_CODE | SVC_F_TASK)                                                    \
	X(ANNOUNCE, 3, SVC_CLIENT, SVC_F_NAME | SVC_F_VERSION | SVC_F_API | SVC_F_CAPS)                   \
	X(ANNOUNCED, 4, SVC_MANAGER, SVC_F_CODE)                                                          \
	X(LOOKUP, 5, SVC_CLIENT, SVC_F_NAME)                                                              \
	X(FOUND, 6, SVC_MANAGER, SVC_F_VERSION | SVC_F_API | SVC_F_CAPS | SVC_F_CODE)                     \
	X(CALL, 7, SVC_CLIENT, SVC_F_NAME | SVC_F_API | SVC_F_CAPS | SVC_F_DATA)                          \
	X(RESULT, 8, SVC_MANAGER, SVC_F_CODE | SVC_F_DATA)                                                \
	X(REQUEST, 9, SVC_MANAGER, SVC_F_TASK | SVC_F_DATA) /* a CALL, as its provider gets it */         \
	X(ANSWER, 10, SVC_PROVIDER, SVC_F_CODE | SVC_F_DATA)                                              \
	X(DRAIN, 11, SVC_MANAGER, 0) /* no more REQUEST comes: answer what you have, then end */

enum svc_type {
#define X(name, number, from, fields) SVC_##name = (number),
	SVC_TABLE(X)
#undef X
};

struct svc_task {
	u32 pid;
	u64 start;
	u32 uid, nid, sid;
};
struct svc_frame {
	u16 type;
	u32 id;
	char name[LIM_NAME], version[SVC_TEXT];
	u32 api, caps, code;
	struct svc_task task;
	const u8 *data; /* points into the packet */
	size_t len;
};

/* [a-z][a-z0-9.-]*, shorter than LIM_NAME. */
bool svc_name_ok(const char *name);
const char *svc_type_name(u16 type); /* "WHOAMI"; NULL: no such type */
/*
 * Writes a packet to buf; ret_len. -DSI_EINVAL: no such type, or a field that svc_decode() would refuse; -DSI_ELIMIT: longer
 * than cap or LIM_SVC_FRAME.
 */
int svc_encode(const struct svc_frame *f, u8 *buf, size_t cap, size_t *ret_len) DSI_MUST_CHECK;
/*
 * Reads one packet that `from` (bits of enum svc_from) sent. ret is written only on success and holds pointers into p.
 * -DSI_ELIMIT too long, -DSI_EVERSION, -DSI_EPARSE no such type or a bad field, -DSI_EROLE not its to send,
 * -DSI_ETRUNC, -DSI_ETRAIL. On -DSI_EVERSION the id may still be read by svc_id(), to answer it.
 */
int svc_decode(struct svc_frame *ret, unsigned from, const void *p, size_t n) DSI_MUST_CHECK;
u32 svc_id(const void *p, size_t n); /* 0 when the packet is too short */

#endif
