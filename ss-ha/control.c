/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What local callers may ask dsi-ss: one handler a verb (lib/ctl.h). */
#include <stdio.h>
#include <string.h>

#include "gcs/status.h"
#include "lib/log.h"
#include "ss-ha/server.h"

enum { ROWS = 100, ROWS_MAX = 500 };

static const struct status_input *input(struct server *s, struct order_status *o, struct status_input *in)
{
	replica_status(s->replica, o);
	*in = (struct status_input){ .by = "dsi-ss", .node = s->conf.node, .nid = replica_nid(s->replica),
				     .state = replica_state(s->replica), .order = o, .census = &s->census,
				     .view = s->have_view ? &s->view : NULL };
	return in;
}

static void do_status(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct order_status o;
	struct status_input in;

	ipc_answer(rq, 0, NULL, status_document(input(ctx, &o, &in)));
}

static void do_nodes(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct order_status o;
	struct status_input in;

	ipc_answer(rq, 0, NULL, status_nodes(input(ctx, &o, &in)));
}

static void do_cluster(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct order_status o;
	struct status_input in;

	ipc_answer(rq, 0, NULL, status_cluster(input(ctx, &o, &in)));
}

static void do_history(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct server *s = ctx;

	ipc_answer(rq, 0, NULL, status_history(replica_state(s->replica)));
}

static u64 number(const json_t *args, const char *key, u64 other)
{
	const json_t *v = json_object_get(args, key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? (u64)json_integer_value(v) : other;
}

static void do_log(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct server *s = ctx;

	ipc_answer(rq, 0, NULL, status_log(replica_log(s->replica), number(args, "from", 1),
					   (u32)MIN(number(args, "max", ROWS), (u64)ROWS_MAX)));
}

static void do_counters(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct server *s = ctx;

	ipc_answer(rq, 0, NULL, json_pack("{s:o, s:I}", "refused_messages", status_refusals(replica_refusals(s->replica)),
					  "events_lost", (json_int_t)store_lost(s->store)));
}

static void do_denials(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct server *s = ctx;
	json_t *rows = store_denials(s->store, number(args, "since_id", 0), number(args, "since_ms", 0),
				     json_string_value(json_object_get(args, "node")),
				     json_string_value(json_object_get(args, "subject")),
				     (u32)MIN(number(args, "max", ROWS), (u64)ROWS_MAX));

	ipc_answer(rq, 0, NULL, json_pack("{s:o, s:I}", "denials", rows, "lost", (json_int_t)store_lost(s->store)));
}

static void do_explain(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct server *s = ctx;
	json_t *o = store_denial_by_id(s->store, number(args, "id", 0));

	if (!o) {
		ipc_answer(rq, -DSI_ENOENT, "no refusal of that number", NULL);
		return;
	}
	ipc_answer(rq, 0, NULL, json_pack("{s:o, s:O, s:O}", "denial", o, "why", json_object_get(o, "rule"), "version",
					  json_object_get(o, "policy")));
}

/* --- stepping aside ------------------------------------------------------------------------------------------ */

static const u64 FAILOVER_NS = 15000000000ull, FAILOVER_AGAIN_NS = 250000000;

static void failover_end(struct server *s, int code, const char *text)
{
	struct ipc_request *rq = s->failover;

	s->failover = NULL;
	loop_timer_set(s->failover_timer, 0);
	ipc_answer(rq, code, text,
		   json_pack("{s:s, s:s, s:I, s:I}", "from", s->conf.node, "to", server_node_name(s, s->active_nid), "term",
			     (json_int_t)s->term, "ms", (json_int_t)((loop_boottime() - s->failover_began) / 1000000)));
}

/* The view changed under it: whoever was active goes on, so it is said again. */
static void on_failover_timer(void *ctx)
{
	struct server *s = ctx;
	struct err e = { 0 };

	if (!s->failover)
		return;
	if (loop_boottime() >= s->failover_began + FAILOVER_NS) {
		failover_end(s, -DSI_ETIMEDOUT, s->active ? "no other server took over: this one is still active" :
			     "this server stepped aside and none has committed a term yet: dsi-admin status");
		return;
	}
	if (s->active)
		replica_yield(s->replica, &e);
	loop_timer_set(s->failover_timer, FAILOVER_AGAIN_NS);
}

static void do_failover(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct server *s = ctx;
	struct err e = { 0 };
	char text[LIM_NAME + 128];
	int rc;

	if (s->failover) {
		ipc_answer(rq, -DSI_EAGAIN, "a hand-over is under way", NULL);
		return;
	}
	if (!s->active) {
		snprintf(text, sizeof(text), "the server on this node is not active%s%s: nothing to hand over", s->active_nid ?
			 "; ask on " : "", server_node_name(s, s->active_nid));
		ipc_answer(rq, -DSI_ECONFLICT, text, NULL);
		return;
	}
	rc = replica_yield(s->replica, &e);
	if (rc) {
		ipc_answer(rq, rc, e.text, NULL);
		return;
	}
	log_info("stepping aside: asked by dsi-admin failover");
	s->failover = rq;
	s->failover_began = loop_boottime();
	loop_timer_set(s->failover_timer, FAILOVER_AGAIN_NS);
}

void server_control_role(struct server *s)
{
	if (s->failover && !s->active && s->active_nid && s->active_nid != replica_nid(s->replica))
		failover_end(s, 0, NULL);
}

static ipc_handler *const handlers[CTL_COUNT] = {
	[CTL_STATUS] = do_status,   [CTL_NODES] = do_nodes,     [CTL_CLUSTER] = do_cluster, [CTL_HISTORY] = do_history,
	[CTL_DENIALS] = do_denials, [CTL_EXPLAIN] = do_explain, [CTL_LOG] = do_log,         [CTL_COUNTERS] = do_counters,
	[CTL_FAILOVER] = do_failover,
};

int server_control_open(struct server *s, struct err *e)
{
	s->failover_timer = loop_timer_new(s->loop, on_failover_timer, s);
	if (!s->failover_timer)
		return err_set(e, -DSI_ENOMEM, "control");
	return ipc_server_new(&s->ipc, s->loop, CTL_SERVER, CTL_BY_SERVER, handlers, s, e);
}

void server_control_free(struct server *s)
{
	if (s->failover)
		failover_end(s, -DSI_ENOTCONN, "dsi-ss is stopping");
	ipc_server_free(s->ipc);
	loop_timer_free(s->failover_timer);
}
