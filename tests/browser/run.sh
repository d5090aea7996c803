#!/usr/bin/env bash
# Runs the example web_login and the test target session_api in Chromium and Firefox: cookies, other
# sites and subdomains, tabs, CORS, pages that the server renders, stolen cookies, sessions that are
# bound to a key, and Content-Security-Policy. `run.sh CASE…` runs some cases. Screenshots go to target/browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

target=${CARGO_TARGET_DIR:-target}
work=$target/browser
here=tests/browser
mkdir -p "$work"

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v firefox-esr >/dev/null || missing+=(firefox-esr)
command -v curl >/dev/null || missing+=(curl)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
# Without any font the screenshots show boxes.
compgen -G '/usr/share/fonts/truetype/*/*.ttf' >/dev/null || missing+=(fonts-dejavu-core)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
install_debian "${missing[@]}"

if ! cmp -s "$here/requirements.txt" "$work/venv/requirements.txt"; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/venv"
fi

source tests/support/executable.sh
features=embedded,testing
cargo build --locked --features "$features" --example web_login
api=$(executable session_api --features "$features")
# The script stops what it starts, however it ends.
exec "$work/venv/bin/python" "$here/check.py" "$work" "$target/debug/examples/web_login" "$api" "$@"
