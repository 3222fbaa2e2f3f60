/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines for operators, through libqb: syslog, stderr, and a flight recorder in memory. lib/log.c is the
 * only file that names qblog. Audit records are something else (an interface: lib/msg.h, ss-ha/store.h), and
 * so is the replicated log (gcs/log.h).
 *
 * Library code never logs; the shells do, once, at the edge. Never a secret, never raw bytes from outside.
 *
 * A file may `#define LOG_SUBSYS "POLICY"` before it includes this: its lines then begin with [POLICY].
 */
#ifndef DSI_LIB_LOG_H
#define DSI_LIB_LOG_H

#include <syslog.h>

#include "lib/compiler.h"

/* name: "dsid/engine". level: the least important that is shown, LOG_INFO or LOG_DEBUG. to_stderr: also there
 * (under systemd stderr is the journal: then syslog is not used). */
void log_start(const char *name, int level, bool to_stderr);
void log_stop(void);
void log_level(int level);                 /* change it while running */
int log_level_named(const char *name);     /* "err" "warning" "notice" "info" "debug"; -1 for anything else */
/* The flight recorder: the last lines of every level, in memory from log_start() on. 0 or -1 with errno. */
int log_blackbox_start(void);              /* before the sandbox: it takes a file in /dev/shm */
int log_blackbox_write(const char *path);
int log_file_start(const char *path);      /* also to a file */
void log_line(int level, const char *subsys, const char *file, int line, const char *fmt, ...) DSI_PRINTF(5, 6);

#ifndef LOG_SUBSYS
#define LOG_SUBSYS NULL
#endif
#define log_at(level, ...) log_line(level, LOG_SUBSYS, __FILE__, __LINE__, __VA_ARGS__)
#define log_err(...) log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
