/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The oracle: one decision straight from the source model, by reading every rule. No SIDs, no classes, no
 * keys, no tables: it shares nothing with the compiler but the model, so that tests can hold image_decide()
 * and the kernel against it.
 */
#ifndef DSI_POLICIES_COMPILER_EVAL_H
#define DSI_POLICIES_COMPILER_EVAL_H

#include "policies/compiler/policy.h"

enum eval_where { EVAL_LOCAL, EVAL_OUTSIDE, EVAL_MEMBER };

struct eval_query {
	const char *own;     /* node that decides */
	const char *subject; /* domain, "outside", "stale" */
	const char *target;  /* domain or file type; "any" for tcp connect */
	enum eval_where where; /* the other end of a connection */
	const char *other;   /* its node, for EVAL_MEMBER */
	u32 cls, perm;       /* one permission */
	u32 port;            /* tcp */
	u16 socket;          /* socket: DSI_SOCKET_QUAL */
};

enum image_verdict eval_decide(const struct policy *p, const struct eval_query *q);

#endif
