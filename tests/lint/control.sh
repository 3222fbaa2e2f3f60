#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each verb of CTL_TABLE (lib/ctl.h) has a handler in every service that the table names, and in no other.
set -u
cd "$(dirname "$0")/../.." || exit 1
status=0

check() { # service's bit in the table, its source
	local want have
	want=$(sed -n "s/^\tX(\([A-Z_]*\), \"[a-z-]*\", [A-Z_| ]*$1[ ,|].*/\1/p" lib/ctl.h | sort)
	have=$(sed -n '/^static ipc_handler \*const handlers/,/^};/p' "$2" | grep -o '\[CTL_[A-Z_]*\] = [a-z]' | sed 's/\[CTL_\(.*\)\].*/\1/' | sort)
	[ -n "$want" ] && [ "$want" = "$have" ] && return
	echo "$2: handlers and CTL_TABLE differ (<: in the table only, >: handled only)"
	diff <(echo "$want") <(echo "$have")
	status=1
}
check CTL_BY_DSID dsid/control.c
check CTL_BY_SERVER ss-ha/control.c
exit $status
