#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 1500
# The kernel part, enforced by the backports kernel.
. "$(dirname "$0")/kernel_lib.bash"
kernel_case 6.12
