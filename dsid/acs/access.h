/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access control as a service of the engine, `dsi.access`: an instance is an installer of policies (install.h) and answers
 * what programs ask of the policy in force. Requests, as text:
 *
 *	state                       -> {"policy": 3, "mode": "enforcing", "busy": false, "lost": 0, "why": ""}
 *	may TARGET CLASS PERMISSION -> "yes: RULE" or "no: WHY" for the asker's own context; TARGET: a name of the policy
 *
 * Replaced: the new instance takes the next policy; the old one first finishes what it is installing, since the monitor
 * takes one policy at a time. Enforcement does not pause: the kernel holds what it has.
 */
#ifndef DSI_DSID_ACS_ACCESS_H
#define DSI_DSID_ACS_ACCESS_H

#include "dsid/builtin.h"

struct engine;
struct install;

extern const struct service_ops access_service; /* env: struct engine */

/* NULL while stopped, or while an instance that ended is still installing: ask again at the next engine_sync(). */
struct install *access_install(struct engine *g);
void access_drained(struct engine *g); /* the monitor takes more */
void access_reap(struct engine *g);    /* frees ended instances that are done; not from inside an installation's callback */
void access_free(struct engine *g);    /* all of them, at the end */

#endif
