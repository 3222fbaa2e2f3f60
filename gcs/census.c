/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each member says it enforces. Core: rows by NID, the newest word counts. */
#include "gcs/census.h"

#include <stdio.h>
#include <string.h>

#include "lib/knows.h"

static struct census_row *row_for(struct census *c, u32 nid)
{
	for (u32 i = 0; i < c->n; i++)
		if (c->row[i].nid == nid)
			return &c->row[i];
	if (c->n == ARRAY_SIZE(c->row)) /* more members than a group can have: forget the oldest row */
		memmove(&c->row[0], &c->row[1], (--c->n) * sizeof(c->row[0]));
	memset(&c->row[c->n], 0, sizeof(c->row[0]));
	c->row[c->n].nid = nid;
	return &c->row[c->n++];
}

void census_hello(struct census *c, u32 nid, u8 role, const struct body_hello *h)
{
	struct census_row *row = row_for(c, nid);
	bool server = role == ROLE_SERVER;
	char *version = server ? row->server_version : row->version;
	size_t len;
	u32 level = knows_level(h->version, &len);

	*(server ? &row->server_level : &row->level) = level;
	snprintf(version, sizeof(row->version), "%.*s", (int)MIN(len, sizeof(row->version) - 1), h->version);
	for (char *p = version; *p; p++) /* a member's words, shown on people's terminals */
		if (*p < 0x21 || *p > 0x7e)
			*p = '?';
}

u32 census_too_old(const struct census *c, const struct order_status *o, u32 level, char *ret, size_t cap)
{
	for (u32 i = 0; level > KNOWS_FIRST && i < o->present_n + o->server_n; i++) {
		bool server = i >= o->present_n;
		u32 nid = server ? o->server_nid[i - o->present_n] : o->present_nid[i];
		const struct census_row *row = census_row(c, nid);
		u32 has = !row ? 0 : server ? row->server_level : row->level;

		if (has >= level)
			continue;
		if (has)
			snprintf(ret, cap, "%s of version %s, level %u", server ? "dsi-ss" : "dsid",
				 server ? row->server_version : row->version, has);
		else
			snprintf(ret, cap, "%s that has not said its version yet", server ? "dsi-ss" : "dsid");
		return nid;
	}
	return 0;
}

void census_report(struct census *c, u32 nid, const struct body_report *r)
{
	struct census_row *row = row_for(c, nid);

	row->reported = true;
	row->report = *r;
}

const struct census_row *census_row(const struct census *c, u32 nid)
{
	for (u32 i = 0; i < c->n; i++)
		if (c->row[i].nid == nid)
			return &c->row[i];
	return NULL;
}

static bool listed(const u32 *list, u32 n, u32 nid)
{
	for (u32 i = 0; i < n; i++)
		if (list[i] == nid)
			return true;
	return false;
}

bool census_present(const struct order_status *o, u32 nid)
{
	return listed(o->present_nid, o->present_n, nid);
}

bool census_serves(const struct order_status *o, u32 nid)
{
	return listed(o->server_nid, o->server_n, nid);
}

void census_sum(const struct census *c, const struct state *s, const struct order_status *o, struct census_sum *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (u32 i = 0; i < s->n_node; i++) {
		const struct state_node *n = &s->node[i];
		const struct census_row *row = census_row(c, n->nid);

		if (n->status != NODE_BOUND)
			continue;
		if (!census_present(o, n->nid)) {
			ret->absent++;
			continue;
		}
		ret->present++;
		if (!row || !row->reported || row->report.mode != MODE_ENFORCING)
			ret->not_enforcing++;
		else if (row->report.policy_version != s->policy.version)
			ret->lagging++;
		else
			ret->enforced++;
	}
}
