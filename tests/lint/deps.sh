#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# tools/deps.sh on a machine with dnf, played by two scripts: no such machine is here. Shows that the list is read, what
# is missing is asked for at once, and that libtpl, which no repository has, is told. Not that the names are right.
. "$(dirname "$0")/../lib.sh"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin" "$dir/include"
for tool in sh awk dirname paste id mktemp rm sed cat grep; do ln -s "$(type -P "$tool")" "$dir/bin/"; done
printf '#!/bin/sh\nfor last; do :; done\ngrep -qxF "$last" %s/installed 2>/dev/null\n' "$dir" >"$dir/bin/rpm"
printf '#!/bin/sh\necho "$*" >>%s/asked\nfor p; do echo "$p"; done >>%s/installed\n' "$dir" "$dir" >"$dir/bin/dnf"
chmod +x "$dir/bin/rpm" "$dir/bin/dnf"
deps() { env -i PATH="$dir/bin" TPL_INCLUDE="$dir/include" sh "$TOP/tools/deps.sh" "$@" 2>&1; }
quietly() { "$@" >/dev/null; }

assert_match "missing: gcc make .*corosynclib-devel libqb-devel .*ShellCheck$" "$(deps --check build)" "the build list is read, notes left out"
assert_status 1 "something is missing" quietly deps --check build
[[ $(id -u) = 0 ]] || { skip "installing wants root"; done_testing; }
touch "$dir/include/tpl.h"
assert_ok "installs" quietly deps
assert_eq 1 "$(wc -l <"$dir/asked")" "all in one call"
assert_match "install gcc .*mmdebstrap .*procps-ng$" "$(cat "$dir/asked")" "both sections"
assert_status 0 "nothing is missing then" deps --check
rm "$dir/include/tpl.h"
assert_match "libtpl is not here.*1\.6\.1" "$(deps --check build)" "without tpl.h it says what to build"
assert_status 1 "and fails" quietly deps build
assert_status 0 "the lab alone does not need it" deps --check lab
done_testing
