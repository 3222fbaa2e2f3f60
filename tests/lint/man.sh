#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Manual pages: one for each program and each format of a file, without a warning of mandoc's or groff's, and saying what
# the tables in the source say, no more and no less: options, configuration keys, messages, entries, sections, verbs.
# (dsi-admin's options one by one: tests/golden/cli_render_test.)
. "$(dirname "$0")/../lib.sh"
MAN=${MAN:-man} # tests of this test give another
pages=("$TOP/$MAN"/*.[1-8])
[[ $MAN = /* ]] && pages=("$MAN"/*.[1-8])
cd "$TOP" || exit 1
declare -A TEXT # by page: roff spelling of dashes and fonts undone
for p in "${pages[@]}"; do TEXT[$(basename "$p")]=$(sed 's/\\-/-/g; s/\\f[A-Z]//g' "$p"); done
page() { # NAME
	printf '%s\n' "${TEXT[$1]-}"
}
has() { # PAGE PATTERN TEXT
	if grep -qE -e "$2" <<<"${TEXT[$1]-}"; then ok "$3"; else not_ok "$3"; fi
}
same() { # TEXT WANT GOT, lists of lines
	assert_eq "$(LC_ALL=C sort <<<"$2")" "$(LC_ALL=C sort <<<"$3")" "$1"
}

# --- form
if command -v mandoc >/dev/null; then
	assert_eq "" "$(mandoc -T lint -W warning "${pages[@]}" 2>&1)" "mandoc has no warning"
else
	skip "mandoc is not installed"
fi
if command -v groff >/dev/null; then
	assert_eq "" "$(for p in "${pages[@]}"; do LC_ALL=C groff -mandoc -ww -z "$p" 2>&1; done)" "groff has no warning"
else
	skip "groff is not installed"
fi

# --- one for each
# shellcheck disable=SC2016 # make expands it
programs=${PROGRAMS_MADE:-$(env -u MAKEFLAGS make -s --no-print-directory --eval='print: ; @echo $(notdir $(PROGRAMS)) dsi-lab' print)}
for program in $programs; do
	assert_ok "$program has a page" test -n "$(page "$program.8")"
	for option in $([[ $program = dsi-lab ]] || echo --version --help); do
		has "$program.8" "^\.BR? $option\$" "$program(8) has $option"
	done
done
for format in dsid.conf.5 dsi-ss.conf.5 dsi.policy.5 dsi.image.5 dsi-files.5 dsi-protocol.7; do
	assert_ok "$format is there" test -n "$(page $format)"
done
ours=$(basename -a "${pages[@]}")
assert_eq "" "$(for p in $ours; do page "$p" | grep -oE '(\.BR|\.Xr) (dsid?[a-z.-]*) \(?[1-8]\)?' | tr -d '()' |
	while read -r _ name section; do grep -qx "$name.$section" <<<"$ours" || echo "$p: $name($section)"; done; done)" \
	"no page refers to one of ours that is not there"

# --- configuration: keys, choices, defaults
keys() { # FILE TABLE: "key[ choice choice...][ = default]"
	awk -v table="$2" '
		/^static const char \*const [a-z_]+\[\] = / {
			name = $5; sub(/\[.*/, "", name); list = $0; sub(/.*\{ /, "", list); sub(/, NULL.*/, "", list); gsub(/[",]/, "", list)
			choices[name] = list }
		$0 ~ "^static const struct conf_key " table "\\[" { on = 1; next }
		on && /^};/ { on = 0 }
		on && match($0, /^\t\{ "", "[a-z-]+"/) { key = $3; gsub(/[",]/, "", key); row = key }
		on && match($0, /\.choices = [a-z_]+/) { row = row " " choices[substr($0, RSTART + 11, RLENGTH - 11)] }
		on && row && match($0, /\.value = ("[^"]*"|[A-Z_]+)/) { value = substr($0, RSTART + 9, RLENGTH - 9); gsub(/"/, "", value); row = row " = " value }
		on && row && /\},$/ { print row; row = "" }' "$1"
}
documented() { # PAGE SECTION: "key" with the choices it offers, if words
	page "$1" | awk -v section="$2" '
		/^\.SH / { on = $0 == ".SH " section }
		on && /^\.BR [a-z-]+ " = "/ { sub(/^\.BR /, ""); gsub(/" (=|\|) "/, " "); gsub(/"/, ""); gsub(/  +/, " "); print }'
}
text_of() { # PAGE KEY: the paragraph
	page "$1" | awk -v key="$2" '/^\.TP/ { on = 0 } /^\.SH/ { on = 0 } $1 == ".BR" && $2 == key { on = 1 } on' | tr '\n' ' '
}
conf_page() { # PAGE SECTION FILE TABLE
	local row key choices value
	same "$1: the keys of $3" "$(keys "$3" "$4" | cut -d' ' -f1)" "$(documented "$1" "$2" | cut -d' ' -f1)"
	while read -r row; do
		key=${row%% *} value=
		[[ $row != *' = '* ]] || value=${row#* = }
		choices=${row%% = *} choices=${choices#"$key"} choices=${choices# }
		[[ -z $choices ]] || assert_eq "$key $choices" "$(documented "$1" "$2" | grep "^$key ")" "$1: what $key may be"
		value=$(sed -n "s/^#define $value \"\(.*\)\"/\1/p" gcs/ring_files.h | grep . || echo "$value")
		[[ -z $value ]] || assert_match "[^a-z/]${value//./\\.}[^a-z]" "$(text_of "$1" "$key")" "$1: the default of $key, $value"
	done < <(keys "$3" "$4")
}
conf_page dsid.conf.5 "KEYS OF DSID.CONF" dsid/conf.c dsid_keys
conf_page dsid.conf.5 "KEYS OF NODE.CONF" dsid/conf.c node_keys
conf_page dsi-ss.conf.5 "KEYS" ss-ha/conf.c ss_keys
same "dsi-ss reads the node.conf that dsid.conf(5) describes" "$(keys dsid/conf.c node_keys)" "$(keys ss-ha/conf.c node_keys)"

# --- dsi-lab: verbs, and options of each by name
# shellcheck disable=SC1091
lab_verbs=$(. lab/lib/command.sh >/dev/null && cut -d'|' -f1 <<<"$COMMANDS" | grep -vx help)
commands=$(page dsi-lab.8 | sed -n '/^\.SH COMMANDS/,/^\.SH OPTIONS/p')
same "dsi-lab(8): the commands" "$lab_verbs" "$(grep -A 1 '^\.TP' <<<"$commands" | sed -n 's/^\.BR\? //p' | tr ',' '\n' |
	sed 's/NODE\.*//; s/[ "].*//' | sed '/^$/d' | cat - <(grep -o '" resume ' <<<"$commands" | tr -d '" '))"
options=$(grep -oE '^\s*--[a-z-]+( \||\))' lab/lib/command.sh | grep -oE -- '--[a-z-]+' | sort -u | grep -vxE -- '--(quiet|help)')
same "dsi-lab(8): the options" "$options" "$(page dsi-lab.8 | grep -oE -- '--[a-z][a-z-]*' | sort -u | grep -vx -- --stage.)"

# --- formats, by their tables
table() { # FILE TABLE: first two arguments of each row, "NAME number"
	awk -v table="$2" '$0 ~ "^#define " table "\\(" { on = 1; next } on { print } on && !/\\$/ { exit }' "$1" |
		grep -oE '(X|MSG)\([A-Z0-9_]+, [^,)]+' | sed 's/.*(//; s/,//'
}
protocol=$(page dsi-protocol.7)
same "dsi-protocol(7): messages" "$(table lib/msg.h MSG_TABLE)" \
	"$(sed -n '/^\.SS Messages/,/^\.fi/p' <<<"$protocol" | sed -n 's/^ *\([0-9]*\) \([A-Z]*\) .*/\2 \1/p')"
same "dsi-protocol(7): log entries" "$(table gcs/entry.h ENTRY_TABLE)" \
	"$(grep -A 1 ' Types: 1 GENESIS' <<<"$protocol" | sed '1s/.*Types: //; 2s/\..*//' | grep -oE '[0-9]+ [A-Z_]+' |
		sed 's/\(.*\) \(.*\)/\2 \1/')"
same "dsi-protocol(7): direct requests" "$(table gcs/direct.h DIRECT_TABLE)" \
	"$(sed -n '/^\.SH DIRECT LEG/,/^\.SH LABEL/p' <<<"$protocol" | sed -n 's/^\([0-9]*\) \([A-Z_]*\)  *\(member\|newcomer\).*/\2 \1/p')"
same "dsi-protocol(7): purposes of a signature" "$(table lib/crypto.h SIGN_PURPOSE_TABLE)" \
	"$(sed -n '/^with purposes/,/^Keys/p' <<<"$protocol" | grep -oE '[0-9] [A-Z]+' | sed 's/\(.*\) \(.*\)/\2 \1/')"
same "dsi.image(5): sections" "$(table policies/image.h IMAGE_SECTION_TABLE)" \
	"$(page dsi.image.5 | sed -n '/^\.SS Sections/,/^\.SS Limits/p' | sed -n 's/^\([A-Z][A-Z]*\)  *\([0-9]*\)  .*/\1 \2/p')"
for path in $(sed -n 's/^#define PATH_[A-Z_]* \(.*\)/\1/p' lib/ctl.h | sed 's/ *\/\*.*//; s/PATH_ETC "/\/etc\/dsi/; s/PATH_KEYS "/\/etc\/dsi\/keys/
	s/PATH_STATE "/\/var\/lib\/dsi/; s/"//g'); do
	has dsi-files.5 "^\.I $path\$" "dsi-files(5): $path"
done
for magic in $(grep -ohE '"DSI[A-Z]"' lib/keyservice.h cli/opkey.h cli/bundle.h gcs/entry.h gcs/statement.h policies/image.h | tr -d '"' | sort -u); do
	assert_ok "a page has the format \"$magic\"" grep -q "\"$magic\"" "${pages[@]}"
done
[[ -z ${MAN_MADE:-} ]] || done_testing

# --- the rules themselves: with one fault each
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
while IFS=$'\t' read -r file edit want; do
	rm -f "$made"/*
	cp "${pages[@]}" "$made"
	sed -i "$edit" "$made/$file"
	assert_match "$want" "$(MAN=$made MAN_MADE=1 PROGRAMS_MADE=$programs "$0" | sed -n 's/^not ok //p')" "found in $file: $edit"
done <<'FAULTS'
dsid.8	s/^\.SH OPTIONS/.SH OPTIONS\n.XY/	mandoc has no warning
dsid.conf.5	s/^\.BR guard/.BR gard/	dsid.conf.5: the keys of dsid
dsid.conf.5	s/ | " permissive//	what mode may be
dsid.conf.5	s/(default 64)/(default 65)/	the default of event-rate, 64
dsid.8	s/dsi.policy (5)/dsi.policies (5)/	refers to one of ours
dsi-lab.8	s/^\.BR cut /.BR cutt /	dsi-lab\(8\): the commands
dsi-protocol.7	/^19 VERDICTACK/d	messages
dsi-protocol.7	s/ 17 CONFIRM/ 18 CONFIRM/	log entries
dsi-protocol.7	/^11 SNAPSHOT/d	direct requests
dsi.image.5	s/^PORTS       8/PORTS       9/	sections
dsi-files.5	/^\.I .etc.dsi.cluster/d	dsi-files\(5\): /etc/dsi/cluster
dsi-ss.8	s/^\.B \\-\\-version/.B \\-\\-versions/	dsi-ss\(8\) has --version
FAULTS
done_testing
