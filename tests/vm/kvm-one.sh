#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One throwaway QEMU machine from an initial RAM file system: boots a kernel, runs one program as root,
# passes its output and exit status through. For tests of kernel/ that need a kernel that enforces and
# nothing else (no systemd, no disk, no network); clusters are lab/dsi-lab's.
#
#	kvm-one.sh KERNELDIR PROGRAM [ARGUMENT...]
#
# KERNELDIR holds vmlinuz (or boot/vmlinuz-*) and lib/modules/*. Environment:
#	KVM_EXTRA="FILE..."      more programs to put in (with their libraries)
#	KVM_MODULES="veth ..."   modules to load, in order
#	KVM_TIMEOUT=300          seconds of wall time
#	KVM_APPEND="..."         kernel arguments
#	KVM_CPUS=1
# Exit: the program's, 124 after the time-out, 125 when the machine could not boot (twice).
set -eu

die() { echo "kvm-one: $*" >&2; exit 125; }

[ $# -ge 2 ] || die "usage: kvm-one.sh KERNELDIR PROGRAM [ARGUMENT...]"
kernel_dir=$1 program=$2
shift 2
vmlinuz=$(find "$kernel_dir/" -maxdepth 2 \( -name 'vmlinuz' -o -name 'vmlinuz-*' \) | head -n 1)
modules=$(find "$kernel_dir/" -path '*/lib/modules/*' -maxdepth 5 -name modules.dep -o -maxdepth 4 -name kernel -path '*/modules/*' | head -n 1)
modules=${modules:+$(dirname "$modules")}
[ -n "$vmlinuz" ] || die "no vmlinuz in $kernel_dir"

work=$(mktemp -d "${TMPDIR:-/tmp}/kvm-one.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,run,modules,lib,lib64,usr/lib,usr/sbin,usr/bin,var}
cp "$(command -v busybox)" "$root/bin/busybox"

put() { # PROGRAM: it and its libraries
	install -D -m 755 "$1" "$root/bin/${1##*/}"
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
		[ -e "$root$lib" ] || install -D -m 755 "$lib" "$root$lib"
	done
}
put "$program"
for extra in ${KVM_EXTRA:-}; do put "$extra"; done

names=
for name in ${KVM_MODULES:-}; do
	file=$(find "$modules" -name "$name.ko" -o -name "$name.ko.xz" -o -name "$name.ko.zst" | head -n 1)
	[ -n "$file" ] || continue
	case $file in
	*.xz) xz -dc "$file" >"$root/modules/$name.ko" ;;
	*.zst) zstd -qdc "$file" >"$root/modules/$name.ko" ;;
	*) cp "$file" "$root/modules/$name.ko" ;;
	esac
	names="$names $name"
done

printf '%q ' "/bin/${program##*/}" "$@" >"$root/command"
cat >"$root/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
mount -t securityfs sec /sys/kernel/security; mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cg /sys/fs/cgroup
mount -t debugfs dbg /sys/kernel/debug; mkdir -p /dev/shm /dev/pts; mount -t tmpfs shm /dev/shm; mount -t devpts pts /dev/pts
for m in $names; do insmod /modules/\$m.ko; done
ip link set lo up
echo kvm-one: up
sh /command; echo "kvm-one: exit \$?"
sync
echo o >/proc/sysrq-trigger
sleep 60
END
chmod 755 "$root/init"
(cd "$root" && find . -print0 | cpio -0 -o --quiet -H newc -R 0:0 | gzip -1) >"$work/initrd"

cpu=(-accel "tcg,tb-size=256" -cpu "max,-erms,-fsrm")
case $vmlinuz in *6.12*) cpu+=(-icount "shift=0,sleep=off") ;; esac
[ "${KVM_ICOUNT:-}" = "" ] || cpu+=(-icount "$KVM_ICOUNT")

for try in 1 2 3; do
	status=0
	timeout -k 2 "${KVM_TIMEOUT:-300}" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		"${cpu[@]}" -smp "${KVM_CPUS:-1}" -m "${KVM_MEMORY:-768}" -kernel "$vmlinuz" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1 spectre_v2=off random.trust_cpu=on ${KVM_APPEND:-}" \
		-serial "file:$work/console" </dev/null >"$work/qemu" 2>&1 || status=$?
	tr -d '\r' <"$work/console" >"$work/text" || true
	if grep -q '^kvm-one: exit ' "$work/text"; then
		sed -n '/^kvm-one: up$/,$p' "$work/text" | grep -v '^kvm-one: '
		exit "$(sed -n 's/^kvm-one: exit //p' "$work/text" | tail -n 1)"
	fi
	if [ "$status" = 124 ] || [ "$status" = 137 ]; then
		cat "$work/text" "$work/qemu" >&2
		exit 124
	fi
	# An emulated 6.12 sometimes dies in its first seconds (facts/kernel.md 0.7): only that is tried again.
	if grep -q '^kvm-one: up$' "$work/text" && ! grep -q 'Kernel panic' "$work/text"; then break; fi
	echo "kvm-one: boot $try failed" >&2
done
cat "$work/text" "$work/qemu" >&2
die "the machine did not run the program"
