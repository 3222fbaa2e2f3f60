/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte cursors. All integers are little-endian on every machine. Errors are sticky: check once at the
 * end (wbuf_ok / rbuf_end). A reader never copies: rbuf_bytes() points into the caller's buffer.
 */
#ifndef DSI_LIB_BUF_H
#define DSI_LIB_BUF_H

#include "lib/compiler.h"

/* Writer. Fixed when made by wbuf_fixed() (overflow is the sticky error), growing otherwise. */
struct wbuf {
	u8 *data;
	size_t len, cap, limit;
	bool fixed, failed;
};

void wbuf_init(struct wbuf *w, size_t limit); /* grows up to limit bytes */
void wbuf_fixed(struct wbuf *w, void *data, size_t cap);
void wbuf_fini(struct wbuf *w); /* frees a growing buffer; NULL-safe, idempotent */
void wbuf_reset(struct wbuf *w);
void wbuf_u8(struct wbuf *w, u8 v);
void wbuf_u16(struct wbuf *w, u16 v);
void wbuf_u32(struct wbuf *w, u32 v);
void wbuf_u64(struct wbuf *w, u64 v);
void wbuf_bytes(struct wbuf *w, const void *p, size_t n);
void wbuf_blob(struct wbuf *w, const void *p, size_t n); /* u32 length, bytes */
void wbuf_str(struct wbuf *w, const char *s);            /* u16 length, bytes, no NUL */
u8 *wbuf_reserve(struct wbuf *w, size_t n);              /* NULL when failed; zeroed */
bool wbuf_ok(const struct wbuf *w);

/* Reader. */
struct rbuf {
	const u8 *data;
	size_t len, pos;
	bool failed;
};

void rbuf_init(struct rbuf *r, const void *data, size_t len);
u8 rbuf_u8(struct rbuf *r);
u16 rbuf_u16(struct rbuf *r);
u32 rbuf_u32(struct rbuf *r);
u64 rbuf_u64(struct rbuf *r);
const u8 *rbuf_bytes(struct rbuf *r, size_t n);                    /* NULL when failed */
const u8 *rbuf_blob(struct rbuf *r, size_t max, size_t *ret_len);  /* NULL when failed or > max */
bool rbuf_str(struct rbuf *r, char *dst, size_t cap);              /* NUL-terminates; refuses embedded NUL */
void rbuf_copy(struct rbuf *r, void *dst, size_t n);
size_t rbuf_left(const struct rbuf *r);
/* 0; -DSI_ETRUNC when something was missing; -DSI_ETRAIL when bytes are left: trailing bytes are an attack. */
int rbuf_end(const struct rbuf *r) DSI_MUST_CHECK;
bool rbuf_ok(const struct rbuf *r);

#endif
