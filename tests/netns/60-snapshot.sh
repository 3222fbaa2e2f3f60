#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 900
# A node far behind takes a snapshot that voters signed, on real corosync in namespaces: a voter that was away, and a
# newcomer. Both begin their log there, vote or follow, begin again from it, and say so to who needs the whole log.
#
#   n1 voter ── n2 voter, server ── n3 voter, server: away for 320 entries ── n4 member, enrols after them
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

export TOKEN_OPTIONS_n4=''
MANY=320
base_of() { # NODE: where its log goes on behind entry 1; 2: it has everything
	ask "$1" '.entries[1].index' log --from 1
}
jumped() { (($(base_of "$1") > 200)); }
logged() { # NODE TEXT
	on "$1" grep -q "$2" /var/log/dsid.log
}
version_is() { # VERSION NODE...
	local version=$1 n
	shift
	for n; do ask "$n" ".policy.version == $version" status >/dev/null || return 1; done
}
many_entries() { # tokens that nobody uses, and a policy
	STEP_SECONDS=600 on n2 sh -c "
		i=0; while [ \$i -lt $MANY ]; do
			dsi-admin join-token w\$i --expires 3s --stdout >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
			i=\$((i + 1))
		done
		dsi-admin policy push /var/lib/p1 >/dev/null"
}

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"
job_begin --nodes 4
cluster_made
on n2 sh -c "cp -r $POLICIES/base /var/lib/p0 && cp -r $POLICIES/base /var/lib/p1 && cp $POLICIES/examples/two-tier-web.dsp /var/lib/p1/80-web.dsp"

row "a voter that was away for $MANY entries"
check "n3's daemons end" process_ended n3 TERM dsi-ss dsid
timed check "n2 and n1 go on: $MANY entries" many_entries
measured "$MS ms"
check "n3 is started" service_start n3 dsid dsi-ss
check_until 60 "it has version 1" version_is 1 n3
check "its log begins at a snapshot" jumped n3
check "dsid says on whose word" logged n3 'took the state at entry'
check_until 60 "it votes: three of three" voters_are n2 3
check "and a version more is on all" on n2 sh -c 'dsi-admin policy push /var/lib/p0 >/dev/null'
check_until 30 "on all" version_is 2 n1 n2 n3
check "n1's daemon ends: n3's vote is needed now" process_ended n1 TERM dsid
check "and counts" on n2 sh -c 'dsi-admin policy push /var/lib/p1 >/dev/null'
check "n1 comes back" service_start n1 dsid
check_until 60 "three of three" voters_are n2 3

row "a newcomer"
check "n4 enrols" enrol n4
check "n4 starts" service_start n4 dsid
check_until 60 "it has what the others have" version_is 3 n4
check "its log begins at a snapshot" jumped n4
check "it asked around, and nobody had anything else" on n4 sh -c '! grep -q "history:" /var/log/dsid.log'

row "begins again from its image, and is followed by others"
check "n3's daemons end" process_ended n3 TERM dsi-ss dsid
check "and start" service_start n3 dsid dsi-ss
check_until 60 "three of three" voters_are n2 3
check "from the same place" jumped n3
check "n3 becomes the active server" admin n2 failover
check_until 30 "it is" active_is n2 n3
check "and orders a version" on n2 sh -c 'dsi-admin policy push /var/lib/p0 >/dev/null'
check_until 30 "which is on all" version_is 4 n1 n2 n3 n4
check "who wants the whole log of it is told where it is not" on n3 sh -c '
	dsi-admin backup --out /tmp/backup 2>&1 | grep -q "learnt by a snapshot and has no entries before"'
check "n2 has it" admin n2 backup --out /tmp/backup
job_end
