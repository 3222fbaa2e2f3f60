/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of subcommands. Order is that of the help; commands of one group stand together. */
#include "cli/commands.h"

#include "cli/authority.h"
#include "cli/newkey.h"

#define OPTIONS(name) static const struct cli_option name[]
#define END { NULL, NULL, NULL }

#define TOKEN_OPTIONS                                                                                  \
	{ "voter", NULL, "its disk counts for commits" },                                             \
	{ "server", NULL, "it may host the security server" },                                        \
	{ "expires", "TIME", "how long the token is good (default 1h)" },                             \
	{ "out", "FILE", "write the token to this file (0600)" },                                     \
	{ "stdout", NULL, "print the token even when that is no terminal" }

OPTIONS(init_options) = {
	{ "cluster", "NAME", "name of the new cluster (required)" },
	{ "node", "NAME", "name of this node (required)" },
	{ "address", "HOST:PORT", "numeric address of this node's direct leg (required)" },
	{ "addr", "IP", "further address of this node on the cluster's networks; may be repeated" },
	{ "server", NULL, "this node hosts the security server (the first node must)" },
	{ "operator-name", "NAME", "of the operator key to make (default admin)" },
	{ "add-operator", "NAME:KEY[:ROLES]", "list another operator; ROLES of policy,nodes,verdict; may be repeated" },
	{ "root-key", "FILE", "root key to use, or to make there (default root.key in /etc/dsi/operators)" },
	NEWKEY_OPTIONS,
	END,
};
OPTIONS(join_token_options) = { TOKEN_OPTIONS, AUTHORITY_OPTIONS, END };
OPTIONS(enroll_options) = {
	{ "token", "FILE|-", "the token, from a file or standard input (required)" },
	{ "address", "HOST:PORT", "numeric address of this node's direct leg (required)" },
	{ "addr", "IP", "further address of this node on the cluster's networks; may be repeated" },
	{ "again", NULL, "put the files of an ended membership of this machine aside" },
	{ "no-ring", NULL, "leave corosync.conf and authkey alone" },
	{ "contact", "HOST:PORT", "member to enrol at, before those in the token; may be repeated" },
	{ "timeout", "TIME", "how long to try (default 60s)" },
	END,
};
OPTIONS(operator_new_options) = {
	{ "out", "FILE", "where to put the key (default NAME.key in /etc/dsi/operators)" },
	{ "as-root-key", NULL, "make a root key, for init --root-key" },
	NEWKEY_OPTIONS,
	END,
};
OPTIONS(ask_options) = { { "server", NULL, "ask dsi-ss instead of dsid" }, END };
OPTIONS(wait_options) = { { "timeout", "TIME", "how long at most (default 60s)" }, END };
OPTIONS(log_options) = {
	{ "from", "INDEX", "first entry to show" },
	{ "max", "N", "how many at most (default 100)" },
	END,
};
OPTIONS(revoke_options) = {
	{ "reason", "TEXT", "why; goes into the log and to every node (required)" },
	{ "keep-on-ring", NULL, "do not expel it from the corosync ring" },
	{ "fence", NULL, "have Pacemaker turn it off" },
	{ "until", "TIME", "suspend for so long only, instead of for ever" },
	{ "wait", NULL, "wait for every present node, as long as --timeout" },
	AUTHORITY_OPTIONS,
	END,
};
OPTIONS(readmit_options) = {
	{ "reason", "TEXT", "why; goes into the log" },
	{ "no-token", NULL, "do not make a join token as well" },
	TOKEN_OPTIONS,
	AUTHORITY_OPTIONS,
	END,
};
OPTIONS(node_op_options) = { { "reason", "TEXT", "why; goes into the log" }, AUTHORITY_OPTIONS, END };
OPTIONS(isolate_options) = {
	{ "local", NULL, "on this node alone, without quorum or server (required)" },
	{ "undo", NULL, "serve it again" },
	END,
};
OPTIONS(check_options) = {
	{ "must-allow", "FILE", "list of what no policy may refuse (default: the shipped one)" },
	END,
};
OPTIONS(compile_options) = {
	{ "out", "FILE", "where to write the image (required)" },
	{ "base", "IMAGE", "keep the SIDs of this image" },
	END,
};
OPTIONS(policy_explain_options) = {
	{ "policy", "FILE|DIR|IMAGE", "the policy to ask; may be repeated for sources (required)" },
	{ "node", "NODE", "node that decides (the target's)" },
	{ "peer", "NODE|outside", "node at the other end (default: the same node)" },
	{ "port", "N", "of tcp" },
	{ "socket", "FAMILY,TYPE", "of class socket" },
	END,
};
OPTIONS(diff_options) = { { "max", "N", "lines to show (default all)" }, END };
OPTIONS(push_options) = {
	{ "confirm-within", "TIME", "go back by itself unless confirmed in time" },
	{ "comment", "TEXT", "goes into the log" },
	{ "dry-run", NULL, "compile and show what would change, send nothing" },
	{ "must-allow", "FILE", "list of what no policy may refuse (default: the shipped one)" },
	AUTHORITY_OPTIONS,
	END,
};
OPTIONS(confirm_options) = { AUTHORITY_OPTIONS, END };
OPTIONS(show_options) = {
	{ "version", "N", "an earlier version" },
	{ "out", "FILE", "write the image there instead of showing it" },
	END,
};
OPTIONS(denials_options) = {
	{ "node", "NODE", "recorded on this node" },
	{ "subject", "CONTEXT", "of this subject" },
	{ "since", "TIME", "not older than this" },
	{ "after", "ID", "newer than this record" },
	{ "max", "N", "how many at most (default 50)" },
	{ "follow", NULL, "go on with new ones" },
	{ "local", NULL, "of this node's dsid, not of the server" },
	END,
};
OPTIONS(explain_options) = { { "local", NULL, "of this node's dsid, not of the server" }, END };
OPTIONS(reform_options) = {
	{ "root-key", "FILE", "the root key (required)" },
	{ "voters", "NODE[,NODE]", "voters of the new generation (required)" },
	{ "servers", "NODE[,NODE]", "servers, best first (default: those voters that are servers now)" },
	{ "from", "HOST:PORT", "also read the log of this member; may be repeated" },
	{ "force", NULL, "yes, give up what only the absent voters know (required)" },
	{ "passphrase-fd", "N", "read the passphrase from this descriptor" },
	{ "timeout", "TIME", "how long to try (default 60s)" },
	END,
};
OPTIONS(backup_options) = { { "out", "FILE", "where to write it (required)" }, END };

#define NEEDS(what) CLI_NEEDS_##what

const struct cli_command cli_commands[] = {
	{ "init", cmd_init, "", 0, 0, "make a cluster: keys, cluster record, this first node", NEEDS(ROOT), init_options },
	{ "join-token", cmd_join_token, "NODE", 1, 1, "make a one-time token for a new node", NEEDS(OPERATOR), join_token_options },
	{ "enroll", cmd_enroll, "", 0, 0, "join this node to a cluster with a token", NEEDS(ROOT), enroll_options },
	{ "status", cmd_status, "", 0, 0, "the cluster on one screen; exits 0 when all is well, else 2", NEEDS(NOTHING), ask_options },
	{ "wait", cmd_wait, "PATH=VALUE...", 1, -1, "until the status says so, as view.voters_present=3", NEEDS(NOTHING), wait_options },
	{ "node list", cmd_node_list, "", 0, 0, "every node ever bound", NEEDS(NOTHING), NULL },
	{ "node promote", cmd_node_promote, "NODE", 1, 1, "make a node a voter", NEEDS(OPERATOR), node_op_options },
	{ "node demote", cmd_node_demote, "NODE", 1, 1, "take a node's vote away", NEEDS(OPERATOR), node_op_options },
	{ "node remove", cmd_node_remove, "NODE", 1, 1, "planned leave: the key dies without a verdict", NEEDS(OPERATOR), node_op_options },
	{ "revoke-node", cmd_revoke_node, "NODE", 1, 1, "throw a compromised node out", NEEDS(OPERATOR), revoke_options },
	{ "readmit-node", cmd_readmit_node, "NODE", 1, 1, "open a revoked node's name for a new enrolment", NEEDS(OPERATOR), readmit_options },
	{ "withdraw", cmd_withdraw, "NODE", 1, 1, "end a suspension that was not final", NEEDS(OPERATOR), node_op_options },
	{ "isolate", cmd_isolate, "NODE --local", 1, 1, "this node alone refuses that node", NEEDS(ROOT), isolate_options },
	{ "depose", cmd_depose, "NODE", 1, 1, "take a compromised security server out of rank", NEEDS(OPERATOR), node_op_options },
	{ "failover", cmd_failover, "", 0, 0, "the active server steps aside for the next", NEEDS(ROOT), NULL },
	{ "policy check", cmd_policy_check, "FILE|DIR...", 1, -1, "compile and find mistakes; writes nothing", NEEDS(NOTHING), check_options },
	{ "policy compile", cmd_policy_compile, "FILE|DIR...", 1, -1, "compile to an image", NEEDS(NOTHING), compile_options },
	{ "policy diff", cmd_policy_diff, "OLD NEW", 2, 2, "what changes between two policies", NEEDS(NOTHING), diff_options },
	{ "policy explain", cmd_policy_explain, "SUBJECT TARGET CLASS PERMS", 4, 4, "would it be allowed, and by which rule", NEEDS(NOTHING), policy_explain_options },
	{ "policy push", cmd_policy_push, "FILE|DIR...|IMAGE", 1, -1, "put a policy in force everywhere", NEEDS(OPERATOR), push_options },
	{ "policy confirm", cmd_policy_confirm, "[VERSION]", 0, 1, "keep a policy pushed with --confirm-within", NEEDS(OPERATOR), confirm_options },
	{ "policy rollback", cmd_policy_rollback, "VERSION", 1, 1, "put an old policy in force, as a new version", NEEDS(OPERATOR), push_options },
	{ "policy show", cmd_policy_show, "", 0, 0, "the policy in force", NEEDS(DSID), show_options },
	{ "policy history", cmd_policy_history, "", 0, 0, "every version and who pushed it", NEEDS(DSID), NULL },
	{ "denials", cmd_denials, "", 0, 0, "what was refused", NEEDS(DSID), denials_options },
	{ "explain", cmd_explain, "ID", 1, 1, "one denial: rule, version, why", NEEDS(DSID), explain_options },
	{ "log", cmd_log, "", 0, 0, "entries of the replicated log", NEEDS(DSID), log_options },
	{ "counters", cmd_counters, "", 0, 0, "counted refusals and events of the daemon", NEEDS(DSID), ask_options },
	{ "operator new", cmd_operator_new, "NAME", 1, 1, "make an operator key", NEEDS(NOTHING), operator_new_options },
	{ "operator show", cmd_operator_show, "FILE", 1, 1, "public half of a key file", NEEDS(NOTHING), NULL },
	{ "cluster reform", cmd_cluster_reform, "", 0, 0, "new generation after a majority was lost", NEEDS(ROOT), reform_options },
	{ "backup", cmd_backup, "", 0, 0, "cluster record, configuration, log and policy; no private key", NEEDS(ROOT), backup_options },
	{ "restore", cmd_restore, "FILE", 1, 1, "put a backup back on a machine where dsid is stopped", NEEDS(ROOT), NULL },
	{ "completion", cmd_completion, "", 0, 0, "bash completion, from this table", NEEDS(NOTHING), NULL },
};
const size_t cli_n_commands = ARRAY_SIZE(cli_commands);

int cmd_completion(struct cli *c, struct err *e)
{
	(void)e;
	cli_completion_bash(c->out);
	return 0;
}
