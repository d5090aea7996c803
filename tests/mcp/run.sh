#!/usr/bin/env bash
# Runs the example mcp_server against a real MCP client, a real authorization server, and the
# conformance suite of MCP as far as it is for any server (all from npm).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
work=$target/mcp
here=tests/mcp
mkdir -p "$work"

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if ((${#missing[@]})); then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

# node looks for node_modules next to the script, and that must not be the source tree.
cp "$here/check.mjs" "$here/package.json" "$work"
if ! cmp -s "$here/package-lock.json" "$work/package-lock.json" || [[ ! -d $work/node_modules ]]; then
    rm -rf "$work/node_modules"
    cp "$here/package-lock.json" "$work"
    npm ci --prefix "$work" --engine-strict --no-audit --no-fund || { rm -f "$work/package-lock.json"; exit 1; }
fi

# In the same directory: what the example shares with the crate is built once.
cargo build --locked --manifest-path examples/mcp_server/Cargo.toml --target-dir "$target"
server=$(realpath "$target/debug/mcp_server")
cd "$work"
exec node check.mjs "$server"
