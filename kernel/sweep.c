// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pre-emption, user side: arm, look, destroy, disarm. The kernel decides what is an offender
 * (reval.bpf.h); here we only act on the list. Where the kernel has bpf_sock_destroy the iterator has
 * acted already; else each connection is named to SOCK_DESTROY.
 */
#include "kernel/sweep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/kern_impl.h"

static void revalidate_set(struct kern *k, enum dsi_revalidate how)
{
	__atomic_store_n(&k->state->revalidate, how, __ATOMIC_SEQ_CST);
}

int sweep_arm(struct kern *k, struct err *e)
{
	int r = kern_arm(k, KP_FILE_PERMISSION, e);

	return r ? err_wrap(e, "arm revalidation") : 0;
}

void sweep_disarm(struct kern *k)
{
	u32 key[4], *prev = NULL;

	if (k->offenders)
		return;
	revalidate_set(k, DSI_REVALIDATE_OFF);
	kern_disarm(k, KP_FILE_PERMISSION, NULL);
	while (!bpf_map_get_next_key(k->maps[KM_STOPPED], prev, key)) {
		bpf_map_delete_elem(k->maps[KM_STOPPED], key);
		prev = NULL;
	}
}

/* --- connections ---------------------------------------------------------------------------------- */

struct cut {
	int diag; /* NETLINK_SOCK_DIAG, or -1 */
	struct sweep_report *ret;
};

static bool destroy_by_name(int diag, const struct dsi_scan_sock *s)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 q;
	} m = { .h = { .nlmsg_len = sizeof(m), .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} answer;
	size_t skip = s->family == AF_INET ? 12 : 0;

	m.q.sdiag_family = s->family;
	m.q.sdiag_protocol = IPPROTO_TCP;
	m.q.idiag_states = ~0u;
	m.q.id.idiag_sport = htons(s->lport);
	m.q.id.idiag_dport = htons(s->rport);
	m.q.id.idiag_cookie[0] = m.q.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	memcpy(m.q.id.idiag_src, s->local.a + skip, 16 - skip);
	memcpy(m.q.id.idiag_dst, s->remote.a + skip, 16 - skip);
	if (send(diag, &m, sizeof(m), 0) != (ssize_t)sizeof(m))
		return false;
	return recv(diag, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(answer) && answer.h.nlmsg_type == NLMSG_ERROR &&
	       !answer.e.error;
}

struct found {
	struct dsi_scan_sock *v;
	u32 n, cap;
	struct sweep_report *ret;
};

static void on_sock(void *ctx, const void *record)
{
	const struct dsi_scan_sock *s = record;
	struct found *f = ctx;

	f->ret->sockets_seen++;
	f->ret->sockets_destroyed += s->destroyed;
	if (!s->gone || s->destroyed)
		return;
	if (f->n == f->cap) {
		u32 cap = f->cap ? f->cap * 2 : 64;
		struct dsi_scan_sock *v = realloc(f->v, cap * sizeof(*v));

		if (!v)
			return;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = *s;
}

/* Destroying while the iterator holds its place would race with it: list first. */
static int sweep_tcp(struct kern *k, u32 op, struct sweep_report *ret, struct err *e)
{
	static const struct dsi_listening none;
	struct dsi_scan scan = { .op = op };
	struct found f = { .ret = ret };
	u32 zero = 0;
	int r, diag;

	bpf_map_update_elem(k->maps[KM_LISTENING], &zero, &none, BPF_ANY);
	r = kern_scan_set(k, &scan, e);
	if (!r)
		r = kern_iterate(k, k->progs[KP_DESTROY_TCP] >= 0 ? KP_DESTROY_TCP : KP_SWEEP_TCP, 0, sizeof(struct dsi_scan_sock),
				 on_sock, &f, e);
	if (!r && f.n) {
		diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
		for (u32 i = 0; i < f.n && diag >= 0; i++)
			ret->sockets_destroyed += destroy_by_name(diag, &f.v[i]);
		if (diag >= 0)
			close(diag);
		else
			r = err_errno(e, -DSI_EIO, "sock_diag (is the module tcp_diag there?)");
	}
	free(f.v);
	return r;
}

/* --- files ---------------------------------------------------------------------------------------- */

static void on_open(void *ctx, const void *record)
{
	const struct dsi_scan_open *o = record;
	struct sweep_report *ret = ctx;

	ret->files_seen++;
	ret->files_stopped += o->gone;
}

static void on_map(void *ctx, const void *record)
{
	const struct dsi_scan_open *o = record;
	struct sweep_report *ret = ctx;

	if (!o->gone || o->pid <= 1 || (pid_t)o->pid == getpid())
		return;
	ret->mappings_stopped++;
	kill((pid_t)o->pid, SIGKILL);
}

static int sweep_files(struct kern *k, struct sweep_report *ret, struct err *e)
{
	int r = kern_iterate(k, KP_SWEEP_FILES, 0, sizeof(struct dsi_scan_open), on_open, ret, e);

	k->offenders = ret->files_stopped;
	return r;
}

/* --- what callers see ----------------------------------------------------------------------------- */

int sweep_run(struct kern *k, struct sweep_report *ret, struct err *e)
{
	u64 start = kern_now_us();
	int r;

	memset(ret, 0, sizeof(*ret));
	if (k->state->revalidate)
		revalidate_set(k, DSI_REVALIDATE_LOST);
	r = sweep_tcp(k, DSI_SCAN_POLICY, ret, e);
	if (!r)
		r = sweep_files(k, ret, e);
	if (!r)
		r = kern_iterate(k, KP_SWEEP_MAPS, 0, sizeof(struct dsi_scan_open), on_map, ret, e);
	ret->us = kern_now_us() - start;
	if (!r)
		sweep_disarm(k);
	return r;
}

int sweep_nodes(struct kern *k, struct sweep_report *ret, struct err *e)
{
	u64 start = kern_now_us();
	int r;

	memset(ret, 0, sizeof(*ret));
	r = sweep_tcp(k, DSI_SCAN_NODES, ret, e);
	for (u32 i = KP_QUARANTINE_IN; i <= KP_QUARANTINE_OUT; i++) {
		int x = k->state->quarantined ? kern_arm(k, i, r ? NULL : e) : kern_disarm(k, i, r ? NULL : e);

		r = r ? r : x;
	}
	ret->us = kern_now_us() - start;
	return r;
}

bool sweep_pending(const struct kern *k)
{
	return k->offenders;
}

int sweep_tick(struct kern *k, struct sweep_report *ret, struct err *e)
{
	u64 start = kern_now_us();
	int r;

	memset(ret, 0, sizeof(*ret));
	r = sweep_files(k, ret, e);
	ret->us = kern_now_us() - start;
	if (!r)
		sweep_disarm(k);
	return r;
}
