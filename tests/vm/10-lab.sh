#!/bin/bash
# timeout: 600
# dsi-lab with virtual machines: what it promises.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/lib/lab_cases.sh"
export LIMIT=60

((EUID == 0)) || skip_all "virtual machines need root"
type -P qemu-system-x86_64 >/dev/null || skip_all "no QEMU; run tools/deps.sh lab"
lab_use
before=$(machine_state)

start=$SECONDS
assert_ok "up" lab up --kind vm
note "three nodes quorate after $((SECONDS - start)) s"
assert_eq "3 Yes" "$(cluster_of n1)" "quorate when up returns"
assert_eq "running" "$(on n1 systemctl is-system-running --wait)" "systemd has no failed unit"
for unit in nginx redis-server ssh; do
	assert_eq "inactive" "$(on n1 systemctl is-active "$unit")" "$unit does not run by itself"
done
assert_match "bpf" "$(on n1 cat /sys/kernel/security/lsm)" "BPF LSM is active"

# Threat: root on a node writes into the root that all nodes of all labs share.
case_shared_root() {
	on n1 sh -c 'mkdir -p /run/m && mount -t virtiofs -o rw base /run/m'
	assert_fails "a node cannot write to the shared root" on n1 touch /run/m/owned 2>/dev/null
	assert_fails "nor change a file in it" on n1 sh -c 'echo x >>/run/m/etc/hosts' 2>/dev/null
	on n1 umount /run/m
	assert_ok "but to its own" on n1 touch /usr/bin/own
}
case_shared_root
cases_of_both

case_crash() {
	local status=0
	on n3 sh -c 'echo kept >/var/lib/crash; sync; echo c >/proc/sysrq-trigger' 2>/dev/null || status=$?
	assert_fails "a command in a machine that crashes comes back" test "$status" = 0
	assert_match "n3 +off" "$(lab status)" "a crashed machine is off"
	assert_ok "start with an argument" lab start n3 --append dsi=permissive
	assert_eq "kept" "$(on n3 cat /var/lib/crash)" "/var/lib survives a guest crash"
	assert_match "dsi=permissive" "$(on n3 cat /proc/cmdline)" "the argument arrived"
	lab net n3 --delay 200
	assert_match "min.* = [2-9][0-9][0-9]" "$(on n3 ping -q -c 3 n1)" "delay is seen"
	lab heal
}
case_crash
case_down "$before"
done_testing
