/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acknowledgements and commit proofs about the log of a world, signed by the keys that its nodes have. */
#ifndef DSI_TESTS_GCS_ACKS_H
#define DSI_TESTS_GCS_ACKS_H

#include "gcs/proof.h"
#include "tests/unit/gcs_world.h"

#define A DSI_UNUSED static

/* What a test may bend before the envelope is signed; zero: all as it should be. */
struct ack_bend {
	u8 role, version, flags, cluster; /* cluster: xor'ed into its first byte */
	u16 type;
	u32 generation;                   /* added */
	u64 term;                         /* of the body, instead of the entry's */
	const char *key;                  /* label of the key that signs */
	u8 hash;                          /* xor'ed into the first byte */
	bool torn;                        /* a byte of the signature changed */
	u8 digest, format, index;         /* of a DIGEST: xor'ed, added, added */
};

A void a_entry(const struct world *w, u64 index, struct entry *ret)
{
	ck_assert_int_eq(entry_decode(ret, w->log[index - 1].p, w->log[index - 1].n), 0);
}

A struct blob a_envelope(struct world *w, u32 nid, u16 type, const struct entry *e, u64 term, struct blob body,
			 const struct ack_bend *bend)
{
	u8 seed[CRYPTO_SEED], sig[CRYPTO_SIG];
	struct envelope v = { .version = ENVELOPE_VERSION + bend->version, .channel = CH_CONTROL, .flags = bend->flags,
			      .role = bend->role ? bend->role : ROLE_MANAGER, .type = bend->type ? bend->type : type,
			      .view = 7, .generation = e->generation + bend->generation, .nid = nid, .opening = 1,
			      .incarnation = 1, .term = term, .seq = e->index, .ring = { 1, term }, .body = body.p,
			      .body_len = body.n };
	struct wbuf out;

	memcpy(v.cluster, w->s->cluster, sizeof(v.cluster));
	v.cluster[0] ^= bend->cluster;
	wbuf_init(&out, LIM_RING_MSG);
	envelope_encode(&v, &out);
	w_seed2(bend->key ? bend->key : w_keys[nid], "sign", seed);
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENVELOPE, out.data, out.len, sig), 0);
	sig[5] ^= bend->torn;
	wbuf_bytes(&out, sig, sizeof(sig));
	return w_keep(w, &out);
}

static const struct ack_bend a_straight;

A struct blob a_ack(struct world *w, u32 nid, u64 term, u64 index, const struct ack_bend *bend)
{
	struct body_ack body = { .term = term, .index = index };
	struct entry e;

	bend = bend ? bend : &a_straight;
	a_entry(w, index, &e);
	memcpy(body.hash, e.hash, sizeof(body.hash));
	body.hash[0] ^= bend->hash;
	body.term = bend->term ? bend->term : term;
	return a_envelope(w, nid, MSG_ACK, &e, term, w_blob(w, &schema_ack, &body), bend);
}

/* This voter's word that its state at index, after the world's entry there, hashes to digest. */
A struct blob a_word(struct world *w, u32 nid, u64 index, const u8 digest[CRYPTO_HASH], const struct ack_bend *bend,
		     struct body_digest *ret)
{
	struct body_digest body = { .index = index, .format = STATE_FORMAT };
	struct entry e;

	bend = bend ? bend : &a_straight;
	a_entry(w, index, &e);
	memcpy(body.entry, e.hash, sizeof(body.entry));
	memcpy(body.digest, digest, sizeof(body.digest));
	body.entry[0] ^= bend->hash;
	body.digest[0] ^= bend->digest;
	body.index += bend->index;
	body.format += bend->format;
	if (ret)
		*ret = body;
	return a_envelope(w, nid, MSG_DIGEST, &e, e.term, w_blob(w, &schema_digest, &body), bend);
}

A void a_note(struct world *w, struct proof_book *book, u32 nid, u64 term, u64 index, const struct ack_bend *bend)
{
	struct blob raw = a_ack(w, nid, term, index, bend);
	const struct body_ack ack = { .term = term, .index = index };

	proof_note(book, nid, &ack, raw.p, raw.n);
}

A struct blob a_proof(struct world *w, const struct proof_book *book, u64 term)
{
	struct wbuf out;

	wbuf_init(&out, PROOF_MAX);
	ck_assert_int_eq(proof_encode(book, term, &out), 0);
	return w_keep(w, &out);
}

/* All these nodes acknowledged index, in its term. */
A struct blob a_prove(struct world *w, u64 index, const u32 *nid, u32 n)
{
	struct proof_book book = { 0 };
	struct entry e;

	a_entry(w, index, &e);
	for (u32 i = 0; i < n; i++)
		a_note(w, &book, nid[i], e.term, index, NULL);
	return a_proof(w, &book, e.term);
}

#undef A
#endif
