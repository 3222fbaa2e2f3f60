/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's shell: what the replica tells becomes privileged operations, reports and answers.
 *
 * Invariants: a verdict reaches the kernel in the callback that delivers it, before anything else is
 * done; a policy is handed to the kernel only when its entry is committed; the lease is what order says.
 */
#include "dsid/engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/channel_proxy.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "policies/image.h"

enum { MACKEY = 16 };

const char *engine_node_name(const struct engine *g, u32 nid)
{
	const struct state_node *n = state_node(replica_state(g->replica), nid);

	return n ? n->name : "";
}

/* --- nodes: state of the log -> kernel ------------------------------------------------------------------ */

/* A readmitted machine has a new number; its addresses are no longer the dead number's to block. */
static bool taken_over(const struct engine *g, const struct state_node *dead, u32 addr)
{
	const struct state *s = replica_state(g->replica);

	for (u32 i = 0; i < s->n_node; i++) {
		const struct state_node *n = &s->node[i];

		for (u32 a = 0; n->status == NODE_BOUND && n->nid != dead->nid && a < n->n_addr; a++)
			if (n->addr[a].len == dead->addr[addr].len &&
			    !memcmp(n->addr[a].bytes, dead->addr[addr].bytes, n->addr[a].len))
				return true;
	}
	return false;
}

static enum dsi_node_state kernel_state(const struct engine *g, const struct state_node *n)
{
	if (n->nid < LIM_NIDS && (g->isolated[n->nid / 8] & (1u << n->nid % 8)))
		return DSI_NODE_SUSPENDED;
	/* The kernel keeps a revoked node's addresses blocked: it must forget the number for the new one to have them. */
	if (n->status != NODE_BOUND && n->n_addr && taken_over(g, n, 0))
		return DSI_NODE_NONE;
	switch (n->status) {
	case NODE_BOUND:
		return replica_suspended(g->replica, n->nid) ? DSI_NODE_SUSPENDED : DSI_NODE_MEMBER;
	case NODE_SUSPENDED:
		return DSI_NODE_SUSPENDED;
	case NODE_REVOKED:
		return DSI_NODE_REVOKED;
	default:
		return DSI_NODE_NONE;
	}
}

/* Which label keys are in force: rises by one with each final verdict, which nothing takes back. Not with the group
 * key, as that is new in every term: whoever is away or slow for one view would be cut off from all others. */
static u32 label_keygen(const struct state *s)
{
	u32 n = 1;

	for (u32 i = 0; i < s->n_node; i++)
		n += s->node[i].status == NODE_REVOKED;
	return n;
}

/* Pairwise label keys: both ends derive the same from their KEM keys and that number. */
static int mac_key(struct engine *g, const struct state_node *n, u32 keygen, u8 ret[MACKEY])
{
	u8 info[16 + 4 + 4 + 8];
	struct wbuf w;

	wbuf_fixed(&w, info, sizeof(info));
	wbuf_bytes(&w, "dsi-syn-label\0\0", 16);
	wbuf_u32(&w, replica_state(g->replica)->generation);
	wbuf_u32(&w, keygen);
	wbuf_u64(&w, 0);
	return keys_derive(&g->keys, n->kem, info, sizeof(info), ret, MACKEY);
}

static void node_info_fill(struct engine *g, const struct state_node *n, u32 nclass, struct node_info *i)
{
	const struct state *s = replica_state(g->replica);

	memset(i, 0, sizeof(*i));
	i->nid = n->nid;
	i->state = kernel_state(g, n);
	i->nclass = nclass;
	for (u32 a = 0; a < n->n_addr && a < NODE_ADDRS_MAX; a++) {
		u8 *dst;

		if (n->status != NODE_BOUND && taken_over(g, n, a))
			continue;
		dst = i->addrs[i->n_addrs++].a;
		if (n->addr[a].len == 16)
			memcpy(dst, n->addr[a].bytes, 16);
		else {
			memcpy(dst, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
			memcpy(dst + 12, n->addr[a].bytes, 4);
		}
	}
	if (i->state != DSI_NODE_MEMBER || n->nid == replica_nid(g->replica))
		return;
	i->keygen = label_keygen(s);
	i->has_key = !mac_key(g, n, i->keygen, i->key);
	i->has_previous = i->keygen > 1 && !mac_key(g, n, i->keygen - 1, i->previous);
}

struct node_call {
	struct engine *g;
	u8 request[16];
	u32 nid, stage;
};

static void on_node_set(void *ctx, int code, const char *text, const void *p, size_t n)
{
	struct node_call *c = ctx;
	struct monop_node_done done = { 0 };

	if (code)
		log_err("node %s not set in the kernel: %s", engine_node_name(c->g, c->nid), text);
	if (!code && n == sizeof(done))
		memcpy(&done, p, sizeof(done));
	if (c->stage)
		verdict_ack(c->g, c->request, c->nid, c->stage, done.us);
	free(c);
}

/* nclass: for a number that the policy set in force does not know yet; what it knows stands. */
static void node_push(struct engine *g, const struct state_node *n, u32 nclass, const u8 *request, u32 stage)
{
	struct node_call *c = calloc(1, sizeof(*c));
	struct node_info i;
	int rc;

	if (!c)
		return;
	c->g = g;
	c->nid = n->nid;
	c->stage = stage;
	if (request)
		memcpy(c->request, request, sizeof(c->request));
	node_info_fill(g, n, nclass, &i);
	if (!g->kernel.can_enforce) { /* no kernel part: messages and certificates are refused all the same */
		on_node_set(c, 0, "", NULL, 0);
		return;
	}
	rc = enforce_call(g->enforce, MONOP_NODE_SET, &i, sizeof(i), on_node_set, c);
	crypto_wipe(&i, sizeof(i));
	if (rc) {
		log_err("node %s not handed to the kernel: %s", n->name, err_text(rc));
		free(c);
	}
}

void engine_isolate(struct engine *g, u32 nid, bool on)
{
	const struct state_node *n = state_node(replica_state(g->replica), nid);

	if (!n || nid >= LIM_NIDS)
		return;
	if (on)
		g->isolated[nid / 8] |= (u8)(1u << nid % 8);
	else
		g->isolated[nid / 8] &= (u8)~(1u << nid % 8);
	log_warning("node %s %s by hand, on this node alone", n->name, on ? "isolated" : "no longer isolated");
	node_push(g, n, DSI_NCLASS_MEMBER, NULL, 0);
}

/* The policy names nodes, its set in the kernel holds numbers: who enrolled after it was installed has one that the
 * set lacks. Only with the very image that is in force: another one may number its classes otherwise. */
static bool image_in_force(struct engine *g, struct image *img, u8 **ret_bytes)
{
	const struct state_policy *p = &replica_state(g->replica)->policy;
	bool same = g->policy_enforced == p->version ||
		    (g->kernel.policy_version == p->version && !memcmp(g->kernel.digest, p->digest, CRYPTO_HASH));
	size_t len;

	*ret_bytes = NULL;
	return p->version && same && !blob_get(replica_log(g->replica), p->digest, ret_bytes, &len, NULL) &&
	       !image_open(img, *ret_bytes, len, NULL);
}

static void nodes_push(struct engine *g)
{
	const struct state *s = replica_state(g->replica);
	u32 own = replica_nid(g->replica), door = 0;
	struct image img;
	bool named;
	u8 *bytes;

	if (!g->kernel.can_enforce)
		return;
	named = image_in_force(g, &img, &bytes);
	enforce_call(g->enforce, MONOP_NODE_OWN, &own, sizeof(own), NULL, NULL);
	for (u32 i = 0; i < s->n_node; i++)
		if (s->node[i].status != NODE_REMOVED || s->node[i].nid != own)
			node_push(g, &s->node[i], named ? image_nclass_of(&img, s->node[i].name) : DSI_NCLASS_MEMBER, NULL, 0);
	free(bytes);
	for (u32 i = 0; i < s->n_node; i++)
		door |= s->node[i].readmitted;
	enforce_call(g->enforce, MONOP_DOOR, &door, sizeof(door), NULL, NULL);
}

/* --- policy ------------------------------------------------------------------------------------------------ */

static void on_installed(void *ctx, int code, u64 version, const struct monop_committed *done, const char *text)
{
	struct engine *g = ctx;

	g->lagging = code;
	snprintf(g->detail, sizeof(g->detail), "%.*s", (int)sizeof(g->detail) - 1, text);
	if (code) {
		log_err("policy %llu not in force: %s; policy %llu stays", (unsigned long long)version, text,
			(unsigned long long)g->policy_enforced);
		g->policy_asked = 0;
	} else {
		g->policy_enforced = version;
		g->nodes_dirty = true; /* who enrolled while the set was filled */
		log_info("policy %llu in force: generation %u, swap %llu us, %u connections cut, %u open files stopped%s%s",
			 (unsigned long long)version, done->generation, (unsigned long long)done->swap_us,
			 done->sockets_destroyed, done->files_stopped, text[0] ? "; " : "", text);
	}
	report_send(g);
	engine_sync(g);
}

/* Also by digest: a version that a reform gave up may come again as another. */
static bool policy_asked(const struct engine *g)
{
	const struct state_policy *p = &replica_state(g->replica)->policy;

	return p->version == g->policy_asked && !memcmp(p->digest, g->asked_digest, CRYPTO_HASH);
}

static void policy_push(struct engine *g)
{
	const struct state *s = replica_state(g->replica);
	struct err e = { 0 };
	u8 *image;
	size_t len;

	if (!s->policy.version || policy_asked(g) || !g->kernel.can_enforce || install_busy(g->install))
		return;
	if (!g->policy_enforced && g->kernel.policy_version == s->policy.version &&
	    !memcmp(g->kernel.digest, s->policy.digest, CRYPTO_HASH)) {
		g->policy_enforced = g->kernel.policy_version; /* adopted: it never stopped being in force */
		report_send(g);
	}
	if (!blob_present(replica_log(g->replica), s->policy.digest)) {
		g->lagging = -DSI_ENOENT;
		snprintf(g->detail, sizeof(g->detail), "policy image not here yet");
		return;
	}
	if (blob_get(replica_log(g->replica), s->policy.digest, &image, &len, &e)) {
		g->lagging = e.code;
		snprintf(g->detail, sizeof(g->detail), "policy image: %.200s", e.text);
		return;
	}
	g->policy_asked = s->policy.version;
	memcpy(g->asked_digest, s->policy.digest, sizeof(g->asked_digest));
	install_policy(g->install, s->policy.version, s->policy.digest, image, len, s);
}

static void on_blob(void *ctx, int code)
{
	if (!code)
		engine_sync(ctx);
}

static void sync_now(void *ctx)
{
	struct engine *g = ctx;
	const struct state *s = replica_state(g->replica);

	g->sync_soon = false;
	if (!g->joined || !g->have_kernel)
		return;
	if (g->nodes_dirty) {
		g->nodes_dirty = false;
		nodes_push(g);
	}
	if (s->policy.version && !blob_present(replica_log(g->replica), s->policy.digest))
		replica_blob_fetch(g->replica, s->policy.digest, on_blob, g);
	else
		policy_push(g);
}

void engine_sync(struct engine *g)
{
	if (!g->sync_soon)
		g->sync_soon = !loop_defer(g->loop, sync_now, g);
}

/* --- what the replica tells ------------------------------------------------------------------------------- */

static void verdict_applied(struct engine *g, const struct entry *e, const struct state_result *r)
{
	const struct state_node *n = state_node(replica_state(g->replica), r->nid);

	g->verdicts = e->index;
	if (n)
		node_push(g, n, DSI_NCLASS_MEMBER, r->request, 2);
}

static void on_applied(void *ctx, const struct entry *e, const struct state_result *r, bool live)
{
	struct engine *g = ctx;

	if (r->code)
		log_warning("entry %llu (%s) refused: %s", (unsigned long long)e->index, entry_type_name(e->type), r->text);
	if (r->changed & (CHANGED_NODES | CHANGED_VERDICT))
		g->nodes_dirty = true;
	if (!live) {
		ring_applied(g->ring, e, false);
		return;
	}
	log_info("entry %llu committed: %s by node %u", (unsigned long long)e->index, entry_type_name(e->type), e->author_nid);
	if (e->type == ENTRY_VERDICT && !r->code)
		verdict_applied(g, e, r);
	enrol_on_applied(g, e, r);
	submit_on_applied(g, e, r);
	ring_applied(g->ring, e, true);
	engine_sync(g);
	/* The active server gives a vote to who has caught up: what was said when the view opened may be old by now. */
	if (state_learner(replica_state(g->replica), replica_nid(g->replica)))
		report_send(g);
}

/* What was derived from the wrong state is derived again; the policy too, which is asked for as if it were new. */
static void on_rebuilt(void *ctx, int code)
{
	struct engine *g = ctx;

	if (code == REPLICA_SNAPSHOT) { /* of what led to it we were told nothing: all follows from the state, once we join */
		g->nodes_dirty = true;
		g->policy_asked = 0;
		ring_rebuilt(g->ring);
		return;
	}
	g->lagging = code || replica_state(g->replica)->policy.version ? -DSI_EDIVERGED : 0;
	snprintf(g->detail, sizeof(g->detail), "%s", code ? "state contradicts the majority's, stopped: see the log" :
							    "state was not the majority's, made anew");
	g->nodes_dirty = true;
	g->policy_asked = 0;
	report_send(g);
	if (!code)
		engine_sync(g);
}

static void on_verdict_key(void *ctx, const struct entry *e, const u8 key[CRYPTO_KEY])
{
	struct engine *g = ctx;

	ring_verdict_key(g->ring, e, key);
}

static void on_suspended(void *ctx, u32 nid, const struct statement *st)
{
	struct engine *g = ctx;
	const struct state_node *n = state_node(replica_state(g->replica), nid);

	log_warning("node %s suspended by verdict", engine_node_name(g, nid));
	if (n)
		node_push(g, n, DSI_NCLASS_MEMBER, st->request, 1);
}

static void on_submit(struct engine *g, const struct body_submit *m)
{
	struct body_s_policy policy;
	struct statement st;
	struct arena a;

	if (m->kind != ENTRY_POLICY || !m->blob_from || statement_open(&st, m->statement.p, m->statement.n))
		return;
	arena_init(&a, 64 << 10);
	if (!body_decode(&schema_s_policy, st.body, st.body_len, &policy, &a))
		replica_blob_hint(g->replica, policy.digest, m->blob_from);
	arena_fini(&a);
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body)
{
	struct engine *g = ctx;

	switch (info->type) {
	case MSG_HELLO:
		census_hello(&g->census, from->nid, from->role, body);
		break;
	case MSG_SUBMIT:
		on_submit(g, body);
		break;
	case MSG_SUBMITTED:
		submit_on_submitted(g, body);
		enrol_on_submitted(g, body);
		break;
	case MSG_REPORT:
		census_report(&g->census, from->nid, body);
		submit_on_report(g, from->nid, body);
		break;
	case MSG_VERDICTACK:
		submit_on_verdictack(g, from->nid, body);
		break;
	case MSG_RING:
		ring_message(g->ring, from->nid, body);
		break;
	case MSG_DENIALS:
		denials_message(g->denials, from->nid, body);
		break;
	default:
		break;
	}
}

static void on_lease(void *ctx, u64 until)
{
	struct engine *g = ctx;

	/* Not live: nothing is renewed, and what was given runs out by itself. Taking it back here would cut every
	 * connection whenever some other node, or dsid itself, is started again. */
	if (!until || until == g->lease_until)
		return;
	g->lease_until = until;
	if (g->have_kernel && g->kernel.can_enforce)
		enforce_call(g->enforce, MONOP_LEASE, &until, sizeof(until), NULL, NULL);
}

static void on_role(void *ctx, bool active, u64 term, u32 active_nid)
{
	struct engine *g = ctx;

	log_info("term %llu, active server on %s", (unsigned long long)term, engine_node_name(g, active_nid));
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	struct engine *g = ctx;

	g->view = *v;
	g->have_view = true;
	log_info("view: %u members, %s", v->n, v->quorate ? "quorate" : "not quorate");
	report_send(g);
	ring_view(g->ring);
}

static void on_joined(void *ctx)
{
	struct engine *g = ctx;

	g->joined = true;
	g->nodes_dirty = true;
	engine_sync(g);
	ring_joined(g->ring);
	notify_status("joined");
}

static void on_alarm(void *ctx, u32 severity, const char *kind, const char *text)
{
	if (severity >= 2)
		log_err("%s: %s", kind, text);
	else
		log_warning("%s: %s", kind, text);
}

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	struct engine *g = ctx;

	if (kind == DIRECT_ENROL)
		enrol_request(ctx, rq, peer, p, n);
	else if (kind == DIRECT_URGENT)
		spread_request(ctx, rq, peer, p, n);
	else if (kind == DIRECT_SUBMIT)
		submit_foreign(ctx, rq, peer, p, n);
	else if (kind == DIRECT_RING)
		ring_request(g->ring, rq, peer, n);
	else
		direct_reply(rq, -DSI_EROLE, NULL, 0);
}

static int make_backend(void *ctx, struct gcs_backend **ret, const struct gcs_events *ev, void *ev_ctx, struct err *e)
{
	struct engine *g = ctx;

	return channel_proxy_new(ret, g->loop, g->channel_fd, ev, ev_ctx) ? err_set(e, -DSI_ENOMEM, "channel") : 0;
}

static const struct replica_ops replica_ops = {
	.applied = on_applied, .suspended = on_suspended, .rebuilt = on_rebuilt, .message = on_message, .lease = on_lease,
	.role = on_role, .view = on_view, .joined = on_joined, .alarm = on_alarm, .request = on_request,
	.verdict_key = on_verdict_key,
};

/* --- what the monitor tells ------------------------------------------------------------------------------- */

static void on_event(void *ctx, const struct dsi_event *ev)
{
	struct engine *g = ctx;

	denials_event(g->denials, ev);
}

static void on_kernel(void *ctx, const struct monop_kernel *k)
{
	struct engine *g = ctx;

	g->kernel = *k;
	g->have_kernel = true;
	if (k->can_enforce)
		log_info("kernel %s: %s, policy %llu%s", k->release, k->mode == DSI_MODE_ENFORCING ? "enforcing" : "not enforcing",
			 (unsigned long long)k->policy_version, k->adopted ? " (re-adopted)" : "");
	else
		log_warning("NOT ENFORCING: %s", k->text);
	report_send(g);
	engine_sync(g);
}

static void on_ring_answer(void *ctx, const u8 *p, size_t n)
{
	struct engine *g = ctx;

	ring_answered(g->ring, p, n);
}

static void on_drained(void *ctx)
{
	struct engine *g = ctx;

	install_drained(g->install);
}

static void on_closed(void *ctx, const char *why)
{
	struct engine *g = ctx;

	log_err("monitor: %s", why);
	loop_stop(g->loop, 1);
}

static const struct enforce_ops enforce_ops = {
	.event = on_event, .kernel = on_kernel, .drained = on_drained, .closed = on_closed, .ring = on_ring_answer,
};

/* --- life --------------------------------------------------------------------------------------------------- */

static void on_report_timer(void *ctx)
{
	report_send(ctx);
}

static void on_term(void *ctx)
{
	struct engine *g = ctx;

	loop_stop(g->loop, 0);
}

static int engine_open(struct engine *g, int monitor_fd, int keys_fd, struct err *e)
{
	struct replica_config rc = { .loop = g->loop, .role = ROLE_MANAGER, .keys = &g->keys, .listen = g->conf.listen,
				     .dir = g->conf.log_dir, .cluster = g->conf.cluster_file, .make_backend = make_backend };
	int code = keys_open(&g->keys, keys_fd, e);

	if (code)
		return err_wrap(e, "key service");
	snprintf(rc.node, sizeof(rc.node), "%s", g->conf.node);
	snprintf(rc.direct, sizeof(rc.direct), "%s", g->conf.direct);
	rc.n_peers = dsid_conf_peers(&g->conf, rc.peers);
	code = replica_new(&g->replica, &rc, &replica_ops, g, e);
	if (code)
		return code;
	g->denials = denials_new(g->loop, g->replica);
	g->enforce = enforce_new(g->loop, monitor_fd, &enforce_ops, g);
	g->install = g->enforce ? install_new(g->enforce, g->conf.node, on_installed, g) : NULL;
	g->report_timer = loop_timer_new(g->loop, on_report_timer, g);
	g->ring = ring_side_new(g);
	if (!g->denials || !g->install || !g->report_timer || !g->ring)
		return err_set(e, -DSI_ENOMEM, "engine");
	code = control_open(g, e);
	return code ? code : replica_start(g->replica, e);
}

int engine_run(const struct dsid_conf *conf, int monitor_fd, int keys_fd, int channel_fd)
{
	struct engine *g = calloc(1, sizeof(*g));
	struct err e = { 0 };
	int status = 1;

	if (!g || !(g->loop = loop_new()))
		return 1;
	g->conf = *conf;
	g->channel_fd = channel_fd;
	loop_signal(g->loop, SIGTERM, on_term, g);
	if (engine_open(g, monitor_fd, keys_fd, &e))
		log_err("%s", e.text);
	else {
		notify_ready();
		status = loop_run(g->loop);
	}
	submit_free(g);
	spread_free(g);
	enrol_free(g);
	control_free(g);
	install_free(g->install);
	denials_free(g->denials);
	ring_side_free(g->ring);
	replica_free(g->replica);
	enforce_free(g->enforce);
	loop_free(g->loop);
	free(g);
	return status;
}
