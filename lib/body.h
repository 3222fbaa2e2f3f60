/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Message and entry bodies: plain structs described by tables, carried as tpl images. lib/body_tpl.c is
 * the only file that includes tpl.h; its guard (facts: corosync.md §5) runs before tpl sees a byte:
 * size bounds, magic, flags byte exactly 0x02, inner length == size, format equal to ours, every array
 * count in range. Callers verify the signature over the raw bytes before they decode them.
 *
 * A schema is an X-macro   #define BODY_FOO(F) F(u64, term) F(hash, digest) F(str, name) ...
 * Kinds: u32 u64        integers
 *        key hash sig   32, 32, 64 bytes in place
 *        id16           16 bytes in place (cluster id, request id, token id)
 *        str            char[LIM_NAME], NUL-terminated text
 *        text           char[LIM_PATH]
 *        blob           struct blob, variable bytes
 *        blobs          struct blobs, list of variable bytes (often other bodies)
 *
 * The image's first field is the schema's name, so that bytes of one schema never decode as another that
 * happens to have the same shape. Names are therefore part of the format.
 */
#ifndef DSI_LIB_BODY_H
#define DSI_LIB_BODY_H

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/limits.h"

struct blob {
	const u8 *p;
	size_t n;
};
struct blobs {
	struct blob *v;
	u32 n;
};

enum body_kind { BODY_u32, BODY_u64, BODY_key, BODY_hash, BODY_sig, BODY_id16, BODY_str, BODY_text, BODY_blob, BODY_blobs };

typedef u8 body_key_t[32];
typedef u8 body_hash_t[32];
typedef u8 body_sig_t[64];
typedef u8 body_id16_t[16];
typedef char body_str_t[LIM_NAME];
typedef char body_text_t[LIM_PATH];
typedef u32 body_u32_t;
typedef u64 body_u64_t;
typedef struct blob body_blob_t;
typedef struct blobs body_blobs_t;

struct body_field {
	const char *name;
	enum body_kind kind;
	u32 offset;
};
struct body_schema {
	const char *name;
	const struct body_field *fields;
	u32 n_fields;
	u32 size; /* sizeof the struct */
};

/* BODY_DECLARE(state, BODY_STATE) declares struct body_state and extern schema_state. */
#define BODY_MEMBER(kind, name) body_##kind##_t name;
#define BODY_DECLARE(tag, FIELDS)                                                                      \
	struct body_##tag {                                                                            \
		FIELDS(BODY_MEMBER)                                                                    \
	};                                                                                             \
	extern const struct body_schema schema_##tag;
/* BODY_DEFINE(state, BODY_STATE), in one .c file, defines schema_state. The head leaves a parenthesis open
 * that the tail, called with the field's kind and name, closes. */
#define BODY_FIELD_HEAD(tag) { .offset = __builtin_offsetof(struct body_##tag, BODY_FIELD_TAIL
#define BODY_FIELD_TAIL(k, n) n), .kind = BODY_##k, .name = #n },
#define BODY_DEFINE(tag, FIELDS)                                                                       \
	static const struct body_field fields_##tag[] = { FIELDS(BODY_FIELD_HEAD(tag)) };              \
	_Static_assert(ARRAY_SIZE(fields_##tag) <= BODY_FIELDS, "too many fields: " #tag);             \
	const struct body_schema schema_##tag = { #tag, fields_##tag, ARRAY_SIZE(fields_##tag),        \
						  sizeof(struct body_##tag) };
enum { BODY_FIELDS = 31, BODY_ITEMS = 4096 }; /* fields of a schema; items of a `blobs` */

/* Append the image of *st to w. 0 or -DSI_ELIMIT, -DSI_ENOMEM, -DSI_EINVAL (unterminated string). */
int body_encode(const struct body_schema *s, const void *st, struct wbuf *w) DSI_MUST_CHECK;
/* Strict. Variable parts are copied into the arena. 0 or -DSI_EPARSE, -DSI_ETRUNC, -DSI_ELIMIT, -DSI_ENOMEM;
 * *ret is all zero on failure. Never exits, never reads past n, whatever the bytes. */
int body_decode(const struct body_schema *s, const u8 *p, size_t n, void *ret, struct arena *a) DSI_MUST_CHECK;

#endif
