/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way back (DESIGN §9): cases that every policy has to allow, else it is refused at push. A list is
 * text, one case a line, `#` comments:
 *
 *	SUBJECT read|write|create|delete|setattr|map PATH
 *	SUBJECT exec PATH                       execute, and the transition if an entry is there
 *	SUBJECT signal SUBJECT
 *	SUBJECT socket FAMILY TYPE
 *	SUBJECT listen PORT                     bind and listen
 *	SUBJECT connect PORT outside|member
 *	SUBJECT accept PORT outside|stale
 *	SUBJECT accept PORT member SUBJECT
 *
 * SUBJECT is a context's name, or a path: the context that `default` is in after executing it. PORT may be
 * `*`: every port. A case must hold on every node, and for every member where one is the peer.
 */
#ifndef DSI_POLICIES_COMPILER_MUSTALLOW_H
#define DSI_POLICIES_COMPILER_MUSTALLOW_H

#include "lib/err.h"
#include "policies/image.h"

enum { MUSTALLOW_LINES_MAX = 1000 };

/* Text of one case that does not hold: "LIST:LINE: `the case`: KEY: why". */
typedef void (*mustallow_fn)(void *arg, const char *text);

/*
 * 0; -DSI_ENOTSAFE when a case fails (*e names the first, fn (may be NULL) gets each); -DSI_EPARSE when
 * the list is malformed or holds no case (nothing is judged then: an empty list is no pass).
 */
int mustallow_check(const struct image *img, const char *list, const char *text, size_t len, mustallow_fn fn,
		    void *arg, struct err *e) DSI_MUST_CHECK;

#endif
