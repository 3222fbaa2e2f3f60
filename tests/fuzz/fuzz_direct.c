/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The direct leg's readers. The first byte chooses: frames (in two pieces, at any limit), an address text,
 * a view across the channel's link, or TLS records from a stranger, to whom a connection must never open.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/channel.h"
#include "gcs/direct_wire.h"
#include "gcs/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frames(const u8 *p, size_t n)
{
	size_t limit = n > 1 && p[1] & 1 ? DIRECT_FRAME_NEWCOMER : LIM_DIRECT_FRAME, at = 0;
	struct direct_frame f;

	while (at < n) {
		long half = direct_frame_get(&f, p + at, (n - at) / 2, limit);
		long used = direct_frame_get(&f, p + at, n - at, limit);

		if (half > 0 && half != used)
			abort(); /* more bytes never change what was complete */
		if (half < 0 && used != half)
			abort();
		if (used <= 0)
			break;
		if (used > (long)limit || f.n != (size_t)used - DIRECT_HEAD || f.p != p + at + DIRECT_HEAD)
			abort();
		(void)direct_kind_who(f.kind);
		at += (size_t)used;
	}
}

static void text(const u8 *p, size_t n)
{
	char s[512];
	struct sockaddr_storage sa;
	socklen_t len = 0;

	n = MIN(n, sizeof(s) - 1);
	memcpy(s, p, n);
	s[n] = '\0';
	if (direct_address(s, /* dns= */ false, &sa, &len, NULL) == 0 && (len == 0 || len > sizeof(sa)))
		abort();
}

static void view(const u8 *p, size_t n)
{
	struct gcs_member self;
	struct gcs_view v;
	struct rbuf r;
	struct wbuf w;

	rbuf_init(&r, p, n);
	if (channel_view_get(&r, &self, &v) != 0)
		return;
	wbuf_init(&w, LIM_LINK_FRAME);
	channel_view_put(&w, self, &v);
	if (!wbuf_ok(&w) || w.len != n || memcmp(w.data, p, n) != 0)
		abort();
	wbuf_fini(&w);
}

static int sign(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	static const u8 seed[CRYPTO_SEED] = { 3 };

	return crypto_sign(seed, purpose, p, n, ret);
}

static void records(const u8 *p, size_t n)
{
	static struct tls *t;
	struct tls_conn *c;
	const u8 *out;
	u8 buf[256];

	if (!t) {
		static const u8 seed[CRYPTO_SEED] = { 3 };
		struct tls_key key = { .sign = sign };

		if (crypto_sign_pub(seed, key.pub) != 0 || tls_new(&t, &key, NULL) != 0)
			abort();
	}
	c = tls_conn_new(t, n > 0 && p[0] & 1);
	if (!c)
		abort();
	if (n > 0 && !(p[0] & 1))
		tls_input(c, NULL, 0);
	tls_input(c, p, n / 2);
	tls_input(c, p + n / 2, n - n / 2);
	if (tls_state(c) == TLS_OPEN || tls_read(c, buf, sizeof(buf)) > 0)
		abort(); /* nobody proved a key */
	tls_output_done(c, tls_output(c, &out));
	tls_conn_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const u8 *, size_t) = { frames, text, view, records };
	u8 *exact;

	if (size < 1)
		return 0;
	exact = malloc(size);
	if (!exact)
		abort();
	memcpy(exact, data + 1, size - 1);
	readers[data[0] % ARRAY_SIZE(readers)](exact, size - 1);
	free(exact);
	return 0;
}
