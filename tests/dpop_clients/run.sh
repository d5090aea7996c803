#!/usr/bin/env bash
# Runs DPoP clients of others, `oauth4webapi` and `dpop`, against the test target dpop_clients. The
# tokens are of a real authorization server, `oidc-provider` (all from npm).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

target=${CARGO_TARGET_DIR:-target}
work=$target/dpop_clients
here=tests/dpop_clients
mkdir -p "$work"

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v python3 >/dev/null || missing+=(python3)
install_debian "${missing[@]}"

install_npm "$here" "$work"

source tests/support/executable.sh
service=$(executable dpop_clients --features introspection)
cd "$work"
exec node check.mjs "$service"
