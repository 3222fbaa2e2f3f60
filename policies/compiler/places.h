/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Node classes and places. Nodes in the same groups share a class, numbered by node name from
 * DSI_NCLASS_FIRST; a member that no group names is DSI_NCLASS_MEMBER. A place is a set of classes: where
 * a rule is loaded.
 */
#ifndef DSI_POLICIES_COMPILER_PLACES_H
#define DSI_POLICIES_COMPILER_PLACES_H

#include "policies/compiler/diag.h"
#include "policies/compiler/policy.h"

struct place {
	u8 classes[IMAGE_CLASSES_LEN];
};

struct places {
	struct policy *p;
	struct node **nodes; /* by name */
	u32 n_nodes;
	u32 n_classes; /* one past the highest */
	struct place *sets; /* distinct; places_sort() brings them into final order */
	u32 n_sets, cap;
};

/* 0, -DSI_ENOMEM, or -DSI_ELIMIT with a diagnostic. Fills node->nclass and group->classes. */
int places_build(struct policy *p, struct diag_list *diags, struct places *ret);
/* Number of this set, IMAGE_PLACE_EVERYWHERE for NULL. UINT32_MAX: no memory or too many. */
u32 places_intern(struct places *pl, const u8 *classes);
bool places_and(const u8 *a, const u8 *b, u8 *ret); /* NULL is everywhere; false when empty */
bool places_covers(const struct places *pl, u32 big, u32 small);
bool places_meet(const struct places *pl, u32 a, u32 b);
/* Bring sets into image order; ret_map[old] = new, room for n_sets. */
void places_sort(struct places *pl, u32 *ret_map);

#endif
