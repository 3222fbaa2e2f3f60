#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a real bash completes, against what the programs themselves take: dsi-admin's help, which comes from its table, and
# the cases that dsi-lab's parser has.
. "$(dirname "$0")/../lib.sh"
cd "$TOP" || exit 1
admin=${B:-build}/bin/dsi-admin
[[ -x $admin ]] || skip_all "dsi-admin is not built"

# completes WORD...: what bash offers in place of the last word, as words in order
completes() {
	bash --norc -c '
		case $1 in dsi-admin) . cli/dsi-admin.bash; f=_dsi_admin ;; dsi-lab) . lab/dsi-lab.bash; f=_dsi_lab ;; esac
		[[ $(complete -p "$1") = *" -F $f $1" ]] || exit 1
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		$f
		printf "%s\n" "${COMPREPLY[@]}"' completion "$@" | LC_ALL=C sort | paste -sd' ' | sed 's/ *$//'
}
sorted() { tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort -u | paste -sd' '; }
options_of() { $admin "$@" --help | grep -oE '^  --[a-z-]+' | sorted; } # VERB...

# --- dsi-admin: every verb, every option
# "node list" is a verb of two words, "revoke-node NODE" one of one: arguments are in capitals
verbs=$($admin --help | sed -n 's/^  \([a-z][a-z-]*\( [a-z][a-z-]*\)\?\).*/\1/p')
assert_ok "the help lists verbs" test "$(wc -l <<<"$verbs")" -gt 30
assert_eq "$(cut -d' ' -f1 <<<"$verbs" | sorted)" "$(completes dsi-admin '')" "dsi-admin: first words"
for group in $(sed -n 's/ .*//p' <<<"$verbs" | sort -u); do
	assert_eq "$(sed -n "s/^$group //p" <<<"$verbs" | sorted)" "$(completes dsi-admin "$group" '')" "dsi-admin $group: second words"
done
common=$($admin --help | grep -oE -- '--(output-as|root|quiet|help)' | sort -u)
while read -r verb; do
	# shellcheck disable=SC2086 # words
	assert_eq "$(echo "$(options_of $verb) $common --help" | sorted)" "$(completes dsi-admin $verb --)" "dsi-admin $verb: options"
done <<<"$verbs"
assert_eq "revoke-node" "$(completes dsi-admin rev)" "a verb begun"
assert_eq "--fence" "$(completes dsi-admin revoke-node n1 --f)" "an option begun, behind an argument"
assert_eq "json text" "$(completes dsi-admin status --output-as '')" "values of --output-as"
assert_eq "json" "$(completes dsi-admin status --output-as = j)" "also behind ="
assert_eq "dsi.spec" "$(completes dsi-admin policy check dsi.s)" "files"

# --- dsi-lab
# shellcheck disable=SC1091
lab_verbs=$(. lab/lib/command.sh >/dev/null && cut -d'|' -f1 <<<"$COMMANDS")
assert_eq "$(sorted <<<"$lab_verbs --dir --quiet --help")" "$(completes dsi-lab '')" "dsi-lab: first words"
function_options() { # FUNCTION: options that its parser has cases for
	sed -n "/^$1() {/,/^}/p" lab/lib/command.sh | grep -oE '^\s*(-[a-z]|--[a-z-]+)( \||\))' | grep -oE -- '--[a-z-]+|-[a-z]' | sorted
}
for verb in $lab_verbs; do
	function=command_$verb
	[[ $verb != up ]] || function=command_up_options
	assert_eq "$(function_options "$function")" "$(completes dsi-lab "$verb" - | tr ' ' '\n' | grep -vx -e -- | sorted)" \
		"dsi-lab $verb: options"
done
assert_eq "netns vm" "$(completes dsi-lab up --kind '')" "values of --kind"
assert_eq "netns" "$(completes dsi-lab --dir /tmp/x up --kind = n)" "also behind =, and behind --dir"
done_testing
