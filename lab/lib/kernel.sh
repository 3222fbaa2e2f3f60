# shellcheck shell=bash
# kernel.sh: kernels and the small initial RAM file system that boots a node.
#
#   $CACHE/kernel-RELEASE/{vmlinuz,modules/}   unpacked, never installed
#   $CACHE/kernel-6.1 -> kernel-RELEASE        what --kernel 6.1 means
#   $CACHE/initrd-RELEASE-HASH                 per kernel and guest/init
#   ROOT/usr/lib/modules/RELEASE               hard links, so that nodes can modprobe

# Modules that a node needs before it has a root, in any order; dependencies
# are added from modules.dep.
readonly INITRD_MODULES=(virtio_pci virtio_net virtio_blk virtiofs overlay ext4 crc32c_generic crc32c_intel)
readonly INITRD_APPLETS=(sh mount umount mkdir cp cat insmod ip chmod switch_root sleep rm)

# kernel_ensure NAME: sets KERNEL_DIR, KERNEL_RELEASE. NAME: host, 6.1, 6.12 or a file.
kernel_ensure() {
	case $1 in
	6.1 | 6.12)
		[[ -e $CACHE/kernel-$1/vmlinuz ]] || cache_locked kernel_fetch "$1"
		KERNEL_DIR=$(readlink -f "$CACHE/kernel-$1")
		KERNEL_RELEASE=${KERNEL_DIR##*/kernel-}
		;;
	host)
		[[ -r /boot/vmlinuz-$(uname -r) ]] ||
			die "$EX_NOSUCH" "no /boot/vmlinuz-$(uname -r) on this machine; use --kernel 6.1 or --kernel 6.12"
		cache_locked kernel_import "/boot/vmlinuz-$(uname -r)"
		;;
	*)
		[[ -r $1 ]] || die "$EX_NOSUCH" "no kernel '$1': say host, 6.1, 6.12 or the path of a bzImage"
		cache_locked kernel_import "$1"
		;;
	esac
	kernel_modules_into_root
	kernel_initrd_ensure
}

# The release is in the header of a bzImage, at the place that 0x20e points to.
kernel_release_of() { # FILE
	local offset
	offset=$(od -An -tu2 -j 526 -N 2 "$1" | tr -d ' ')
	dd if="$1" bs=1 skip=$((offset + 512)) count=128 status=none | tr '\0' '\n' | head -n 1 | cut -d' ' -f1
}

kernel_import() { # FILE; modules from $OPT_MODULES or /lib/modules/RELEASE
	KERNEL_RELEASE=$(kernel_release_of "$1")
	[[ $KERNEL_RELEASE =~ ^[0-9]+\.[0-9]+ ]] || die "$EX_ERROR" "'$1' is no bzImage"
	KERNEL_DIR=$CACHE/kernel-$KERNEL_RELEASE+file
	local modules=${OPT_MODULES:-/lib/modules/$KERNEL_RELEASE}
	rm -rf "$KERNEL_DIR" "$KERNEL_DIR.tmp"
	mkdir -p "$KERNEL_DIR.tmp/modules"
	cp "$1" "$KERNEL_DIR.tmp/vmlinuz"
	if [[ -d $modules ]]; then
		cp -a "$modules/." "$KERNEL_DIR.tmp/modules/"
		rm -f "$KERNEL_DIR.tmp/modules/build" "$KERNEL_DIR.tmp/modules/source"
	else
		say "no modules at $modules (--modules DIR names another place): everything must be built in"
	fi
	mv "$KERNEL_DIR.tmp" "$KERNEL_DIR"
}

# kernel_fetch 6.1|6.12: download the cloud kernel's package and unpack it.
kernel_fetch() {
	[[ ! -e $CACHE/kernel-$1/vmlinuz ]] || return 0
	need_tool apt-get dpkg
	local work package release
	work=$(mktemp -d "$CACHE/work.XXXXXX")
	say "fetching kernel $1"
	if [[ $1 = 6.12 ]]; then apt_sources_backports; else apt_sources_stable; fi >"$work/sources.list"
	if ! kernel_download "$work" >"$CACHE/kernel.log" 2>&1; then
		rm -rf "$work"
		tail -n 5 "$CACHE/kernel.log" >&2
		die "$EX_ERROR" "cannot fetch kernel $1; the whole story is in $CACHE/kernel.log"
	fi
	package=$(ls "$work"/*.deb)
	dpkg -x "$package" "$work/x"
	release=$(basename "$work"/x/boot/vmlinuz-*)
	release=${release#vmlinuz-}
	if [[ $release != "$1".* ]]; then
		rm -rf "$work"
		die "$EX_ERROR" "wanted kernel $1, the package source offers $release"
	fi
	mkdir -p "$work/k"
	mv "$work/x/boot/vmlinuz-$release" "$work/k/vmlinuz"
	mv "$work/x/lib/modules/$release" "$work/k/modules"
	chmod 755 "$work/k"
	rm -rf "$CACHE/kernel-$release"
	mv "$work/k" "$CACHE/kernel-$release"
	rm -rf "$work"
	ln -sfn "kernel-$release" "$CACHE/kernel-$1"
	say "kernel ready: $release"
}

kernel_download() { # WORK
	local package
	apt_private "$1" apt-get -q update || return
	package=$(apt_private "$1" apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
	cd "$1" && apt_private "$1" apt-get -q download "$package"
}

# Modules into the cached root; rename makes it atomic.
kernel_modules_into_root() {
	local dir=$ROOT/usr/lib/modules/$KERNEL_RELEASE
	if [[ $KERNEL_DIR = *+file ]]; then cache_locked rm -rf "$dir"; fi
	[[ -d $dir ]] || cache_locked kernel_modules_link "$dir"
}

kernel_modules_link() { # DIR
	[[ ! -d $1 ]] || return 0
	local tmp=$ROOT/usr/lib/modules/.tmp
	rm -rf "$tmp"
	mkdir -p "$ROOT/usr/lib/modules"
	cp -al "$KERNEL_DIR/modules" "$tmp"
	mv "$tmp" "$1"
	chroot "$ROOT" depmod "$KERNEL_RELEASE" 2>/dev/null || true # packages bring their own modules.dep
}

kernel_initrd_ensure() { # sets INITRD
	local hash
	hash=$({ echo 2; cat "$LAB_SHARE/guest/init"; echo "${INITRD_MODULES[*]} ${INITRD_APPLETS[*]}"; } | sha256sum | cut -c1-8)
	INITRD=$CACHE/initrd-$KERNEL_RELEASE-$hash
	if [[ $KERNEL_DIR = *+file ]]; then rm -f "$INITRD"; fi
	[[ -f $INITRD ]] || cache_locked kernel_initrd_build
}

# Prints the module files to load, dependencies first, paths below DIR.
kernel_module_order() { # DIR MODULE...
	local dir=$1
	shift
	awk -v want="$*" '
		function name(path) { sub(".*/", "", path); sub("\\.ko.*", "", path); gsub("-", "_", path); return path }
		function load(path,  i, n, list) {
			if (path in done) return
			done[path] = 1
			n = split(deps[path], list, " ")
			for (i = n; i > 0; i--) load(list[i])
			print path
		}
		{ path = $1; sub(":$", "", path); $1 = ""; deps[path] = $0; file[name(path)] = path }
		END { n = split(want, list, " "); for (i = 1; i <= n; i++) if (list[i] in file) load(file[list[i]]) }
	' "$dir/modules.dep"
}

kernel_initrd_build() {
	[[ ! -f $INITRD ]] || return 0
	need_tool cpio gzip
	local busybox work modules=$ROOT/usr/lib/modules/$KERNEL_RELEASE path
	busybox=$(type -P busybox) || die "$EX_UNAVAIL" "'busybox' (static) is missing; run 'sudo tools/deps.sh lab'"
	work=$(mktemp -d "$CACHE/work.XXXXXX")
	mkdir -p "$work"/{bin,modules,proc,sys,dev,base,stage,rw,new}
	cp -L "$busybox" "$work/bin/busybox"
	for path in "${INITRD_APPLETS[@]}"; do ln -s busybox "$work/bin/$path"; done
	cp "$LAB_SHARE/guest/init" "$work/init"
	chmod 755 "$work/init"
	: >"$work/modules/order"
	if [[ -f $modules/modules.dep ]]; then
		kernel_module_order "$modules" "${INITRD_MODULES[@]}" | while read -r path; do
			kernel_module_copy "$modules/$path" "$work/modules"
		done
	fi
	(cd "$work" && find . -print0 | sort -z | cpio -0 -o --quiet -H newc -R 0:0 | gzip -1) >"$INITRD.tmp"
	truncate -s %512 "$INITRD.tmp" # a node's cpio follows; the kernel wants it aligned
	rm -rf "$work"
	mv "$INITRD.tmp" "$INITRD"
}

kernel_module_copy() { # FILE DIR; unpacks what busybox may not
	local base=${1##*/}
	case $base in
	*.ko.xz) base=${base%.xz}; xz -dc "$1" >"$2/$base" ;;
	*.ko.zst) base=${base%.zst}; zstd -qdc "$1" >"$2/$base" ;;
	*.ko.gz) base=${base%.gz}; gzip -dc "$1" >"$2/$base" ;;
	*) cp "$1" "$2/$base" ;;
	esac
	echo "$base" >>"$2/order"
}
