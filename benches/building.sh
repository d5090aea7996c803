#!/usr/bin/env bash
# Counts what each feature adds to a project with axum and jsonwebtoken: crates, and seconds of a
# clean release build. Prints a Markdown table.
#
#   bash benches/building.sh [ROUNDS [FEATURE...]]
#
# Builds take turns, five rounds by default, and each round builds the project without this crate
# too. The figures are medians. With 0 rounds it only counts. `default` is compared with the project
# itself, `rust_crypto` with a project that uses RustCrypto too, and the others with `default`.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
rounds=${1:-5}
shift $(($# > 0))
features=("$@")
((${#features[@]})) || features=(default rust_crypto embedded redis jwks introspection testing gate)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A project with a back-end of jsonwebtoken, and with this crate if further arguments are given.
project() {
    local name=$1 back_end=$2 ours=${3:-}
    mkdir -p "$work/$name/src"
    cp Cargo.lock "$work/$name/"
    echo 'fn main() {}' > "$work/$name/src/main.rs"
    cat > "$work/$name/Cargo.toml" << END
[package]
name = "project"
version = "0.0.0"
edition = "2024"
[workspace]
[dependencies]
axum = "0.8"
jsonwebtoken = { version = "11", default-features = false, features = ["use_pem", "$back_end"] }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
END
    if [[ -n $ours ]]; then
        echo "tower-jwt-auth = { path = \"$root\", $ours }" >> "$work/$name/Cargo.toml"
    fi
}

crates() {
    cargo tree --quiet --manifest-path "$work/$1/Cargo.toml" --edges normal --prefix none |
        awk '{ print $1, $2 }' | sort -u > "$work/$1/crates"
}

# The seconds of a clean build. What others download must not count.
build() {
    cargo fetch --quiet --manifest-path "$work/$1/Cargo.toml"
    local began=$EPOCHREALTIME
    CARGO_TARGET_DIR=$work/target cargo build --quiet --release --offline \
        --manifest-path "$work/$1/Cargo.toml"
    awk -v began="$began" -v ended="$EPOCHREALTIME" 'BEGIN { print ended - began }' \
        >> "$work/$1/seconds"
    rm -rf "$work/target"
}

compared_with() {
    case $1 in
    default) echo project ;;
    rust_crypto) echo rust-crypto-project ;;
    *) echo default ;;
    esac
}

project project aws_lc_rs
project rust-crypto-project rust_crypto
project default aws_lc_rs 'default-features = true'
for feature in "${features[@]}"; do
    case $feature in
    default) ;;
    rust_crypto)
        project "$feature" rust_crypto \
            'default-features = false, features = ["axum", "rust_crypto", "tracing"]'
        ;;
    *) project "$feature" aws_lc_rs "features = [\"$feature\"]" ;;
    esac
done

# What is built: the features, and what they are compared with.
built=$(for feature in "${features[@]}"; do
    compared_with "$feature"
    echo "$feature"
done | sort -u)
for name in $built; do crates "$name"; done
for ((round = 0; round < rounds; round++)); do
    for name in $built; do build "$name"; done
done

# The median of what the first took longer, round by round.
added_seconds() {
    paste "$work/$1/seconds" "$work/$2/seconds" | awk '{ print $1 - $2 }' | sort -n |
        awk '{ all[NR] = $1 } END { printf "%.1f", all[int((NR + 1) / 2)] }'
}

echo '| feature | compared with | crates it adds | seconds it adds |'
echo '| --- | --- | --- | --- |'
for feature in "${features[@]}"; do
    other=$(compared_with "$feature")
    added=$(comm -23 "$work/$feature/crates" "$work/$other/crates" | wc -l)
    seconds=-
    ((rounds == 0)) || seconds=$(added_seconds "$feature" "$other")
    echo "| \`$feature\` | $other | $added | $seconds |"
done
for name in project rust-crypto-project default; do
    [[ -e $work/$name/crates ]] || continue
    echo "$name: $(wc -l < "$work/$name/crates") crates"
done
