# shellcheck shell=bash
# root.sh: the cached root file system, shared read-only by all nodes of all labs.
#
#   $CACHE/root-HASH/        the root; HASH covers package list, recipe, release
#   $CACHE/root-HASH.varlib  ext4 image of its /var/lib, copied for each vm node
#
# Made under a temporary name and renamed, with a lock held, so a reader sees
# a whole root or none.

readonly ROOT_VERSION=1

cache_init() {
	if ((EUID == 0)); then
		CACHE=${DSI_CACHE:-/var/cache/dsi-lab}
	else
		CACHE=${DSI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dsi-lab}
	fi
	mkdir -p "$CACHE" 2>/dev/null || true
	[[ -d $CACHE ]] || die "$EX_PRIV" "cannot make the cache $CACHE; run 'sudo dsi-lab root' once, or set DSI_CACHE"
}

# cache_locked CMD...: one builder at a time.
cache_locked() {
	local fd
	exec {fd}>"$CACHE/.lock"
	if ! flock -n "$fd"; then
		say "waiting for another dsi-lab that is filling $CACHE"
		flock "$fd"
	fi
	CACHE_LOCK_FD=$fd "$@"
	exec {fd}>&-
}

root_packages() {
	sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$LAB_SHARE/root.packages"
}

root_hash() {
	{
		echo "$ROOT_VERSION $LAB_SUITE"
		root_packages
		cat "$LAB_SHARE/root-recipe" "$LAB_SHARE/root.mask"
	} | sha256sum | cut -c1-12
}

root_path() { # prints where the root is or would be
	echo "$CACHE/root-$(root_hash)"
}

root_ensure() { # sets ROOT
	ROOT=$(root_path)
	[[ -d $ROOT ]] || cache_locked root_build
}

root_build() {
	[[ ! -d $ROOT ]] || return 0
	if ((EUID != 0)); then
		root_copy_own
		return
	fi
	need_tool mmdebstrap
	local tmp work
	tmp=$ROOT.tmp
	work=$(mktemp -d "$CACHE/work.XXXXXX")
	rm -rf "$tmp"
	say "making the root (mmdebstrap, once; about half a minute)"
	apt_sources_stable >"$work/sources.list"
	apt_options "$work/apt.conf"
	cp "$LAB_SHARE/root-recipe" "$LAB_SHARE/root.mask" "$work"
	if ! root_bootstrap "$tmp" "$work" >"$CACHE/root.log" 2>&1; then
		rm -rf "$work" "$tmp"
		tail -n 5 "$CACHE/root.log" >&2
		die "$EX_ERROR" "mmdebstrap failed; the whole story is in $CACHE/root.log"
	fi
	rm -rf "$work"
	chmod 755 "$tmp"
	mv "$tmp" "$ROOT"
	say "root ready: $ROOT ($(du -sm "$ROOT" | cut -f1) MiB)"
}

# Without root: a copy of root's cache that belongs to us, because an overlay in
# a user namespace can only change what its owner owns. Unreadable files
# (secrets of an empty system) are left out.
root_copy_own() {
	local from
	from=/var/cache/dsi-lab/root-$(root_hash)
	[[ -d $from ]] || die "$EX_PRIV" "there is no root to copy; run 'sudo $LAB_SHARE/dsi-lab root' once"
	say "copying $from (once)"
	rm -rf "$ROOT.tmp"
	cp -dR --preserve=mode,timestamps,links "$from" "$ROOT.tmp" 2>/dev/null || true
	chmod -R u+rwX "$ROOT.tmp"
	mv "$ROOT.tmp" "$ROOT"
}

root_bootstrap() { # TARGET WORK
	# $1 of the hooks is the new root
	# shellcheck disable=SC2016
	mmdebstrap --variant=minbase --mode=root --architectures=amd64 \
		--include="$(root_packages | paste -sd,)" \
		--aptopt="$2/apt.conf" \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook="cp '$2/root-recipe' '$2/root.mask' \"\$1/tmp/\"" \
		--customize-hook='chroot "$1" /tmp/root-recipe /tmp/root.mask' \
		--customize-hook='rm -f "$1/tmp/root-recipe" "$1/tmp/root.mask"' \
		"$LAB_SUITE" "$1" "$2/sources.list"
}

# An ext4 image that holds the root's /var/lib; made once, copied sparsely.
root_varlib_ensure() { # sets VARLIB
	VARLIB=$ROOT.varlib
	[[ -f $VARLIB ]] || cache_locked root_varlib_build
}

root_varlib_build() {
	[[ ! -f $VARLIB ]] || return 0
	need_tool mke2fs
	mke2fs -q -F -t ext4 -m 0 -L varlib -E lazy_itable_init=1,root_owner=0:0 -d "$ROOT/var/lib" "$VARLIB.tmp" 2G >/dev/null
	mv "$VARLIB.tmp" "$VARLIB"
}
