# Sourced by checks that run a tool of this repository: a test target that `cargo test` skips.

# executable NAME OPTION…: builds the test target, and prints the path of its executable.
executable() {
    local name=$1
    shift
    cargo test --locked --no-run --message-format=json --test "$name" "$@" | python3 -c '
import json, sys

for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == sys.argv[1]:
        print(message["executable"])
' "$name"
}
