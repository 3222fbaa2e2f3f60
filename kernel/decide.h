/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decision, pure: no clock, no maps, no globals. Compiled for the kernel (kernel/policy.bpf.h) and
 * for the host (tests, benchmarks); both must answer alike, and like image_decide() of policies/.
 *
 * Before including it, define
 *	dsi_policy_t                                     a set of rules and context flags
 *	const struct dsi_rule_value *dsi_policy_rule(const dsi_policy_t *, const struct dsi_rule_key *)
 *	dsi_u32 dsi_policy_flags(const dsi_policy_t *, dsi_u32 sid)   enum dsi_context_flag
 * Invariant: nothing is allowed but by a rule, or by the subject's unconfined flag where nclass is LOCAL.
 */
#ifndef DSI_KERNEL_DECIDE_H
#define DSI_KERNEL_DECIDE_H

#include "kernel/abi.h"

struct dsi_answer {
	dsi_u32 allow;   /* 1 or 0; permissive modes are the caller's */
	dsi_u32 reason;  /* enum dsi_reason: RULE, UNCONFINED, NO_RULE, NO_LABEL, TARGET_UNKNOWN */
	dsi_u32 granted; /* permissions of the key, whether asked or not; all of them when unconfined */
	dsi_u32 rule;    /* of the key, also when it does not grant enough; DSI_RULE_NONE */
};

static inline __attribute__((always_inline)) void
dsi_decide(const dsi_policy_t *policy, const struct dsi_rule_key *key, dsi_u32 perm, struct dsi_answer *ret)
{
	const struct dsi_rule_value *v = 0;

	ret->allow = 0;
	ret->granted = 0;
	ret->rule = DSI_RULE_NONE;
	if (key->ssid == DSI_SID_NONE) {
		ret->reason = DSI_REASON_NO_LABEL;
		return;
	}
	if (key->tsid != DSI_SID_NONE)
		v = dsi_policy_rule(policy, key);
	if (v) {
		ret->granted = v->allow;
		ret->rule = v->rule;
		if (!(perm & ~v->allow)) {
			ret->allow = 1;
			ret->reason = DSI_REASON_RULE;
			return;
		}
	}
	if (key->nclass == DSI_NCLASS_LOCAL && dsi_policy_flags(policy, key->ssid) & DSI_CTX_UNCONFINED) {
		ret->allow = 1;
		ret->granted = ~0u;
		ret->reason = DSI_REASON_UNCONFINED;
		return;
	}
	ret->reason = key->tsid == DSI_SID_NONE ? DSI_REASON_TARGET_UNKNOWN : DSI_REASON_NO_RULE;
}

#endif
