#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every source file names its licence in its first lines. One case per kind of file.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
files() {
	if [ -d .git ] || [ -f .git ]; then git ls-files -- "$@"; else find . -name "${1#\*}" | sed 's|^\./||'; fi
}
for kind in '*.c' '*.h' 'tests/lint/*.sh' '*.service' Makefile '*.spec' .ci/run tests/run; do
	bad=
	while IFS= read -r f; do
		[ -f "$f" ] && ! head -n 3 "$f" | grep -q 'SPDX-License-Identifier: ' && bad+="$f "
	done < <(files "$kind")
	if [ -n "$bad" ]; then
		echo "$kind: no SPDX line: $bad"
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
done
echo "RESULT $passed $failed 0"
[ $failed = 0 ]
