#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A joiner with a long log: by a snapshot, and by replay. See tests/bench/snapshot.c.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/bench
make --no-print-directory build/tests/bench/snapshot
exec build/tests/bench/snapshot
