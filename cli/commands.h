/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions behind the table in commands.c, and the renderers that tests feed. */
#ifndef DSI_CLI_COMMANDS_H
#define DSI_CLI_COMMANDS_H

#include "cli/cli.h"

int cmd_init(struct cli *c, struct err *e);
int cmd_join_token(struct cli *c, struct err *e);
int cmd_enroll(struct cli *c, struct err *e);
int cmd_operator_new(struct cli *c, struct err *e);
int cmd_operator_show(struct cli *c, struct err *e);

int cmd_status(struct cli *c, struct err *e);
int cmd_wait(struct cli *c, struct err *e);
int cmd_log(struct cli *c, struct err *e);
int cmd_counters(struct cli *c, struct err *e);
int cmd_node_list(struct cli *c, struct err *e);

int cmd_revoke_node(struct cli *c, struct err *e);
int cmd_readmit_node(struct cli *c, struct err *e);
int cmd_node_remove(struct cli *c, struct err *e);
int cmd_node_promote(struct cli *c, struct err *e);
int cmd_node_demote(struct cli *c, struct err *e);
int cmd_withdraw(struct cli *c, struct err *e);
int cmd_depose(struct cli *c, struct err *e);
int cmd_isolate(struct cli *c, struct err *e);

int cmd_policy_check(struct cli *c, struct err *e);
int cmd_policy_compile(struct cli *c, struct err *e);
int cmd_policy_diff(struct cli *c, struct err *e);
int cmd_policy_explain(struct cli *c, struct err *e);
int cmd_policy_push(struct cli *c, struct err *e);
int cmd_policy_show(struct cli *c, struct err *e);
int cmd_policy_history(struct cli *c, struct err *e);
int cmd_policy_rollback(struct cli *c, struct err *e);
int cmd_policy_confirm(struct cli *c, struct err *e);

int cmd_denials(struct cli *c, struct err *e);
int cmd_explain(struct cli *c, struct err *e);

int cmd_failover(struct cli *c, struct err *e);
int cmd_cluster_reform(struct cli *c, struct err *e);
int cmd_backup(struct cli *c, struct err *e);
int cmd_restore(struct cli *c, struct err *e);
int cmd_completion(struct cli *c, struct err *e);

cli_text_fn render_status, render_nodes, render_log, render_counters, render_denials, render_explain, render_verdict,
	render_waited, render_pushed, render_history, render_key, render_policy_summary;
bool status_well(const json_t *doc);
/* A condition of wait, "PATH=VALUE" or "PATH!=VALUE": is it one, and does a status document meet it? What is not
 * in the document meets nothing. Pure. */
int wait_check(const char *condition, struct err *e);
bool wait_holds(const json_t *doc, const char *condition);
int verdict_status(const json_t *doc);

#endif
