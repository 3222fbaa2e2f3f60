#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 600
# A disk is full: the change is refused with the reason and what to do, the old policy stands, nothing is half done;
# with space again everything goes on by itself. On the server's node, on a voter's, on the server's own directory.
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"

small() { # NODE DIRECTORY: a disk of its own, with little on it
	on "$1" sh -c "mkdir -p $2 && mount -t tmpfs -o size=6m,mode=755 tmpfs $2"
}
fill() { # NODE DIRECTORY
	on "$1" sh -c "dd if=/dev/zero of=$2/fill bs=4k 2>/dev/null; [ \$(df --output=avail $2 | tail -n 1) = 0 ]"
}
free() { on "$1" rm -f "$2/fill"; }
push_as() { # COMMENT POLICY...: status, text in push
	local comment=$1
	shift
	on n2 sh -c "rm -rf /root/p && cp -r $POLICIES/base /root/p && echo 'domain $comment { exec /usr/bin/$comment; }' >/root/p/90-x.dsp"
	on n2 dsi-admin policy push "$@" /root/p >"$JOB_LOG/push" 2>&1
}
version_is() { # VERSION NODE...
	local v=$1 n
	shift
	for n; do ask "$n" ".policy.version == $v" status >/dev/null || return 1; done
}
refused_with() { # PATTERN COMMENT
	! push_as "$2" || { echo "it was taken"; return 1; }
	grep -Eq "$1" "$JOB_LOG/push" || { tail -n 3 "$JOB_LOG/push"; return 1; }
}
blobs() { on "$1" sh -c 'ls /var/lib/dsi/dsid/blobs | wc -l'; }
same_log() { # NODE: applied as far as n2
	local at
	at=$(ask n2 .view.applied status) && ask "$1" ".view.applied == $at" status >/dev/null
}

job_begin
small n2 /var/lib/dsi
small n2 /var/lib/dsi/dsi-ss
small n1 /var/lib/dsi
cluster_made
check "version 1" push_as one
check_until 20 "on every node" version_is 1 n1 n2 n3

row "the disk of the node that hosts the server, and takes the push, is full"
before=$(blobs n2)
check "full" fill n2 /var/lib/dsi
check "refused: no space, and where to make some" refused_with "no space left for the policy image: free some below /var/lib/dsi/dsid" two
assert_eq 74 "$(on n2 sh -c 'dsi-admin policy push /root/p >/dev/null 2>&1; echo $?')" "exit status 74"
check "the old policy stands" version_is 1 n1 n2 n3
assert_eq "$before" "$(blobs n2)" "no half image is left"
check "the view is live, remote trust renewed" ask n2 '.view.live and .local.lease_ms > 0' status
check "space again" free n2 /var/lib/dsi
check "the same push works" push_as two
check_until 20 "version 2 on every node" version_is 2 n1 n2 n3

row "the directory of the server alone is full"
check "full" fill n2 /var/lib/dsi/dsi-ss
check "refused: the server has no space, and where to make some" \
	refused_with "server n2 has no space left for the policy's image: free some below /var/lib/dsi/dsi-ss" three
check "the old policy stands" version_is 2 n1 n2 n3
check "space again" free n2 /var/lib/dsi/dsi-ss
check "the same push works" push_as three
check_until 20 "version 3 on every node" version_is 3 n1 n2 n3

row "a voter's disk is full: the majority goes on, it catches up"
check "full" fill n1 /var/lib/dsi
check "taken by the majority" push_as four
check_until 20 "version 4 on the others" version_is 4 n2 n3
check "n1 says why it stays behind" on n1 sh -c 'grep -q "no space" /var/log/dsid.log'
check "its daemon lives" on n1 pgrep -x dsid
check "space again" free n1 /var/lib/dsi
check_until 60 "n1 catches up by itself" version_is 4 n1
check_until 20 "to the last entry" same_log n1

row "two of three voters' disks are full: nothing commits, nothing is lost"
check "n1 full" fill n1 /var/lib/dsi
check "n2 full" fill n2 /var/lib/dsi
check "refused" refused_with "no space" five
check "the old policy stands" version_is 4 n2 n3
check "space again on both" eval 'free n1 /var/lib/dsi && free n2 /var/lib/dsi'
check "the same push works" push_as five
check_until 60 "version 5 on every node" version_is 5 n1 n2 n3

table
done_testing
