# shellcheck shell=bash
# Chapter 1, the main job. Each row is a function; main-job/lib.sh has the words. Policies as installed on the nodes.
POLICIES=/usr/share/dsi/policies
TWO_TIER="$POLICIES/base $POLICIES/examples/two-tier-web.dsp"

cluster_made() {
	row "1 cluster made, three nodes enrolled with one-time tokens"
	check "init on n2" admin n2 init --cluster demo --node n2 --address 10.77.0.2:5410 --server --no-passphrase
	on n2 cat /etc/dsi/operators/default.key >"$JOB_LOG/operator.key"
	check "services start on n2" service_start n2 dsid dsi-ss
	check_until 90 "n2 serves" active_is n2 n2
	timed check "n3 enrols, with a server" enrol n3
	measured "enrolment $MS ms"
	check "n3 starts, n1 enrols and starts" both service_start n3 dsid dsi-ss -- n1_joins
	check_until 120 "three voters" voters_are n2 3
	check "a used token is refused, with the reason" used_token_refused
	check "server active on n2, standby on n3" status_says n2 server.active=n2 server.standby=n3
}

n1_joins() { enrol n1 && service_start n1 dsid; }

used_token_refused() {
	! admin n1 enroll --root /tmp/again --token - --address 10.77.0.1:5499 <"$JOB_LOG/token.n1" >"$JOB_LOG/used" 2>&1 &&
		grep -q 'the token was used already' "$JOB_LOG/used" || { cat "$JOB_LOG/used"; return 1; }
}

push() { # VERSION FILE...: from n2, enforced everywhere
	local version=$1
	shift
	on n2 dsi-admin policy push "$@" >"$JOB_LOG/push" 2>&1 || { cat "$JOB_LOG/push"; return 1; }
	enforced_on_all n2 "$version"
}

policy_pushed() {
	row "2 one signed policy, enforced by every kernel"
	# shellcheck disable=SC2086
	timed check "two-tier-web pushed as version 1" push 1 $TWO_TIER
	measured "$(grep -o 'committed after [0-9]* ms, enforced on [0-9]* nodes after [0-9]* ms' "$JOB_LOG/push")"
	check "policy 1 enforced on 3 of 3 present, 0 absent, 0 lagging" \
		status_says n2 "policy.text=policy 1 enforced on 3 of 3 present, 0 absent, 0 lagging"
	check "every node says the same" status_says n1 "policy.text=policy 1 enforced on 3 of 3 present, 0 absent, 0 lagging"
}

redis_started() {
	on n3 sh -c '
		sed -i "s/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/" /etc/redis/redis.conf
		systemctl start redis-server'
}
nginx_started() {
	on n1 sh -c '
		printf "\nstream { server { listen 8080; proxy_pass 10.77.0.3:6379; } }\n" >>/etc/nginx/nginx.conf
		sed -i "s/^user .*/user root;/" /etc/nginx/nginx.conf
		echo secret >/root/secret.txt
		sed -i "s|listen \[::\]:80 default_server;|& location = /secret { alias /root/secret.txt; }|" \
			/etc/nginx/sites-available/default
		systemctl start nginx'
}

two_tier_works() {
	row "2 nginx on n1 reaches redis on n3, a root shell on n1 does not"
	check "redis starts on n3, nginx on n1" both redis_started -- nginx_started
	check_until 20 "nginx (n1) -> redis (n3): PONG" proxy_ping
	timed check "root's shell (n1) -> redis (n3): refused" direct_refused
	measured "the client hears it after $(cat "$JOB_LOG/refused_ms") ms"
	check "nginx serves its pages" http_code / 200
	check "nginx as root cannot open /root/secret.txt" http_code /secret 403
	check_until 20 "the connection's refusal is on the server" denial_of n3 default redis tcp
	check "the file's refusal is on the server" denial_of n1 nginx rootfs file
	check "explain names version and rule" explain_last
}

proxy_ping() { [[ $(on n1 timeout 10 redis-cli -h 10.77.0.1 -p 8080 ping) = PONG ]]; }
direct_refused() { # at once: a time-out would not do
	on n1 bash -c '
		start=$(date +%s%N)
		timeout 20 redis-cli -h 10.77.0.3 ping >/tmp/out 2>&1
		echo $((($(date +%s%N) - start) / 1000000))
		cat /tmp/out' >"$JOB_LOG/direct"
	head -n 1 "$JOB_LOG/direct" >"$JOB_LOG/refused_ms"
	grep -qi refused "$JOB_LOG/direct" && (($(cat "$JOB_LOG/refused_ms") < 5000))
}
# While dsid is away nobody tells the client, whose SYNs are dropped all the same.
direct_unanswered() {
	on n1 timeout 5 redis-cli -h 10.77.0.3 ping >"$JOB_LOG/direct" 2>&1
	! grep -q PONG "$JOB_LOG/direct"
}
http_code() { # PATH CODE
	[[ $(on n1 curl -s -m 10 -o /dev/null -w '%{http_code}' "http://10.77.0.1$1") = "$2" ]]
}
denial_of() { # NODE SUBJECT TARGET CLASS
	ask n2 "[.denials[] | select(.node == \"$1\" and .subject == \"$2\" and .target == \"$3\" and .class == \"$4\")] | length > 0" \
		denials
}
explain_last() {
	local id
	id=$(ask n2 '.denials[0].id' denials) && admin n2 explain "$id" | grep -q 'policy\|version'
}

right_taken_away() {
	row "3 a right taken away stops what is open, without a restart"
	local began
	connection_open
	download_begun
	check "a policy without two rights, on the node" on n2 sh -c "
		sed -e '/allow nginx@web redis@db:tcp/d' -e 's/ web_content }:file { read }/ }:file { read }/' \
			$POLICIES/examples/two-tier-web.dsp >/tmp/two-tier-web.dsp"
	began=$(now_ms)
	check "version 2 pushed and enforced" push 2 $POLICIES/base /tmp/two-tier-web.dsp
	measured "$(grep -o 'committed after [0-9]* ms, enforced on [0-9]* nodes after [0-9]* ms' "$JOB_LOG/push")"
	check_until 20 "the open connection is cut" connection_gone
	check_until 20 "the open file is read no further" on n1 test -s /tmp/download.status
	measured "both stopped $(($(now_ms) - began)) ms after the command was given"
	check "by a refusal, not by its end" on n1 sh -c '[ "$(cat /tmp/download.status)" != 0 ]'
	check "nginx was not restarted" nginx_same
	check "a new connection is refused" proxy_refused
	# shellcheck disable=SC2086
	check "the rights given back" push 3 $TWO_TIER
	check_until 20 "and both work again" both_work
}

both_work() { proxy_ping && http_code / 200; }
nginx_pid() { on n1 cat /run/nginx.pid; }
nginx_same() { [[ $(nginx_pid) = "$(cat "$JOB_LOG/nginx.pid")" ]]; }

# A slow download: nginx has the file open and reads on while it lasts.
download_begun() {
	nginx_pid >"$JOB_LOG/nginx.pid"
	check "a slow download is under way" on n1 sh -c '
		rm -f /tmp/download /tmp/download.status; truncate -s 200M /var/www/html/big'
	check "of an open file" lab exec -d n1 -- sh -c '
		curl -s -o /tmp/download --limit-rate 2M http://10.77.0.1/big; echo $? >/tmp/download.status'
	check_until 20 "it runs" on n1 sh -c '[ -s /tmp/download ] && [ ! -e /tmp/download.status ]'
}

# A client that asks through the proxy again and again on one connection, until it is cut.
connection_open() {
	check "a connection through the proxy is open" lab exec -d n1 -- bash -c '
		exec 3<>/dev/tcp/10.77.0.1/8080
		while printf "PING\r\n" >&3 && IFS= read -r -t 5 line <&3; do echo "$line" >/tmp/answer; sleep 0.2; done
		date +%s%N >/tmp/ended'
	check_until 20 "it answers" on n1 grep -q PONG /tmp/answer
	check "redis sees it" connection_there
}
connection_there() { on n3 ss -tnH state established src 10.77.0.3:6379 | grep -q 10.77.0.1; }
connection_gone() { ! connection_there; }
proxy_refused() { ! proxy_ping; }

node_thrown_out() {
	row "4 revoke-node n1: refused by all, at once"
	connection_open
	timed check "revoke-node n1" revoke n1
	measured "$(grep -o 'committed after [0-9]* ms, answered after [0-9]* ms' "$JOB_LOG/revoke")"
	check "the answer says who enforces it, after how many ms" answer_names n2 n3
	check_until 20 "its live connection is cut" connection_gone
	check "nginx (n1) -> redis (n3): refused" proxy_refused
	check "an unlabelled try from n1 is refused" on n1 sh -c '! timeout 10 redis-cli -h 10.77.0.3 ping 2>/dev/null | grep -q PONG'
	check "n1 is no member any more" ask n2 '[.nodes[] | select(.name == "n1" and .status == "revoked")] | length == 1' node list
	check "root on n1 cannot revoke anyone" on n1 sh -c '! dsi-admin revoke-node n3 --reason mine'
	check_until 30 "the other two go on" voters_are n2 2
	check_until 60 "n1 is off the ring: two members without it" cluster_is n2 "2 Yes"
	check_until 60 "n1 hears nothing of the channel any more: alone, no quorum" cluster_is n1 "1 No"
}

answer_names() { # NODE...
	local node
	for node; do grep -Eq "^$node +[0-9]+ +[0-9]+ +[0-9]+" "$JOB_LOG/revoke" || { cat "$JOB_LOG/revoke"; return 1; }; done
}

node_readmitted() {
	row "4 n1 readmitted by a new enrolment: new key, new number, a voter again"
	check "readmission by the operator" readmit n1
	check "the old key is not taken" old_key_refused
	check "n1 enrols anew" again n1
	check "n1 starts" service_start n1 dsid
	check_until 90 "three of three voters" voters_are n2 3
	check "n1 has a new number, the old one stays dead" \
		ask n2 '[.nodes[] | select(.name == "n1") | .status] == ["revoked", "bound"]' node list
	check_until 30 "nginx (n1) -> redis (n3) works again" proxy_ping
}

readmit() { admin n2 readmit-node "$1" --voter --stdout >"$JOB_LOG/token.again"; }
again() {
	on "$1" systemctl stop dsid &&
		admin "$1" enroll --again --token - --address "10.77.0.${1#n}:5410" <"$JOB_LOG/token.again"
}
old_key_refused() { # a readmission opens the name, not the key
	ask n2 '[.nodes[] | select(.name == "n1" and .status == "bound")] | length == 0' node list
}

revoke() { # NODE
	on n2 dsi-admin revoke-node "$1" --reason demo >"$JOB_LOG/revoke" 2>&1 || { cat "$JOB_LOG/revoke"; return 1; }
}

server_power_cut() {
	row "5 the active server's node is powered off: the standby carries on"
	local version began
	version=$(ask n3 .policy.version status)
	began=$(node_ms n3)
	check "power cut of n2" lab kill n2
	check_until 120 "n3 is active" active_is n3 n3
	check_until 20 "its journal says when corosync noticed" journal_noted n3 corosync "$began" 'Members left' noticed
	check_until 20 "and when n3 took over" journal_noted n3 dsid "$began" 'active server on n3' led
	measured "corosync noticed after $(($(cat "$JOB_LOG/noticed") - began)) ms, n3 active $(($(cat "$JOB_LOG/led") - $(cat "$JOB_LOG/noticed"))) ms later"
	check "nothing acknowledged is lost" status_says n3 "policy.version=$version"
	check "the operator's key is taken to n3" operator_key_to n3
	# shellcheck disable=SC2086
	check "a policy push works" admin n3 policy push $TWO_TIER --comment failover --operator /root/operator.key
	check_until 30 "enforced on 2 of 2 present, 1 absent" \
		status_says n3 "policy.version=$((version + 1))" policy.enforced=2 policy.absent=1
	check "revoking n3 while n2 is off is refused" not_revoked n3
	measured "$(grep -o 'would leave.*' "$JOB_LOG/revoke" | head -n 1)"
}

# It boots while the next row runs: the machine has two processors.
node_starts() {
	lab start n2 >"$JOB_LOG/start" 2>&1 &
	NODE_STARTS=$!
}

node_comes_back() {
	row "5 the node is started again and catches up"
	check "n2 starts" wait "$NODE_STARTS"
	check_until 60 "n2 answers" on n2 true
	check "services start" service_start n2 dsid dsi-ss
	check_until 120 "three of three voters" voters_are n3 3
	check_until 60 "it has the newest policy" status_says n3 policy.enforced=3
}

not_revoked() { ! on n3 dsi-admin revoke-node "$1" --reason demo --operator /root/operator.key >"$JOB_LOG/revoke" 2>&1; }
operator_key_to() { # NODE: an operator's key travels with the operator, not with the cluster
	on "$1" sh -c 'umask 077; cat >/root/operator.key' <"$JOB_LOG/operator.key"
}

manager_killed() {
	row "6 kill -9 of dsid on n3: its kernel goes on refusing, dsid comes back"
	check "dsid is killed" on n3 sh -c 'systemctl kill -s KILL dsid; true'
	check "n3's kernel goes on refusing" direct_unanswered
	check_until 90 "dsid is back, two of three voters present, as before" two_present n3
	check_until 60 "it enforces the newest policy" status_says n3 policy.enforced=2
	check "its pins were re-adopted" on n3 sh -c 'journalctl -u dsid --no-pager | grep -q re-adopted'
	check "nginx (n1) -> redis (n3) still works" proxy_ping
}

two_present() { status_says "$1" view.live=true view.voters=3 view.voters_present=2; }

# A fourth member on paper, with an address of n1's: three voters cannot throw one of themselves out while another
# is away, and this verdict needs neither of them.
trust_runs_out() {
	row "6 dsid stays away: remote trust runs out, and a verdict given meanwhile is not missed"
	local away
	check "dsid on n3 is killed and kept away" on n3 sh -c 'systemctl kill -s KILL dsid; systemctl stop dsid; ! pgrep -x dsid'
	away=$(now_ms)
	check "a token for n4" token_for_n4
	check "n4 is a member" admin n1 enroll --root /tmp/n4 --token - --address 10.77.0.4:5410 --no-ring <"$JOB_LOG/token.n4"
	check "n1 has its address too" on n1 sh -c 'ip addr add 10.77.0.4/32 dev "$(ip -o route get 10.77.0.3 | sed "s/.* dev \([^ ]*\).*/\1/")"'
	check_until 120 "n3's kernel trusts n1 no longer" proxy_refused
	measured "after $(($(now_ms) - away)) ms"
	check "a verdict on n4, meanwhile" revoke n4
	check "dsid on n3 comes back" service_start n3 dsid
	check_until 90 "three of three voters" voters_are n2 3
	check_until 60 "nginx (n1) -> redis (n3) works again" proxy_ping
	check "n3's kernel refuses n4" on n1 sh -c '! curl -s -m 5 --interface 10.77.0.4 telnet://10.77.0.3:6379 </dev/null'
	check_until 30 "because it is revoked" ask n2 \
		'[.denials[] | select(.node == "n3" and .subject_node == "n4" or (.detail | contains("10.77.0.4"))) | select(.reason | test("revoked"))] | length > 0' denials
}

token_for_n4() { admin n2 join-token n4 --stdout >"$JOB_LOG/token.n4"; }

# One connection after the other through the proxy, while every daemon of every node is restarted in turn.
rolling_restart() {
	row "6 every dsid and dsi-ss restarted in turn under traffic: nobody allowed is refused"
	local node
	check "traffic" lab exec -d n1 -- sh -c '
		rm -f /tmp/stop /tmp/done /tmp/good /tmp/bad
		while [ ! -e /tmp/stop ]; do
			if [ "$(timeout 20 redis-cli -h 10.77.0.1 -p 8080 ping 2>&1)" = PONG ]; then echo >>/tmp/good; else date +%T.%N >>/tmp/bad; fi
		done
		echo >/tmp/done'
	for node in n1 n2 n3; do
		# shellcheck disable=SC2046 # words
		STEP_SECONDS=180 check "its daemons restart on $node" on "$node" systemctl restart $(daemons_of "$node")
		check_until 90 "three of three voters, a server is active" three_live "$node"
	done
	check_until 30 "traffic ends" on n1 sh -c 'touch /tmp/stop; [ -e /tmp/done ]'
	check "some was there" on n1 sh -c '[ "$(wc -l </tmp/good)" -ge 10 ]'
	check "none was refused" on n1 sh -c '[ ! -e /tmp/bad ] || { cat /tmp/bad; false; }'
	measured "$(on n1 wc -l /tmp/good | cut -d' ' -f1) connections, $(on n1 sh -c 'cat /tmp/bad 2>/dev/null | wc -l') refused"
}

daemons_of() { [[ $1 = n1 ]] && echo dsid || echo dsid dsi-ss; } # NODE
three_live() { status_says "$1" view.live=true server.active!= view.voters_present=3; }

server_revoked() {
	row "5 the active server's own node is revoked: the other server carries on"
	local active other
	active=$(ask n1 .server.active status)
	[[ $active = n3 ]] && other=n2 || other=n3
	check "the operator's key is on $other" on "$other" sh -c 'umask 077; cat >/root/operator.key' <"$JOB_LOG/operator.key"
	timed check "revoke-node $active" revoke_from "$other" "$active"
	measured "$(grep -o 'committed after [0-9]* ms, answered after [0-9]* ms' "$JOB_LOG/revoke")"
	check_until 60 "$other is the active server" active_is "$other" "$other"
	check_until 60 "both voters are there" voters_are "$other" 2
	# shellcheck disable=SC2086
	check "a policy push works" admin "$other" policy push $TWO_TIER --comment after --operator /root/operator.key
}

revoke_from() { # FROM NODE
	on "$1" dsi-admin revoke-node "$2" --reason demo --operator /root/operator.key >"$JOB_LOG/revoke" 2>&1 || {
		cat "$JOB_LOG/revoke"
		return 1
	}
}

chapter_1() {
	chapter "the main job"
	policy_pushed
	two_tier_works
	right_taken_away
	node_thrown_out
	node_readmitted
	server_power_cut
	node_starts
	manager_killed
	node_comes_back
	trust_runs_out
	rolling_restart
	server_revoked
}
