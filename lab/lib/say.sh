# shellcheck shell=bash
# say.sh: messages, errors, waiting. Knows nothing of labs.

# Exit codes, numbers as in Pacemaker (crm_error --exit -l).
readonly EX_ERROR=1 EX_PRIV=4 EX_USAGE=64 EX_UNAVAIL=69 EX_DISCONNECT=102 EX_NOSUCH=105 EX_TIMEOUT=124

say() { # TEXT...
	[[ ${QUIET:-} ]] || printf 'dsi-lab: %s\n' "$*" >&2
}

die() { # CODE TEXT...
	local code=$1
	shift
	printf 'dsi-lab: error: %s\n' "$*" >&2
	exit "$code"
}

usage_error() { # TEXT...
	die "$EX_USAGE" "$* (see 'dsi-lab help')"
}

need_root() { # WHAT
	((EUID == 0)) || die "$EX_PRIV" "$1 needs root; run it with sudo, or use --kind netns"
}

need_tool() { # TOOL...
	local tool
	for tool; do
		type -P "$tool" >/dev/null ||
			die "$EX_UNAVAIL" "'$tool' is missing; run 'sudo tools/deps.sh lab' (or install it)"
	done
}

need_number() { # OPTION VALUE MIN MAX
	if ! [[ $2 =~ ^[0-9]{1,9}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
		usage_error "$1 wants a number from $3 to $4, not '$2'"
	fi
}

now_ms() { # prints milliseconds since an arbitrary, steady start
	local up
	read -r up _ </proc/uptime
	echo $((10#${up/./} * 10))
}

# wait_until DEADLINE_S CMD...: runs CMD until it succeeds; returns 1 when the
# deadline has passed. The only place of the program that sleeps.
wait_until() {
	local deadline=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		(($(now_ms) < deadline)) || return 1
		sleep 0.1
	done
}
