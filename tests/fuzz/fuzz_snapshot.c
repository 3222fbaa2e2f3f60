/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots as they come over the direct leg. The first byte chooses:
 *   0  an offer as it is: refused, or judged, or it encodes to the very same bytes; nobody here has signed anything, so
 *      none is ever good
 *   1  records {u8 voter, u8 length, bytes}: bytes as a body in a DIGEST envelope rightly signed by that voter, in an
 *      offer of the entry after GENESIS; the first of them overwrite the header when voter's bit 7 is set
 *   2  a question, 3 the answer to AT: refused, or the same bytes again
 */
#include "gcs/snapshot.h"
#include "tests/fuzz/gcs_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VOTERS = 4 };
static const struct order_voters set = { .index = 1, .n = 3, .nid = { 1, 2, 3 } };

static bool on_voter(void *ctx, u32 nid, u8 ret_pub[CRYPTO_PUB])
{
	must(nid >= 1 && nid <= 3);
	must(!crypto_sign_pub(fuzz_seed((u8)nid), ret_pub));
	return nid != 3;
}

static int judged(const struct snapshot_offer *o)
{
	struct snapshot_reader r = { .generation = 1, .format = STATE_FORMAT, .set = &set, .voter = on_voter };
	struct entry e;

	memcpy(r.cluster, fuzz_state()->cluster, sizeof(r.cluster));
	return snapshot_check(&r, o, &e);
}

static void offer(const u8 *p, size_t n)
{
	static struct snapshot_offer o;
	struct wbuf w;

	if (snapshot_offer_decode(&o, p, n)) {
		must(!o.index && !o.n_word && !o.entry.p);
		return;
	}
	wbuf_init(&w, n);
	must(!snapshot_offer_encode(&o, &w) && w.len == n && !memcmp(w.data, p, n));
	wbuf_fini(&w);
	must(judged(&o) < 0);
}

/* A NOP as a server would write it; its signature is not looked at here. */
static const struct wbuf *nop(struct entry *e)
{
	static struct wbuf w;

	*e = (struct entry){ .type = ENTRY_NOP, .author_role = ROLE_SERVER, .author_nid = 1, .term = 1, .generation = 1, .index = 640 };
	memcpy(e->cluster, fuzz_state()->cluster, sizeof(e->cluster));
	wbuf_fini(&w);
	wbuf_init(&w, ENTRY_MAX);
	must(!entry_encode(e, &w));
	wbuf_reserve(&w, CRYPTO_SIG);
	return &w;
}

static size_t record(const u8 *p, size_t n, struct snapshot_book *b, const struct body_digest *m)
{
	struct envelope v = { .version = ENVELOPE_VERSION, .type = MSG_DIGEST, .role = ROLE_MANAGER, .generation = 1 };
	size_t len;
	u8 sig[CRYPTO_SIG];
	struct wbuf w;

	if (n < 2)
		return n;
	len = MIN(p[1], n - 2);
	v.nid = 1 + (p[0] & 3);
	v.body = p + 2;
	v.body_len = len;
	memcpy(v.cluster, fuzz_state()->cluster, sizeof(v.cluster));
	wbuf_init(&w, LIM_RING_MSG);
	envelope_encode(&v, &w);
	if (p[0] & 128) /* after the magic, before the length */
		memcpy(w.data + 4, p + 2, MIN(len, (size_t)ENVELOPE_HEADER - 8));
	must(!crypto_sign(fuzz_seed((u8)v.nid), SIGN_ENVELOPE, w.data, w.len, sig));
	wbuf_bytes(&w, sig, sizeof(sig));
	snapshot_note(b, v.nid, m, w.data, w.len);
	wbuf_fini(&w);
	return 2 + len;
}

static void signed_ones(const u8 *p, size_t n)
{
	static struct snapshot_book b;
	struct snapshot_offer o = { .index = 640, .format = STATE_FORMAT, .size = 100 };
	struct body_digest m = { .index = 640, .format = STATE_FORMAT };
	struct entry e;
	const struct wbuf *entry = nop(&e);

	memset(&b, 0, sizeof(b));
	memcpy(m.entry, e.hash, sizeof(m.entry));
	for (size_t at = 0; at < n;)
		at += record(p + at, n - at, &b, &m);
	snapshot_words(&b, &set, e.hash, &o);
	o.entry = (struct blob){ entry->data, entry->len };
	judged(&o);
}

static void ask(const u8 *p, size_t n)
{
	struct snapshot_ask a;
	struct wbuf w;

	if (snapshot_ask_decode(&a, p, n))
		return;
	wbuf_init(&w, n);
	must(!snapshot_ask_encode(&a, &w) && w.len == n && !memcmp(w.data, p, n));
	wbuf_fini(&w);
}

static void answer(const u8 *p, size_t n)
{
	struct snapshot_at a;
	struct wbuf w;

	if (snapshot_at_decode(&a, p, n))
		return;
	wbuf_init(&w, n);
	must(!snapshot_at_encode(&a, &w) && w.len == n && !memcmp(w.data, p, n));
	wbuf_fini(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0]) {
	case 0:
		offer(data + 1, size - 1);
		break;
	case 1:
		signed_ones(data + 1, size - 1);
		break;
	case 2:
		ask(data + 1, size - 1);
		break;
	case 3:
		answer(data + 1, size - 1);
		break;
	default:
		break;
	}
	return 0;
}
