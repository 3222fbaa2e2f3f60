#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `make rpm` builds dsi.spec with rpmbuild from an archive of HEAD, and rpm installs the result into a clean tree: a copy
# of the lab's root, from which what the lab itself puts there for DSI (its users) is taken out first. What is not
# committed is not tested here. Debian's rpm: names of other distributions' packages are not looked up.
. "$(dirname "$0")/../lib.sh"
cd "$TOP" || exit 1
[[ $(id -u) = 0 ]] || skip_all "installing into a tree (chroot) needs root"
for tool in rpmbuild rpm; do command -v $tool >/dev/null || skip_all "$tool is not installed (apt-get install rpm)"; done
[[ -e .git ]] || skip_all "not a git tree: there is no HEAD to package"

if [[ ${1:-} != inside ]]; then # mounts below are this process's own
	exec unshare --mount --propagation private "$0" inside
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/dsi-rpm.XXXXXX")
trap 'umount -l "$work" 2>/dev/null; rmdir "$work"' EXIT
mount -t tmpfs -o size=600m,mode=755 dsi-rpm "$work"

start=$(date +%s%N)
if ! env -u MAKEFLAGS -u MAKELEVEL make rpm RPM_TOP="$work/top" \
	RPM_FLAGS="--define 'optflags -O1' --define '_smp_mflags -j2'" >"$work/log" 2>&1; then
	tail -n 40 "$work/log"
	not_ok "make rpm builds dsi.spec"
	done_testing
fi
ok "make rpm builds dsi.spec"
note "in $((($(date +%s%N) - start) / 1000000)) ms"
assert_eq "" "$(grep -iE '^(warning|error):|not found:' "$work/log")" "without a warning of rpmbuild's"
package=$(echo "$work"/top/RPMS/*/dsi-0*.rpm) lab_package=$(echo "$work"/top/RPMS/noarch/dsi-lab-*.rpm)
assert_ok "a package of the whole, one of the lab, and one of the source" \
	test -f "$package" -a -f "$lab_package" -a -f "$(echo "$work"/top/SRPMS/dsi-*.src.rpm)"

# --- a clean tree
lab_root() { # the lab's root, made when it is not there: as dsi-lab up does
	export LAB_SHARE=$TOP/lab
	. lab/lib/say.sh && . lab/lib/apt.sh && . lab/lib/root.sh && cache_init && root_ensure && echo "$ROOT"
}
root=$(lab_root)
[[ -d $root/usr ]] || skip_all "there is no lab root to install into"
mkdir "$work/upper" "$work/over" "$work/tree"
mount -t overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/over" dsi-rpm "$work/tree"
tree=$work/tree
mount -t proc proc "$tree/proc"
in_tree() { chroot "$tree" "$@"; }
rpm_in() { rpm --root "$tree" --dbpath /var/lib/rpm "$@"; }
for user in _dsichan _dsid _dsikey _dsiss _dsisskey; do in_tree userdel "$user" 2>/dev/null; done
in_tree groupdel dsi 2>/dev/null
find "$tree/etc/dsi" "$tree/var/lib/dsi" "$tree/run/dsi" -delete 2>/dev/null
assert_fails "the tree knows nothing of DSI" grep -q dsi "$tree/etc/passwd" "$tree/etc/group"
before=$(cd "$tree" && find usr etc -xdev ! -type d | LC_ALL=C sort)

# --- installed
mkdir -p "$tree/var/lib/rpm"
assert_ok "rpm installs both" rpm_in -i --nodeps "$package" "$lab_package"
listed=$(rpm_in -ql dsi dsi-lab | sort -u)
while read -r path; do [[ -e $tree$path || -L $tree$path ]] || echo "$path"; done <<<"$listed" >"$work/absent"
assert_eq "" "$(cat "$work/absent")" "every file of the list is there"
for path in /usr/sbin/{dsid,dsi-ss,dsi-admin,dsi-lab} /usr/lib/systemd/system/{dsid,dsi-ss}.service /usr/lib/sysusers.d/dsi.conf \
	/usr/lib/tmpfiles.d/dsi.conf /etc/corosync/uidgid.d/dsi /usr/share/dsi/policies/base/00-system.dsp \
	/usr/share/bash-completion/completions/dsi-{admin,lab}; do
	grep -qxF "$path" <<<"$listed" || echo "$path"
done >"$work/absent"
assert_eq "" "$(cat "$work/absent")" "programs, units, users, policies and completion are in the list"
for page in man/*.[1-8]; do grep -q "/$(basename "$page")\(\.gz\)\?$" <<<"$listed" || echo "$page"; done >"$work/absent"
assert_eq "" "$(cat "$work/absent")" "and every manual page"
made=$(cd "$tree" && find usr etc -xdev ! -type d | LC_ALL=C sort | comm -13 <(echo "$before") - | sed 's|^|/|')
assert_eq "" "$(comm -23 <(LC_ALL=C sort <<<"$made") <(LC_ALL=C sort <<<"$listed") | grep -vE '^/etc/(passwd|group|g?shadow)-?$')" \
	"nothing was put there that is not in it"
assert_eq "_dsichan _dsid _dsikey _dsiss _dsisskey" "$(cut -d: -f1 "$tree/etc/passwd" | grep '^_dsi' | sort | paste -sd' ')" \
	"the users of SECURITY.md's table are there"
assert_match '^dsi:' "$(grep '^dsi:' "$tree/etc/group")" "the group of local callers too"
assert_eq "0700 _dsid 0700 _dsiss 0755 root" "$(for d in lib/dsi/dsid lib/dsi/dsi-ss lib/dsi; do
	in_tree stat -c '0%a %U' "/var/$d"; done | paste -sd' ')" "state lies where only its daemon reads it"
for program in dsid dsi-ss dsi-admin; do
	assert_match '0\.1\.0' "$(in_tree "$program" --version 2>&1)" "$program runs there: every library is found"
done
assert_ok "the installed compiler takes the installed policies" in_tree dsi-admin policy check --quiet \
	/usr/share/dsi/policies/base /usr/share/dsi/policies/examples/two-tier-web.dsp >/dev/null
assert_eq "" "$(in_tree systemd-analyze verify --man=no dsid.service dsi-ss.service 2>&1 | grep -i dsi)" "systemd takes the units"
assert_fails "and starts none by itself" test -e "$tree/etc/systemd/system/multi-user.target.wants/dsid.service"
assert_eq "" "$(rpm_in -V --nodeps dsi dsi-lab)" "rpm -V finds nothing changed"
requires=$(rpm -qpR "$package")
assert_match 'corosync >= 3\.1' "$requires" "it asks for corosync"
assert_eq "" "$(grep -oE '^lib[a-z0-9_.+-]+\.so\.[0-9]+' <<<"$requires" | sort -u | while read -r lib; do
	in_tree ldconfig -p | grep -q "$lib" || echo "$lib"; done)" "and for no library that a node does not have"

# --- kept, changed, taken out
echo "# changed here" >>"$tree/etc/corosync/uidgid.d/dsi"
mkdir -p "$tree/etc/dsi/keys"
echo secret >"$tree/etc/dsi/keys/node.key"
assert_match '^S\..*c /etc/corosync/uidgid.d/dsi$' "$(rpm_in -V --nodeps dsi)" "rpm -V finds a changed file"
assert_ok "it is installed over itself" rpm_in -U --nodeps --replacepkgs "$package"
assert_match "changed here" "$(cat "$tree/etc/corosync/uidgid.d/dsi")" "what was configured stays"
assert_ok "rpm -e" rpm_in -e --nodeps dsi dsi-lab
assert_eq "/etc/corosync/uidgid.d/dsi.rpmsave" "$(cd "$tree" && find usr etc -xdev ! -type d | LC_ALL=C sort |
	comm -13 <(echo "$before") - | sed 's|^|/|' | grep -vE '^/etc/(passwd|group|g?shadow)-?$|^/etc/dsi/keys/')" "takes out all but what was changed"
assert_eq secret "$(cat "$tree/etc/dsi/keys/node.key")" "keys stay, for who installs it again"
umount "$tree/proc" "$tree"
done_testing
