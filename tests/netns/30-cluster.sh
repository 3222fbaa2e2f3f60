#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 600
# The cluster without a kernel part, on real corosync in namespaces: enrolment, order, verdict, readmission,
# failover. What needs enforcement is in tests/vm/50-main-job.sh.
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

committed_everywhere() { # VERSION
	local n
	for n in n1 n2 n3; do ask "$n" ".policy.version == $1" status || return 1; done
}

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"
job_begin
cluster_made

row "order: a policy is committed on every node, the kernel's absence is said"
# shellcheck disable=SC2086
on n2 dsi-admin policy push $TWO_TIER >"$JOB_LOG/push" 2>&1
check_until 20 "version 1 on all three" committed_everywhere 1
check "status says not enforcing, never silently" ask n2 '.policy.not_enforcing == 3 and .policy.enforced == 0' status
check "and what is missing" ask n1 '.local.detail | length > 0' status
check "a policy that does not compile is refused" on n2 sh -c '
	echo "allow nobody nothing:file { read };" >/tmp/bad.dsp; ! dsi-admin policy push /tmp/bad.dsp'
check "root without an operator's key cannot push" on n3 sh -c "! dsi-admin policy push $TWO_TIER"
check "nothing changed" committed_everywhere 1

row "verdict: n1 thrown out, readmitted with a new number"
check "revoke-node n1" revoke n1
check "n1 is revoked" ask n2 '[.nodes[] | select(.name == "n1" and .status == "revoked")] | length == 1' node list
check_until 20 "two voters go on" voters_are n2 2
check "revoking one of the last two is not final" on n2 sh -c '! dsi-admin revoke-node n3 --reason x 2>&1'
check "and can be taken back" admin n2 withdraw n3
check_until 30 "two voters go on" voters_are n2 2
check "readmission" readmit n1
check "n1's daemon stops" process_ended n1 TERM dsid
check "n1 enrols anew" admin n1 enroll --again --token - --address 10.77.0.1:5410 <"$JOB_LOG/token.again"
check "n1 starts" service_start n1 dsid
check_until 60 "three of three voters" voters_are n2 3

row "failover: the active server's node is cut off, then comes back"
check "n2 is cut off" lab cut n2
timed check_until 60 "n3 is active" active_is n3 n3
measured "after $MS ms"
check_until 60 "n2, alone, is not live" ask n2 '.view.live == false' status
check "and changes nothing" on n2 sh -c '! dsi-admin policy push '"$TWO_TIER"' --timeout 3s'
check "n2 is back" lab heal
check_until 60 "three of three voters, one active server" voters_are n2 3
check_until 30 "both say the same" ask n2 '.server.active == "n3"' status

job_end
