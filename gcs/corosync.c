/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The corosync backend. Must never sleep, never touch the CPG handle from another thread, never pass a
 * message on before its view, never use a ring without encryption. It owns the connection to the daemon
 * and the queue of what the daemon has not taken yet.
 *
 *   down ──connect──▶ joined ──own name in the member list, ring ids agree──▶ announced
 *     ▲───────── any CS_ERR_LIBRARY, lost crypto, stalled reader ──────────────────┘
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "gcs/corosync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <corosync/cmap.h>
#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>

enum { PRIOS = 3, DISPATCH_BATCH = 64, FLUSH_BATCH = 64, NODES_MAX = 384, HELD_MAX = 4096 };

#define MSEC 1000000ull
static const u64 backoff_min = 200 * MSEC, backoff_max = 5000 * MSEC;
static const u64 retry_min = 2 * MSEC, retry_max = 50 * MSEC;
static const u64 agree_ns = 10000 * MSEC; /* quorum may lag behind CPG so long */

struct queued {
	STAILQ_ENTRY(queued) next;
	struct gcs_member from; /* of held ones */
	size_t n;
	u8 p[];
};
STAILQ_HEAD(queue, queued);

struct corosync {
	struct gcs_backend b;
	struct loop *loop;
	const struct corosync_ops *ops;
	void *ctx;
	struct cpg_name group;

	cpg_handle_t cpg;
	quorum_handle_t quorum;
	cmap_handle_t cmap;
	bool have_cpg, have_quorum, have_cmap, joined;
	struct loop_fd *cpg_fd, *quorum_fd;
	struct loop_timer *connect_timer, *flush_timer, *stall_timer;
	u64 backoff, retry;
	const char *broken;    /* set in callbacks, acted upon when the library is off the stack */
	char why[256];         /* last reason told */

	bool reader_full; /* corosync_pause */
	bool waiting;     /* for quorum to reach CPG's ring: nothing is taken from CPG */
	bool wait_totem;  /* nodes came or went: the ring callback of this change is still to come */

	bool ring_known;
	struct gcs_ring ring;
	u32 totem[NODES_MAX];
	u32 n_totem;
	struct gcs_member members[CPG_MEMBERS_MAX];
	u32 n_members;

	bool quorum_known, quorate;
	struct gcs_ring quorum_ring;
	u32 voters[NODES_MAX];
	u32 n_voters;

	bool announced;
	struct gcs_view view;
	bool unsettled;    /* members or ring changed and the view is not told yet */
	struct queue held; /* what was delivered meanwhile: it belongs to the view to come */
	u32 n_held;

	struct queue queue[PRIOS];
	u32 n_queued;
};

static struct corosync *of(struct gcs_backend *b)
{
	return container_of(b, struct corosync, b);
}

static bool ring_same(const struct gcs_ring *a, const struct gcs_ring *b)
{
	return a->nodeid == b->nodeid && a->seq == b->seq;
}

/* --- what the daemon's map says ------------------------------------------------------------------ */

static u32 map_u32(struct corosync *c, const char *key, u32 otherwise)
{
	uint32_t v;

	return cmap_get_uint32(c->cmap, key, &v) == CS_OK ? v : otherwise;
}

static bool map_is(struct corosync *c, const char *key, const char *value, bool absent)
{
	char *s = NULL;
	bool is;

	if (cmap_get_string(c->cmap, key, &s) != CS_OK)
		return absent;
	is = strcmp(s, value) == 0;
	free(s);
	return is;
}

/* secauth=on means aes256/sha256 unless the two keys say otherwise; only knet encrypts. */
static const char *ring_is_open(struct corosync *c)
{
	bool secauth = map_is(c, "totem.secauth", "on", false) || map_is(c, "totem.secauth", "yes", false);

	if (!map_is(c, "totem.transport", "knet", true))
		return "the ring is not encrypted: set totem.transport to knet in /etc/corosync/corosync.conf";
	if (map_is(c, "totem.crypto_cipher", "none", !secauth) || map_is(c, "totem.crypto_hash", "none", !secauth))
		return "the ring is not encrypted: make a key with corosync-keygen, set totem.crypto_cipher: aes256 and "
		       "totem.crypto_hash: sha256 in /etc/corosync/corosync.conf on every node, restart corosync";
	return NULL;
}

static u64 map_ms(struct corosync *c, const char *key, u32 otherwise)
{
	return map_u32(c, key, otherwise) * MSEC;
}

static u32 node_votes(struct corosync *c, unsigned at)
{
	char key[CMAP_KEYNAME_MAXLEN + 1];

	snprintf(key, sizeof(key), "nodelist.node.%u.quorum_votes", at);
	return map_u32(c, key, 1);
}

static bool listed(const u32 *list, u32 n, u32 nodeid)
{
	for (u32 i = 0; i < n; i++)
		if (list[i] == nodeid)
			return true;
	return false;
}

static void read_votes(struct corosync *c, struct gcs_view *v)
{
	char key[CMAP_KEYNAME_MAXLEN + 1];
	cmap_iter_handle_t it;
	size_t len;
	cmap_value_types_t type;
	unsigned at;
	int end;

	if (cmap_iter_init(c->cmap, "nodelist.node.", &it) != CS_OK)
		return;
	while (cmap_iter_next(c->cmap, it, key, &len, &type) == CS_OK) {
		end = 0;
		if (sscanf(key, "nodelist.node.%u.nodeid%n", &at, &end) != 1 || end == 0 || key[end] != '\0')
			continue;
		u32 votes = node_votes(c, at);
		v->expected += votes;
		if (listed(c->voters, c->n_voters, map_u32(c, key, 0)))
			v->total += votes;
	}
	cmap_iter_finalize(c->cmap, it);
	v->expected = map_u32(c, "quorum.expected_votes", v->expected);
}

/* --- losing and finding the daemon --------------------------------------------------------------- */

static void queue_free(struct corosync *c)
{
	for (int i = 0; i < PRIOS; i++) {
		struct queued *q;

		while ((q = STAILQ_FIRST(&c->queue[i]))) {
			STAILQ_REMOVE_HEAD(&c->queue[i], next);
			free(q);
		}
	}
}

static void queue_drop(struct corosync *c)
{
	u32 n = c->n_queued;

	queue_free(c);
	c->n_queued = 0;
	if (n && c->ops->sent)
		c->ops->sent(c->ctx, n);
}

static void disconnect(struct corosync *c)
{
	loop_fd_free(c->cpg_fd);
	loop_fd_free(c->quorum_fd);
	c->cpg_fd = c->quorum_fd = NULL;
	if (c->have_cpg)
		cpg_finalize(c->cpg);
	if (c->have_quorum)
		quorum_finalize(c->quorum);
	if (c->have_cmap)
		cmap_finalize(c->cmap);
	c->have_cpg = c->have_quorum = c->have_cmap = c->joined = false;
	c->ring_known = c->quorum_known = c->waiting = c->wait_totem = false;
	c->n_members = 0;
	c->broken = NULL;
}

static void held_drop(struct corosync *c)
{
	struct queued *m;

	while ((m = STAILQ_FIRST(&c->held))) {
		STAILQ_REMOVE_HEAD(&c->held, next);
		free(m);
	}
	c->n_held = 0;
}

/* First say that there is no view, then tidy up: finalizing a dead daemon's handles takes seconds. */
static void lost(struct corosync *c, const char *why)
{
	bool tell = c->announced || strcmp(why, c->why) != 0;
	char text[sizeof(c->why)];

	snprintf(text, sizeof(text), "%s", why); /* it may be c->why itself */
	memcpy(c->why, text, sizeof(text));
	c->announced = false;
	c->unsettled = false;
	held_drop(c);
	if (tell)
		c->ops->events.down(c->ctx, c->why);
	loop_timer_set(c->flush_timer, 0);
	loop_timer_set(c->stall_timer, 0);
	queue_drop(c);
	disconnect(c);
	if (!c->reader_full)
		loop_timer_set(c->connect_timer, c->backoff);
	c->backoff = MIN(c->backoff * 2, backoff_max);
}

static const char *cs_text(cs_error_t rc)
{
	switch (rc) {
	case CS_ERR_LIBRARY:
		return "corosync is not running";
	case CS_ERR_TRY_AGAIN:
		return "corosync is not ready yet";
	case CS_ERR_ACCESS:
	case CS_ERR_SECURITY:
		return "corosync refuses us: allow this user with a file in /etc/corosync/uidgid.d and reload corosync";
	case CS_ERR_NO_SPACE:
		return "corosync: no space: /dev/shm is full";
	default:
		return NULL;
	}
}

static void lost_cs(struct corosync *c, const char *doing, cs_error_t rc)
{
	char text[128];

	if (cs_text(rc)) {
		lost(c, cs_text(rc));
		return;
	}
	snprintf(text, sizeof(text), "corosync: %s: error %d", doing, (int)rc);
	lost(c, text);
}

/* Anyone can bind the abstract socket @cpg before corosync does. */
static bool daemon_is_root(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	return cred.uid == 0 || cred.uid == geteuid();
}

/* --- queue --------------------------------------------------------------------------------------- */

static bool may_send(const struct corosync *c)
{
	return c->announced && !c->waiting && !c->wait_totem && c->n_queued > 0;
}

/* Never from inside a library callback: a failed send finalizes the handle. */
static void flush_soon(struct corosync *c)
{
	if (!loop_timer_active(c->flush_timer))
		loop_timer_set(c->flush_timer, 1);
}

static cs_error_t send_one(struct corosync *c, struct queue *q)
{
	struct queued *m = STAILQ_FIRST(q);
	struct iovec iov = { .iov_base = m->p, .iov_len = m->n };
	cs_error_t rc = cpg_mcast_joined(c->cpg, CPG_TYPE_AGREED, &iov, 1);

	if (rc == CS_ERR_TRY_AGAIN || rc == CS_ERR_LIBRARY || rc == CS_ERR_BAD_HANDLE)
		return rc;
	/* taken; or refused for a reason of its own, which trying again would not change */
	STAILQ_REMOVE_HEAD(q, next);
	free(m);
	c->n_queued--;
	return CS_OK;
}

static struct queue *queue_first(struct corosync *c)
{
	for (int i = 0; i < PRIOS; i++)
		if (!STAILQ_EMPTY(&c->queue[i]))
			return &c->queue[i];
	return NULL;
}

static void flush(void *ctx)
{
	struct corosync *c = ctx;
	cs_error_t rc = CS_OK;
	u32 sent = 0;

	while (may_send(c) && sent < FLUSH_BATCH && rc == CS_OK) {
		rc = send_one(c, queue_first(c));
		if (rc == CS_OK)
			sent++;
	}
	if (sent && c->ops->sent)
		c->ops->sent(c->ctx, sent);
	if (rc == CS_OK) {
		c->retry = retry_min;
		if (may_send(c))
			flush_soon(c); /* let the others have a turn */
	} else if (rc == CS_ERR_TRY_AGAIN) {
		loop_timer_set(c->flush_timer, c->retry);
		c->retry = MIN(c->retry * 2, retry_max);
	} else {
		lost_cs(c, "send", rc);
	}
}

static int corosync_send(struct gcs_backend *b, enum gcs_prio prio, const void *p, size_t n)
{
	struct corosync *c = of(b);
	struct queued *m;

	if (n > LIM_RING_MSG || (unsigned)prio >= PRIOS)
		return -DSI_ELIMIT;
	if (!c->announced)
		return -DSI_ENOTCONN;
	if (c->n_queued >= LIM_QUEUE)
		return -DSI_EAGAIN;
	m = malloc(sizeof(*m) + n);
	if (!m)
		return -DSI_EAGAIN;
	m->n = n;
	memcpy(m->p, p, n);
	STAILQ_INSERT_TAIL(&c->queue[prio], m, next);
	c->n_queued++;
	flush_soon(c);
	return 0;
}

/* --- views --------------------------------------------------------------------------------------- */

static void watch(struct corosync *c)
{
	bool take = !c->reader_full && !c->waiting;

	loop_fd_set(c->cpg_fd, take ? LOOP_READ : 0);
	if (take)
		loop_timer_set(c->stall_timer, 0);
	else if (!loop_timer_active(c->stall_timer))
		loop_timer_set(c->stall_timer, c->waiting ? agree_ns : COROSYNC_STALL_NS);
}

static void on_stall(void *ctx)
{
	struct corosync *c = ctx;

	lost(c, c->waiting ? "corosync: CPG and quorum do not agree on the ring" :
			     "left the group: messages are not taken fast enough");
}

static int member_order(const void *a, const void *b)
{
	const struct gcs_member *x = a, *y = b;

	if (x->nodeid != y->nodeid)
		return x->nodeid < y->nodeid ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Members that CPG lists but totem does not have are ghosts (facts: corosync.md rule 7). */
static void view_members(const struct corosync *c, struct gcs_view *v)
{
	for (u32 i = 0; i < c->n_members && v->n < LIM_NODES; i++)
		if (listed(c->totem, c->n_totem, c->members[i].nodeid))
			v->members[v->n++] = c->members[i];
	qsort(v->members, v->n, sizeof(v->members[0]), member_order);
}

static bool has_self(const struct corosync *c, const struct gcs_view *v)
{
	for (u32 i = 0; i < v->n; i++)
		if (v->members[i].nodeid == c->b.self.nodeid && v->members[i].pid == c->b.self.pid)
			return true;
	return false;
}

static bool view_same(const struct gcs_view *a, const struct gcs_view *b)
{
	return ring_same(&a->ring, &b->ring) && a->n == b->n &&
	       memcmp(a->members, b->members, a->n * sizeof(a->members[0])) == 0;
}

static void view_build(struct corosync *c, struct gcs_view *v)
{
	memset(v, 0, sizeof(*v));
	v->ring = c->ring;
	v->quorate = c->quorate && ring_same(&c->ring, &c->quorum_ring);
	v->token_ns = map_ms(c, "runtime.config.totem.token", 3000);
	v->consensus_ns = map_ms(c, "runtime.config.totem.consensus", 3600);
	read_votes(c, v);
	view_members(c, v);
}

static void held_flush(struct corosync *c)
{
	struct queued *m;

	while ((m = STAILQ_FIRST(&c->held)) && !c->broken && !c->reader_full) {
		STAILQ_REMOVE_HEAD(&c->held, next);
		c->n_held--;
		c->ops->events.deliver(c->ctx, m->from, m->p, m->n);
		free(m);
	}
}

/* The ring callback of a join comes behind the first messages of the new view (seen on a slow machine): they
 * wait for the view, or this member alone would have missed them. */
static void hold(struct corosync *c, struct gcs_member from, const void *p, size_t n)
{
	struct queued *m = c->n_held < HELD_MAX ? malloc(sizeof(*m) + n) : NULL;

	if (!m) {
		c->broken = "corosync: too many messages before the view they belong to";
		return;
	}
	m->from = from;
	m->n = n;
	memcpy(m->p, p, n);
	STAILQ_INSERT_TAIL(&c->held, m, next);
	c->n_held++;
}

static void tell_view(struct corosync *c, const struct gcs_view *v)
{
	bool news = !c->announced || !view_same(v, &c->view);

	c->view = *v;
	c->announced = true;
	c->unsettled = false;
	c->why[0] = '\0';
	c->backoff = backoff_min;
	if (news)
		c->ops->events.view(c->ctx, &c->view);
	else if (c->ops->events.quorum)
		c->ops->events.quorum(c->ctx, &c->view);
	held_flush(c);
}

static void announce(struct corosync *c)
{
	struct gcs_view v;
	const char *open;

	if (!c->joined || !c->ring_known || c->wait_totem || c->n_members == 0)
		return;
	c->waiting = !c->quorum_known || c->quorum_ring.seq < c->ring.seq;
	watch(c);
	if (c->waiting)
		return;
	open = ring_is_open(c);
	if (open) {
		c->broken = open;
		return;
	}
	view_build(c, &v);
	if (!has_self(c, &v)) {
		if (c->announced)
			c->broken = "corosync: evicted from the group";
		return;
	}
	tell_view(c, &v);
	flush_soon(c);
}

/* --- callbacks of the libraries ------------------------------------------------------------------ */

static struct corosync *cpg_ctx(cpg_handle_t h)
{
	void *ctx = NULL;

	cpg_context_get(h, &ctx);
	return ctx;
}

static void on_deliver(cpg_handle_t h, const struct cpg_name *group, uint32_t nodeid, uint32_t pid, void *msg,
		       size_t n)
{
	struct corosync *c = cpg_ctx(h);
	struct gcs_member from = { .nodeid = nodeid, .pid = pid };

	(void)group;
	if (c->broken || n > LIM_RING_MSG)
		return;
	if (!c->announced || c->unsettled || c->n_held > 0)
		hold(c, from, msg, n);
	else
		c->ops->events.deliver(c->ctx, from, msg, n);
}

static bool of_nodes(const struct cpg_address *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].reason == CPG_REASON_NODEDOWN || list[i].reason == CPG_REASON_NODEUP)
			return true;
	return false;
}

/* Only the member list counts; what left or joined differs from node to node. */
static void on_confchg(cpg_handle_t h, const struct cpg_name *group, const struct cpg_address *m, size_t n,
		       const struct cpg_address *left, size_t n_left, const struct cpg_address *joined, size_t n_joined)
{
	struct corosync *c = cpg_ctx(h);

	(void)group;
	if (n > CPG_MEMBERS_MAX) {
		c->broken = "corosync: too many members";
		return;
	}
	for (size_t i = 0; i < n; i++)
		c->members[i] = (struct gcs_member){ .nodeid = m[i].nodeid, .pid = m[i].pid };
	c->n_members = (u32)n;
	c->unsettled = true;
	if (of_nodes(left, n_left) || of_nodes(joined, n_joined))
		c->wait_totem = true;
	announce(c);
}

static void on_totem(cpg_handle_t h, struct cpg_ring_id ring, uint32_t n, const uint32_t *list)
{
	struct corosync *c = cpg_ctx(h);

	c->ring = (struct gcs_ring){ .nodeid = ring.nodeid, .seq = ring.seq };
	c->ring_known = true;
	c->unsettled = true;
	c->wait_totem = false;
	c->n_totem = MIN(n, (u32)NODES_MAX);
	memcpy(c->totem, list, c->n_totem * sizeof(c->totem[0]));
	announce(c);
}

static void on_quorum(quorum_handle_t h, uint32_t quorate, struct quorum_ring_id ring, uint32_t n, const uint32_t *list)
{
	const void *ctx = NULL;
	struct corosync *c;

	quorum_context_get(h, &ctx);
	c = (struct corosync *)(uintptr_t)ctx;
	c->quorate = quorate;
	c->quorum_ring = (struct gcs_ring){ .nodeid = ring.nodeid, .seq = ring.seq };
	c->quorum_known = true;
	c->n_voters = MIN(n, (u32)NODES_MAX);
	memcpy(c->voters, list, c->n_voters * sizeof(c->voters[0]));
	announce(c);
}

/* A node that restarted within one change is in both lists; the plain callback hides that. Nothing to do
 * here: it is another ring, and in another ring everybody begins anew with a HELLO of his incarnation. */
static void on_nodelist(quorum_handle_t h, struct quorum_ring_id ring, uint32_t n, const uint32_t *list,
			uint32_t n_joined, const uint32_t *joined, uint32_t n_left, const uint32_t *left)
{
	(void)h, (void)ring, (void)n, (void)list, (void)n_joined, (void)joined, (void)n_left, (void)left;
}

static void on_cpg_fd(void *ctx, int events)
{
	struct corosync *c = ctx;
	cs_error_t rc = CS_OK;

	(void)events;
	for (int i = 0; i < DISPATCH_BATCH && rc == CS_OK; i++) {
		if (c->waiting || c->reader_full || c->broken)
			break;
		rc = cpg_dispatch(c->cpg, CS_DISPATCH_ONE_NONBLOCKING);
	}
	if (c->broken)
		lost(c, c->broken);
	else if (rc != CS_OK && rc != CS_ERR_TRY_AGAIN)
		lost_cs(c, "dispatch", rc);
	else if (may_send(c))
		flush(c); /* deliveries make room */
}

static void on_quorum_fd(void *ctx, int events)
{
	struct corosync *c = ctx;
	cs_error_t rc;

	(void)events;
	rc = quorum_dispatch(c->quorum, CS_DISPATCH_ALL);
	if (c->broken)
		lost(c, c->broken);
	else if (rc != CS_OK && rc != CS_ERR_TRY_AGAIN)
		lost_cs(c, "quorum dispatch", rc);
}

/* --- connecting ---------------------------------------------------------------------------------- */

static cs_error_t connect_cmap(struct corosync *c)
{
	cs_error_t rc = cmap_initialize(&c->cmap);

	c->have_cmap = rc == CS_OK;
	return rc;
}

static cs_error_t connect_cpg(struct corosync *c)
{
	cpg_model_v1_data_t model = {
		.model = CPG_MODEL_V1,
		.cpg_deliver_fn = on_deliver,
		.cpg_confchg_fn = on_confchg,
		.cpg_totem_confchg_fn = on_totem,
		.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF,
	};
	unsigned int nodeid;
	cs_error_t rc;
	int fd;

	rc = cpg_model_initialize(&c->cpg, CPG_MODEL_V1, (cpg_model_data_t *)&model, c);
	c->have_cpg = rc == CS_OK;
	if (rc == CS_OK)
		rc = cpg_local_get(c->cpg, &nodeid);
	if (rc == CS_OK)
		rc = cpg_fd_get(c->cpg, &fd);
	if (rc != CS_OK)
		return rc;
	c->b.self = (struct gcs_member){ .nodeid = nodeid, .pid = (u32)getpid() };
	if (!daemon_is_root(fd)) {
		c->broken = "what listens as corosync does not belong to root";
		return CS_OK;
	}
	c->cpg_fd = loop_fd_new(c->loop, fd, LOOP_READ, on_cpg_fd, c);
	return c->cpg_fd ? CS_OK : CS_ERR_NO_MEMORY;
}

static cs_error_t connect_quorum(struct corosync *c)
{
	quorum_model_v1_data_t model = {
		.model = QUORUM_MODEL_V1,
		.quorum_notify_fn = on_quorum,
		.nodelist_notify_fn = on_nodelist,
	};
	u32 type = QUORUM_FREE;
	cs_error_t rc;
	int fd;

	rc = quorum_model_initialize(&c->quorum, QUORUM_MODEL_V1, (quorum_model_data_t *)&model, &type, c);
	c->have_quorum = rc == CS_OK;
	if (rc == CS_OK && type != QUORUM_SET)
		c->broken = "corosync has no quorum: set quorum.provider: corosync_votequorum in "
			    "/etc/corosync/corosync.conf";
	if (rc == CS_OK)
		rc = quorum_fd_get(c->quorum, &fd);
	if (rc != CS_OK)
		return rc;
	c->quorum_fd = loop_fd_new(c->loop, fd, LOOP_READ, on_quorum_fd, c);
	if (!c->quorum_fd)
		return CS_ERR_NO_MEMORY;
	return quorum_trackstart(c->quorum, CS_TRACK_CHANGES);
}

static cs_error_t join(struct corosync *c)
{
	cs_error_t rc = cpg_join(c->cpg, &c->group);

	c->joined = rc == CS_OK;
	return rc;
}

static void try_connect(void *ctx)
{
	static const struct {
		cs_error_t (*fn)(struct corosync *c);
		const char *doing;
	} steps[] = {
		{ connect_cmap, "connect to cmap" },
		{ connect_cpg, "connect to cpg" },
		{ connect_quorum, "connect to quorum" },
		{ join, "join the group" },
	};
	struct corosync *c = ctx;
	cs_error_t rc;

	if (c->reader_full || c->have_cpg)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		rc = steps[i].fn(c);
		if (rc != CS_OK) {
			lost_cs(c, steps[i].doing, rc);
			return;
		}
		if (i == 0 && !c->broken)
			c->broken = ring_is_open(c);
		if (c->broken) {
			lost(c, c->broken);
			return;
		}
	}
}

void corosync_pause(struct gcs_backend *b, bool pause)
{
	struct corosync *c = of(b);

	if (c->reader_full == pause)
		return;
	c->reader_full = pause;
	if (!pause && c->announced && !c->unsettled)
		held_flush(c); /* may fill the reader again */
	if (c->have_cpg)
		watch(c);
	else if (!c->reader_full)
		loop_timer_set(c->connect_timer, c->backoff);
}

static void corosync_free(struct gcs_backend *b)
{
	struct corosync *c = of(b);

	if (c->have_cpg && c->joined)
		cpg_leave(c->cpg, &c->group);
	disconnect(c);
	queue_free(c);
	held_drop(c);
	loop_timer_free(c->connect_timer);
	loop_timer_free(c->flush_timer);
	loop_timer_free(c->stall_timer);
	free(c);
}

static void corosync_again(struct gcs_backend *b)
{
	struct corosync *c = of(b);

	if (!c->have_cpg)
		return; /* it will join anyway */
	if (c->joined)
		cpg_leave(c->cpg, &c->group);
	c->backoff = backoff_min;
	lost(c, "left the group to join it again");
}

int corosync_new(struct gcs_backend **ret, struct loop *l, const char *group, const struct corosync_ops *ops, void *ctx)
{
	struct corosync *c;

	if (strlen(group) >= CPG_MAX_NAME_LENGTH)
		return -DSI_EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -DSI_ENOMEM;
	c->b.send = corosync_send;
	c->b.free = corosync_free;
	c->b.again = corosync_again;
	c->loop = l;
	c->ops = ops;
	c->ctx = ctx;
	c->backoff = backoff_min;
	c->retry = retry_min;
	c->group.length = (u32)strlen(group); /* without the NUL, on every node */
	memcpy(c->group.value, group, strlen(group));
	for (int i = 0; i < PRIOS; i++)
		STAILQ_INIT(&c->queue[i]);
	STAILQ_INIT(&c->held);
	c->connect_timer = loop_timer_new(l, try_connect, c);
	c->flush_timer = loop_timer_new(l, flush, c);
	c->stall_timer = loop_timer_new(l, on_stall, c);
	if (!c->connect_timer || !c->flush_timer || !c->stall_timer) {
		corosync_free(&c->b);
		return -DSI_ENOMEM;
	}
	loop_timer_set(c->connect_timer, 1);
	*ret = &c->b;
	return 0;
}
