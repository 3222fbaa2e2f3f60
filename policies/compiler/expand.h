/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules to keys: every statement becomes the entries that the kernels look up. Works on a checked policy
 * whose symbols have SIDs, with its ports and places.
 */
#ifndef DSI_POLICIES_COMPILER_EXPAND_H
#define DSI_POLICIES_COMPILER_EXPAND_H

#include "policies/compiler/places.h"
#include "policies/compiler/policy.h"
#include "policies/compiler/ports.h"

struct entry {
	struct dsi_rule_key key;
	u32 allow;
	u32 place;
	const struct rule *rule; /* NULL: made by a domain's exec entry */
	struct pos pos;
};

/* Non-zero stops the expansion and is returned. */
typedef int (*expand_fn)(void *arg, const struct entry *e);

struct expand {
	const struct policy *p;
	const struct ports *ports;
	struct places *places;
	expand_fn fn;
	void *arg;
};

int expand_rule(struct expand *x, const struct rule *r);
int expand_domain(struct expand *x, const struct domain *d); /* the transitions that its exec entries make */

u32 expand_context_sid(const struct symbol *s);
u32 expand_type_sid(const struct symbol *s);

#endif
