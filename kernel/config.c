// SPDX-License-Identifier: GPL-2.0-or-later
/* Settings and status of a loaded kernel part: single stores into the state page, look-ups, no more. */
#include "kernel/kern_impl.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/nodes.h"

/* Asked often, so not by a whole probe (which reads the kernel's BTF). */
static bool ftrace_off(void)
{
	int fd = open("/proc/sys/kernel/ftrace_enabled", O_RDONLY | O_CLOEXEC);
	char c = '1';

	if (fd < 0)
		return false;
	if (read(fd, &c, 1) != 1)
		c = '1';
	close(fd);
	return c == '0';
}

int kern_mode_set(struct kern *k, enum dsi_mode mode, struct err *e)
{
	if (mode >= DSI_MODE_COUNT)
		return err_set(e, -DSI_EINVAL, "mode %u", mode);
	if (mode == DSI_MODE_ENFORCING) {
		struct kern_probe p;

		if (kern_probe(&p, e))
			return e ? e->code : -DSI_EKERNEL;
		if (p.boot_permissive)
			return err_set(e, -DSI_EKERNEL, "the boot parameter dsi=permissive is set");
	}
	__atomic_store_n(&k->state->mode, mode, __ATOMIC_SEQ_CST);
	return 0;
}

void kern_rate_set(struct kern *k, u32 events_per_second)
{
	__atomic_store_n(&k->state->rate, events_per_second, __ATOMIC_SEQ_CST);
}

/* The reader stops at the first unused entry, so the list is emptied first and its head comes last. */
int kern_exempt_set(struct kern *k, const struct dsi_exempt *list, size_t n, struct err *e)
{
	u32 *slots = (u32 *)(void *)k->state->exempt;

	if (n > DSI_EXEMPT_MAX)
		return err_set(e, -DSI_ELIMIT, "%zu exempt ports, at most %d", n, DSI_EXEMPT_MAX);
	for (size_t i = 0; i < DSI_EXEMPT_MAX; i++)
		__atomic_store_n(&slots[i], 0, __ATOMIC_SEQ_CST);
	for (size_t i = n; i-- > 0;) {
		u32 word;

		memcpy(&word, &list[i], sizeof(word));
		__atomic_store_n(&slots[i], word, __ATOMIC_SEQ_CST);
	}
	return 0;
}

bool kern_guard_fits(struct kern *k)
{
	return kern_exec_entry(k, NULL, k->self, DSI_SID_DEFAULT) == DSI_SID_DSI;
}

int kern_guard_set(struct kern *k, enum dsi_guard guard, struct err *e)
{
	if (guard > DSI_GUARD_ON)
		return err_set(e, -DSI_EINVAL, "guard %u", guard);
	if (guard == DSI_GUARD_ON) {
		u32 sid = 0;

		/* or the next dsid could not reach its own pins */
		if (!kern_guard_fits(k))
			return err_set(e, -DSI_ENOTSAFE, "the policy in force does not give %s the context dsi", k->self);
		if (kern_task_sid(k, (u32)getpid(), &sid, e) || sid != DSI_SID_DSI)
			return err_set(e, -DSI_ENOTSAFE, "this process is not in the context dsi itself (SID %u)", sid);
	}
	__atomic_store_n(&k->state->guard, guard, __ATOMIC_SEQ_CST);
	return 0;
}

/* --- labels of processes -------------------------------------------------------------------------- */

struct told {
	u32 tasks, sid;
};

static void on_task(void *ctx, const void *record)
{
	const struct dsi_scan_task *t = record;
	struct told *told = ctx;

	told->tasks++;
	told->sid = t->sid;
}

int kern_label_task(struct kern *k, u32 pid, u32 sid, struct err *e)
{
	struct dsi_scan scan = { .op = DSI_SCAN_LABEL, .tgid = pid, .sid = sid, .gen = k->state->active };
	int r;

	if (!pid || sid == DSI_SID_NONE)
		return err_set(e, -DSI_EINVAL, "label process %u with SID %u", pid, sid);
	r = kern_scan_set(k, &scan, e);
	if (!r)
		r = kern_iterate(k, KP_SCAN_TASKS, pid, sizeof(struct dsi_scan_task), NULL, NULL, e);
	if (!r)
		r = kern_iterate(k, KP_SCAN_SOCKS, pid, 1, NULL, NULL, e);
	return r;
}

int kern_task_sid(struct kern *k, u32 pid, u32 *ret_sid, struct err *e)
{
	struct dsi_scan scan = { .op = DSI_SCAN_TELL, .tgid = pid };
	struct told told = { 0 };
	int r = kern_scan_set(k, &scan, e);

	if (!r)
		r = kern_iterate(k, KP_SCAN_TASKS, pid, sizeof(struct dsi_scan_task), on_task, &told, e);
	if (r)
		return r;
	if (!told.tasks)
		return err_set(e, -DSI_ENOENT, "no process %u", pid);
	*ret_sid = told.sid;
	return 0;
}

int kern_ask(struct kern *k, struct dsi_query *q, struct err *e)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = q, .ctx_size_in = sizeof(*q));

	q->gen = k->state->active;
	if (!q->gen)
		return err_set(e, -DSI_ENOENT, "no policy is in force");
	if (bpf_prog_test_run_opts(k->progs[KP_ASK], &run))
		return err_errno(e, -DSI_EIO, "ask the kernel");
	return 0;
}

/* --- status --------------------------------------------------------------------------------------- */

static void sum_stats(struct kern *k, u64 *ret)
{
	int cpus = libbpf_num_possible_cpus();
	u64 values[1024];

	for (u32 i = 0; i < DSI_STAT_COUNT; i++) {
		ret[i] = 0;
		if (cpus > (int)ARRAY_SIZE(values) || bpf_map_lookup_elem(k->maps[KM_STATS], &i, values))
			continue;
		for (int c = 0; c < cpus; c++)
			ret[i] += values[c];
	}
}

/* Every link that must be there still calls the program that we pinned. */
static bool all_attached(struct kern *k, u64 *ret_misses)
{
	bool all = true;

	*ret_misses = 0;
	for (u32 i = 0; i < KP_COUNT; i++) {
		struct bpf_link_info link = { 0 };
		struct bpf_prog_info prog = { 0 };
		u32 nl = sizeof(link), np = sizeof(prog);
		char path[256];
		int fd;

		if (k->progs[i] < 0 || bpf_obj_get_info_by_fd(k->progs[i], &prog, &np))
			continue;
		*ret_misses += prog.recursion_misses;
		if (kern_progs[i].hold != HOLD_LSM && kern_progs[i].hold != HOLD_CGROUP)
			continue;
		snprintf(path, sizeof(path), "%s/links/%s", k->pin_dir, kern_progs[i].name);
		fd = bpf_obj_get(path);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &link, &nl) || link.prog_id != prog.id)
			all = false;
		if (fd >= 0)
			close(fd);
	}
	return all;
}

int kern_status(struct kern *k, struct kern_status *ret, struct err *e)
{
	const struct dsi_state *s = k->state;
	const struct dsi_slot *slot = &s->slots[s->active % DSI_SLOTS];

	(void)e;
	memset(ret, 0, sizeof(*ret));
	ret->abi = s->abi;
	ret->mode = s->mode;
	ret->generation = s->active;
	ret->guard = s->guard;
	if (s->active) {
		ret->policy_version = slot->policy_version;
		memcpy(ret->digest, slot->digest, sizeof(ret->digest));
	}
	ret->n_rules = k->n_rules;
	ret->attached = all_attached(k, &ret->recursion_misses);
	ret->ftrace_off = ftrace_off();
	ret->lease_deadline = s->lease_deadline;
	ret->lease_valid = lease_now() < s->lease_deadline;
	sum_stats(k, ret->stats);
	return 0;
}
