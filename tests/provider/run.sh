#!/usr/bin/env bash
# Runs a service of this crate against a real OpenID provider, oidc-provider (npm).
# `run.sh STEP…` runs some of the steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
work=$target/provider
here=tests/provider
mkdir -p "$work"

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if ((${#missing[@]})); then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

# node looks for node_modules next to the script, and that must not be the source tree.
cp "$here/provider.mjs" "$here/package.json" "$work"
if ! cmp -s "$here/package-lock.json" "$work/package-lock.json" || [[ ! -d $work/node_modules ]]; then
    rm -rf "$work/node_modules"
    cp "$here/package-lock.json" "$work"
    npm ci --prefix "$work" --engine-strict --no-audit --no-fund || { rm -f "$work/package-lock.json"; exit 1; }
fi

source tests/support/executable.sh
cargo build --locked --features jwks --example social_login --example openid_provider
check=$(executable provider_check --features introspection)
exec "$check" "$work" "$@"
