# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the kernel tests of this tier: one machine, one test program, its lines passed through.
. "$(dirname "$0")/../lib.sh"

lab_cached() { # CMD...: with the lab's cache and the words for it
	(
		set -e
		LAB_SHARE=$TOP/lab
		# shellcheck source=/dev/null
		for part in say apt root kernel emulator; do . "$LAB_SHARE/lib/$part.sh"; done
		cache_init
		"$@"
	)
}

# Both are fetched once.
kernel_dir() { # 6.1|6.12: prints where the cache has that kernel
	[[ -e $CACHE/kernel-$1/vmlinuz ]] || cache_locked kernel_fetch "$1" >&2
	readlink -f "$CACHE/kernel-$1"
}
emulator() { # prints which QEMU
	emulator_ensure >&2
	echo "$EMULATOR"
}

kernel_case() { # 6.1|6.12: runs the whole program; its last line is our RESULT
	local dir program=$TOP/${B:-build}/tests/vm/kernel_vm tool status=0
	((EUID == 0)) || skip_all "the kernel's cache is root's"
	for tool in qemu-system-x86_64 busybox cpio; do
		type -P $tool >/dev/null || skip_all "no $tool; run tools/deps.sh lab"
	done
	[[ -x $program ]] || skip_all "$program is not built"
	dir=$(lab_cached kernel_dir "$1") || skip_all "no kernel $1"
	KVM_QEMU=$(lab_cached emulator) KVM_EXTRA=$(type -P ip || echo /sbin/ip) KVM_MODULES="veth overlay inet_diag tcp_diag" KVM_TIMEOUT=500 \
		"$TOP/tests/vm/kvm-one" "$dir" "$program" || status=$?
	if ((status > 1)); then
		not_ok "the machine ended with status $status"
		done_testing
	fi
	exit "$status"
}
