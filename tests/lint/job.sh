#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A wrong expectation in any row of the demo makes it exit non-zero: each check in turn is made to fail, with
# everything else as if it held. Nothing is started; one case per check.
. "$(dirname "$0")/../lib.sh"
job=$(mktemp -d)
trap 'rm -rf "$job"' EXIT
export TMPDIR=$job

# The demo with words that touch nothing. JOB_FAIL: which check fails; 0 none.
cat >"$job/words" <<'WORDS'
CHECKS=0
check_run() { ((++CHECKS != JOB_FAIL)); }
job_begin() { JOB_LOG=$(mktemp -d) && echo 0 | tee "$JOB_LOG/noticed" >"$JOB_LOG/led"; }
on() { [[ $2 != cat ]] || echo 0; }
lab() { :; }
ask() { echo 0; }
node_ms() { echo 0; }
machine_picture() { :; }
lab_use() { :; }
WORDS
demo() { # CHAPTER CHECK
	sed -e "/^job_begin/i . '$job/words'" -e "s|\$(dirname \"\$0\")|$TOP/tests|" "$TOP/tests/demo.sh" >"$job/demo.sh"
	CHAPTER=$1 JOB_FAIL=$2 bash "$job/demo.sh" >"$job/out" 2>&1 </dev/null
}
fail_each() { # CHAPTER FIRST LAST: checks
	local chapter=$1 k rows
	assert_ok "chapter ${chapter:-every}: all rows hold: exit 0" demo "$chapter" 0
	rows=$(grep -c '^held ' "$job/out")
	for ((k = $2; k <= $3; k++)); do
		if demo "$chapter" "$k"; then
			not_ok "check $k fails: exit 0 all the same: $(grep '^not ok' "$job/out")"
		elif [[ $(grep -c '^FAILED ' "$job/out") != 1 || $(grep -c '^held ' "$job/out") != $((rows - 1)) ]]; then
			not_ok "check $k fails: not exactly one row FAILED: $(grep '^FAILED' "$job/out")"
		else
			ok "$(grep '^not ok' "$job/out")"
		fi
	done
}
checks() { # CHAPTER: how many
	demo "$1" 0
	grep -c '^ok ' "$job/out"
}

# What is around the chapters once, then each chapter's own.
around=$(checks 0)
fail_each 0 1 "$around"
demo 0 0
before=$(sed '/^# --- 0 /,$d' "$job/out" | grep -c '^ok ')
for chapter in $(compgen -G "$TOP/tests/main-job/0*.sh" | sed 's|.*/0||; s|-.*||'); do
	fail_each "$chapter" $((before + 1)) $(($(checks "$chapter") - around + before))
done
assert_ok "all chapters after one another" demo '' 0
assert_fails "no such chapter" demo 99 0
done_testing
