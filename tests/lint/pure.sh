#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Cores stay pure: the objects of cores.txt ask only for memory, strings, text formatting (addresses too), arithmetic of the crypto
# module (crypto_wrap, random inside, only makes what others check) and for each other. One case per object.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${B:-build}
case $B in *san*) echo "SKIP: sanitizer builds ask for their runtime"; exit 77 ;; esac
allowed='^(mem[a-z]+|str[a-z_]+|__[a-z_]*(assert_fail|_chk|chk_fail)|__ctype_[a-z_]+|__isoc[0-9]+_strto[a-z]+|v?snprintf|[cm]alloc|realloc|free|qsort|bsearch|abort|_GLOBAL_OFFSET_TABLE_|__errno_location|__popcountdi2|rbuf_.*|wbuf_.*|arena_.*|err_.*|body_(en|de)code|schema_.*|crypto_(sign|verify|sign_pub|kem_pub|sha256.*|equal|wipe|hkdf|dh|seal|open|wrap|unwrap|hex|unhex|base64|unbase64)|explicit_bzero|inet_(ntop|pton))$'
passed=0 failed=0

objects=()
exempt=" $(sed -n 's/^!//p' tests/lint/cores.txt | tr '\n' ' ') "
while read -r glob; do
	[[ -z $glob || $glob == [#!]* ]] && continue
	for c in $glob; do
		[[ $exempt == *" $c "* ]] && continue
		[ -f "$c" ] && [ -f "$B/${c%.c}.o" ] && objects+=("$B/${c%.c}.o")
	done
done <tests/lint/cores.txt
[ ${#objects[@]} -gt 0 ] || { echo "SKIP: nothing built"; exit 77; }
defined=$(nm --defined-only -g "${objects[@]}" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort -u)
for o in "${objects[@]}"; do
	bad=$(nm -u "$o" | awk '{ print $2 }' | grep -Ev "$allowed" | LC_ALL=C sort -u | LC_ALL=C comm -23 - <(printf '%s\n' "$defined"))
	if [ -n "$bad" ]; then
		echo "$o: not pure: $(tr '\n' ' ' <<<"$bad")"
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
done
echo "RESULT $passed $failed 0"
[ $failed = 0 ]
