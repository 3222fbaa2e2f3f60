# shellcheck shell=bash
# What dsi-lab promises for both kinds of node; used by netns/10-lab.sh and
# vm/10-lab.sh. LIMIT is how many seconds corosync may take to notice.

# What a lab could leave on this machine, apart from its processes. Other labs
# may be at work meanwhile: of their kind of directory only ours count.
machine_state() {
	ip netns
	ip -o link | awk '{ print $2 }' | sort
	awk '{ print $5 }' /proc/self/mountinfo | sort
	nft list ruleset 2>/dev/null
	find /run -maxdepth 1 ! -name 'dsi-lab-*' ! -path /run/mount | sort # /run/mount is libmount's, made by the first mount(8)
	find /run /tmp -maxdepth 1 -name "dsi-lab-*$(lab_id "$DSI_LAB")"
}

lab_id() { # DIR: as in lab/lib/state.sh
	printf '%s' "$(realpath -m "$1")" | sha256sum | cut -c1-8
}

# Processes that belong to the lab in $1 (alive, whoever their parent is).
lab_processes() {
	local id file
	id=$(lab_id "$1")
	for file in /proc/[0-9]*; do
		if grep -qzxF "DSI_LAB_ID=$id" "$file/environ" 2>/dev/null ||
			{ tr '\0' ' ' <"$file/cmdline" | grep -F -- "$1/" | grep -qv lab_processes; } 2>/dev/null; then
			[[ ${file#/proc/} = "$$" ]] || tr '\0' ' ' <"$file/cmdline"
		fi
	done 2>/dev/null
}

pings() { # FROM TO
	on "$1" ping -q -c 2 -W 2 "$2" >/dev/null
}

case_exec() {
	assert_eq "hello" "$(on n1 echo hello 2>&1)" "exec passes output"
	assert_eq "oops" "$(on n1 sh -c 'echo oops >&2' 2>&1 >/dev/null)" "exec passes stderr apart"
	assert_status 7 "exec passes the exit status" on n1 sh -c 'exit 7'
	assert_status 127 "a command that does not exist is 127" on n1 /no/such/command 2>/dev/null
	# shellcheck disable=SC2016 # expands in the node
	assert_status 137 "death by signal is 128 + signal" on n1 sh -c 'kill -KILL $$' 2>/dev/null
	assert_eq "abc" "$(echo abc | on n2 cat)" "exec passes input"
	assert_eq "a b|*|\$x" "$(on n2 sh -c 'printf "%s|%s|%s" "$@"' sh 'a b' '*' "\$x")" "exec passes arguments as they are"
	assert_eq "n3" "$(on n3 hostname)" "a node has its own name"
	lab exec -d n1 -- sh -c 'sleep 0.3; echo done >/run/detached'
	assert_until 20 "exec -d goes on without us" on n1 test -s /run/detached
}

case_errors() {
	assert_status 105 "a node that is not there is 105" lab exec n9 -- true
	assert_status 64 "an unknown command is 64" lab frobnicate
	assert_status 64 "a missing argument is 64" lab cut
	assert_status 64 "a node in two groups is 64" lab cut n1,n2 n2
	assert_status 105 "no lab is 105" lab --dir "$DSI_LAB.none" status
	assert_status 1 "a second up is refused" lab up --kind netns
}

case_partition() {
	lab cut n1,n2 n3
	assert_until "$LIMIT" "the majority goes on with two" cluster_is n1 "2 Yes"
	assert_until "$LIMIT" "the minority knows" cluster_is n3 "1 No"
	assert_status 0 "exec reaches a node that is cut off" on n3 true
	assert_fails "nothing passes the cut" pings n3 n1
	assert_match "cut n1,n2 \| n3" "$(lab status)" "status shows the cut"
	lab heal
	assert_until "$LIMIT" "healed: three again" cluster_is n3 "3 Yes"
	lab cut n1 n2
	assert_fails "a broken pair: n1 does not reach n2" pings n1 n2
	assert_ok "but n3 does" pings n3 n2
	lab heal
	assert_until "$LIMIT" "healed again" cluster_is n1 "3 Yes"
}

case_loss() {
	lab net n2 --loss 100
	assert_fails "with 100 % loss nothing arrives" pings n1 n2
	lab net n2 --loss 0
	assert_ok "with 0 % it does" pings n1 n2
	assert_until "$LIMIT" "three members" cluster_is n2 "3 Yes"
}

case_power() {
	on n2 sh -c 'echo kept >/var/lib/kept; echo own >/etc/corosync/own; echo gone >/etc/gone; sync'
	lab kill n2
	assert_match "n2 +off" "$(lab status)" "killed: off"
	assert_status 102 "exec on a node that is off is 102" on n2 true
	assert_until "$LIMIT" "the others notice" cluster_is n1 "2 Yes"
	assert_ok "start" lab start n2
	assert_eq "kept" "$(on n2 cat /var/lib/kept)" "/var/lib survives a power cut"
	assert_eq "own" "$(on n2 cat /etc/corosync/own)" "/etc/corosync survives a power cut"
	assert_fails "nothing else does" on n2 test -e /etc/gone
	assert_until "$LIMIT" "and it is a member again" cluster_is n2 "3 Yes"
}

case_pause() {
	lab pause n3
	assert_match "n3 +paused" "$(lab status)" "status shows the pause"
	assert_status 102 "exec on a paused node says so" on n3 true
	assert_until "$LIMIT" "the others go on without it" cluster_is n1 "2 Yes"
	lab resume n3
	assert_until "$LIMIT" "resumed: three members" cluster_is n1 "3 Yes"
}

case_isolated() {
	assert_eq "" "$(on n1 ip route show default)" "a node has no way out"
	assert_eq "0" "$(on n1 sysctl -n net.ipv4.tcp_fastopen)" "TCP fast open is off"
	assert_match "corosync" "$(lab logs n1)" "logs show corosync"
}

# case_down STATE-BEFORE
case_down() {
	assert_ok "down" lab down
	assert_eq "" "$(lab_processes "$DSI_LAB")" "down leaves no process"
	assert_eq "$1" "$(machine_state)" "down leaves no namespace, mount, device, rule or file"
	assert_fails "the lab's directory is gone" test -e "$DSI_LAB"
	assert_ok "down of nothing is fine" lab down
}

# What both kinds promise of a lab that is up.
cases_of_both() {
	case_exec
	case_errors
	case_isolated
	case_partition
	case_loss
	case_power
	case_pause
}
