/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is our state the majority's? Told and compared at the same places of the log; the odd one out makes its state
 * anew from its log, and stops if that does not help.
 *
 * Must never: act on fewer than a majority of voters; go on deciding with a state that is known to be wrong.
 */
#include "gcs/replica_impl.h"

#include <stdlib.h>
#include <string.h>

static bool is_place(const struct entry *e)
{
	return e->type == ENTRY_TERM || e->index % LIM_DIGEST_EVERY == 0;
}

/* Judging may stop order, which must not happen inside its own actions. */
static void judge_soon(struct replica *r)
{
	if (r->agree_timer && !loop_timer_active(r->agree_timer))
		loop_timer_set(r->agree_timer, 1);
}

void agree_applied(struct replica *r, const struct entry *e, bool live)
{
	struct body_digest m = { .index = e->index, .format = STATE_FORMAT };
	struct wbuf image;

	if (!live || !is_place(e))
		return;
	wbuf_init(&image, LIM_STATE);
	if (state_save(r->state, &image) || crypto_sha256(image.data, image.len, m.digest)) {
		wbuf_fini(&image);
		return;
	}
	snap_keep(r, e, m.digest, &image);
	wbuf_fini(&image);
	memcpy(m.entry, e->hash, sizeof(m.entry));
	agree_own(&r->agree, m.index, m.digest);
	if (r->cfg.role == ROLE_MANAGER)
		replica_send(r, MSG_DIGEST, GCS_NORMAL, &m); /* not sent: the next one will be */
	judge_soon(r);
}

void agree_message(struct replica *r, u32 nid, const struct body_digest *m)
{
	if (m->format != STATE_FORMAT || !replica_is_voter(r, nid))
		return;
	agree_told(&r->agree, nid, m->index, m->digest);
	judge_soon(r);
}

/* The state that our log makes, if at `index` it is what the majority has. */
static int replay(struct replica *r, u64 index, const u8 digest[CRYPTO_HASH], struct state **ret)
{
	struct state *s = jump_base(r, NULL);
	u8 have[CRYPTO_HASH] = { 0 };
	int rc = s ? 0 : -DSI_ENOMEM;

	while (!rc && s->applied < r->state->applied) {
		struct state_result res;
		struct entry e;
		size_t n;
		const u8 *p = log_entry(r->log, s->applied + 1, &n);

		rc = p ? entry_decode(&e, p, n) : -DSI_EIO;
		if (!rc)
			rc = state_apply(s, &e, &res);
		if (!rc && s->applied == index)
			rc = state_digest(s, have);
	}
	if (!rc && memcmp(have, digest, sizeof(have)))
		rc = -DSI_EDIVERGED;
	if (rc)
		state_free(s);
	else
		*ret = s;
	return rc;
}

void replica_take_state(struct replica *r, struct state *fresh)
{
	struct state old = *r->state;

	*r->state = *fresh; /* others hold the address */
	*fresh = old;
	state_free(fresh);
	r->nid = replica_find_nid(r);
	r->recheck = true;
	if (r->direct)
		direct_recheck(r->direct);
}

static void stop(struct replica *r, const char *why)
{
	struct order_actions acts;

	r->diverged = true;
	replica_alarm(r, 3, "diverged", "%s", why);
	if (r->ops->rebuilt)
		r->ops->rebuilt(r->ctx, -DSI_EDIVERGED);
	order_stop(r->order, loop_now(r->cfg.loop), &acts);
	replica_run(r, &acts);
}

static void odd(struct replica *r, u64 index, const u8 digest[CRYPTO_HASH])
{
	struct order_actions acts;
	struct state *fresh;
	int rc = replay(r, index, digest, &fresh);

	if (rc) {
		stop(r, "the state of this node is not what a majority of voters has, and its log makes it no better: stopped. Move "
			"the log directory away and start again to learn from the others");
		return;
	}
	replica_alarm(r, 3, "diverged", "the state of this node at entry %llu was not what a majority of voters has; made anew "
		      "from the log, now it is. Suspect this machine's memory", (unsigned long long)index);
	replica_take_state(r, fresh);
	if (r->ops->rebuilt)
		r->ops->rebuilt(r->ctx, 0);
	order_recheck(r->order, loop_now(r->cfg.loop), &acts);
	replica_run(r, &acts);
}

static void on_judge(void *ctx)
{
	struct replica *r = ctx;
	u8 digest[CRYPTO_HASH];
	u64 index;

	if (!r->order || !r->state->n_voters)
		return;
	switch (agree_judge(&r->agree, &r->state->voters[0], &index, digest)) {
	case AGREE_ODD:
		odd(r, index, digest);
		break;
	case AGREE_NONE:
		stop(r, "no majority of voters has the same state: stopped. Compare `dsi-admin log` of the nodes; a log that a "
			"majority can stand behind is what the others must learn from");
		break;
	case AGREE_OPEN:
	case AGREE_SAME:
		break;
	}
}

void agree_forget(struct replica *r)
{
	memset(&r->agree, 0, sizeof(r->agree));
	snap_forget(r);
}

void agree_again(struct replica *r)
{
	if (r->diverged && r->ops->rebuilt)
		r->ops->rebuilt(r->ctx, 0);
	r->diverged = false;
}

int agree_start(struct replica *r)
{
	r->agree_timer = loop_timer_new(r->cfg.loop, on_judge, r);
	return r->agree_timer ? 0 : -DSI_ENOMEM;
}
