#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A clone of this tree on a machine where nothing of DSI was ever installed: a new root with git and make only, in
# namespaces of its own, in which the README's commands run. Root; half an hour for all of it.
#
#   tests/fresh.sh [COMMAND...]      default: make check
#   make check-fresh WHAT='make demo'
#
# Must never: use a package, a cache or a file of this machine but the clone, apt's sources and its settings.
set -eu
TOP=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck disable=SC2034 # apt.sh's
EX_UNAVAIL=69
die() { echo "fresh: error: ${*:2}" >&2; exit "$1"; }
# shellcheck source=lab/lib/apt.sh
. "$TOP/lab/lib/apt.sh"

[[ $(id -u) = 0 ]] || die 4 "needs root"
[[ $# -gt 0 ]] || set -- make check
work=$(mktemp -d /var/tmp/dsi-fresh.XXXXXX)
root=$work/root
trap 'rm -rf --one-file-system "$work"' EXIT
apt_sources_stable >"$work/sources.list"
apt_options "$work/apt.conf"
echo "fresh: making a root with git and make"
mmdebstrap --quiet --variant=minbase --mode=root --include=git,make,ca-certificates --aptopt="$work/apt.conf" \
	bookworm "$root" "$work/sources.list"
cp "$work/sources.list" "$root/etc/apt/sources.list"
cp "$work/apt.conf" "$root/etc/apt/apt.conf.d/90fresh"
[[ ! -e /etc/resolv.conf ]] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
for file in /usr/local/share/ca-certificates/*.crt; do # what this machine trusts for its package sources
	[[ ! -e $file ]] || cp "$file" "$root/usr/local/share/ca-certificates/"
done
git clone -q "$TOP" "$root/src"
# shellcheck disable=SC2016 # expands inside
unshare --mount --pid --fork --kill-child sh -euc '
	root=$1
	shift
	mount --make-rprivate /
	mount --bind "$root" "$root" # the lab enters mount namespaces: it would come out of a mere chroot
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs tmpfs "$root/run"
	mount -t tmpfs tmpfs "$root/tmp"
	mkdir "$root/old"
	cd "$root"
	pivot_root . old
	umount -l old
	rmdir old
	update-ca-certificates >/dev/null 2>&1 || true
	exec env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		sh -euc "cd /src; echo fresh: \$(dpkg-query -f . -W | wc -c) packages, then: \$*; exec \"\$@\"" sh "$@"
' sh "$root" "$@"
