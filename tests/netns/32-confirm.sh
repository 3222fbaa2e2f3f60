#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317
# timeout: 600
# The way back (DESIGN 9), as far as it needs no kernel: a push that is not confirmed goes back by itself, also when
# the active server dies meanwhile; one that is confirmed stays. Threat: a policy that locks the administrator out or
# cuts DSI off is pushed, by mistake or past the tool's check; tool and server refuse it and name the case.
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"

policy() { # NODE FILTER
	ask "$1" ".policy | $2" status >/dev/null
}
version_is() { # VERSION, on every node that runs
	local n
	for n in ${NODES:-n1 n2 n3}; do policy "$n" ".version == $1" || return 1; done
}
clock_passed() { # MS since the epoch
	(($(now_ms) > $1))
}
pushed() { # POLICY...: status of the push that nobody has to enforce here; its text in push
	on n2 dsi-admin policy push "$@" >"$JOB_LOG/push" 2>&1 || {
		local status=$?
		cat "$JOB_LOG/push"
		return $status
	}
}

job_begin
cluster_made
on n2 sh -c "cp -r $POLICIES/base /var/lib/one && cp -r $POLICIES/base /var/lib/two && cp $POLICIES/examples/two-tier-web.dsp /var/lib/two/80-web.dsp"

row "a push that nobody confirms goes back by itself, as a new version"
check "the first policy cannot be one to confirm" on n2 sh -c '! dsi-admin policy push --confirm-within 5s /var/lib/one'
check "version 1" pushed /var/lib/one
first=$(ask n2 .policy.digest status | tr -d '"')
check "version 2, to be confirmed within 6 s" pushed --confirm-within 6s /var/lib/two
check "every node knows that it may go back" policy n1 '.version == 2 and .confirm_by_ms > 0'
check_until 30 "version 3 on every node" version_is 3
check "it is the policy of version 1 again" policy n1 ".digest == \"$first\" and .confirm_by_ms == 0"
check "the history says why" on n2 sh -c 'dsi-admin policy history | grep -q "went back by itself"'
check "and it is final" on n2 sh -c '! dsi-admin policy confirm'

row "a push that is confirmed stays"
check "version 4, to be confirmed within 6 s" pushed --confirm-within 6s /var/lib/two
by=$(ask n2 .policy.confirm_by_ms status)
check "confirmed" admin n2 policy confirm
check_until 10 "no node waits any more" policy n1 '.version == 4 and .confirm_by_ms == 0'
check_until 30 "the time is over, and the server has looked since" clock_passed $((by + 3000))
check "version 4 is still there" version_is 4

row "the active server dies: the other one takes the policy back"
check "version 5, to be confirmed within 8 s" pushed --confirm-within 8s /var/lib/one
check "power cut of n2" lab kill n2
NODES="n1 n3" check_until 90 "version 6 on the nodes that are left" version_is 6
check "by n3" active_is n3 n3
check "n2 is started again" lab start n2
check_until 60 "it answers" on n2 true
check "services start" service_start n2 dsid dsi-ss
check_until 90 "three voters" voters_are n2 3
check_until 30 "n2 has it too" version_is 6

# Policies that would lock somebody out: each is the base with one change. NAME|WHAT MUST BE NAMED|SHELL CODE in its copy
BAD='sshd|/usr/sbin/sshd|echo "domain x { exec /usr/sbin/sshd; }" >90-x.dsp
getty|/usr/sbin/agetty|echo "domain x { exec /usr/sbin/agetty; }" >90-x.dsp
login|/usr/bin/login|echo "domain x { exec /usr/bin/login; }" >90-x.dsp
shell|/usr/bin/bash|echo "domain x { exec /usr/bin/bash; }" >90-x.dsp
dsid|/usr/sbin/dsid|sed -i "/^domain dsi {/,/^}/s/unconfined;//" 60-cluster.dsp
leg|/usr/sbin/dsid|sed -i "/^allow dsi@. dsi@/d" 60-cluster.dsp
stale|/usr/sbin/dsid accept|sed -i "/^allow stale dsi/d" 60-cluster.dsp
ssh-from-outside|/usr/sbin/sshd accept|sed -i "/^allow outside default/d" 60-cluster.dsp
corosync|/usr/sbin/corosync|echo "domain x { exec /usr/sbin/corosync; }" >90-x.dsp
passwd|/usr/bin/passwd|echo "domain x { exec /usr/bin/passwd; }" >90-x.dsp
dsi-admin|/usr/sbin/dsi-admin|sed -i "/^domain dsi_admin/,/^}/s/unconfined;//" 60-cluster.dsp
packages|/usr/bin/dpkg|echo "domain x { exec /usr/bin/dpkg; }" >90-x.dsp'

on n2 sh -c 'echo "kernel write /var/log" >/var/lib/lax.list'
row "a policy that locks out the administrator or DSI is refused by the tool, the case named"
while IFS='|' read -r name who code; do
	on n2 sh -c "rm -rf /var/lib/bad.$name && cp -r $POLICIES/base /var/lib/bad.$name && cd /var/lib/bad.$name && $code" </dev/null
	status=0
	pushed "/var/lib/bad.$name" </dev/null >/dev/null || status=$?
	assert_eq 107 "$status" "$name: refused"
	assert_match "would lock you or DSI out: [^ ]*must-allow.list:[0-9]+: \`[^\`]*$who" "$(cat "$JOB_LOG/push")" "$name: names the case"
done <<<"$BAD"

row "and by the server, when the tool's own check is gone around"
while IFS='|' read -r name who _; do
	status=0
	pushed --must-allow /var/lib/lax.list "/var/lib/bad.$name" </dev/null >/dev/null || status=$?
	assert_eq 107 "$status" "$name: refused"
	assert_match "would lock you or DSI out: must-allow.list:[0-9]+: \`[^\`]*$who" "$(cat "$JOB_LOG/push")" "$name: names the case"
done <<<"$BAD"
check "nothing changed" version_is 6
check "a second try is refused at once, by what the server remembers" on n2 sh -c '
	! timeout 5 dsi-admin policy push --must-allow /var/lib/lax.list /var/lib/bad.sshd'
check "a good policy still goes in" pushed /var/lib/two
check_until 20 "version 7" version_is 7

row "a server without the list orders no policy"
check "the lists are taken away" on n2 sh -c "cp $POLICIES/must-allow.list /var/lib/list && rm $POLICIES/must-allow.list"
check "and on n3, whose server is active" on n3 rm -f "$POLICIES/must-allow.list"
check "refused, the file named" on n2 sh -c '
	! dsi-admin policy push --must-allow /var/lib/lax.list /var/lib/one 2>/tmp/out && grep -q must-allow.list /tmp/out'
check "with the list it is taken" on n2 sh -c "cp /var/lib/list $POLICIES/must-allow.list"
on n2 cat /var/lib/list </dev/null | on n3 sh -c "cat >$POLICIES/must-allow.list"
check "pushed" pushed /var/lib/one
check_until 20 "version 8" version_is 8

table
done_testing
