# shellcheck shell=bash
# emulator.sh: which QEMU runs the nodes.
#
#   $CACHE/qemu-VERSION/qemu-system-x86_64   the distribution's backport, unpacked, never installed
#   $CACHE/qemu -> qemu-VERSION
#
# With KVM any QEMU will do, so it is this machine's. Without, every instruction
# is translated, and what an old one takes twice as long for (7.2 against 10.0,
# started programs) is the lab's whole speed.

readonly EMULATOR_GOOD=9 # this major version or a later one is used as it is

emulator_host() { # prints this machine's
	type -P qemu-system-x86_64
}

emulator_major() { # QEMU
	"$1" --version | sed -n 's/^QEMU emulator version \([0-9]*\)\..*/\1/p'
}

# emulator_ensure: sets EMULATOR. Where no backport is to be had, this machine's QEMU does, slowly.
emulator_ensure() {
	EMULATOR=$(emulator_host) || die "$EX_UNAVAIL" "qemu-system-x86_64 is missing; run 'sudo tools/deps.sh lab'"
	(($(emulator_major "$EMULATOR") < EMULATOR_GOOD)) || return 0
	[[ -e $CACHE/qemu ]] || cache_locked emulator_fetch
	[[ ! -x $CACHE/qemu/qemu-system-x86_64 ]] || EMULATOR=$(readlink -f "$CACHE/qemu")/qemu-system-x86_64
}

emulator_fetch() {
	[[ ! -e $CACHE/qemu ]] || return 0
	if ! type -P apt-get dpkg >/dev/null; then
		say "this machine's QEMU is slow at emulating; $EMULATOR_GOOD or later is about twice as fast"
		return
	fi
	local work version
	work=$(mktemp -d "$CACHE/work.XXXXXX")
	say "fetching a faster QEMU"
	{ apt_sources_stable; apt_sources_backports; } >"$work/sources.list"
	if emulator_download "$work" >"$CACHE/qemu.log" 2>&1; then
		version=$(emulator_version "$work")
		rm -rf "$CACHE/qemu-$version"
		mv "$work/x" "$CACHE/qemu-$version"
		emulator_wrap "$CACHE/qemu-$version"
		if "$CACHE/qemu-$version/qemu-system-x86_64" -accel help 2>>"$CACHE/qemu.log" | grep -qx tcg; then
			ln -sfn "qemu-$version" "$CACHE/qemu"
			say "QEMU ready: $version"
		fi
	fi
	rm -rf "$work"
	[[ -e $CACHE/qemu ]] || say "no faster QEMU is to be had (the story is in $CACHE/qemu.log); going on with this machine's"
}

emulator_download() { # WORK
	local suite=$LAB_SUITE-backports package
	apt_private "$1" apt-get -q update || return
	(cd "$1" && apt_private "$1" apt-get -q download qemu-system-{x86,common,data}"/$suite" seabios) || return
	mkdir "$1/x"
	for package in "$1"/*.deb; do dpkg -x "$package" "$1/x" || return; done
	chmod 755 "$1/x"
}

emulator_version() { # WORK: the package's, in the form of a file name
	basename "$1"/qemu-system-x86_*.deb | sed 's/^qemu-system-x86_//; s/_amd64\.deb$//; s/^[0-9]*%3a//; s/[^A-Za-z0-9.+~-]/-/g'
}

# It looks for its parts where it would be installed; this tells it where they are.
emulator_wrap() { # DIR
	cat >"$1/qemu-system-x86_64" <<-EOF
		#!/bin/sh
		export QEMU_MODULE_DIR='$1/usr/lib/x86_64-linux-gnu/qemu'
		exec '$1/usr/bin/qemu-system-x86_64' -L '$1/usr/share/qemu' -L '$1/usr/share/seabios' "\$@"
	EOF
	chmod 755 "$1/qemu-system-x86_64"
}
