/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/logcopy.h"

#include <stdlib.h>
#include <string.h>

#include "gcs/genesis.h"

enum { LOG_BYTES = 1 << 30, TIMEOUT_MS = 10000 };

int logcopy_init(struct logcopy *l, struct err *e)
{
	memset(l, 0, sizeof(*l));
	wbuf_init(&l->entries, LOG_BYTES);
	wbuf_init(&l->tail, LOG_BYTES);
	wbuf_init(&l->genesis, ENTRY_MAX);
	l->state = state_new();
	return l->state ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

void logcopy_fini(struct logcopy *l)
{
	state_free(l->state);
	wbuf_fini(&l->entries);
	wbuf_fini(&l->tail);
	wbuf_fini(&l->genesis);
	memset(l, 0, sizeof(*l));
}

static int apply(struct state *s, const u8 prev[CRYPTO_HASH], const struct entry *en, struct err *e)
{
	struct state_result result;
	int r;

	if (en->index != s->applied + 1 || memcmp(en->prev, prev, CRYPTO_HASH))
		return err_set(e, -DSI_EPEER, "entry %llu does not continue the chain", (unsigned long long)en->index);
	r = state_verify_entry(s, en, e);
	if (r < 0)
		return err_wrap(e, "entry %llu", (unsigned long long)en->index);
	r = state_apply(s, en, &result);
	return r < 0 ? err_set(e, r, "cannot apply entry %llu: %s", (unsigned long long)en->index, err_text(r)) : 0;
}

int logcopy_add(struct logcopy *l, const u8 *p, size_t n, const u8 root_hash[CRYPTO_HASH], struct err *e)
{
	struct entry en;
	int r = entry_decode(&en, p, n);

	if (r < 0)
		return err_set(e, -DSI_EPEER, "entry %llu is malformed: %s", (unsigned long long)l->state->applied + 1,
			       err_text(r));
	if (l->state->applied) {
		r = apply(l->state, l->hash, &en, e);
	} else {
		r = genesis_verify(p, n, root_hash, l->state, e);
		wbuf_bytes(&l->genesis, p, n);
	}
	if (r < 0)
		return r;
	memcpy(l->hash, en.hash, sizeof(l->hash));
	wbuf_blob(&l->entries, p, n);
	return wbuf_ok(&l->entries) && wbuf_ok(&l->genesis) ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

/* One answer: u64 commit, u64 tail, blobs. *ret_more: there are more to ask for. */
static int add_answer(struct logcopy *l, const u8 *p, size_t n, const u8 *root_hash, u64 *ret_next, bool *ret_more,
		      struct err *e)
{
	struct rbuf b;
	u64 commit, tail, first = *ret_next;
	int r = 0;

	rbuf_init(&b, p, n);
	commit = rbuf_u64(&b);
	tail = rbuf_u64(&b);
	while (r == 0 && rbuf_ok(&b) && rbuf_left(&b)) {
		size_t len = 0;
		const u8 *entry = rbuf_blob(&b, ENTRY_MAX, &len);

		if (!entry)
			break;
		if (*ret_next <= commit)
			r = logcopy_add(l, entry, len, root_hash, e);
		else
			wbuf_blob(&l->tail, entry, len);
		++*ret_next;
	}
	if (r == 0 && rbuf_end(&b) < 0)
		r = err_set(e, -DSI_EPEER, "the list of entries is malformed");
	*ret_more = *ret_next > first && *ret_next <= MAX(tail, commit);
	return r;
}

int logcopy_fetch(struct logcopy *l, struct direct_client *peer, const u8 root_hash[CRYPTO_HASH], struct err *e)
{
	u64 next = l->state->applied + 1;
	bool more = true;
	int r = 0;

	wbuf_reset(&l->tail);
	while (r == 0 && more) {
		u8 ask[16], *answer = NULL;
		size_t n = 0;
		struct wbuf w;

		wbuf_fixed(&w, ask, sizeof(ask));
		wbuf_u64(&w, next);
		wbuf_u64(&w, UINT64_MAX);
		r = direct_request(peer, DIRECT_ENTRIES, ask, sizeof(ask), &answer, &n, e);
		if (r == 0)
			r = add_answer(l, answer, n, root_hash, &next, &more, e);
		free(answer);
	}
	if (r == 0 && !l->state->applied)
		r = err_set(e, -DSI_EPEER, "its log is empty");
	return r < 0 ? err_wrap(e, "fetch the log") : 0;
}

/* Whoever gave us the log must be one of those that the log says are in office. */
static int check_peer(const struct logcopy *l, const struct direct_peer *peer, struct err *e)
{
	const struct state_node *n = state_node_keyed(l->state, peer->pub);

	if (n && state_nid_live(l->state, n->nid))
		return 0;
	if (!n)
		return err_set(e, -DSI_EAUTH, "it proved a key that its own log does not know");
	return err_set(e, -DSI_EREVOKED, "it is node %s, which is no live member", n->name);
}

int logcopy_from(struct logcopy *l, const char *address, const char *keyfile, const u8 root_hash[CRYPTO_HASH],
		 struct err *e)
{
	struct direct_client *c = NULL;
	struct direct_peer peer;
	int r = direct_connect(&c, address, keyfile, TIMEOUT_MS, &peer, e);

	if (r == 0)
		r = logcopy_fetch(l, c, root_hash, e);
	if (r == 0)
		r = check_peer(l, &peer, e);
	direct_close(c);
	return r < 0 ? err_wrap(e, "%s", address) : 0;
}

struct state *logcopy_with_tail(const struct logcopy *l)
{
	struct state *s = state_clone(l->state);
	u8 hash[CRYPTO_HASH];
	struct rbuf b;

	memcpy(hash, l->hash, sizeof(hash));
	rbuf_init(&b, l->tail.data, l->tail.len);
	while (s && rbuf_left(&b)) {
		struct entry en;
		size_t n = 0;
		const u8 *p = rbuf_blob(&b, ENTRY_MAX, &n);

		if (!p || entry_decode(&en, p, n) < 0 || apply(s, hash, &en, NULL) < 0)
			break;
		memcpy(hash, en.hash, sizeof(hash));
	}
	return s;
}
