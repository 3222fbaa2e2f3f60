# shellcheck shell=bash
# What DSI does on three nodes (n1: web, n2 n3: security servers, n3: database), row by row, a file per chapter
# beside this one. tests/demo.sh shows it as a table, tests/vm/50-main-job.sh runs it as tests. Source it.
#
#   chapter TEXT        a heading of the table
#   row TEXT            begins a row; what follows belongs to it until the next
#   check TEXT CMD...   a condition of the row
#   measured TEXT       shown beside it
JOB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/lib.sh
. "$JOB_TOP/tests/lib.sh"
# shellcheck source=tests/lib/machine.sh
. "$JOB_TOP/tests/lib/machine.sh"

ROWS=() ROW_TEXT='' ROW_BAD=0 ROW_NOTES=''
JOB_KIND=${JOB_KIND:-vm}

row_end() {
	[[ $ROW_TEXT ]] || return 0
	local verdict=held
	((ROW_BAD == 0)) || verdict=FAILED
	ROWS+=("$verdict|$ROW_TEXT|${ROW_NOTES#; }")
	ROW_TEXT=''
}

chapter() { # TEXT
	row_end
	ROWS+=("chapter|$1")
	echo "# === $1"
}

row() { # TEXT
	row_end
	ROW_TEXT=$1 ROW_BAD=0 ROW_NOTES=''
	echo "# --- $1 (at $SECONDS s)"
}

check() { # TEXT CMD...
	local text=$1
	shift
	if check_run "$@" >"$JOB_LOG/last" 2>&1; then
		ok "$text"
	else
		not_ok "$text"
		sed 's/^/#   /' "$JOB_LOG/last" | tail -n 12
		ROW_BAD=1
	fi
}

check_run() { "$@"; } # tests/lint/job.sh puts its own in place, to see that no row forgives a failure

check_until() { # SECONDS TEXT CMD...
	local seconds=$1 text=$2
	shift 2
	check "$text" wait_until "$seconds" "$@"
}

# Milliseconds by a node's own clock, so that what its journal says can be compared.
node_ms() { on "$1" date +%s%3N; }
# When NODE's journal of UNIT says PATTERN for the first time since MS: into the file NAME of the job's log.
journal_noted() { # NODE UNIT SINCE_MS PATTERN NAME
	on "$1" journalctl -u "$2" -o short-unix --no-pager --since "@$(($3 / 1000))" |
		awk -v since="$3" -v pattern="$4" '!ms && $1 * 1000 >= since && $0 ~ pattern { ms = $1 * 1000 } END { if (ms) printf "%.0f\n", ms }' \
			>"$JOB_LOG/$5"
	[[ -s $JOB_LOG/$5 ]]
}

measured() { # TEXT
	ROW_NOTES="$ROW_NOTES; $1"
	note "$1"
}

table() {
	row_end
	local line verdict text notes
	printf '\n%-7s  %-74s  %s\n' "" "" "measured"
	for line in "${ROWS[@]}"; do
		IFS='|' read -r verdict text notes <<<"$line"
		if [[ $verdict = chapter ]]; then
			printf '         %s\n' "${text^^}"
		else
			printf '%-7s  %-74s  %s\n' "$verdict" "$text" "$notes"
		fi
	done
	echo
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
# ms CMD...: sets MS, passes output and status through
timed() {
	local start status=0
	start=$(now_ms)
	"$@" || status=$?
	MS=$(($(now_ms) - start))
	return $status
}

# No step may hang the job: every command on a node has a deadline.
on() { # NODE CMD...
	local node=$1
	shift
	timeout "${STEP_SECONDS:-60}" "$TOP/lab/dsi-lab" exec "$node" -- "$@"
}

admin() { # NODE ARGS...
	local node=$1
	shift
	on "$node" dsi-admin "$@"
}

# jq over a document of dsi-admin; no document (no daemon, a wrong verb) is no answer, not a true one
ask() { # NODE FILTER VERB...
	local node=$1 filter=$2 doc
	shift 2
	doc=$(on "$node" dsi-admin "$@" --output-as=json)
	[[ $doc ]] || return 1
	jq -er "$filter" <<<"$doc"
}

service_start() { # NODE SERVICE...
	local node=$1 s
	shift
	if [[ $JOB_KIND = vm ]]; then
		STEP_SECONDS=180 on "$node" systemctl start "$@" # the verifier under emulation, on a machine that does other things too
	else
		for s; do lab exec -d "$node" -- sh -c "$s >>/var/log/$s.log 2>&1"; done
	fi
}

process_ended() { # NODE SIGNAL NAME...: signalled, and waited for until they are gone
	local node=$1 signal=$2 name
	shift 2
	for name; do on "$node" pkill "-$signal" -x "$name"; done
	for name; do wait_until 30 process_gone "$node" "$name" || return 1; done
}
process_gone() { [[ $(on "$1" sh -c "pgrep -x $2; echo end") = end ]]; } # an answer of the node, not its silence

# One process on the node waits, so that waiting takes no time from what is waited for; what it says is the reason.
STATUS_WAIT=20
status_says() { # NODE PATH=VALUE...
	local node=$1
	shift
	on "$node" dsi-admin wait "$@" --timeout "$STATUS_WAIT"
}
voters_are() { # NODE N
	status_says "$1" view.live=true "view.voters=$2" "view.voters_present=$2"
}
enforced_on_all() { # NODE VERSION
	status_says "$1" view.live=true "policy.version=$2" policy.lagging=0 policy.not_enforcing=0
}
active_is() { # NODE NAME
	status_says "$1" view.live=true "server.active=$2"
}

TOKEN_OPTIONS_n3="--voter --server" TOKEN_OPTIONS_n1="--voter"
enrol() { # NODE [ENROLL OPTION...]: by a token from n2
	local node=$1 options=TOKEN_OPTIONS_$1
	shift
	# shellcheck disable=SC2086
	admin n2 join-token "$node" ${!options} --stdout >"$JOB_LOG/token.$node" || return
	admin "$node" enroll --token - --address "10.77.0.${node#n}:5410" "$@" <"$JOB_LOG/token.$node"
}

# both CMD... -- CMD...: at once, since two nodes are two machines; both have to succeed.
both() {
	local first=() pid
	while [[ $1 != -- ]]; do
		first+=("$1")
		shift
	done
	shift
	"${first[@]}" &
	pid=$!
	"$@" && wait "$pid"
}

job_begin() { # lab options
	JOB_LOG=$(mktemp -d "${TMPDIR:-/tmp}/dsi-job.XXXXXX")
	machine_picture "$JOB_LOG/machine.before"
	lab_use
	timed lab up --kind "$JOB_KIND" --nodes 3 --servers 2 "$@" >&2 || {
		not_ok "the lab starts"
		done_testing
	}
	note "three nodes quorate after $MS ms"
}

job_end() {
	row "0 the machine is left as it was: network, listeners, services, /etc"
	check "the lab goes" lab down
	machine_picture "$JOB_LOG/machine.after"
	check "nothing else is different" machine_same "$JOB_LOG/machine.before" "$JOB_LOG/machine.after"
	table
	done_testing
}
