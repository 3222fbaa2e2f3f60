/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A refusal in words: the kernel's numbers (body_denial), the image that decided and the nodes' names ->
 * the record that `denials` and `explain` show. Names of SIDs outlive the policy that made them (retired
 * names stay in later images), so any image from that version on will do.
 */
#ifndef DSI_POLICIES_DENIAL_H
#define DSI_POLICIES_DENIAL_H

#include <jansson.h>

#include "lib/msg.h"
#include "policies/image.h"

struct denial_names {
	const char *node;                                /* who reported: the target's node */
	const char *(*node_name)(void *ctx, u32 nid);    /* "" when unknown */
	void *ctx;
};

/* New reference; NULL on ENOMEM. img NULL: numbers instead of names. Fields: lib/ctl.h DENIALS, plus "why". */
json_t *denial_record(const struct image *img, const struct denial_names *names, u32 nid, u64 id,
		      const struct body_denial *d);

#endif
