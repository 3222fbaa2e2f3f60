#!/bin/sh
# tools/deps.sh: installs what is missing to build DSI and to run its lab.
#
#   tools/deps.sh [build] [lab]      default: both
#   tools/deps.sh --check [...]      only says what is missing, exit 1 if anything
#
# The machine gets compilers, libraries, mmdebstrap and QEMU, nothing else:
# corosync, nginx and redis live in the lab's own root. No service is started,
# whatever a package's script would like. The lists are packages.apt and
# packages.dnf beside this file. Quick when nothing is missing.
# Exit: 0 all there, 1 failed or missing (--check), 4 needs root, 64 usage, 69 no known package manager.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=
check=
denied=
policy=/usr/sbin/policy-rc.d
policy_mark='# written by tools/deps.sh'

say() { echo "deps: $*"; }
die() { # CODE TEXT
	code=$1
	shift
	echo "deps: error: $*" >&2
	exit "$code"
}

# Prints the packages of the given sections.
listed() { # FILE SECTION...
	file=$1
	shift
	awk -v want=" $* " '
		/^# section:/ { on = index(want, " " $3 " ") > 0; next }
		{ sub(/#.*/, ""); gsub(/[ \t]/, "") }
		on && $0 != "" { print }' "$file"
}

cleanup() {
	if [ "$denied" ]; then policy_restore; fi
	[ -z "$work" ] || rm -rf "$work"
}

# --- apt

apt_missing() { # PACKAGE...
	# names with their state; a package never heard of is not printed at all
	# shellcheck disable=SC2016 # dpkg expands these
	dpkg-query -W -f '${Package} ${Provides} ${db:Status-Status}\n' 2>/dev/null |
		awk -v want="$*" '
			$NF == "installed" { for (i = 1; i < NF; i++) { name = $i; sub(/,$/, "", name); have[name] = 1 } }
			END { n = split(want, list, " "); for (i = 1; i <= n; i++) if (!(list[i] in have)) print list[i] }'
}

# A policy-rc.d that forbids to start anything, for as long as the installation
# lasts; one that is there already comes back (unless it is ours, left by a kill).
policy_deny() {
	if [ -e "$policy" ] && ! grep -qF "$policy_mark" "$policy"; then cp -p "$policy" "$work/policy-rc.d"; fi
	denied=1
	printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
	chmod 755 "$policy"
}

policy_restore() {
	if [ -e "$work/policy-rc.d" ]; then cp -p "$work/policy-rc.d" "$policy"; else rm -f "$policy"; fi
	denied=
}

apt_quietly() { # CMD...
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 "$@" >"$work/log" 2>&1 </dev/null && return
	tail -n 15 "$work/log" >&2
	return 1
}

apt_install() { # PACKAGE...
	say "reading package lists"
	apt_quietly apt-get -q update || die 1 "apt-get update failed"
	say "installing $# packages: $*"
	policy_deny
	apt_quietly apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold install "$@" ||
		die 1 "apt-get install failed"
	policy_restore
}

# --- dnf

dnf_missing() { # PACKAGE...
	for package; do rpm -q --quiet --whatprovides "$package" || echo "$package"; done
}

dnf_install() { # PACKAGE...
	say "installing $# packages: $*"
	dnf -q -y --setopt=install_weak_deps=False install "$@" </dev/null || die 1 "dnf install failed"
}

# Not packaged there, and nothing of DSI compiles without it.
dnf_tpl() {
	case " $sections " in *" build "*) ;; *) return 0 ;; esac
	for place in ${TPL_INCLUDE:-/usr/include /usr/local/include}; do
		[ ! -e "$place/tpl.h" ] || return 0
	done
	die 1 "libtpl is not here (tpl.h), and Fedora is not known to package it: build version 1.6.1 from source (./configure &&" \
		"make && make install, then ldconfig); the rest is there"
}

# --- main

sections=
for argument; do
	case $argument in
	--check) check=1 ;;
	build | lab) sections="$sections $argument" ;;
	-h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p;}' "$0"; exit 0 ;;
	*) die 64 "unknown '$argument'; say build, lab or --check" ;;
	esac
done
[ "$sections" ] || sections="build lab"

if command -v apt-get >/dev/null; then
	manager=apt
elif command -v dnf >/dev/null; then
	manager=dnf
else
	die 69 "neither apt nor dnf here; install the equivalents of $here/packages.apt by hand"
fi
# shellcheck disable=SC2086 # words
wanted=$(listed "$here/packages.$manager" $sections)
# shellcheck disable=SC2086 # words
missing=$(${manager}_missing $wanted | paste -sd' ' -)
[ "$missing" ] || {
	[ "$manager" = apt ] || dnf_tpl
	exit 0
}
[ -z "$check" ] || { say "missing: $missing"; exit 1; }
[ "$(id -u)" = 0 ] || die 4 "these packages are missing, run 'sudo tools/deps.sh' or install them: $missing"
work=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT TERM
# shellcheck disable=SC2086 # words
${manager}_install $missing
# shellcheck disable=SC2086 # words
missing=$(${manager}_missing $missing | paste -sd' ' -)
[ -z "$missing" ] || die 1 "still missing after installation: $missing"
[ "$manager" = apt ] || dnf_tpl
say "all there"
