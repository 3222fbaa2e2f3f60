/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source text to model. Several files parse into one policy; after an error the parser goes on with the
 * next statement, so one run shows many errors. Names are not resolved here: check does that, once, over
 * all files, so that their order has no meaning.
 */
#ifndef DSI_POLICIES_COMPILER_PARSE_H
#define DSI_POLICIES_COMPILER_PARSE_H

#include "policies/compiler/diag.h"
#include "policies/compiler/policy.h"

/*
 * Add one file. name and text must live as long as the policy. Errors go to diags; -DSI_EPARSE when
 * there was one, -DSI_ELIMIT for too many or too large files, -DSI_ENOMEM when the arena is full.
 */
int parse_file(struct policy *p, const char *name, const char *text, size_t len, struct diag_list *diags);

#endif
