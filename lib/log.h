/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logging for the edges of programs (shells, mains), on libqb: syslog, stderr or file, and a blackbox in
 * memory that dsi-admin or a crash handler can dump. lib/log.c is the only file naming qblog. Library code
 * and cores never log. Lines are for operators; audit records are an interface and go elsewhere. Never pass a
 * secret or bytes a stranger chose: %s arguments are cleaned of control characters, nothing else.
 *
 * A file may `#define LOG_SUBSYS "POLICY"` before including this: its lines then begin with [POLICY].
 */
#ifndef DSI_LIB_LOG_H
#define DSI_LIB_LOG_H

#include "lib/err.h"

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };
enum log_target { LOG_TO_STDERR = 1, LOG_TO_SYSLOG = 2, LOG_TO_FILE = 4, LOG_TO_BLACKBOX = 8 };

struct logger_config {
	const char *name; /* of the program, shown in syslog: "dsid" */
	u32 targets;      /* enum log_target */
	enum log_level level;
	const char *file;     /* for LOG_TO_FILE */
	const char *blackbox; /* for LOG_TO_BLACKBOX: where logger_blackbox() writes */
};

/* Before the sandbox: opens what it needs. Without it, lines of level notice and worse go to stderr. */
int logger_start(const struct logger_config *c, struct err *e);
void logger_stop(void);
void logger_level(enum log_level level);
/* Writes the blackbox out; 0 or -DSI_EIO, -DSI_ENOENT when there is none. */
int logger_blackbox(struct err *e);
/* "err", "warning", "notice", "info", "debug" -> level, -1 for anything else */
int logger_level_named(const char *name);

void logger_write(enum log_level level, const char *subsys, const char *file, u32 line, const char *fmt, ...)
	DSI_PRINTF(5, 6);

#ifndef LOG_SUBSYS
#define LOG_SUBSYS NULL
#endif
#define log_at(level, ...) logger_write(level, LOG_SUBSYS, __FILE__, __LINE__, __VA_ARGS__)
#define log_err(...) log_at(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
