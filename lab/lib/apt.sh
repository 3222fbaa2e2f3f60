# shellcheck shell=bash
# apt.sh: package sources, taken from this machine's own apt configuration at
# run time. No host name is ever written in the source tree; the machine's apt
# lists, cache and configuration are never changed.
# DSI_APT_SOURCES names a sources.list to use instead.

readonly LAB_SUITE=bookworm
readonly LAB_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Prints "site release component signed-by" of this machine's Debian sources.
apt_targets() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk -v suite=$LAB_SUITE '$2 == suite || index($2, suite "-") == 1' | sort -u
}

apt_keyring() { # prints an apt option
	[[ ! -r $LAB_KEYRING ]] || echo "[signed-by=$LAB_KEYRING]"
}

# apt_sources_stable: prints a sources.list for the lab's release.
apt_sources_stable() {
	if [[ ${DSI_APT_SOURCES:-} ]]; then
		cat "$DSI_APT_SOURCES"
		return
	fi
	local site release component found=
	while read -r site release component; do
		[[ $release != *-backports* ]] || continue
		echo "deb $(apt_keyring) $site $release $component"
		found=1
	done < <(apt_targets)
	[[ $found ]] || die "$EX_UNAVAIL" "this machine's apt has no source for Debian $LAB_SUITE;" \
		"put one into a file and name it in DSI_APT_SOURCES"
}

# apt_sources_backports: the same for backports, on the site that serves the main release.
apt_sources_backports() {
	apt_sources_stable | awk -v suite=$LAB_SUITE '
		{ for (i = 1; i <= NF; i++) if ($i == suite) { $i = suite "-backports"; print; exit } }'
}

# apt_options FILE: writes the machine's own settings for fetching (proxies,
# date checks), so that a private apt behaves like the machine's.
apt_options() {
	apt-config dump | grep -E '^Acquire::(Check-|http|https|Retries|ForceIPv|AllowInsecure)' >"$1" || true
}

# apt_private DIR CMD...: runs CMD with an apt that lives in DIR only. The
# caller has written DIR/sources.list.
apt_private() {
	local dir=$1
	shift
	mkdir -p "$dir"/{lists/partial,cache/archives/partial,state}
	: >"$dir/status"
	apt_options "$dir/apt.conf"
	cat >>"$dir/apt.conf" <<-EOF
		Dir::Etc::parts "/dev/null";
		Dir::Etc::main "/dev/null";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State "$dir/state";
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		Acquire::Languages "none";
		APT::Sandbox::User "root";
		APT::Architecture "amd64";
	EOF
	APT_CONFIG=$dir/apt.conf "$@"
}
