#!/usr/bin/env bash
# Fuzzing with libFuzzer: tests/fuzz/run.sh [SECONDS [target...]]
#
# Runs each target (token, signed, sources, jwks; all by default) for so many seconds, one after the
# other, on one core. The default is 900 seconds. With 0 it runs only the seeds. The head of each
# file in fuzz_targets/ says what the target checks.
#
# Needs Rust by rustup, of any channel: other toolchains lack the runtime of AddressSanitizer.
#
# A run starts from seeds/, whose keys have no other use. New inputs go to corpus/, failing ones to
# artifacts/; git ignores both. Lines "count:" tell how far the inputs got. Lines "note:" tell what
# is remarkable and not a failure. Afterwards, in target/*/release:
#     TARGET FILE                                   runs a failing input again
#     TARGET -minimize_crash=1 -runs=100000 FILE    makes it smaller
#     TARGET -merge=1 seeds/TARGET corpus/TARGET    adds to the seeds what the corpus reaches
set -euo pipefail
seconds=${1:-900}
shift $(($# > 0))
cd "$(dirname "${BASH_SOURCE[0]}")"
(($#)) || set -- token signed sources jwks

source ../support/install.sh
needs c++ g++
install_missing

# What `cargo fuzz` would set. A stable toolchain has AddressSanitizer, but its flag is unstable.
flags=(
    -Zsanitizer=address
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Ccodegen-units=1
    -Cdebug-assertions
    --cfg=fuzzing
)
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=$PWD/target
# With a named target, the flags do not apply to build scripts. Not --locked: the dependencies of
# the crate change.
RUSTC_BOOTSTRAP=1 RUSTFLAGS=${flags[*]} cargo build --release --bins --target "$host"

options=(
    -dict=dict
    # More than the longest token, 8 KiB.
    -max_len=9000
    -timeout=5
    -rss_limit_mb=512
    -malloc_limit_mb=32
    -print_final_stats=1
)
# Freed memory is held back for a while, and is counted as used.
export ASAN_OPTIONS=quarantine_size_mb=32${ASAN_OPTIONS:+:$ASAN_OPTIONS}

for target; do
    printf '\n== fuzzing: %s\n' "$target"
    mkdir -p "corpus/$target" "artifacts/$target"
    run=("target/$host/release/$target" "${options[@]}" "-artifact_prefix=artifacts/$target/")
    if ((seconds)); then
        "${run[@]}" "-max_total_time=$seconds" "corpus/$target" "seeds/$target"
    else
        "${run[@]}" -runs=0 "seeds/$target"
    fi
done
