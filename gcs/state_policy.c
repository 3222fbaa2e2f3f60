/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy versions: a chain without branches, each signed on top of the one before. Core.
 *
 * Invariant: versions rise by one; going back is a new, higher version; a server alone can only go back to what
 * the operator signed beforehand, after the deadline he set, and only while he has not confirmed.
 */
#include <string.h>

#include "gcs/state_impl.h"

static const struct state_policy *history_digest(const struct state *s, const u8 digest[CRYPTO_HASH])
{
	for (u32 i = 0; i < s->n_history; i++)
		if (!memcmp(s->history[i].digest, digest, CRYPTO_HASH))
			return &s->history[i];
	return NULL;
}

static int confirm_ok(struct judged *j, const struct body_s_policy *p)
{
	if (!p->confirm_s)
		return state_key_zero(p->back_digest) ? 0 :
			err_set(j->err, -DSI_EINVAL, "an image to go back to, but no time to confirm in");
	if (!j->s->policy.version)
		return err_set(j->err, -DSI_EINVAL, "the first policy has nothing to go back to: push it without a time to confirm in");
	if (!history_digest(j->s, p->back_digest))
		return err_set(j->err, -DSI_EINVAL, "the image to go back to is none of this cluster's last %d", STATE_HISTORY);
	return 0;
}

/* Nobody signed this now; the statement of the version in force did beforehand. */
static int back_check(struct judged *j)
{
	const struct state_policy *now = &j->s->policy;

	if (j->entry.policy.back_of != now->version || !now->version)
		return err_set(j->err, -DSI_ECONFLICT, "going back from version %llu, but version %llu is in force",
			       (unsigned long long)j->entry.policy.back_of, (unsigned long long)now->version);
	if (!now->confirm_by_ms)
		return err_set(j->err, -DSI_EAUTH, "version %llu is confirmed: nobody signed going back from it",
			       (unsigned long long)now->version);
	if (j->wall_ms <= now->confirm_by_ms)
		return err_set(j->err, -DSI_EAUTH, "version %llu can still be confirmed for %llu s",
			       (unsigned long long)now->version,
			       (unsigned long long)(now->confirm_by_ms - j->wall_ms) / 1000);
	if (!history_digest(j->s, now->back_digest))
		return err_set(j->err, -DSI_ENOENT, "the image to go back to is forgotten");
	return 0;
}

int policy_entry_check(struct judged *j)
{
	const struct body_s_policy *p = &j->said.policy;
	const struct state_policy *now = &j->s->policy;

	if (!j->has_statement)
		return back_check(j);
	if (j->st.base != now->version)
		return err_set(j->err, -DSI_ECONFLICT,
			       "the policy was made on version %llu, but version %llu (%s, by %s) is in force: look at the "
			       "difference and push again", (unsigned long long)j->st.base, (unsigned long long)now->version,
			       now->version ? now->name : "none", now->version ? now->author : "nobody");
	if (p->version != j->st.base + 1)
		return err_set(j->err, -DSI_EINVAL, "version %llu on base %llu: must be one more",
			       (unsigned long long)p->version, (unsigned long long)j->st.base);
	if (state_key_zero(p->digest) || !p->size || p->size > LIM_POLICY)
		return err_set(j->err, -DSI_EINVAL, "image of %llu bytes: 1 to %d, with its digest",
			       (unsigned long long)p->size, LIM_POLICY);
	return confirm_ok(j, p);
}

static void history_push(struct state *s)
{
	u32 keep = MIN(s->n_history, (u32)STATE_HISTORY - 1);

	memmove(&s->history[1], &s->history[0], keep * sizeof(s->history[0]));
	s->history[0] = s->policy;
	s->n_history = keep + 1;
}

static void policy_said(struct state_policy *n, const struct judged *j)
{
	const struct body_s_policy *p = &j->said.policy;

	memcpy(n->digest, p->digest, sizeof(n->digest));
	n->size = p->size;
	state_set_str(n->name, sizeof(n->name), p->name);
	state_set_str(n->comment, sizeof(n->comment), p->comment);
	state_set_str(n->author, sizeof(n->author), j->op->name);
	n->confirm_s = p->confirm_s;
	if (!p->confirm_s)
		return;
	memcpy(n->back_digest, p->back_digest, sizeof(n->back_digest));
	n->confirm_by_ms = j->wall_ms + (u64)p->confirm_s * 1000;
}

static void policy_back(struct state_policy *n, const struct state *s)
{
	const struct state_policy *to = history_digest(s, s->policy.back_digest);

	memcpy(n->digest, to->digest, sizeof(n->digest));
	n->size = to->size;
	state_set_str(n->name, sizeof(n->name), to->name);
	state_set_str(n->comment, sizeof(n->comment), "went back by itself: the version before was not confirmed in time");
	state_set_str(n->author, sizeof(n->author), s->policy.author);
}

void policy_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	struct state_policy n = { .version = s->policy.version + 1, .index = j->e->index, .wall_ms = j->wall_ms };

	if (j->has_statement)
		policy_said(&n, j);
	else
		policy_back(&n, s);
	s->policy = n;
	history_push(s);
	ret->changed = CHANGED_POLICY;
}

bool state_policy_overdue(const struct state *s, u64 wall_ms)
{
	return s->policy.confirm_by_ms && wall_ms > s->policy.confirm_by_ms;
}

int confirm_check(struct judged *j)
{
	const struct state_policy *now = &j->s->policy;

	if (j->said.confirm.version != now->version)
		return err_set(j->err, -DSI_ECONFLICT, "version %llu is to be confirmed, but version %llu is in force",
			       (unsigned long long)j->said.confirm.version, (unsigned long long)now->version);
	if (!now->confirm_by_ms)
		return err_set(j->err, -DSI_EEXIST, "version %llu needs no confirmation", (unsigned long long)now->version);
	if (j->wall_ms > now->confirm_by_ms)
		return err_set(j->err, -DSI_EEXPIRED, "too late: version %llu goes back", (unsigned long long)now->version);
	return 0;
}

void confirm_apply(struct state *s, const struct judged *j, struct state_result *ret)
{
	(void)j;
	s->policy.confirm_by_ms = 0;
	s->history[0] = s->policy;
	ret->changed = CHANGED_POLICY;
}
