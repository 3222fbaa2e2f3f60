/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What local callers may ask dsi-ss: one handler a verb (lib/ctl.h). */
#include <string.h>

#include "gcs/status.h"
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

static ipc_handler *const handlers[CTL_COUNT] = {
	[CTL_STATUS] = do_status,   [CTL_NODES] = do_nodes,     [CTL_CLUSTER] = do_cluster, [CTL_HISTORY] = do_history,
	[CTL_DENIALS] = do_denials, [CTL_EXPLAIN] = do_explain, [CTL_LOG] = do_log,         [CTL_COUNTERS] = do_counters,
};

int server_control_open(struct server *s, struct err *e)
{
	return ipc_server_new(&s->ipc, s->loop, CTL_SERVER, CTL_BY_SERVER, handlers, s, e);
}
