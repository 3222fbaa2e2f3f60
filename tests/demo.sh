#!/bin/bash
# The main job as a table: sudo make demo. Exit 0 only if every row held.
set -u
# shellcheck source=tests/main-job/lib.sh
. "$(dirname "$0")/main-job/lib.sh"
# shellcheck source=tests/main-job/rows.sh
. "$(dirname "$0")/main-job/rows.sh"

job_begin --kernel "${DSI_KERNEL:-6.1}"
cluster_made
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
job_end
