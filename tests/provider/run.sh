#!/usr/bin/env bash
# Runs a service of this crate against a real OpenID provider, oidc-provider (npm).
# `run.sh STEP…` runs some of the steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

target=${CARGO_TARGET_DIR:-target}
work=$target/provider
here=tests/provider
mkdir -p "$work"

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
install_debian "${missing[@]}"

install_npm "$here" "$work"

source tests/support/executable.sh
cargo build --locked --features jwks --example social_login --example openid_provider
check=$(executable provider_check --features introspection)
exec "$check" "$work" "$@"
