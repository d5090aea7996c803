# Sourced by the checks that run a tool of their own, which is a test target that `cargo test` skips.

# executable NAME OPTION…: builds the test target, and prints the path of its executable.
executable() {
    local name=$1
    shift
    cargo test --locked --no-run --message-format=json --test "$name" "$@" | python3 -c '
import json, sys

messages = map(json.loads, sys.stdin)
built = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == sys.argv[1]]
print(*built)
' "$name"
}
