/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines for operators, through libqb: syslog, stderr, and a flight recorder in memory. lib/log.c is the
 * only file that names qblog. Audit records are something else (an interface: lib/msg.h, ss-ha/store.h), and
 * so is the replicated log (gcs/log.h).
 *
 * Library code never logs; the shells do, once, at the edge. Never a secret, never raw bytes from outside.
 */
#ifndef DSI_LIB_LOG_H
#define DSI_LIB_LOG_H

#include <syslog.h>

#include "lib/compiler.h"

/* name: "dsid/engine". level: the least important that is shown, LOG_INFO or LOG_DEBUG. to_stderr: also there
 * (under systemd stderr is the journal: then syslog is not used). */
void log_start(const char *name, int level, bool to_stderr);
void log_stop(void);
void log_line(int level, const char *file, int line, const char *fmt, ...) DSI_PRINTF(4, 5);

#define log_err(...) log_line(LOG_ERR, __FILE__, __LINE__, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __FILE__, __LINE__, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __FILE__, __LINE__, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __FILE__, __LINE__, __VA_ARGS__)

#endif
