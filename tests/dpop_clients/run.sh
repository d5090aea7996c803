#!/usr/bin/env bash
# Runs DPoP clients of others, `oauth4webapi` and `dpop`, against the test target dpop_clients. The
# tokens are of a real authorization server, `oidc-provider` (all from npm).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

needs python3
begin_suite dpop_clients

source tests/support/executable.sh
service=$(executable dpop_clients --features introspection)
cd "$work"
exec node check.mjs "$service"
