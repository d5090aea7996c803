#!/usr/bin/env bash
# Measures requests a second over sockets, with cached RS256 tokens: this crate, an extractor
# written by hand, and no authentication. The server has one processor, wrk the other. Five rounds
# in turns, compared by medians. Installs wrk, a Debian package, as root if it is missing.
set -euo pipefail
cd "$(dirname "$0")"
rounds=${1:-5} seconds=${2:-4}

command -v wrk > /dev/null || apt-get install -y wrk > /dev/null
cargo build --locked --release
peers=${CARGO_TARGET_DIR:-target}/release/peers
token=$("$peers" token)
work=$(mktemp -d)
trap 'rm -rf "$work"; [[ -z ${server:-} ]] || kill "$server"' EXIT

run() {
    taskset -c 0 "$peers" serve "$1" &
    server=$!
    until curl -so /dev/null http://127.0.0.1:3999/; do sleep 0.1; done
    [[ $(curl -so /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" http://127.0.0.1:3999/me) == 200 ]]
    taskset -c 1 wrk -t1 -c32 -d"${seconds}s" -H "Authorization: Bearer $token" http://127.0.0.1:3999/me \
        | awk '/^Requests\/sec/ { print $2 }' >> "$work/$1"
    kill "$server"
    wait "$server" 2> /dev/null || true
    server=
}

for ((round = 0; round < rounds; round++)); do
    for which in bare ours by-hand; do run "$which"; done
done
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
for which in bare ours by-hand; do
    # Round by round, so that a machine whose speed drifts favours none.
    ratio=$(paste "$work/$which" "$work/bare" | awk '{ print $1 / $2 }' | median)
    printf '%-8s %8.0f requests a second, %.2f of the bare server\n' "$which" "$(median < "$work/$which")" "$ratio"
done
