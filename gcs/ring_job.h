/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine asks of the ring helper and what it answers; and the answer to DIRECT_RING. Core: bytes only. The
 * monitor between them passes the bytes on and reads none.
 *
 * Job: u8 version, u8 kind, u64 index, blob key, blob conf, u32 n, n x { u32 nid, u8 wish, str name, u8 n,
 *      n x str addr }.
 * Answer: u8 version, u32 code, str text, u8 flags, u32 before, u32 after, blob conf, blob key, u32 n, n x u8 on.
 * DIRECT_RING: u8 version, u64 index of the newest entry these files follow, u64 of the verdict their key is from, blob
 * conf, blob key.
 */
#ifndef DSI_GCS_RING_JOB_H
#define DSI_GCS_RING_JOB_H

#include "gcs/ring_follow.h"

enum { RING_FORMAT = 1, RING_TEXT = 512 };
enum ring_job_kind {
	RING_JOB_READ = 1,   /* -> conf, key */
	RING_JOB_FOLLOW = 2, /* index, members, and the new key, if any */
	RING_JOB_TAKE = 3,   /* conf and key of a member */
	RING_JOB_RELOAD = 4, /* corosync reads its files again, on the whole ring */
};

struct ring_job {
	enum ring_job_kind kind;
	u64 index;
	const u8 *key, *conf; /* point into what was decoded */
	size_t key_len, conf_len;
	const struct ring_member *member;
	u32 n_member;
};
void ring_job_encode(const struct ring_job *j, struct wbuf *w);
/* member: [RING_MEMBERS], filled. Strict: kinds, key 128..4096 bytes or none, what a kind does not take is absent. */
int ring_job_decode(struct ring_job *j, struct ring_member *member, const u8 *p, size_t n) DSI_MUST_CHECK;

enum { RING_CHANGED = 1 };
struct ring_answer {
	int code; /* 0 or negative */
	char text[RING_TEXT];
	u32 flags, before, after;
	const u8 *conf, *key;
	size_t conf_len, key_len;
	u32 n_on;
	u8 on[RING_MEMBERS]; /* by place in the job */
};
void ring_answer_encode(const struct ring_answer *a, struct wbuf *w);
int ring_answer_decode(struct ring_answer *a, const u8 *p, size_t n) DSI_MUST_CHECK;

struct ring_gift {
	u64 index, key_index;
	const u8 *conf, *key;
	size_t conf_len, key_len;
};
void ring_gift_encode(const struct ring_gift *g, struct wbuf *w);
int ring_gift_decode(struct ring_gift *g, const u8 *p, size_t n) DSI_MUST_CHECK;

#endif
