/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's shell: what the replica tells becomes orders, records and answers. */
#include "ss-ha/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/channel_proxy.h"
#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "policies/denial.h"

static const u64 HOUSEKEEPING_NS = 1000000000;

const char *server_node_name(void *ctx, u32 nid)
{
	struct server *s = ctx;
	const struct state_node *n = state_node(replica_state(s->replica), nid);

	return n ? n->name : "";
}

/* The image of the newest policy, for names; an older one will do until it is here. */
static const struct image *image_for_names(struct server *s, struct image *ret)
{
	const struct state_policy *p = &replica_state(s->replica)->policy;
	size_t len;
	u8 *bytes;

	if (p->version != s->image_version && blob_present(replica_log(s->replica), p->digest) &&
	    !blob_get(replica_log(s->replica), p->digest, &bytes, &len, NULL)) {
		free(s->image);
		s->image = bytes;
		s->image_len = len;
		s->image_version = p->version;
	}
	return s->image && !image_open(ret, s->image, s->image_len, NULL) ? ret : NULL;
}

static void on_denials(struct server *s, u32 nid, const struct body_denials *m)
{
	struct denial_names names = { .node = server_node_name(s, nid), .node_name = server_node_name, .ctx = s };
	struct image image;
	const struct image *img = image_for_names(s, &image);
	struct arena a;

	arena_init(&a, 256 << 10);
	for (u32 i = 0; i < m->events.n; i++) {
		struct body_denial d;
		json_t *record;

		if (body_decode(&schema_denial, m->events.v[i].p, m->events.v[i].n, &d, &a))
			continue;
		record = denial_record(img, &names, nid, 0, &d);
		if (record)
			store_denial(s->store, record);
		json_decref(record);
	}
	arena_fini(&a);
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body)
{
	struct server *s = ctx;

	switch (info->type) {
	case MSG_HELLO:
		census_hello(&s->census, from->nid, from->role, body);
		break;
	case MSG_SUBMIT:
		orders_submit(s, from, body);
		break;
	case MSG_REPORT:
		census_report(&s->census, from->nid, body);
		orders_housekeeping(s);
		break;
	case MSG_DENIALS:
		on_denials(s, from->nid, body);
		break;
	default:
		break;
	}
}

static void fetched(void *ctx, int code)
{
	struct server *s = ctx;

	if (code)
		log_warning("policy image not had: %s", err_text(code));
	else
		image_for_names(s, &(struct image){ 0 });
}

static void on_applied(void *ctx, const struct entry *e, const struct state_result *r, bool live)
{
	struct server *s = ctx;
	const struct state *st = replica_state(s->replica);

	if (r->code)
		log_warning("entry %llu (%s) refused: %s", (unsigned long long)e->index, entry_type_name(e->type), r->text);
	if (live)
		log_info("entry %llu committed: %s by node %u", (unsigned long long)e->index, entry_type_name(e->type),
			 e->author_nid);
	if (e->type == ENTRY_REFORM && !r->code)
		s->image_version = 0; /* a version that was given up may come again as another */
	if (live && (r->changed & CHANGED_POLICY))
		replica_blob_fetch(s->replica, st->policy.digest, fetched, s);
	orders_applied(s, e, r);
}

static void on_make_term(void *ctx, u64 term, const struct gcs_ring *ring, const struct order_promise_proof *proofs, u32 n)
{
	orders_make_term(ctx, term, ring, proofs, n);
}

static void on_role(void *ctx, bool active, u64 term, u32 active_nid)
{
	struct server *s = ctx;

	if (s->active != active)
		log_info("%s, term %llu", active ? "active" : "standby", (unsigned long long)term);
	if (!active)
		orders_drop(s); /* what was not committed may be lost: whoever asked asks again */
	s->active = active;
	s->term = term;
	s->active_nid = active_nid;
	notify_status(active ? "active" : "standby");
	server_control_role(s);
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	struct server *s = ctx;

	s->view = *v;
	s->have_view = true;
}

static void on_joined(void *ctx)
{
	struct server *s = ctx;

	s->joined = true;
	replica_blob_fetch(s->replica, replica_state(s->replica)->policy.digest, fetched, s);
}

static void on_alarm(void *ctx, u32 severity, const char *kind, const char *text)
{
	if (severity >= 2)
		log_err("%s: %s", kind, text);
	else
		log_warning("%s: %s", kind, text);
}

static int make_backend(void *ctx, struct gcs_backend **ret, const struct gcs_events *ev, void *ev_ctx, struct err *e)
{
	struct server *s = ctx;

	return channel_proxy_new(ret, s->loop, s->channel_fd, ev, ev_ctx) ? err_set(e, -DSI_ENOMEM, "channel") : 0;
}

static const struct replica_ops replica_ops = {
	.applied = on_applied, .message = on_message, .make_term = on_make_term, .role = on_role, .view = on_view,
	.joined = on_joined, .alarm = on_alarm,
};

static void on_housekeeping(void *ctx)
{
	struct server *s = ctx;

	orders_housekeeping(s);
	loop_timer_set(s->housekeeping, HOUSEKEEPING_NS);
}

static void on_term(void *ctx)
{
	struct server *s = ctx;

	loop_stop(s->loop, 0);
}

static int server_open(struct server *s, int keys_fd, struct err *e)
{
	struct replica_config rc = { .loop = s->loop, .role = ROLE_SERVER, .keys = &s->keys, .dir = s->conf.log_dir,
				     .cluster = s->conf.cluster_file, .make_backend = make_backend };
	int code = keys_open(&s->keys, keys_fd, e);

	if (code)
		return err_wrap(e, "key service");
	snprintf(rc.node, sizeof(rc.node), "%s", s->conf.node);
	snprintf(rc.direct, sizeof(rc.direct), "%s", s->conf.direct);
	rc.n_peers = ss_conf_peers(&s->conf, rc.peers);
	code = store_open(&s->store, s->conf.log_dir, e);
	if (!code)
		code = lockout_new(&s->lockout, s->loop, PATH_POLICIES "/must-allow.list", orders_judged, s, e);
	if (!code)
		code = replica_new(&s->replica, &rc, &replica_ops, s, e);
	if (code)
		return code;
	s->housekeeping = loop_timer_new(s->loop, on_housekeeping, s);
	if (!s->housekeeping)
		return err_set(e, -DSI_ENOMEM, "server");
	loop_timer_set(s->housekeeping, HOUSEKEEPING_NS);
	code = server_control_open(s, e);
	return code ? code : replica_start(s->replica, e);
}

int server_run(const struct ss_conf *conf, int keys_fd, int channel_fd)
{
	struct server *s = calloc(1, sizeof(*s));
	struct err e = { 0 };
	int status = 1;

	if (!s || !(s->loop = loop_new()))
		return 1;
	s->conf = *conf;
	s->channel_fd = channel_fd;
	loop_signal(s->loop, SIGTERM, on_term, s);
	if (server_open(s, keys_fd, &e))
		log_err("%s", e.text);
	else {
		notify_ready();
		status = loop_run(s->loop);
	}
	server_control_free(s);
	loop_timer_free(s->housekeeping);
	replica_free(s->replica);
	lockout_free(s->lockout);
	orders_drop(s);
	store_close(s->store);
	free(s->image);
	loop_free(s->loop);
	free(s);
	return status;
}
