#!/bin/bash
# shellcheck disable=SC2016
# SPDX-License-Identifier: GPL-2.0-or-later
# Includes against layers.txt: local includes name their folder and point down, third-party headers stay in
# their adapters, headers make no cycle. Each rule is a case; each violation a failed one.
set -u
cd "$(dirname "$0")/../.." || exit 1
rules=tests/lint/layers.txt

find lib policies gcs kernel dsid ss-ha libdsi cli bench -name '*.[ch]' 2>/dev/null | LC_ALL=C sort |
	xargs awk -v rules=$rules '
	function bad(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; failed++ }
	function listed(list, file,   v, n, i) {
		n = split(list, v, " ")
		for (i = 1; i <= n; i++)
			if (v[i] == file || (v[i] ~ /\/$/ && index(file, v[i]) == 1)) return 1
		return 0
	}
	BEGIN {
		while ((getline line < rules) > 0) {
			if (line ~ /^#/ || line == "") continue
			colon = index(line, ":"); split(substr(line, 1, colon - 1), w, " ")
			if (w[1] == "folder") allowed[w[2]] = substr(line, colon + 1) " " w[2]
			else { header[++n_headers] = w[2]; files[n_headers] = substr(line, colon + 1) }
			rules_n++
		}
		known = "lib policies gcs kernel dsid ss-ha libdsi cli bench build tests"
	}
	FNR == 1 { folder = FILENAME; sub(/\/.*/, "", folder) }
	/^[ \t]*#[ \t]*include/ {
		local = ($0 ~ /include[ \t]*"/)
		name = $0; sub(/^[^"<]*["<]/, "", name); sub(/[">].*/, "", name)
		for (i = 1; i <= n_headers; i++)
			if (index(name, header[i]) == 1 && !listed(files[i], FILENAME))
				bad("<" name "> belongs to" (files[i] ~ /-/ ? " tests" : files[i]))
		if (!local) next
		target = name; sub(/\/.*/, "", target)
		if (name !~ /\// || !listed(known, target)) bad("\"" name "\" does not name its folder")
		else if (target == "tests") bad("product code includes tests")
		else if (target != "build" && !listed(allowed[folder], target)) bad(folder "/ may not include " target "/ (\"" name "\")")
		if (FILENAME ~ /\.h$/ && name ~ /\.h$/) edge[FILENAME] = edge[FILENAME] " " name
	}
	# depth-first over headers; colour 1: on the path, 2: done
	function walk(f, path,   v, n, i) {
		colour[f] = 1
		n = split(edge[f], v, " ")
		for (i = 1; i <= n; i++) {
			if (colour[v[i]] == 1) { print "header cycle:" path " " f " " v[i]; failed++ }
			else if (!colour[v[i]]) walk(v[i], path " " f)
		}
		colour[f] = 2
	}
	END {
		for (f in edge) if (!colour[f]) walk(f, "")
		printf "RESULT %d %d 0\n", failed ? 0 : rules_n + 1, failed
		exit failed > 0
	}'
