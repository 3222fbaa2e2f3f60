/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The envelope: its bytes are a format, its lengths are judged before anything else. */
#include "gcs/session.h"

#include "lib/buf.h"
#include "tests/unit/gcs_fixture.h"

static const struct envelope sample = {
	.version = ENVELOPE_VERSION,
	.channel = CH_MANAGEMENT,
	.role = ROLE_SERVER,
	.flags = ENVELOPE_SEALED | GCS_BULK << ENVELOPE_PRIO_SHIFT,
	.type = 0x0102,
	.view = 0x0304,
	.cluster = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
	.generation = 0x11121314,
	.nid = 0x21222324,
	.keygen = 0x31323334,
	.opening = 0x41424344,
	.incarnation = 0x5152535455565758,
	.term = 0x6162636465666768,
	.seq = 0x7172737475767778,
	.ring = { .nodeid = 0x81828384, .seq = 0x9192939495969798 },
	.body = (const u8 *)"body",
	.body_len = 4,
};

static struct wbuf W, *const w = &W;
static u8 pub[CRYPTO_PUB];

static void make(const u8 seed[CRYPTO_SEED])
{
	u8 sig[CRYPTO_SIG];

	wbuf_reset(w);
	envelope_encode(&sample, w);
	MUST(crypto_sign(seed, SIGN_ENVELOPE, w->data, w->len, sig) == 0);
	wbuf_bytes(w, sig, sizeof(sig));
	MUST(wbuf_ok(w));
}

static void test_bytes(void)
{
	char hex[2 * 24 + 1];


	CHECK(w->len == ENVELOPE_MIN + 4);
	/* magic, version, channel, type, cluster */
	CHECK(strcmp(crypto_hex(w->data, 8, hex), "4453493101020201") == 0);
	CHECK(memcmp(w->data + 8, sample.cluster, 16) == 0);
	CHECK(strcmp(crypto_hex(w->data + 24, 12, hex), "141312112423222102050403") == 0);
	CHECK(strcmp(crypto_hex(w->data + 36, 8, hex), "5857565554535251") == 0);
	CHECK(strcmp(crypto_hex(w->data + 44, 12, hex), "848382819897969594939291") == 0);
	CHECK(strcmp(crypto_hex(w->data + 56, 8, hex), "6867666564636261") == 0);
	CHECK(strcmp(crypto_hex(w->data + 64, 8, hex), "3433323144434241") == 0);
	CHECK(strcmp(crypto_hex(w->data + 72, 12, hex), "787776757473727104000000") == 0);
	CHECK(memcmp(w->data + ENVELOPE_HEADER, "body", 4) == 0);
}

static void test_parse(void)
{
	struct envelope v;

	MUST(envelope_parse(&v, w->data, w->len) == 0);
	CHECK(v.version == sample.version && v.channel == sample.channel && v.type == sample.type);
	CHECK(v.role == sample.role && v.flags == sample.flags && v.view == sample.view);
	CHECK(memcmp(v.cluster, sample.cluster, 16) == 0 && v.generation == sample.generation && v.nid == sample.nid);
	CHECK(v.keygen == sample.keygen && v.opening == sample.opening && v.incarnation == sample.incarnation);
	CHECK(v.term == sample.term && v.seq == sample.seq && v.ring.nodeid == sample.ring.nodeid);
	CHECK(v.ring.seq == sample.ring.seq && v.body == w->data + ENVELOPE_HEADER && v.body_len == 4);
	CHECK(envelope_prio(&v) == GCS_BULK);
}

static void test_lengths(void)
{
	static u8 big[LIM_RING_MSG + 1];
	struct envelope v;

	for (size_t n = 0; n < w->len; n++)
		CHECK(envelope_parse(&v, w->data, n) == -DSI_ETRUNC);
	memcpy(big, w->data, w->len);
	CHECK(envelope_parse(&v, big, w->len + 1) == -DSI_ETRAIL);
	CHECK(envelope_parse(&v, big, sizeof(big)) == -DSI_ELIMIT);
	memset(big + ENVELOPE_HEADER - 4, 0xff, 4);
	CHECK(envelope_parse(&v, big, w->len) == -DSI_ELIMIT);
	big[0] ^= 1;
	CHECK(envelope_parse(&v, big, w->len) == -DSI_EPARSE);
}

static void test_verify(void)
{
	CHECK(envelope_verify(w->data, w->len, pub) == 0);
	for (size_t i = 0; i < w->len; i++) {
		w->data[i] ^= 0x10;
		CHECK(envelope_verify(w->data, w->len, pub) != 0);
		w->data[i] ^= 0x10;
	}
	CHECK(envelope_verify(w->data, ENVELOPE_MIN - 1, pub) == -DSI_ETRUNC);
}

int main(void)
{
	u8 seed[CRYPTO_SEED] = { 42 };

	MUST(crypto_sign_pub(seed, pub) == 0);
	wbuf_init(w, LIM_RING_MSG);
	make(seed);
	RUN(test_bytes);
	RUN(test_parse);
	RUN(test_lengths);
	RUN(test_verify);
	wbuf_fini(w);
	return fixture_end("gcs_envelope");
}
