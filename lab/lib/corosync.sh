# shellcheck shell=bash
# corosync.sh: the cluster configuration that all nodes of a lab share.

cluster_address() { echo "10.77.0.$1"; } # ID
manage_address() { echo "10.78.0.$1"; }  # ID

corosync_authkey() { # FILE
	(umask 077 && head -c 256 /dev/urandom >"$1")
	chmod 400 "$1"
}

# corosync_conf LOG: prints corosync.conf. LOG: "syslog" or a file.
# openssl: NSS takes ten seconds to start in an emulated machine. Pings more
# often than the default (token / 4), so that links are up when the ring forms.
corosync_conf() {
	local i
	cat <<-EOF
		# written by dsi-lab
		totem {
		    version: 2
		    config_version: 1
		    cluster_name: dsilab
		    transport: knet
		    ip_version: ipv4
		    crypto_cipher: aes256
		    crypto_hash: sha256
		    crypto_model: openssl
		    token: $TOKEN
		    token_coefficient: 125
		    interface {
		        linknumber: 0
		        knet_ping_interval: $((TOKEN / 10))
		        knet_ping_timeout: $((TOKEN / 2))
		    }
		}
		quorum {
		    provider: corosync_votequorum
		}
		system {
		    sched_rr: no
		}
		logging {
		    to_stderr: no
		    timestamp: hires
	EOF
	if [[ $1 = syslog ]]; then
		echo "    to_syslog: yes"
	else
		printf '    to_syslog: no\n    to_logfile: yes\n    logfile: %s\n' "$1"
	fi
	echo "}"
	echo "nodelist {"
	for ((i = 1; i <= NODES; i++)); do
		printf '    node {\n        nodeid: %d\n        name: n%d\n        ring0_addr: %s\n    }\n' \
			"$i" "$i" "$(cluster_address "$i")"
	done
	echo "}"
}

# seed_common DIR NODE_ID LOG: files below DIR/etc that make the root this node.
seed_common() {
	local etc=$1/etc i
	mkdir -p "$etc/corosync/uidgid.d" "$etc/dsi-lab"
	echo "n$2" >"$etc/hostname"
	printf '%s%024d\n' "$LAB_ID" "$2" >"$etc/machine-id"
	{
		echo "127.0.0.1 localhost"
		for ((i = 1; i <= NODES; i++)); do echo "$(cluster_address "$i") n$i"; done
	} >"$etc/hosts"
	corosync_conf "$3" >"$etc/corosync/corosync.conf"
	cp -p "$LAB/authkey" "$etc/corosync/authkey"
	printf 'uidgid {\n    uid: _dsichan\n}\n' >"$etc/corosync/uidgid.d/dsi"
	{
		echo "# the lab this node lives in, for scripts"
		echo "LAB_NODE=n$2"
		echo "LAB_NODES=\"$(node_names | paste -sd' ')\""
		echo "LAB_SERVERS=\"$(for ((i = 1; i <= NODES; i++)); do if node_is_server $i; then echo "n$i"; fi; done | paste -sd' ')\""
		echo "LAB_KIND=$KIND"
	} >"$etc/dsi-lab/lab.conf"
}

# Run inside a node by `up`: waits until corosync has all members and quorum.
# Polls there, not from here: a command into an emulated machine is dear.
# shellcheck disable=SC2016 # expands in the node
readonly COROSYNC_WAIT='
end=$(($(date +%s) + $2))
until corosync-quorumtool -s 2>/dev/null | awk -v n="$1" "
	/^Quorate:/ { q = \$2 } /^Nodes:/ { m = \$2 } END { exit !(q == \"Yes\" && m == n) }"
do
	[ "$(date +%s)" -lt "$end" ] || exit 124
	sleep 0.2
done'
