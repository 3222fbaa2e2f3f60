/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The privileged operations, on kernel/. Sizes and phases are checked by the table before an operation runs;
 * ranges inside records by kernel/mapset.c.
 */
#include <stdio.h>
#include <string.h>

#include "dsid/monitor.h"
#include "lib/log.h"

static const u64 MS = 1000000;
enum { SWEEP_MS = 500, RETRY_MS = 5000, MISSING_SHOWN = 32 };

struct answer {
	struct monop_reply head;
	u8 data[sizeof(struct monop_kernel)];
	size_t n;
};

static int fail(struct answer *a, int code, const struct err *e)
{
	snprintf(a->head.text, sizeof(a->head.text), "%.*s", (int)sizeof(a->head.text) - 1, e->text[0] ? e->text : err_text(code));
	return code;
}

static void give(struct answer *a, const void *p, size_t n)
{
	assert(n <= sizeof(a->data));
	memcpy(a->data, p, n);
	a->n = n;
}

/* The first error of a set sticks; the set ends with COMMIT or ABORT. */
static int set_fail(struct monitor *m, struct answer *a, int code, const struct err *e)
{
	fail(a, code, e);
	if (!m->set_code) {
		m->set_code = code;
		snprintf(m->set_text, sizeof(m->set_text), "%s", a->head.text);
	}
	return code;
}

static int set_stuck(struct monitor *m, struct answer *a)
{
	snprintf(a->head.text, sizeof(a->head.text), "%s", m->set_text);
	return m->set_code;
}

static void set_end(struct monitor *m)
{
	mapset_abort(m->set);
	m->set = NULL;
	m->in_set = false;
	m->set_code = 0;
}

static int op_policy_begin(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct mapset_head head = { 0 };
	struct monop_begin b;
	struct err e = { 0 };
	int rc;

	memcpy(&b, p, sizeof(b));
	head.policy_version = b.policy_version;
	head.policy_flags = b.policy_flags;
	memcpy(head.counts, b.counts, sizeof(head.counts));
	memcpy(head.digest, b.digest, sizeof(head.digest));
	m->in_set = true;
	m->set_code = 0;
	rc = mapset_begin(m->kern, &head, &m->set, &e);
	return rc ? set_fail(m, a, rc, &e) : 0;
}

static int op_policy_put(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct err e = { 0 };
	u32 kind, count;
	size_t size;
	int rc;

	if (m->set_code)
		return set_stuck(m, a);
	memcpy(&kind, p, 4);
	memcpy(&count, p + 4, 4);
	size = mapset_record_size(kind);
	if (!size || !count || count > (n - MONOP_PUT_HEAD) / size || count * size != n - MONOP_PUT_HEAD) {
		err_set(&e, -DSI_EINVAL, "records of a wrong size");
		return set_fail(m, a, -DSI_EINVAL, &e);
	}
	rc = mapset_put(m->set, kind, p + MONOP_PUT_HEAD, count, &e);
	return rc ? set_fail(m, a, rc, &e) : 0;
}

void monop_guard_follow(struct monitor *m)
{
	u32 before = m->kernel.guard;
	bool fits = kern_guard_fits(m->kern), on = kern_state(m->kern)->guard == DSI_GUARD_ON, want = m->conf.guard && fits;
	struct err e = { 0 };

	if (want && !on && kern_guard_set(m->kern, DSI_GUARD_ON, &e))
		log_warning("guard: stays OFF: %s", e.text);
	else if (want && !on)
		log_info("guard: on, only DSI's own programs touch what is DSI's");
	if (!want && on && !kern_guard_set(m->kern, DSI_GUARD_OFF, &e))
		log_warning("guard: OFF: %s", m->conf.guard ? "the policy in force does not give dsid the context dsi" : "guard = off in dsid.conf");
	monop_kernel_fill(m);
	if (m->kernel.guard != before)
		link_send(m->engine, true, UP_KERNEL, 0, &m->kernel, sizeof(m->kernel), -1);
}

static int op_policy_commit(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct mapset_report r = { 0 };
	struct mapset_missing miss;
	struct monop_committed done = { 0 };
	struct err e = { 0 };
	int rc;

	if (m->set_code) {
		rc = set_stuck(m, a);
		set_end(m);
		return rc;
	}
	rc = mapset_commit(m->set, &r, &e);
	m->set = NULL; /* freed in any case */
	set_end(m);
	if (r.guard_lost)
		log_warning("guard: OFF: the new policy does not give dsid the context dsi");
	monop_guard_follow(m);
	if (rc)
		return fail(a, rc, &e);
	done = (struct monop_committed){
		.generation = r.generation, .missing = r.missing, .tasks_labelled = r.tasks_labelled,
		.sockets_destroyed = r.sweep.sockets_destroyed, .files_stopped = r.sweep.files_stopped,
		.mappings_stopped = r.sweep.mappings_stopped, .arm_us = r.arm_us, .swap_us = r.swap_us,
		.sweep_us = r.sweep_us, .total_us = r.total_us,
	};
	if (r.missing && mapset_missing(m->kern, 0, &miss))
		snprintf(done.missing_path, sizeof(done.missing_path), "%s", miss.path);
	for (u32 i = 0; i < MIN(r.missing, (u32)MISSING_SHOWN) && mapset_missing(m->kern, i, &miss); i++)
		log_info("policy names %s: %s", miss.path, strerror(miss.error));
	give(a, &done, sizeof(done));
	if (sweep_pending(m->kern))
		loop_timer_set(m->sweep_timer, SWEEP_MS * MS);
	if (r.missing)
		loop_timer_set(m->retry_timer, RETRY_MS * MS);
	return 0;
}

static int op_policy_abort(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	set_end(m);
	return 0;
}

static int op_node_set(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct sweep_report sweep = { 0 };
	struct monop_node_done done = { 0 };
	struct node_info info;
	struct err e = { 0 };
	u64 began = loop_boottime();
	int rc;

	memcpy(&info, p, sizeof(info));
	if (info.n_addrs > NODE_ADDRS_MAX || info.state >= DSI_NODE_STATE_COUNT)
		return fail(a, -DSI_EINVAL, &e);
	rc = node_set(m->kern, &info, &sweep, &e);
	explicit_bzero(&info.key, sizeof(info.key));
	explicit_bzero(&info.previous, sizeof(info.previous));
	if (rc)
		return fail(a, rc, &e);
	done.nid = info.nid;
	done.sockets_destroyed = sweep.sockets_destroyed;
	done.us = (loop_boottime() - began) / 1000;
	give(a, &done, sizeof(done));
	return 0;
}

static int op_node_own(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct err e = { 0 };
	u32 nid;
	int rc;

	memcpy(&nid, p, sizeof(nid));
	rc = node_own_set(m->kern, nid, &e);
	return rc ? fail(a, rc, &e) : 0;
}

static int op_lease(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	u64 until;

	memcpy(&until, p, sizeof(until));
	lease_set(m->kern, until);
	return 0;
}

static int op_labels_retry(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct err e = { 0 };
	u32 fixed;
	int rc = kern_labels_retry(m->kern, &fixed, &e);

	if (rc)
		return fail(a, rc, &e);
	give(a, &fixed, sizeof(fixed));
	return 0;
}

static int op_kernel(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	monop_kernel_fill(m);
	give(a, &m->kernel, sizeof(m->kernel));
	return 0;
}

static u16 port_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	unsigned port = 0;

	if (colon)
		sscanf(colon + 1, "%5u", &port);
	return (u16)port;
}

static int op_door(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct err e = { 0 };
	u32 open;
	int rc;

	memcpy(&open, p, sizeof(open));
	struct dsi_exempt list[] = {
		{ .port = (u16)m->conf.ring_port, .proto = 17, .flags = DSI_EXEMPT_LABEL | DSI_EXEMPT_REVOKED },
		{ .port = port_of(m->conf.listen), .proto = 6, .flags = DSI_EXEMPT_LABEL | (open ? DSI_EXEMPT_REVOKED : 0) },
	};

	rc = kern_exempt_set(m->kern, list, ARRAY_SIZE(list), &e);
	return rc ? fail(a, rc, &e) : 0;
}

static int op_ring(struct monitor *m, const u8 *p, size_t n, struct answer *a)
{
	struct err e = { 0 };
	int rc = monitor_ring(m, p, n, &e);

	explicit_bzero((void *)p, n); /* the link's own buffer: a job may bring the ring's key */
	return rc ? fail(a, rc, &e) : 0;
}

/* What works without a kernel part. */
static bool kernel_free(u16 op)
{
	return op == MONOP_KERNEL || op == MONOP_RING;
}

static const struct {
	const char *name;
	size_t min, max;
	u32 phases;
	int (*fn)(struct monitor *m, const u8 *p, size_t n, struct answer *a);
} op_table[] = {
#define POLICY_BEGIN_FN op_policy_begin
#define POLICY_PUT_FN op_policy_put
#define POLICY_COMMIT_FN op_policy_commit
#define POLICY_ABORT_FN op_policy_abort
#define NODE_SET_FN op_node_set
#define NODE_OWN_FN op_node_own
#define LEASE_FN op_lease
#define LABELS_RETRY_FN op_labels_retry
#define KERNEL_FN op_kernel
#define DOOR_FN op_door
#define RING_FN op_ring
#define X(name, number, min, max, phases) [MONOP_##name] = { #name, min, max, phases, name##_FN },
	MONOP_TABLE(X)
#undef X
};

bool monop_serve(struct monitor *m, u16 op, u32 id, const u8 *p, size_t n)
{
	struct answer a = { .head = { .op = op } };
	u8 out[sizeof(a.head) + sizeof(a.data)];
	u32 phase = m->in_set ? PHASE_POLICY : PHASE_IDLE;

	if (op >= ARRAY_SIZE(op_table) || !op_table[op].fn || n < op_table[op].min || n > op_table[op].max ||
	    !(op_table[op].phases & phase))
		return false;
	if (!m->kern && !kernel_free(op)) {
		a.head.code = -DSI_EKERNEL;
		snprintf(a.head.text, sizeof(a.head.text), "this kernel cannot enforce");
	} else
		a.head.code = op_table[op].fn(m, p, n, &a);
	if (op == MONOP_LEASE)
		return true;
	memcpy(out, &a.head, sizeof(a.head));
	memcpy(out + sizeof(a.head), a.data, a.n);
	return !link_send(m->engine, true, UP_REPLY, id, out, sizeof(a.head) + a.n, -1);
}

void monop_kernel_fill(struct monitor *m)
{
	struct kern_status st;
	struct err e = { 0 };

	if (!m->kern || kern_status(m->kern, &st, &e))
		return;
	m->kernel.can_enforce = st.attached && !st.ftrace_off;
	m->kernel.mode = st.mode;
	m->kernel.n_rules = st.n_rules;
	m->kernel.guard = st.guard;
	m->kernel.policy_version = st.policy_version;
	memcpy(m->kernel.digest, st.digest, sizeof(m->kernel.digest));
	memcpy(m->kernel.stats, st.stats, sizeof(m->kernel.stats));
	if (st.ftrace_off)
		snprintf(m->kernel.text, sizeof(m->kernel.text), "kernel.ftrace_enabled is 0: no BPF LSM program runs; set it to 1");
}
