#!/usr/bin/env bash
# Runs the example mcp_server against a real MCP client, a real authorization server, and the
# conformance suite of MCP as far as it is for any server (all from npm).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

begin_suite mcp

# In the same directory: what the example shares with the crate is built once.
cargo build --locked --manifest-path examples/mcp_server/Cargo.toml --target-dir "$target"
server=$(realpath "$target/debug/mcp_server")
cd "$work"
exec node check.mjs "$server"
