/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Group keys, subkeys, sealed bodies. Must never use one (subkey, nonce) pair twice: the nonce is made
 * of the three counters that the session only ever raises within one random of a start.
 */
#include "gcs/seal.h"

#include <string.h>

#include "lib/buf.h"

void seal_key(struct seal_ring *r, u32 gen, const u8 key[CRYPTO_KEY])
{
	int at = 0;

	if (gen == 0)
		return;
	if (gen < r->slot[0].gen)
		at = 1;
	if (at == 1 && gen < r->slot[1].gen)
		return; /* older than both */
	if (at == 0 && gen > r->slot[0].gen)
		r->slot[1] = r->slot[0];
	r->slot[at].gen = gen;
	memcpy(r->slot[at].key, key, CRYPTO_KEY);
}

const u8 *seal_find(const struct seal_ring *r, u32 gen)
{
	for (int i = 0; i < SEAL_KEYS && gen != 0; i++)
		if (r->slot[i].gen == gen)
			return r->slot[i].key;
	return NULL;
}

u32 seal_newest(const struct seal_ring *r)
{
	return r->slot[0].gen;
}

void seal_fini(struct seal_ring *r)
{
	crypto_wipe(r, sizeof(*r));
}

int subkey_get(struct seal_subkey *k, const struct seal_ring *r, u32 gen, const struct seal_sender *s)
{
	static const char label[] = "dsi seal 1";
	u8 info[sizeof(label) + 16 + 4 + 1 + 8 + 32];
	const u8 *group = seal_find(r, gen);
	struct wbuf w;
	int rc;

	if (!group)
		return -DSI_ENOENT;
	if (k->gen == gen)
		return 0;
	wbuf_fixed(&w, info, sizeof(info));
	wbuf_bytes(&w, label, sizeof(label));
	wbuf_bytes(&w, s->cluster, sizeof(s->cluster));
	wbuf_u32(&w, s->nid);
	wbuf_u8(&w, (u8)s->role);
	wbuf_u64(&w, s->incarnation);
	wbuf_bytes(&w, s->random, sizeof(s->random));
	assert(wbuf_ok(&w));
	rc = crypto_hkdf(NULL, 0, group, CRYPTO_KEY, info, w.len, k->key, sizeof(k->key));
	k->gen = rc == 0 ? gen : 0;
	return rc;
}

void subkey_fini(struct seal_subkey *k)
{
	crypto_wipe(k, sizeof(*k));
}

static void nonce_make(const struct envelope *v, u8 ret[CRYPTO_NONCE])
{
	struct wbuf w;

	assert(v->opening < 1u << 30);
	wbuf_fixed(&w, ret, CRYPTO_NONCE);
	wbuf_u32(&w, v->opening << 2 | (u32)envelope_prio(v));
	wbuf_u64(&w, v->seq);
}

int seal_close(const struct seal_subkey *k, const struct envelope *v, const u8 *header, const u8 *in, size_t n, u8 *ret)
{
	u8 nonce[CRYPTO_NONCE];

	nonce_make(v, nonce);
	return crypto_seal(k->key, nonce, header, ENVELOPE_HEADER, in, n, ret);
}

int seal_open(const struct seal_subkey *k, const struct envelope *v, const u8 *header, u8 *ret)
{
	u8 nonce[CRYPTO_NONCE];

	if (v->body_len < CRYPTO_TAG || v->opening >= 1u << 30)
		return -DSI_ESIG;
	nonce_make(v, nonce);
	return crypto_open(k->key, nonce, header, ENVELOPE_HEADER, v->body, v->body_len, ret);
}
