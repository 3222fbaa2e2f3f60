#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2034
# timeout: 600
# The two legs, on real corosync: planned failover under load, measured; then a node whose ring is silent (its corosync is
# stopped, the network is not): what is handed in there goes over the direct leg, and nothing is lost.
#
#   n1 voter   n2 n3 voters and servers   n4 member only, to be revoked
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"
TOKEN_OPTIONS_n4=""

tokens_in_log() { # NODE
	on "$1" dsi-admin log --max 500 --output-as=json | jq -er '[.entries[] | select(.type == "TOKEN")] | length'
}
tokens_everywhere() { # N
	local n
	for n in n1 n2 n3; do [[ $(tokens_in_log "$n") = "$1" ]] || return 1; done
}
change() { # NODE NAME: the smallest change there is
	on "$1" dsi-admin join-token "$2" --operator /root/operator.key --stdout >/dev/null
}
load_begin() { # NODE: changes one after the other; counts those that were acknowledged
	: >"$JOB_LOG/acknowledged"
	touch "$JOB_LOG/load"
	(
		i=0
		while [[ -e $JOB_LOG/load ]]; do
			i=$((i + 1))
			change "$1" "load$i" && echo "$i" >>"$JOB_LOG/acknowledged"
		done
	) 2>"$JOB_LOG/load.err" &
	LOAD=$!
}
load_end() {
	rm -f "$JOB_LOG/load"
	wait "$LOAD"
}
acknowledged() { wc -l <"$JOB_LOG/acknowledged"; }
more_acknowledged() { [[ $(acknowledged) -gt $1 ]]; }
refused_with() { # PATTERN NODE ARGS...
	local pattern=$1 node=$2 out
	shift 2
	out=$(on "$node" dsi-admin "$@" 2>&1) && return 1
	echo "$out"
	[[ $out =~ $pattern ]]
}
term_of() { ask "$1" .server.term status; }
suspended_count() { on "$1" grep -c 'n4 suspended by verdict' /var/log/dsid.log; }
suspended_again() { # NODE COUNT
	local n
	n=$(suspended_count "$1")
	echo "$2, then $n"
	[[ $n -gt $2 ]]
}
status_on() { ask "$1" "[.nodes[] | select(.name == \"$2\" and .status == \"$3\")] | length == 1" node list >/dev/null; }

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"
job_begin --nodes 4
cluster_made
check "n4 enrols" enrol n4
check "n4 starts" service_start n4 dsid
check_until 60 "four present" ask n2 '[.nodes[] | select(.present)] | length == 4' node list
for n in n1 n2 n3; do check "the operator's key comes to $n" operator_key_to $n; done

row "failover: planned, under load"
before=$(tokens_in_log n2)
load_begin n1
check_until 30 "changes are acknowledged" more_acknowledged 2
check "failover on the standby is refused" refused_with 'not active; ask on n2' n3 failover
start=$(now_ms)
check "failover on n2" on n2 dsi-admin failover
cp "$JOB_LOG/last" "$JOB_LOG/failover"
note "$(cat "$JOB_LOG/failover")"
check "a change right after it" change n3 right-after
measured "next term $(grep -o 'after [0-9]* ms' "$JOB_LOG/failover"); command to next acknowledged change $(($(now_ms) - start)) ms, two processes' start included"
check "it named its heir" grep -q 'n2 stepped aside; the active server is now n3' "$JOB_LOG/failover"
n=$(acknowledged)
check_until 30 "and the load goes on" more_acknowledged $((n + 1))
load_end
note "acknowledged under load: $(acknowledged)"
check "no change failed" test ! -s "$JOB_LOG/load.err"
check_until 20 "each acknowledged change is in every log, once" tokens_everywhere $((before + $(acknowledged) + 1))
check "n3 leads, n2 is standby" ask n2 '.server.active == "n3" and .server.standby == ["n2"]' status
check "n2's server ends" process_ended n2 TERM dsi-ss
check_until 30 "the only server does not step aside" refused_with 'no standby' n3 failover
check "and goes on" change n3 the-only-one
check "n2's server comes back" service_start n2 dsi-ss
check_until 30 "as standby: no fail-back" ask n3 '.server.active == "n3" and .server.standby == ["n2"]' status

row "a suspension with an end"
check "n4 suspended for three seconds" on n2 dsi-admin revoke-node n4 --reason legs --until 3s --operator /root/operator.key
check_until 30 "and then it is a member again, on each node" status_on n1 n4 bound
check "so says n3" status_on n3 n4 bound

row "silent ring on n1: corosync stopped there, the network is not"
corosync=$(on n1 pidof corosync)
check "corosync of n1 is stopped" on n1 kill -STOP "$corosync"
check_until 30 "n1 is not live" ask n1 '.view.live == false' status
check_until 30 "the others are two" ask n2 '.view.live and .view.voters_present == 2' status
suspensions=$(suspended_count n1)
timed check "revoke-node n4 for an hour, given on n1" \
	on n1 dsi-admin revoke-node n4 --reason legs --until 1h --operator /root/operator.key
cp "$JOB_LOG/last" "$JOB_LOG/revoked"
note "$(cat "$JOB_LOG/revoked")"
measured "suspended from there after $MS ms"
check "it says through whom" grep -Eq 'ordered through n[23], over the direct leg' "$JOB_LOG/revoked"
check_until 20 "n4 is suspended on n2" status_on n2 n4 suspended
check_until 20 "and on n3" status_on n3 n4 suspended
check "n1 itself suspended it at once" suspended_again n1 "$suspensions"
check "a change given on n1" change n1 by-the-direct-leg
# shellcheck disable=SC2086
check "a policy whose image only n1 has" on n1 dsi-admin policy push $TWO_TIER --operator /root/operator.key
note "$(tail -n 3 "$JOB_LOG/last")"
check_until 20 "n3 has it" ask n3 '.policy.version == 1' status
check "corosync of n1 goes on" on n1 kill -CONT "$corosync"
check_until 60 "three of three voters" voters_are n1 3
check_until 20 "n1 has the verdict from the log" status_on n1 n4 suspended
check_until 20 "all logs are the same" tokens_everywhere $((before + $(acknowledged) + 3))

row "n1 alone: a verdict that nobody can order is kept, and ordered when there is a majority"
check "n1 is cut off, both legs" lab cut n1
check_until 30 "n1 is not live" ask n1 '.view.live == false' status
check "revoke-node n4 there is not final" refused_with 'in effect on 1 nodes, not final' n1 revoke-node n4 --reason alone \
	--timeout 5s --operator /root/operator.key
note "$(tail -n 2 "$JOB_LOG/last")"
check "the others know nothing" status_on n2 n4 suspended
check "n1 is back" lab heal
check_until 60 "three of three voters" voters_are n1 3
check_until 30 "n4 is revoked for ever, by no further command" status_on n2 n4 revoked
check_until 20 "on n1 too" status_on n1 n4 revoked

row "a verdict on the active server's node, which it could withhold"
check "n3 is active" active_is n1 n3
timed check "revoke-node n3, given on n1" on n1 dsi-admin revoke-node n3 --reason legs --operator /root/operator.key
note "$(cat "$JOB_LOG/last")"
measured "final after $MS ms"
check_until 30 "n2 leads" active_is n1 n2
check_until 20 "n3 is revoked" status_on n2 n3 revoked
check_until 30 "two voters go on" voters_are n2 2
check "a change" change n1 after-n3

table
done_testing
