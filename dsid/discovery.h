/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which services the nodes of the cluster have: SERVICES messages out when ours change and when a view opens, and the
 * newest word of every member. Shown to people and tools; nobody decides by it, and a member's words are escaped by who shows them.
 *
 * Must never: send for each change of a burst; keep more than a message of each node.
 */
#ifndef DSI_DSID_DISCOVERY_H
#define DSI_DSID_DISCOVERY_H

#include <jansson.h>

#include "dsid/registry.h"

struct engine;
struct discovery;
struct body_services;

struct discovery *discovery_new(struct engine *g); /* NULL: no memory */
void discovery_free(struct discovery *d); /* NULL-safe */
void discovery_changed(struct discovery *d); /* ours did: told soon */
void discovery_view(struct discovery *d);    /* a view opened: told to whoever is new */
void discovery_message(struct discovery *d, u32 nid, const struct body_services *m);
json_t *discovery_rows(const struct discovery *d); /* [{node, nid, present, name, version, api, state}]: new reference */

#endif
