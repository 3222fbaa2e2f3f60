/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port classes: ports that no rule tells apart share one. Class 0 is every port that no rule names; the
 * others are numbered in order of their lowest port. Exact partition, no hashing of sets.
 */
#ifndef DSI_POLICIES_COMPILER_PORTS_H
#define DSI_POLICIES_COMPILER_PORTS_H

#include "policies/compiler/diag.h"
#include "policies/compiler/policy.h"

struct port_list {
	const struct port_range *ranges; /* sorted, disjoint, not adjacent */
	u32 n_ranges;
	u16 *classes; /* ascending */
	u32 n_classes;
	struct pos pos;
};

struct ports {
	struct port_list *lists; /* [0]: every port */
	u32 n_lists;
	struct image_ports *ranges; /* of the named ports: sorted, merged */
	u32 n_ranges;
	u32 n_classes; /* with class 0 */
};

/* Fills rule->portlist of every rule. 0, -DSI_ENOMEM, or -DSI_ELIMIT with a diagnostic. */
int ports_build(struct policy *p, struct diag_list *diags, struct ports *ret);

#endif
