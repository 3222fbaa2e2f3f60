/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The documents dsid and dsi-ss answer. Never decides anything: state in, JSON out. */
#include "gcs/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/session.h"

static const char *const phase_name[] = {
	[ORDER_DOWN] = "down", [ORDER_WAITING] = "waiting", [ORDER_OPENING] = "opening", [ORDER_PROMISED] = "promised",
	[ORDER_OPEN] = "open",
};
static const char *const mode_name[] = {
	[MODE_NONE] = "not enforcing", [MODE_PERMISSIVE] = "permissive", [MODE_ENFORCING] = "enforcing",
};
static const char *const status_name[] = {
	[NODE_NONE] = "none", [NODE_BOUND] = "bound", [NODE_SUSPENDED] = "suspended", [NODE_REVOKED] = "revoked",
	[NODE_REMOVED] = "removed",
};

static json_t *hex(const u8 *p, size_t n)
{
	char text[2 * CRYPTO_HASH + 1];

	return json_string(crypto_hex(p, n, text));
}

static const char *node_name(const struct state *s, u32 nid)
{
	const struct state_node *n = state_node(s, nid);

	return n ? n->name : "";
}

static json_t *node_roles(const struct state *s, const struct state_node *n)
{
	json_t *a = json_array();

	json_array_append_new(a, json_string("member"));
	for (u32 i = 0; s->n_voters && i < s->voters[s->n_voters - 1].n; i++)
		if (s->voters[s->n_voters - 1].nid[i] == n->nid)
			json_array_append_new(a, json_string("voter"));
	for (u32 i = 0; i < s->n_server; i++)
		if (s->server_order[i] == n->nid)
			json_array_append_new(a, json_string("server"));
	if (n->roles & NODE_WITNESS)
		json_array_append_new(a, json_string("witness"));
	return a;
}

static json_t *node_row(const struct status_input *in, const struct state_node *n)
{
	const struct census_row *row = census_row(in->census, n->nid);
	const struct body_report *r = row && row->reported ? &row->report : NULL;
	json_t *o = json_object();

	json_object_set_new(o, "nid", json_integer(n->nid));
	json_object_set_new(o, "name", json_string(n->name));
	json_object_set_new(o, "status", json_string(status_name[n->status]));
	json_object_set_new(o, "roles", node_roles(in->state, n));
	json_object_set_new(o, "present", json_boolean(n->status == NODE_BOUND && census_present(in->order, n->nid)));
	json_object_set_new(o, "on_ring", in->on_ring && n->nid < LIM_NIDS ?
			    json_boolean(in->on_ring[n->nid / 8] & 1u << n->nid % 8) : json_null());
	json_object_set_new(o, "mode", json_string(mode_name[r && r->mode <= MODE_ENFORCING ? r->mode : MODE_NONE]));
	json_object_set_new(o, "policy", json_integer(r ? (json_int_t)r->policy_version : 0));
	json_object_set_new(o, "applied", json_integer(r ? (json_int_t)r->applied : 0));
	json_object_set_new(o, "lagging", json_string(r && r->lagging ? r->detail : ""));
	json_object_set_new(o, "detail", json_string(r ? r->detail : ""));
	json_object_set_new(o, "reason", json_string(n->reason));
	json_object_set_new(o, "deposed", json_boolean(n->deposed));
	json_object_set_new(o, "direct", json_string(n->direct));
	json_object_set_new(o, "key", hex(n->sign, CRYPTO_PUB));
	json_object_set_new(o, "version", json_string(row ? row->version : ""));
	json_object_set_new(o, "level", json_integer(row ? (json_int_t)row->level : 0));
	return o;
}

json_t *status_nodes(const struct status_input *in)
{
	json_t *a = json_array();

	for (u32 i = 0; i < in->state->n_node; i++)
		json_array_append_new(a, node_row(in, &in->state->node[i]));
	return json_pack("{s:o}", "nodes", a);
}

static json_t *view_part(const struct status_input *in)
{
	const struct order_status *o = in->order;
	char ring[48] = "";

	if (in->view)
		snprintf(ring, sizeof(ring), "%u.%llu", in->view->ring.nodeid, (unsigned long long)in->view->ring.seq);
	return json_pack("{s:s, s:b, s:b, s:b, s:s, s:I, s:I, s:i, s:i, s:i, s:I, s:I, s:I}", "phase", phase_name[o->phase], "live",
			 o->live, "halted", o->halted, "quorate", in->view && in->view->quorate, "ring", ring, "term", (json_int_t)o->term,
			 "promised", (json_int_t)o->promised, "voters", (int)o->voters, "voters_present",
			 (int)o->voters_present, "majority", (int)o->majority, "commit", (json_int_t)o->commit, "tail",
			 (json_int_t)o->tail, "applied", (json_int_t)in->state->applied);
}

static json_t *server_part(const struct status_input *in)
{
	json_t *standby = json_array(), *absent = json_array();
	u32 active = in->order->phase == ORDER_OPEN ? in->order->active_nid : 0;

	for (u32 i = 0; i < in->state->n_server; i++) {
		u32 nid = in->state->server_order[i];
		json_t *name = json_string(node_name(in->state, nid));

		if (nid == active)
			json_decref(name);
		else
			json_array_append_new(census_serves(in->order, nid) ? standby : absent, name);
	}
	return json_pack("{s:s, s:i, s:o, s:o}", "active", active ? node_name(in->state, active) : "", "active_nid",
			 (int)active, "standby", standby, "absent", absent);
}

static json_t *policy_part(const struct status_input *in)
{
	const struct state_policy *p = &in->state->policy;
	struct census_sum sum;
	char text[160];
	int n;

	census_sum(in->census, in->state, in->order, &sum);
	n = snprintf(text, sizeof(text), "policy %llu enforced on %u of %u present, %u absent, %u lagging",
		     (unsigned long long)p->version, sum.enforced, sum.present, sum.absent, sum.lagging);
	if (sum.not_enforcing && n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ", %u not enforcing", sum.not_enforcing);
	return json_pack("{s:I, s:s, s:o, s:I, s:i, s:i, s:i, s:i, s:i, s:s}", "version", (json_int_t)p->version, "name",
			 p->name, "digest", hex(p->digest, CRYPTO_HASH), "confirm_by_ms", (json_int_t)p->confirm_by_ms,
			 "enforced", (int)sum.enforced, "present", (int)sum.present, "absent", (int)sum.absent, "lagging",
			 (int)sum.lagging, "not_enforcing", (int)sum.not_enforcing, "text", text);
}

json_t *status_document(const struct status_input *in)
{
	json_t *nodes = status_nodes(in), *o = json_object();
	const struct status_local *l = in->local;

	json_object_set_new(o, "by", json_string(in->by));
	json_object_set_new(o, "node", json_string(in->node));
	json_object_set_new(o, "nid", json_integer(in->nid));
	json_object_set_new(o, "version", json_string(DSI_VERSION));
	json_object_set_new(o, "cluster", json_pack("{s:s, s:o, s:i}", "name", in->state->name, "id",
						    hex(in->state->cluster, 16), "generation", (int)in->state->generation));
	json_object_set_new(o, "view", view_part(in));
	json_object_set_new(o, "server", server_part(in));
	json_object_set_new(o, "policy", policy_part(in));
	if (l)
		json_object_set_new(o, "local", json_pack("{s:s, s:I, s:s, s:b, s:I, s:I}", "mode",
							  mode_name[MIN(l->mode, (u32)MODE_ENFORCING)], "policy",
							  (json_int_t)l->policy, "detail", l->detail, "guard", l->guard, "lease_ms",
							  (json_int_t)l->lease_ms, "events_lost",
							  (json_int_t)l->events_lost));
	json_object_set(o, "nodes", json_object_get(nodes, "nodes"));
	json_decref(nodes);
	return o;
}

static json_t *nid_list(const struct state *s, const u32 *nid, u32 n)
{
	json_t *a = json_array();

	for (u32 i = 0; i < n; i++)
		json_array_append_new(a, json_pack("{s:i, s:s}", "nid", (int)nid[i], "name", node_name(s, nid[i])));
	return a;
}

static json_t *statements(const struct blobs *b)
{
	json_t *a = json_array();

	for (u32 i = 0; i < b->n; i++) {
		char *text = crypto_base64(b->v[i].p, b->v[i].n);

		json_array_append_new(a, json_string(text ? text : ""));
		free(text);
	}
	return a;
}

json_t *status_cluster(const struct status_input *in)
{
	const struct state *s = in->state;
	const struct order_voters *v = s->n_voters ? &s->voters[s->n_voters - 1] : NULL;
	json_t *ops = json_array();

	for (u32 i = 0; i < s->n_op; i++)
		json_array_append_new(ops, json_pack("{s:s, s:o, s:i}", "name", s->op[i].name, "key",
						     hex(s->op[i].pub, 32), "roles", (int)s->op[i].roles));
	return json_pack("{s:s, s:o, s:i, s:o, s:{s:I, s:I, s:I}, s:{s:I, s:o, s:s}, s:o, s:o, s:o, s:o}", "cluster", s->name, "id",
			 hex(s->cluster, 16), "generation", (int)s->generation, "root", hex(s->root, 32), "log", "index",
			 (json_int_t)s->applied, "commit", (json_int_t)in->order->commit, "term", (json_int_t)s->term,
			 "policy", "version", (json_int_t)s->policy.version, "digest", hex(s->policy.digest, CRYPTO_HASH),
			 "name", s->policy.name, "servers", nid_list(s, s->server_order, s->n_server), "voters",
			 nid_list(s, v ? v->nid : NULL, v ? v->n : 0), "operators", ops, "verdicts",
			 statements(&in->verdicts));
}

json_t *status_history(const struct state *s)
{
	json_t *a = json_array();

	for (u32 i = 0; i < s->n_history; i++) {
		const struct state_policy *p = &s->history[i];

		json_array_append_new(a, json_pack("{s:I, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "version",
						   (json_int_t)p->version, "digest", hex(p->digest, CRYPTO_HASH), "name",
						   p->name, "comment", p->comment, "author", p->author, "wall_ms",
						   (json_int_t)p->wall_ms, "index", (json_int_t)p->index, "size",
						   (json_int_t)p->size, "current", p->version == s->policy.version));
	}
	return json_pack("{s:o}", "versions", a);
}

json_t *status_log(struct log *g, u64 from, u32 max)
{
	json_t *a = json_array();
	u64 tail = log_tail(g);

	for (u64 i = log_next(g, from); i && i <= tail && max; i = log_next(g, i + 1), max--) {
		struct entry e;
		size_t n;
		const u8 *p = log_entry(g, i, &n);

		if (!p || entry_decode(&e, p, n))
			break;
		json_array_append_new(a, json_pack("{s:I, s:I, s:s, s:i, s:I, s:o}", "index", (json_int_t)e.index, "term",
						   (json_int_t)e.term, "type", entry_type_name(e.type), "author",
						   (int)e.author_nid, "wall_ms", (json_int_t)e.wall_ms, "hash",
						   hex(e.hash, CRYPTO_HASH)));
	}
	return json_pack("{s:o}", "entries", a);
}

json_t *status_refusals(const u64 *refusals)
{
	static const char *const text[] = {
#define X(name, text) [REFUSED_##name] = text,
		SESSION_REFUSAL_TABLE(X)
#undef X
	};
	json_t *o = json_object();

	for (u32 i = 0; i < REFUSED_COUNT; i++)
		if (refusals[i])
			json_object_set_new(o, text[i], json_integer((json_int_t)refusals[i]));
	return o;
}
