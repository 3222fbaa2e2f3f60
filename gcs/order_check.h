/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The promises of order.h as assertions over a whole cluster: told what every process does, at every event,
 * by a simulator that sees all of them at once. Product quality, linked into tests only.
 *
 * One struct order_check for the cluster, one struct order_watch per process and life.
 */
#ifndef DSI_GCS_ORDER_CHECK_H
#define DSI_GCS_ORDER_CHECK_H

#include "gcs/order.h"

struct order_check;
struct order_watch {
	u32 nid;
	enum msg_role role;
	u64 commit;    /* highest told; a log failure may let order begin again lower, never another entry */
	u64 promised;  /* highest asked for */
};
struct order_disk { /* what really is on this process's disk at this moment */
	u64 promised, tail;
	const u8 *hash; /* of the entry asked about; NULL when not there */
};

typedef void order_check_fn(void *ctx, const char *text);

struct order_check *order_check_new(order_check_fn *failed, void *ctx);
void order_check_free(struct order_check *c);

void order_check_begin(struct order_check *c, struct order_watch *w, u32 nid, enum msg_role role, u64 promised, u64 commit);
void order_check_promise(struct order_check *c, struct order_watch *w, u64 term);
void order_check_openack(struct order_check *c, const struct order_watch *w, u64 term, u32 leader, const struct order_disk *d);
void order_check_ack(struct order_check *c, const struct order_watch *w, const struct body_ack *ack, u32 author,
		     const struct order_disk *d);
void order_check_append(struct order_check *c, const struct order_watch *w, u64 index, const struct entry *e /* NULL: cut */);
/* TERM proposed: everything ever committed must be in the log it builds on. has(): is this hash at this index? */
void order_check_term(struct order_check *c, const struct order_watch *w, const struct entry *e,
		      bool (*has)(void *ctx, u64 index, const u8 hash[CRYPTO_HASH]), void *ctx);
/* term: in which it is committed. on_majority: is it on the disks of a majority of every voter set in force? Asked once per entry, at its first commit. */
void order_check_commit(struct order_check *c, struct order_watch *w, u64 term, u64 index, const struct entry *e,
			bool (*on_majority)(void *ctx, const struct entry *e), void *ctx);
u64 order_check_committed(const struct order_check *c); /* highest index committed anywhere */
const u8 *order_check_hash(const struct order_check *c, u64 index); /* NULL: not committed */

#endif
