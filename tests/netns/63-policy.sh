#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 600
# What of a policy travels: the first version whole, then only what changed, to every member, also to one that was away.
# The digest that the operator signed is what counts, so the difference needs no trust (unit/gcs_fetch_test lies).
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"
RULES=20000

version_is() { # VERSION NODE...
	local version=$1 n
	shift
	for n; do ask "$n" ".policy.version == $version" status >/dev/null || return 1; done
}
pushed() { # POLICY...
	on n2 dsi-admin policy push "$@" >"$JOB_LOG/push" 2>&1 || {
		local status=$?
		cat "$JOB_LOG/push"
		return $status
	}
}
newest() { # NODE FILTER: of the row of the newest version
	ask "$1" ".versions[0] | $2" policy history
}
as_delta() { # NODE: the newest version came as a difference, of less than 2 KiB
	newest "$1" '.delta and .fetched > 0 and .fetched < 2048 and .size > 500000' >/dev/null
}

job_begin
cluster_made
on n2 sh -c "
	mkdir /var/lib/big && cp $POLICIES/base/*.dsp /var/lib/big/
	awk 'BEGIN {
		print \"policy \\\"big\\\" { mode enforcing; }\"
		for (i = 0; i < 200; i++) print \"domain d\" i \" { exec /usr/bin/d\" i \"; }\\nfiles t\" i \" { /srv/t\" i \"; }\"
		for (i = 0; i < $RULES; i++) print \"allow d\" i % 200 \" t\" int(i / 200) % 200 \":file { read };\"
	}' >/var/lib/big/80-big.dsp"

row "a policy of $RULES rules, and one rule more"
check "version 1" pushed /var/lib/big
check_until 60 "on every node" version_is 1 n1 n2 n3
check "n1 got it whole: there was nothing to have a difference to" newest n1 '(.delta | not) and .fetched > .size'
measured "whole $(newest n1 .fetched) bytes"
on n2 sed -i '10000i allow d7 t199:file { write };' /var/lib/big/80-big.dsp
check "version 2: one rule more, in the middle" pushed /var/lib/big
check_until 60 "on every node" version_is 2 n1 n2 n3
check "n1 got the difference" as_delta n1
check "n3 too" as_delta n3
check "n2, where it was pushed, got nothing" newest n2 '.fetched == 0'
measured "one rule more: $(newest n1 .fetched) of $(newest n1 .size) bytes"
check "what came is what was signed" on n1 sh -c 'dsi-admin policy show --out /tmp/p2 >/dev/null && dsi-admin policy explain d7 t199 file write --policy /tmp/p2'
check "the history shows it" on n1 sh -c 'dsi-admin policy history | grep -q FETCHED'

row "a member that was away takes the difference to what it has"
check "n3's daemons end" process_ended n3 TERM dsi-ss dsid
on n2 sed -i '20i allow d8 t198:file { write };' /var/lib/big/80-big.dsp
check "version 3" pushed /var/lib/big
on n2 sed -i '$a allow d9 t197:file { write };' /var/lib/big/80-big.dsp
check "version 4" pushed /var/lib/big
check "n3 starts" service_start n3 dsid dsi-ss
check_until 60 "it has version 4" version_is 4 n3
check_until 30 "as a difference to version 2, or to 3" as_delta n3
measured "two versions later: $(newest n3 .fetched) bytes"

row "a policy drafted from the packages of this root"
check "a draft for what is installed there compiles" on n1 sh -c "
	dsi-admin policy infer nginx redis-server --enforcing --out /tmp/inferred.dsp &&
	dsi-admin policy check $POLICIES/base /tmp/inferred.dsp"
would() { # ALLOWED|REFUSED QUESTION...
	local want=$1
	shift
	on n1 sh -c "dsi-admin policy explain $* --policy $POLICIES/base --policy /tmp/inferred.dsp" >"$JOB_LOG/would" 2>&1
	grep -q "^$want:" "$JOB_LOG/would" || { cat "$JOB_LOG/would"; return 1; }
}
check "nginx may listen on port 80" would allowed nginx self tcp listen --port 80
check "and read what its site says it gives out" would allowed nginx /var/www/html/index.html file read
check "and not redis's data" would refused nginx /var/lib/redis/dump.rdb file read
check "redis may write its data" would allowed redis-server /var/lib/redis/dump.rdb file write
check "a package that starts nothing is refused" on n1 sh -c '! dsi-admin policy infer libc6 2>/tmp/said && grep -q "no service unit" /tmp/said'
job_end
