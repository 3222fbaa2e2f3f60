#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# Services of a node with a real dsid: its own and a program's from outside, announced, found, used, killed and back,
# replaced under 500 requests a second with none lost. Threat: a program announces what it has no right to; it is
# refused, and the refusal says why.
export JOB_KIND=netns
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/../main-job/lib.sh"
# shellcheck source=tests/main-job/02-services.sh
. "$(dirname "$0")/../main-job/02-services.sh"

[[ $(id -u) = 0 ]] || skip_all "daemons that drop privileges need root"

stage_built() { # FILE: a stranger's program, with what `make install` installs and nothing else
	local stage=$TOP/build/stage pc
	pc=$(dirname "$(find "$stage" -name dsi.pc)")
	# shellcheck disable=SC2046
	gcc -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Werror -o "$JOB_LOG/built" "$stage/usr/share/dsi/examples/$1" \
		$(PKG_CONFIG_SYSROOT_DIR=$stage PKG_CONFIG_PATH=$pc pkg-config --cflags --libs dsi)
}

job_begin --nodes 2 --servers 1
export SERVICES_NODE=n2
check "init on n2" admin n2 init --cluster demo --node n2 --address 10.77.0.2:5410 --server --no-passphrase
check "services start" service_start n2 dsid dsi-ss
check_until 60 "n2 serves" active_is n2 n2

row "a program is built with the installed library alone"
check "the provider" stage_built example-provider.c
check "the client" stage_built example-client.c

services_listed
service_used
service_killed
service_replaced
own_service_replaced
service_refused

row "a list in dsid.conf: what is not on it nobody may announce, not root either"
check "time.example may" on n2 sh -c 'echo "service = time.example" >>/etc/dsi/dsid.conf'
check "a provider runs" provider_start list time.example v9
check "dsid is ended" process_ended n2 TERM dsid
check "and started" service_start n2 dsid
check_until 60 "the provider has announced again by itself" provider_said list 'announced' 2
check_until 30 "it serves" client_hears time.example x 'v9 [0-9]*: x'
check "another name is refused" provider_refused root date.example
check_until 30 "with the reason" refusal_says date.example "not among the services that dsid.conf lists"
check "the socket is everybody's, its directory root's" on n2 sh -c '
	[ "$(stat -c %a /run/dsi/dsi.sock)" = 666 ] && [ "$(stat -c %U-%a /run/dsi)" = root-755 ]'

row "the cluster knows: what n2 has is told to n1"
check "n1 enrols" enrol n1
check "its dsid starts" service_start n1 dsid
everywhere() { # NODE FILTER
	ask "$1" "[.services[] | select($2)] | length == 1" service list --cluster >/dev/null
}
check_until 60 "n1 knows n2's provider" everywhere n1 '.node == "n2" and .name == "time.example" and .version == "v9" and .present'
check_until 60 "n2 knows n1's access control" everywhere n2 '.node == "n1" and .name == "dsi.access"'
check "the provider is stopped" admin n2 service stop time.example
check_until 30 "n1 hears of it" ask n1 '[.services[] | select(.name == "time.example")] == []' service list --cluster

row "what the socket refused is counted"
check "counters name it" ask n2 '.refused_on_service_socket | has("early") and has("context") and has("slow")' counters

table
done_testing
