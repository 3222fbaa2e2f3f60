#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 600
# DSI beside a real Pacemaker, in namespaces: dsi-state follows the log and resources with it; revoke-node --fence has the
# node turned off, by whichever server is active; figures for monitoring are OpenMetrics.
#
#   n1 voter, home of the resource ── n2 n3 voters, servers ── n4 member
#
# The fence agent in the nodes (tests/netns/fence_dsi_lab) leaves its request in the node's log directory; the courier
# below reads it there and calls `dsi-lab kill`.
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/rows.sh
. "$(dirname "$0")/../main-job/rows.sh"
export TOKEN_OPTIONS_n4=''

courier() {
	local asked port action
	while [[ -e $JOB_LOG/courier ]]; do
		for asked in "$DSI_LAB"/nodes/*/log/fence.*.asked; do
			[[ -e $asked ]] || continue
			read -r port action <"$asked"
			echo "$port $action" >>"$JOB_LOG/shots"
			lab kill "$port" || true # off already
			mv "$asked" "${asked%.asked}.done"
		done
		sleep 0.05
	done
}
pacemaker_start() { # NODE...
	local n
	for n; do
		on "$n" sh -c 'cat >/usr/sbin/fence_dsi_lab && chmod 755 /usr/sbin/fence_dsi_lab' <"$TOP/tests/netns/fence_dsi_lab" || return
		lab exec -d "$n" -- pacemakerd || return
	done
}
online_are() { # NODE "NAMES": who is in Pacemaker's cluster, as that node sees it
	[[ $(on "$1" crm_mon -1 2>/dev/null | sed -n 's/.*Online: \[ \(.*\) \]/\1/p') = "$2" ]]
}
make_cib() { # NODE SECTION XML
	on "$1" cibadmin --create --scope "$2" --xml-text "$3"
}
device_made() {
	make_cib n2 resources '<primitive id="shooter" class="stonith" type="fence_dsi_lab"><instance_attributes id="shooter-a">
		<nvpair id="shooter-h" name="pcmk_host_list" value="n1 n2 n3 n4"/></instance_attributes></primitive>'
}
device_there() { on "$1" stonith_admin --list-registered 2>/dev/null | grep -q shooter; }
resource_made() {
	make_cib n2 resources '<primitive id="app" class="ocf" provider="pacemaker" type="Dummy"/>' &&
		make_cib n2 constraints '<rsc_location id="home" rsc="app" node="n1" score="100"/>' &&
		make_cib n2 constraints '<rsc_location id="trusted" rsc="app"><rule id="trusted-r" score="-INFINITY" boolean-op="or">
			<expression id="trusted-1" attribute="dsi-state" operation="not_defined"/>
			<expression id="trusted-2" attribute="dsi-state" operation="ne" value="trusted"/></rule></rsc_location>'
}
runs_on() { [[ $(on n2 crm_resource --resource app --locate 2>&1) = *"running on: $1"* ]]; }
runs_elsewhere() { # than on NODE, but somewhere
	local where
	where=$(on n2 crm_resource --resource app --locate 2>&1)
	[[ $where = *"running on: "* && $where != *"running on: $1"* ]]
}
state_is() { # NODE STATE, as n3's Pacemaker has it
	[[ $(on n3 attrd_updater --name dsi-state --query --node "$1" 2>/dev/null) = *"value=\"$2\""* ]]
}
shot() { grep -q "^$1 " "$JOB_LOG/shots" 2>/dev/null; }
fenced_for_dsi() { # NODE: a fencing with our tag succeeded
	on n3 stonith_admin --history "$1" 2>/dev/null | grep -q "turning off of $1 successful.*\.dsi\."
}
said() { on "$1" grep -q "$2" /var/log/dsid.log; }
is_off() { ! on "$1" true 2>/dev/null; }
revoke_with() { # NODE OPTION...
	admin n2 revoke-node "$1" --reason demo "${@:2}" >"$JOB_LOG/revoke" 2>&1 || { cat "$JOB_LOG/revoke"; return 1; }
}
status_on() { ask "$1" "[.nodes[] | select(.name == \"$2\")][-1].status == \"$3\"" node list >/dev/null; }
metrics_of() { admin "$1" metrics >"$JOB_LOG/metrics" 2>&1; }
strict() { awk -f "$TOP/tests/lib/openmetrics.awk" "$JOB_LOG/metrics"; }
figure() { # SAMPLE: its value
	awk -v s="$1" '{ v = $NF; sub(/ [^ ]*$/, "") } $0 == s { print v }' "$JOB_LOG/metrics"
}

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"
job_begin --nodes 4
touch "$JOB_LOG/courier"
courier >"$JOB_LOG/courier.log" 2>&1 &
COURIER=$!
trap 'rm -f "$JOB_LOG/courier"; wait "$COURIER"; lab_cleanup' EXIT
cluster_made
check "n4 enrols, a member without a vote" enrol n4
check "n4 starts" service_start n4 dsid
check_until 60 "n4 is there" ask n2 '[.nodes[] | select(.name == "n4" and .present)] | length == 1' node list

row "figures for monitoring"
check "metrics of n2" metrics_of n2
check "are OpenMetrics" strict
assert_eq "1 1" "$(figure 'dsi_up{program="dsid"}') $(figure 'dsi_up{program="dsi-ss"}')" "both daemons are up"
assert_eq "$(ask n2 .policy.version status) 3 3 4" "$(figure dsi_policy_version) $(figure dsi_voters) $(figure dsi_voters_present) $(figure dsi_nodes_present)" \
	"policy, voters, voters present, nodes present"
assert_eq "$(ask n2 '.policy | "\(.enforced) \(.lagging) \(.not_enforcing)"' status)" \
	"$(for s in enforced lagging not_enforcing; do figure "dsi_policy_nodes{state=\"$s\"}"; done | paste -sd' ')" "who enforces it"
check "the commit point is that of status, or later" test "$(ask n2 .view.commit status)" -ge "$(figure 'dsi_log_commit_index{program="dsid"}')"
check "n1 hosts no server" metrics_of n1
assert_eq "1|" "$(figure 'dsi_up{program="dsid"}')|$(figure 'dsi_up{program="dsi-ss"}')" "and its figures name none"
check "dsi-ss of n3 ends" process_ended n3 TERM dsi-ss
check "metrics of n3" metrics_of n3
assert_eq "1 0" "$(figure 'dsi_up{program="dsid"}') $(figure 'dsi_up{program="dsi-ss"}')" "a server that is down shows as down"
check "are OpenMetrics" strict
check "it starts again" service_start n3 dsi-ss

row "without Pacemaker nothing is missed"
check_until 20 "dsid on n2 says that there is none" said n2 'dsi-state: Pacemaker does not run on this node'

row "dsi-state follows the log"
check "Pacemaker starts on all" pacemaker_start n1 n2 n3 n4
check_until 60 "it has all four" online_are n2 "n1 n2 n3 n4"
check "a fence device" device_made
check "fencing is on" on n2 crm_attribute --name stonith-enabled --update true
check "a resource that belongs on n1, and only where dsi-state is trusted" resource_made
for n in n1 n2 n3 n4; do timed check_until 60 "$n is trusted" state_is $n trusted; done
check_until 30 "the resource runs on n1" runs_on n1

row "suspended: the resource leaves, and comes back with the trust"
start=$(now_ms)
check "revoke-node n1 --until 1h" revoke_with n1 --until 1h
check_until 20 "n1 is suspect" state_is n1 suspect
check_until 30 "the resource runs elsewhere" runs_elsewhere n1
measured "gone from n1 $(($(now_ms) - start)) ms after the command began"
check "nobody was shot" test ! -s "$JOB_LOG/shots"
check "withdraw n1" admin n2 withdraw n1 --reason innocent
check_until 30 "n1 is trusted" state_is n1 trusted
check_until 30 "the resource is back on n1" runs_on n1

row "revoke-node --fence: Pacemaker turns it off"
start=$(now_ms)
check "revoke-node n1 --fence" revoke_with n1 --fence
check_until 60 "n1 is off" is_off n1
measured "off $(($(now_ms) - start)) ms after the command began"
check "the fence agent was asked" shot n1
check_until 60 "Pacemaker knows that it was for DSI" fenced_for_dsi n1
check_until 60 "dsid of the active server's node says so" said n2 'n1 is fenced: verdict'
check "no other node's dsid asked" sh -c "! grep -l 'asking Pacemaker' '$DSI_LAB'/nodes/n[34]/log/dsid.log"
check_until 60 "the resource runs elsewhere" runs_elsewhere n1
check "metrics of n2" metrics_of n2
assert_eq 1 "$(figure 'dsi_pacemaker_total{program="dsid",event="fenced"}')" "it is counted"
check "nobody else was shot" sh -c "! grep -v '^n1 ' '$JOB_LOG/shots'"

row "no device: said loudly; the next server goes on"
check "the device is gone" on n2 cibadmin --delete --scope resources --xml-text '<primitive id="shooter"/>'
check "revoke-node n4 --fence" revoke_with n4 --fence
check "is refused to nobody: the verdict holds" status_on n2 n4 revoked
check_until 60 "dsid of n2 says NOT FENCED, and why" said n2 'NOT FENCED: n4: Pacemaker has no device'
check "n4 runs" on n4 true
check "n2's server steps aside" on n2 dsi-admin failover
check_until 60 "n3 is active" active_is n3 n3
check "the device is back" device_made
check_until 90 "n4 is off" is_off n4
check_until 30 "n3 says so" said n3 'n4 is fenced: verdict'
check "n3 did not ask for n1 a second time" sh -c "! grep 'asking Pacemaker to fence n1' '$DSI_LAB/nodes/n3/log/dsid.log' >/dev/null || grep -c '^n1 off' '$JOB_LOG/shots' | grep -qx 1"

table
done_testing
