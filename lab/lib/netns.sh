# shellcheck shell=bash
# netns.sh: a node that is a set of namespaces on this machine's kernel: own
# network, mounts, IPC, host name and processes, no systemd. Also without root,
# in a user namespace; then a node has one user, root, which is you.

netns_prepare() { # whole lab, once, before the first node
	((EUID == 0)) || unshare --map-root-user --net true 2>/dev/null ||
		die "$EX_PRIV" "this kernel gives you no user namespaces (sysctl user.max_user_namespaces," \
			"kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); use sudo"
}

netns_make() { # ID
	local dir=$LAB/nodes/n$1
	mkdir -p "$dir/mnt" "$dir/seed" "$dir/etc"
	cp -a "$ROOT/var/lib" "$dir/varlib"
	cp -a "$ROOT/var/log" "$dir/log"
	seed_common "$dir/seed" "$1" /var/log/corosync/corosync.log
}

netns_start() { # ID [APPEND]: kernel arguments mean nothing here
	local name=n$1 dir=$LAB/nodes/n$1 stage=$STAGE user=()
	[[ ! ${2-} ]] || die "$EX_USAGE" "a netns node has no kernel of its own, so no --append"
	rm -f "$dir/pid.new" "$dir/ready"
	if ((EUID != 0)); then
		user=(nsenter -t "$(proc_pid holder)" -U --preserve-credentials)
		stage=$dir/stage # a copy that is ours: see root_copy_own
		rm -rf "$stage"
		cp -dR --preserve=mode,timestamps,links "$STAGE" "$stage"
	fi
	proc_spawn "$name.unshare" "$dir/console.log" "${user[@]}" \
		unshare --net --mount --ipc --uts --pid --fork --kill-child --propagation private \
		"$LAB_SHARE/guest/netns-init" "$ROOT" "$stage" "$dir" "$name"
	wait_until 30 netns_init_done "$name" || true
	[[ -s $dir/pid.new ]] || die "$EX_ERROR" "$name does not start: $(tail -n 2 "$dir/console.log")"
	proc_record "$name" "$(cat "$dir/pid.new")"
	netns_connect "$1" "$(cat "$dir/pid.new")"
	: >"$dir/ready"
	if [[ $COROSYNC = yes ]]; then netns_exec "$name" 1 corosync; fi
}

netns_init_done() { # NAME: finished, or dead
	[[ -s $LAB/nodes/$1/pid.new ]] || ! proc_alive "$1.unshare"
}

# A cable from the node to the bridge; it goes away with the node's namespace,
# which the kernel may do a moment later than the node dies.
netns_connect() { # ID PID
	net_exec ip link del "c$1" 2>/dev/null || true
	net_exec ip link add "c$1" type veth peer name eth0 netns "$2"
	net_exec ip link set "c$1" master br0 up
	netns_enter "$2" -n ip addr add "$(cluster_address "$1")/24" dev eth0
	netns_enter "$2" -n ip link set eth0 up
}

netns_enter() { # PID NSENTER-OPTIONS-AND-COMMAND...
	local pid=$1
	shift
	if ((EUID == 0)); then
		nsenter -t "$pid" "$@"
	else
		nsenter -t "$pid" -U --preserve-credentials "$@"
	fi
}

netns_kill() { # ID: the death of its init is the death of all its processes
	proc_kill "n$1"
	proc_kill "n$1.unshare"
	rm -f "$LAB/nodes/n$1/ready"
}

netns_ready() { # ID
	[[ -e $LAB/nodes/n$1/ready ]]
}

netns_boot_check() { # ID
	netns_ready "$1" && proc_alive "n$1"
}

# Replaces the shell, unless detached: the caller gets exit status and signals as they are.
netns_exec() { # NODE DETACH CMD...
	local node=$1 detach=$2 pid
	shift 2
	pid=$(proc_pid "$node") || die "$EX_DISCONNECT" "$node is off; start it with 'dsi-lab start $node'"
	local in_node=(-m -n -i -u -p --wdns=/root env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM="${TERM:-dumb}" LANG=C.UTF-8)
	if [[ $detach ]]; then
		netns_enter "$pid" "${in_node[@]}" setsid -f "$@" </dev/null >/dev/null 2>&1 {STATE_LOCK_FD}>&-
	else
		((EUID == 0)) || in_node=(-U --preserve-credentials "${in_node[@]}")
		exec nsenter -t "$pid" "${in_node[@]}" "$@" {STATE_LOCK_FD}>&-
	fi
}

# Everything in the node's PID namespace, host numbers.
netns_pids() { # NODE
	local init ns file pid
	init=$(proc_pid "$1")
	ns=$(readlink "/proc/$init/ns/pid")
	for file in /proc/[0-9]*/ns/pid; do
		[[ $(readlink "$file" 2>/dev/null) = "$ns" ]] || continue
		pid=${file#/proc/}
		echo "${pid%%/*}"
	done
}

netns_signal() { # ID SIGNAL
	local pids
	mapfile -t pids < <(netns_pids "n$1")
	kill -"$2" "${pids[@]}" 2>/dev/null || true
	[[ $2 != STOP ]] || wait_until 10 netns_all_stopped "n$1" ||
		die "$EX_TIMEOUT" "some processes of n$1 do not stop"
}

netns_all_stopped() { # NODE: a process forked while we went through the list is caught here
	local pid state all=0
	for pid in $(netns_pids "$1"); do
		state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null) || continue
		[[ $state != [TZX] ]] || continue
		kill -STOP "$pid" 2>/dev/null || true
		all=1
	done
	return $all
}

netns_logs() { # NODE
	cat "$LAB/nodes/$1/console.log" "$LAB/nodes/$1"/log/corosync/corosync.log 2>/dev/null || true
}

netns_delay() { # ID MS
	local pid
	pid=$(proc_pid "n$1")
	netns_enter "$pid" -n tc qdisc del dev eth0 root 2>/dev/null || true
	(($2 == 0)) || netns_enter "$pid" -n tc qdisc add dev eth0 root netem delay "${2}ms" 2>/dev/null
}
