#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 900
# The ring follows the log, on real corosync in namespaces: who is revoked is expelled, node list and key in one reload,
# quorum never lost by it; who was down comes back over the direct leg; who is readmitted gets into it again.
#
#   n1 voter, revoked ── n2 n3 voters, servers ── n4 member, off while it happens
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

export TOKEN_OPTIONS_n4=''
key_of() { on "$1" sha256sum /etc/corosync/authkey | cut -d' ' -f1; }
same_key() { [[ $(key_of "$1") = "$(key_of "$2")" ]]; }
listed() { # NODE NAMES: corosync's own node list, as it runs
	[[ $(on "$1" corosync-cmapctl | sed -n 's/^nodelist\.node\.[0-9]*\.name.* = //p' | LC_ALL=C sort | paste -sd' ') = "$2" ]]
}
quorum_lost() { on "$1" grep -ac 'within the non-primary' /var/log/corosync/corosync.log; }
quorum_kept() { [[ $(quorum_lost n2) = "$LOST_n2" && $(quorum_lost n3) = "$LOST_n3" ]]; }
quorum_noted() { LOST_n2=$(quorum_lost n2) LOST_n3=$(quorum_lost n3); }
on_ring() { # NODE NAME STATUS true|false
	ask "$1" "[.nodes[] | select(.name == \"$2\" and .status == \"$3\") | .on_ring] == [$4]" node list
}
unread_from() { # NODE...: packets of n1's
	local n
	for n; do on "$n" grep -aq 'Unable to decrypt packet from 10.77.0.1' /var/log/corosync/corosync.log || return 1; done
}
alone_in_groups() { # NODE: who is in the groups that its corosync knows; its own processes are
	local there
	there=$(on "$1" corosync-cpgtool | grep -oE '10\.77\.0\.[0-9]' | sort -u) && [[ $there = "10.77.0.${1#n}" ]]
}
version_of() { on "$1" awk '/config_version/ { print $2 }' /etc/corosync/corosync.conf; }
same_version() { [[ $(version_of "$1") = "$(version_of "$2")" ]]; }
committed_on() { # VERSION NODE...
	local version=$1 n
	shift
	for n; do ask "$n" ".policy.version == $version" status || return 1; done
}
revoke_with() { # NODE OPTION...
	on n2 dsi-admin revoke-node "$1" --reason demo "${@:2}" >"$JOB_LOG/revoke" 2>&1 || { cat "$JOB_LOG/revoke"; return 1; }
}

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"
job_begin --nodes 4
cluster_made
check "n4 enrols, a member without a vote" enrol n4
check "n4 starts" service_start n4 dsid
check_until 60 "four on the ring" cluster_is n2 "4 Yes"
check_until 60 "n4 is there" ask n2 '[.nodes[] | select(.name == "n4" and .present)] | length == 1' node list
check "the ring's files are as they were: nobody new" on n2 sh -c '! test -e /etc/corosync/corosync.conf.dsi-previous'
check "only a member may have the ring: an unknown key is refused" on n1 sh -c "
	! dsi-admin --root /tmp/stranger enroll --token /dev/null --address 10.77.0.1:5499 2>&1"

row "revoked: expelled from the ring, node list and key in one reload, quorum kept"
# shellcheck disable=SC2086
check "a policy is committed" on n2 sh -c "dsi-admin policy push $TWO_TIER >/dev/null"
old_key=$(key_of n1)
check "n4 is off" lab kill n4
check_until 30 "n2 sees three" cluster_is n2 "3 Yes"
quorum_noted
timed check "revoke-node n1" revoke n1
timed check_until 60 "n2's corosync: n2 and n3" cluster_is n2 "2 Yes"
measured "off the ring after $MS ms"
check_until 30 "n3's too" cluster_is n3 "2 Yes"
check "n1 is in no node list" listed n2 "n2 n3 n4"
check_until 30 "n1's corosync is alone, without quorum" cluster_is n1 "1 No"
check "n2 and n3 never lost quorum" quorum_kept
check "both derived the same new key" same_key n2 n3
check "it is not n1's" test "$(key_of n2)" != "$old_key"
check "the old files are kept" on n2 sh -c "
	[ \"\$(sha256sum </etc/corosync/authkey.dsi-previous)\" = '$old_key  -' ] && grep -q 'name: n1' /etc/corosync/corosync.conf.dsi-previous &&
	[ \"\$(stat -c %a:%U /etc/corosync/authkey)\" = 400:root ]"
check_until 20 "status says so" on_ring n2 n1 revoked false
check "n1's corosync stops" process_ended n1 TERM corosync
check "n1, with the old key and list, stays out after a restart of its corosync" on n1 corosync
check_until 30 "it is alone again" cluster_is n1 "1 No"
check "n2's ring does not see it" cluster_is n2 "2 Yes"
check_until 10 "what it sends under the old key opens at neither" unread_from n2 n3
check_until 30 "it reads nothing of the channel: nobody but itself is in a group there" alone_in_groups n1
check_until 60 "the others carry on: both voters" voters_are n2 2
check "nothing acknowledged is lost" committed_on 1 n2 n3
# shellcheck disable=SC2086
check "and a new policy is committed" on n2 sh -c "dsi-admin policy push $TWO_TIER --comment after >/dev/null"
check_until 20 "on both" committed_on 2 n2 n3

row "off during the verdict: comes back over the direct leg"
check "n4 starts, with the old list and the old key" lab start n4
check "its key is the old one" test "$(key_of n4)" = "$old_key"
check "its manager starts" service_start n4 dsid
timed check_until 90 "n4 is on the ring" cluster_is n2 "3 Yes"
measured "n4 back after $MS ms"
check "with the new key" same_key n4 n2
check "and the same node list and version" listed n4 "n2 n3 n4"
check "config_version is the same everywhere" same_version n4 n2
check_until 60 "n4 is present" ask n2 '[.nodes[] | select(.name == "n4" and .present)] | length == 1' node list
check_until 30 "it has what was committed meanwhile" committed_on 2 n4
check "n1 alone still" cluster_is n1 "1 No"

row "readmitted: on the ring again by its enrolment"
check "readmission" readmit n1
check "n1's daemon stops" process_ended n1 TERM dsid
admin n1 enroll --again --token - --address 10.77.0.1:5410 <"$JOB_LOG/token.again" >"$JOB_LOG/enroll" 2>&1
check "enroll --again took node list and key" grep -q 'key of the cluster taken' "$JOB_LOG/enroll"
check "the same key" same_key n1 n2
check "n1 starts" service_start n1 dsid
check_until 60 "four on the ring" cluster_is n2 "4 Yes"
check_until 60 "n1 too says so" cluster_is n1 "4 Yes"
check_until 90 "three of three voters" voters_are n2 3
check "every node list has them all" listed n3 "n1 n2 n3 n4"
check_until 20 "status says so" on_ring n2 n1 bound true
check "config_version is the same everywhere" same_version n1 n4
check "n2 and n3 never lost quorum" quorum_kept

row "--keep-on-ring: refused by all, and on the ring"
key=$(key_of n2)
check "revoke-node n1 --keep-on-ring" revoke_with n1 --keep-on-ring
check "n1 is revoked" ask n2 '[.nodes[] | select(.name == "n1" and .status == "revoked")] | length == 2' node list
check_until 60 "two voters" voters_are n2 2
check_until 20 "it is on the ring" on_ring n2 n1 revoked 'false,true'
check "four on the ring" cluster_is n2 "4 Yes"
check "the key is the same" test "$(key_of n2)" = "$key"
check "what n1 says is refused" ask n2 '.refused_messages | to_entries | map(.key) | index("sender revoked, removed or suspended") != null' counters

row "the next verdict takes who was kept along: it cannot have the new key"
check "n4 is revoked" revoke_with n4
# its files may be written or not, the reload done or not: whatever it is, it goes on from there
check "n2's manager is killed in the middle of it" process_ended n2 KILL dsid
check "and started again" service_start n2 dsid
check_until 60 "n2 and n3 are left" cluster_is n2 "2 Yes"
check_until 30 "n3 says the same" cluster_is n3 "2 Yes"
check "n1 and n4 are in no node list" listed n3 "n2 n3"
check "another key" test "$(key_of n3)" != "$key"
check_until 60 "two of two voters" voters_are n3 2

table
done_testing
