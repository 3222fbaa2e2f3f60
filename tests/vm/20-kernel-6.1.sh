#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 900
# The kernel part, enforced by Debian 12's own kernel.
. "$(dirname "$0")/kernel_lib.bash"
kernel_case 6.1
