# shellcheck shell=bash
# net.sh: the lab's own network. One network namespace, kept alive by one
# process ("holder"), holds everything; it goes away with its processes and
# nothing in it can reach the machine's network.
#
#   br0  cluster network 10.77.0.0/24; ports c1..cN   (tap or veth; nI has 10.77.0.I)
#   br1  management     10.78.0.0/24; ports m1..mN   (vm only; ours is 10.78.0.254)

net_up() {
	if ((EUID == 0)); then
		proc_spawn holder "$LAB/holder.log" unshare --net --mount --propagation private sleep infinity
	else
		proc_spawn holder "$LAB/holder.log" unshare --map-root-user --net --mount --propagation private sleep infinity
	fi
	wait_until 10 net_holder_ready || die "$EX_ERROR" "cannot make a network namespace: $(tail -n 1 "$LAB/holder.log")"
	net_exec ip link set lo up
	net_bridge br0
	if [[ $KIND = vm ]]; then
		net_bridge br1
		net_exec ip addr add "$(manage_address 254)/24" dev br1
	fi
	local i
	for ((i = 1; i <= NODES; i++)); do net_ports "$i"; done
}

net_holder_ready() { # it has left our namespace and is what it shall become
	local pid
	pid=$(proc_pid holder) && [[ $(cat "/proc/$pid/comm") = sleep ]]
}

# net_exec CMD...: in the lab's network namespace. Execs, does not fork.
net_exec() {
	local pid
	pid=$(proc_pid holder) || die "$EX_NOSUCH" "the lab's network is gone; run 'dsi-lab down' and 'dsi-lab up'"
	if ((EUID == 0)); then
		nsenter -t "$pid" -n "$@"
	else
		nsenter -t "$pid" -U --preserve-credentials -n "$@"
	fi
}

net_bridge() { # NAME
	net_exec ip link add "$1" type bridge forward_delay 0 mcast_snooping 0
	net_exec ip link set "$1" up
}

net_ports() { # ID
	[[ $KIND = vm ]] || return 0
	net_tap "c$1" br0
	net_tap "m$1" br1
}

net_tap() { # NAME BRIDGE
	net_exec ip tuntap add "$1" mode tap
	net_exec ip link set "$1" master "$2" up
}
