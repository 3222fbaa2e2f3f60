/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor's shell. */
#include "dsid/monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsid/ring_helper.h"
#include "kernel/probe.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "lib/privsep.h"
#include "lib/sandbox.h"

static const u64 MS = 1000000;
enum { SWEEP_MS = 500, RETRY_MS = 5000, ENGINE_QUEUE = 4 << 20, EVENTS_PER_TURN = 256, HELPER_MS = 30000 };

/* --- kernel -------------------------------------------------------------------------------------------------- */

static enum dsi_mode mode_wanted(const struct monitor *m, const struct kern_probe *probe)
{
	if (probe->boot_off)
		return DSI_MODE_OFF;
	if (probe->boot_permissive && m->conf.mode == CONF_MODE_ENFORCING)
		return DSI_MODE_PERMISSIVE;
	return (enum dsi_mode)m->conf.mode;
}

static void kernel_cannot(struct monitor *m, const char *text)
{
	m->kernel.can_enforce = 0;
	snprintf(m->kernel.text, sizeof(m->kernel.text), "%.*s", (int)sizeof(m->kernel.text) - 1, text);
	log_warning("NOT ENFORCING: %s", m->kernel.text);
}

static void kernel_open(struct monitor *m)
{
	struct kern_probe probe;
	struct err e = { 0 };
	enum dsi_mode mode;

	kern_probe(&probe, &e);
	snprintf(m->kernel.release, sizeof(m->kernel.release), "%s", probe.release);
	if (probe.boot_off) {
		kern_detach_all_at(NULL, &e);
		kernel_cannot(m, "boot parameter dsi=off");
		return;
	}
	if (kern_open(&m->kern, NULL, &e)) {
		m->kern = NULL;
		kernel_cannot(m, e.text);
		return;
	}
	m->kernel.can_enforce = 1;
	m->kernel.adopted = kern_adopted(m->kern);
	kern_rate_set(m->kern, m->conf.enforce_rate);
	mode = mode_wanted(m, &probe);
	if (kern_mode_set(m->kern, mode, &e))
		kernel_cannot(m, e.text);
	else if (mode != DSI_MODE_ENFORCING)
		snprintf(m->kernel.text, sizeof(m->kernel.text), "mode %s by %s", mode == DSI_MODE_OFF ? "off" : "permissive",
			 probe.boot_permissive ? "boot parameter dsi=permissive" : "configuration");
	monop_kernel_fill(m);
}

static void on_kernel_event(void *ctx, const struct dsi_event *ev)
{
	struct monitor *m = ctx;

	if (link_send(m->engine, false, UP_EVENT, 0, ev, sizeof(*ev), -1))
		m->events_dropped++;
}

static void on_ring(void *ctx, int events)
{
	struct monitor *m = ctx;

	ring_consume(m->ring, EVENTS_PER_TURN);
}

static void on_sweep(void *ctx)
{
	struct monitor *m = ctx;
	struct sweep_report r;
	struct err e = { 0 };

	if (sweep_tick(m->kern, &r, &e))
		log_warning("sweep: %s", e.text);
	if (sweep_pending(m->kern))
		loop_timer_set(m->sweep_timer, SWEEP_MS * MS);
}

/* Paths that a policy names may come later: a package is installed, a directory made. */
static void on_retry(void *ctx)
{
	struct monitor *m = ctx;
	struct mapset_missing miss;
	struct err e = { 0 };
	u32 fixed = 0;

	if (!m->in_set && !kern_labels_retry(m->kern, &fixed, &e) && fixed) {
		log_info("%u paths of the policy are there now", fixed);
		if (kern_state(m->kern)->guard != DSI_GUARD_ON) /* only a policy ends it, not a path that went away */
			monop_guard_follow(m);
	}
	if (mapset_missing(m->kern, 0, &miss))
		loop_timer_set(m->retry_timer, RETRY_MS * MS);
}

static int kernel_watch(struct monitor *m, struct err *e)
{
	int rc;

	m->sweep_timer = loop_timer_new(m->loop, on_sweep, m);
	m->retry_timer = loop_timer_new(m->loop, on_retry, m);
	if (!m->sweep_timer || !m->retry_timer)
		return err_set(e, -DSI_ENOMEM, "monitor");
	if (!m->kern)
		return 0;
	rc = ring_open(m->kern, on_kernel_event, m, &m->ring, e);
	if (rc)
		return rc;
	m->ring_watch = loop_fd_new(m->loop, ring_fd(m->ring), LOOP_READ, on_ring, m);
	return m->ring_watch ? 0 : err_set(e, -DSI_ENOMEM, "monitor");
}

/* --- children ------------------------------------------------------------------------------------------------- */

static void on_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	struct monitor *m = ctx;

	if (fd >= 0)
		close(fd);
	if (!monop_serve(m, type, id, p, n)) {
		log_err("the engine asked for what it may not (operation %u, %zu bytes): ending", type, n);
		loop_stop(m->loop, 1);
	}
}

static void on_closed(void *ctx, const char *why)
{
	struct monitor *m = ctx;

	if (!m->stopping)
		log_err("engine: %s", why);
	loop_stop(m->loop, m->stopping ? 0 : 1);
}

static const struct link_ops engine_ops = { .frame = on_frame, .closed = on_closed };

static void on_child(void *ctx, int pid, int status)
{
	struct monitor *m = ctx;

	if (!m->stopping)
		log_err("process %d ended with status %#x: ending, to be started again", pid, status);
	loop_stop(m->loop, m->stopping ? 0 : 1);
}

static void on_term(void *ctx)
{
	struct monitor *m = ctx;

	m->stopping = true;
	notify_stopping();
	loop_stop(m->loop, 0);
}

/* --- the ring helper: a process per job ------------------------------------------------------------------------ */

static void helper_done(struct monitor *m, const u8 *p, size_t n)
{
	if (!m->helper)
		return;
	link_free(m->helper);
	m->helper = NULL;
	loop_timer_set(m->helper_timer, 0);
	link_send(m->engine, true, UP_RING, 0, p, n, -1);
	if (n)
		explicit_bzero((void *)p, n); /* the link's own buffer: it may hold the ring's key */
}

static void on_helper_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	if (fd >= 0)
		close(fd);
	helper_done(ctx, p, type == RING_FRAME_ANSWER ? n : 0);
}

static void on_helper_closed(void *ctx, const char *why)
{
	helper_done(ctx, NULL, 0);
}

static const struct link_ops helper_ops = { .frame = on_helper_frame, .closed = on_helper_closed };

static void on_helper_child(void *ctx, int pid, int status)
{
	struct monitor *m = ctx;

	m->helper_pid = 0;
	if (status & 0x7f) /* by a signal; what it refused it said in its answer */
		log_warning("ring helper ended with status %#x", status);
}

static void on_helper_late(void *ctx)
{
	struct monitor *m = ctx;

	log_err("ring helper: no answer within %d s: ended", HELPER_MS / 1000);
	if (m->helper_pid)
		kill(m->helper_pid, SIGKILL);
	helper_done(m, NULL, 0);
}

int monitor_ring(struct monitor *m, const u8 *p, size_t n, struct err *e)
{
	struct privsep_child c = { .role = "ring", .n_fds = 1 };
	int pair[2], rc;

	if (m->helper || m->helper_pid)
		return err_set(e, -DSI_EAGAIN, "the ring helper is at work");
	rc = privsep_pair(pair, e);
	if (rc)
		return rc;
	c.fds[0] = pair[0];
	rc = privsep_spawn("dsid", &c, &m->helper_pid, e);
	close(pair[0]);
	if (rc) {
		m->helper_pid = 0;
		close(pair[1]);
		return rc;
	}
	if (!loop_child(m->loop, m->helper_pid, on_helper_child, m))
		m->helper = link_new(m->loop, pair[1], LIM_LINK_FRAME * 2, &helper_ops, m);
	else {
		kill(m->helper_pid, SIGKILL);
		m->helper_pid = 0;
	}
	if (!m->helper || link_send(m->helper, true, RING_FRAME_JOB, 1, p, n, -1)) {
		if (m->helper)
			link_free(m->helper);
		else
			close(pair[1]); /* it ends when it finds nobody there */
		m->helper = NULL;
		return err_set(e, -DSI_ENOMEM, "ring helper");
	}
	loop_timer_set(m->helper_timer, HELPER_MS * MS);
	return 0;
}

static int spawn(struct monitor *m, const struct privsep_child *c, struct err *e)
{
	int pid, rc = privsep_spawn("dsid", c, &pid, e);

	if (!rc && loop_child(m->loop, pid, on_child, m))
		rc = err_set(e, -DSI_ENOMEM, "watch %s", c->role);
	return rc;
}

/* keys <-> engine, channel <-> engine, engine <-> monitor */
static int start_children(struct monitor *m, struct err *e)
{
	int keys[2], channel[2], engine[2], key_fd, rc;

	key_fd = open(m->conf.key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (key_fd < 0)
		return err_errno(e, -DSI_EIO, "%s", m->conf.key_file);
	rc = privsep_pair(keys, e);
	if (!rc)
		rc = privsep_pair(channel, e);
	if (!rc)
		rc = privsep_pair(engine, e);
	if (!rc)
		rc = spawn(m, &(struct privsep_child){ .role = "keys", .fds = { key_fd, keys[0] }, .n_fds = 2 }, e);
	if (!rc)
		rc = spawn(m, &(struct privsep_child){ .role = "channel", .fds = { channel[0] }, .n_fds = 1 }, e);
	if (!rc)
		rc = spawn(m, &(struct privsep_child){ .role = "engine", .fds = { engine[0], keys[1], channel[1], notify_fd_get() },
						       .n_fds = 4 }, e);
	if (rc)
		return rc;
	close(key_fd);
	close(keys[0]);
	close(keys[1]);
	close(channel[0]);
	close(channel[1]);
	close(engine[0]);
	m->engine = link_new(m->loop, engine[1], ENGINE_QUEUE, &engine_ops, m);
	return m->engine ? 0 : err_set(e, -DSI_ENOMEM, "engine's link");
}

static int monitor_open(struct monitor *m, struct err *e)
{
	int rc;

	loop_signal(m->loop, SIGTERM, on_term, m);
	loop_signal(m->loop, SIGINT, on_term, m);
	m->helper_timer = loop_timer_new(m->loop, on_helper_late, m);
	kernel_open(m);
	rc = m->helper_timer ? start_children(m, e) : err_set(e, -DSI_ENOMEM, "monitor");
	if (!rc)
		rc = kernel_watch(m, e);
	if (!rc)
		rc = link_send(m->engine, true, UP_KERNEL, 0, &m->kernel, sizeof(m->kernel), -1);
	if (!rc && m->kern)
		monop_guard_follow(m); /* the policy that an earlier dsid left in force */
	return rc ? rc : sandbox_enter(SANDBOX_MONITOR, e);
}

int monitor_run(const struct dsid_conf *conf)
{
	struct monitor *m = calloc(1, sizeof(*m));
	struct err e = { 0 };
	int status = 1;

	if (!m || !(m->loop = loop_new()))
		return 1;
	m->conf = *conf;
	if (monitor_open(m, &e))
		log_err("%s", e.text);
	else
		status = loop_run(m->loop);
	ring_close(m->ring);
	kern_close(m->kern); /* lets go of descriptors; what is pinned goes on enforcing */
	link_free(m->engine);
	loop_free(m->loop);
	free(m);
	return status;
}
