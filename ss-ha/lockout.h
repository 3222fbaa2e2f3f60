/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The must-allow list at the server (DESIGN §9): no policy is ordered that would lock the administrator or DSI out,
 * whatever program handed it in. A large policy takes long to judge (cases x node classes x port classes), so that is
 * a thread's work, one image at a time; answers are remembered by digest. Loop thread only, but for the thread itself.
 *
 * Must never: call a policy safe that was not judged; judge on the loop's thread.
 */
#ifndef DSI_SS_HA_LOCKOUT_H
#define DSI_SS_HA_LOCKOUT_H

#include "lib/crypto.h"
#include "lib/err.h"
#include "lib/loop.h"

struct lockout;
typedef void lockout_fn(void *ctx, const u8 digest[CRYPTO_HASH]); /* judged: ask lockout_answer() */

/* list: path of the must-allow list, read at each judgement. */
int lockout_new(struct lockout **ret, struct loop *l, const char *list, lockout_fn *fn, void *ctx, struct err *e);
void lockout_free(struct lockout *k); /* NULL-safe; waits for the thread */
/* True when it is known: *ret_code 0, -DSI_ENOTSAFE with the case in *e, or why it could not be judged, which is told
 * once and then forgotten (the list may be there the next time). *ret_level: what a program must know to load the image
 * (lib/knows.h), when the code is 0. */
bool lockout_answer(struct lockout *k, const u8 digest[CRYPTO_HASH], int *ret_code, u32 *ret_level, struct err *e);
/* Takes image (malloc'ed) in any case. -DSI_EAGAIN: busy with another; fn tells when to ask again. */
int lockout_judge(struct lockout *k, const u8 digest[CRYPTO_HASH], u8 *image, size_t len);

#endif
