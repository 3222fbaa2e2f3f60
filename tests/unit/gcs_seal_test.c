/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Group keys: which two are known. Subkeys: what they depend on. Seals: what breaks them. */
#include "gcs/seal.h"

#include "lib/buf.h"
#include "tests/unit/gcs_fixture.h"

static void test_ring(void)
{
	struct seal_ring r = { 0 };
	u8 a[CRYPTO_KEY] = { 1 }, b[CRYPTO_KEY] = { 2 }, c[CRYPTO_KEY] = { 3 };

	CHECK(seal_newest(&r) == 0 && !seal_find(&r, 0) && !seal_find(&r, 1));
	seal_key(&r, 0, a);
	CHECK(seal_newest(&r) == 0);
	seal_key(&r, 5, a);
	CHECK(seal_newest(&r) == 5 && seal_find(&r, 5)[0] == 1);
	seal_key(&r, 4, b); /* told late: the predecessor */
	CHECK(seal_newest(&r) == 5 && seal_find(&r, 4)[0] == 2);
	seal_key(&r, 3, c); /* older than both */
	CHECK(!seal_find(&r, 3));
	seal_key(&r, 7, c);
	CHECK(seal_newest(&r) == 7 && seal_find(&r, 5) && !seal_find(&r, 4));
	seal_fini(&r);
	CHECK(seal_newest(&r) == 0);
}

static bool same_key(const struct seal_ring *r, const struct seal_sender *x, const struct seal_sender *y)
{
	struct seal_subkey a = { 0 }, b = { 0 };

	MUST(subkey_get(&a, r, 1, x) == 0 && subkey_get(&b, r, 1, y) == 0);
	return memcmp(a.key, b.key, CRYPTO_KEY) == 0;
}

static void test_subkey(void)
{
	struct seal_ring r = { 0 };
	struct seal_sender x = { .cluster = { 1 }, .nid = 2, .role = ROLE_MANAGER, .incarnation = 3, .random = { 4 } }, y;
	struct seal_subkey k = { 0 };
	u8 g[CRYPTO_KEY] = { 9 };

	CHECK(subkey_get(&k, &r, 1, &x) == -DSI_ENOENT);
	seal_key(&r, 1, g);
	CHECK(same_key(&r, &x, &x));
	y = x, y.cluster[15] = 1;
	CHECK(!same_key(&r, &x, &y));
	y = x, y.nid++;
	CHECK(!same_key(&r, &x, &y));
	y = x, y.role = ROLE_SERVER;
	CHECK(!same_key(&r, &x, &y));
	y = x, y.incarnation++;
	CHECK(!same_key(&r, &x, &y));
	y = x, y.random[31] = 1;
	CHECK(!same_key(&r, &x, &y));
	MUST(subkey_get(&k, &r, 1, &x) == 0 && k.gen == 1);
	CHECK(memcmp(k.key, g, CRYPTO_KEY) != 0);
	subkey_fini(&k);
	CHECK(k.gen == 0);
	seal_fini(&r);
}

static void test_seal(void)
{
	struct seal_subkey k = { .gen = 1, .key = { 7 } };
	u8 header[ENVELOPE_HEADER] = { 1 }, body[16 + CRYPTO_TAG], back[16];
	struct envelope v = { .opening = 3, .seq = 4, .flags = ENVELOPE_SEALED }, other;

	MUST(seal_close(&k, &v, header, (const u8 *)"sixteen bytes ok", 16, body) == 0);
	v.body = body;
	v.body_len = sizeof(body);
	CHECK(seal_open(&k, &v, header, back) == 0 && memcmp(back, "sixteen bytes ok", 16) == 0);
	other = v, other.seq++;
	CHECK(seal_open(&k, &other, header, back) != 0);
	other = v, other.opening++;
	CHECK(seal_open(&k, &other, header, back) != 0);
	other = v, other.flags |= GCS_BULK << ENVELOPE_PRIO_SHIFT;
	CHECK(seal_open(&k, &other, header, back) != 0);
	other = v, other.opening = UINT32_MAX;
	CHECK(seal_open(&k, &other, header, back) != 0);
	other = v, other.body_len = CRYPTO_TAG - 1;
	CHECK(seal_open(&k, &other, header, back) != 0);
	header[ENVELOPE_HEADER - 1] ^= 1;
	CHECK(seal_open(&k, &v, header, back) != 0);
}

int main(void)
{
	RUN(test_ring);
	RUN(test_subkey);
	RUN(test_seal);
	return fixture_end("gcs_seal");
}
