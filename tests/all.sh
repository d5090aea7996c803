#!/usr/bin/env bash
# The whole check. It stops at the first failure and skips nothing. It installs what it needs
# besides Rust: Debian packages as root, and packages of npm and PyPI under target/.
set -euo pipefail
cd "$(dirname "$0")/.."
# Each thing is built once: without debug information and incremental state, in half the time.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

# The feature sets: all, default, none, the layer without axum, and the other crypto back-end with
# and without axum.
plain_tower=(--no-default-features --features aws_lc_rs)
rust_crypto=(--no-default-features --features axum,rust_crypto,testing,tracing)
plain_rust_crypto=(--no-default-features --features rust_crypto)

step "format"
for package in . benches/peers examples/mcp_server tests/fuzz; do
    cargo fmt --check --manifest-path "$package/Cargo.toml"
done

step "clippy"
cargo clippy --locked --all-targets --all-features -- -D warnings
# `--all-targets` leaves out the test targets that `cargo test` skips.
cargo clippy --locked --all-features --test "*" -- -D warnings
cargo clippy --locked --all-targets -- -D warnings
cargo clippy --locked --all-targets --no-default-features -- -D warnings
cargo clippy --locked --all-targets "${plain_tower[@]}" -- -D warnings
cargo clippy --locked --all-targets "${rust_crypto[@]}" -- -D warnings
cargo clippy --locked --all-targets "${plain_rust_crypto[@]}" -- -D warnings
for feature in axum introspection jwks redis testing tracing; do
    cargo clippy --locked --lib --no-default-features --features "$feature" -- -D warnings
done

step "rust-version"
bash tests/rust-version.sh

step "tests, default features"
cargo test --locked
step "tests, all features"
cargo test --locked --all-features
step "races, ten thousand rounds"
RACE_ROUNDS=10000 cargo test --locked --all-features --test sessions l06
step "a flood of DPoP proofs"
FLOOD_PROOFS=100000 cargo test --locked --all-features --test dpop_flood
step "tests, plain tower without axum"
cargo test --locked "${plain_tower[@]}"

step "tests, the other crypto back-end"
cargo test --locked "${rust_crypto[@]}"
step "tests, the other crypto back-end without axum"
cargo test --locked "${plain_rust_crypto[@]}"
step "either crypto back-end is linked alone"
for pair in aws_lc_rs:rsa rust_crypto:aws-lc-rs; do
    tree=$(cargo tree --locked -e normal --no-default-features --features "${pair%:*}" --prefix none)
    if grep "^${pair#*:} " <<< "$tree"; then exit 1; fi
done

step "no Redis without its feature"
tree=$(cargo tree --locked -e normal --features jwks,embedded,testing --prefix none)
if grep -E "^(redis|aes) " <<< "$tree"; then exit 1; fi

step "benches run"
cargo test --locked --bench cache_hit --bench cache_miss --bench dpop --bench revocation
cargo test --locked --all-features --bench growth --bench introspection --bench remote_keys
step "the bench beside other crates builds"
cargo check --locked --manifest-path benches/peers/Cargo.toml

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps "${plain_tower[@]}"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps "${plain_rust_crypto[@]}"

step "examples"
bash tests/examples.sh

step "interoperation with jose and PyJWT"
bash tests/interop/run.sh

step "a real OpenID provider"
bash tests/provider/run.sh

step "DPoP clients of others"
bash tests/dpop_clients/run.sh

step "an MCP server with a real client"
bash tests/mcp/run.sh

step "real browsers"
bash tests/browser/run.sh

step "axios, ky, Java, curl and oauth4webapi"
bash tests/clients/run.sh

step "a real nginx cache in front"
bash tests/cache_proxy/run.sh

step "mutual TLS behind a real haproxy"
bash tests/mtls_proxy/run.sh

step "stores in a real Redis"
bash tests/redis/run.sh

step "fuzz targets, the seeds"
bash tests/fuzz/run.sh 0

step "all passed"
