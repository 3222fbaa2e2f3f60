# shellcheck shell=bash
# vm.sh: a node that is a QEMU machine.

readonly VM_MEMORY=${DSI_LAB_MEMORY:-512M}

vm_prepare() { # whole lab, once, before the first node
	need_root "--kind vm"
	need_tool qemu-system-x86_64 ssh ssh-keygen cpio
	VIRTIOFSD=$(vm_virtiofsd) || die "$EX_UNAVAIL" "virtiofsd is missing; run 'sudo tools/deps.sh lab'"
	mkdir -p "$LAB/ssh" "$LAB/stage"
	ssh-keygen -q -t ed25519 -N '' -C dsi-lab -f "$LAB/ssh/id"
	ssh-keygen -q -t ed25519 -N '' -C dsi-lab -f "$LAB/ssh/host"
	sed 's/^/* /' "$LAB/ssh/host.pub" >"$LAB/ssh/known_hosts"
	vm_ssh_config >"$LAB/ssh/config"
}

vm_virtiofsd() {
	local file
	for file in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd /usr/lib/virtiofsd; do
		if [[ -x $file ]]; then
			echo "$file"
			return
		fi
	done
	type -P virtiofsd
}

vm_ssh_config() {
	local i
	for ((i = 1; i <= NODES; i++)); do printf 'Host n%d\n  HostName %s\n' "$i" "$(manage_address "$i")"; done
	cat <<-EOF
		Host *
		  User root
		  IdentityFile $LAB/ssh/id
		  IdentitiesOnly yes
		  UserKnownHostsFile $LAB/ssh/known_hosts
		  GlobalKnownHostsFile /dev/null
		  StrictHostKeyChecking yes
		  PasswordAuthentication no
		  ControlPath $RUN/%n.ctl
		  ConnectTimeout 60
		  KexAlgorithms curve25519-sha256
		  LogLevel ERROR
	EOF
}

# --- acceleration: believed only after a trial boot, and remembered

vm_accel() { # prints kvm or tcg
	local memo key
	key="$(uname -r) $(qemu-system-x86_64 --version | head -n 1) $(grep -m 1 'model name' /proc/cpuinfo) $([[ -w /dev/kvm ]] && echo kvm)"
	memo=$CACHE/accel-$(printf '%s' "$key" | sha256sum | cut -c1-8)
	[[ -f $memo ]] || { vm_kvm_works && echo kvm || echo tcg; } >"$memo"
	cat "$memo"
}

vm_kvm_works() {
	[[ -w /dev/kvm ]] || return 1
	say "trying KVM (once)"
	local log
	log=$(mktemp "$CACHE/kvm.XXXXXX")
	# The initrd without a seed says so and powers off: a whole boot in a second.
	timeout -k 1 10 qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults -display none -no-reboot \
		-kernel "$KERNEL_DIR/vmlinuz" -initrd "$INITRD" -append "console=ttyS0 panic=-1" \
		-serial "file:$log" >/dev/null 2>&1 || true
	local ok=1
	! grep -q 'dsi-lab: node cannot boot: no seed' "$log" || ok=0
	rm -f "$log"
	return $ok
}

vm_cpu_options() {
	if [[ $ACCEL = kvm ]]; then
		echo "-accel kvm -cpu host"
		return
	fi
	# Counting every byte of rep movsb makes erms and fsrm slow under emulation.
	# cx16: an interrupt behind an emulated cmpxchg16b saves broken flags (QEMU 7.2),
	# which kills a 6.12 kernel, whose allocator lives on it, in about every second boot.
	echo "-accel tcg,tb-size=1024 -cpu max,-erms,-fsrm,-cx16"
}

# --- one node

vm_make() { # ID: disk and seed
	local dir=$LAB/nodes/n$1
	mkdir -p "$dir"
	cp --sparse=always "$VARLIB" "$dir/disk.img"
	vm_seed "$1"
}

vm_seed() { # ID: a cpio that the kernel unpacks over the initrd
	local dir=$LAB/nodes/n$1 seed=$LAB/nodes/n$1/seed
	rm -rf "$seed"
	mkdir -p "$seed/seed"
	seed_common "$seed/seed" "$1" syslog
	cat >"$seed/seed.conf" <<-EOF
		SEED_CLUSTER_ADDRESS=$(cluster_address "$1")/24
		SEED_MANAGE_ADDRESS=$(manage_address "$1")/24
	EOF
	local etc=$seed/seed/etc
	cp "$LAB/ssh/id.pub" "$etc/dsi-lab/authorized_keys"
	cp "$LAB/ssh/host" "$etc/dsi-lab/host_key"
	cat >"$etc/dsi-lab/sshd_config" <<-EOF
		ListenAddress $(manage_address "$1")
		HostKey /etc/dsi-lab/host_key
		AuthorizedKeysFile /etc/dsi-lab/authorized_keys
		PermitRootLogin prohibit-password
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		UsePAM no
		UseDNS no
		MaxSessions 200
		MaxStartups 50
		PrintMotd no
		X11Forwarding no
	EOF
	if [[ $COROSYNC = yes ]]; then
		mkdir -p "$etc/systemd/system/multi-user.target.wants"
		ln -s /lib/systemd/system/corosync.service "$etc/systemd/system/multi-user.target.wants/corosync.service"
	fi
	(cd "$seed" && find . -print0 | cpio -0 -o --quiet -H newc -R 0:0) >"$dir/seed.cpio"
	rm -rf "$seed"
}

vm_start() { # ID [KERNEL ARGUMENTS]
	local name=n$1 dir=$LAB/nodes/n$1
	rm -f "$dir/ready" "$RUN/$name".*
	cat "$INITRD" "$dir/seed.cpio" >"$dir/initrd"
	chmod 600 "$dir/initrd" "$dir/seed.cpio"
	printf '%s' "${2-}" >"$dir/append"
	vm_share "$name" base "$ROOT"
	vm_share "$name" stage "$STAGE"
	local cpu tuning=''
	cpu=$(vm_cpu_options)
	# Retpolines are a quarter of an emulated boot; the verifier does not look at this switch.
	[[ $ACCEL = kvm ]] || tuning=spectre_v2=off
	# shellcheck disable=SC2086 # cpu options are words
	proc_spawn "$name" "$dir/qemu.log" nsenter -t "$(proc_pid holder)" -n \
		"$EMULATOR" -name "$name" -nodefaults -no-user-config -display none -no-reboot $cpu -smp 1 \
		-machine pc,memory-backend=mem -m "$VM_MEMORY" \
		-object "memory-backend-memfd,id=mem,size=$VM_MEMORY,share=on" \
		-kernel "$KERNEL_DIR/vmlinuz" -initrd "$dir/initrd" \
		-append "console=ttyS0 quiet panic=-1 net.ifnames=0 systemd.show_status=0 random.trust_cpu=on $tuning $APPEND ${2-}" \
		-chardev "file,id=console,path=$dir/console.log,append=on" -serial chardev:console \
		-serial "file:$dir/ready" \
		-monitor "unix:$RUN/$name.monitor,server=on,wait=off" \
		-drive "file=$dir/disk.img,format=raw,if=none,id=disk,cache=unsafe" -device virtio-blk-pci,drive=disk \
		-chardev "socket,id=base,path=$RUN/$name.base" -device vhost-user-fs-pci,chardev=base,tag=base \
		-chardev "socket,id=stage,path=$RUN/$name.stage" -device vhost-user-fs-pci,chardev=stage,tag=stage \
		-netdev "tap,id=cluster,ifname=c$1,script=no,downscript=no" \
		-device "virtio-net-pci,netdev=cluster,mac=$(vm_mac 77 "$1"),addr=0x10,romfile=" \
		-netdev "tap,id=manage,ifname=m$1,script=no,downscript=no" \
		-device "virtio-net-pci,netdev=manage,mac=$(vm_mac 78 "$1"),addr=0x11,romfile="
}

vm_mac() { # NET ID
	printf '52:54:00:00:%s:%02x' "$1" "$2"
}

# vm_share NODE TAG DIR: a file server for one directory, which nobody changes while
# the lab is up, so the guest may keep what it read. The directory is
# mounted read-only in the server's own mount namespace: a guest cannot write
# to it whatever it does. An empty /run there takes the server's lock file; its
# socket is reached by a relative path.
# shellcheck disable=SC2016 # expands in the namespace
readonly VM_SHARE='
	cd "$4" && mount -t tmpfs none /run &&
	mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" &&
	exec "$2" --socket-path="$3" -o source="$1" -o cache=always -o xattr -o sandbox=chroot'
vm_share() {
	proc_spawn "$1.$2" "$LAB/nodes/$1/$2.log" unshare --mount --propagation private \
		sh -c "$VM_SHARE" sh "$3" "$VIRTIOFSD" "$1.$2" "$RUN"
	wait_until 10 test -S "$RUN/$1.$2" || die "$EX_ERROR" "virtiofsd does not start: $(tail -n 2 "$LAB/nodes/$1/$2.log")"
}

vm_kill() { # ID: power cut
	local role
	vm_ssh_stop "n$1"
	for role in "n$1" "n$1.base" "n$1.stage"; do proc_kill "$role"; done
}

vm_ready() { # ID: management door open
	[[ -s $LAB/nodes/n$1/ready ]]
}

vm_panicked() { # ID
	tail -c 20000 "$LAB/nodes/n$1/console.log" | grep -qE 'Kernel panic|BUG: |Oops|node cannot boot'
}

# vm_boot_check ID: 0 ready; 1 still booting. A boot that crashed is tried again, twice.
vm_boot_check() {
	! vm_ready "$1" || return 0
	! proc_alive "n$1" || return 1
	local dir=$LAB/nodes/n$1 tries
	tries=$(cat "$dir/tries" 2>/dev/null || echo 0)
	if ! vm_panicked "$1" || ((tries >= 2)); then
		tail -n 15 "$dir/console.log" >&2
		die "$EX_ERROR" "n$1 stopped while booting; see $dir/console.log and $dir/qemu.log"
	fi
	say "n$1 crashed while booting, trying again"
	echo $((tries + 1)) >"$dir/tries"
	vm_kill "$1"
	vm_start "$1" "$(cat "$dir/append")"
	return 1
}

# --- exec

TTY=''
vm_ssh() {
	ssh -F "$LAB/ssh/config" "$@"
}

# One connection per node, opened in the lab's network by the first command;
# later ones reach it through its socket, which is no network.
vm_ssh_ensure() { # NODE
	[[ ! -S $RUN/$1.ctl ]] || ! vm_ssh -O check "$1" 2>/dev/null || return 0
	local fd pid
	exec {fd}>"$RUN/$1.lock"
	flock "$fd"
	if [[ ! -S $RUN/$1.ctl ]] || ! vm_ssh -O check "$1" 2>/dev/null; then
		rm -f "$RUN/$1.ctl"
		DSI_LAB_ID=$LAB_ID net_exec ssh -F "$LAB/ssh/config" -M -N -f -o ServerAliveInterval=0 "$1" \
			</dev/null >/dev/null 2>>"$LAB/nodes/$1/ssh.log" {fd}>&- {STATE_LOCK_FD}>&- ||
			die "$EX_DISCONNECT" "$1 does not answer on its management address: $(tail -n 1 "$LAB/nodes/$1/ssh.log")"
		pid=$(vm_ssh -O check "$1" 2>&1 | sed -n 's/.*pid=\([0-9]*\).*/\1/p')
		proc_record "$1.ssh" "$pid"
		# A machine that crashes closes no connection: whoever waits shall hear of it.
		proc_spawn "$1.watch" /dev/null sh -c 'tail --pid="$1" -f /dev/null; kill "$2"' sh "$(proc_pid "$1")" "$pid"
	fi
	exec {fd}>&-
}

vm_ssh_stop() { # NODE
	proc_kill "$1.watch"
	proc_kill "$1.ssh"
	rm -f "$RUN/$1.ctl"
}

# Replaces the shell, unless detached: the caller gets exit status and signals as they are.
vm_exec() { # NODE DETACH CMD...
	local node=$1 detach=$2 line
	shift 2
	proc_alive "$node" || die "$EX_DISCONNECT" "$node is off; start it with 'dsi-lab start $node'"
	vm_ready "${node#n}" || die "$EX_DISCONNECT" "$node is still booting"
	vm_ssh_ensure "$node"
	printf -v line ' %q' "$@"
	if [[ $detach ]]; then
		vm_ssh -n "$node" "setsid -f$line </dev/null >/dev/null 2>&1"
	else
		exec ssh -F "$LAB/ssh/config" ${TTY:+-tt} "$node" "$line; exit \$?"
	fi
}

vm_signal() { # ID SIGNAL
	kill -"$2" "$(proc_pid "n$1")"
}

vm_logs() { # NODE
	cat "$LAB/nodes/$1/console.log"
	if [[ $(node_state "$1") = on ]]; then
		(vm_exec "$1" '' journalctl -b --no-pager -o short-precise </dev/null)
	fi
}

vm_delay() { # ID MS
	(vm_exec "n$1" '' tc qdisc del dev eth0 root </dev/null 2>/dev/null) || true
	(($2 == 0)) || (vm_exec "n$1" '' tc qdisc add dev eth0 root netem delay "${2}ms" </dev/null)
}
