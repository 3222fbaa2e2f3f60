/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log entries: canonical bytes, both ways. Must never accept two byte strings for one entry, or look at a
 * body: bodies are parsed after signatures. Invariant: decode(encode(e)) gives e, and every accepted
 * string encodes to itself.
 */
#include <string.h>

#include "gcs/entry.h"
#include "lib/err.h"

static const u8 entry_magic[4] = { 'D', 'S', 'I', 'E' };

enum { ENTRY_VERSION = 1, ENTRY_HEADER = ENTRY_OVERHEAD - CRYPTO_SIG };

_Static_assert(ENTRY_HEADER == 4 + 1 + 1 + 2 + 16 + 4 + 8 + 8 + CRYPTO_HASH + 4 + 8 + 4, "the header is what we write");

const char *entry_type_name(u16 type)
{
	static const char *const names[ENTRY_TYPE_MAX] = {
#define X(name, n, level) [n] = #name,
		ENTRY_TABLE(X)
#undef X
	};

	return type < ENTRY_TYPE_MAX && names[type] ? names[type] : "UNKNOWN";
}

u32 entry_type_level(u16 type)
{
	static const u32 levels[ENTRY_TYPE_MAX] = {
#define X(name, n, level) [n] = level,
		ENTRY_TABLE(X)
#undef X
	};

	return type < ENTRY_TYPE_MAX && levels[type] ? levels[type] : KNOWS_NOBODY;
}

static bool header_valid(const struct entry *e)
{
	return e->type > 0 && e->type < ENTRY_TYPE_MAX && e->author_role <= 8 && e->index > 0 &&
	       e->body_len <= LIM_ENTRY_BODY;
}

int entry_encode(struct entry *e, struct wbuf *w)
{
	size_t start = w->len;

	if (!header_valid(e))
		return -DSI_EINVAL;
	wbuf_bytes(w, entry_magic, sizeof(entry_magic));
	wbuf_u8(w, ENTRY_VERSION);
	wbuf_u8(w, e->author_role);
	wbuf_u16(w, e->type);
	wbuf_bytes(w, e->cluster, sizeof(e->cluster));
	wbuf_u32(w, e->generation);
	wbuf_u64(w, e->term);
	wbuf_u64(w, e->index);
	wbuf_bytes(w, e->prev, sizeof(e->prev));
	wbuf_u32(w, e->author_nid);
	wbuf_u64(w, e->wall_ms);
	wbuf_blob(w, e->body, e->body_len);
	if (!wbuf_ok(w))
		return -DSI_ELIMIT;
	return crypto_sha256(w->data + start, w->len - start, e->hash);
}

int entry_decode(struct entry *e, const u8 *p, size_t n)
{
	struct rbuf r;
	const u8 *magic;
	u8 version;
	int rc;

	memset(e, 0, sizeof(*e));
	if (n > ENTRY_MAX)
		return -DSI_ELIMIT;
	rbuf_init(&r, p, n);
	magic = rbuf_bytes(&r, sizeof(entry_magic));
	if (!magic)
		return -DSI_ETRUNC;
	if (memcmp(magic, entry_magic, sizeof(entry_magic)))
		return -DSI_EPARSE;
	version = rbuf_u8(&r);
	if (rbuf_ok(&r) && version != ENTRY_VERSION)
		return -DSI_EVERSION;
	e->author_role = rbuf_u8(&r);
	e->type = rbuf_u16(&r);
	rbuf_copy(&r, e->cluster, sizeof(e->cluster));
	e->generation = rbuf_u32(&r);
	e->term = rbuf_u64(&r);
	e->index = rbuf_u64(&r);
	rbuf_copy(&r, e->prev, sizeof(e->prev));
	e->author_nid = rbuf_u32(&r);
	e->wall_ms = rbuf_u64(&r);
	e->body = rbuf_blob(&r, LIM_ENTRY_BODY, &e->body_len);
	rbuf_copy(&r, e->sig, sizeof(e->sig));
	rc = rbuf_end(&r);
	if (!rc && !header_valid(e))
		rc = -DSI_EPARSE;
	if (!rc)
		rc = crypto_sha256(p, n - CRYPTO_SIG, e->hash);
	if (rc)
		memset(e, 0, sizeof(*e));
	return rc;
}
