/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Splitting a daemon into processes: fork and re-exec of the same program as `NAME -x ROLE`, so that no
 * child inherits a secret, a mapping or a stale descriptor. Descriptors arrive at 3, 4, ... in the order
 * given; everything else is closed; the environment is empty but for what `env` names; the child dies with
 * its parent.
 */
#ifndef DSI_LIB_PRIVSEP_H
#define DSI_LIB_PRIVSEP_H

#include "lib/err.h"

enum { PRIVSEP_FD = 3, PRIVSEP_FDS_MAX = 8 };

struct privsep_child {
	const char *role;              /* shown by ps: "dsid: ROLE" */
	int fds[PRIVSEP_FDS_MAX];      /* become 3, 4, ...; -1 leaves a gap closed */
	int n_fds;
	const char *const *args;       /* NULL-terminated, after `-x ROLE`; may be NULL */
};

/* 0 and *ret_pid, or -DSI_EFAIL, -DSI_EIO with text. program: shown name ("dsid"). */
int privsep_spawn(const char *program, const struct privsep_child *c, int *ret_pid, struct err *e);
/* A SEQPACKET pair, close-on-exec, buffers wide enough for link frames. */
int privsep_pair(int ret[2], struct err *e);
/* In the first process, before it opens anything: what whoever started us left open (a lock, a pipe) is not ours to hold,
 * still less our children's. Standard streams stay. */
void privsep_drop_inherited(void);
/* In the child: role from the arguments ("-x ROLE"), NULL when this is the first process. */
const char *privsep_role(int argc, char **argv);

#endif
