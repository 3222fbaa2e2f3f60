/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors: one catalogue of codes, and a text that grows on the way up.
 *
 * Functions return 0 or a negative code -DSI_E*; those whose failure a person reads also take a
 * `struct err *` (may be NULL) and fill it: err_set() where the failure is found, err_wrap() by each
 * caller that can add what it was trying to do ("push policy: read two-tier.dsp: no such file").
 * Library code never logs; the edge of the program prints or logs err->text once.
 *
 * The third column is the exit status of a command that fails for this reason; the numbers are
 * Pacemaker's (crm_exit_t), see facts in doc/exit-codes.
 */
#ifndef DSI_LIB_ERR_H
#define DSI_LIB_ERR_H

#include <stdarg.h>

#include "lib/compiler.h"

#define DSI_ERR_TABLE(X)                                                                              \
	X(EFAIL, 1, "failed")                                                                         \
	X(ENOMEM, 71, "out of memory")                                                                \
	X(EINVAL, 64, "invalid argument")                                                             \
	X(EUSAGE, 64, "usage error")                                                                  \
	X(EPARSE, 65, "malformed input")                                                              \
	X(ETRUNC, 65, "truncated input")                                                              \
	X(ETRAIL, 65, "trailing bytes")                                                               \
	X(EVERSION, 76, "unsupported version")                                                        \
	X(ELIMIT, 65, "limit exceeded")                                                               \
	X(ESIG, 4, "bad signature")                                                                   \
	X(EUNSIGNED, 4, "not signed")                                                                 \
	X(EAUTH, 4, "not authorised")                                                                 \
	X(EREPLAY, 65, "replayed")                                                                    \
	X(ESTALE, 65, "stale")                                                                        \
	X(EROLE, 4, "role may not send this")                                                         \
	X(ECLUSTER, 65, "other cluster")                                                              \
	X(ECONFLICT, 107, "conflict with a newer version")                                            \
	X(EQUORUM, 106, "quorum required")                                                            \
	X(ENOTSAFE, 107, "not safe")                                                                  \
	X(ENOENT, 105, "no such object")                                                              \
	X(EEXIST, 108, "already exists")                                                              \
	X(EAGAIN, 75, "try again")                                                                    \
	X(ETIMEDOUT, 124, "timed out")                                                                \
	X(ENOTCONN, 102, "not connected")                                                             \
	X(EIO, 74, "input/output error")                                                              \
	X(ENOSPC, 74, "no space left")                                                                \
	X(EPERM, 4, "operation not permitted")                                                        \
	X(ECONFIG, 78, "bad configuration")                                                           \
	X(ECRYPTO, 70, "cryptographic library failed")                                                \
	X(EKERNEL, 69, "kernel cannot enforce")                                                       \
	X(EEXPIRED, 4, "expired")                                                                     \
	X(EREVOKED, 4, "revoked")                                                                     \
	X(EPEER, 76, "peer broke the protocol")                                                       \
	X(EDIVERGED, 70, "replicas diverged")

enum dsi_err {
	DSI_OK = 0,
#define X(name, exit, text) DSI_##name,
	DSI_ERR_TABLE(X)
#undef X
	DSI_ERR_COUNT
};

struct err {
	int code;        /* 0 or -DSI_E... */
	char text[1024]; /* context chain, outermost first, never contains a secret */
};

/* Text and exit status of a code; accepts either sign; never NULL. */
const char *err_text(int code);
const char *err_name(int code);
int err_exit(int code);

/* Set code and text; returns code (negative), so that `return err_set(e, -DSI_EIO, "...")` reads well. */
int err_set(struct err *e, int code, const char *fmt, ...) DSI_PRINTF(3, 4);
int err_errno(struct err *e, int code, const char *fmt, ...) DSI_PRINTF(3, 4); /* appends strerror(errno) */
/* Prefix "fmt: " to the text that is there; returns the code that is there. */
int err_wrap(struct err *e, const char *fmt, ...) DSI_PRINTF(2, 3);

#endif
