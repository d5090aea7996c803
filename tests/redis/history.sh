#!/usr/bin/env bash
# Random histories over Redis with faults, held against what the store promises. See
# tests/redis/history/main.rs for what is checked.
#
# Without options it is the part of the whole check: about three minutes, fixed seeds in all modes, and
# a random seed, which is printed. By hand:
#
#   bash tests/redis/history.sh --seeds 30 --seconds 60 [--mode single|processes|sentinel|cluster]
#   SEED=17 bash tests/redis/history.sh --mode cluster --seconds 60
#
# SEED reruns the plan of operations and faults of a seed that has failed. Time stays real, so it may
# take a few runs until it fails again. `--verbose` prints the faults as they are made.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/support/install.sh

needs redis-server
needs redis-sentinel
install_missing

run() { cargo test --locked --all-features --test history -- "$@"; }

if [ -n "${SEED:-}" ]; then
    run --seed "$SEED" "$@"
elif [ $# -gt 0 ]; then
    run "$@"
else
    # Each mode takes some ten seconds more, for its servers to start and to heal.
    failed=
    run --mode single --seed 4 --seconds 20 || failed=1
    run --mode processes --seed 11 --seconds 20 || failed=1
    run --mode sentinel --seed 21 --seconds 20 || failed=1
    run --mode cluster --seed 32 --seconds 20 || failed=1
    run --mode single --seeds 1 --seconds 20 || failed=1
    [ -z "$failed" ]
fi
