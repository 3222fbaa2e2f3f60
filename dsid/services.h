/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services of this node: the service socket (dsid/service.h) in the engine. Says who a program is (the monitor knows) and
 * what it may (the policy in force says), and records what was refused.
 *
 * May a program announce or use a service? By the rule of class `service` {its context, the service's type}:
 *   allowed by rule                 yes
 *   no rule                         no
 *   unconfined or permissive, or no context or no policy to judge by
 *                                   use: yes; announce: root only. Being unconfined is a right to things, not to be trusted
 *                                   by others, so here it takes a rule or root
 */
#ifndef DSI_DSID_SERVICES_H
#define DSI_DSID_SERVICES_H

#include <jansson.h>

#include "dsid/registry.h"

struct engine;
struct services;

struct services *services_new(struct engine *g, int listener); /* takes the listener; NULL: no memory */
void services_free(struct services *s); /* NULL-safe */
/* What runs here, for people and tools: lib/ctl.h SERVICE_LIST. New reference. */
json_t *services_rows(const struct services *s);
/*
 * By name; text: what to say to who asked. A provider from outside is only told to end: its own supervisor starts it again.
 * -DSI_ENOENT; replace of one from outside: -DSI_EUSAGE, it replaces itself by announcing.
 */
enum services_do { SERVICES_RESTART, SERVICES_REPLACE, SERVICES_STOP };
int services_do(struct services *s, enum services_do what, const char *name, const char **ret_text);
u32 services_registered(const struct services *s, struct reg_row ret[LIM_SERVICES]);
unsigned services_connections(const struct services *s);
json_t *services_refused(const struct services *s); /* {"early": 3, ...}: new reference */

#endif
