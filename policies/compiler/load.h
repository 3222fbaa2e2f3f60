/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From paths on a command line to a checked policy: the only file of the compiler that opens files. */
#ifndef DSI_POLICIES_COMPILER_LOAD_H
#define DSI_POLICIES_COMPILER_LOAD_H

#include "policies/compiler/diag.h"
#include "policies/compiler/policy.h"

enum { POLICY_ARENA_LIMIT = 1 << 30 };

/*
 * Read, parse and check. A path is a file, or a directory whose *.dsp files (not below) are all read; the
 * order of paths has no meaning. *ret is set also when there are errors in the policy, for diag_render().
 * 0; -DSI_EPARSE, -DSI_ELIMIT, -DSI_ENOMEM with diags; -DSI_EIO, -DSI_ENOENT, with *e (a file cannot be
 * read, nothing was parsed).
 */
int policy_load_files(const char *const *paths, size_t n, struct arena *arena, struct policy **ret,
		      struct diag_list *diags, struct err *e) DSI_MUST_CHECK;

/* The same from memory: one file called `name`; text must outlive the policy. */
int policy_load_text(const char *name, const char *text, size_t len, struct arena *arena, struct policy **ret,
		     struct diag_list *diags) DSI_MUST_CHECK;

#endif
