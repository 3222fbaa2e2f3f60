/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registry: which services this node has, who provides them, and every request until it is answered. Core: events in,
 * actions out; time comes with the event (boot time, ms). It judges no right: who may announce or use is settled
 * by the shell before it asks.
 *
 * A service is a name. It has at most one *current* generation, to which requests go, and older ones that drain: they
 * were told DRAIN, answer what they have, and are gone when the last answer is out or their time is over.
 *
 * Invariant: a request that registry_call() took gets exactly one RESULT, unless its caller is gone. One whose
 * provider is gone before it answered goes to the current generation, or waits for the next until its own deadline: so a
 * provider may see a request of which another died half way (at least once, never lost; two answers never go out).
 */
#ifndef DSI_DSID_REGISTRY_H
#define DSI_DSID_REGISTRY_H

#include "lib/svc.h"

struct registry;

/* A connection, as the shell numbers it; never 0, never used again. */
typedef u64 reg_conn;

enum { REG_ACTIONS = LIM_SVC_CALLS + LIM_SERVICES + 4 };
struct reg_action {
	reg_conn to;
	bool drop; /* no frame: close this connection, its time to drain is over */
	struct svc_frame frame; /* data: as long as registry_*() is not called again, and the event's own data lives */
};
struct reg_actions {
	u32 n;
	struct reg_action a[REG_ACTIONS];
};

struct reg_owner { /* who announces: only the same may replace */
	u32 sid, uid;
};
struct reg_row { /* one generation, for people */
	char name[LIM_NAME], version[SVC_TEXT];
	u32 api, caps, pid, calls; /* calls: not answered yet */
	reg_conn conn;
	bool draining;
};

struct registry *registry_new(void); /* NULL */
void registry_free(struct registry *r); /* NULL-safe */

/*
 * Each takes an event, sets ret and returns 0, or refuses with -DSI_E*, changes nothing and leaves ret empty: the shell
 * answers the code to who asked.
 *
 * announce: -DSI_EEXIST the name is another owner's, or this connection provides something already; -DSI_ELIMIT. A current
 *   generation of the same owner is replaced: its DRAIN and the newcomer's ANNOUNCED are in ret, as are the requests that waited.
 *   -DSI_EVERSION: an older API or fewer capabilities than what it would replace: requests that wait may need them.
 * call: -DSI_ENOENT no such service; -DSI_EVERSION, not that API or not those capabilities; -DSI_ELIMIT, -DSI_EAGAIN too many, of
 *   this caller, of all.
 * answer: -DSI_ENOENT: not a request that this connection has (also: one that timed out).
 */
int registry_announce(struct registry *r, reg_conn c, const struct svc_frame *f, const struct reg_owner *who, u32 pid, u64 now,
		      struct reg_actions *ret) DSI_MUST_CHECK;
int registry_call(struct registry *r, reg_conn c, const struct svc_frame *f, const struct svc_task *caller, u64 now,
		  struct reg_actions *ret) DSI_MUST_CHECK;
int registry_answer(struct registry *r, reg_conn c, const struct svc_frame *f, struct reg_actions *ret) DSI_MUST_CHECK;
/* The current generation is to end without a new one (service stop). -DSI_ENOENT. */
int registry_stop(struct registry *r, const char *name, u64 now, struct reg_actions *ret) DSI_MUST_CHECK;
/* A connection is closed, whatever it was. */
void registry_gone(struct registry *r, reg_conn c, u64 now, struct reg_actions *ret);
/* What is over by `now`: requests get RESULT -DSI_ETIMEDOUT, generations that drain too long are dropped. */
void registry_tick(struct registry *r, u64 now, struct reg_actions *ret);
u64 registry_next(const struct registry *r); /* when tick has something to do; UINT64_MAX: never */

/* ret is a FOUND without id: the current generation; -DSI_ENOENT. */
int registry_look(const struct registry *r, const char *name, struct svc_frame *ret) DSI_MUST_CHECK;
u32 registry_rows(const struct registry *r, struct reg_row ret[LIM_SERVICES]);

#endif
