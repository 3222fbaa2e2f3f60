/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The backup file: named byte strings under one hash. Pure.
 *	"DSIB" u8 version(1) u8 zero u16 zero | u32 n | n times { str name, blob bytes } | SHA-256 of all before
 * Names are "cluster", "node.conf", "dsid.conf", "dsi-ss.conf", "log" (entries as blobs) and "blob/HEX".
 * No private key is ever in it.
 */
#ifndef DSI_CLI_BUNDLE_H
#define DSI_CLI_BUNDLE_H

#include "lib/buf.h"
#include "lib/err.h"

enum { BUNDLE_PARTS = 16, BUNDLE_NAME = 128, BUNDLE_MAX = 1 << 30 };

struct bundle_part {
	char name[BUNDLE_NAME];
	const u8 *p;
	size_t n;
};
struct bundle {
	struct bundle_part part[BUNDLE_PARTS];
	u32 n;
};

int bundle_add(struct bundle *b, const char *name, const u8 *p, size_t n, struct err *e);
int bundle_encode(const struct bundle *b, struct wbuf *w, struct err *e);
/* Strict; parts point into p. */
int bundle_decode(struct bundle *b, const u8 *p, size_t n, struct err *e);
const struct bundle_part *bundle_find(const struct bundle *b, const char *name);

#endif
