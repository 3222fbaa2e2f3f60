/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop thread's side of the durable log: queues operations, keeps the not yet durable end of the log readable (mem),
 * runs completions.
 *
 * Must never: wait for a disk. Invariant: entries on disk are a chain up to `durable`; mem holds every entry from mem_lo
 * to tail that is not known durable.
 */
#include "gcs/log_impl.h"

enum { META_MAX = 4096 };
static const u64 HINT_AFTER_NS = 1000000000ull;

void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

void queue_push(struct queue *q, struct op *op)
{
	op->next = NULL;
	*q->last = op;
	q->last = &op->next;
}

void queue_move(struct queue *to, struct queue *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	queue_init(from);
}

void queue_free(struct queue *q)
{
	while (q->first) {
		struct op *op = q->first;

		q->first = op->next;
		free(op);
	}
	queue_init(q);
}

/* --- the end of the log in memory ------------------------------------------------------------------- */

bool mem_push(struct log *g, struct op *op)
{
	if (g->mem_n == g->mem_cap) {
		size_t cap = g->mem_cap ? 2 * g->mem_cap : 64;
		struct op **mem = realloc(g->mem, cap * sizeof(*mem));

		if (!mem)
			return false;
		g->mem = mem;
		g->mem_cap = cap;
	}
	if (!g->mem_n)
		g->mem_lo = op->value;
	g->mem[g->mem_n++] = op;
	return true;
}

void mem_cut(struct log *g, u64 from)
{
	while (g->mem_n && g->mem_lo + g->mem_n > from)
		g->mem_n--;
}

static void mem_durable(struct log *g, const struct op *op)
{
	if (!g->mem_n || g->mem[0] != op)
		return; /* replaced while it was under way */
	memmove(g->mem, g->mem + 1, (g->mem_n - 1) * sizeof(*g->mem));
	g->mem_n--;
	g->mem_lo++;
}

/* --- completions ----------------------------------------------------------------------------------- */

static void op_done(struct log *g, struct op *op)
{
	if (op->kind == OP_JUMP && !op->code) {
		g->base_durable.index = op->value;
		memcpy(g->base_durable.digest, op->digest, CRYPTO_HASH);
	}
	if ((op->kind == OP_APPEND || op->kind == OP_JUMP) && !op->code) {
		mem_durable(g, op);
		g->durable = op->n ? op->value : op->value - 1; /* operations complete in their order */
	}
	g->under_way--;
	if (op->fn)
		op->fn(op->ctx, op->value, op->code);
	free(op);
}

/* Everything behind a failed batch fails with it; then both sides start afresh from what is on disk. */
static void fail_rest(struct log *g, struct queue *done)
{
	pthread_mutex_lock(&g->mutex);
	if (g->poison) {
		queue_move(done, &g->done);
		for (struct op *op = g->todo.first; op; op = op->next)
			op->code = g->poison_code;
		queue_move(done, &g->todo);
		g->poison = false;
		g->tail = g->durable;
		g->base = g->base_durable;
		for (struct op *op = done->first; op; op = op->next) {
			if ((op->kind == OP_APPEND || op->kind == OP_JUMP) && !op->code)
				g->tail = op->n ? op->value : op->value - 1;
			if (op->kind == OP_JUMP && !op->code) {
				g->base.index = op->value;
				memcpy(g->base.digest, op->digest, CRYPTO_HASH);
			}
		}
		g->mem_n = 0;
		for (struct op *op = done->first; op; op = op->next)
			op->kind = op->kind == OP_APPEND && op->code ? OP_DRAIN : op->kind;
	}
	pthread_mutex_unlock(&g->mutex);
}

void log_on_wake(void *ctx)
{
	struct log *g = ctx;
	struct queue done;
	struct op *op;

	queue_init(&done);
	pthread_mutex_lock(&g->mutex);
	queue_move(&done, &g->done);
	pthread_mutex_unlock(&g->mutex);
	fail_rest(g, &done);
	while ((op = done.first)) {
		done.first = op->next;
		op_done(g, op);
	}
}

/* --- queueing -------------------------------------------------------------------------------------- */

struct op *op_new(enum op_kind kind, u64 value, const void *p, size_t n, log_done_fn *fn, void *ctx)
{
	struct op *op = malloc(sizeof(*op) + n);

	if (!op)
		return NULL;
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->value = value;
	op->fn = fn;
	op->ctx = ctx;
	op->n = n;
	if (n)
		memcpy(op->p, p, n);
	return op;
}

static void op_queue(struct log *g, struct op *op, bool now)
{
	g->under_way++;
	pthread_mutex_lock(&g->mutex);
	queue_push(&g->todo, op);
	if (now)
		pthread_cond_signal(&g->cond);
	pthread_mutex_unlock(&g->mutex);
}

int hint_queue(struct log *g)
{
	struct op *op;

	if (!g->hint)
		return 0;
	op = op_new(OP_HINT, g->hint, NULL, 0, NULL, NULL);
	if (!op)
		return -DSI_ENOMEM;
	g->hint = 0;
	op_queue(g, op, false);
	return 0;
}

int op_submit(struct log *g, struct op *op)
{
	if (!op)
		return -DSI_ENOMEM;
	op_queue(g, op, true);
	return 0;
}

int log_promise(struct log *g, u64 term, log_done_fn *fn, void *ctx)
{
	return op_submit(g, op_new(OP_PROMISE, term, NULL, 0, fn, ctx));
}

int log_append(struct log *g, u64 index, const u8 *p, size_t n, log_done_fn *fn, void *ctx)
{
	struct op *op;

	if (!index || index > g->tail + 1 || index <= g->base.index)
		return -DSI_EINVAL;
	if (n > ENTRY_MAX)
		return -DSI_ELIMIT;
	op = op_new(OP_APPEND, index, p, n, fn, ctx);
	if (!op)
		return -DSI_ENOMEM;
	mem_cut(g, index);
	if (n && !mem_push(g, op)) {
		free(op);
		return -DSI_ENOMEM;
	}
	g->tail = n ? index : index - 1;
	hint_queue(g); /* rides along */
	return op_submit(g, op);
}

void log_on_hint(void *ctx)
{
	struct log *g = ctx;

	if (!hint_queue(g)) {
		pthread_mutex_lock(&g->mutex);
		pthread_cond_signal(&g->cond);
		pthread_mutex_unlock(&g->mutex);
	}
}

int log_commit_hint(struct log *g, u64 index)
{
	g->hint = index;
	if (g->hint_timer && !loop_timer_active(g->hint_timer))
		loop_timer_set(g->hint_timer, HINT_AFTER_NS);
	return 0;
}

int log_drain(struct log *g, log_done_fn *fn, void *ctx)
{
	return op_submit(g, op_new(OP_DRAIN, 0, NULL, 0, fn, ctx));
}

bool log_drained(const struct log *g)
{
	return !g->under_way;
}

int log_meta_set(struct log *g, const char *key, const void *p, size_t n)
{
	struct op *op, *copy;

	if (n > META_MAX || strlen(key) + 5 > META_KEY_MAX)
		return -DSI_ELIMIT;
	op = op_new(OP_META, 0, p, n, NULL, NULL);
	copy = op_new(OP_META, 0, p, n, NULL, NULL);
	if (!op || !copy) {
		free(op);
		free(copy);
		return -DSI_ENOMEM;
	}
	snprintf(op->key, sizeof(op->key), "meta.%.26s", key);
	memcpy(copy->key, op->key, sizeof(copy->key));
	for (struct op **at = &g->meta; *at; at = &(*at)->next)
		if (!strcmp((*at)->key, copy->key)) {
			struct op *old = *at;

			*at = old->next;
			free(old);
			break;
		}
	copy->next = g->meta;
	g->meta = copy;
	return op_submit(g, op);
}

int log_proof_put(struct log *g, u64 index, u64 over, const u8 *p, size_t n)
{
	struct op *op;

	if (!index || !n || n > PROOF_BYTES_MAX)
		return -DSI_ELIMIT;
	op = op_new(OP_PROOF, index, p, n, NULL, NULL);
	if (op)
		op->over = over;
	return op_submit(g, op);
}
