/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services of dsid's own, inside the engine: they announce themselves as any provider does, are looked at, started again
 * when they fail, and replaced at run time by a second instance beside the first. One that holds a privilege of its own
 * becomes a process instead, and its ops here speak to that.
 *
 * Must never: run two instances that both take new requests; free an instance that a request may still answer through.
 */
#ifndef DSI_DSID_BUILTIN_H
#define DSI_DSID_BUILTIN_H

#include "dsid/service.h"

struct builtins;

/* One request to an instance: answered once, by service_local_answer(), now or later, as long as the instance lives. */
struct service_call {
	struct service *s;
	reg_conn at;
	u32 ticket;
	struct svc_task caller;
	const u8 *data; /* during request() only */
	size_t len;
};

enum { SERVICE_DEGRADED = 1 }; /* of health(): works, not as it should; starting again would not help */

struct service_ops {
	const char *name; /* dsi.*: nobody else may announce it without a rule */
	u32 api, caps;
	/* A new instance; env is the engine. The one before may still live. 0 or -DSI_E*: tried again, with growing pauses. */
	int (*start)(void *env, void **ret);
	void (*stop)(void *instance); /* its last request is answered or belongs to another by now */
	void (*request)(void *instance, const struct service_call *call);
	/* 0, SERVICE_DEGRADED, or -DSI_E*: broken, start it again. why: one line for people. Asked every second. */
	int (*health)(void *instance, char *why, size_t cap);
};

struct builtin_row {
	const char *name;
	reg_conn conn;    /* of the current instance; 0: none */
	int health;
	char why[128];
	u32 restarts;     /* that the supervisor made */
	bool stopped;     /* by an administrator */
};

struct builtins *builtins_new(struct loop *l, struct service *s, void *env); /* NULL: no memory */
void builtins_free(struct builtins *b); /* NULL-safe; before service_free() */
/* Starts it. -DSI_ELIMIT: too many kinds. One that does not start is tried again. */
int builtins_add(struct builtins *b, const struct service_ops *ops);
/*
 * By name; -DSI_ENOENT: no such service here.
 * replace: a second instance takes over, the first one answers what it has. -DSI_EAGAIN: too many drain already.
 * restart: ended, then started; what it had goes to the new instance. Also after stop.
 * stop: answers what it has, and stays ended until restart.
 */
int builtins_replace(struct builtins *b, const char *name);
int builtins_restart(struct builtins *b, const char *name);
int builtins_stop(struct builtins *b, const char *name);
bool builtins_row(const struct builtins *b, u32 i, struct builtin_row *ret); /* false: past the last */

#endif
