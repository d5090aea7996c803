#!/usr/bin/env bash
# The quick check, for each commit: format, clippy, unit tests and the fast test binaries with all
# features. It needs Rust and a C compiler, but no root, network or npm. `tests/all.sh` is the whole
# check.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_PROFILE_DEV_DEBUG=0

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

# `tests/structure.rs` holds these two lists to the test targets.
fast=(
    allocations allowances attack_list attacks bound_sessions cache cookies dpop_flood
    embedded_attacks gate guards hyper introspection key_choice key_errors memory_store mtls openid
    own_subjects page_renewal prose protected_resource provider_sessions providers public_pages
    readiness rejections remote_keys revocation revocation_set revoked_sessions rfc9068 rfc_vectors
    session_data session_routes session_store sessions step_up structure
)
# Only the whole check runs these.
slow=(embedded_crash embedded_faults properties)

step "format"
cargo fmt --check
step "clippy"
cargo clippy --locked --all-targets --all-features -- -D warnings
# `--all-targets` leaves out the test targets that `cargo test` skips.
cargo clippy --locked --all-features --test "*" -- -D warnings
step "tests"
cargo test --locked --all-features --lib --bin=gate "${fast[@]/#/--test=}"
step "passed without ${slow[*]}"
