# shellcheck shell=bash
# command.sh: the command line. One table, one function per command.

# name | arguments | what it does
readonly COMMANDS='up|[OPTION...]|make a lab and start its nodes; returns when corosync is quorate
down||stop everything of this lab and erase it
status||nodes, processes and faults of this lab
exec|[-d] [-n] [-t] NODE -- CMD...|run CMD in a node; input, output and exit status pass through
kill|NODE...|power cut
start|[--append ARGS] NODE...|power on again
pause|NODE...|freeze a node
resume|NODE...|let it go on
cut|GROUP [GROUP...]|partition: no frame passes between groups (n1,n2 n3); one group: from the rest
heal||end all partitions, loss and delay
net|NODE [--loss PERCENT] [--delay MS]|make the network of a node bad
logs|NODE|console and journal of a node
root|[--kernel K]...|fill the cache (root file system, kernels), nothing else
help||this text'

command_main() {
	OPT_DIR='' QUIET=''
	while [[ ${1-} = -* ]]; do
		case $1 in
		--dir) OPT_DIR=${2:?--dir wants a directory}; shift 2 ;;
		--dir=*) OPT_DIR=${1#*=}; shift ;;
		-q | --quiet) QUIET=1; shift ;;
		-h | --help) command_help; return ;;
		*) usage_error "unknown option '$1'" ;;
		esac
	done
	local name=${1:-}
	[[ $name ]] || { command_help >&2; exit "$EX_USAGE"; }
	shift
	grep -q "^$name|" <<<"$COMMANDS" || usage_error "unknown command '$name'"
	"command_$name" "$@"
}

command_help() {
	echo "Usage: dsi-lab [--dir DIR] [-q] COMMAND"
	echo
	local name arguments text
	while IFS='|' read -r name arguments text; do
		printf '  %-44s %s\n' "$name $arguments" "$text"
	done <<<"$COMMANDS"
	cat <<-'EOF'

		Options of up:
		  --kind vm|netns       virtual machines (default as root), or namespaces
		  --nodes N             1 to 16, default 3
		  --servers K           the last K nodes are to be security servers, default 2 (1 with one node)
		  --kernel K            host, 6.1, 6.12 or a bzImage; default 6.1 (vm), host (netns)
		  --modules DIR         modules of that bzImage
		  --token MS            corosync's token time-out, default 5000 (vm), 1000 (netns)
		  --append ARGS         kernel command line of all nodes, for example "dsi=permissive"
		  --stage DIR           tree laid over the root, default $DSI_STAGE or build/stage
		  --no-corosync         do not start corosync
		  --timeout S           deadline for nodes and for quorum, default 180 each

		--dir (or DSI_LAB, default build/lab) names the lab; DSI_CACHE (default
		/var/cache/dsi-lab) holds roots and kernels. dsi-lab(8) says more.
	EOF
}

# option_value NAME "$@": for both --name V and --name=V; sets VALUE, SHIFT.
option_value() {
	case $2 in
	*=*) VALUE=${2#*=} SHIFT=1 ;;
	*) [[ $# -gt 2 ]] || usage_error "$1 wants a value"; VALUE=$3 SHIFT=2 ;;
	esac
}

no_more() {
	(($# == 0)) || usage_error "unexpected '$1'"
}

command_up_options() {
	KIND='' NODES=3 SERVERS='' KERNEL='' TOKEN='' APPEND='' COROSYNC=yes TIMEOUT=180 OPT_MODULES=''
	STAGE=${DSI_STAGE:-$STAGE_DEFAULT}
	while (($#)); do
		case $1 in
		--kind | --kind=*) option_value --kind "$@"; KIND=$VALUE ;;
		--nodes | --nodes=*) option_value --nodes "$@"; NODES=$VALUE ;;
		--servers | --servers=*) option_value --servers "$@"; SERVERS=$VALUE ;;
		--kernel | --kernel=*) option_value --kernel "$@"; KERNEL=$VALUE ;;
		--modules | --modules=*) option_value --modules "$@"; OPT_MODULES=$VALUE ;;
		--token | --token=*) option_value --token "$@"; TOKEN=$VALUE ;;
		--append | --append=*) option_value --append "$@"; APPEND="$APPEND $VALUE" ;;
		--stage | --stage=*) option_value --stage "$@"; STAGE=$VALUE ;;
		--timeout | --timeout=*) option_value --timeout "$@"; TIMEOUT=$VALUE ;;
		--dir | --dir=*) option_value --dir "$@"; OPT_DIR=$VALUE ;;
		--no-corosync) COROSYNC=no SHIFT=1 ;;
		*) usage_error "up: unknown option '$1'" ;;
		esac
		shift "$SHIFT"
	done
	if [[ ! $KIND ]]; then
		if ((EUID == 0)); then KIND=vm; else KIND=netns; fi
	fi
	[[ $KIND = vm || $KIND = netns ]] || usage_error "--kind is vm or netns, not '$KIND'"
	need_number --nodes "$NODES" 1 16
	SERVERS=${SERVERS:-$((NODES > 1 ? 2 : 1))}
	need_number --servers "$SERVERS" 0 "$NODES"
	need_number --timeout "$TIMEOUT" 1 3600
	if [[ $KIND = vm ]]; then : "${KERNEL:=6.1}" "${TOKEN:=5000}"; else : "${KERNEL:=host}" "${TOKEN:=1000}"; fi
	need_number --token "$TOKEN" 150 600000
	[[ $KIND = vm || $KERNEL = host ]] || usage_error "--kind netns runs on the host's kernel only"
}

# A directory in the stage where the root has a link (/lib, /bin) would hide the real one.
stage_check() {
	local name
	STAGE=$(realpath -m "$STAGE")
	for name in bin sbin lib lib32 lib64 libx32; do
		[[ ! -d $STAGE/$name || -L $STAGE/$name ]] ||
			die "$EX_ERROR" "$STAGE/$name would hide the node's /$name; install below /usr (make install PREFIX=/usr)"
	done
}

# The lab keeps what it started with: a build that replaces the stage must not pull files from under the nodes.
stage_copy() {
	if [[ ! -d $STAGE ]]; then
		STAGE=$LAB/empty
		return
	fi
	rm -rf "$LAB/tree"
	cp -dR --preserve=mode,timestamps,links "$STAGE" "$LAB/tree"
	STAGE=$LAB/tree
}

command_up() {
	command_up_options "$@"
	stage_check
	state_init
	state_lock
	if state_exists; then
		die "$EX_ERROR" "there is a lab in $LAB; 'dsi-lab --dir $LAB down' removes it"
	fi
	local start id ids=()
	start=$(now_ms)
	need_tool ip nsenter unshare flock realpath
	cache_init
	root_ensure
	if [[ $KIND = vm ]]; then
		root_varlib_ensure
		kernel_ensure "$KERNEL"
		ACCEL=$(vm_accel)
		if [[ $ACCEL = kvm ]]; then EMULATOR=$(emulator_host); else emulator_ensure; fi
	else
		KERNEL_DIR='' KERNEL_RELEASE=$(uname -r) INITRD='' VARLIB='' ACCEL=none EMULATOR=''
	fi
	state_run_dir
	mkdir -p "$LAB/empty"
	stage_copy
	VIRTIOFSD=''
	state_save KIND NODES SERVERS KERNEL KERNEL_DIR KERNEL_RELEASE INITRD ROOT VARLIB STAGE TOKEN APPEND COROSYNC ACCEL EMULATOR VIRTIOFSD
	"${KIND}_prepare"
	state_save KIND NODES SERVERS KERNEL KERNEL_DIR KERNEL_RELEASE INITRD ROOT VARLIB STAGE TOKEN APPEND COROSYNC ACCEL EMULATOR VIRTIOFSD
	corosync_authkey "$LAB/authkey"
	net_up
	for ((id = 1; id <= NODES; id++)); do ids+=("$id"); done
	say "$NODES nodes, $KIND, kernel $KERNEL_RELEASE$([[ $KIND = netns ]] || echo ", $ACCEL"), lab $LAB"
	for id in "${ids[@]}"; do
		node_make "$id"
		node_start "$id"
	done
	nodes_wait_ready "$TIMEOUT" "${ids[@]}"
	say "nodes answer after $((($(now_ms) - start) / 1000)) s"
	if [[ $COROSYNC = yes ]]; then
		# shellcheck disable=SC2046
		nodes_wait_quorate "$TIMEOUT" "$NODES" $(node_names)
		say "quorate with $NODES members after $((($(now_ms) - start) / 1000)) s"
	fi
}

command_down() {
	no_more "$@"
	state_init
	[[ -d $LAB || -d $RUN ]] || return 0
	state_lock
	local role
	# the order matters little: everything dies by SIGKILL, the kernel does the rest
	for role in "$LAB"/procs/*; do
		[[ ! -e $role ]] || proc_kill "${role##*/}"
	done
	proc_kill_strays
	rm -rf --one-file-system "$RUN" "$LAB"
}

command_status() {
	no_more "$@"
	state_init
	state_load
	echo "lab $LAB"
	echo "  kind $KIND, $NODES nodes, kernel $KERNEL_RELEASE, token $TOKEN ms$([[ $KIND = netns ]] || echo ", $ACCEL")"
	echo "  root $ROOT, stage $STAGE"
	local name id pid
	for name in $(node_names); do
		id=${name#n}
		pid=$(proc_pid "$name") || pid=-
		printf '  %-4s %-8s %-12s pid %s%s\n' "$name" "$(node_state "$name")" "$(cluster_address "$id")" "$pid" \
			"$(if node_is_server "$id"; then echo ", server"; fi)"
	done
	fault_show
}

command_exec() {
	local detach='' input=yes
	TTY=''
	while [[ ${1-} = -* ]]; do
		case $1 in
		-d) detach=1 ;;
		-n) input='' ;;
		-t) TTY=yes ;;
		--) break ;;
		*) usage_error "exec: unknown option '$1'" ;;
		esac
		shift
	done
	(($# >= 2)) || usage_error "exec: NODE -- CMD... is wanted"
	state_init
	state_load
	node_check "$1"
	shift
	[[ $1 != -- ]] || shift
	(($#)) || usage_error "exec: which command?"
	if [[ $(node_state "$NODE") = paused ]]; then
		die "$EX_DISCONNECT" "$NODE is paused; 'dsi-lab resume $NODE' lets it go on"
	fi
	if [[ ! $input || $detach ]]; then exec </dev/null; fi
	node_exec "$NODE" "$detach" "$@"
}

# each_node FUNCTION NODE...: with the lab locked and loaded.
each_node() {
	local function=$1 name
	shift
	(($#)) || usage_error "which node?"
	state_init
	state_lock
	state_load
	for name; do node_check "$name"; done
	for name; do
		node_check "$name"
		"$function"
	done
}

command_kill() {
	each_node node_kill_one "$@"
}

node_kill_one() {
	node_kill "$NODE_ID"
}

command_start() {
	local names=() ids=() name
	START_APPEND=''
	while (($#)); do
		case $1 in
		--append | --append=*) option_value --append "$@"; START_APPEND=$VALUE ;;
		-*) usage_error "start: unknown option '$1'" ;;
		*) names+=("$1") SHIFT=1 ;;
		esac
		shift "$SHIFT"
	done
	each_node node_start_one "${names[@]}"
	for name in "${names[@]}"; do ids+=("${name#n}"); done
	nodes_wait_ready 180 "${ids[@]}"
}

node_start_one() {
	[[ $(node_state "$NODE") = off ]] || die "$EX_ERROR" "$NODE is running"
	node_kill "$NODE_ID" # what a crash may have left
	rm -f "$LAB/faults/delay.$NODE_ID"
	node_start "$NODE_ID" "$START_APPEND"
}

command_pause() {
	each_node node_pause_one "$@"
}

node_pause_one() {
	proc_alive "$NODE" || die "$EX_DISCONNECT" "$NODE is off"
	"${KIND}_signal" "$NODE_ID" STOP
}

command_resume() {
	each_node node_resume_one "$@"
}

node_resume_one() {
	proc_alive "$NODE" || die "$EX_DISCONNECT" "$NODE is off"
	"${KIND}_signal" "$NODE_ID" CONT
}

command_cut() {
	(($# >= 1)) || usage_error "cut: which groups? For example: cut n1,n2 n3"
	state_init
	state_lock
	state_load
	local group groups=()
	for group; do
		group=$(fault_group "$group")
		groups+=("$group")
	done
	((${#groups[@]} > 1)) || groups+=("$(fault_rest "${groups[0]}")")
	fault_cut "${groups[@]}"
}

command_heal() {
	no_more "$@"
	state_init
	state_lock
	state_load
	fault_heal
}

command_net() {
	(($# >= 1)) || usage_error "net: which node?"
	local node=$1 loss='' delay=''
	shift
	while (($#)); do
		case $1 in
		--loss | --loss=*) option_value --loss "$@"; loss=${VALUE%\%} ;;
		--delay | --delay=*) option_value --delay "$@"; delay=${VALUE%ms} ;;
		*) usage_error "net: unknown option '$1'" ;;
		esac
		shift "$SHIFT"
	done
	[[ $loss || $delay ]] || usage_error "net: say --loss PERCENT or --delay MS (0 ends it)"
	state_init
	state_lock
	state_load
	node_check "$node"
	if [[ $loss ]]; then
		need_number --loss "$loss" 0 100
		fault_set loss "$NODE_ID" "$loss"
	fi
	if [[ $delay ]]; then
		need_number --delay "$delay" 0 60000
		[[ $(node_state "$NODE") = on ]] || die "$EX_DISCONNECT" "$NODE is $(node_state "$NODE"); delay is made in the node"
		"${KIND}_delay" "$NODE_ID" "$delay" ||
			die "$EX_UNAVAIL" "the kernel of $NODE has no netem, so delay cannot be had; --loss works without it"
		fault_set delay "$NODE_ID" "$delay"
	fi
}

command_logs() {
	(($# == 1)) || usage_error "logs: which node?"
	state_init
	state_load
	node_check "$1"
	"${KIND}_logs" "$NODE"
}

command_root() {
	local kernels=() name
	while (($#)); do
		case $1 in
		--kernel | --kernel=*) option_value --kernel "$@"; kernels+=("$VALUE") ;;
		*) usage_error "root: unknown option '$1'" ;;
		esac
		shift "$SHIFT"
	done
	((${#kernels[@]})) || kernels=(6.1 6.12)
	cache_init
	root_ensure
	root_varlib_ensure
	for name in "${kernels[@]}"; do kernel_ensure "$name"; done
	if emulator_host >/dev/null && [[ $(vm_accel) != kvm ]]; then emulator_ensure; fi
	echo "$ROOT"
}
