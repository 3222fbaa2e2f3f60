/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The promises of order.h as assertions: see order_check.h. Each text is the promise that was broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/order_check.h"

struct term_seen {
	u64 term;
	u32 author;
};

struct committed {
	bool set;
	u64 term; /* in which it was committed */
	u8 hash[CRYPTO_HASH];
};

struct order_check {
	order_check_fn *failed;
	void *ctx;
	struct term_seen *term;
	u32 n_term, cap_term;
	struct committed *log; /* by index */
	u64 cap_log, highest;
};

static void broken(struct order_check *c, const struct order_watch *w, const char *text, u64 a, u64 b)
{
	char buf[256];

	snprintf(buf, sizeof(buf), "%s %u: %s (%llu, %llu)", w->role == ROLE_SERVER ? "server" : "manager", w->nid, text,
		 (unsigned long long)a, (unsigned long long)b);
	c->failed(c->ctx, buf);
}

struct order_check *order_check_new(order_check_fn *failed, void *ctx)
{
	struct order_check *c = calloc(1, sizeof(*c));

	if (c) {
		c->failed = failed;
		c->ctx = ctx;
	}
	return c;
}

void order_check_free(struct order_check *c)
{
	if (!c)
		return;
	free(c->term);
	free(c->log);
	free(c);
}

void order_check_begin(struct order_check *c, struct order_watch *w, u32 nid, enum msg_role role, u64 promised, u64 commit)
{
	(void)c;
	*w = (struct order_watch){ .nid = nid, .role = role, .promised = promised, .commit = commit };
}

void order_check_promise(struct order_check *c, struct order_watch *w, u64 term)
{
	if (term < w->promised)
		broken(c, w, "promised goes back", w->promised, term);
	w->promised = term;
}

void order_check_openack(struct order_check *c, const struct order_watch *w, u64 term, u32 leader, const struct order_disk *d)
{
	(void)leader;
	if (d->promised != term)
		broken(c, w, "a promise is acknowledged that the disk does not hold", term, d->promised);
}

/* One server writes each term; whose entries are acknowledged is that server. */
static void term_author(struct order_check *c, const struct order_watch *w, u64 term, u32 author)
{
	for (u32 i = 0; i < c->n_term; i++) {
		if (c->term[i].term != term)
			continue;
		if (c->term[i].author != author)
			broken(c, w, "two servers of one term are acknowledged", term, author);
		return;
	}
	if (c->n_term == c->cap_term) {
		c->cap_term = c->cap_term ? 2 * c->cap_term : 32;
		c->term = realloc(c->term, c->cap_term * sizeof(*c->term));
		assert(c->term);
	}
	c->term[c->n_term++] = (struct term_seen){ term, author };
}

void order_check_ack(struct order_check *c, const struct order_watch *w, const struct body_ack *ack, u32 author,
		     const struct order_disk *d)
{
	if (d->promised > ack->term)
		broken(c, w, "acknowledged below promised", ack->term, d->promised);
	if (d->promised < ack->term)
		broken(c, w, "acknowledged in a term that the disk has not promised", ack->term, d->promised);
	if (ack->index > d->tail || !d->hash || memcmp(d->hash, ack->hash, CRYPTO_HASH))
		broken(c, w, "acknowledged what is not on disk", ack->index, d->tail);
	term_author(c, w, ack->term, author);
}

void order_check_append(struct order_check *c, const struct order_watch *w, u64 index, const struct entry *e)
{
	const u8 *hash = order_check_hash(c, index);

	if (index <= w->commit && (!e || (hash && memcmp(e->hash, hash, CRYPTO_HASH))))
		broken(c, w, "truncates at or below its own commit point", index, w->commit);
}

void order_check_term(struct order_check *c, const struct order_watch *w, const struct entry *e,
		      bool (*has)(void *ctx, u64 index, const u8 hash[CRYPTO_HASH]), void *ctx)
{
	term_author(c, w, e->term, e->author_nid);
	/* A server of a view long dead may still write its term: nobody will take it. It must have what was
	 * committed before that term. */
	for (u64 i = c->highest; i && i + 256 > c->highest; i--)
		if (c->log[i].set && c->log[i].term < e->term && (i >= e->index || !has(ctx, i, c->log[i].hash)))
			broken(c, w, "TERM builds on a log that lacks a committed entry", e->index, i);
}

void order_check_commit(struct order_check *c, struct order_watch *w, u64 term, u64 index, const struct entry *e,
			bool (*on_majority)(void *ctx, const struct entry *e), void *ctx)
{
	if (index >= c->cap_log) {
		u64 cap = MAX(index + 1, c->cap_log ? 2 * c->cap_log : 256);

		c->log = realloc(c->log, cap * sizeof(*c->log));
		assert(c->log);
		memset(c->log + c->cap_log, 0, (cap - c->cap_log) * sizeof(*c->log));
		c->cap_log = cap;
	}
	if (c->log[index].set) {
		if (memcmp(c->log[index].hash, e->hash, CRYPTO_HASH))
			broken(c, w, "another entry is committed at this index", index, e->term);
	} else {
		if (!on_majority(ctx, e))
			broken(c, w, "committed without a majority's disks", index, e->term);
		c->log[index].set = true;
		c->log[index].term = term;
		memcpy(c->log[index].hash, e->hash, CRYPTO_HASH);
		c->highest = MAX(c->highest, index);
	}
	w->commit = MAX(w->commit, index);
}

u64 order_check_committed(const struct order_check *c)
{
	return c->highest;
}

const u8 *order_check_hash(const struct order_check *c, u64 index)
{
	return index < c->cap_log && c->log[index].set ? c->log[index].hash : NULL;
}
