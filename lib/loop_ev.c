/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop on libev. The only file that includes ev.h.
 *
 * Timers are our own heap over one timerfd of CLOCK_BOOTTIME: libev's count CLOCK_MONOTONIC, which stands
 * still during suspend, and a lease must not. Children are watched by pidfd, so any loop can, and nobody
 * reaps another's child.
 *
 * Must never: call back from another thread than the loop's (loop_wake only raises a flag), or touch a
 * watcher after its callback returned: the callback may have freed it.
 * Invariant: heap[i]->slot == i for every armed timer; the timerfd is set to the earliest deadline.
 */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/loop.h"

struct deferred {
	loop_fn *fn;
	void *ctx;
};

/* Signal and child watchers live until the loop's end (children: until they ended). */
struct watch {
	struct loop *loop;
	struct watch *next, **link;
	union {
		ev_signal signal;
		ev_io pidfd;
	};
	bool is_signal;
	int pid;
	loop_fn *fn;
	void (*child)(void *ctx, int pid, int status);
	void *ctx;
};

struct loop {
	struct ev_loop *ev;
	ev_check tick;     /* first thing after the poll: refresh now */
	ev_prepare before; /* last thing before it: deferred work */
	ev_idle busy;      /* keeps the poll from blocking while deferred work waits */
	ev_io timer;
	struct loop_timer **heap;
	size_t n_heap, cap_heap;
	struct deferred *deferred;
	size_t n_deferred, cap_deferred;
	struct watch *watches;
	u64 now, armed;
	int status;
};

struct loop_fd {
	ev_io io;
	struct loop *loop;
	loop_fd_fn *fn;
	void *ctx;
	int events;
};

struct loop_timer {
	struct loop *loop;
	loop_fn *fn;
	void *ctx;
	u64 due;
	size_t slot; /* in the heap; NOT_ARMED otherwise */
};
#define NOT_ARMED ((size_t)-1)

struct loop_wake {
	ev_async async;
	struct loop *loop;
	loop_fn *fn;
	void *ctx;
};

u64 loop_boottime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

u64 loop_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (u64)ts.tv_sec * 1000u + (u64)ts.tv_nsec / 1000000u;
}

u64 loop_now(const struct loop *l)
{
	return l->now;
}

/* --- timers --------------------------------------------------------------------------------------- */

static void heap_place(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->slot = i;
}

static void heap_up(struct loop *l, size_t i)
{
	struct loop_timer *t = l->heap[i];

	for (; i && l->heap[(i - 1) / 2]->due > t->due; i = (i - 1) / 2)
		heap_place(l, i, l->heap[(i - 1) / 2]);
	heap_place(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
	struct loop_timer *t = l->heap[i];
	size_t kid;

	for (; (kid = 2 * i + 1) < l->n_heap; i = kid) {
		if (kid + 1 < l->n_heap && l->heap[kid + 1]->due < l->heap[kid]->due)
			kid++;
		if (l->heap[kid]->due >= t->due)
			break;
		heap_place(l, i, l->heap[kid]);
	}
	heap_place(l, i, t);
}

static void heap_remove(struct loop *l, struct loop_timer *t)
{
	size_t i = t->slot;
	struct loop_timer *last = l->heap[--l->n_heap];

	t->slot = NOT_ARMED;
	if (last == t)
		return;
	heap_place(l, i, last);
	heap_up(l, i);
	heap_down(l, last->slot);
}

static void timerfd_arm(struct loop *l)
{
	u64 due = l->n_heap ? l->heap[0]->due : 0;
	struct itimerspec its = { .it_value = { .tv_sec = (time_t)(due / 1000000000u),
						.tv_nsec = (long)(due % 1000000000u) } };

	if (due == l->armed)
		return;
	l->armed = due;
	timerfd_settime(l->timer.fd, TFD_TIMER_ABSTIME, &its, NULL);
}

static void on_timerfd(struct ev_loop *ev, ev_io *io, int events)
{
	struct loop *l = io->data;
	u64 n;

	if (read(io->fd, &n, sizeof(n)) != sizeof(n))
		return;
	l->armed = 0;
	l->now = loop_boottime();
	/* Only what was due when we looked: a callback that re-arms itself must not hold the loop. */
	for (u64 limit = l->now; l->n_heap && l->heap[0]->due <= limit;) {
		struct loop_timer *t = l->heap[0];

		heap_remove(l, t);
		t->fn(t->ctx);
	}
	timerfd_arm(l);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *ctx)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	/* Room in the heap is taken here, so that arming cannot fail. */
	if (l->cap_heap == 0 || l->cap_heap % 16 == 0) {
		struct loop_timer **heap = realloc(l->heap, (l->cap_heap + 16) * sizeof(struct loop_timer *));

		if (!heap) {
			free(t);
			return NULL;
		}
		l->heap = heap;
	}
	l->cap_heap++;
	*t = (struct loop_timer){ .loop = l, .fn = fn, .ctx = ctx, .slot = NOT_ARMED };
	return t;
}

void loop_timer_set(struct loop_timer *t, u64 after_ns)
{
	struct loop *l = t->loop;
	u64 now = loop_boottime();

	if (t->slot != NOT_ARMED)
		heap_remove(l, t);
	if (after_ns) {
		t->due = after_ns > UINT64_MAX / 4 ? now + UINT64_MAX / 4 : now + after_ns;
		heap_place(l, l->n_heap++, t);
		heap_up(l, t->slot);
	}
	timerfd_arm(l);
}

bool loop_timer_active(const struct loop_timer *t)
{
	return t->slot != NOT_ARMED;
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	loop_timer_set(t, 0);
	t->loop->cap_heap--;
	free(t);
}

/* --- descriptors ---------------------------------------------------------------------------------- */

static void on_fd(struct ev_loop *ev, ev_io *io, int events)
{
	struct loop_fd *w = io->data;
	int got = ((events & EV_READ) ? LOOP_READ : 0) | ((events & EV_WRITE) ? LOOP_WRITE : 0);

	/* EV_ERROR (a bad descriptor) is reported as whatever was asked for: the call on it will fail. */
	w->fn(w->ctx, (events & EV_ERROR) ? w->events : got);
}

static int to_ev(int events)
{
	return ((events & LOOP_READ) ? EV_READ : 0) | ((events & LOOP_WRITE) ? EV_WRITE : 0);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, loop_fd_fn *fn, void *ctx)
{
	struct loop_fd *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->loop = l;
	w->fn = fn;
	w->ctx = ctx;
	w->events = events;
	ev_io_init(&w->io, on_fd, fd, to_ev(events));
	w->io.data = w;
	if (events)
		ev_io_start(l->ev, &w->io);
	return w;
}

void loop_fd_set(struct loop_fd *w, int events)
{
	if (events == w->events)
		return;
	w->events = events;
	ev_io_stop(w->loop->ev, &w->io);
	ev_io_set(&w->io, w->io.fd, to_ev(events));
	if (events)
		ev_io_start(w->loop->ev, &w->io);
}

void loop_fd_free(struct loop_fd *w)
{
	if (!w)
		return;
	ev_io_stop(w->loop->ev, &w->io);
	free(w);
}

/* --- deferred work and other threads -------------------------------------------------------------- */

static void on_busy(struct ev_loop *ev, ev_idle *idle, int events)
{
}

static void on_before(struct ev_loop *ev, ev_prepare *prepare, int events)
{
	struct loop *l = prepare->data;
	struct deferred *v = l->deferred;
	size_t n = l->n_deferred;

	/* What these calls defer in turn runs in the next round, after pending input. */
	l->deferred = NULL;
	l->n_deferred = l->cap_deferred = 0;
	for (size_t i = 0; i < n; i++)
		v[i].fn(v[i].ctx);
	free(v);
	if (l->n_deferred)
		ev_idle_start(ev, &l->busy);
	else
		ev_idle_stop(ev, &l->busy);
}

int loop_defer(struct loop *l, loop_fn *fn, void *ctx)
{
	if (l->n_deferred == l->cap_deferred) {
		size_t cap = l->cap_deferred ? l->cap_deferred * 2 : 8;
		struct deferred *v = realloc(l->deferred, cap * sizeof(*v));

		if (!v)
			return -1;
		l->deferred = v;
		l->cap_deferred = cap;
	}
	l->deferred[l->n_deferred++] = (struct deferred){ fn, ctx };
	return 0;
}

static void on_async(struct ev_loop *ev, ev_async *async, int events)
{
	struct loop_wake *w = async->data;

	w->fn(w->ctx);
}

struct loop_wake *loop_wake_new(struct loop *l, loop_fn *on_wake, void *ctx)
{
	struct loop_wake *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct loop_wake){ .loop = l, .fn = on_wake, .ctx = ctx };
	ev_async_init(&w->async, on_async);
	w->async.data = w;
	ev_async_start(l->ev, &w->async);
	return w;
}

void loop_wake(struct loop_wake *w)
{
	ev_async_send(w->loop->ev, &w->async);
}

void loop_wake_free(struct loop_wake *w)
{
	if (!w)
		return;
	ev_async_stop(w->loop->ev, &w->async);
	free(w);
}

/* --- signals and children ------------------------------------------------------------------------- */

static struct watch *watch_new(struct loop *l, void *ctx)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->loop = l;
	w->ctx = ctx;
	w->next = l->watches;
	w->link = &l->watches;
	if (w->next)
		w->next->link = &w->next;
	l->watches = w;
	return w;
}

static void watch_free(struct watch *w)
{
	if (w->is_signal) {
		ev_signal_stop(w->loop->ev, &w->signal);
	} else if (w->child) {
		ev_io_stop(w->loop->ev, &w->pidfd);
		close(w->pidfd.fd);
	}
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	free(w);
}

static void on_signal(struct ev_loop *ev, ev_signal *signal, int events)
{
	struct watch *w = signal->data;

	w->fn(w->ctx);
}

int loop_signal(struct loop *l, int signo, loop_fn *fn, void *ctx)
{
	struct watch *w = watch_new(l, ctx);

	if (!w)
		return -1;
	w->is_signal = true;
	w->fn = fn;
	ev_signal_init(&w->signal, on_signal, signo);
	w->signal.data = w;
	ev_signal_start(l->ev, &w->signal);
	return 0;
}

static void on_pidfd(struct ev_loop *ev, ev_io *io, int events)
{
	struct watch *w = io->data;
	void (*child)(void *, int, int) = w->child;
	void *ctx = w->ctx;
	int pid = w->pid, status = 0;

	if (waitpid(pid, &status, WNOHANG) == 0)
		return;
	watch_free(w);
	child(ctx, pid, status);
}

int loop_child(struct loop *l, int pid, void (*fn)(void *ctx, int pid, int status), void *ctx)
{
	struct watch *w;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return -1;
	w = watch_new(l, ctx);
	if (!w) {
		close(fd);
		return -1;
	}
	w->child = fn;
	w->pid = pid;
	ev_io_init(&w->pidfd, on_pidfd, fd, EV_READ);
	w->pidfd.data = w;
	ev_io_start(l->ev, &w->pidfd);
	return 0;
}

/* --- the loop ------------------------------------------------------------------------------------- */

static void on_tick(struct ev_loop *ev, ev_check *check, int events)
{
	struct loop *l = check->data;

	l->now = loop_boottime();
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	int fd;

	if (!l)
		return NULL;
	fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	l->ev = fd < 0 ? NULL : ev_loop_new(EVFLAG_NOENV);
	if (!l->ev) {
		if (fd >= 0)
			close(fd);
		free(l);
		return NULL;
	}
	l->now = loop_boottime();
	ev_check_init(&l->tick, on_tick);
	ev_set_priority(&l->tick, EV_MAXPRI);
	l->tick.data = l;
	ev_check_start(l->ev, &l->tick);
	ev_unref(l->ev);
	ev_prepare_init(&l->before, on_before);
	l->before.data = l;
	ev_prepare_start(l->ev, &l->before);
	ev_unref(l->ev);
	ev_idle_init(&l->busy, on_busy);
	ev_io_init(&l->timer, on_timerfd, fd, EV_READ);
	l->timer.data = l;
	ev_io_start(l->ev, &l->timer);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (l->watches)
		watch_free(l->watches);
	close(l->timer.fd);
	ev_loop_destroy(l->ev);
	free(l->heap);
	free(l->deferred);
	free(l);
}

int loop_run(struct loop *l)
{
	l->status = 0;
	l->now = loop_boottime();
	ev_run(l->ev, 0);
	return l->status;
}

void loop_stop(struct loop *l, int status)
{
	l->status = status;
	ev_break(l->ev, EVBREAK_ALL);
}
