/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this node tells the others about its own kernel. Shown to people; nobody decides by it. */
#include <stdio.h>
#include <string.h>

#include "dsid/engine.h"

u32 engine_mode(const struct engine *g)
{
	if (!g->have_kernel || !g->kernel.can_enforce)
		return MODE_NONE;
	switch (g->kernel.mode) {
	case DSI_MODE_ENFORCING:
		return MODE_ENFORCING;
	case DSI_MODE_PERMISSIVE:
		return MODE_PERMISSIVE;
	default:
		return MODE_NONE;
	}
}

const char *engine_detail(const struct engine *g)
{
	return g->have_kernel && engine_mode(g) != MODE_ENFORCING && g->kernel.text[0] ? g->kernel.text : g->detail;
}

void report_send(struct engine *g)
{
	struct body_report m = {
		.applied = replica_state(g->replica)->applied,
		.policy_version = g->policy_enforced,
		.mode = engine_mode(g),
		.lagging = (u32)-g->lagging,
		.verdicts = g->verdicts,
	};
	const char *why = engine_detail(g);

	if (!g->joined)
		return;
	snprintf(m.detail, sizeof(m.detail), "%.*s", (int)sizeof(m.detail) - 1, why);
	if (replica_send(g->replica, MSG_REPORT, GCS_NORMAL, &m) == -DSI_EAGAIN)
		loop_timer_set(g->report_timer, 100ull * 1000000);
}

void verdict_ack(struct engine *g, const u8 request[16], u32 target, u32 stage, u64 kernel_us)
{
	struct body_verdictack m = { .target = target, .stage = stage, .kernel_us = kernel_us };

	memcpy(m.request, request, sizeof(m.request));
	replica_send(g->replica, MSG_VERDICTACK, GCS_URGENT, &m);
}
