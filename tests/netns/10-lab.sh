#!/bin/bash
# timeout: 300
# dsi-lab with nodes of namespaces: what it promises, also after a crash of
# itself, for several labs at once, and without root.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/lib/lab_cases.sh"
export LIMIT=20
LAB_OWNER=nobody

unshare --net --mount true 2>/dev/null || skip_all "no namespaces here"
lab_use
mkdir -p "$DSI_LAB" && rmdir "$DSI_LAB"
before=$(machine_state)

assert_ok "up" lab up --kind netns
assert_eq "3 Yes" "$(cluster_of n1)" "quorate when up returns"
assert_match "aes256" "$(on n1 cat /etc/corosync/corosync.conf)" "corosync encrypts"
cases_of_both

case_second_lab() {
	local first=$DSI_LAB stage
	DSI_LAB=${first}2
	stage=$(mktemp -d)
	mkdir -p "$stage/usr/bin" "$stage/usr/lib/sysusers.d"
	printf '#!/bin/sh\necho staged\n' >"$stage/usr/bin/staged"
	chmod 755 "$stage/usr/bin/staged" "$stage"
	echo 'u _dsitest - "a test"' >"$stage/usr/lib/sysusers.d/dsi-test.conf"
	assert_ok "a second lab beside the first" lab up --kind netns --nodes 2 --stage "$stage"
	assert_eq "staged" "$(on n1 staged)" "the staging tree is laid over the root"
	assert_ok "its system users are there" on n1 id -u _dsitest
	mkdir "$stage/lib"
	assert_status 1 "a stage that would hide /lib is refused" lab --dir "${first}3" up --kind netns --stage "$stage"
	rm -rf "$stage"
	assert_eq "2 Yes" "$(cluster_of n1)" "it has its own two members"
	assert_ok "its down" lab down
	DSI_LAB=$first
	assert_eq "3 Yes" "$(cluster_of n1)" "the first one felt nothing"
}
case_second_lab
case_down "$before"

# `up` dies at any point, nothing had a chance to clean up, and the records are
# incomplete: down must find everything.
case_crash() {
	local after
	for after in 0.1 0.2 0.3 0.5 0.8; do
		timeout -s KILL "$after" "$TOP/lab/dsi-lab" -q up --kind netns --nodes 2
		lab down
		assert_eq "" "$(lab_processes "$DSI_LAB")" "up killed after $after s: down leaves no process"
	done
	lab -q up --kind netns --nodes 1
	rm -rf "$DSI_LAB/procs" "$DSI_LAB/lab.conf"
	lab down
	assert_eq "" "$(lab_processes "$DSI_LAB")" "records lost: down finds the processes"
	assert_eq "$before" "$(machine_state)" "and nothing else is left"
} 2>/dev/null
case_crash

case_no_root() {
	local home
	if ! ((EUID == 0)) || ! setpriv --reuid="$LAB_OWNER" --regid=65534 --clear-groups unshare -r true 2>/dev/null; then
		skip "no user namespaces for $LAB_OWNER, or we are not root"
		return
	fi
	home=$(mktemp -d)
	chown "$LAB_OWNER" "$home"
	as() {
		(cd / && setpriv --reuid="$LAB_OWNER" --regid=65534 --clear-groups \
			env HOME="$home" XDG_CACHE_HOME= DSI_CACHE= DSI_LAB="$home/lab" "$TOP/lab/dsi-lab" "$@")
	}
	assert_ok "up without root" as up --kind netns
	assert_match "Quorate: +Yes" "$(as exec n1 -- corosync-quorumtool -s)" "quorate without root"
	assert_ok "cut without root" as cut n1 n2,n3
	assert_ok "down without root" as down
	assert_eq "" "$(lab_processes "$home/lab")" "nothing is left"
	rm -rf "$home"
}
case_no_root
done_testing
