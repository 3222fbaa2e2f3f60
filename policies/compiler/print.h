/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Canonical text of a policy: sorted, one spelling, comments gone. Parsing it again gives a policy with
 * the same meaning and the same canonical text.
 */
#ifndef DSI_POLICIES_COMPILER_PRINT_H
#define DSI_POLICIES_COMPILER_PRINT_H

#include "lib/buf.h"
#include "policies/compiler/policy.h"

/* Of a parsed policy without errors; check may have run or not. -DSI_ENOMEM when out or arena is full. */
int policy_print(struct policy *p, struct wbuf *out) DSI_MUST_CHECK;

#endif
