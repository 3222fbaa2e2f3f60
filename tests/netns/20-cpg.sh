#!/bin/bash
# timeout: 300
# The ordered leg on a real corosync: channel process, proxy and session of
# three nodes agree on messages and views; deaths, freezes and partitions are
# told; a ring without encryption is refused.
#
#   n1 ── n2 ── n3   corosync (knet, aes256/sha256), one cpg_probe each,
#                    its words in /var/log/probe of the node
. "$(dirname "$0")/../lib.sh"
PROBE=${B:-$TOP/build}/tests/netns/cpg_probe
[[ $PROBE = /* ]] || PROBE=$TOP/$PROBE
LIMIT=20

unshare --net --mount true 2>/dev/null || skip_all "no namespaces here"
[[ -x $PROBE ]] || skip_all "$PROBE is not built (make tests)"
lab_use
STAGE_DIR=$(dirname "$DSI_LAB")/stage
trap 'rm -rf "$STAGE_DIR"; lab_cleanup' EXIT
mkdir -p "$STAGE_DIR/usr/bin" "$STAGE_DIR/usr/lib/sysusers.d"
cp "$PROBE" "$STAGE_DIR/usr/bin/cpg_probe"
echo 'u _dsichan - "DSI channel"' >"$STAGE_DIR/usr/lib/sysusers.d/dsi-test.conf"

incarnation=0
probe_start() { # NODE [INTERVAL [USER [sandbox]]]
	incarnation=$((incarnation + 1))
	on "$1" mkdir -p /var/log/probe
	lab exec -d "$1" -- sh -c "
		cd / && export ASAN_OPTIONS=detect_leaks=0
		exec ${3:+setpriv --reuid=$3 --regid=$3 --clear-groups} \
			cpg_probe ${1#n} $incarnation ${2:-50} ${4-} >/var/log/probe/log.$incarnation 2>&1 </dev/null"
	eval "log_$1=log.$incarnation"
}
log_of() { eval "cat \"$DSI_LAB/nodes/$1/log/probe/\$log_$1\"" 2>/dev/null; }
# Lines of the log since the last VIEW (or DOWN): what holds now.
since_view() { log_of "$1" | awk '/^(VIEW|DOWN)/ { n = 0 } { line[n++] = $0 } END { for (i = 0; i < n; i++) print line[i] }'; }
has_view() { # NODE QUORATE "MEMBERS"
	since_view "$1" | grep -q "^VIEW [0-9.]* $2 [0-9 ]* $3\$"
}
all_have() { # NODES QUORATE "MEMBERS"
	local n
	for n in $1; do has_view "$n" "$2" "$3" || return 1; done
}
messages() { since_view "$1" | grep -c '^MSG'; }
heard() { # NODE NID COUNT: in this view
	(($(since_view "$1" | grep -c "^MSG $2 [0-9]") >= $3))
}
all_heard() { # NODES COUNT: everybody heard everybody of the list
	local a b
	for a in $1; do for b in $1; do heard "$a" "${b#n}" "$2" || return 1; done; done
}
refused() { since_view "$1" | grep '^REFUSED' | grep -v '^REFUSED VIEW'; }
says() { log_of "$1" | grep -q "$2"; } # NODE PATTERN

# What the nodes delivered since their view began is one stream: the shortest is a beginning of all.
same_stream() { # NODES
	local n least=1000000 c first='' got
	for n in $1; do
		c=$(messages "$n")
		((c >= least)) || least=$c
	done
	note "$least messages in common"
	for n in $1; do
		got=$(since_view "$n" | grep '^MSG' | head -n "$least")
		[[ $first ]] || first=$got
		[[ $got = "$first" ]] || return 1
	done
}
# In every opening of a sender its numbers rise by one.
no_gaps() { # NODE
	since_view "$1" | awk '/^MSG [0-9]+ [0-9]/ { if (($2 in last) && $3 != last[$2] + 1) bad = 1; last[$2] = $3 } END { exit bad }'
}

assert_ok "three nodes" lab up --kind netns --nodes 3 --stage "$STAGE_DIR"

case_agreed() {
	local n
	for n in n1 n2 n3; do probe_start "$n" 20; done
	assert_until "$LIMIT" "one quorate view of three everywhere" all_have "n1 n2 n3" quorate "1 2 3"
	assert_match "quorate 3 3 1125 1 2 3" "$(since_view n1 | head -n 1)" "votes and the runtime token are known"
	assert_until "$LIMIT" "everybody is heard by everybody" all_heard "n1 n2 n3" 50
	assert_ok "one stream" same_stream "n1 n2 n3"
	for n in n1 n2 n3; do assert_ok "$n: numbers without gaps" no_gaps "$n"; done
	assert_eq "" "$(refused n1)" "nothing refused but what was sent in the view before"
}

case_flood() {
	local n
	for n in n1 n2 n3; do on "$n" pkill -USR1 -o cpg_probe; done
	assert_until 60 "3000 more from each, as fast as the ring takes them" all_heard "n1 n2 n3" 3000
	assert_ok "one stream" same_stream "n1 n2 n3"
	for n in n1 n2 n3; do assert_ok "$n: numbers without gaps" no_gaps "$n"; done
	assert_eq "" "$(refused n2)" "nothing refused"
}

# Its process dies, the node lives: told in milliseconds, and the ring stays the same.
case_process() {
	local ring pid
	ring=$(since_view n1 | awk '{ print $2; exit }')
	pid=$(channel_of n3)
	on n3 kill -KILL "$pid"
	assert_until 5 "the others have a view of two" all_have "n1 n2" quorate "1 2"
	assert_eq "$ring" "$(since_view n1 | awk '{ print $2; exit }')" "in the same ring"
	assert_until 5 "its parent knows" says n3 "DOWN the channel process ended"
	on n3 pkill -USR2 cpg_probe
	assert_until "$LIMIT" "the two go on" all_heard "n1 n2" 20
	probe_start n3 20
	assert_until 5 "it comes back, with its next incarnation" all_have "n1 n2 n3" quorate "1 2 3"
	assert_until "$LIMIT" "and is heard" all_heard "n1 n2 n3" 20
	assert_ok "one stream" same_stream "n1 n2 n3"
}

case_partition() {
	lab cut n1,n2 n3
	assert_until "$LIMIT" "majority: quorate without it" all_have "n1 n2" quorate "1 2"
	assert_until "$LIMIT" "minority: alone, not quorate" all_have n3 inquorate 3
	assert_until "$LIMIT" "the majority goes on" all_heard "n1 n2" 20
	assert_until "$LIMIT" "the minority hears itself" heard n3 3 20
	lab heal
	assert_until "$LIMIT" "healed: one view again" all_have "n1 n2 n3" quorate "1 2 3"
	assert_until "$LIMIT" "everybody is heard" all_heard "n1 n2 n3" 20
	assert_ok "one stream" same_stream "n1 n2 n3"
	assert_ok "nothing of another view got in" no_gaps n1
}

case_corosync_dies() {
	on n2 pkill -KILL -x corosync
	assert_until 1 "told at once" says n2 "DOWN corosync is not running"
	assert_until "$LIMIT" "the others go on" all_have "n1 n3" quorate "1 3"
	on n2 corosync
	assert_until "$LIMIT" "the channel finds it again by itself" all_have "n1 n2 n3" quorate "1 2 3"
	assert_until "$LIMIT" "and everybody is heard" all_heard "n1 n2 n3" 20
	assert_ok "one stream" same_stream "n1 n2 n3"
}

ticks() { log_of "$1" | grep -c ^TICK; }
ticks_over() { (($(ticks "$1") > $2)); }

# A stopped corosync hangs its callers for ever: the channel's matter, not its parent's.
case_corosync_frozen() {
	local before
	on n2 pkill -STOP -x corosync
	assert_until "$LIMIT" "the others lose it" all_have "n1 n3" quorate "1 3"
	before=$(ticks n2)
	assert_until 6 "the parent's loop still turns" ticks_over n2 $((before + 2))
	on n2 pkill -CONT -x corosync
	assert_until "$LIMIT" "thawed: together again" all_have "n1 n2 n3" quorate "1 2 3"
	assert_until "$LIMIT" "and everybody is heard" all_heard "n1 n2 n3" 20
	assert_ok "one stream" same_stream "n1 n2 n3"
	assert_ok "n1: numbers without gaps" no_gaps n1
}

channel_of() { log_of "$1" | awk '/^CHANNEL/ { print $2 }'; }
# Its own user, as in service; and one that corosync was not told of.
case_users() {
	on n3 pkill -USR2 cpg_probe
	assert_until "$LIMIT" "n3 left" all_have "n1 n2" quorate "1 2"
	if on n3 id _dsichan >/dev/null 2>&1; then
		on n3 sh -c 'mkdir -p /var/log/probe; chmod 1777 /var/log/probe'
		probe_start n3 50 '' sandbox
		assert_until "$LIMIT" "confined, as _dsichan" all_have "n1 n2 n3" quorate "1 2 3"
		assert_eq "_dsichan 2" "$(on n3 sh -c "ps -o user:9= -p $(channel_of n3); sed -n 's/^Seccomp:.//p' /proc/$(channel_of n3)/status" |
			xargs)" "its user and its filter"
		on n3 pkill -USR1 -o cpg_probe
		assert_until "$LIMIT" "it works there" heard n1 3 1000
		on n3 pkill -STOP -x corosync
		assert_until "$LIMIT" "the others lose it" all_have "n1 n2" quorate "1 2"
		on n3 pkill -KILL -x corosync
		assert_until 10 "a dead daemon is noticed there too" says n3 "DOWN corosync is not running"
		on n3 corosync
		assert_until "$LIMIT" "and found again" all_have "n1 n2 n3" quorate "1 2 3"
		on n3 pkill -USR2 cpg_probe
		assert_until "$LIMIT" "n3 left" all_have "n1 n2" quorate "1 2"
	else
		skip "no user _dsichan in this kind of node"
	fi
	if on n3 setpriv --reuid=nobody --regid=nogroup --clear-groups true 2>/dev/null; then
		probe_start n3 50 65534
		assert_until "$LIMIT" "another user is refused, with what to do" says n3 "DOWN corosync refuses us: allow this user"
		on n3 pkill -KILL cpg_probe
	else
		skip "no second user in this kind of node"
	fi
}

case_open_ring() {
	on n3 pkill -x corosync
	assert_until "$LIMIT" "n3's corosync ended" all_fail n3
	on n3 sed -i 's/crypto_cipher:.*/crypto_cipher: none/; s/crypto_hash:.*/crypto_hash: none/' /etc/corosync/corosync.conf
	on n3 corosync
	probe_start n3
	assert_until "$LIMIT" "no encryption, no DSI; it says what to do" says n3 "DOWN the ring is not encrypted: make a key with corosync-keygen"
	assert_fails "and no view came" says n3 ^VIEW
}
all_fail() { ! on "$1" pgrep -x corosync >/dev/null; }

case_agreed
case_flood
case_process
case_partition
case_corosync_dies
case_corosync_frozen
case_users
case_open_ring
lab down
done_testing
