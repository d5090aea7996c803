#!/usr/bin/env bash
# Checks what a real nginx caches of answers to cookies, and to which users it serves them. The
# server listens on a socket among temporary files.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v nginx >/dev/null || {
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends nginx-light
}

cargo test --locked --all-features --test cache_proxy -- --nocapture "$@"
