// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts of events. Pure: no descriptor, no allocation; the record comes from the kernel but is bounded here. */
#include <stdio.h>
#include <string.h>

#include "kernel/nodes.h"
#include "kernel/ring.h"

const char *event_type_text(u32 type)
{
	switch (type) {
#define X(name, number, text)                                                                         \
	case number:                                                                                  \
		return text;
		DSI_EVENT_TABLE(X)
#undef X
	}
	return "unknown event";
}

const char *event_reason_text(u32 reason)
{
	static const char *const texts[] = {
#define X(name, number, text) [number] = text,
		DSI_REASON_TABLE(X)
#undef X
	};

	return reason < ARRAY_SIZE(texts) && texts[reason] ? texts[reason] : "unknown reason";
}

/* The record has names from the file up ("index.html", "html", "var", "/"); the root's name is "/". */
void event_path(const struct dsi_event *ev, char *dst, size_t cap)
{
	const char *names[8];
	u32 n = 0, off = 0;
	size_t used = 0;

	dst[0] = '\0';
	if (!(ev->flags & DSI_EVENT_FILE))
		return;
	while (n < ARRAY_SIZE(names) && off < sizeof(ev->path) && ev->path[off]) {
		size_t len = strnlen(ev->path + off, sizeof(ev->path) - off);

		if (off + len >= sizeof(ev->path))
			break;
		names[n++] = ev->path + off;
		off += (u32)len + 1;
	}
	if (!n)
		return;
	if (strcmp(names[n - 1], "/"))
		used = (size_t)snprintf(dst, cap, "...");
	else if (n > 1)
		n--;
	while (n-- && used < cap)
		used += (size_t)snprintf(dst + used, cap - used, "%s%s", strcmp(names[n], "/") ? "/" : "", names[n]);
}

void event_tuple(const struct dsi_event *ev, char *dst, size_t cap)
{
	char s[64], d[64];

	dst[0] = '\0';
	if (!(ev->flags & DSI_EVENT_TUPLE))
		return;
	node_addr_text(&ev->saddr, s, sizeof(s));
	node_addr_text(&ev->daddr, d, sizeof(d));
	snprintf(dst, cap, strchr(s, ':') ? "[%s]:%u -> [%s]:%u" : "%s:%u -> %s:%u", s, ev->sport, d, ev->dport);
}
