/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring follows the log: who the log wants on it, what of a node's corosync.conf that changes, whose turn the
 * reload is. Core; the same log and the same files give the same files on every node.
 *
 * Wanted off: a node whose verdict is final, unless the verdict keeps it on the ring, and unless its name lives
 * again under a later number. Wanted on: who enrolled after this node did (who was there before was in the file that
 * this node got). The ring's key is the one of the newest verdict that expels somebody; who was kept by an earlier
 * verdict cannot have it, so leaves as well.
 */
#ifndef DSI_GCS_RING_FOLLOW_H
#define DSI_GCS_RING_FOLLOW_H

#include "gcs/ring_plan.h"
#include "gcs/state.h"

enum { RING_MEMBERS = 256 };
enum ring_wish {
	RING_KNOWN = 1, /* a member: never taken off, never put on */
	RING_ON = 2,
	RING_OFF = 3,
};

struct ring_member {
	u32 nid;
	enum ring_wish wish;
	char name[LIM_NAME];
	char addr[LIM_ADDRS][RING_ADDR];
	u32 n_addr;
};

struct ring_want {
	u64 key_index; /* log index of the verdict whose key the ring must have; 0 none yet */
	u64 index;     /* of the newest entry that the ring follows; also the config_version that tells of it */
	struct ring_member member[RING_MEMBERS];
	u32 n;
};
void ring_want(const struct state *s, u32 self, struct ring_want *ret);

/* The node list of text made to fit; appended to w when something changes. m: [n], n at most RING_MEMBERS. new_key: the
 * key changes in the same reload. -DSI_ENOTSAFE: it would drop `self`, a new key would cut off a ring node that is no
 * member, or nobody can tell whether somebody is in the list already; -DSI_ECONFIG without encryption. */
struct ring_fit {
	bool change, on[RING_MEMBERS]; /* on: by place in m, in the list afterwards */
	u32 before, after;             /* nodes in it */
};
int ring_follow(const struct ring_member *m, u32 n, const char *self, u64 version, bool new_key, const char *name,
		const char *text, size_t text_n, struct ring_fit *ret, struct wbuf *w, struct err *e) DSI_MUST_CHECK;

/* What a member says its files do (MSG_RING). */
enum ring_stage { RING_SAID_NOTHING = 0, RING_WRITTEN = 1, RING_IN_FORCE = 2, RING_FAILED = 3 };
struct ring_word {
	u32 nid;
	u64 index;
	enum ring_stage stage;
};
enum ring_turn { RING_WAIT, RING_RELOAD, RING_TOO_FEW };
/* Is the reload ours? words: of all bound members present, us included. need: the smaller of the node list's sizes
 * before and after: a majority of it must have its files, or quorum would be lost by our own hand. The lowest NID goes
 * first, at once when all are ready, else after RING_LATE_NS; each next one RING_LATE_NS later. */
#define RING_LATE_NS (5ull * 1000000000)
enum ring_turn ring_turn(const struct ring_word *words, u32 n, u32 self, u64 index, u32 need, u64 waited_ns);

/* What a node remembers of its files over a restart. Its numbers are places in the log of one generation. */
struct ring_mark {
	u64 key_index, index; /* of the entries that key and node list follow, as in ring_want */
	u32 before;           /* nodes in the list that corosync has read */
	enum ring_stage stage;
	u32 generation;       /* UINT32_MAX: of a format that did not say; the one that the log has at start */
};
enum { RING_MARK_SIZE = 8 + 8 + 4 + 1 + 4, RING_MARK_SIZE_1 = RING_MARK_SIZE - 4 /* without the generation; read, not written */ };
void ring_mark_encode(const struct ring_mark *m, u8 ret[RING_MARK_SIZE]);
/* 0; -DSI_EPARSE, *ret untouched. Any stage but RING_WRITTEN is read as RING_IN_FORCE. */
int ring_mark_decode(struct ring_mark *ret, const u8 *p, size_t n) DSI_MUST_CHECK;
/* A REFORM is applied, live or in the replay at start: nothing that was given up with the old log may make a verdict of
 * the new one look older than the ring's key. False: the mark knows this generation already, and is as it was. */
bool ring_mark_reformed(struct ring_mark *m, u64 index, u32 generation, bool live);
/* The replay is over. A mark of an earlier generation whose REFORM it did not show says nothing any more. */
void ring_mark_joined(struct ring_mark *m, u32 generation);

#endif
