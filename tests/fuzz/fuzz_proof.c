/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commit proofs and the answer that carries them. The first byte chooses:
 *   0  a proof as it is: refused, or judged; never below what was known committed, never beyond the log
 *   1  records {u8 voter, u8 length, bytes}: bytes as a body in an ACK envelope rightly signed by that voter; the
 *      first of them overwrite the header when voter's bit 7 is set
 *   2  an answer to PROVEN: refused, or it encodes to the very same bytes
 */
#include "gcs/stage.h"
#include "tests/fuzz/gcs_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TAIL = 40, COMMIT = 4, CHANGE = 20, VOTERS = 4 };

static const struct order_voters sets[] = {
	{ .index = 1, .n = 3, .nid = { 1, 2, 3 } }, { .index = CHANGE, .n = 4, .nid = { 1, 2, 3, 4 } },
};

static bool on_entry(void *ctx, u64 index, struct proof_entry *ret)
{
	if (!index || index > TAIL)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->term = 1 + index / 10;
	memset(ret->hash, (int)index, sizeof(ret->hash));
	return true;
}

static bool on_voter(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB], u64 *ret_dead)
{
	if (!nid || nid > VOTERS)
		return false;
	must(!crypto_sign_pub(fuzz_seed((u8)nid), ret_pub));
	*ret_dead = nid == 3 ? 35 : 0;
	return true;
}

static void judged(const u8 *p, size_t n)
{
	const struct proof_log l = { .commit = COMMIT, .sets = sets, .n_sets = ARRAY_SIZE(sets), .entry = on_entry, .voter = on_voter };
	u64 to = 0;
	int rc = proof_check(&l, p, n, &to);

	must(to >= COMMIT && to <= TAIL && (!rc || to == COMMIT));
}

static size_t record(const u8 *p, size_t n, struct proof_book *b)
{
	struct envelope v = { .version = ENVELOPE_VERSION, .type = MSG_ACK, .role = ROLE_MANAGER };
	size_t len;
	u8 sig[CRYPTO_SIG];
	struct body_ack ack = { .term = 1 };
	struct wbuf w;

	if (n < 2)
		return n;
	len = MIN(p[1], n - 2);
	v.nid = 1 + (p[0] & 3);
	v.body = p + 2;
	v.body_len = len;
	wbuf_init(&w, LIM_RING_MSG);
	envelope_encode(&v, &w);
	if (p[0] & 128) /* after the magic, before the length */
		memcpy(w.data + 4, p + 2, MIN(len, (size_t)ENVELOPE_HEADER - 8));
	must(!crypto_sign(fuzz_seed((u8)v.nid), SIGN_ENVELOPE, w.data, w.len, sig));
	wbuf_bytes(&w, sig, sizeof(sig));
	proof_note(b, v.nid, &ack, w.data, w.len);
	wbuf_fini(&w);
	return 2 + len;
}

static void signed_ones(const u8 *p, size_t n)
{
	static struct proof_book b;
	struct wbuf w;

	memset(&b, 0, sizeof(b));
	for (size_t at = 1; at < n;)
		at += record(p + at, n - at, &b);
	wbuf_init(&w, PROOF_MAX);
	must(!proof_encode(&b, 1, &w));
	if (w.len > 8)
		w.data[1] = n ? p[0] : 1; /* the term that it is about */
	judged(w.data, w.len);
	wbuf_fini(&w);
}

static void answer(const u8 *p, size_t n)
{
	static struct proven a;
	struct wbuf w;

	if (proven_decode(&a, p, n)) {
		must(!a.n_entry && !a.n_proof);
		return;
	}
	wbuf_init(&w, n);
	must(!proven_encode(&a, &w) && w.len == n && !memcmp(w.data, p, n));
	wbuf_fini(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] == 2)
		answer(data + 1, size - 1);
	else if (data[0] == 1)
		signed_ones(data + 1, size - 1);
	else
		judged(data + 1, size - 1);
	return 0;
}
