#!/usr/bin/env bash
# Runs a service of this crate against a real OpenID provider, oidc-provider (npm).
# `run.sh STEP…` runs some of the steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

begin_suite provider

source tests/support/executable.sh
cargo build --locked --features jwks --example social_login --example openid_provider
check=$(executable provider_check --features introspection)
exec "$check" "$work" "$@"
