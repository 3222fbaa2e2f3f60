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

struct engine;
struct services;

struct services *services_new(struct engine *g, int listener); /* takes the listener; NULL: no memory */
void services_free(struct services *s); /* NULL-safe */
json_t *services_refused(const struct services *s); /* {"early": 3, ...}: new reference */

#endif
