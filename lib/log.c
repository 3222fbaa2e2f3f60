/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines through libqb. The only file that names qblog.
 *
 * Must never: let control characters of a text reach a terminal or split a line; block on its reader.
 * Invariant: before log_start() lines of notice and worse go to stderr, so that an early failure is seen.
 */
#include <errno.h>
#include <qb/qblog.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"

static bool started;
static int shown = LOG_INFO;
static int file_target = -1;

static void filter(int32_t target, int level)
{
	qb_log_filter_ctl(target, QB_LOG_FILTER_CLEAR_ALL, QB_LOG_FILTER_FILE, "*", LOG_TRACE);
	qb_log_filter_ctl(target, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*", (uint8_t)level);
}

void log_start(const char *name, int level, bool to_stderr)
{
	if (started)
		log_stop();
	qb_log_init(name, LOG_DAEMON, (uint8_t)level);
	qb_log_format_set(QB_LOG_STDERR, "%N: %p: %b");
	qb_log_ctl(QB_LOG_STDERR, QB_LOG_CONF_ENABLED, to_stderr);
	qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, !to_stderr);
	started = true;
	log_level(level);
}

void log_level(int level)
{
	shown = level;
	if (!started)
		return;
	filter(QB_LOG_SYSLOG, level);
	filter(QB_LOG_STDERR, level);
	if (file_target >= 0)
		filter(file_target, level);
}

int log_level_named(const char *name)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = { { "err", LOG_ERR }, { "warning", LOG_WARNING }, { "notice", LOG_NOTICE }, { "info", LOG_INFO },
		       { "debug", LOG_DEBUG } };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (!strcmp(levels[i].name, name))
			return levels[i].level;
	}
	return -1;
}

static int fail(int32_t rc)
{
	errno = rc < 0 ? -rc : EIO;
	return -1;
}

int log_blackbox_start(void)
{
	int32_t rc = qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_SIZE, 256 * 1024);

	if (!rc)
		rc = qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_ENABLED, QB_TRUE);
	filter(QB_LOG_BLACKBOX, LOG_DEBUG);
	return rc < 0 ? fail(rc) : 0;
}

int log_blackbox_write(const char *path)
{
	ssize_t rc = qb_log_blackbox_write_to_file(path);

	return rc < 0 ? fail((int32_t)rc) : 0;
}

int log_file_start(const char *path)
{
	int32_t target = started ? qb_log_file_open(path) : -EINVAL;

	if (target < 0)
		return fail(target);
	file_target = target;
	qb_log_format_set(target, "%t %H %N[%P]: %p: %b");
	filter(target, shown);
	qb_log_ctl(target, QB_LOG_CONF_ENABLED, QB_TRUE);
	return 0;
}

void log_stop(void)
{
	if (started)
		qb_log_fini();
	started = false;
	file_target = -1;
}

static void clean(char *text)
{
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = *c == '\n' || *c == '\t' ? ' ' : '?';
	}
}

void log_line(int level, const char *subsys, const char *file, int line, const char *fmt, ...)
{
	char text[512];
	int n = subsys ? snprintf(text, sizeof(text), "[%s] ", subsys) : 0;
	va_list ap;

	if (n < 0 || n >= (int)sizeof(text))
		n = 0;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	clean(text);
	if (started)
		qb_log_from_external_source("log", file, "%s", (uint8_t)level, (uint32_t)line, 0, text);
	else if (level <= LOG_NOTICE)
		fprintf(stderr, "%s\n", text);
}
