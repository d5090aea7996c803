#!/usr/bin/env bash
# Fuzzing with libFuzzer: tests/fuzz/run.sh SECONDS [target...]
#
# Runs each target (token, signed, sources, jwks; all by default) for that long, one after the other, on one core. What
# each checks stands at its top, under fuzz_targets/. Needs a nightly toolchain and a C++ compiler; installs cargo-fuzz.
#
# seeds/ is what a run starts from, and keys in it are for nothing else. What a run finds goes to corpus/, what makes a
# target fail to artifacts/; neither is kept in git. Lines "note:" count what is remarkable and no failure. A failing input
# runs again with
#     cargo +nightly fuzz run --fuzz-dir tests/fuzz TARGET FILE
# and is made smaller by `tmin` in place of `run`.
set -euo pipefail
seconds=${1:?"usage: run.sh SECONDS [target...]"}
shift
cd "$(dirname "${BASH_SOURCE[0]}")"
(($#)) || set -- token signed sources jwks

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
# What is freed is held back for a while, and counts as memory in use.
export ASAN_OPTIONS=quarantine_size_mb=32${ASAN_OPTIONS:+:$ASAN_OPTIONS}

for target; do
    printf '\n== %s\n' "$target"
    mkdir -p "corpus/$target"
    # Longer than the longest token, 8 KiB.
    cargo +nightly fuzz run --fuzz-dir . --jobs 1 "$target" "corpus/$target" "seeds/$target" -- \
        -dict=dict -max_len=9000 -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=64 \
        -print_final_stats=1
done
