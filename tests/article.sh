#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120
# The last step of `tests/run all`: did the tests that doc/article.md names run, and pass? One case per row that is
# called done or thin. A row fails when a test of it failed or did not run; it is SKIPPED when one was skipped, alone
# or with its whole tier. Reads what tests/run noted: $LOG/TIER-NAME.cases, "ok|fail|skip<TAB>case", "*" the file.
. "$(dirname "$0")/lib.sh"
cd "$TOP" || exit 1
# shellcheck source=tests/lib/article.sh
. tests/lib/article.sh
LOG=${LOG:-${B:-build}/log}

# How the case ended: ok, fail, skip, or none. Some texts go on with figures in brackets. What a shell test skips it
# says without the names of the cases: those it did not come to count as skipped then.
ended() { # TIER NAME CASE
	awk -F'\t' -v want="$3" -v named="$1" '
		$2 == "*" { whole = $1 }
		$1 == "skip" { skipped = named ~ /^(lint|netns|vm)$/ }
		want == "" ? $2 == "*" : $2 == want || index($2, want " (") == 1 { seen[$1] = 1 }
		END { print whole == "skip" ? "skip" : seen["fail"] ? "fail" : seen["skip"] ? "skip" : seen["ok"] ? "ok" : \
			skipped ? "skip" : "none" }' "$LOG/$1-$2.cases" 2>/dev/null || echo none
}

while IFS=$'\t' read -r id _ _ _ tests how; do
	[[ $how == 'not yet'* ]] && continue
	bad='' skipped=''
	while read -r t; do
		article_split "$t" || { bad+="$t: no such test; "; continue; }
		case $(ended "$T_TIER" "$T_NAME" "$T_CASE") in
		ok) ;;
		skip) skipped+="$t; " ;;
		fail) bad+="$t: failed; " ;;
		*) bad+="$t: did not run; " ;;
		esac
	done < <(article_marked "$tests" '`')
	if [[ $bad ]]; then
		not_ok "$id: ${bad%; }"
	elif [[ $skipped ]]; then
		skip "$id: ${skipped%; }"
	else
		ok "$id: ${how%%:*}"
	fi
done < <(article_rows)
done_testing
