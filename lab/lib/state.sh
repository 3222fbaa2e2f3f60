# shellcheck shell=bash
# state.sh: what one lab is, on disk. Everything the lab makes can be found
# again from here, also by a later process after a crash:
#
#   LAB/lab.conf          settings, shell syntax, written once by `up`
#   LAB/procs/ROLE        "pid starttime" of each process that `up` or `start` left behind
#   LAB/nodes/nI/         disk or var tree, console, seed of each node
#   RUN                   sockets (short path, found from LAB's path)
#
# Every process started for a lab carries DSI_LAB_ID in its environment, so
# that one which died before it could be written down is found too.

state_init() { # sets LAB, LAB_ID, RUN from --dir, DSI_LAB or the default
	LAB=${OPT_DIR:-${DSI_LAB:-$LAB_DEFAULT}}
	LAB=$(realpath -m "$LAB")
	LAB_ID=$(printf '%s' "$LAB" | sha256sum | cut -c1-8)
	if ((EUID == 0)); then RUN=/run/dsi-lab-$LAB_ID; else RUN=/tmp/dsi-lab-$EUID-$LAB_ID; fi
}

state_exists() {
	[[ -f $LAB/lab.conf ]]
}

state_lock() { # one command at a time changes a lab
	mkdir -p "$LAB"
	exec {STATE_LOCK_FD}>"$LAB/.lock"
	flock -w 600 "$STATE_LOCK_FD" || die "$EX_TIMEOUT" "another dsi-lab holds $LAB for ten minutes"
}

state_load() {
	state_exists || die "$EX_NOSUCH" "no lab in $LAB; make one with 'dsi-lab up' (--dir or DSI_LAB names another place)"
	# shellcheck source=/dev/null
	. "$LAB/lab.conf"
}

state_save() { # NAME...: writes these variables
	local name
	for name; do printf '%s=%q\n' "$name" "${!name}"; done >"$LAB/lab.conf.tmp"
	mv "$LAB/lab.conf.tmp" "$LAB/lab.conf"
}

state_run_dir() {
	mkdir -m 700 "$RUN" 2>/dev/null || [[ -d $RUN && -O $RUN && ! -L $RUN ]] ||
		die "$EX_ERROR" "$RUN exists and is not ours; remove it"
}

# --- nodes

node_names() {
	local i
	for ((i = 1; i <= NODES; i++)); do echo "n$i"; done
}

node_check() { # NAME: sets NODE, NODE_ID, NODE_DIR
	[[ $1 =~ ^n([1-9][0-9]?)$ ]] && ((BASH_REMATCH[1] <= NODES)) ||
		die "$EX_NOSUCH" "no node '$1' in this lab; it has $(node_names | paste -sd' ')"
	NODE=$1 NODE_ID=${BASH_REMATCH[1]} NODE_DIR=$LAB/nodes/$1
}

node_is_server() { # ID: the last SERVERS nodes
	(($1 > NODES - SERVERS))
}

# --- processes

proc_start_time() { # PID; field 22, counted behind the name, which may hold anything
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	[[ $1 != Z ]] || return 1
	echo "${20}"
}

proc_record() { # ROLE PID
	local start
	start=$(proc_start_time "$2") || return 1
	mkdir -p "$LAB/procs"
	echo "$2 $start" >"$LAB/procs/$1"
}

proc_pid() { # ROLE: prints the pid if that very process lives
	local pid start
	{ read -r pid start <"$LAB/procs/$1"; } 2>/dev/null || return 1
	[[ $(proc_start_time "$pid") = "$start" ]] || return 1
	echo "$pid"
}

proc_alive() { # ROLE
	proc_pid "$1" >/dev/null
}

proc_gone() {
	! proc_alive "$1"
}

proc_kill() { # ROLE [SIGNAL]: and wait until it is gone
	local pid
	if pid=$(proc_pid "$1"); then
		kill -"${2:-KILL}" "$pid" 2>/dev/null || true
		if ! wait_until 10 proc_gone "$1"; then
			kill -KILL "$pid" 2>/dev/null || true
			wait_until 10 proc_gone "$1" || die "$EX_TIMEOUT" "process $pid ($1) does not die"
		fi
	fi
	rm -f "$LAB/procs/$1"
}

# proc_spawn ROLE LOG CMD...: CMD in the background, detached, written down.
# CMD must exec, so that the pid is the program's.
proc_spawn() {
	local role=$1 log=$2
	shift 2
	DSI_LAB_ID=$LAB_ID setsid "$@" </dev/null >>"$log" 2>&1 {STATE_LOCK_FD}>&- &
	local pid=$!
	disown "$pid"
	proc_record "$role" "$pid" || die "$EX_ERROR" "$role did not start: $(tail -n 3 "$log")"
}

# Processes of this lab that nobody wrote down. Not ourselves or our parents.
proc_strays() {
	local env pid
	for env in $(grep -lzxF "DSI_LAB_ID=$LAB_ID" /proc/[0-9]*/environ 2>/dev/null); do
		pid=${env#/proc/}
		pid=${pid%/environ}
		[[ $pid = "$$" || $pid = "$BASHPID" ]] || echo "$pid"
	done
}

proc_no_strays() {
	[[ ! $(proc_strays) ]]
}

proc_kill_strays() {
	local pids
	mapfile -t pids < <(proc_strays)
	((${#pids[@]})) || return 0
	kill -KILL "${pids[@]}" 2>/dev/null || true
	wait_until 10 proc_no_strays || die "$EX_TIMEOUT" "these processes of the lab do not die: $(proc_strays | paste -sd' ')"
}
