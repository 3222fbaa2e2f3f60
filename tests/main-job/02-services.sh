# shellcheck shell=bash
# Services, chapter 2 of the main job: one row, one function; main-job/lib.sh has the words. SERVICES_NODE is where (n1 in the
# demo). Programs are the installed examples: dsi-example-provider, dsi-example-client.
EXAMPLES=/usr/libexec/dsi
SERVICES_NODE=${SERVICES_NODE:-n1}
SERVICES_RATE=${SERVICES_RATE:-500} # requests a second

# --- words ---------------------------------------------------------------------------------------------------------

provider_start() { # TAG NAME VERSION [MS]: its output in /tmp/svc.TAG there
	local tag=$1
	shift
	lab exec -d "$SERVICES_NODE" -- sh -c "exec $EXAMPLES/dsi-example-provider $* >/tmp/svc.$tag 2>&1"
	wait_until 30 provider_said "$tag" announced 1
}
provider_said() { # TAG WORD TIMES: so often at least
	local n
	n=$(on "$SERVICES_NODE" grep -c "^$2\$" "/tmp/svc.$1") && ((n >= $3))
}
client_hears() { # NAME TEXT PATTERN
	local out
	out=$(on "$SERVICES_NODE" "$EXAMPLES/dsi-example-client" "$1" "$2") || return 1
	grep -qx "$3" <<<"$out" || { echo "heard: $out"; return 1; }
}
service_is() { # NAME FILTER: of the generations of the service, as JSON
	ask "$SERVICES_NODE" "[.services[] | select(.name == \"$1\")] | $2" service list >/dev/null
}
provider_killed() { # NAME
	local pid
	pid=$(ask "$SERVICES_NODE" "[.services[] | select(.name == \"$1\" and .state == \"serving\")][0].pid" service list) &&
		on "$SERVICES_NODE" kill -KILL "$pid"
}
load_start() { # TAG NAME TEXT SECONDS: requests at the rate, in the background there; its sum in /tmp/svc.load.TAG
	lab exec -d "$SERVICES_NODE" -- sh -c \
		"exec $EXAMPLES/dsi-example-client $2 $3 $(($4 * SERVICES_RATE)) $SERVICES_RATE >/tmp/svc.load.$1 2>&1"
}
load_sum() { on "$SERVICES_NODE" grep "^sent" "/tmp/svc.load.$1"; }
load_lost_none() { # TAG
	load_sum "$1" >"$JOB_LOG/load.$1" && grep -q ' lost 0 ' "$JOB_LOG/load.$1" || { cat "$JOB_LOG/load.$1"; return 1; }
}
load_measured() { # TAG
	measured "$(awk '/^sent/ { printf "%d requests, %d lost, %d/s reached, slowest %d ms", $2, $6, $2 * 1000 / $11, $8 / 1000 }' \
		"$JOB_LOG/load.$1" 2>/dev/null)"
}
provider_refused() { # USER NAME: announcing is refused
	local status=0
	on "$SERVICES_NODE" setpriv --reuid "$1" --clear-groups "$EXAMPLES/dsi-example-provider" "$2" v1 >"$JOB_LOG/refused" 2>&1 || status=$?
	[[ $status = 1 ]] && grep -q 'not permitted' "$JOB_LOG/refused" || { cat "$JOB_LOG/refused"; return 1; }
}
refusal_says() { # NAME TEXT: the newest refusal of the service
	local id
	id=$(ask "$SERVICES_NODE" "[.denials[] | select(.class == \"service\" and (.detail | startswith(\"service $1,\")))][0].id" denials --local) &&
		admin "$SERVICES_NODE" explain "$id" --local | grep -q "$2"
}

# --- rows ----------------------------------------------------------------------------------------------------------

services_listed() {
	row "services of a node, dsid's own: announced, found"
	check "access control is there" service_is dsi.access 'length == 1 and .[0].kind == "builtin" and (.[0].state | . == "serving" or . == "degraded")'
	check "shown by name" admin "$SERVICES_NODE" service show dsi.access
	check "what is not there is named" on "$SERVICES_NODE" sh -c '! dsi-admin service show no.such 2>/tmp/out && grep -q "no service .no.such." /tmp/out'
	check "a program asks it" client_hears dsi.access state '{"policy":.*'
	check "a program hears who it is" on "$SERVICES_NODE" sh -c "$EXAMPLES/dsi-example-client --whoami | grep '^pid [0-9]* uid 0 start [1-9]'"
}

service_used() {
	row "a provider from outside announces itself and serves"
	check "it announces" provider_start one time.example v1
	check "it is listed" service_is time.example 'length == 1 and .[0].kind == "provider" and .[0].state == "serving" and .[0].version == "v1"'
	check "a program uses it" client_hears time.example hello 'v1 [0-9]*: hello'

}

service_killed() {
	row "the provider is killed: gone from the list, and back"
	check "killed" provider_killed time.example
	check_until 20 "gone" service_is time.example 'length == 0'
	check "asked for, it is not there" on "$SERVICES_NODE" sh -c "! $EXAMPLES/dsi-example-client time.example x"
	check "started again" provider_start two time.example v2
	check "it serves" client_hears time.example hello 'v2 [0-9]*: hello'
}

service_replaced() {
	row "replaced at run time under $SERVICES_RATE requests a second, none lost"
	check "load begins" load_start outside time.example x 6
	check_until 20 "it is answered" service_is time.example '.[0].answered > 100'
	check "a new generation takes over" provider_start three time.example v3
	check_until 20 "the old one has ended by itself" provider_said two drained 1
	check "and another" provider_start four time.example v4
	check_until 20 "the one before too" provider_said three drained 1
	check_until 120 "load ends" load_sum outside
	check "every request was answered" load_lost_none outside
	load_measured outside
	check "the last one serves" client_hears time.example hello 'v4 [0-9]*: hello'
	check "stopped by an administrator, it answers and ends" admin "$SERVICES_NODE" service stop time.example
	check_until 20 "it has ended by itself" provider_said four drained 1
}

own_service_replaced() {
	row "access control itself replaced under $SERVICES_RATE requests a second, none lost"
	check "load begins" load_start own dsi.access state 4
	check_until 20 "it is answered" service_is dsi.access '.[0].answered > 100'
	check "replaced" admin "$SERVICES_NODE" service replace dsi.access
	check_until 20 "one generation is left" service_is dsi.access 'length == 1'
	check "replaced again" admin "$SERVICES_NODE" service replace dsi.access
	check "restarted" admin "$SERVICES_NODE" service restart dsi.access
	check_until 120 "load ends" load_sum own
	check "every request was answered" load_lost_none own
	load_measured own
	check "one from outside replaces itself, says the tool" on "$SERVICES_NODE" sh -c '! dsi-admin service replace no.such 2>/tmp/out && grep -q "no such service" /tmp/out'
}

service_refused() {
	row "announcing without a right is refused, and explained"
	check "nobody may not" provider_refused nobody time.nobody
	check_until 30 "it is among the refusals" refusal_says time.nobody 'no rule lets it announce this'
	check "root may not take DSI's own names" provider_refused root dsi.audit
	check_until 30 "that too" refusal_says dsi.audit 'no rule lets it announce this'
	check "nor the place of one that is there" provider_refused root dsi.access
}

chapter_2() {
	chapter "services"
	services_listed
	service_used
	service_killed
	service_replaced
	own_service_replaced
	service_refused
}
