#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A joiner with a long log: by a snapshot, and by replay. See tests/bench/snapshot.c. Exit 1 when the goal is not held.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
make --no-print-directory build/tests/bench/snapshot
bench_begin snapshot
build/tests/bench/snapshot "$BENCH_ROWS"
bench_end
