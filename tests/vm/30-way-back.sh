#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2016
# timeout: 1200
# DSI against root on its own node, and the ways back, on one machine that enforces: the guard goes on with the first
# policy and lets enrolment and upgrades through; accounts are changed as ever; dsi=permissive, dsi=off and a kernel
# without BPF LSM start, and say so.
export JOB_KIND=vm
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"

((EUID == 0)) || skip_all "virtual machines need root"
type -P qemu-system-x86_64 >/dev/null || skip_all "no QEMU; run tools/deps.sh lab"
BASE=/usr/share/dsi/policies/base

sh_() { on n1 sh -c "$1"; }             # as root's shell on n1
refused() { on n1 sh -c "! { $1; } 2>&1"; }
local_is() { ask n1 ".local | $1" status >/dev/null; }
enforcing() { ask n1 ".policy.version == $1 and .policy.enforced == 1" status >/dev/null; }
served() { active_is n1 n1; }
push() { # VERSION DIRECTORY
	on n1 dsi-admin policy push "$2" >"$JOB_LOG/push" 2>&1 || { cat "$JOB_LOG/push"; return 1; }
	wait_until 30 enforcing "$1" || { admin n1 status; return 1; }
}
OPEN_MAP='perl -e "\$p = qq(/sys/fs/bpf/dsi/maps/state\0); \$a = pack(q(QLL), unpack(q(Q), pack(q(p), \$p)), 0, 0);
	exit(syscall(321, 7, \$a, length \$a) < 0 ? 1 : 0)"' # BPF_OBJ_GET
main_pid() { on n1 systemctl show -P MainPID dsid; }

# Programs that a policy confines: the root is made anew at each boot.
probes() {
	sh_ 'cp /bin/cat /usr/local/bin/probe-cat && cp /bin/mv /usr/local/bin/probe-mv && cp /bin/ln /usr/local/bin/probe-ln'
}
policies() {
	sh_ "rm -rf /var/lib/p && mkdir -p /var/lib/p && cp -r $BASE /var/lib/p/one && cp -r $BASE /var/lib/p/none"
	on n1 sh -c 'cat >/var/lib/p/one/40-probe.dsp' <<-'EOF'
		policy "way-back" { mode enforcing; }
		domain probe { exec /usr/local/bin/probe-cat, /usr/local/bin/probe-mv, /usr/local/bin/probe-ln, /usr/local/bin/probe-late; }
		allow probe { base_read root_home }:file { read };
		allow probe system:file { map };
		allow probe { null_devices terminals run }:file { read write };
		# as far as it could go without the type shadow: everything beside it
		allow probe etc:file { read write create delete setattr };
		never probe shadow:file { read write create delete setattr };
	EOF
	# DSI as any other program: no context of its own
	sh_ 'cd /var/lib/p/none && sed -i -e "/^domain dsi {/,/^}/d" -e "/^domain dsi_admin {/,/^}/d" -e "/^allow .*dsi_admin/d" \
		-e "/^allow dsi@/d" -e "/^allow .* dsi@/d" -e "/^allow dsi /d" -e "s/^allow \(stale\|outside\) dsi:/allow \1 default:/" 60-cluster.dsp &&
		echo "policy \"none\" { mode enforcing; }" >90-name.dsp'
}

lab_use
JOB_LOG=$(mktemp -d "${TMPDIR:-/tmp}/dsi-job.XXXXXX")
lab up --kind vm --nodes 1 --servers 1 >&2 || { not_ok "the lab starts"; done_testing; }

row "the guard goes on with the first policy, dsid running"
check "init" admin n1 init --cluster demo --node n1 --address 10.77.0.1:5410 --server --no-passphrase
check "services start" service_start n1 dsid dsi-ss
check_until 60 "n1 serves" served
probes && policies
pid=$(main_pid)
check "off while there is no policy" local_is '.guard == false and .mode == "enforcing"'
check "root may write /etc/dsi meanwhile" sh_ 'echo "# made by the test" >>/etc/dsi/dsid.conf'
check "and open DSI's maps" sh_ "$OPEN_MAP"
check "version 1" push 1 /var/lib/p/one
check_until 10 "on" local_is '.guard == true'
assert_eq "$pid" "$(main_pid)" "the same dsid"
check "root's shell cannot append to DSI's configuration" refused 'echo x >>/etc/dsi/dsid.conf'
check "nor make, move or remove files there" refused 'touch /etc/dsi/x || mv /etc/dsi/node.conf /etc/dsi/node || rm -f /etc/dsi/node.conf || chmod 777 /etc/dsi/keys'
check "nor in the log's directory" refused 'touch /var/lib/dsi/dsid/x || rm -rf /var/lib/dsi/dsid/blobs'
check "nor remove a pin" refused 'rm -f /sys/fs/bpf/dsi/links/dsi_file_open'
check "nor kill dsid or dsi-ss" refused 'kill -9 $(pidof dsid) || kill -STOP $(pidof dsi-ss)'
check "nor open a map by bpf()" refused "$OPEN_MAP"
check "nor switch BPF LSM off" refused 'echo 0 >/proc/sys/kernel/ftrace_enabled'
check "nor by a copy of dsi-admin" refused 'cp /usr/sbin/dsi-admin /tmp/adm && /tmp/adm operator key --out /etc/dsi/x'
check "an operator's key is a person's to move" sh_ 'cp /etc/dsi/operators/default.key /etc/dsi/operators/copy && rm /etc/dsi/operators/copy'
check "dsid serves as before, version 2" push 2 /var/lib/p/one

row "accounts: files that are written aside and renamed"
check "confined: /etc/passwd, not /etc/shadow" sh_ '/usr/local/bin/probe-cat /etc/passwd >/dev/null && ! /usr/local/bin/probe-cat /etc/shadow 2>/dev/null'
check "useradd" sh_ 'useradd -m worker && grep -q ^worker: /etc/shadow'
check "passwd" sh_ 'printf "tops3cret\ntops3cret\n" | passwd worker && grep "^worker:[$]" /etc/shadow >/dev/null'
check "chpasswd, chage, usermod, groupadd" sh_ 'echo worker:0ther | chpasswd && chage -M 90 worker && usermod -c W worker && groupadd crew'
check "vipw -s" sh_ 'EDITOR="sed -i s/^worker:/w0rker:/" vipw -s >/dev/null && grep -q ^w0rker: /etc/shadow && EDITOR="sed -i s/^w0rker:/worker:/" vipw -s'
check "mv of a file made beside it" sh_ 'cp -p /etc/shadow /etc/shadow.test && mv /etc/shadow.test /etc/shadow'
check "userdel" sh_ 'userdel -r worker 2>/dev/null; ! grep -q ^worker: /etc/shadow'
check "after all that, confined: still not /etc/shadow" refused '/usr/local/bin/probe-cat /etc/shadow'
check "nor its copies" refused '/usr/local/bin/probe-cat /etc/shadow- || /usr/local/bin/probe-cat /etc/gshadow-'
check "nor a name that comes later" refused 'cp /etc/shadow /etc/nshadow && /usr/local/bin/probe-cat /etc/nshadow'
check "a program that is installed later is confined at once" sh_ 'cp /bin/cat /usr/local/bin/probe-late && ! /usr/local/bin/probe-late /etc/shadow 2>/dev/null'
check "confined: nothing renamed onto it" refused 'cp /etc/passwd /etc/mine && /usr/local/bin/probe-mv -f /etc/mine /etc/shadow'
check "nor it away, nor linked" refused '/usr/local/bin/probe-mv /etc/shadow /etc/mine2 || /usr/local/bin/probe-ln /etc/shadow /etc/mine3'
check "what confines it is the type: elsewhere in /etc it renames" sh_ '/usr/local/bin/probe-mv -f /etc/mine /etc/mine4'
check "/etc/shadow is whole" sh_ 'grep -q ^root: /etc/shadow'

row "an upgrade: new files renamed into place, then a restart"
check "dsid and dsi-ss replaced by rename, as a package manager does" sh_ '
	for p in dsid dsi-ss dsi-admin; do cp /usr/sbin/$p /usr/sbin/$p.dpkg-new && mv /usr/sbin/$p.dpkg-new /usr/sbin/$p || exit 1; done'
check "the old dsid goes on, version 3" push 3 /var/lib/p/one
check "with the guard" local_is '.guard == true'
check "systemctl restart" sh_ 'systemctl restart dsid dsi-ss'
check_until 60 "n1 serves" served
check "the new program runs" sh_ 'case $(readlink /proc/$(systemctl show -P MainPID dsid)/exe) in /usr/sbin/dsid) ;; *) exit 1 ;; esac'
check_until 10 "guarded" local_is '.guard == true and .mode == "enforcing"'
check "version 4" push 4 /var/lib/p/one
check "a policy that comes while the file is away" sh_ 'mv /usr/sbin/dsid /usr/sbin/dsid.away'
check "version 5" push 5 /var/lib/p/one
check "does not take the guard off" local_is '.guard == true'
check "the file is back" sh_ 'mv /usr/sbin/dsid.away /usr/sbin/dsid'
check "the guard guards" refused 'touch /etc/dsi/x || kill -9 $(pidof dsid)'

row "a policy without the context dsi takes the guard off, said aloud, and dsid goes on"
pid=$(main_pid)
check "version 6" push 6 /var/lib/p/none
check "the dsi-admin that pushed it saw it through" grep -q "is log entry" "$JOB_LOG/push"
check_until 10 "off" local_is '.guard == false and .mode == "enforcing"'
check "said" sh_ 'journalctl -b -u dsid | grep -q "guard: OFF"'
check "and in status" sh_ 'dsi-admin status | grep -q "guard OFF"'
check "root may write" sh_ 'echo "# again" >>/etc/dsi/dsid.conf'
check "version 7 gives it back" push 7 /var/lib/p/one
check_until 10 "on" local_is '.guard == true'
assert_eq "$pid" "$(main_pid)" "the same dsid through all of it"
check "the guard guards" refused 'touch /etc/dsi/x || kill -9 $(pidof dsid)'

row "enrolment and init while the guard is on: dsi-admin writes, root's shell does not"
check "a token" sh_ 'dsi-admin join-token n9 --voter --server --stdout >/root/token'
check "services stop" sh_ 'systemctl stop dsi-ss dsid'
check "root's shell is refused with dsid gone, too" refused 'mv /etc/dsi/cluster /etc/dsi/was || touch /etc/dsi/x || rm -f /sys/fs/bpf/dsi/links/dsi_file_open'
check "enroll --again puts the old membership aside (nobody answers it here)" sh_ '
	! dsi-admin enroll --again --token /root/token --address 10.77.0.1:5410 --timeout 1s 2>/root/out && [ ! -e /etc/dsi/cluster ] &&
	ls -d /etc/dsi/cluster.old-* /etc/dsi/keys.old-* /var/lib/dsi/dsid.old-* >/dev/null'
check "init makes a new cluster" sh_ 'mv /etc/dsi/operators /root/operators.old 2>/dev/null; rm -f /etc/dsi/operators/*;
	dsi-admin init --cluster again --node n1 --address 10.77.0.1:5410 --server --no-passphrase'
check "services start" service_start n1 dsid dsi-ss
check_until 60 "n1 serves" served
check "version 1 of the new cluster" push 1 /var/lib/p/one
check_until 10 "guarded" local_is '.guard == true'
check "through all of that no filter killed a process, and dsid was never started again by itself" \
	sh_ '[ "$(systemctl show -P NRestarts dsid)" = 0 ] && ! journalctl -k -b | grep -q type=1326'

reboot_with() { # KERNEL ARGUMENTS
	sh_ sync
	check "power cut, and start with $1" sh -c "'$TOP/lab/dsi-lab' kill n1 && '$TOP/lab/dsi-lab' start n1 --append '$1'"
	probes
	check "services start" service_start n1 dsid dsi-ss
	check_until 60 "n1 serves" served
	check "nothing is said to enforce" ask n1 '.policy.enforced == 0 and .policy.not_enforcing == 1' status
}

row "dsi=permissive: recorded, not refused, and said"
reboot_with dsi=permissive
check_until 20 "status: permissive, and by what" local_is '.mode == "permissive" and (.detail | test("dsi=permissive"))'
check "the list of nodes, too" ask n1 '.nodes[0].mode == "permissive"' node list
check_until 20 "the policy is loaded" sh_ '[ -e /sys/fs/bpf/dsi/maps/state ] && journalctl -b -u dsid | grep -q "policy 1 in force"'
check "confined reads /etc/shadow" sh_ '/usr/local/bin/probe-cat /etc/shadow >/dev/null'
check_until 20 "and it is recorded" ask n1 '[.denials[] | select(.subject == "probe" and .target == "shadow")] | length > 0' denials
check "root may write /etc/dsi" sh_ 'echo "# way back" >>/etc/dsi/dsid.conf && sync'
check "a policy can be pushed, to come back by" sh_ 'dsi-admin policy push /var/lib/p/one >/dev/null 2>&1'

row "dsi=off: nothing is loaded, and said"
reboot_with dsi=off
check "status: not enforcing, and by what" local_is '.mode == "not enforcing" and (.detail | test("dsi=off"))'
check "no pins" sh_ '[ ! -e /sys/fs/bpf/dsi/maps ]'
check "confined reads /etc/shadow" sh_ '/usr/local/bin/probe-cat /etc/shadow >/dev/null'

row "a kernel without BPF LSM: starts, and says what to add"
reboot_with lsm=landlock,yama
list=$(on n1 cat /sys/kernel/security/lsm)
check "status: not enforcing, and the exact boot parameter" local_is ".mode == \"not enforcing\" and (.detail | contains(\"lsm=$list,bpf\"))"
check "in the journal, too" sh_ 'journalctl -b -u dsid | grep -q "NOT ENFORCING: .*add the boot parameter"'
check "policies are still ordered" sh_ 'dsi-admin policy push /var/lib/p/one >/dev/null 2>&1; dsi-admin policy history | grep -q way-back'

row_end
rm -rf "$JOB_LOG"
done_testing
