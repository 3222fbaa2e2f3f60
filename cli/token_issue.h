/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes, submits and hands over a join token; options as of join-token. Shared with readmit-node. */
#ifndef DSI_CLI_TOKEN_ISSUE_H
#define DSI_CLI_TOKEN_ISSUE_H

#include "cli/cli.h"

int token_issue(struct cli *c, const char *name, struct err *e);

#endif
