#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 1800
# alone
# Every row of the demo is a test: three kernels, real corosync, nginx and redis.
exec "$(dirname "$0")/../demo.sh"
