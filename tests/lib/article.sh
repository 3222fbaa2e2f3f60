# shellcheck shell=bash
# Reads the tables of doc/article.md; used by tests/lint/article.sh (is the table sound) and tests/article.sh
# (did the tests it names run). Sourced from the top of the tree. Must never judge.
#
# A test is named `TIER/NAME: CASE` with NAME as tests/run prints it, `TIER/NAME` alone where a file is one case
# (fuzz, lint), or `demo: FUNCTION` for a row of tests/main-job/0N-*.sh. A file that exists is `path`; the final
# place of what is not built is *path*.
ARTICLE=${ARTICLE:-doc/article.md}

# One row per line, cells between tabs: id, requirement, today, where, tests, how far. Another number of cells shows.
article_rows() {
	awk '/^\| *[AC][0-9]+[a-z]? *\|/ {
		gsub(/\t/, " "); sub(/^\| */, ""); sub(/ *\|[ ]*$/, ""); gsub(/ *\| */, "\t"); print }' "$ARTICLE"
}

# What a cell has between backticks (or, with *, between stars), one per line.
article_marked() { # CELL MARK
	local cell=$1
	while [[ $cell == *"$2"*"$2"* ]]; do
		cell=${cell#*"$2"}
		printf '%s\n' "${cell%%"$2"*}"
		cell=${cell#*"$2"}
	done
}

# Splits a test's name: sets T_TIER, T_NAME, T_CASE ("" when there is none). 1: not of that form.
article_split() { # NAME
	T_TIER='' T_NAME='' T_CASE=''
	case $1 in
	demo:\ *) T_TIER=vm T_NAME=50-main-job.sh T_CASE=$(article_demo_row "${1#demo: }") ;;
	*/*:\ *) T_TIER=${1%%/*} T_CASE=${1#*: } T_NAME=${1#*/} T_NAME=${T_NAME%%: *} ;;
	fuzz/* | lint/*) T_TIER=${1%%/*} T_NAME=${1#*/} ;;
	*) return 1 ;;
	esac
	[[ $1 != demo:* || $T_CASE ]]
}

# The text of the row that a function begins; "" when there is none or neither demo nor a chapter calls it.
article_demo_row() { # FUNCTION
	grep -qxh $'\t\\?'"$1" tests/demo.sh tests/main-job/0*.sh || return 0
	awk -v name="$1() {" '$0 == name { on = 1 } /^}/ { on = 0 }
		on && /^\trow "/ { sub(/^\trow "/, ""); sub(/"$/, ""); print; exit }' tests/main-job/0*.sh
}

# Where the names of a test's cases stand.
article_sources() { # TIER NAME
	case $1/$2 in
	sim/*) echo "tests/$1/$2.c" tests/sim/churn.c tests/sim/scenario_*.c ;;
	unit/* | golden/* | sec/* | fuzz/*) echo "tests/$1/$2.c" ;;
	vm/*-kernel-*) echo "tests/$1/$2" tests/vm/kernel_vm.c tests/vm/kernel/*.c ;;
	*/10-lab.sh) echo "tests/$1/$2 tests/lib/lab_cases.sh" ;;
	*) echo "tests/$1/$2" ;;
	esac
}

# A test's name in the tree? Says why not.
article_test_there() { # NAME
	local f files
	article_split "$1" || { echo "not TIER/NAME: CASE, nor a row of the demo"; return 1; }
	[[ $1 != demo:* ]] || return 0
	read -ra files <<<"$(article_sources "$T_TIER" "$T_NAME")"
	[[ -f ${files[0]} ]] || { echo "no ${files[0]}"; return 1; }
	[[ $T_CASE ]] || return 0
	for f in "${files[@]}"; do
		case $f in
		*/unit/*.c | */sec/*.c | */golden/*.c) grep -qE "(START_TEST|RUN)\($T_CASE\)" "$f" && return 0 ;;
		*/sim/*.c) grep -qF -- "$T_CASE\"" "$f" && return 0 ;;
		*) grep -qF -- "$T_CASE" "$f" && return 0 ;;
		esac
	done
	echo "no such case in ${files[*]}"
	return 1
}
