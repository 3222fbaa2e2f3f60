/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error catalogue as tables, and the context chain. Must never log, allocate or truncate the code.
 * Invariant: err->text is always NUL-terminated; when it is too long, its innermost end is cut.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* the strerror_r that returns text */
#endif
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

struct err_row {
	const char *name;
	const char *text;
	int exit;
};

static const struct err_row err_rows[DSI_ERR_COUNT] = {
	[DSI_OK] = { "OK", "success", 0 },
#define X(n, e, t) [DSI_##n] = { #n, t, e },
	DSI_ERR_TABLE(X)
#undef X
};

static const struct err_row *err_row(int code)
{
	static const struct err_row unknown = { "EUNKNOWN", "unknown error", 1 };

	if (code <= -DSI_ERR_COUNT || code >= DSI_ERR_COUNT)
		return &unknown;
	return &err_rows[code < 0 ? -code : code];
}

const char *err_text(int code)
{
	return err_row(code)->text;
}

const char *err_name(int code)
{
	return err_row(code)->name;
}

int err_exit(int code)
{
	return err_row(code)->exit;
}

static void err_vset(struct err *e, int code, const char *fmt, va_list ap)
{
	e->code = code;
	if (vsnprintf(e->text, sizeof(e->text), fmt, ap) < 0)
		e->text[0] = '\0';
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	err_vset(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	int saved = errno;
	char sys[128];
	size_t len;
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	err_vset(e, code, fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	/* strerror_r (GNU) may answer with a static string instead of filling sys */
	(void)snprintf(e->text + len, sizeof(e->text) - len, ": %s", strerror_r(saved, sys, sizeof(sys)));
	errno = saved;
	return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char head[sizeof(e->text)];
	size_t len, room;
	va_list ap;
	int n;

	if (!e)
		return -DSI_EFAIL;
	va_start(ap, fmt);
	n = vsnprintf(head, sizeof(head) - 2, fmt, ap);
	va_end(ap);
	if (n < 0)
		return e->code;
	len = strlen(head);
	if (e->text[0]) {
		head[len++] = ':';
		head[len++] = ' ';
	}
	room = sizeof(e->text) - 1 - len;
	n = (int)strnlen(e->text, room);
	memmove(e->text + len, e->text, (size_t)n);
	memcpy(e->text, head, len);
	e->text[len + (size_t)n] = '\0';
	return e->code;
}
