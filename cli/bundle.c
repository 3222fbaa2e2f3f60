/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/bundle.h"

#include <stdio.h>
#include <string.h>

#include "lib/crypto.h"

enum { BUNDLE_VERSION = 1 };

const struct bundle_part *bundle_find(const struct bundle *b, const char *name)
{
	for (u32 i = 0; i < b->n; i++)
		if (!strcmp(b->part[i].name, name))
			return &b->part[i];
	return NULL;
}

int bundle_add(struct bundle *b, const char *name, const u8 *p, size_t n, struct err *e)
{
	if (b->n == BUNDLE_PARTS || strlen(name) >= BUNDLE_NAME)
		return err_set(e, -DSI_ELIMIT, "more than %d parts in a backup", BUNDLE_PARTS);
	snprintf(b->part[b->n].name, BUNDLE_NAME, "%s", name);
	b->part[b->n].p = p;
	b->part[b->n++].n = n;
	return 0;
}

int bundle_encode(const struct bundle *b, struct wbuf *w, struct err *e)
{
	u8 hash[CRYPTO_HASH];

	wbuf_bytes(w, "DSIB", 4);
	wbuf_u8(w, BUNDLE_VERSION);
	wbuf_u8(w, 0);
	wbuf_u16(w, 0);
	wbuf_u32(w, b->n);
	for (u32 i = 0; i < b->n; i++) {
		wbuf_str(w, b->part[i].name);
		wbuf_blob(w, b->part[i].p, b->part[i].n);
	}
	if (!wbuf_ok(w))
		return err_set(e, -DSI_ENOMEM, "the backup does not fit in memory");
	if (crypto_sha256(w->data, w->len, hash) < 0)
		return err_set(e, -DSI_ECRYPTO, "cannot hash the backup");
	wbuf_bytes(w, hash, sizeof(hash));
	return wbuf_ok(w) ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

static int parse_parts(struct bundle *b, struct rbuf *r)
{
	u32 n = rbuf_u32(r);

	if (n > BUNDLE_PARTS)
		return -DSI_ELIMIT;
	for (b->n = 0; b->n < n; b->n++) {
		struct bundle_part *part = &b->part[b->n];
		u16 len = rbuf_u16(r);
		const u8 *name = len < BUNDLE_NAME ? rbuf_bytes(r, len) : NULL;

		if (!name)
			return rbuf_ok(r) ? -DSI_ELIMIT : -DSI_ETRUNC;
		memcpy(part->name, name, len);
		part->name[len] = 0;
		if (strlen(part->name) != len || bundle_find(b, part->name))
			return -DSI_EPARSE;
		part->p = rbuf_blob(r, BUNDLE_MAX, &part->n);
		if (!part->p)
			return -DSI_ETRUNC;
	}
	return rbuf_end(r);
}

int bundle_decode(struct bundle *b, const u8 *p, size_t n, struct err *e)
{
	u8 hash[CRYPTO_HASH];
	struct rbuf r;
	int rc;

	memset(b, 0, sizeof(*b));
	if (n < 12 + CRYPTO_HASH || memcmp(p, "DSIB", 4))
		return err_set(e, -DSI_EPARSE, "not a DSI backup");
	if (p[4] != BUNDLE_VERSION || p[5] || p[6] || p[7])
		return err_set(e, -DSI_EVERSION, "a backup of version %u; this program knows %d", p[4], BUNDLE_VERSION);
	if (crypto_sha256(p, n - CRYPTO_HASH, hash) < 0 || memcmp(hash, p + n - CRYPTO_HASH, CRYPTO_HASH))
		return err_set(e, -DSI_ETRUNC, "the backup is damaged or cut short");
	rbuf_init(&r, p + 8, n - 8 - CRYPTO_HASH);
	rc = parse_parts(b, &r);
	if (rc < 0)
		memset(b, 0, sizeof(*b));
	return rc < 0 ? err_set(e, rc, "the backup is malformed: %s", err_text(rc)) : 0;
}
