/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who knows what. Formats grow (entry types, sections of a policy image), and a member with an older program would
 * refuse what is new and stop following the log. So every program has a *level*: one number, raised by one with each
 * thing that older programs cannot take. HELLO says it behind the program's version, "0.1.0/2"; the active server
 * orders nothing that some present member is too old for (ss-ha/orders.c).
 *
 * A level is known to include all before it: levels are taken in the order of landing, by appending a row here in the
 * commit that adds the thing, and giving the thing that level (ENTRY_TABLE in gcs/entry.h, IMAGE_SECTION_TABLE in
 * policies/image.h). A row is never changed or taken back. A verdict must stay at level 1: no member may keep itself
 * from being revoked by claiming to be old.
 *
 * A new message on the channels needs no level by itself: who has no row for it in MSG_TABLE refuses that message alone
 * and follows on (gcs/session_judge.c counts its sequence before its type).
 *
 * A HELLO without a level is from a program before levels: 1.
 */
#ifndef DSI_LIB_KNOWS_H
#define DSI_LIB_KNOWS_H

#include "lib/compiler.h"

/* X(NAME, level) */
#define KNOWS_TABLE(X)                                                                                 \
	X(FIRST, 1)   /* entries up to CONFIRM, policy images of format 1 */                          \
	X(IMAGE_2, 2) /* policy images of format 2; the rows of its sections come one by one */

enum knows {
#define X(name, level) KNOWS_##name = level,
	KNOWS_TABLE(X)
#undef X
	KNOWS_END,
	KNOWS_NOW = KNOWS_END - 1, /* of this program */
	KNOWS_NOBODY = 0x7fffffff, /* of what is laid out and not built */
};

/* What this program says in its HELLO. Always NUL-terminates dst. */
void knows_text(const char *version, char *dst, size_t cap);
/* Level in such a text; *ret_len: bytes of the version before it. Anything that is no level is part of the version. */
u32 knows_level(const char *text, size_t *ret_len);

#endif
