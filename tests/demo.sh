#!/bin/bash
# What DSI does as a table, in chapters: sudo make demo. Exit 0 only if every row held.
# CHAPTER=N: the cluster and that chapter alone; CHAPTER=0: the cluster.
set -u
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/main-job/lib.sh"
for part in "$(dirname "$0")"/main-job/0*.sh; do
	# shellcheck source=tests/main-job/01-main-job.sh
	. "$part"
done
mapfile -t CHAPTERS < <(compgen -A function chapter_ | sed 's/chapter_//' | sort -n)
if [[ ! " 0 ${CHAPTERS[*]} " = *" ${CHAPTER:-0} "* ]]; then
	echo "there is no chapter '$CHAPTER'; there are: ${CHAPTERS[*]}" >&2
	exit 64
fi

job_begin --kernel "${DSI_KERNEL:-6.1}" --token 3000
cluster_made
[[ ! ${CHAPTER-} ]] || CHAPTERS=("$CHAPTER")
for part in "${CHAPTERS[@]}"; do
	((part == 0)) || "chapter_$part"
done
job_end
