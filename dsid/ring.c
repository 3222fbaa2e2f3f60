/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring follows the log.
 *
 * Must never: hand the ring's key to anybody but a live binding, or one older than the newest verdict; ask for a
 * node list without the key that goes with it; keep a key longer than its job.
 * Invariant: one job at a time; `stage` IN_FORCE is said only after a reload that came after the files.
 */
#include "dsid/ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "gcs/ring_job.h"
#include "lib/log.h"
#include "lib/secret.h"

static const u64 MS = 1000000;
enum {
	TICK_MS = 1000, BUSY_MS = 50, READ_MS = 250,
	AGAIN_MS = 5000, AGAIN_MAX_MS = 300000,                 /* after a failure */
	SILENT_MS = 8000, ASK_MIN_MS = 4000, ASK_MAX_MS = 60000, ASK_TIMEOUT_MS = 5000,
	ASKED_MAX = 16,
};
#define META_RING "ring"
static const char key_info[] = "dsi-ring-key";

struct asked {
	struct direct_request *rq;
	u32 nid;
};

struct ring_side {
	struct engine *g;
	struct loop_timer *timer;
	bool joined, absent;   /* absent: no corosync.conf here */
	bool dirty;            /* the log may want something else of the files */
	bool reload_due;
	enum ring_job_kind job; /* under way; 0 none */
	struct ring_mark mark; /* saved */
	u32 after;             /* nodes in the file */
	u64 since;             /* boottime of the change */
	u64 again_at, again_pause; /* boottime of the next try after a failure */
	bool came_back;        /* our own word of this change, in the stream */
	/* the job's subject */
	struct ring_want *want;
	enum ring_stage stage_before;
	bool sent_key;
	u64 gift_index, gift_key;
	struct wbuf take;      /* a TAKE to be sent: encoded */
	/* the ring's key as the newest verdict makes it, until it is written */
	struct secret *key;
	u64 key_of;
	bool known;
	u8 on[LIM_NIDS / 8 + 1];
	struct ring_word word[LIM_NODES];
	u32 n_word;
	struct asked asked[ASKED_MAX];
	u32 n_asked;
	u64 read_at;           /* not before */
	/* asking */
	bool asking;
	u32 ask_next;
	u64 silent_since, ask_at, ask_pause;
	char told[RING_TEXT];  /* last failure logged */
};

static void step(struct ring_side *s);

static const struct state *state_of(const struct ring_side *s)
{
	return replica_state(s->g->replica);
}

/* --- what survives ---------------------------------------------------------------------------------------- */

static void save(struct ring_side *s)
{
	u8 p[RING_MARK_SIZE];

	ring_mark_encode(&s->mark, p);
	log_meta_set(replica_log(s->g->replica), META_RING, p, sizeof(p));
}

static void restore(struct ring_side *s)
{
	u8 p[RING_MARK_SIZE];
	size_t n = 0;

	if (log_meta_get(replica_log(s->g->replica), META_RING, p, sizeof(p), &n) || ring_mark_decode(&s->mark, p, n))
		return;
	s->since = loop_boottime();
}

static void say(struct ring_side *s)
{
	struct body_ring m = { .index = s->mark.index, .stage = s->mark.stage, .nodes = s->after };

	if (s->joined && s->mark.stage != RING_SAID_NOTHING)
		replica_send(s->g->replica, MSG_RING, GCS_NORMAL, &m);
}

/* Once, until something else is told or all is well. */
static void tell(struct ring_side *s, const char *what, const char *text)
{
	if (!strcmp(s->told, text))
		return;
	snprintf(s->told, sizeof(s->told), "%s", text);
	log_err("ring: %s: %s", what, text);
}

static void failed(struct ring_side *s, const char *what, const char *text)
{
	tell(s, what, text);
	s->again_pause = s->again_pause ? MIN(2 * s->again_pause, AGAIN_MAX_MS * MS) : AGAIN_MS * MS;
	s->again_at = loop_boottime() + s->again_pause;
}

static void fine(struct ring_side *s)
{
	s->told[0] = 0;
	s->again_at = s->again_pause = 0;
}

/* --- the key ------------------------------------------------------------------------------------------------ */

static bool expels(const struct state *s, u64 index)
{
	for (u32 i = 0; i < s->n_node; i++)
		if (s->node[i].verdict_at == index && s->node[i].status == NODE_REVOKED)
			return !(s->node[i].verdict_flags & VERDICT_KEEP_ON_RING);
	return false;
}

/* Every survivor makes the same key of what the verdict brought: nothing is sent that could be lost or read. */
void ring_verdict_key(struct ring_side *s, const struct entry *e, const u8 key[CRYPTO_KEY])
{
	u8 info[sizeof(key_info) - 1 + 8];
	struct wbuf w;

	if (e->index <= s->mark.key_index || !expels(state_of(s), e->index))
		return;
	s->key = secret_free(s->key);
	s->key = secret_new(LIM_RING_KEY_MIN);
	if (!s->key)
		return;
	wbuf_fixed(&w, info, sizeof(info));
	wbuf_bytes(&w, key_info, sizeof(key_info) - 1);
	wbuf_u64(&w, e->index);
	if (crypto_hkdf(e->cluster, sizeof(e->cluster), key, CRYPTO_KEY, info, sizeof(info), secret_bytes(s->key),
			LIM_RING_KEY_MIN))
		s->key = secret_free(s->key);
	else
		s->key_of = e->index;
}

/* Also in the replay at start: dsid may have died between the reform and the mark. */
static void key_reformed(struct ring_side *s, const struct entry *e, bool live)
{
	if (!ring_mark_reformed(&s->mark, e->index, e->generation, live))
		return;
	if (s->key && s->key_of >= e->index)
		s->key = secret_free(s->key);
	save(s);
}

/* --- jobs --------------------------------------------------------------------------------------------------- */

static void on_started(void *ctx, int code, const char *text, const void *p, size_t n)
{
	struct ring_side *s = ctx;

	if (!code)
		return;
	if (code != -DSI_EAGAIN)
		failed(s, "helper", text);
	if (s->job == RING_JOB_FOLLOW)
		s->dirty = true;
	if (s->job == RING_JOB_RELOAD)
		s->reload_due = true;
	s->job = 0;
	loop_timer_set(s->timer, BUSY_MS * MS); /* the last helper is still ending */
}

static bool job_send(struct ring_side *s, enum ring_job_kind kind, const void *p, size_t n)
{
	if (enforce_call(s->g->enforce, MONOP_RING, p, n, on_started, s))
		return false;
	s->job = kind;
	return true;
}

static bool job_start(struct ring_side *s, const struct ring_job *j)
{
	struct wbuf w;
	bool ok;

	wbuf_init(&w, MONOP_PAYLOAD);
	ring_job_encode(j, &w);
	ok = wbuf_ok(&w) && job_send(s, j->kind, w.data, w.len);
	if (w.data)
		crypto_wipe(w.data, w.len);
	wbuf_fini(&w);
	return ok;
}

static bool have_key(const struct ring_side *s)
{
	return s->key && s->key_of == s->want->key_index;
}

/* Who enrolled after a verdict got the ring with its key already, from a member or by hand. */
static void key_of_before_us(struct ring_side *s)
{
	const struct state_node *own = state_node(state_of(s), replica_nid(s->g->replica));

	if (own && own->enrolled_at > s->want->key_index)
		s->mark.key_index = MAX(s->mark.key_index, s->want->key_index);
}

/* Without its key nobody is taken off: key and node list change in one reload, never one alone. */
static void spare_all(struct ring_want *want)
{
	for (u32 i = 0; i < want->n; i++)
		if (want->member[i].wish == RING_OFF)
			want->member[i].wish = RING_KNOWN;
}

static void start_follow(struct ring_side *s)
{
	struct ring_job j = { .kind = RING_JOB_FOLLOW };
	struct ring_want *want = s->want;

	if (!state_nid_live(state_of(s), replica_nid(s->g->replica))) {
		s->dirty = false; /* revoked ourselves: the ring is the others' matter */
		s->mark.stage = RING_SAID_NOTHING;
		return;
	}
	ring_want(state_of(s), replica_nid(s->g->replica), want);
	key_of_before_us(s);
	s->sent_key = want->key_index > s->mark.key_index && have_key(s);
	if (want->key_index > s->mark.key_index && !s->sent_key) {
		spare_all(want);
		tell(s, "a node is revoked and stays on the ring",
		     "its verdict brought no key this node can open. On one node corosync-keygen, its key to all others "
		     "but the revoked one, take that one off the node list on all, then corosync-cfgtool -R");
	}
	if (s->sent_key) {
		j.key = secret_bytes(s->key);
		j.key_len = secret_size(s->key);
	}
	j.index = want->index;
	j.member = want->member;
	j.n_member = want->n;
	s->stage_before = s->mark.stage;
	s->dirty = !want->n || !job_start(s, &j);
	if (!s->dirty && want->index > s->mark.index) { /* should we die before the answer: not yet read by corosync */
		s->mark.stage = RING_WRITTEN;
		save(s);
		s->mark.stage = s->stage_before;
	}
}

static void take_forget(struct ring_side *s)
{
	if (s->take.data)
		crypto_wipe(s->take.data, s->take.len);
	wbuf_fini(&s->take);
	wbuf_init(&s->take, MONOP_PAYLOAD);
}

static void step(struct ring_side *s)
{
	if (s->job || !s->joined)
		return;
	if (s->n_asked && loop_boottime() >= s->read_at) {
		/* a member that asks all day costs four processes a second */
		s->read_at = loop_boottime() + READ_MS * MS;
		job_start(s, &(struct ring_job){ .kind = RING_JOB_READ });
	} else if (s->take.len) {
		job_send(s, RING_JOB_TAKE, s->take.data, s->take.len);
	} else if (s->dirty && loop_boottime() >= s->again_at) {
		start_follow(s);
	} else if (s->reload_due && loop_boottime() >= s->again_at) {
		s->reload_due = !job_start(s, &(struct ring_job){ .kind = RING_JOB_RELOAD });
	}
}

/* --- answers ------------------------------------------------------------------------------------------------ */

static bool may_have(const struct ring_side *s, u32 nid)
{
	return state_nid_live(state_of(s), nid) && !replica_suspended(s->g->replica, nid) && nid < LIM_NIDS &&
	       !(s->g->isolated[nid / 8] & (1u << nid % 8));
}

/* What is on disk is what the newest verdict wants. */
static bool fit_to_give(const struct ring_side *s)
{
	return s->joined && (s->mark.stage == RING_WRITTEN || s->mark.stage == RING_IN_FORCE) && !s->dirty &&
	       s->mark.key_index >= s->want->key_index;
}

static void on_read(struct ring_side *s, const struct ring_answer *a)
{
	struct ring_gift g = { .index = s->mark.index,
			       .key_index = s->mark.key_index,
			       .conf = a->conf,
			       .conf_len = a->conf_len,
			       .key = a->key,
			       .key_len = a->key_len };
	struct wbuf w;

	wbuf_init(&w, LIM_DIRECT_FRAME - 1024);
	ring_gift_encode(&g, &w);
	for (u32 i = 0; i < s->n_asked; i++) {
		int code = a->code ? a->code : wbuf_ok(&w) ? 0 : -DSI_ENOMEM;

		if (!code && !may_have(s, s->asked[i].nid))
			code = -DSI_EREVOKED;
		if (!code && !fit_to_give(s))
			code = -DSI_EAGAIN;
		if (code)
			direct_reply(s->asked[i].rq, code, a->text, strlen(a->text));
		else
			direct_reply(s->asked[i].rq, 0, w.data, w.len);
		if (!code)
			log_info("ring: node list and key given to %s", engine_node_name(s->g, s->asked[i].nid));
	}
	s->n_asked = 0;
	if (w.data)
		crypto_wipe(w.data, w.len);
	wbuf_fini(&w);
}

static void note_on(struct ring_side *s, const struct ring_answer *a)
{
	memset(s->on, 0, sizeof(s->on));
	for (u32 i = 0; i < MIN(a->n_on, s->want->n); i++)
		if (a->on[i] && s->want->member[i].nid < LIM_NIDS)
			s->on[s->want->member[i].nid / 8] |= (u8)(1u << s->want->member[i].nid % 8);
	s->known = true;
}

static void written(struct ring_side *s)
{
	s->mark.stage = RING_WRITTEN;
	s->since = loop_boottime();
	s->came_back = false;
}

static void on_follow(struct ring_side *s, const struct ring_answer *a)
{
	if (a->code == -DSI_ENOENT) {
		if (!s->absent)
			log_info("ring: %s: left alone", a->text);
		s->absent = true;
		return;
	}
	s->absent = false;
	if (a->code) {
		failed(s, "its files do not follow the log", a->text);
		s->mark.stage = RING_FAILED;
		s->dirty = true;
		say(s);
		return;
	}
	note_on(s, a);
	s->after = a->after;
	if (s->mark.stage != RING_WRITTEN || !s->mark.before) /* several changes before one reload count from the first */
		s->mark.before = a->before;
	if (a->flags & RING_CHANGED) {
		written(s);
		log_notice("ring: files follow entry %llu: %u nodes%s; waiting for the reload",
			   (unsigned long long)s->want->index, a->after, s->sent_key ? ", new key" : "");
	} else if (s->mark.stage != RING_WRITTEN)
		s->mark.stage = RING_IN_FORCE;
	s->mark.index = s->want->index;
	if (s->sent_key) {
		s->mark.key_index = s->want->key_index;
		if (s->key_of == s->mark.key_index) /* a later verdict may have brought the next meanwhile */
			s->key = secret_free(s->key);
	}
	if (s->mark.key_index >= s->want->key_index)
		fine(s);
	save(s);
	say(s);
}

static void on_take(struct ring_side *s, const struct ring_answer *a)
{
	take_forget(s);
	if (a->code) {
		failed(s, "a member's node list and key not taken", a->text);
		return;
	}
	fine(s);
	s->mark.index = s->gift_index;
	s->mark.key_index = MAX(s->mark.key_index, s->gift_key);
	if (a->flags & RING_CHANGED)
		log_notice("ring: node list (%u nodes) and key taken from a member over the direct leg", a->after);
	s->after = a->after;
	s->mark.before = a->after;
	s->mark.stage = RING_WRITTEN;
	s->since = loop_boottime();
	s->reload_due = s->dirty = true;
	save(s);
}

static void on_reload(struct ring_side *s, const struct ring_answer *a)
{
	if (a->code) {
		failed(s, "reload", a->text);
		return; /* the turn comes again */
	}
	log_notice("ring: reloaded, %u nodes", s->after);
	fine(s);
	if (s->mark.stage == RING_WRITTEN)
		s->mark.stage = RING_IN_FORCE;
	s->mark.before = s->after;
	save(s);
	say(s);
}

void ring_answered(struct ring_side *s, const u8 *p, size_t n)
{
	struct ring_answer a = { 0 };
	enum ring_job_kind job = s->job;

	s->job = 0;
	if (!n || ring_answer_decode(&a, p, n)) {
		memset(&a, 0, sizeof(a));
		a.code = -DSI_EFAIL;
		snprintf(a.text, sizeof(a.text), "the ring helper gave no answer");
	}
	switch (job) {
	case RING_JOB_READ:
		on_read(s, &a);
		break;
	case RING_JOB_FOLLOW:
		on_follow(s, &a);
		break;
	case RING_JOB_TAKE:
		on_take(s, &a);
		break;
	case RING_JOB_RELOAD:
		on_reload(s, &a);
		break;
	}
	step(s);
}

/* --- whose turn --------------------------------------------------------------------------------------------- */

static struct ring_word *word_of(struct ring_side *s, u32 nid)
{
	for (u32 i = 0; i < s->n_word; i++)
		if (s->word[i].nid == nid)
			return &s->word[i];
	if (s->n_word == LIM_NODES)
		memmove(&s->word[0], &s->word[1], --s->n_word * sizeof(s->word[0]));
	s->word[s->n_word] = (struct ring_word){ .nid = nid };
	return &s->word[s->n_word++];
}

/* Somebody reloaded after he and we had written: then our corosync has read our files too. */
void ring_message(struct ring_side *s, u32 nid, const struct body_ring *m)
{
	struct ring_word *w = word_of(s, nid), was = *w;

	w->index = m->index;
	w->stage = m->stage <= RING_FAILED ? m->stage : RING_SAID_NOTHING;
	if (nid == replica_nid(s->g->replica)) {
		s->came_back |= m->stage == RING_WRITTEN && m->index == s->mark.index;
		return;
	}
	if (s->mark.stage != RING_WRITTEN || !s->came_back || w->stage != RING_IN_FORCE || w->index < s->mark.index ||
	    was.stage != RING_WRITTEN || was.index != w->index)
		return;
	log_notice("ring: reloaded by %s, %u nodes", engine_node_name(s->g, nid), s->after);
	s->mark.stage = RING_IN_FORCE;
	s->mark.before = s->after;
	save(s);
	say(s);
}

static void take_turn(struct ring_side *s, const struct order_status *o)
{
	const struct state *st = state_of(s);
	struct ring_word words[LIM_NODES];
	u32 n = 0, self = replica_nid(s->g->replica);
	u64 waited = loop_boottime() - s->since;

	for (u32 i = 0; i < st->n_node && n < LIM_NODES; i++) {
		u32 nid = st->node[i].nid;

		if (nid == self)
			words[n++] = (struct ring_word){ .nid = nid, .index = s->mark.index, .stage = s->mark.stage };
		else if (st->node[i].status == NODE_BOUND && !replica_suspended(s->g->replica, nid) &&
			 census_present(o, nid))
			words[n++] = *word_of(s, nid);
	}
	switch (ring_turn(words, n, self, s->mark.index, MIN(s->mark.before, s->after), waited)) {
	case RING_RELOAD:
		s->reload_due = true;
		step(s);
		break;
	case RING_TOO_FEW:
		if (waited > 4 * RING_LATE_NS && o->live)
			tell(s, "not reloaded",
			     "too few nodes of the list have written their files, quorum would be lost: see the "
			     "log of dsid on the others (dsi-admin status shows who is there)");
		break;
	case RING_WAIT:
		break;
	}
}

/* --- a silent ring -------------------------------------------------------------------------------------------- */

static void ask_later(struct ring_side *s)
{
	s->ask_pause = s->ask_pause ? MIN(2 * s->ask_pause, ASK_MAX_MS * MS) : ASK_MIN_MS * MS;
	s->ask_at = loop_boottime() + s->ask_pause;
	s->ask_next = 0;
}

static void ask_next(struct ring_side *s, const struct order_status *o);

static void on_gift(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct ring_side *s = ctx;
	struct ring_gift g;
	struct order_status o;

	s->asking = false;
	if (code || ring_gift_decode(&g, p, n) || g.index < s->mark.index || g.key_index < s->mark.key_index || s->take.len) {
		replica_status(s->g->replica, &o);
		ask_next(s, &o);
		return;
	}
	s->gift_index = g.index;
	s->gift_key = g.key_index;
	ring_job_encode(&(struct ring_job){ .kind = RING_JOB_TAKE, .conf = g.conf, .conf_len = g.conf_len, .key = g.key,
					    .key_len = g.key_len }, &s->take);
	if (!wbuf_ok(&s->take))
		wbuf_reset(&s->take);
	ask_later(s);
	step(s);
}

/* Those who are not here: who is here has the ring that we have. */
static const struct state_node *absent_member(struct ring_side *s, const struct order_status *o, u32 k)
{
	const struct state *st = state_of(s);

	for (u32 i = 0; i < st->n_node; i++) {
		const struct state_node *n = &st->node[i];

		if (n->status == NODE_BOUND && n->nid != replica_nid(s->g->replica) && may_have(s, n->nid) &&
		    n->direct[0] && !census_present(o, n->nid) && !k--)
			return n;
	}
	return NULL;
}

static void ask_next(struct ring_side *s, const struct order_status *o)
{
	const struct state_node *n;

	while ((n = absent_member(s, o, s->ask_next++)) != NULL)
		if (!direct_call(replica_direct(s->g->replica), n->direct, n->sign, DIRECT_RING, NULL, 0,
				 ASK_TIMEOUT_MS * MS, on_gift, s)) {
			s->asking = true;
			return;
		}
	ask_later(s);
}

static void watch_silence(struct ring_side *s, const struct order_status *o)
{
	u64 now = loop_boottime();

	if (o->live) {
		s->silent_since = s->ask_at = s->ask_pause = 0;
		return;
	}
	if (!s->silent_since)
		s->silent_since = now;
	if (s->absent || s->asking || s->job || now - s->silent_since < SILENT_MS * MS || now < s->ask_at)
		return;
	s->ask_next = 0;
	ask_next(s, o);
}

static void on_tick(void *ctx)
{
	struct ring_side *s = ctx;
	struct order_status o;

	loop_timer_set(s->timer, TICK_MS * MS);
	replica_status(s->g->replica, &o);
	watch_silence(s, &o);
	if (s->mark.stage == RING_WRITTEN && !s->job && !s->dirty && loop_boottime() >= s->again_at)
		take_turn(s, &o);
	step(s);
}

/* --- what the engine tells -------------------------------------------------------------------------------------- */

void ring_applied(struct ring_side *s, const struct entry *e, bool live)
{
	if (e->type != ENTRY_VERDICT && e->type != ENTRY_ENROL && e->type != ENTRY_WITHDRAW && e->type != ENTRY_REMOVE &&
	    e->type != ENTRY_REFORM)
		return;
	if (e->type == ENTRY_REFORM)
		key_reformed(s, e, live);
	s->dirty = true;
	s->again_at = s->again_pause = 0;
	if (live)
		step(s);
}

/* A key that a skipped verdict brought is one that a member must give: what is wanted follows from the state. */
void ring_rebuilt(struct ring_side *s)
{
	s->dirty = true;
	s->again_at = s->again_pause = 0;
}

void ring_joined(struct ring_side *s)
{
	if (s->g->conf.backend != CONF_COROSYNC)
		return;
	ring_mark_joined(&s->mark, state_of(s)->generation);
	s->joined = s->dirty = true;
	loop_timer_set(s->timer, TICK_MS * MS);
	step(s);
}

void ring_view(struct ring_side *s)
{
	if (s->absent) { /* there is a corosync, then */
		s->absent = false;
		s->dirty = true;
		step(s);
	}
	say(s);
}

void ring_request(struct ring_side *s, struct direct_request *rq, const struct direct_peer *peer, size_t n)
{
	static const char old[] = "this node's ring is older than the newest verdict; ask another member";

	if (n || !peer->nid || peer->role != ROLE_MANAGER || !may_have(s, peer->nid))
		direct_reply(rq, n ? -DSI_ETRAIL : -DSI_EROLE, NULL, 0);
	else if (!fit_to_give(s) || s->n_asked == ASKED_MAX)
		direct_reply(rq, s->absent ? -DSI_ENOENT : -DSI_EAGAIN, old, s->absent ? 0 : sizeof(old) - 1);
	else {
		s->asked[s->n_asked++] = (struct asked){ .rq = rq, .nid = peer->nid };
		step(s);
		if (!s->job)
			loop_timer_set(s->timer, READ_MS * MS);
	}
}

const u8 *ring_on(const struct ring_side *s)
{
	return s->known ? s->on : NULL;
}

struct ring_side *ring_side_new(struct engine *g)
{
	struct ring_side *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->g = g;
	s->want = calloc(1, sizeof(*s->want));
	s->timer = loop_timer_new(g->loop, on_tick, s);
	wbuf_init(&s->take, MONOP_PAYLOAD);
	if (!s->want || !s->timer) {
		ring_side_free(s);
		return NULL;
	}
	restore(s);
	return s;
}

void ring_side_free(struct ring_side *s)
{
	if (!s)
		return;
	for (u32 i = 0; i < s->n_asked; i++)
		direct_reply(s->asked[i].rq, -DSI_ENOTCONN, NULL, 0);
	secret_free(s->key);
	if (s->take.data)
		crypto_wipe(s->take.data, s->take.len);
	wbuf_fini(&s->take);
	loop_timer_free(s->timer);
	free(s->want);
	free(s);
}
