/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checked model to image. The bytes depend on the policy's meaning, its files' base names and lines, and
 * the base image, on nothing else.
 */
#ifndef DSI_POLICIES_COMPILER_COMPILE_H
#define DSI_POLICIES_COMPILER_COMPILE_H

#include "lib/buf.h"
#include "policies/compiler/diag.h"
#include "policies/compiler/policy.h"

/*
 * Names that `base` knows keep their SIDs, names it knew and this policy does not are retired, new names
 * get the next numbers; without a base (NULL) names are numbered in their own order. base_digest is what
 * the image says it was built on (IMAGE_DIGEST_LEN bytes; NULL: zero).
 *
 * Also finds what only the whole policy shows: broken `never`, rules that add nothing, domains that
 * cannot be entered. Compile a policy once. `out` is written only on success; its limit should be
 * IMAGE_SIZE_MAX. 0, -DSI_EPARSE (diags has errors, also earlier ones), -DSI_ELIMIT, -DSI_ENOMEM.
 */
int policy_compile(struct policy *p, const struct image *base, const u8 *base_digest, struct wbuf *out,
		   struct diag_list *diags) DSI_MUST_CHECK;

#endif
