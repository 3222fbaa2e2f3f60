/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MAC of a SYN's label: SipHash-2-4 (Aumasson, Bernstein) over everything that must not be moved to
 * another connection. Words are numbers, so both ends agree whatever their byte order. Compiled for the
 * kernel (fully unrolled) and for the host (tests forge with it).
 *
 *	IPv4, 3 words:  saddr.daddr  isn.sport.dport  sid.nidword
 *	IPv6, 6 words:  saddr (2)  daddr (2)  isn.sport.dport  sid.nidword
 */
#ifndef DSI_KERNEL_SYNMAC_H
#define DSI_KERNEL_SYNMAC_H

#include "kernel/abi.h"

struct dsi_syn {
	struct dsi_addr saddr, daddr;
	dsi_u16 sport, dport;
	dsi_u32 isn;
	dsi_u32 sid;
	dsi_u32 nid_word; /* DSI_NID_WORD() */
};

#define DSI_ROTL64(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define DSI_SIPROUND                                                                                   \
	do {                                                                                           \
		v0 += v1, v1 = DSI_ROTL64(v1, 13), v1 ^= v0, v0 = DSI_ROTL64(v0, 32);                  \
		v2 += v3, v3 = DSI_ROTL64(v3, 16), v3 ^= v2;                                           \
		v0 += v3, v3 = DSI_ROTL64(v3, 21), v3 ^= v0;                                           \
		v2 += v1, v1 = DSI_ROTL64(v1, 17), v1 ^= v2, v2 = DSI_ROTL64(v2, 32);                  \
	} while (0)
#define DSI_SIPWORD(m)                                                                                 \
	do {                                                                                           \
		dsi_u64 w_ = (m);                                                                      \
		v3 ^= w_;                                                                              \
		DSI_SIPROUND;                                                                          \
		DSI_SIPROUND;                                                                          \
		v0 ^= w_;                                                                              \
	} while (0)

static inline __attribute__((always_inline)) dsi_u64 dsi_be64(const dsi_u8 *p)
{
	return (dsi_u64)p[0] << 56 | (dsi_u64)p[1] << 48 | (dsi_u64)p[2] << 40 | (dsi_u64)p[3] << 32 |
	       (dsi_u64)p[4] << 24 | (dsi_u64)p[5] << 16 | (dsi_u64)p[6] << 8 | p[7];
}

static inline __attribute__((always_inline)) dsi_u32 dsi_be32(const dsi_u8 *p)
{
	return (dsi_u32)p[0] << 24 | (dsi_u32)p[1] << 16 | (dsi_u32)p[2] << 8 | p[3];
}

/* ::ffff:0:0/96: an IPv4 address. */
static inline __attribute__((always_inline)) int dsi_addr_is4(const struct dsi_addr *a)
{
	return !dsi_be64(a->a) && dsi_be32(a->a + 8) == 0xffff;
}

static inline __attribute__((always_inline)) dsi_u64 dsi_syn_mac(const dsi_u64 key[2], const struct dsi_syn *s)
{
	dsi_u64 v0 = 0x736f6d6570736575ull ^ key[0], v1 = 0x646f72616e646f6dull ^ key[1];
	dsi_u64 v2 = 0x6c7967656e657261ull ^ key[0], v3 = 0x7465646279746573ull ^ key[1];
	dsi_u64 last;

	if (dsi_addr_is4(&s->saddr)) {
		DSI_SIPWORD((dsi_u64)dsi_be32(s->saddr.a + 12) << 32 | dsi_be32(s->daddr.a + 12));
		last = 24ull << 56;
	} else {
		DSI_SIPWORD(dsi_be64(s->saddr.a));
		DSI_SIPWORD(dsi_be64(s->saddr.a + 8));
		DSI_SIPWORD(dsi_be64(s->daddr.a));
		DSI_SIPWORD(dsi_be64(s->daddr.a + 8));
		last = 48ull << 56;
	}
	DSI_SIPWORD((dsi_u64)s->isn << 32 | (dsi_u32)s->sport << 16 | s->dport);
	DSI_SIPWORD((dsi_u64)s->sid << 32 | s->nid_word);
	DSI_SIPWORD(last);
	v2 ^= 0xff;
	DSI_SIPROUND;
	DSI_SIPROUND;
	DSI_SIPROUND;
	DSI_SIPROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

/* The option as it stands in the header. */
static inline __attribute__((always_inline)) void dsi_syn_option(const struct dsi_syn *s, dsi_u64 mac, dsi_u8 *o)
{
	o[0] = DSI_OPT_KIND;
	o[1] = DSI_OPT_LEN;
	o[2] = DSI_OPT_EXID >> 8;
	o[3] = DSI_OPT_EXID & 0xff;
	for (int i = 0; i < 4; i++) {
		o[4 + i] = (dsi_u8)(s->sid >> (24 - 8 * i));
		o[8 + i] = (dsi_u8)(s->nid_word >> (24 - 8 * i));
	}
	for (int i = 0; i < 8; i++)
		o[12 + i] = (dsi_u8)(mac >> (56 - 8 * i));
}

#endif
