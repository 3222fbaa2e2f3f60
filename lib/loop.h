/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port: the event loop of one thread. loop_ev.c (libev) is the one implementation; cores never see it,
 * they take time and randomness as arguments.
 *
 * Times are nanoseconds of CLOCK_BOOTTIME (suspend counts); wall time (loop_wall_ms) is only ever shown
 * or compared with what a person wrote. Callbacks run on the loop's thread and must not block.
 */
#ifndef DSI_LIB_LOOP_H
#define DSI_LIB_LOOP_H

#include "lib/compiler.h"

struct loop;
struct loop_fd;
struct loop_timer;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void loop_fd_fn(void *ctx, int events);
typedef void loop_fn(void *ctx);

struct loop *loop_new(void); /* NULL when no backend works */
void loop_free(struct loop *l);
int loop_run(struct loop *l); /* until loop_stop(); returns the status given there */
void loop_stop(struct loop *l, int status);
u64 loop_now(const struct loop *l); /* boottime ns, cached per iteration */
u64 loop_wall_ms(void);
u64 loop_boottime(void);            /* not cached */

struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, loop_fd_fn *fn, void *ctx);
void loop_fd_set(struct loop_fd *w, int events);
void loop_fd_free(struct loop_fd *w); /* safe inside its own callback; does not close */

/* One-shot; re-arm with loop_timer_set(); interval 0 stops it. */
struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *ctx);
void loop_timer_set(struct loop_timer *t, u64 after_ns);
bool loop_timer_active(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* fn runs once, on this loop's thread, after the current callbacks. loop_wake is the only function that
 * another thread may call: it makes on_wake run on the loop's thread. */
int loop_defer(struct loop *l, loop_fn *fn, void *ctx);
struct loop_wake;
struct loop_wake *loop_wake_new(struct loop *l, loop_fn *on_wake, void *ctx);
void loop_wake(struct loop_wake *w);
void loop_wake_free(struct loop_wake *w);

int loop_signal(struct loop *l, int signo, loop_fn *fn, void *ctx);
int loop_child(struct loop *l, int pid, void (*fn)(void *ctx, int pid, int status), void *ctx);

#endif
