#!/usr/bin/env bash
# Runs the example web_login and the test target session_api in Chromium and Firefox: cookies, other
# sites and subdomains, tabs, CORS, pages that the server renders, stolen cookies, sessions that are
# bound to a key, and Content-Security-Policy. `run.sh CASE…` runs some cases. Screenshots go to
# target/browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/install.sh

needs chromium
needs firefox-esr
needs curl
needs chromedriver chromium-driver
# Without any font the screenshots show boxes.
compgen -G '/usr/share/fonts/truetype/*/*.ttf' >/dev/null || missing+=(fonts-dejavu-core)
begin_suite browser

source tests/support/executable.sh
features=embedded,testing
cargo build --locked --features "$features" --example web_login
api=$(executable session_api --features "$features")
# The script stops what it starts, however it ends.
exec "$work/venv/bin/python" "$here/check.py" "$work" "$target/debug/examples/web_login" "$api" "$@"
