#!/usr/bin/env bash
# Runs axios, ky, Java's HttpClient and curl against the test target session_api: what each gets
# from refresh, logout and a protected route, by form, by JSON and by cookie. Then oauth4webapi
# against the example web_login, with a session that is bound to a key.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

target=${CARGO_TARGET_DIR:-target}
work=$target/clients
here=tests/clients
mkdir -p "$work"

missing=()
command -v curl >/dev/null || missing+=(curl)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v python3 >/dev/null || missing+=(python3)
# The compiler too: `java` runs a source file.
command -v javac >/dev/null || missing+=(default-jdk-headless)
install_debian "${missing[@]}"

install_npm "$here" "$work"

source tests/support/executable.sh
features=embedded,testing
cargo build --locked --features "$features" --example web_login
api=$(executable session_api --features "$features")
# The script stops what it starts, however it ends.
exec python3 "$here/check.py" "$work" "$api" "$target/debug/examples/web_login"
