#!/usr/bin/env bash
# Runs clients with certificates against a service behind a real haproxy, which is set up as the
# guide `mtls` says. The proxy listens on a socket among temporary files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

needs haproxy
install_missing

cargo test --locked --all-features --test mtls_proxy -- --nocapture "$@"
