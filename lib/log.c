/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log lines through libqb. Control characters of the text never reach a terminal. */
#include "lib/log.h"

#include <qb/qblog.h>
#include <stdarg.h>
#include <stdio.h>

void log_start(const char *name, int level, bool to_stderr)
{
	qb_log_init(name, LOG_DAEMON, (uint8_t)level);
	qb_log_format_set(QB_LOG_STDERR, "%N: %p: %b");
	qb_log_filter_ctl(QB_LOG_STDERR, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", (uint8_t)level);
	qb_log_ctl(QB_LOG_STDERR, QB_LOG_CONF_ENABLED, to_stderr);
	qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, !to_stderr);
}

void log_stop(void)
{
	qb_log_fini();
}

void log_line(int level, const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = *c == '\n' ? ' ' : '?';
	qb_log_from_external_source("log", file, "%s", (uint8_t)level, (uint32_t)line, 0, text);
}
