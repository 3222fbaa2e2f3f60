# shellcheck shell=bash
# Helpers of the shell tests (tests/netns, tests/vm). Source it first:
#
#   . "$(dirname "$0")/../lib.sh"
#   assert_eq 7 "$status" "exit status passes through"
#   done_testing
#
# Output is line by line "ok TEXT", "not ok TEXT", "SKIP reason"; the last line is
# "RESULT passed failed skipped", which tests/run adds up. A test that does not
# reach done_testing has failed.
set -u
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PASSED=0 FAILED=0 SKIPPED=0

ok() { # TEXT
	PASSED=$((PASSED + 1))
	echo "ok $*"
}

not_ok() { # TEXT
	FAILED=$((FAILED + 1))
	echo "not ok $*"
}

skip() { # REASON: one case that cannot run here
	SKIPPED=$((SKIPPED + 1))
	echo "SKIP $*"
}

skip_all() { # REASON: and no case of this file can
	skip "$@"
	done_testing
}

note() { # TEXT, for the log
	echo "# $*"
}

done_testing() {
	echo "RESULT $PASSED $FAILED $SKIPPED"
	exit $((FAILED > 0))
}

assert_eq() { # WANT GOT TEXT
	if [[ $1 = "$2" ]]; then
		ok "$3"
	else
		not_ok "$3"
		printf '#   want: %s\n#   got:  %s\n' "${1//$'\n'/$'\n#         '}" "${2//$'\n'/$'\n#         '}"
	fi
}

assert_match() { # PATTERN GOT TEXT; an extended regular expression
	if [[ $2 =~ $1 ]]; then
		ok "$3"
	else
		not_ok "$3"
		printf '#   want: %s\n#   got:  %s\n' "$1" "$2"
	fi
}

assert_ok() { # TEXT CMD...
	local text=$1
	shift
	if "$@"; then ok "$text"; else not_ok "$text (status $?: $*)"; fi
}

assert_fails() { # TEXT CMD...
	local text=$1
	shift
	if "$@"; then not_ok "$text (it worked: $*)"; else ok "$text"; fi
}

assert_status() { # WANT TEXT CMD...
	local want=$1 text=$2 status=0
	shift 2
	"$@" || status=$?
	assert_eq "$want" "$status" "$text"
}

# wait_until SECONDS CMD...: until CMD succeeds; 1 when the time is over. Tests
# wait for conditions, never for time.
wait_until() {
	local end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		(($(date +%s) < end)) || return 1
		sleep 0.1
	done
}

# assert_until SECONDS TEXT CMD...: says how long it took.
assert_until() {
	local seconds=$1 text=$2 start
	shift 2
	start=$(date +%s%N)
	if wait_until "$seconds" "$@"; then
		ok "$text"
		note "after $((($(date +%s%N) - start) / 1000000)) ms"
	else
		not_ok "$text (not within $seconds s: $*)"
	fi
}

# --- labs

lab() { "$TOP/lab/dsi-lab" "$@"; }
on() { # NODE CMD...
	local node=$1
	shift
	lab exec "$node" -- "$@"
}

# lab_use: an own lab for this test, removed when it ends, whatever ends it.
lab_use() {
	DSI_LAB=$(mktemp -d "${TMPDIR:-/tmp}/dsi-test.XXXXXX")/lab
	export DSI_LAB
	trap lab_cleanup EXIT
	trap 'exit 130' INT TERM
}

lab_cleanup() {
	lab down || true
	rmdir "${DSI_LAB%/lab}" 2>/dev/null || true
}

# cluster_of NODE: members and quorum as that node's corosync sees them, like "3 Yes"
cluster_of() {
	on "$1" corosync-quorumtool -s </dev/null 2>/dev/null | awk '/^Nodes:/ { n = $2 } /^Quorate:/ { q = $2 } END { print n, q }'
}

cluster_is() { # NODE "MEMBERS QUORATE"
	[[ $(cluster_of "$1") = "$2" ]]
}
