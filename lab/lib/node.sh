# shellcheck shell=bash
# node.sh: what can be done to a node whatever its kind. Each function hands
# over to vm_* or netns_*; a kind must offer all of them.

node_make() { "${KIND}_make" "$@"; }
node_start() { "${KIND}_start" "$@"; }
node_kill() { "${KIND}_kill" "$@"; }
node_exec() { "${KIND}_exec" "$@"; }
node_boot_check() { "${KIND}_boot_check" "$@"; }

node_state() { # NAME: prints off, paused, booting or on
	local pid
	if ! pid=$(proc_pid "$1"); then
		echo off
	elif [[ $(sed 's/.*) //; s/ .*//' "/proc/$pid/stat") = T ]]; then
		echo paused
	elif "${KIND}_ready" "${1#n}"; then
		echo on
	else
		echo booting
	fi
}

# nodes_all_ready ID...: one look at each that is not ready yet.
nodes_all_ready() {
	local id all=0
	for id; do node_boot_check "$id" || all=1; done
	return $all
}

nodes_wait_ready() { # DEADLINE ID...
	local deadline=$1 id
	shift
	wait_until "$deadline" nodes_all_ready "$@" && return
	for id; do
		[[ $(node_state "n$id") = on ]] || say "n$id is $(node_state "n$id"); see '$LAB/nodes/n$id/console.log'"
	done
	die "$EX_TIMEOUT" "not all nodes were up after $deadline s"
}

nodes_wait_quorate() { # DEADLINE MEMBERS NAME...
	local deadline=$1 members=$2 name pids=() bad=0
	shift 2
	for name; do
		node_exec "$name" '' sh -c "$COROSYNC_WAIT" sh "$members" "$deadline" </dev/null &
		pids+=($!)
	done
	for name in "${pids[@]}"; do wait "$name" || bad=1; done
	((!bad)) || die "$EX_TIMEOUT" "corosync is not quorate with $members members after $deadline s;" \
		"look at 'dsi-lab logs n1'"
}
