#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Shell scripts parse, and pass shellcheck at level warning where that is installed. One case per script.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0 skipped=0
[ -d .git ] || [ -f .git ] || { echo "SKIP: not a git tree"; exit 77; }
checker=$(command -v shellcheck)
[ -n "$checker" ] || { echo "SKIP: shellcheck is not installed: only parsed"; skipped=1; }
while IFS= read -r f; do
	[ -f "$f" ] || continue
	case $(head -n 1 "$f" | tr -d '\0') in
	'#!'*bash*) shell=bash ;;
	'#!'*'/sh'* | '#!'*dash*) shell=dash ;;
	*) continue ;;
	esac
	if $shell -n "$f" && { [ -z "$checker" ] || $checker -S warning "$f"; }; then
		passed=$((passed + 1))
	else
		echo "$f: see above"
		failed=$((failed + 1))
	fi
done < <(git ls-files)
echo "RESULT $passed $failed $skipped"
[ $failed = 0 ]
