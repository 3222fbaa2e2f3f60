/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of each member, as it last told them. */
#include "dsid/discovery.h"

#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "dsid/services.h"

static const u64 SOON_NS = 50ull * 1000000, AGAIN_NS = 500ull * 1000000;

struct member {
	u32 nid, n;
	bool heard; /* in this view */
	struct body_service *row; /* n */
};
struct discovery {
	struct engine *g;
	struct loop_timer *timer;
	struct member member[LIM_NODES];
	u32 n;
};

static void tell(void *ctx)
{
	struct discovery *d = ctx;
	struct reg_row rows[LIM_SERVICES];
	struct blob v[LIM_SERVICES];
	struct wbuf w[LIM_SERVICES];
	struct body_services m = { .services = { .v = v } };
	u32 n = services_registered(d->g->services, rows);
	int rc = 0;

	for (u32 i = 0; i < n; i++) {
		struct body_service one = { .api = rows[i].api, .state = rows[i].draining };

		memcpy(one.name, rows[i].name, sizeof(rows[i].name));
		memcpy(one.version, rows[i].version, sizeof(rows[i].version));
		wbuf_init(&w[i], LIM_BODY);
		rc = body_encode(&schema_service, &one, &w[i]) ? -DSI_ENOMEM : rc;
		v[i] = (struct blob){ .p = w[i].data, .n = w[i].len };
	}
	m.services.n = n;
	if (!rc)
		rc = d->g->joined ? replica_send(d->g->replica, MSG_SERVICES, GCS_BULK, &m) : -DSI_EAGAIN;
	for (u32 i = 0; i < n; i++)
		wbuf_fini(&w[i]);
	if (rc) /* no view, no key yet, or the queue is full */
		loop_timer_set(d->timer, AGAIN_NS);
}

struct discovery *discovery_new(struct engine *g)
{
	struct discovery *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->g = g;
	d->timer = loop_timer_new(g->loop, tell, d);
	if (d->timer)
		return d;
	free(d);
	return NULL;
}

void discovery_free(struct discovery *d)
{
	if (!d)
		return;
	for (u32 i = 0; i < d->n; i++)
		free(d->member[i].row);
	loop_timer_free(d->timer);
	free(d);
}

void discovery_changed(struct discovery *d)
{
	if (!loop_timer_active(d->timer))
		loop_timer_set(d->timer, SOON_NS);
}

void discovery_view(struct discovery *d)
{
	for (u32 i = 0; i < d->n; i++)
		d->member[i].heard = false;
	discovery_changed(d);
}

static struct member *member_for(struct discovery *d, u32 nid)
{
	for (u32 i = 0; i < d->n; i++)
		if (d->member[i].nid == nid)
			return &d->member[i];
	if (d->n == LIM_NODES) { /* more than a group can have: the oldest is no member any more */
		free(d->member[0].row);
		memmove(&d->member[0], &d->member[1], --d->n * sizeof(d->member[0]));
	}
	d->member[d->n] = (struct member){ .nid = nid };
	return &d->member[d->n++];
}

void discovery_message(struct discovery *d, u32 nid, const struct body_services *m)
{
	u32 n = MIN(m->services.n, (u32)LIM_SERVICES);
	struct body_service *row = calloc(n ? n : 1, sizeof(*row));
	struct member *of = row ? member_for(d, nid) : NULL;
	struct arena a;

	if (!of)
		return;
	/* Who speaks for the first time in a view may not have had the group's key when we last told: it has it now. */
	if (!of->heard && nid != replica_nid(d->g->replica))
		discovery_changed(d);
	of->heard = true;
	free(of->row);
	of->row = row;
	of->n = 0;
	arena_init(&a, 256 << 10);
	for (u32 i = 0; i < n; i++) {
		struct body_service *s = &of->row[of->n];

		if (!body_decode(&schema_service, m->services.v[i].p, m->services.v[i].n, s, &a) && svc_name_ok(s->name))
			of->n++;
	}
	arena_fini(&a);
}

json_t *discovery_rows(const struct discovery *d)
{
	struct order_status o;
	json_t *list = json_array();

	replica_status(d->g->replica, &o);
	for (u32 i = 0; i < d->n; i++) {
		const struct member *m = &d->member[i];

		for (u32 k = 0; k < m->n; k++)
			json_array_append_new(list, json_pack("{s:s, s:i, s:b, s:s, s:s, s:i, s:s}", "node", engine_node_name(d->g, m->nid),
							      "nid", (int)m->nid, "present", census_present(&o, m->nid), "name", m->row[k].name,
							      "version", m->row[k].version, "api", (int)m->row[k].api, "state",
							      m->row[k].state ? "draining" : "serving"));
	}
	return list;
}
