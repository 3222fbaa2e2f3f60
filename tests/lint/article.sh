#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The table of the article's requirements is sound: every row is whole, what it names is in the tree, and nothing is
# called done or thin without a test. That the tests ran is asked at the end of a whole run (tests/article.sh).
. "$(dirname "$0")/../lib.sh"
cd "$TOP" || exit 1
# shellcheck source=tests/lib/article.sh
. tests/lib/article.sh

rule() { # TEXT: the violations are on stdin
	local bad
	bad=$(cat)
	[[ -z $bad ]] || printf '%s\n' "$bad"
	assert_ok "$1" test -z "$bad"
}

rows=$(article_rows)
assert_ok "both tables are there" grep -q '^C' <<<"$(grep '^A' <<<"$rows")"$'\n'"$rows"

rule "ids are unique and in order" < <(cut -f1 <<<"$rows" | sort -V | diff - <(cut -f1 <<<"$rows")
	cut -f1 <<<"$rows" | sort | uniq -d)
rule "every row has every column, and a word for how far it goes" < <(awk -F'\t' '
	NF != 6 { print $1 ": " NF " columns" }
	{ for (i = 1; i <= 6; i++) if ($i == "") print $1 ": column " i " is empty" }
	$6 !~ /^(done|thin|not yet)(: .+)?$/ { print $1 ": neither done, thin nor not yet: " $6 }' <<<"$rows")

words() { # the rows, one call of FUNCTION each
	local id where tests how
	while IFS=$'\t' read -r id _ _ where tests how; do "$1"; done <<<"$rows"
}
places() {
	local p
	while read -r p; do [[ -z $p || -e $p ]] || echo "$id: $p is not there"; done < <(article_marked "$where" '`')
	while read -r p; do [[ -z $p || ! -e $p ]] || echo "$id: $p is there by now: \`$p\`"; done < <(article_marked "$where" '*')
	[[ $where == *[\`*]* ]] || echo "$id: names no place"
}
rule "every named place is there, and no place to come is there already" < <(words places)
there() {
	local t why
	while read -r t; do
		[[ -z $t ]] || why=$(article_test_there "$t") || echo "$id: $t: $why"
	done < <(article_marked "$tests" '`')
}
rule "every named test is in the tree" < <(words there)
shown() {
	case $how in
	'not yet'*) [[ $tests != *\`* ]] || echo "$id: not yet, and names a test" ;;
	*) [[ $tests == *\`* ]] || echo "$id: ${how%%:*}, and names no test" ;;
	esac
}
rule "what is done or thin names a test, what is not yet names none" < <(words shown)

[[ -z ${ARTICLE_MADE:-} ]] || done_testing

# --- the rules themselves: a sound table, and with one fault each
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
cat >"$made/sound.md" <<'MADE'
| A1 | r | t | `lib` | `lint/spdx.sh` | done |
| A2 | r | t | `lib`, *lib/x* | `unit/lib_err_test: null_is_allowed`<br>`fuzz/fuzz_body` | thin: x |
| A3 | r | t | *lib/y* | — | not yet |
| C1 | r | t | `lib` | `demo: cluster_made`<br>`netns/20-cpg.sh: one stream` | done |
MADE
broken() { # what the rules say of a table
	ARTICLE=$1 ARTICLE_MADE=1 tests/lint/article.sh | sed -n 's/^not ok \(.*\) (status.*/\1/p'
}
assert_eq "" "$(broken "$made/sound.md")" "a sound table has no fault"
while IFS=$'\t' read -r edit want; do
	sed "$edit" "$made/sound.md" >"$made/faulty.md"
	assert_eq "$want" "$(broken "$made/faulty.md")" "found: $edit"
done <<'FAULTS'
s/A2/A1/	ids are unique and in order
2{h;d};3G	ids are unique and in order
s/thin: x |/thin: x | more |/	every row has every column, and a word for how far it goes
s/thin: x/nearly/	every row has every column, and a word for how far it goes
s/`lib`, /`lib`, `lib\/none.c`, /	every named place is there, and no place to come is there already
s/lib\/y/lib\/err.c/	every named place is there, and no place to come is there already
s/null_is_allowed/null_is_not/	every named test is in the tree
s/lint\/spdx/lint\/none/	every named test is in the tree
s/cluster_made/cluster_unmade/	every named test is in the tree
s/one stream/no stream at all/	every named test is in the tree
s/ `lint.*sh`/ —/	what is done or thin names a test, what is not yet names none
s/| — |/| `lint\/spdx.sh` |/	what is done or thin names a test, what is not yet names none
FAULTS

# --- what tests/article.sh makes of a run: one that never was, with each way a named test can end
cat >"$made/article.md" <<'MADE'
| A1 | r | t | `lib` | `unit/x: passed` | done |
| A2 | r | t | `lib` | `unit/x: passed`<br>`unit/x: failed` | done |
| A3 | r | t | `lib` | `unit/x: absent` | thin |
| A4 | r | t | `lib` | `unit/x: skipped`<br>`unit/x: passed` | thin |
| A5 | r | t | `lib` | `vm/y.sh: anything` | thin |
| A6 | r | t | `lib` | `unit/z: never began` | done |
| A7 | r | t | *lib/x* | — | not yet |
| A8 | r | t | `lib` | `unit/x: twice` | done |
MADE
printf '%s\t%s\n' ok '*' ok passed fail failed skip skipped ok twice fail twice >"$made/unit-x.cases"
printf 'skip\t*\n' >"$made/vm-y.sh.cases"
assert_eq "ok A1
not ok A2
not ok A3
SKIP A4
SKIP A5
not ok A6
not ok A8" "$(ARTICLE=$made/article.md LOG=$made tests/article.sh | sed -n 's/^\(ok\|not ok\|SKIP\) \(A[0-9]*\):.*/\1 \2/p')" \
	"a row holds when all its tests passed, is skipped with them, else fails"
assert_fails "and then the run fails" env ARTICLE="$made/article.md" LOG="$made" tests/article.sh >/dev/null

ok "$(awk -F'\t' '{ table = substr($1, 1, 1); how = $6; sub(/:.*/, "", how); n[table how]++; all[table]++ }
	END { for (i = 1; i <= split("A C", t, " "); i++)
		printf "%s%s: %d rows, %d done, %d thin, %d not yet", (i > 1 ? "; " : ""), (t[i] == "A" ? "article" : "card"),
			all[t[i]], n[t[i] "done"], n[t[i] "thin"], n[t[i] "not yet"] }' <<<"$rows")"
done_testing
