# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What every benchmark shares: one form of a measured row, one table, one JSON file. Source it.
#
# A row is a line of seven fields with tabs between, in a file that rows go to in the order of GOALS.md:
#
#	work  unit  ours  beside  goal  state  note
#
#   ours, beside  numbers, or empty: not measured
#   goal          "ratio <= 1.06", "ours < 1.0", ">=" and ">" likewise; empty: a figure without a goal. ratio is ours / beside
#   state         empty: judged by the goal; else "not built" or "not measured", which is never held, whatever the figure
#   note          what one has to know to read the figure
#
# Must never: call a row held whose figure is missing.

bench_row() { # WORK UNIT OURS BESIDE GOAL [STATE [NOTE]]
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "${6-}" "${7-}" >>"$BENCH_ROWS"
}

bench_begin() { # NAME: rows go to build/bench/NAME.rows
	BENCH_NAME=$1
	BENCH_ROWS=build/bench/$1.rows
	mkdir -p build/bench
	: >"$BENCH_ROWS"
}

# Prints the table, writes build/bench/NAME.json; status 1 when a goal is not held ("not built" and "not measured" are not held).
bench_end() {
	awk -F'\t' -v json="build/bench/$BENCH_NAME.json" '
		function number(x) { return x == "" ? "" : x >= 1000 ? sprintf("%.0f", x) : x >= 100 ? sprintf("%.1f", x) : sprintf("%.3f", x) }
		function quoted(x) { gsub(/\\/, "\\\\", x); gsub(/"/, "\\\"", x); return "\"" x "\"" }
		function value(x) { return x == "" ? "null" : x + 0 }
		function judge(goal, ours, ratio,   part, x) { # "" when it cannot be told
			split(goal, part, " ")
			x = part[1] == "ratio" ? ratio : part[1] == "ours" ? ours : ""
			if (x == "") return ""
			x += 0
			if (part[2] == "<=") return x <= part[3] + 0
			if (part[2] == "<") return x < part[3] + 0
			if (part[2] == ">=") return x >= part[3] + 0
			if (part[2] == ">") return x > part[3] + 0
			return ""
		}
		BEGIN {
			printf "%-64s %-9s %10s %10s %8s  %-16s %-12s %s\n", "work", "unit", "ours", "beside", "ratio", "goal", "", "note"
			printf "[" >json
		}
		{
			ratio = $3 != "" && $4 != "" && $4 + 0 != 0 ? $3 / $4 : ""
			if ($6 != "") word = $6
			else if ($5 == "") word = $3 == "" ? "not measured" : ""
			else { ok = judge($5, $3, ratio); word = ok == "" ? "not measured" : ok ? "held" : "not held" }
			held = word == "" ? "null" : word == "held" ? "true" : "false"
			missed += held == "false"
			counted[word]++
			printf "%-64s %-9s %10s %10s %8s  %-16s %-12s %s\n", $1, $2, number($3), number($4),
				ratio == "" ? "" : sprintf("%.4f", ratio), $5, word, $7
			printf "%s\n  {\"work\": %s, \"unit\": %s, \"ours\": %s, \"beside\": %s, \"ratio\": %s, \"goal\": %s, \"held\": %s, \"said\": %s, \"note\": %s}",
				(NR > 1 ? "," : ""), quoted($1), quoted($2), value($3), value($4), ratio == "" ? "null" : ratio,
				$5 == "" ? "null" : quoted($5), held, quoted(word), quoted($7) >json
		}
		END {
			print "\n]" >json
			printf "\n%d held, %d not held, %d not built, %d not measured; %s\n", counted["held"], counted["not held"],
				counted["not built"], counted["not measured"], json
			exit missed > 0
		}' "$BENCH_ROWS"
}
