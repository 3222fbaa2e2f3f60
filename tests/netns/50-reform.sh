#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 600
# A majority is gone for good: root makes a new generation of what is left, on real corosync in namespaces. Who comes
# back learns it and follows. DESIGN §4 "When a majority is gone".
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

OPERATOR="--operator /root/operator.key"

root_key_to() { on "$1" sh -c 'umask 077; cat >/root/root.key; chmod 0400 /root/root.key' <"$JOB_LOG/root.key"; }
refused_with() { # NODE TEXT CMD...: fails, and says why
	local node=$1 text=$2
	shift 2
	! on "$node" "$@" >"$JOB_LOG/refused" 2>&1 && grep -q -- "$text" "$JOB_LOG/refused" || { cat "$JOB_LOG/refused"; return 1; }
}
reform_on() { # NODE KEY OPTION...
	local node=$1 key=$2
	shift 2
	admin "$node" cluster reform --root-key "$key" --force "$@" >"$JOB_LOG/reform" 2>&1 || { cat "$JOB_LOG/reform"; return 1; }
}
suspends_only() { # NODE TARGET: exit 106, and the command that makes it final
	local status=0
	on "$1" dsi-admin revoke-node "$2" --reason caught --operator /root/operator.key >"$JOB_LOG/revoke" 2>&1 || status=$?
	cat "$JOB_LOG/revoke"
	[[ $status = 106 ]] && grep -q "cluster reform --root-key FILE --voters" "$JOB_LOG/revoke"
}
push_from() { # NODE COMMENT
	# shellcheck disable=SC2086
	admin "$1" policy push $TWO_TIER --comment "$2" $OPERATOR
}
policy_is() { ask "$1" ".policy.version == $2" status; }
generation_is() { ask "$1" ".cluster.generation == $2" status; }
newcomer_token() { on n3 dsi-admin join-token "$1" --voter --stdout --operator /root/operator.key >"$JOB_LOG/token.again"; }
votes_not() { # NODE NAME: NODE's log has NAME as a member without a vote
	ask "$1" "[.nodes[] | select(.name == \"$2\" and .status == \"bound\") | .roles | contains([\"voter\"])] == [false]" node list
}
same_log() { # NODE NODE: one history
	local a b
	a=$(on "$1" dsi-admin log --output-as=json | jq -c '[.entries[] | {index, hash}]')
	b=$(on "$2" dsi-admin log --output-as=json | jq -c '[.entries[] | {index, hash}]')
	[[ $a && $a = "$b" ]]
}

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"
job_begin
cluster_made
on n2 cat /etc/dsi/operators/root.key >"$JOB_LOG/root.key"
check "the operator's key is on n3" operator_key_to n3
check "a policy before the loss" push_from n3 before
check_until 30 "policy 1 on n3" policy_is n3 1
check "reform is refused while a majority is here" \
	refused_with n3 "3 of 3 voters are here" dsi-admin cluster reform --root-key /root/operator.key --voters n3

row "a majority is gone: n1 and n2 without power"
check "power cut of n1 and n2" lab kill n1 n2
check_until 60 "n3, alone, is not live" ask n3 '.view.live == false' status
check "a push is refused, with the arithmetic" refused_with n3 "1 of 3 voters present, 2 needed" \
	dsi-admin policy push /usr/share/dsi/policies/base --operator /root/operator.key --timeout 3s
check "the root key is brought to n3" root_key_to n3
check "reform without --force is refused" \
	refused_with n3 "say --force" dsi-admin cluster reform --root-key /root/root.key --voters n3 --servers n3
check "an operator's key is not enough" refused_with n3 "root key is needed" \
	dsi-admin cluster reform --root-key /root/operator.key --voters n3 --servers n3 --force
check "still generation 1" generation_is n3 1

row "reform: n3 alone, in generation 2"
timed check "dsi-admin cluster reform" reform_on n3 /root/root.key --voters n3 --servers n3
measured "reform $MS ms"
check "generation 2" generation_is n3 2
check "it says that corosync must agree" grep -q "corosync-quorumtool -e" "$JOB_LOG/reform"
check "corosync is told what to expect" on n3 corosync-quorumtool -e 1
timed check_until 60 "n3 is active and live" active_is n3 n3
measured "active after $MS ms"
check "one of one voter" voters_are n3 1
check "a policy push works" push_from n3 after
check_until 30 "policy 2" policy_is n3 2
check "n1 and n2 are members without a vote" votes_not n3 n1
check "corosync stops" process_ended n3 TERM corosync
check_until 20 "there is no ring" ask n3 '.view.phase == "down"' status
check "the same reform once more, without a ring: a higher number, on the same log" reform_on n3 /root/root.key --voters n3
check "generation 3" generation_is n3 3
check "corosync starts" on n3 corosync
check_until 30 "and is told what to expect" on n3 corosync-quorumtool -e 1
check_until 60 "n3 is active again" active_is n3 n3

row "n1 comes back: it learns the reform, follows, does not vote"
check "n1 starts" lab start n1
check_until 60 "n1 answers" on n1 true
check "n1's dsid starts" service_start n1 dsid
check_until 90 "generation 3 on n1" generation_is n1 3
check_until 60 "the newest policy on n1" policy_is n1 2
check_until 30 "n1 has no vote, by its own log" votes_not n1 n1
check_until 30 "one voter, present" voters_are n1 1
check "a push with n1 there" push_from n3 together
check_until 30 "policy 3 on n1" policy_is n1 3
check_until 30 "one log on both" same_log n1 n3

row "n2 comes back with its server: not in office, follows"
check "n2 starts" lab start n2
check_until 60 "n2 answers" on n2 true
check "n2's services start" service_start n2 dsid dsi-ss
check_until 90 "generation 3 on n2" generation_is n2 3
check_until 60 "policy 3 on n2" policy_is n2 3
check_until 60 "generation 3 at n2's server" ask n2 '.cluster.generation == 3' status --server
check_until 60 "the active server is n3, there is no standby" \
	ask n2 '.view.live and .server.active == "n3" and .server.standby == []' status
check "an operator gives n1 its vote back" admin n3 node promote n1 --operator /root/operator.key
check_until 60 "two of two voters" voters_are n3 2
check_until 30 "one log on n2 and n3" same_log n2 n3

row "one of two voters is thrown out: suspended, then final by a reform"
check "revoke-node n1 suspends, and prints the reform" suspends_only n3 n1
check "n1's messages are refused" \
	wait_until 30 ask n3 '.refused_messages["sender revoked, removed or suspended"] > 0' counters
check "nothing can be decided" ask n3 '[.nodes[] | select(.name == "n1" and .status == "revoked")] | length == 0' node list
check "taken back by its operator" admin n3 withdraw n1 --operator /root/operator.key
check_until 60 "two of two voters again" voters_are n3 2
check "a push, by both" push_from n3 withdrawn
check "revoke-node n1 once more" suspends_only n3 n1
check "n1 cannot be a voter of the new generation" refused_with n3 "n1 was thrown out" \
	dsi-admin cluster reform --root-key /root/root.key --voters n1,n3 --force
check "reform" reform_on n3 /root/root.key --voters n3
check_until 60 "n3 is active, in generation 4" active_is n3 n3
check "n1 is revoked, for the operator's reason" \
	ask n3 '[.nodes[] | select(.name == "n1" and .status == "revoked" and .reason == "caught")] | length == 1' node list
check_until 60 "n2 follows" generation_is n2 4
check "n1 does not learn it: nobody speaks with it" generation_is n1 3
check "n1's dsid stops" process_ended n1 TERM dsid
check "n1 is readmitted" admin n3 readmit-node n1 --no-token --operator /root/operator.key

row "two reforms of one number: both refused, the next one ends it"
check "n2 is cut off" lab cut n2
check "generation 5 on n3" reform_on n3 /root/root.key --voters n3
check "another generation 5 on n2" reform_on n2 /etc/dsi/operators/root.key --voters n2 --servers n2
check "both say 5" generation_is n2 5
check_until 60 "n3 is active" active_is n3 n3
check "n2 is back" lab heal
check_until 60 "n3 is halted" ask n3 '.view.halted' status
check_until 60 "n2 is halted" ask n2 '.view.halted' status
check "a push is refused, and says why" refused_with n3 "root signs the next" \
	dsi-admin policy push /usr/share/dsi/policies/base --operator /root/operator.key --timeout 3s
check "generation 6, on n3's log" reform_on n3 /root/root.key --voters n3
check_until 60 "n3 is active" active_is n3 n3
check_until 60 "n2 takes it, and gives its own up" generation_is n2 6
check_until 60 "n2's server too" ask n2 '.cluster.generation == 6' status --server
check_until 60 "n2 is in the view" ask n2 '.view.live and (.view.halted | not)' status
check "a push" push_from n3 last
check_until 30 "policy 5 on n2" policy_is n2 5
check_until 30 "one log on n2 and n3" same_log n2 n3

row "a log with reforms in it: newcomers, backups, restarts"
check "a token for n1" newcomer_token n1
check "n1 enrols anew" on n1 dsi-admin enroll --again --token - --address 10.77.0.1:5410 <"$JOB_LOG/token.again"
check "n1 starts" service_start n1 dsid
check_until 90 "n1 is a voter, in generation 6" voters_are n1 2
check "generation 6 on n1" generation_is n1 6
check_until 30 "one log on n1 and n3" same_log n1 n3
check "a backup proves the log" on n3 dsi-admin backup --out /tmp/backup
check "all of n3 is stopped" process_ended n3 TERM dsi-ss dsid
check "and started" service_start n3 dsid dsi-ss
check_until 60 "n3 is active in the generation it was in" active_is n3 n3
check "which is 6" generation_is n3 6

job_end
