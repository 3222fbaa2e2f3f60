/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What names mean: resolves them over all files, flattens sets, refuses what has no meaning, warns about
 * what has no effect. Run once, after the last file, before compile, eval or print.
 */
#ifndef DSI_POLICIES_COMPILER_CHECK_H
#define DSI_POLICIES_COMPILER_CHECK_H

#include "policies/compiler/diag.h"
#include "policies/compiler/policy.h"

/* 0, or -DSI_EPARSE when diags has an error (also an earlier one), -DSI_ENOMEM. */
int policy_check(struct policy *p, struct diag_list *diags);

/* The names that a term stands for: itself, its set's members, or for `*` every confined domain. */
const struct ref *policy_term_members(const struct policy *p, const struct term *t, u32 *ret_n);

/* How the two ends of a connect rule lie; POLICY_ENDS_BAD is an error that check reports. */
enum policy_ends {
	POLICY_ENDS_LOCAL,      /* both on the same node */
	POLICY_ENDS_REMOTE,     /* both with @ */
	POLICY_ENDS_TO_OUTSIDE, /* only the source side is ours */
	POLICY_ENDS_FROM_OUTSIDE, /* only the target side is ours; also `stale` */
	POLICY_ENDS_BAD,
};

enum policy_ends policy_ends(const struct symbol *s, bool s_at, const struct symbol *t, bool t_at);

#endif
