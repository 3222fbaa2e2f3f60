/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All entries of a policy, sorted and merged: what becomes section rules, and what audits search. */
#ifndef DSI_POLICIES_COMPILER_ENTRIES_H
#define DSI_POLICIES_COMPILER_ENTRIES_H

#include "policies/compiler/diag.h"
#include "policies/compiler/expand.h"

struct entries {
	struct entry *items;
	u32 n, cap;
	const u32 *file_rank; /* final file index of policy->files[i] */
};

/* Expand, sort, merge. 0, -DSI_ENOMEM, or -DSI_ELIMIT with a diagnostic. */
int entries_build(struct policy *p, const struct ports *ports, struct places *places, const u32 *file_rank,
		  struct diag_list *diags, struct entries *ret);
int entries_key_order(const struct dsi_rule_key *a, const struct dsi_rule_key *b);
/* First entry with this key; *ret_n of them follow each other. */
u32 entries_find(const struct entries *es, const struct dsi_rule_key *key, u32 *ret_n);

/* Errors for broken `never`, warnings for what has no effect or cannot happen. */
int entries_audit(struct policy *p, const struct ports *ports, struct places *places, const struct entries *es,
		  struct diag_list *diags);

#endif
