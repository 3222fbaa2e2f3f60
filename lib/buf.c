/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte cursors, little-endian on every machine. Must never read or write outside the buffer it was
 * given. Invariants: pos <= len, len <= cap <= limit; once `failed`, nothing more is read or written
 * and readers answer zero.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

enum { WBUF_FIRST = 256 };

void wbuf_init(struct wbuf *w, size_t limit)
{
	*w = (struct wbuf){ .limit = limit };
}

void wbuf_fixed(struct wbuf *w, void *data, size_t cap)
{
	*w = (struct wbuf){ .data = data, .cap = cap, .limit = cap, .fixed = true };
}

void wbuf_fini(struct wbuf *w)
{
	if (!w)
		return;
	if (!w->fixed)
		free(w->data);
	*w = (struct wbuf){ .failed = true };
}

void wbuf_reset(struct wbuf *w)
{
	w->len = 0;
	w->failed = false;
}

static bool wbuf_grow(struct wbuf *w, size_t need)
{
	size_t cap = w->cap ? w->cap : WBUF_FIRST;
	u8 *data;

	while (cap < need)
		cap = cap > w->limit / 2 ? w->limit : cap * 2;
	cap = MIN(cap, w->limit);
	data = realloc(w->data, cap);
	if (!data)
		return false;
	w->data = data;
	w->cap = cap;
	return true;
}

/* Room for n more bytes, not cleared; counts them as written. Non-NULL also for n == 0. */
static u8 *wbuf_room(struct wbuf *w, size_t n)
{
	static u8 nothing[1]; /* never written: where zero bytes of an empty buffer are */
	u8 *p;

	if (w->failed)
		return NULL;
	if (n > w->limit - w->len || (n > w->cap - w->len && (w->fixed || !wbuf_grow(w, w->len + n)))) {
		w->failed = true;
		return NULL;
	}
	if (!w->data)
		return nothing;
	p = w->data + w->len;
	w->len += n;
	return p;
}

static void wbuf_le(struct wbuf *w, u64 v, size_t n)
{
	u8 *p = wbuf_room(w, n);

	for (size_t i = 0; p && i < n; i++)
		p[i] = (u8)(v >> (8 * i));
}

void wbuf_u8(struct wbuf *w, u8 v)
{
	wbuf_le(w, v, 1);
}

void wbuf_u16(struct wbuf *w, u16 v)
{
	wbuf_le(w, v, 2);
}

void wbuf_u32(struct wbuf *w, u32 v)
{
	wbuf_le(w, v, 4);
}

void wbuf_u64(struct wbuf *w, u64 v)
{
	wbuf_le(w, v, 8);
}

void wbuf_bytes(struct wbuf *w, const void *p, size_t n)
{
	u8 *dst;

	if (!n)
		return;
	dst = wbuf_room(w, n);
	if (dst)
		memcpy(dst, p, n);
}

void wbuf_blob(struct wbuf *w, const void *p, size_t n)
{
	if (n > UINT32_MAX) {
		w->failed = true;
		return;
	}
	wbuf_u32(w, (u32)n);
	wbuf_bytes(w, p, n);
}

void wbuf_str(struct wbuf *w, const char *s)
{
	size_t n = strlen(s);

	if (n > UINT16_MAX) {
		w->failed = true;
		return;
	}
	wbuf_u16(w, (u16)n);
	wbuf_bytes(w, s, n);
}

u8 *wbuf_reserve(struct wbuf *w, size_t n)
{
	u8 *p = wbuf_room(w, n);

	if (p && n)
		memset(p, 0, n);
	return p;
}

bool wbuf_ok(const struct wbuf *w)
{
	return !w->failed;
}

void rbuf_init(struct rbuf *r, const void *data, size_t len)
{
	*r = (struct rbuf){ .data = data, .len = len };
}

const u8 *rbuf_bytes(struct rbuf *r, size_t n)
{
	static const u8 empty[1];
	const u8 *p;

	if (r->failed || n > r->len - r->pos) {
		r->failed = true;
		return NULL;
	}
	p = r->data ? r->data + r->pos : empty;
	r->pos += n;
	return p;
}

static u64 rbuf_le(struct rbuf *r, size_t n)
{
	const u8 *p = rbuf_bytes(r, n);
	u64 v = 0;

	for (size_t i = 0; p && i < n; i++)
		v |= (u64)p[i] << (8 * i);
	return v;
}

u8 rbuf_u8(struct rbuf *r)
{
	return (u8)rbuf_le(r, 1);
}

u16 rbuf_u16(struct rbuf *r)
{
	return (u16)rbuf_le(r, 2);
}

u32 rbuf_u32(struct rbuf *r)
{
	return (u32)rbuf_le(r, 4);
}

u64 rbuf_u64(struct rbuf *r)
{
	return rbuf_le(r, 8);
}

const u8 *rbuf_blob(struct rbuf *r, size_t max, size_t *ret_len)
{
	size_t n = rbuf_u32(r);
	const u8 *p;

	if (n > max)
		r->failed = true;
	p = rbuf_bytes(r, n);
	*ret_len = p ? n : 0;
	return p;
}

bool rbuf_str(struct rbuf *r, char *dst, size_t cap)
{
	size_t n = rbuf_u16(r);
	const u8 *p;

	if (cap)
		dst[0] = '\0';
	if (n >= cap)
		r->failed = true;
	p = rbuf_bytes(r, n);
	if (!p)
		return false;
	if (memchr(p, '\0', n)) {
		r->failed = true;
		return false;
	}
	memcpy(dst, p, n);
	dst[n] = '\0';
	return true;
}

void rbuf_copy(struct rbuf *r, void *dst, size_t n)
{
	const u8 *p = rbuf_bytes(r, n);

	if (!n)
		return;
	if (p)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

size_t rbuf_left(const struct rbuf *r)
{
	return r->failed ? 0 : r->len - r->pos;
}

int rbuf_end(const struct rbuf *r)
{
	if (r->failed)
		return -DSI_ETRUNC;
	return r->pos == r->len ? 0 : -DSI_ETRAIL;
}

bool rbuf_ok(const struct rbuf *r)
{
	return !r->failed;
}
