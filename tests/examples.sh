#!/usr/bin/env bash
# Runs the examples, and pastes the lines that they print.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/support/install.sh
needs curl
install_missing

work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cargo build --locked --examples --all-features

# paste_lines EXAMPLE STATUSES: runs what it prints below the first line. Answers: $work/answers.
paste_lines() {
    local example=$1 want=$2
    PORT=0 REVOKED="$work/revoked" "${CARGO_TARGET_DIR:-target}/debug/examples/$example" >"$work/printed" &
    server=$!
    for _ in $(seq 100); do
        # The last line is an empty one.
        [ -s "$work/printed" ] && [ -z "$(tail -n 1 "$work/printed")" ] && [ "$(wc -l <"$work/printed")" -gt 5 ] && break
        kill -0 "$server" || { echo "$example did not start"; exit 1; }
        sleep 0.1
    done
    tail -n +2 "$work/printed" >"$work/lines"
    (cd "$work" && bash lines 2>/dev/null | tr -d "\r" >answers)
    kill "$server"
    wait "$server" 2>/dev/null || true
    local got
    got=$(sed -n 's/^HTTP\/1.1 \([0-9]*\).*/\1/p' "$work/answers" | paste -sd' ')
    echo "$example: $got"
    [ "$got" = "$want" ] || { cat "$work/answers"; exit 1; }
}

expect() {
    local want=$1 got
    got=$(grep -cE "$2" "$work/answers" || true)
    if [ "$got" != "$want" ]; then
        echo "expected $want times: $2"
        cat "$work/answers"
        exit 1
    fi
}

paste_lines quickstart "200 200 401 403 200 200 403 204 401 401"
expect 2 '"name":"Demo User"'
expect 1 '^www-authenticate: Bearer realm="api"$'
expect 1 'error="insufficient_scope".* scope="notes:write"'
expect 2 'Demo User noted: hello'
expect 2 'error="invalid_token"'

paste_lines guards "200 403 200 403 200"
expect 1 'scope="orders:read orders:approve"'
expect 1 '"approved_by":"bob"'

paste_lines custom_store "200 204 401 200"
expect 2 'hello alice'
expect 1 'error="invalid_token"'
echo "the examples' lines work as printed"
