#!/usr/bin/env bash
# Checks what a real nginx caches of answers to cookies, and to which users it serves them. The
# server listens on a socket among temporary files.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/support/install.sh

needs nginx nginx-light
install_missing

cargo test --locked --all-features --test cache_proxy -- --nocapture "$@"
