/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs of root's. Must never read a job, start a helper twice, or wait. */
#include "dsid/job.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsid/monitor.h"
#include "dsid/pacemaker_helper.h"
#include "dsid/ring_helper.h"
#include "lib/log.h"
#include "lib/privsep.h"

_Static_assert((int)RING_FRAME_JOB == (int)JOB_FRAME_JOB && (int)RING_FRAME_ANSWER == (int)JOB_FRAME_ANSWER,
	       "frames of the ring helper");
_Static_assert((int)PACEMAKER_FRAME_JOB == (int)JOB_FRAME_JOB && (int)PACEMAKER_FRAME_ANSWER == (int)JOB_FRAME_ANSWER,
	       "frames of the Pacemaker helper");
_Static_assert((int)PACEMAKER_FENCE_S < 90, "stonith_admin ends before its helper is ended");

static const struct {
	const char *role;
	u32 seconds;
} kinds[JOB_KINDS] = {
#define X(name, n, role, seconds) [JOB_##name] = { role, seconds },
	JOB_TABLE(X)
#undef X
};

struct job {
	struct job_side *side;
	enum job_kind kind;
	struct link *link; /* NULL: none under way */
	struct loop_timer *timer;
	int pid;           /* 0: it has ended */
};
struct job_side {
	struct monitor *m;
	struct job job[JOB_KINDS];
};

static void tell(struct job *j, const u8 *p, size_t n)
{
	u8 up[LIM_LINK_FRAME];

	if (j->kind == JOB_RING) {
		link_send(j->side->m->engine, true, UP_RING, 0, p, n, -1);
		return;
	}
	up[0] = (u8)j->kind;
	n = MIN(n, (size_t)MONOP_PAYLOAD - 1);
	if (n)
		memcpy(up + 1, p, n);
	link_send(j->side->m->engine, true, UP_JOB, 0, up, 1 + n, -1);
}

static void done(struct job *j, const u8 *p, size_t n)
{
	if (!j->link)
		return;
	link_free(j->link);
	j->link = NULL;
	loop_timer_set(j->timer, 0);
	tell(j, p, n);
	if (n)
		explicit_bzero((void *)p, n); /* the link's own buffer: it may hold the ring's key */
}

static void on_frame(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	if (fd >= 0)
		close(fd);
	done(ctx, p, type == JOB_FRAME_ANSWER ? n : 0);
}

static void on_closed(void *ctx, const char *why)
{
	done(ctx, NULL, 0);
}

static const struct link_ops ops = { .frame = on_frame, .closed = on_closed };

static void on_child(void *ctx, int pid, int status)
{
	struct job *j = ctx;

	j->pid = 0;
	if (status & 0x7f) /* by a signal; what it refused it said in its answer */
		log_warning("%s helper ended with status %#x", kinds[j->kind].role, status);
}

static void on_late(void *ctx)
{
	struct job *j = ctx;

	log_err("%s helper: no answer within %u s: ended", kinds[j->kind].role, kinds[j->kind].seconds);
	if (j->pid)
		kill(j->pid, SIGKILL);
	done(j, NULL, 0);
}

int job_start(struct job_side *s, u32 kind, const u8 *p, size_t n, struct err *e)
{
	struct privsep_child c = { .n_fds = 1 };
	struct job *j = &s->job[kind < JOB_KINDS ? kind : 0];
	int pair[2], rc;

	if (kind >= JOB_KINDS || !kinds[kind].role)
		return err_set(e, -DSI_EINVAL, "no helper has the number %u", kind);
	if (j->link || j->pid)
		return err_set(e, -DSI_EAGAIN, "the %s helper is at work", kinds[kind].role);
	rc = privsep_pair(pair, e);
	if (rc)
		return rc;
	c.role = kinds[kind].role;
	c.fds[0] = pair[0];
	rc = privsep_spawn("dsid", &c, &j->pid, e);
	close(pair[0]);
	if (rc) {
		j->pid = 0;
		close(pair[1]);
		return rc;
	}
	if (!loop_child(s->m->loop, j->pid, on_child, j))
		j->link = link_new(s->m->loop, pair[1], LIM_LINK_FRAME * 2, &ops, j);
	else {
		kill(j->pid, SIGKILL);
		j->pid = 0;
	}
	if (!j->link || link_send(j->link, true, JOB_FRAME_JOB, 1, p, n, -1)) {
		if (j->link)
			link_free(j->link);
		else
			close(pair[1]); /* it ends when it finds nobody there */
		j->link = NULL;
		return err_set(e, -DSI_ENOMEM, "%s helper", kinds[kind].role);
	}
	loop_timer_set(j->timer, kinds[kind].seconds * 1000000000ull);
	return 0;
}

struct job_side *job_side_new(struct monitor *m)
{
	struct job_side *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->m = m;
	for (u32 i = 0; i < JOB_KINDS; i++) {
		s->job[i] = (struct job){ .side = s, .kind = (enum job_kind)i, .timer = loop_timer_new(m->loop, on_late, &s->job[i]) };
		if (!s->job[i].timer) {
			job_side_free(s);
			return NULL;
		}
	}
	return s;
}

void job_side_free(struct job_side *s)
{
	for (u32 i = 0; s && i < JOB_KINDS; i++)
		if (s->job[i].timer)
			loop_timer_free(s->job[i].timer);
	free(s);
}
