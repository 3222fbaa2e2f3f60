# bash completion for dsi-lab; tests/golden/completion.sh compares it with lab/lib/command.sh
_dsi_lab()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' words='' i
	COMPREPLY=()
	# bash takes --option=value for three words
	[ "$prev" != '=' ] || prev=${COMP_WORDS[COMP_CWORD-2]}
	[ "$cur" != '=' ] || cur=''
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--dir) ((i++)); [ "${COMP_WORDS[i]}" != '=' ] || ((i++)) ;;
		-*) ;;
		*) verb=${COMP_WORDS[i]}; break ;;
		esac
	done
	case $prev in
	--kind) words="vm netns" ;;
	--kernel) words="host 6.1 6.12" ;;
	--dir | --modules | --stage) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--nodes | --servers | --token | --append | --timeout | --loss | --delay) return ;;
	*)
		case $verb in
		'') words="up down status exec kill start pause resume cut heal net logs root help --dir --quiet --help" ;;
		up) words="--kind --nodes --servers --kernel --modules --token --append --stage --timeout --dir --no-corosync" ;;
		exec) words="-d -n -t -- n1 n2 n3" ;;
		start) words="--append n1 n2 n3" ;;
		net) words="--loss --delay n1 n2 n3" ;;
		root) words="--kernel" ;;
		kill | pause | resume | cut | logs) words="n1 n2 n3" ;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _dsi_lab dsi-lab
