# SPDX-License-Identifier: GPL-2.0-or-later
# A strict reader of OpenMetrics text 1.0.0, as far as gauges and counters go: prints one line for each fault, exits 1 when
# there is any. Written from the specification, knowing nothing of what DSI writes.
#   awk -f tests/lib/openmetrics.awk FILE
function fault(text) { printf "line %d: %s: %s\n", NR, text, $0; bad = 1 }
function ends(s, with) { return length(s) >= length(with) && substr(s, length(s) - length(with) + 1) == with }
function labels(s,   name, set, n) { # the text between braces; returns a canonical form, "!" when it is none
	set = ""
	while (s != "") {
		if (!match(s, /^[a-zA-Z_][a-zA-Z0-9_]*="/)) return "!"
		name = substr(s, 1, RLENGTH - 2)
		if (index(";" set, ";" name "=")) return "!"
		s = substr(s, RLENGTH + 1)
		if (!match(s, /^([^"\\]|\\["\\n])*"/)) return "!"
		set = set name "=" substr(s, 1, RLENGTH) ";"
		s = substr(s, RLENGTH + 1)
		if (s == "") break
		if (substr(s, 1, 1) != "," || s == ",") return "!"
		s = substr(s, 2)
	}
	return set
}
ended { fault("text behind # EOF"); next }
$0 == "# EOF" { ended = 1; next }
/^#/ {
	if (!match($0, /^# (TYPE|UNIT|HELP) [a-zA-Z_:][a-zA-Z0-9_:]* /)) { fault("not TYPE, UNIT, HELP or EOF"); next }
	split($0, word, " ")
	name = word[3]; rest = substr($0, RLENGTH + 1)
	if (name != family) {
		if (name in seen) { fault("family comes twice"); next }
		seen[name] = 1; family = name; type = "unknown"; sampled = 0
	} else if (sampled) { fault("metadata behind samples"); next }
	if ((name, word[2]) in meta) { fault(word[2] " comes twice"); next }
	meta[name, word[2]] = 1
	if (word[2] == "TYPE") {
		if (rest != "gauge" && rest != "counter") fault("neither gauge nor counter")
		type = rest
		if (rest == "counter" && ends(name, "_total")) fault("a counter family ends with _total")
		if (rest == "gauge" && name ~ /_(total|created|count|sum|bucket|info)$/) fault("a gauge ends with a reserved suffix")
	} else if (word[2] == "UNIT") {
		if (!ends(name, "_" rest)) fault("the name does not end with its unit")
	} else if (rest == "" || rest ~ /\\[^n\\"]/) fault("HELP is empty or escapes what it may not")
	next
}
{
	if (!match($0, /^[a-zA-Z_:][a-zA-Z0-9_:]*/)) { fault("neither sample nor comment"); next }
	name = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1); set = ""
	if (substr(rest, 1, 1) == "{") {
		if (!match(rest, /^\{([^"}]|"([^"\\]|\\.)*")*\}/)) { fault("labels do not end"); next }
		braced = substr(rest, 2, RLENGTH - 2); rest = substr(rest, RLENGTH + 1) # match() in labels() sets RLENGTH
		set = labels(braced)
		if (set == "!") { fault("labels malformed"); next }
	}
	if (name != family (type == "counter" ? "_total" : "")) fault("not a sample of the family above it")
	if (!((family, "TYPE") in meta)) fault("family without TYPE")
	if (!((family, "HELP") in meta)) fault("family without HELP")
	if (rest !~ /^ -?[0-9]+(\.[0-9]+)?$/) fault("value malformed")
	else if (type == "counter" && rest ~ /^ -/) fault("a counter below 0")
	if ((name, set) in given) fault("sample comes twice")
	given[name, set] = 1; sampled = 1
}
END {
	if (!ended) { print "no # EOF at the end"; bad = 1 }
	exit bad
}
