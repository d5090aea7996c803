#!/usr/bin/env bash
# Runs axios, ky, Java's HttpClient and curl against the test target session_api: what each gets
# from refresh, logout and a protected route, by form, by JSON and by cookie. Then oauth4webapi
# against the example web_login, with a session that is bound to a key.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

needs curl
needs python3
# The compiler too: `java` runs a source file.
needs javac default-jdk-headless
begin_suite clients

source tests/support/executable.sh
features=embedded,testing
cargo build --locked --features "$features" --example web_login
api=$(executable session_api --features "$features")
# The script stops what it starts, however it ends.
exec python3 "$here/check.py" "$work" "$api" "$target/debug/examples/web_login"
