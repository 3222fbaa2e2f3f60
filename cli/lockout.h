/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The must-allow list (DESIGN.md §9) on a policy about to be pushed: one that would cut off DSI itself or
 * lock out the administrator is refused, with the case named. The list is PATH_POLICIES/must-allow.list
 * (the one of the source tree when that is not installed), or --must-allow FILE.
 */
#ifndef DSI_CLI_LOCKOUT_H
#define DSI_CLI_LOCKOUT_H

#include "cli/cli.h"
#include "policies/image.h"

/* 0, or -DSI_ENOTSAFE with the first refused case in *e and all of them on stderr. Adds "must_allow" to doc (may
 * be NULL). A list that is not there is an error when required (push), a note otherwise (check). */
int lockout_check(struct cli *c, const struct image *img, bool required, json_t *doc, struct err *e);

#endif
