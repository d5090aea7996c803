#!/usr/bin/env bash
# Checks that jose (npm) and PyJWT (PyPI) accept tokens of this crate, and this crate theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

target=${CARGO_TARGET_DIR:-target}
work=$target/interop
here=tests/interop
mkdir -p "$work"

missing=()
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
install_debian "${missing[@]}"

install_npm "$here" "$work"
if ! cmp -s "$here/requirements.txt" "$work/venv/requirements.txt"; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/venv"
fi

source tests/support/executable.sh
cargo build --locked --features gate --bin gate
mint=$(executable interop_mint)
exec python3 "$here/check.py" "$work" "$target/debug/gate" "$mint"
