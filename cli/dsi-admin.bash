# bash completion for dsi-admin; written by `dsi-admin completion`, do not edit
_dsi_admin()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' options=''
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="init join-token enroll status wait node revoke-node readmit-node withdraw isolate depose failover policy denials explain log counters operator cluster backup restore completion"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
	fi
	if [ "$prev" = --output-as ]; then
		mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur")
		return
	fi
	if [ "$COMP_CWORD" -eq 2 ]; then
		case "${COMP_WORDS[1]}" in
	node) words="list promote demote remove" ;;
	policy) words="check compile diff explain push confirm rollback show history" ;;
	operator) words="new show" ;;
	cluster) words="reform" ;;
		esac
	fi
	options=" --output-as --root --quiet --help"
	case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
	"init "*) options+=" --cluster --node --address --addr --server --operator-name --add-operator --root-key --no-passphrase --passphrase-fd" ;;
	"join-token "*) options+=" --voter --server --expires --out --stdout --operator --passphrase-fd --timeout" ;;
	"enroll "*) options+=" --token --address --addr --again --no-ring --contact --timeout" ;;
	"status "*) options+=" --server" ;;
	"wait "*) options+=" --timeout" ;;
	"node promote") options+=" --reason --operator --passphrase-fd --timeout" ;;
	"node demote") options+=" --reason --operator --passphrase-fd --timeout" ;;
	"node remove") options+=" --reason --operator --passphrase-fd --timeout" ;;
	"revoke-node "*) options+=" --reason --keep-on-ring --fence --until --wait --operator --passphrase-fd --timeout" ;;
	"readmit-node "*) options+=" --reason --no-token --voter --server --expires --out --stdout --operator --passphrase-fd --timeout" ;;
	"withdraw "*) options+=" --reason --operator --passphrase-fd --timeout" ;;
	"isolate "*) options+=" --local --undo" ;;
	"depose "*) options+=" --reason --operator --passphrase-fd --timeout" ;;
	"policy check") options+=" --must-allow" ;;
	"policy compile") options+=" --out --base" ;;
	"policy diff") options+=" --max" ;;
	"policy explain") options+=" --policy --node --peer --port --socket" ;;
	"policy push") options+=" --confirm-within --comment --dry-run --must-allow --operator --passphrase-fd --timeout" ;;
	"policy confirm") options+=" --operator --passphrase-fd --timeout" ;;
	"policy rollback") options+=" --confirm-within --comment --dry-run --must-allow --operator --passphrase-fd --timeout" ;;
	"policy show") options+=" --version --out" ;;
	"denials "*) options+=" --node --subject --since --after --max --follow --local" ;;
	"explain "*) options+=" --local" ;;
	"log "*) options+=" --from --max" ;;
	"counters "*) options+=" --server" ;;
	"operator new") options+=" --out --as-root-key --no-passphrase --passphrase-fd" ;;
	"cluster reform") options+=" --root-key --voters --servers --from --force --passphrase-fd --timeout" ;;
	"backup "*) options+=" --out" ;;
	esac
	case "$cur" in
	-*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur") ;;
	*) mapfile -t COMPREPLY < <(compgen -W "$words" -f -- "$cur") ;;
	esac
}
complete -o filenames -F _dsi_admin dsi-admin
