/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What changes between two images, as lines for people. */
#ifndef DSI_CLI_DIFFTEXT_H
#define DSI_CLI_DIFFTEXT_H

#include <stdio.h>

#include "lib/err.h"
#include "policies/image.h"

/* At most `max` lines (0: all), then how many more. */
int difftext_print(FILE *f, const struct image *old, const struct image *now, u32 max, struct err *e);

#endif
