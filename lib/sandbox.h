/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fixed drop sequence of every process: limits, no dumps, groups and ids, capabilities, no_new_privs,
 * system-call filter. One function, one table of profiles (SECURITY.md shows it; tests/netns/33-processes.sh compares
 * it with the running processes). Called once, when everything that needs privilege is open. The monitor enters last,
 * with its children running: what it starts afterwards (a job of root's, by privsep_spawn()) inherits its filter and
 * capabilities and can only lose more.
 */
#ifndef DSI_LIB_SANDBOX_H
#define DSI_LIB_SANDBOX_H

#include "lib/err.h"

/* X(NAME, user it becomes (NULL: stays root; only the monitor with capabilities), filter) */
#define SANDBOX_TABLE(X)                                                                               \
	X(MONITOR, NULL, FILTER_MONITOR)                                                              \
	X(CHANNEL, "_dsichan", FILTER_CHANNEL)                                                        \
	X(ENGINE, "_dsid", FILTER_ENGINE)                                                             \
	X(NODE_KEYS, "_dsikey", FILTER_KEYS)                                                          \
	X(SERVER, "_dsiss", FILTER_ENGINE)                                                            \
	X(SERVER_KEYS, "_dsisskey", FILTER_KEYS)                                                      \
	X(RING, NULL, FILTER_RING) /* root without a capability: the files are root's, corosync asks for root */

enum sandbox_profile {
#define X(name, user, filter) SANDBOX_##name,
	SANDBOX_TABLE(X)
#undef X
};

/* 0 or an error that must end the process. Not root (tests, local backend): keeps its user, still filters. */
int sandbox_enter(enum sandbox_profile p, struct err *e);
/* No core dump, no ptrace by the same user, memory not in dumps: the first thing any process does. */
void sandbox_early(void);

#endif
