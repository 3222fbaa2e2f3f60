/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The security server: orders what operators, tokens and timers authorise while it is active, follows while
 * it is standby, and keeps what people ask about (refusals, alarms). It authors nothing but TERM, group keys,
 * NIDs, promotions and policies that go back: everything else carries an operator's statement.
 *
 * Must never: read a private key, vote, decide by a REPORT.
 * struct server is private to ss-ha/.
 */
#ifndef DSI_SS_HA_SERVER_H
#define DSI_SS_HA_SERVER_H

#include "gcs/census.h"
#include "gcs/replica.h"
#include "lib/ipc.h"
#include "ss-ha/conf.h"
#include "ss-ha/lockout.h"
#include "ss-ha/store.h"

enum { ORDERED_MAX = 64, HELD_MAX = 4 };

/* A policy handed in that waits for its image, then for the must-allow list; asked again by dsid each second. */
struct held {
	struct server *s;
	bool used, fetching;
	struct session_sender from;
	u8 request[16], digest[CRYPTO_HASH];
	u8 *statement;
	size_t n;
	u32 kind, blob_from;
};

struct server {
	struct loop *loop;
	struct ss_conf conf;
	struct keys keys;
	struct replica *replica;
	struct ipc_server *ipc;
	struct store *store;
	struct census census;
	struct gcs_view view;
	bool have_view, joined;
	int channel_fd;
	bool active;
	u64 term;
	u32 active_nid;
	u8 ordered[ORDERED_MAX][16]; /* request ids proposed and not yet applied: a second asking is no second entry */
	u32 n_ordered;
	bool key_owed; /* the last TERM or VERDICT applied brought no group key */
	struct ipc_request *failover; /* who asked us to step aside and waits for the next server's term; NULL */
	u64 failover_began;
	struct loop_timer *failover_timer;
	struct lockout *lockout;
	struct held held[HELD_MAX];
	struct loop_timer *housekeeping; /* promotions, policies that go back */
	u8 *image; /* of the policy in force, for names in refusals; NULL */
	size_t image_len;
	u64 image_version;
};

int server_run(const struct ss_conf *conf, int keys_fd, int channel_fd);
const char *server_node_name(void *ctx, u32 nid); /* ctx: struct server; "" when unknown */

/* orders.c: requests -> entries, only while active */
void orders_submit(struct server *s, const struct session_sender *from, const struct body_submit *m);
void orders_make_term(struct server *s, u64 term, const struct gcs_ring *ring, const struct order_promise_proof *proofs,
		      u32 n);
/* Bodies of TERM and GROUPKEY with a fresh key, for the end of our log as it is now. Appended to w. */
int orders_term_body(struct server *s, const struct gcs_ring *ring, const struct order_promise_proof *proofs, u32 n,
		     struct wbuf *w);
int orders_key_body(struct server *s, struct wbuf *w);
void orders_applied(struct server *s, const struct entry *e, const struct state_result *r);
void orders_housekeeping(struct server *s);
void orders_judged(void *ctx, const u8 digest[CRYPTO_HASH]); /* ctx: struct server; lockout has an answer */
void orders_drop(struct server *s); /* no longer active, or the end: what was not ordered is asked again elsewhere */

/* control.c */
int server_control_open(struct server *s, struct err *e);
void server_control_role(struct server *s); /* active, term or active_nid changed */
void server_control_free(struct server *s);

#endif
