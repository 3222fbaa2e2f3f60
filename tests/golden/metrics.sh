#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `dsi-admin metrics` writes is OpenMetrics: the kept texts pass a strict reader, and the reader finds each fault that
# a text can have. Real daemons' figures: tests/netns/65-pacemaker.sh.
. "$(dirname "$0")/../lib.sh"
cd "$TOP" || exit 1
strict() { awk -f tests/lib/openmetrics.awk "$@"; }
for text in tests/golden/cli/metrics*.txt; do
	assert_eq "" "$(strict "$text")" "$(basename "$text") is OpenMetrics"
done
sound=tests/golden/cli/metrics.txt
assert_match '^dsi_refused_messages_total\{program="dsid",reason="bad signature"\} 2$' "$(grep -m 1 refused_messages_total $sound)" \
	"counters end with _total, reasons are labels"
assert_match 'dsi_node_suspended\{node="n\\"2\\\\\\\\x0a"\} 1' "$(grep 'suspended.*2' $sound)" "labels are escaped"
while IFS=$'\t' read -r edit want; do
	assert_match "$want" "$(sed "$edit" $sound | strict)" "found: $edit"
done <<'FAULTS'
$d	no # EOF
$a dsi_x 1	text behind # EOF
/^# HELP dsi_term/d	family without HELP
/^# TYPE dsi_term/d	family without TYPE
s/^# TYPE dsi_term gauge/# TYPE dsi_term number/	neither gauge nor counter
s/^# UNIT dsi_local_lease_seconds seconds/# UNIT dsi_local_lease_seconds hours/	does not end with its unit
s/^dsi_voters 3/dsi_voters 3x/	value malformed
s/^dsi_voters 3/dsi_voters\t3/	value malformed
s/^dsi_voters 3/dsi_voters_present 3/	not a sample of the family above
s/^dsi_denials_total/dsi_denials/	not a sample of the family above
s/^\(dsi_denials_total.*\) 40/\1 -40/	a counter below 0
s/^dsi_voters 3/&\n&/	sample comes twice
s/^# EOF/# TYPE dsi_voters gauge\n&/	family comes twice
s/^dsi_voters 3/\n&/	neither sample nor comment
s/program="dsid",reason/program="dsid",program/	labels malformed
s/n\\"2/n"2/	(labels do not end|labels malformed)
s/program="dsid",reason/program="dsid" reason/	labels malformed
s/^# HELP dsi_voters .*/# a remark/	not TYPE, UNIT, HELP or EOF
FAULTS
done_testing
