#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Threat: a process of ours runs with more than its row in SECURITY.md says: another user, a capability too many, no
# filter, a file that is not its business. The table is the plan; /proc is what is.
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/01-main-job.sh
. "$(dirname "$0")/../main-job/01-main-job.sh"

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"

# Rows as NAME|USER|CAPABILITIES|DESCRIPTORS
table_rows() {
	sed -n '/^## Processes/,/^## /s/^| `\(dsi[^`]*\)` | `\{0,1\}\([a-z_]*\)`\{0,1\} | \([A-Z_ ]*\|none\) | \*[a-z]*\* | \([^|]*\) | .*/\1|\2|\3|\4/p' \
		"$TOP/SECURITY.md" | tr -d '`'
}

# capability_mask NAME...: as /proc/PID/status shows it
capability_mask() {
	local name number mask=0
	for name; do
		[[ $name != none ]] || continue
		number=$(awk -v n="CAP_$name" '$1 == "#define" && $2 == n { print $3; exit }' /usr/include/linux/capability.h)
		[[ $number ]] || { echo "unknown capability $name"; return; }
		mask=$((mask | 1 << number))
	done
	printf '%016x\n' "$mask"
}

# What runs, one line a process: NAME|PID
running() {
	on n2 sh -c 'for p in /proc/[0-9]*; do
		exe=$(readlink "$p/exe") || continue
		case $exe in /usr/sbin/dsid | /usr/sbin/dsi-ss) ;; *) continue ;; esac
		printf "%s|%s\n" "$(tr "\0" "\n" <"$p/cmdline" | head -n 1)" "${p#/proc/}"
	done'
}

status_of() { # PID FIELD: all values
	on n2 sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '
}

# What it has open besides standard streams, as words of the table. Pipes are the harness's.
descriptors_of() { # PID
	on n2 sh -c 'for f in /proc/'"$1"'/fd/*; do [ "${f##*/}" -lt 3 ] || readlink "$f"; done' | sed \
		-e '/^pipe:/d' -e '/^\/dev\/null$/d' -e 's/^socket:.*/socket/' -e 's/^anon_inode:.*bpf.*/bpf/' -e 's/^anon_inode:.*/loop/' | sort -u
}

all_expected() { # "WORD..." "OPEN..."
	local open word found
	for open in $2; do
		found=
		for word in $1; do
			[[ $open != "$word" && ! ($word = /* && $open = "$word"*) && ! ($word = paths && $open = /*) ]] || found=1
		done
		[[ $found ]] || { echo "not in the table: $open"; return 1; }
	done
}

job_begin --nodes 2 --servers 1
row "the processes of a node that hosts a server, as SECURITY.md says"
check "init on n2" admin n2 init --cluster demo --node n2 --address 10.77.0.2:5410 --server --no-passphrase
check "services start" service_start n2 dsid dsi-ss
check_until 60 "n2 serves" active_is n2 n2
# shellcheck disable=SC2086
on n2 dsi-admin policy push $TWO_TIER >"$JOB_LOG/push" 2>&1 # every part has worked once

rows=$(table_rows)
assert_eq 7 "$(wc -l <<<"$rows")" "the table has a row for each process"
now=$(running | sort)
assert_eq "$(cut -d'|' -f1 <<<"$rows" | sort)" "$(cut -d'|' -f1 <<<"$now" | sort)" "what runs is what the table names, once each"

while IFS='|' read -r name user caps words; do
	pid=$(awk -F'|' -v n="$name" '$1 == n { print $2 }' <<<"$now")
	id=$(on n2 id -u "$user" </dev/null)
	# shellcheck disable=SC2086
	mask=$(capability_mask $caps)
	{
		assert_eq "$id $id $id $id" "$(status_of "$pid" Uid)" "$name: user $user"
		assert_eq "$mask $mask" "$(status_of "$pid" CapPrm) $(status_of "$pid" CapEff)" "$name: capabilities $caps"
		assert_eq "0000000000000000 0000000000000000" "$(status_of "$pid" CapInh) $(status_of "$pid" CapAmb)" "$name: none to hand on"
		assert_eq "1 2" "$(status_of "$pid" NoNewPrivs) $(status_of "$pid" Seccomp)" "$name: no_new_privs, filter"
		[[ $user = root ]] || assert_eq "$(on n2 id -g "$user")" "$(status_of "$pid" Groups | tr -d ' ')" "$name: its own group alone"
		check "$name: nothing open but $words" all_expected "$words" "$(descriptors_of "$pid")"
	} </dev/null
done <<<"$rows"

row "no process can be traced by its own user"
dumpable() { # PID: files of a process that may not be dumped are root's
	on n2 stat -c %U "/proc/$1/environ"
}
while IFS='|' read -r name pid; do
	assert_eq root "$(dumpable "$pid" </dev/null)" "$name: no dump, no trace by its own user"
done <<<"$now"
table
done_testing
