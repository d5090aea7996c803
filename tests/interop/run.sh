#!/usr/bin/env bash
# Checks that jose (npm) and PyJWT (PyPI) accept tokens of this crate, and this crate theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

begin_suite interop

source tests/support/executable.sh
cargo build --locked --features gate --bin gate
mint=$(executable interop_mint)
exec python3 "$here/check.py" "$work" "$target/debug/gate" "$mint"
