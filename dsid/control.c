/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What local callers may ask dsid: one handler a verb (lib/ctl.h says which and who; lib/ipc checks that
 * column before a handler runs). Nothing here gives authority over the cluster.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "gcs/status.h"
#include "policies/denial.h"

enum { WAIT_MS = 15000, WAIT_MAX_MS = 120000, UPLOADS_MAX = 4, PART = 256 << 10, ROWS = 100, ROWS_MAX = 500 };

/* --- documents --------------------------------------------------------------------------------------------- */

struct documents {
	struct order_status order;
	struct status_local local;
	struct status_input in;
};

static const struct status_input *input(struct engine *g, struct documents *d)
{
	u64 now = loop_boottime();

	replica_status(g->replica, &d->order);
	d->local = (struct status_local){
		.mode = engine_mode(g), .policy = g->policy_enforced,
		.detail = engine_detail(g), .guard = g->have_kernel && g->kernel.guard == DSI_GUARD_ON,
		.lease_ms = g->lease_until > now ? (g->lease_until - now) / 1000000 : 0, .events_lost = denials_lost(g->denials),
	};
	d->in = (struct status_input){ .by = "dsid", .node = g->conf.node, .nid = replica_nid(g->replica),
				       .state = replica_state(g->replica), .order = &d->order, .census = &g->census,
				       .view = g->have_view ? &g->view : NULL, .local = &d->local,
				       .on_ring = ring_on(g->ring) };
	replica_urgent_kept(g->replica, &d->in.verdicts);
	return &d->in;
}

static void do_status(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct documents d;

	ipc_answer(rq, 0, NULL, status_document(input(ctx, &d)));
}

static void do_nodes(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct documents d;

	ipc_answer(rq, 0, NULL, status_nodes(input(ctx, &d)));
}

static void do_cluster(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct documents d;

	ipc_answer(rq, 0, NULL, status_cluster(input(ctx, &d)));
}

static void do_history(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct engine *g = ctx;

	ipc_answer(rq, 0, NULL, status_history(replica_state(g->replica)));
}

static u64 number(const json_t *args, const char *key, u64 other)
{
	const json_t *v = json_object_get(args, key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? (u64)json_integer_value(v) : other;
}

static void do_log(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct engine *g = ctx;

	ipc_answer(rq, 0, NULL, status_log(replica_log(g->replica), number(args, "from", 1),
					   (u32)MIN(number(args, "max", ROWS), (u64)ROWS_MAX)));
}

static void do_counters(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct engine *g = ctx;

	ipc_answer(rq, 0, NULL, json_pack("{s:o, s:I}", "refused_messages", status_refusals(replica_refusals(g->replica)),
					  "events_lost", (json_int_t)denials_lost(g->denials)));
}

/* --- statements ---------------------------------------------------------------------------------------------- */

static void do_submit(void *ctx, struct ipc_request *rq, const json_t *args)
{
	const char *text = json_string_value(json_object_get(args, "statement"));
	const char *blob = json_string_value(json_object_get(args, "blob"));
	u8 *statement = NULL;
	size_t n;

	if (!text || crypto_unbase64(text, strlen(text), &statement, &n)) {
		ipc_answer(rq, -DSI_EPARSE, "submit needs a statement in base64", NULL);
		return;
	}
	submit_begin(ctx, rq, statement, n, blob && *blob, MIN(number(args, "wait_ms", WAIT_MS), (u64)WAIT_MAX_MS));
	free(statement);
}

/* --- blobs: parts in order, stored when whole and true to their name ------------------------------------------- */

struct upload {
	struct upload *next;
	struct engine *g;
	u8 digest[CRYPTO_HASH];
	struct wbuf data;
	struct ipc_request *rq; /* of the last part, while it is being stored */
};

static void upload_free(struct upload *u)
{
	struct upload **at = &u->g->uploads;

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	wbuf_fini(&u->data);
	free(u);
}

static struct upload *upload_for(struct engine *g, const u8 digest[CRYPTO_HASH])
{
	struct upload *u;
	u32 n = 0;

	for (u = g->uploads; u; u = u->next, n++)
		if (!memcmp(u->digest, digest, CRYPTO_HASH))
			return u;
	if (n >= UPLOADS_MAX) /* an abandoned one makes room */
		for (u = g->uploads; u; u = u->next)
			if (!u->rq) {
				upload_free(u);
				break;
			}
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->g = g;
	memcpy(u->digest, digest, CRYPTO_HASH);
	wbuf_init(&u->data, LIM_POLICY);
	u->next = g->uploads;
	g->uploads = u;
	return u;
}

static void have(struct ipc_request *rq, int code, const char *text, u64 bytes)
{
	ipc_answer(rq, code, text, json_pack("{s:I}", "have", (json_int_t)bytes));
}

static void on_stored(void *ctx, u64 value, int code)
{
	struct upload *u = ctx;

	have(u->rq, code, code == -DSI_ENOSPC ? "no space left for the policy image: free some below " PATH_DSID_LOG : NULL, u->data.len);
	upload_free(u);
}

static void upload_store(struct upload *u, struct ipc_request *rq)
{
	u8 digest[CRYPTO_HASH];

	if (crypto_sha256(u->data.data, u->data.len, digest) || memcmp(digest, u->digest, sizeof(digest))) {
		have(rq, -DSI_EINVAL, "the bytes do not have the digest that names them", 0);
		upload_free(u);
		return;
	}
	u->rq = rq;
	if (blob_put(replica_log(u->g->replica), u->digest, u->data.data, u->data.len, on_stored, u)) {
		have(rq, -DSI_EIO, "the image cannot be stored", 0);
		upload_free(u);
	}
}

static void do_blob_put(void *ctx, struct ipc_request *rq, const json_t *args)
{
	const char *hex = json_string_value(json_object_get(args, "digest"));
	const char *text = json_string_value(json_object_get(args, "data"));
	u64 size = number(args, "size", 0), offset = number(args, "offset", 0);
	struct engine *g = ctx;
	struct upload *u;
	u8 digest[CRYPTO_HASH], *data;
	size_t n;

	if (!hex || !text || crypto_unhex(hex, digest, sizeof(digest)) || !size || size > LIM_POLICY) {
		have(rq, -DSI_EINVAL, "blob-put needs digest, size, offset and data", 0);
		return;
	}
	if (blob_present(replica_log(g->replica), digest)) {
		have(rq, 0, NULL, size);
		return;
	}
	u = upload_for(g, digest);
	if (!u || u->rq || offset != u->data.len || crypto_unbase64(text, strlen(text), &data, &n)) {
		have(rq, -DSI_EINVAL, "a part out of order", u ? u->data.len : 0);
		return;
	}
	wbuf_bytes(&u->data, data, n);
	free(data);
	if (!wbuf_ok(&u->data) || u->data.len > size) {
		have(rq, -DSI_ELIMIT, "more bytes than announced", 0);
		upload_free(u);
	} else if (u->data.len == size)
		upload_store(u, rq);
	else
		have(rq, 0, NULL, u->data.len);
}

static void do_blob_get(void *ctx, struct ipc_request *rq, const json_t *args)
{
	const char *hex = json_string_value(json_object_get(args, "digest"));
	u64 offset = number(args, "offset", 0);
	struct engine *g = ctx;
	u8 digest[CRYPTO_HASH], *p;
	struct err e = { 0 };
	char *text;
	size_t n;

	if (!hex || crypto_unhex(hex, digest, sizeof(digest))) {
		ipc_answer(rq, -DSI_EINVAL, "blob-get needs a digest", NULL);
		return;
	}
	if (blob_get(replica_log(g->replica), digest, &p, &n, &e)) {
		ipc_answer(rq, e.code, e.text, NULL);
		return;
	}
	offset = MIN(offset, (u64)n);
	text = crypto_base64(p + offset, MIN(n - offset, (size_t)PART));
	ipc_answer(rq, text ? 0 : -DSI_ENOMEM, NULL, json_pack("{s:I, s:s}", "size", (json_int_t)n, "data", text ? text : ""));
	free(text);
	free(p);
}

/* --- refusals ------------------------------------------------------------------------------------------------- */

static const char *name_of(void *ctx, u32 nid)
{
	return engine_node_name(ctx, nid);
}

static bool image_now(struct engine *g, struct image *img, u8 **ret)
{
	size_t n;

	*ret = NULL;
	return !blob_get(replica_log(g->replica), replica_state(g->replica)->policy.digest, ret, &n, NULL) &&
	       !image_open(img, *ret, n, NULL);
}

static bool wanted(const json_t *o, const char *key, const char *value)
{
	return !value || !*value || !strcmp(value, json_string_value(json_object_get(o, key)));
}

static void do_denials(void *ctx, struct ipc_request *rq, const json_t *args)
{
	const char *node = json_string_value(json_object_get(args, "node"));
	const char *subject = json_string_value(json_object_get(args, "subject"));
	u32 max = (u32)MIN(number(args, "max", ROWS), (u64)ROWS_MAX);
	u64 since_id = number(args, "since_id", 0), since_ms = number(args, "since_ms", 0);
	struct engine *g = ctx;
	json_t *rows = json_array();
	struct image img;
	u8 *bytes;
	bool named = image_now(g, &img, &bytes);

	for (u32 i = 0; json_array_size(rows) < max; i++) {
		const struct denial_seen *s = denials_newest(g->denials, i);
		struct denial_names names = { .node_name = name_of, .ctx = g };
		json_t *o;

		if (!s || s->id <= since_id)
			break;
		if (s->d.wall_ms < since_ms)
			continue;
		names.node = engine_node_name(g, s->nid);
		o = denial_record(named ? &img : NULL, &names, s->nid, s->id, &s->d);
		if (o && wanted(o, "node", node) && wanted(o, "subject", subject))
			json_array_append(rows, o);
		json_decref(o);
	}
	free(bytes);
	ipc_answer(rq, 0, NULL, json_pack("{s:o, s:I}", "denials", rows, "lost", (json_int_t)denials_lost(g->denials)));
}

static void do_explain(void *ctx, struct ipc_request *rq, const json_t *args)
{
	struct engine *g = ctx;
	const struct denial_seen *s = denials_by_id(g->denials, number(args, "id", 0));
	struct denial_names names = { .node_name = name_of, .ctx = g };
	struct image img;
	u8 *bytes;
	bool named;
	json_t *o;

	if (!s) {
		ipc_answer(rq, -DSI_ENOENT, "no refusal of that number is remembered here", NULL);
		return;
	}
	named = image_now(g, &img, &bytes);
	names.node = engine_node_name(g, s->nid);
	o = denial_record(named ? &img : NULL, &names, s->nid, s->id, &s->d);
	ipc_answer(rq, 0, NULL, json_pack("{s:o, s:O, s:I}", "denial", o, "why", json_object_get(o, "rule"), "version",
					  (json_int_t)s->d.version));
	free(bytes);
}

/* --- this node alone -------------------------------------------------------------------------------------------- */

static void do_isolate(void *ctx, struct ipc_request *rq, const json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "node"));
	struct engine *g = ctx;
	const struct state_node *n = name ? state_node_named(replica_state(g->replica), name) : NULL;

	if (!n || n->nid == replica_nid(g->replica)) {
		ipc_answer(rq, -DSI_ENOENT, n ? "a node cannot isolate itself" : "no such node", NULL);
		return;
	}
	engine_isolate(g, n->nid, !json_is_true(json_object_get(args, "undo")));
	ipc_answer(rq, 0, NULL, NULL);
}

static ipc_handler *const handlers[CTL_COUNT] = {
	[CTL_STATUS] = do_status,     [CTL_NODES] = do_nodes,       [CTL_CLUSTER] = do_cluster, [CTL_SUBMIT] = do_submit,
	[CTL_BLOB_PUT] = do_blob_put, [CTL_BLOB_GET] = do_blob_get, [CTL_HISTORY] = do_history, [CTL_DENIALS] = do_denials,
	[CTL_EXPLAIN] = do_explain,   [CTL_LOG] = do_log,           [CTL_COUNTERS] = do_counters, [CTL_ISOLATE] = do_isolate,
};

int control_open(struct engine *g, struct err *e)
{
	return ipc_server_new(&g->ipc, g->loop, CTL_DSID, CTL_BY_DSID, handlers, g, e);
}

void control_free(struct engine *g)
{
	ipc_server_free(g->ipc);
	while (g->uploads)
		upload_free(g->uploads);
}
