/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync.conf as lines: what each is, in which section it stands. Shared by the plans (ring_plan.c) and by what is
 * taken from another member (ring_take.c); nobody else needs it. Core.
 */
#ifndef DSI_GCS_RING_TEXT_H
#define DSI_GCS_RING_TEXT_H

#include "lib/buf.h"
#include "lib/err.h"

enum { RING_DEPTH = 4, RING_WORD = 32 };

enum line_kind { LINE_OTHER, LINE_OPEN, LINE_CLOSE, LINE_KEY };

struct ring_line {
	enum line_kind kind;
	const char *p;    /* the whole line, without its newline */
	size_t n;
	u32 number;
	char key[RING_WORD];   /* section name or key */
	const char *value;
	size_t value_len;
};

struct ring_reader {
	const char *name, *text;
	size_t n, at;
	u32 number;
	char path[RING_DEPTH][RING_WORD];
	u32 depth;
	struct ring_line line;
	struct err *e;
};

/* The next line into r->line, r->path and r->depth as they are after it. 1; 0 at the end; -DSI_EPARSE. */
int ring_text_next(struct ring_reader *r);
/* -DSI_EPARSE at the line that was read last. */
int ring_text_bad(struct ring_reader *r, size_t column, const char *what);
/* Are we in section a, or in its section b, exactly? */
bool ring_text_in(const struct ring_reader *r, const char *a, const char *b);
bool ring_text_blank(char c);
void ring_text_put(struct wbuf *w, const char *s);

#endif
