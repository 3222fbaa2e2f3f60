/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the server keeps for people: refusals of the whole cluster, as records of policies/denial.h. SQLite,
 * on a thread of its own; may be lost and loses nothing the log needs. Bounded: the oldest go.
 */
#ifndef DSI_SS_HA_STORE_H
#define DSI_SS_HA_STORE_H

#include <jansson.h>

#include "lib/err.h"

enum { STORE_RECORDS_MAX = 200000, STORE_QUEUE_MAX = 8192 };

struct store;
int store_open(struct store **ret, const char *dir, struct err *e);
void store_close(struct store *s); /* writes what is queued */
/* Queue one record; takes no reference. Counted as lost when the queue is full. */
void store_denial(struct store *s, const json_t *record);
/* Newest first. since_id, since_ms: 0 all. node, subject: NULL or "" any. New reference. */
json_t *store_denials(struct store *s, u64 since_id, u64 since_ms, const char *node, const char *subject, u32 max);
json_t *store_denial_by_id(struct store *s, u64 id); /* NULL when there is none */
u64 store_lost(const struct store *s);

#endif
