/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Census: what each member says it enforces and knows, as the stream delivered it. Core. Not replicated state: a
 * REPORT is only ever shown to people, nothing is decided by it; by a HELLO's level the active server decides what it
 * does not order yet, and nothing else.
 */
#ifndef DSI_GCS_CENSUS_H
#define DSI_GCS_CENSUS_H

#include "gcs/state.h"
#include "lib/msg.h"

enum node_mode { MODE_NONE = 0, MODE_PERMISSIVE = 1, MODE_ENFORCING = 2 };

struct census_row {
	u32 nid;
	bool reported;
	struct body_report report;
	char version[32]; /* of the manager's program, from HELLO, without the level */
	u32 level, server_level; /* lib/knows.h, of manager and server; 0: no HELLO heard */
	char server_version[32];
};
struct census {
	struct census_row row[LIM_NODES];
	u32 n;
};

void census_hello(struct census *c, u32 nid, u8 role, const struct body_hello *h);
void census_report(struct census *c, u32 nid, const struct body_report *r);
const struct census_row *census_row(const struct census *c, u32 nid); /* NULL */

struct census_sum { /* of the bound members of the log */
	u32 enforced;      /* present, enforcing the newest policy */
	u32 present, absent;
	u32 lagging;       /* present, enforcing, another version */
	u32 not_enforcing; /* present, but off or permissive */
};
void census_sum(const struct census *c, const struct state *s, const struct order_status *o, struct census_sum *ret);
/*
 * A present member that is too old for what needs `level`: its NID, and in ret (cap bytes) what it runs, for people: "dsid
 * of version 0.1.0, level 1"; 0: none, whoever is there knows it. Managers and servers both read the log, so both count;
 * who has not said is too old for all but level 1.
 */
u32 census_too_old(const struct census *c, const struct order_status *o, u32 level, char *ret, size_t cap);
bool census_present(const struct order_status *o, u32 nid); /* its manager */
bool census_serves(const struct order_status *o, u32 nid);  /* its server */

#endif
