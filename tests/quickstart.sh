#!/usr/bin/env bash
# Runs the quickstart, and pastes the lines that it prints.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v curl >/dev/null || { apt-get update -q && apt-get install -qy curl; }

work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cargo build --locked --example quickstart
PORT=0 "${CARGO_TARGET_DIR:-target}/debug/examples/quickstart" >"$work/printed" &
server=$!
for _ in $(seq 100); do
    grep -q 'evil.example' "$work/printed" && break
    kill -0 "$server" || { echo "the quickstart did not start"; exit 1; }
    sleep 0.1
done

# Everything below the first line, as it stands.
tail -n +2 "$work/printed" >"$work/lines"
(cd "$work" && bash lines >answers 2>/dev/null)

expect() {
    local want=$1 got
    got=$(grep -cE "$2" "$work/answers" || true)
    if [ "$got" != "$want" ]; then
        echo "expected $want times: $2"
        cat "$work/answers"
        exit 1
    fi
}
statuses=$(sed -n 's/^HTTP\/1.1 \([0-9]*\).*/\1/p' "$work/answers" | paste -sd' ')
echo "statuses: $statuses"
[ "$statuses" = "200 200 401 200 403" ]
expect 1 '^www-authenticate: Bearer realm="api"'
expect 2 '"name":"Demo User"'
expect 1 'Demo User noted: hello'
expect 2 'application/problem\+json'
echo "the quickstart's lines work as printed"
