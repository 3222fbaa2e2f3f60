/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to gcs/state*.c: how one statement or entry is judged.
 *
 *   entry ──▶ judge_entry: body, statement, signatures of shape ──┐
 *   statement ──▶ judge_statement ───────────────────────────────┴─▶ judge_authority ─▶ judge_state ─▶ apply
 *
 * authority: depends only on who may say what (signer, role, cluster, generation); the same whenever it is asked.
 * state: expiry, replay, and the row's own check against what was applied before.
 * A struct judged holds everything decoded, so that nothing is parsed twice and checks are one function for
 * state_check() and state_apply().
 */
#ifndef DSI_GCS_STATE_IMPL_H
#define DSI_GCS_STATE_IMPL_H

#include "gcs/state.h"
#include "lib/arena.h"

enum { JUDGED_ARENA = 4 << 20 }; /* several times what the largest entry can ask for: running out is this machine's fault */

struct judged {
	const struct state *s;
	const struct entry *e; /* NULL: only a statement so far */
	u16 kind;
	u64 wall_ms;
	bool has_statement;
	struct statement st;
	const struct state_operator *op; /* who signed, when an operator did */
	union {
		struct body_e_statement statement;
		struct body_e_policy policy;
		struct body_e_voter voter;
		struct body_e_verdict verdict;
		struct body_e_enrol enrol;
		struct body_e_term term;
		struct body_e_groupkey groupkey;
		struct body_e_sidblock sidblock;
	} entry;
	union {
		struct body_s_genesis genesis;
		struct body_s_token token;
		struct body_s_policy policy;
		struct body_s_verdict verdict;
		struct body_s_node_op node_op;
		struct body_s_confirm confirm;
		struct body_s_reform reform;
	} said;
	/* Left by check for apply, which must not decode (and so not allocate) any more. */
	struct body_node node;        /* GENESIS, ENROL */
	struct body_operator *ops;    /* GENESIS */
	struct body_dead *dead;       /* REFORM */
	bool take_key;                /* TERM, VERDICT, GROUPKEY: the group key it brings counts */
	struct arena arena;
	struct err *err;       /* may be NULL */
};

/* One row per entry type. */
struct state_kind {
	const struct body_schema *entry; /* schema of the entry's body; NULL: empty body */
	const struct body_schema *said;  /* schema of the statement's body; NULL: carries none */
	u8 signer;                       /* who must have signed the statement; 0: server alone */
	u8 op_role;                      /* enum operator_role the operator must have */
	bool alone;                      /* a server may also do it without a statement, on a recorded authority */
	/* Against the state as applied; text into j->err. NULL: nothing to check. */
	int (*check)(struct judged *j);
	/* Present nodes are enough to commit it, before it is ordered. NULL: any. */
	int (*live)(struct judged *j, const u32 *live, u32 n_live);
	/* Cannot fail: check passed. */
	void (*apply)(struct state *s, const struct judged *j, struct state_result *ret);
	/* The node it is about, also when refused. NULL: none. */
	u32 (*about)(const struct judged *j);
};

const struct state_kind *state_kind(u16 type); /* NULL: unknown type */

/* state_judge.c. All return 0 or a code, with text in j->err. judge_init first, judge_fini always. */
void judge_init(struct judged *j, const struct state *s, u64 wall_ms, struct err *err);
void judge_fini(struct judged *j);
int judge_entry(struct judged *j, const struct entry *e);
int judge_statement(struct judged *j, const struct statement *st);
int judge_authority(struct judged *j);
int judge_state(struct judged *j);
/* Where the next request id goes: the end, or the place of the oldest expired one; STATE_REQUESTS: no room. */
u32 request_slot(const struct state *s, u64 wall_ms);
/* Codes that say that this machine failed, not the input. */
bool judge_machine_failed(int code);

/* state.c */
struct state_node *state_node_mut(struct state *s, u32 nid);
const struct state_node *state_node_last_named(const struct state *s, const char *name); /* newest holder, dead too */
bool state_key_known(const struct state *s, const u8 key[32]); /* any key ever seen, of anybody */
bool state_key_zero(const u8 key[32]);
void state_set_str(char *dst, size_t cap, const char *src); /* bytes after the NUL are zero */

/* state_voter.c */
bool voters_have(const struct order_voters *v, u32 nid);
const struct order_voters *voters_now(const struct state *s);
void voters_add(struct state *s, u32 nid, u64 index);
void voters_remove(struct state *s, u32 nid, u64 index); /* no-op when it is not in the set */
int voters_check_without(struct judged *j, u32 nid, const char *verb); /* set would not become empty */
int voters_live_verdict(struct judged *j, u32 nid, const u32 *live, u32 n_live);
int voters_live_change(struct judged *j, u32 nid, bool add, const u32 *live, u32 n_live);
u32 servers_usable(const struct state *s, u32 except);
void servers_remove(struct state *s, u32 nid);
void tokens_void(struct state *s, const char *name); /* state_verdict.c */

/* state_wrap.c: fresh group keys in entries. */
struct wraps {
	u32 keygen;
	const struct blobs *list;
};
/* Shape and order of wraps; none to dead (other than as of s) or to exclude. */
int wraps_check(const struct state *s, const struct wraps *w, u32 exclude, struct arena *a);
/* Sets j->take_key; fails only when this machine did: a bad key never stops what came with it. */
int wraps_judge(struct judged *j, const struct wraps *w, u32 exclude);

/* Rows, by file. */
int genesis_row_check(struct judged *j);
void genesis_row_apply(struct state *s, const struct judged *j, struct state_result *ret);
int reform_check(struct judged *j);
void reform_apply(struct state *s, const struct judged *j, struct state_result *ret);
int term_check(struct judged *j);
void term_apply(struct state *s, const struct judged *j, struct state_result *ret);
int term_promises(struct judged *j); /* for state_verify_entry */
int groupkey_check(struct judged *j);
void groupkey_apply(struct state *s, const struct judged *j, struct state_result *ret);
int sidblock_check(struct judged *j);
void sidblock_apply(struct state *s, const struct judged *j, struct state_result *ret);
u32 sidblock_about(const struct judged *j);

int token_row_check(struct judged *j);
void token_row_apply(struct state *s, const struct judged *j, struct state_result *ret);
int enrol_check(struct judged *j);
void enrol_apply(struct state *s, const struct judged *j, struct state_result *ret);
u32 enrol_about(const struct judged *j);
int enrol_node_decode(struct judged *j, const struct blob *node); /* into j->node */
int enrol_node_check(struct judged *j);                           /* j->node may be bound */
void enrol_node_fill(struct state_node *n, const struct body_node *b);

int policy_entry_check(struct judged *j);
void policy_apply(struct state *s, const struct judged *j, struct state_result *ret);
int confirm_check(struct judged *j);
void confirm_apply(struct state *s, const struct judged *j, struct state_result *ret);

int voter_add_check(struct judged *j);
int voter_add_live(struct judged *j, const u32 *live, u32 n);
void voter_add_apply(struct state *s, const struct judged *j, struct state_result *ret);
u32 voter_add_about(const struct judged *j);
int voter_remove_check(struct judged *j);
int voter_remove_live(struct judged *j, const u32 *live, u32 n);
void voter_remove_apply(struct state *s, const struct judged *j, struct state_result *ret);

int verdict_check(struct judged *j);
int verdict_live(struct judged *j, const u32 *live, u32 n);
void verdict_apply(struct state *s, const struct judged *j, struct state_result *ret);
u32 verdict_about(const struct judged *j);
int withdraw_check(struct judged *j);
void withdraw_apply(struct state *s, const struct judged *j, struct state_result *ret);
int readmit_check(struct judged *j);
void readmit_apply(struct state *s, const struct judged *j, struct state_result *ret);
int remove_check(struct judged *j);
void remove_apply(struct state *s, const struct judged *j, struct state_result *ret);
int depose_check(struct judged *j);
void depose_apply(struct state *s, const struct judged *j, struct state_result *ret);
void suspensions_end(struct state *s, u64 wall_ms, struct state_result *ret); /* those whose time was up at wall_ms */
u32 node_op_about(const struct judged *j);
int node_op_node(struct judged *j, const struct state_node **ret); /* number and name must belong together */

#endif
