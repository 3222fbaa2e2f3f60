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
job_begin() { JOB_LOG=$(mktemp -d); }
on() { [[ $2 != cat ]] || echo 0; }
lab() { :; }
ask() { echo 0; }
node_ms() { echo 0; }
journal_ms() { echo 0; }
machine_picture() { :; }
lab_use() { :; }
WORDS
demo() { # CHECK
	sed -e "/^job_begin/i . '$job/words'" -e "s|\$(dirname \"\$0\")|$TOP/tests|" "$TOP/tests/demo.sh" >"$job/demo.sh"
	JOB_FAIL=$1 bash "$job/demo.sh" >"$job/out" 2>&1 </dev/null
}

assert_ok "all rows hold: exit 0" demo 0
total=$(grep -c '^ok ' "$job/out")
rows=$(grep -c '^held ' "$job/out")
for ((k = 1; k <= total; k++)); do
	if demo "$k"; then
		not_ok "check $k fails: exit 0 all the same: $(grep '^not ok' "$job/out")"
	elif [[ $(grep -c '^FAILED ' "$job/out") != 1 || $(grep -c '^held ' "$job/out") != $((rows - 1)) ]]; then
		not_ok "check $k fails: not exactly one row FAILED: $(grep '^FAILED' "$job/out")"
	else
		ok "$(grep '^not ok' "$job/out")"
	fi
done
done_testing
