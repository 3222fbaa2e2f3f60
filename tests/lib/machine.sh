# shellcheck shell=bash
# What this machine is like, as text to compare: demo and check promise to leave network, listeners, services
# and /etc as they were. Other labs may be at work meanwhile: their services are in namespaces of their own.

machine_etc() { # names, modes, owners, link targets, and what is in the files
	find /etc -xdev -printf '%p %y %m %U %G %l\n' | LC_ALL=C sort
	find /etc -xdev -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum 2>/dev/null
}

machine_network() {
	ip netns
	ip -o addr | awk '{ print $2, $4 }'
	ip route
	nft list ruleset 2>/dev/null
}

machine_listeners() { # the machine's own; sockets of passing commands are no listeners
	ss -Hltun | awk '{ print $1, $5 }' | sort -u
}

machine_services() {
	if [[ -d /run/systemd/system ]]; then
		systemctl list-units --type=service --state=running --no-legend --plain | awk '{ print $1 }'
		systemctl list-unit-files --state=enabled --no-legend | awk '{ print $1 }'
	fi
	local pid
	for pid in $(ps -eo pid=,stat=,comm= | awk '$2 !~ /^Z/ && $3 ~ /^(corosync|dsid|dsi-ss|nginx|redis-server)$/ { print $1 }'); do
		[[ $(readlink "/proc/$pid/ns/net") != "$(readlink /proc/self/ns/net)" ]] || cat "/proc/$pid/comm" 2>/dev/null
	done | sort
}

# machine_picture DIR: one file per aspect.
machine_picture() {
	local aspect
	mkdir -p "$1"
	for aspect in etc network listeners services; do "machine_$aspect" >"$1/$aspect"; done
}

machine_same() { # BEFORE NOW: prints what changed; 1 when anything did
	diff -ru "$1" "$2"
}
