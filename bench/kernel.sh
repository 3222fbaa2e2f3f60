#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the kernel part costs: instructions per operation, counted by an emulator, beside the same kernel with the
# distribution's own list of security modules idle. The workload is tests/bench/kernel_work.c, the boots are
# tests/bench/kernel.c. doc/benchmarks.md says how to read it.
#
#   bench/kernel.sh            the rows, into build/bench/kernel.json
#   RUNS=2 bench/kernel.sh     all of it twice; how far the runs differ is printed beside the rows
#
# Exit 0 when everything was measured: goals do not have to be held yet.
set -eu
cd "$(dirname "$0")/.."
. bench/lib.sh
TOP=$PWD KERNEL=${KERNEL:-6.1} RUNS=${RUNS:-1}

die() { echo "bench-kernel: $*" >&2; exit 1; }
lab_cached() { # CMD...: with the lab's cache and the words for it
	(
		set -e
		# shellcheck disable=SC2034 # the parts read it
		LAB_SHARE=$TOP/lab
		# shellcheck source=/dev/null
		for part in say apt root kernel emulator; do . "$LAB_SHARE/lib/$part.sh"; done
		cache_init
		"$@"
	)
}
kernel_dir() {
	[[ -e $CACHE/kernel-$KERNEL/vmlinuz ]] || cache_locked kernel_fetch "$KERNEL" >&2
	readlink -f "$CACHE/kernel-$KERNEL"
}
emulator() {
	emulator_ensure >&2
	echo "$EMULATOR"
}

((EUID == 0)) || die "the kernel's cache is root's"
make --no-print-directory build/tests/bench/kernel
${CC:-gcc} -O2 -static -std=gnu17 -Wall -Wextra -Werror tests/bench/kernel_work.c -o build/tests/bench/kernel_work
${CC:-gcc} -O2 -static -nostdlib -ffreestanding -Wall -Wextra -Werror tests/bench/kernel_exit.c -o build/tests/bench/kernel_exit
strip build/tests/bench/kernel_work build/tests/bench/kernel_exit
dir=$(lab_cached kernel_dir)
qemu=$(lab_cached emulator)
bench_begin kernel

boot() { # WHAT RUN: one machine, its words to build/bench/kernel.WHAT.RUN
	local out=build/bench/kernel.$1.$2 status=0
	KVM_QEMU=$qemu KVM_ICOUNT=shift=0,sleep=off KVM_MEMORY=2048 KVM_TIMEOUT=${BOOT_SECONDS:-300} \
		KVM_EXTRA="build/tests/bench/kernel_work build/tests/bench/kernel_exit" \
		tests/vm/kvm-one "$dir" build/tests/bench/kernel "$1" >"$out" || status=$?
	((status == 0)) || { cat "$out" >&2; die "$1: the machine ended with status $status"; }
}
of() { awk -v name="$2" '$1 == name { print $2 }' build/bench/kernel."$1"."${3:-1}"; } # BOOT NAME [RUN]

for ((run = 1; run <= RUNS; run++)); do
	for what in idle unlabelled labelled decide; do boot $what $run; done
done

printf 'instructions per operation; %s, -icount shift=0,sleep=off, kernel %s\n' "$("$qemu" --version | head -n 1)" "${dir##*/}"
sed -n '/modules/p' build/bench/kernel.idle.1
grep -h '^# [rl]' build/bench/kernel.labelled.1
printf 'ours: DSI enforcing, labelled and allowed; beside: the same boot, nothing loaded. SELinux, AppArmor, prototype: of facts/kernel.md 11, not of this run\n\n'

row() { # WORK NAME GOAL FACTS [STATE [NOTE]]
	bench_row "$1" instr "$(of labelled "$2")" "$(of idle "$2")" "${3:+ratio <= $3}" "${5-}" "facts: $4${6:+; $6}"
}
row "read, on an open file" read 1.003 "SELinux -1.6 %, AppArmor +1.9 %, prototype 0 %"
row "write, on an open file" write 1.003 "SELinux -1.3 %, AppArmor +1.5 %, prototype 0 %"
row "pipe, one byte through" pipe 1.003 "SELinux +18.5 %, AppArmor +3.3 %, prototype 0 %"
row "unix, one byte there and back" unix_pp 1.003 "SELinux +9.5 %, AppArmor +8.2 %, prototype 0 %"
row "TCP 1-byte ping-pong, established, a UDP rule loaded" tcp_pp 1.005 "SELinux +5.2 %, AppArmor +2.9 %, prototype +1.8 %" \
	"not built" "there are no UDP rules yet: without one"
row "open+close" open_close 1.06 "SELinux +18.3 %, AppArmor +22.2 %, prototype +8.5 %"
row "create+unlink" create_unlink 1.12 "SELinux +43.6 %, AppArmor +24.9 %, prototype +22.6 %"
row "fork+exit" fork_exit 1.008 "SELinux +0.3 %, AppArmor +1.6 %, prototype +1.5 %"
row "fork+exec" fork_exec 1.013 "SELinux +2.2 %, AppArmor +1.3 %, prototype +1.8 %"
row "UDP socket create+close" udp_socket 1.15 "SELinux +109 %, AppArmor +2.8 %, prototype +28 %"
row "unix connect+accept" unix_connect 1.10 "SELinux +58 %, AppArmor +1.3 %, prototype +17 %" \
	"not built" "only the sockets' creation is judged yet"
row "TCP connect+accept, label written, MACed, checked" tcp_connect 1.09 "SELinux +17.4 %, AppArmor +0.8 % (no label), prototype +16.2 %"
row "UDP ping-pong, labelled and MACed" udp_pp 1.08 "SELinux +7.4 %, AppArmor +4.2 % (no label), prototype +31 %" \
	"not built" "UDP carries no label yet: without one"

# A third of the labelled cost, and what counts as nothing on the rows above (0.3 %).
unlabelled() { # WORK NAME
	local idle labelled
	idle=$(of idle "$2") labelled=$(of labelled "$2")
	bench_row "unlabelled process: $1" instr "$(of unlabelled "$2")" "$idle" \
		"ours <= $(awk -v i="$idle" -v l="$labelled" 'BEGIN { d = (l - i) / 3; if (d < i * 0.003) d = i * 0.003; printf "%.0f", i + d }')" \
		"" "labelled: $labelled; a third of its cost, or 0.3 %"
}
unlabelled read read
unlabelled write write
unlabelled pipe pipe
unlabelled "unix, one byte there and back" unix_pp
unlabelled "TCP ping-pong" tcp_pp
unlabelled open+close open_close
unlabelled create+unlink create_unlink
unlabelled fork+exit fork_exit
unlabelled fork+exec fork_exec
unlabelled "UDP socket create+close" udp_socket
unlabelled "unix connect+accept" unix_connect
unlabelled "TCP connect+accept" tcp_connect
unlabelled "UDP ping-pong" udp_pp
bench_row "getsockopt of programs that do not ask for a peer" instr "$(of labelled getsockopt)" "$(of idle getsockopt)" "ratio <= 1.000" \
	"not built" "facts: prototype +84 %; nobody can ask for a peer yet"
bench_row "one decision, 1,000,000 rules beside 100 (flat)" instr "$(of decide decide_1000000)" "$(of decide decide_100)" "ratio <= 1.05" \
	"" "with the system call that asks; 10,000 rules: $(of decide decide_10000)"
bench_row "one decision natively, 1,000,000 rules beside 1,000" ns "" "" "ratio <= 3" "not measured" "needs a host that loads the programs"
bench_row "memory of a rule" B "" "" "ours <= 110" "not measured"
bench_row "swap of 10,000 rules, no decision by a mix" ms "$(of decide swap_ms_10000)" "" "ours < 50" \
	"" "the machine's time; fill $(of decide fill_ms_10000) ms before it; the mix is tests/vm/kernel/swap.c's"
bench_row "commit of a change to the last old decision on what is open" ms "" "" "ours <= 15" "not measured"
bench_row "verdict delivered to the last packet accepted, 1,000 connections" ms "" "" "ours <= 5" "not measured"
bench_end || true

((RUNS < 2)) || {
	printf '\nhow runs 1 and 2 differ, in %% (instructions per operation)\n'
	for what in idle unlabelled labelled; do
		paste build/bench/kernel.$what.1 build/bench/kernel.$what.2 | awk -v what=$what '
			/^#/ || $1 == "ok" { next }
			{ d = ($4 - $2) / $2 * 100; if (d < 0) d = -d; if (d > max) { max = d; name = $1 } sum += d; n++; line = line sprintf(" %s %.2f", $1, d) }
			END { printf "%-11s max %.2f (%s), mean %.2f:%s\n", what, max, name, sum / n, line }'
	done
}
