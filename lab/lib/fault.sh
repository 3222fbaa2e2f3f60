# shellcheck shell=bash
# fault.sh: partitions, loss and delay. Partitions and loss are rules on the
# bridge of the cluster network, outside the nodes, so nothing in a node sees
# anything but silence. What is in force is written down:
#
#   LAB/faults/cuts        one line "1,2 3" per pair of groups
#   LAB/faults/loss.N      percent, both directions
#   LAB/faults/delay.N     milliseconds, of what the node sends; gone when it restarts

fault_ports() { # "1,2": prints an nft set of the ports
	printf '{ c%s }' "${1//,/, c}"
}

fault_rules() { # DIR
	local a b file id share
	echo "table bridge dsilab"
	echo "delete table bridge dsilab"
	echo "table bridge dsilab {"
	echo "chain forward {"
	echo "type filter hook forward priority 0;"
	if [[ -f $1/cuts ]]; then
		while read -r a b; do
			echo "iifname $(fault_ports "$a") oifname $(fault_ports "$b") drop"
			echo "iifname $(fault_ports "$b") oifname $(fault_ports "$a") drop"
		done <"$1/cuts"
	fi
	for file in "$1"/loss.*; do
		[[ -e $file ]] || continue
		id=${file##*.}
		share="numgen random mod 100 < $(cat "$file")"
		[[ $share != *" 100" ]] || share=''
		echo "iifname c$id $share drop"
		echo "oifname c$id $share drop"
	done
	printf '}\n}\n'
}

# A change is made in a copy, FAULTS, which becomes the truth when the kernel took it.
fault_begin() {
	FAULTS=$LAB/faults.new
	rm -rf "$FAULTS"
	mkdir -p "$LAB/faults"
	cp -a "$LAB/faults" "$FAULTS"
}

fault_commit() {
	local error
	need_tool nft
	error=$(fault_rules "$FAULTS" | net_exec nft -f - 2>&1) ||
		die "$EX_UNAVAIL" "this kernel does not take the rules (it needs nf_tables for bridges): ${error%%$'\n'*}"
	rm -rf "$LAB/faults"
	mv "$FAULTS" "$LAB/faults"
}

# fault_group "n1,n2": prints "1,2" or fails with what is wrong.
fault_group() {
	local name ids=()
	for name in ${1//,/ }; do
		node_check "$name"
		ids+=("$NODE_ID")
	done
	((${#ids[@]})) || usage_error "an empty group"
	(IFS=, && echo "${ids[*]}")
}

fault_rest() { # "1,2": all other nodes
	local i rest=()
	for ((i = 1; i <= NODES; i++)); do
		[[ ,$1, = *,$i,* ]] || rest+=("$i")
	done
	((${#rest[@]})) || usage_error "nobody is left to cut off from"
	(IFS=, && echo "${rest[*]}")
}

fault_cut() { # GROUP... ("1,2"), each against each
	local i j id ids
	ids=$(printf '%s\n' "${@//,/$'\n'}" | sort)
	id=$(uniq -d <<<"$ids" | head -n 1)
	[[ ! $id ]] || usage_error "n$id is in two groups"
	fault_begin
	for ((i = 1; i < $#; i++)); do
		for ((j = i + 1; j <= $#; j++)); do
			echo "${!i} ${!j}" >>"$FAULTS/cuts"
		done
	done
	fault_commit
}

fault_set() { # KIND ID VALUE; 0 ends it
	fault_begin
	if (($3 == 0)); then rm -f "$FAULTS/$1.$2"; else echo "$3" >"$FAULTS/$1.$2"; fi
	fault_commit
}

fault_heal() {
	local file id
	fault_begin
	for file in "$FAULTS"/delay.*; do
		[[ -e $file ]] || continue
		id=${file##*.}
		[[ $(node_state "n$id") != on ]] || "${KIND}_delay" "$id" 0
	done
	rm -f "$FAULTS"/*
	fault_commit
}

fault_show() {
	local file a b
	if [[ -f $LAB/faults/cuts ]]; then
		while read -r a b; do echo "  cut n${a//,/,n} | n${b//,/,n}"; done <"$LAB/faults/cuts"
	fi
	for file in "$LAB"/faults/*.*; do
		[[ -e $file ]] || continue
		b=${file##*/}
		echo "  n${b#*.} ${b%.*} $(cat "$file")$([[ $b = loss.* ]] && echo " %" || echo " ms")"
	done
}
