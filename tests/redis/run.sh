#!/usr/bin/env bash
# The store in Redis with real servers: single, with replicas, under Sentinels, in a Cluster, and all
# of them failing. Then random histories for three minutes, the bench, to see that it runs, and the
# example `many_nodes`. Servers listen on free ports and keep their files in temporary directories.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/support/install.sh

needs curl
needs redis-server
needs redis-sentinel
install_missing

cargo test --locked --all-features --test redis "$@"
bash tests/redis/history.sh
cargo test --locked --all-features --bench redis

cargo build --locked --all-features --example many_nodes
work=$(mktemp -d)
trap 'kill "${node:-}" "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
redis-server --unixsocket "$work/socket" --port 0 --save "" --dir "$work" >/dev/null &
server=$!
REDIS_URL="unix://$work/socket" PORT=0 "${CARGO_TARGET_DIR:-target}/debug/examples/many_nodes" >"$work/printed" &
node=$!
for _ in $(seq 100); do
    # The last line is an empty one.
    [ "$(wc -l <"$work/printed")" -gt 5 ] && [ -z "$(tail -n 1 "$work/printed")" ] && break
    kill -0 "$node" || { echo "many_nodes did not start"; exit 1; }
    sleep 0.1
done
tail -n +2 "$work/printed" >"$work/lines"
got=$(bash "$work/lines" 2>/dev/null | tr -d '\r' | sed -n 's/^HTTP\/1.1 \([0-9]*\).*/\1/p' | paste -sd' ')
echo "many_nodes: $got"
[ "$got" = "200 200 204 401 401" ]
