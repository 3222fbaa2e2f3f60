/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: dsid's unprivileged half. Holds the control socket, the replica (state machine and log) and
 * the services' user parts; asks the monitor for privileged operations and the key service for signatures.
 *
 * Must never: load BPF, open files outside its state directory, see a private key. One thread, one loop.
 * struct engine is private to dsid/: its parts (submit.c, enrol.c, control.c, report.c, acs/) work on it.
 */
#ifndef DSI_DSID_ENGINE_H
#define DSI_DSID_ENGINE_H

#include "dsid/acs/denials.h"
#include "dsid/acs/install.h"
#include "dsid/conf.h"
#include "dsid/enforce.h"
#include "dsid/ring.h"
#include "gcs/census.h"
#include "gcs/replica.h"
#include "lib/ipc.h"

struct submission; /* submit.c: what a local caller handed in and waits for */
struct spread;     /* spread.c: a verdict on its way over the direct leg */
struct enrolment;  /* enrol.c: a newcomer that waits for its entry */
struct upload;     /* control.c: a blob that a local caller is handing in, part by part */

struct engine {
	struct loop *loop;
	struct dsid_conf conf;
	struct keys keys;
	struct enforce *enforce;
	struct install *install;
	struct replica *replica;
	struct ipc_server *ipc;
	struct denials *denials;
	struct census census;
	struct gcs_view view;
	bool have_view, joined;
	int channel_fd;
	/* the kernel, as the monitor says */
	struct monop_kernel kernel;
	bool have_kernel;
	u64 policy_asked;      /* version handed to install, 0 none */
	u8 asked_digest[CRYPTO_HASH];
	u64 policy_enforced;   /* version the kernel has */
	u64 verdicts;          /* index of the last verdict the kernel holds */
	u64 lease_until;
	int lagging;           /* code; 0 */
	char detail[LIM_PATH]; /* what lags or is missing */
	u8 isolated[LIM_NIDS / 8 + 1]; /* by `isolate --local`, not by the log */
	bool nodes_dirty;      /* the kernel's idea of the nodes is older than the log's */
	bool sync_soon;
	struct loop_timer *report_timer;
	struct submission *submissions;
	struct spread *spreads;
	struct enrolment *enrolments;
	struct upload *uploads;
	struct ring_side *ring;
};

/* engine.c */
int engine_run(const struct dsid_conf *conf, int monitor_fd, int keys_fd, int channel_fd); /* body of the process */
void engine_sync(struct engine *g); /* bring the kernel up to the state, soon */
u32 engine_mode(const struct engine *g); /* enum node_mode */
const char *engine_detail(const struct engine *g); /* why this node does not enforce, or what is wrong; "" */
void engine_isolate(struct engine *g, u32 nid, bool on); /* this node's kernel alone refuses that node */
const char *engine_node_name(const struct engine *g, u32 nid);

/* report.c */
void report_send(struct engine *g);
void verdict_ack(struct engine *g, const u8 request[16], u32 target, u32 stage, u64 kernel_us);

/* submit.c: the request table between local callers and the cluster */
void submit_begin(struct engine *g, struct ipc_request *rq, const u8 *statement, size_t n, bool has_blob, u64 wait_ms);
void submit_on_submitted(struct engine *g, const struct body_submitted *m);
void submit_on_applied(struct engine *g, const struct entry *e, const struct state_result *r);
void submit_on_verdictack(struct engine *g, u32 nid, const struct body_verdictack *m);
void submit_on_report(struct engine *g, u32 nid, const struct body_report *m);
void submit_on_told(struct engine *g, const u8 request[16], u32 nid); /* nid suspended, said over the direct leg */
void submit_free(struct engine *g);

/* relay.c: a submission that another member hands in, whose ring is silent */
void submit_foreign(struct engine *g, struct direct_request *rq, const struct direct_peer *peer, const u8 *p, size_t n);

/* spread.c: the second path of a verdict or deposition, DESIGN 4. Tells every live member but its target, again until
 * it was told or the log has decided; replica_urgent() took it here before. */
void spread_begin(struct engine *g, const struct statement *st, u32 target);
void spread_request(struct engine *g, struct direct_request *rq, const struct direct_peer *peer, const u8 *p, size_t n);
void spread_free(struct engine *g);

/* enrol.c */
void enrol_request(struct engine *g, struct direct_request *rq, const struct direct_peer *peer, const u8 *p, size_t n);
void enrol_on_applied(struct engine *g, const struct entry *e, const struct state_result *r);
void enrol_on_submitted(struct engine *g, const struct body_submitted *m);
void enrol_free(struct engine *g);

/* control.c */
int control_open(struct engine *g, struct err *e);
void control_free(struct engine *g);

#endif
