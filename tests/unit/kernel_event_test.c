/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kernel/event, kernel/synmac: texts of records that we did not write stay inside; the MAC is SipHash-2-4. */
#include <string.h>

#include "kernel/nodes.h"
#include "kernel/ring.h"
#include "kernel/synmac.h"
#include "tests/unit/lib_check.h"

static void names(struct dsi_event *ev, const char *bytes, size_t n)
{
	memset(ev, 0, sizeof(*ev));
	ev->flags = DSI_EVENT_FILE;
	memcpy(ev->path, bytes, n);
}

START_TEST(path_is_put_together)
{
	struct dsi_event ev;
	char s[256];

	names(&ev, "index.html\0html\0var\0/\0", 22);
	event_path(&ev, s, sizeof(s));
	ck_assert_str_eq(s, "/var/html/index.html");
	names(&ev, "f\0deep\0deeper\0", 14);
	event_path(&ev, s, sizeof(s));
	ck_assert_str_eq(s, ".../deeper/deep/f");
	names(&ev, "/\0", 2);
	event_path(&ev, s, sizeof(s));
	ck_assert_str_eq(s, "/");
	ev.flags = 0;
	event_path(&ev, s, sizeof(s));
	ck_assert_str_eq(s, "");
}
END_TEST

START_TEST(path_stays_inside)
{
	struct dsi_event ev;
	char s[16];

	memset(&ev, 'x', sizeof(ev)); /* no NUL anywhere */
	ev.flags = DSI_EVENT_FILE;
	event_path(&ev, s, sizeof(s));
	ck_assert(strlen(s) < sizeof(s));
	names(&ev, "aaaaaaaaaaaaaaaaaaaaaaaaa\0bbbbbbbbbbbbbbbbbb\0", 46);
	event_path(&ev, s, sizeof(s));
	ck_assert(strlen(s) < sizeof(s));
	memset(ev.path, 0, sizeof(ev.path));
	for (size_t i = 0; i + 1 < sizeof(ev.path); i += 2)
		ev.path[i] = 'n'; /* more names than we take */
	event_path(&ev, s, sizeof(s));
	ck_assert(strlen(s) < sizeof(s));
}
END_TEST

START_TEST(every_reason_has_a_text)
{
	for (u32 i = 0; i < DSI_REASON_COUNT; i++)
		ck_assert_str_ne(event_reason_text(i), "unknown reason");
	ck_assert_str_eq(event_reason_text(DSI_REASON_COUNT), "unknown reason");
	ck_assert_str_eq(event_reason_text(~0u), "unknown reason");
	ck_assert_str_eq(event_type_text(DSI_EVENT_DENY), "denied");
	ck_assert_str_eq(event_type_text(99), "unknown event");
}
END_TEST

START_TEST(tuple_and_addresses)
{
	struct dsi_event ev = { .flags = DSI_EVENT_TUPLE, .sport = 41000, .dport = 6379 };
	char s[160];

	ck_assert_int_eq(node_addr_parse("10.0.0.1", &ev.saddr), 0);
	ck_assert_int_eq(node_addr_parse("10.0.0.3", &ev.daddr), 0);
	event_tuple(&ev, s, sizeof(s));
	ck_assert_str_eq(s, "10.0.0.1:41000 -> 10.0.0.3:6379");
	ck_assert_int_eq(node_addr_parse("fd00::1", &ev.saddr), 0);
	node_addr_text(&ev.saddr, s, sizeof(s));
	ck_assert_str_eq(s, "fd00::1");
	ck_assert_int_eq(node_addr_parse("10.0.0", &ev.saddr), -DSI_EINVAL);
}
END_TEST

/* A second, byte-wise SipHash-2-4, from the paper. */
static u64 rotl(u64 x, int b)
{
	return x << b | x >> (64 - b);
}

static void sipround(u64 *v)
{
	v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
	v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

static u64 siphash(const u8 *key, const u8 *m, size_t n)
{
	u64 k[2] = { 0 }, v[4], w = 0;

	for (int i = 0; i < 16; i++)
		k[i / 8] |= (u64)key[i] << (i % 8 * 8);
	v[0] = k[0] ^ 0x736f6d6570736575ull, v[1] = k[1] ^ 0x646f72616e646f6dull;
	v[2] = k[0] ^ 0x6c7967656e657261ull, v[3] = k[1] ^ 0x7465646279746573ull;
	for (size_t i = 0; i <= n; i++) {
		if (i == n || i % 8 == 0)
			w = i == n && n % 8 ? w : 0;
		if (i < n)
			w |= (u64)m[i] << (i % 8 * 8);
		if (i == n)
			w |= (u64)n << 56;
		if (i == n || i % 8 == 7) {
			v[3] ^= w;
			sipround(v), sipround(v);
			v[0] ^= w;
		}
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sipround(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void words(u8 *dst, const u64 *w, size_t n)
{
	for (size_t i = 0; i < n * 8; i++)
		dst[i] = (u8)(w[i / 8] >> (i % 8 * 8));
}

START_TEST(mac_is_siphash)
{
	struct dsi_syn s = { .sport = 41000, .dport = 6379, .isn = 0xdeadbeef, .sid = 64, .nid_word = DSI_NID_WORD(3, 5) };
	u8 key[16], m[48], option[20];
	u64 k[2] = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull }, w[6];

	for (u8 i = 0; i < 16; i++)
		key[i] = i;
	for (u8 i = 0; i < 15; i++)
		m[i] = i;
	ck_assert(siphash(key, m, 15) == 0xa129ca6149be45e5ull); /* the paper's vector */
	node_addr_parse("10.0.0.1", &s.saddr);
	node_addr_parse("10.0.0.3", &s.daddr);
	w[0] = 0x0a0000010a000003ull;
	w[1] = (u64)s.isn << 32 | (u32)s.sport << 16 | s.dport;
	w[2] = (u64)s.sid << 32 | s.nid_word;
	words(m, w, 3);
	ck_assert(dsi_syn_mac(k, &s) == siphash(key, m, 24));
	node_addr_parse("fd00::1", &s.saddr);
	node_addr_parse("fd00::3", &s.daddr);
	w[0] = w[2] = 0xfd00000000000000ull;
	w[1] = 1, w[3] = 3;
	w[4] = (u64)s.isn << 32 | (u32)s.sport << 16 | s.dport;
	w[5] = (u64)s.sid << 32 | s.nid_word;
	words(m, w, 6);
	ck_assert(dsi_syn_mac(k, &s) == siphash(key, m, 48));
	dsi_syn_option(&s, 0x0102030405060708ull, option);
	ck_assert(!memcmp(option, "\xfd\x14\x0d\x51\x00\x00\x00\x40\x00\x00\x03\x05\x01\x02\x03\x04\x05\x06\x07\x08", 20));
}
END_TEST

LIB_TESTS("kernel/event", path_is_put_together, path_stays_inside, every_reason_has_a_text, tuple_and_addresses, mac_is_siphash)
