/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics of one run: what is wrong with the policy, where, many at once. Bounded; owned by the
 * caller, texts live in the policy's arena.
 */
#ifndef DSI_POLICIES_COMPILER_DIAG_H
#define DSI_POLICIES_COMPILER_DIAG_H

#include "lib/buf.h"
#include "policies/compiler/policy.h"

enum { DIAG_MAX = 200 };

enum diag_severity { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE };

struct diag {
	enum diag_severity severity;
	struct pos pos; /* line 0: about the whole policy or a file */
	const char *text;
	u32 seq; /* notes stay behind what they explain */
};

struct diag_list {
	struct diag items[DIAG_MAX];
	u32 n, errors, warnings, dropped;
	u32 seq;
	bool dropping; /* the last one did not fit: neither do its notes */
};

void diag_init(struct diag_list *d);
void diag_error(struct policy *p, struct diag_list *d, struct pos pos, const char *fmt, ...) DSI_PRINTF(4, 5);
void diag_warning(struct policy *p, struct diag_list *d, struct pos pos, const char *fmt, ...) DSI_PRINTF(4, 5);
/* Explains the last error or warning; several may follow one. */
void diag_note(struct policy *p, struct diag_list *d, struct pos pos, const char *fmt, ...) DSI_PRINTF(4, 5);

/*
 * Text for people: "file:line:column: error: message", the source line, a caret; sorted by position;
 * a summary at the end when anything was found.
 */
void diag_render(const struct policy *p, struct diag_list *d, struct wbuf *out);

/* The nearest of n candidates to `name`, NULL when none is near. next(arg, i) answers NULL at the end. */
const char *diag_nearest(const char *name, const char *(*next)(const void *arg, u32 i), const void *arg);

#endif
