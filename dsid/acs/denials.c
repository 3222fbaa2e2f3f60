/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel events -> body_denial -> DENIALS messages; and a ring of what was seen.
 * Must never: block, grow without bound, drop without counting.
 */
#include "dsid/acs/denials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/ring.h"

enum { WAITING_MAX = 512, BATCH_MAX = 48, SEEN_MAX = 1024 };
static const u64 BATCH_NS = 20ull * 1000000;

struct denials {
	struct loop *loop;
	struct replica *replica;
	struct loop_timer *timer;
	struct body_denial waiting[WAITING_MAX];
	u32 n_waiting;
	u64 lost;
	struct denial_seen seen[SEEN_MAX];
	u64 n_seen;
};

static void translate(const struct dsi_event *ev, struct body_denial *d)
{
	u64 age_ms = (loop_boottime() - ev->boottime) / 1000000;
	char path[DSI_EVENT_PATH], tuple[120];

	memset(d, 0, sizeof(*d));
	d->wall_ms = loop_wall_ms() - age_ms;
	d->ssid = ev->ssid;
	d->tsid = ev->tsid;
	d->snid = ev->snid;
	d->nclass = ev->nclass;
	d->cls = ev->cls;
	d->perms = ev->missing ? ev->missing : ev->asked;
	d->qual = ev->qual;
	d->port = ev->dport;
	d->reason = ev->reason;
	d->enforced = !!(ev->flags & DSI_EVENT_ENFORCED);
	d->version = ev->policy_version;
	d->pid = ev->pid;
	d->count = 1 + ev->suppressed;
	snprintf(d->comm, sizeof(d->comm), "%.*s", DSI_COMM_LEN, ev->comm);
	snprintf(d->reason_text, sizeof(d->reason_text), "%s", event_reason_text(ev->reason));
	event_path(ev, path, sizeof(path));
	event_tuple(ev, tuple, sizeof(tuple));
	snprintf(d->detail, sizeof(d->detail), "%s%s%s", path, path[0] && tuple[0] ? " " : "", tuple);
}

static bool alike(const struct body_denial *a, const struct body_denial *b)
{
	return a->ssid == b->ssid && a->tsid == b->tsid && a->snid == b->snid && a->cls == b->cls && a->perms == b->perms &&
	       a->qual == b->qual && a->port == b->port && a->reason == b->reason && a->version == b->version &&
	       a->pid == b->pid && !strcmp(a->comm, b->comm) && (a->cls != DSI_CLASS_FILE || !strcmp(a->detail, b->detail));
}

static void flush(void *ctx)
{
	struct denials *d = ctx;
	struct blob v[BATCH_MAX];
	struct wbuf w[BATCH_MAX];
	struct body_denials m = { .lost = d->lost, .events = { .v = v } };
	u32 n = MIN(d->n_waiting, (u32)BATCH_MAX);
	int rc;

	for (u32 i = 0; i < n; i++) {
		wbuf_init(&w[i], LIM_BODY);
		if (body_encode(&schema_denial, &d->waiting[i], &w[i]))
			wbuf_reset(&w[i]);
		v[i] = (struct blob){ .p = w[i].data, .n = w[i].len };
	}
	m.events.n = n;
	rc = n ? replica_send(d->replica, MSG_DENIALS, GCS_BULK, &m) : 0;
	for (u32 i = 0; i < n; i++)
		wbuf_fini(&w[i]);
	if (!rc) {
		d->n_waiting -= n;
		memmove(d->waiting, d->waiting + n, d->n_waiting * sizeof(d->waiting[0]));
	}
	if (d->n_waiting)
		loop_timer_set(d->timer, rc ? 10 * BATCH_NS : BATCH_NS);
}

struct denials *denials_new(struct loop *l, struct replica *r)
{
	struct denials *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->loop = l;
	d->replica = r;
	d->timer = loop_timer_new(l, flush, d);
	if (!d->timer) {
		free(d);
		return NULL;
	}
	return d;
}

void denials_free(struct denials *d)
{
	if (!d)
		return;
	loop_timer_free(d->timer);
	free(d);
}

void denials_event(struct denials *d, const struct dsi_event *ev)
{
	struct body_denial one;

	if (ev->type == DSI_EVENT_TRANSITION)
		return;
	translate(ev, &one);
	for (u32 i = 0; i < d->n_waiting; i++)
		if (alike(&d->waiting[i], &one)) {
			d->waiting[i].count += one.count;
			return;
		}
	if (d->n_waiting == WAITING_MAX) {
		d->lost += one.count;
		return;
	}
	d->waiting[d->n_waiting++] = one;
	if (!loop_timer_active(d->timer))
		loop_timer_set(d->timer, BATCH_NS);
}

void denials_message(struct denials *d, u32 nid, const struct body_denials *m)
{
	struct arena a;

	arena_init(&a, 256 << 10);
	for (u32 i = 0; i < m->events.n; i++) {
		struct denial_seen *s = &d->seen[d->n_seen % SEEN_MAX];

		if (body_decode(&schema_denial, m->events.v[i].p, m->events.v[i].n, &s->d, &a))
			continue;
		s->id = ++d->n_seen;
		s->nid = nid;
	}
	arena_fini(&a);
}

const struct denial_seen *denials_newest(const struct denials *d, u32 i)
{
	if (i >= SEEN_MAX || i >= d->n_seen)
		return NULL;
	return &d->seen[(d->n_seen - 1 - i) % SEEN_MAX];
}

const struct denial_seen *denials_by_id(const struct denials *d, u64 id)
{
	if (!id || id > d->n_seen || id + SEEN_MAX <= d->n_seen)
		return NULL;
	return &d->seen[(id - 1) % SEEN_MAX];
}

u64 denials_lost(const struct denials *d)
{
	return d->lost;
}
