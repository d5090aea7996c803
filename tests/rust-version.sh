#!/usr/bin/env bash
# Fails if a dependency needs a newer Rust than Cargo.toml states. Clippy's `incompatible_msrv`
# checks the crate itself.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo metadata --locked --format-version 1 --all-features | python3 -c '
import json, sys

meta = json.load(sys.stdin)
packages = {package["id"]: package for package in meta["packages"]}
nodes = {node["id"]: node for node in meta["resolve"]["nodes"]}
root = meta["resolve"]["root"]
version = lambda text: (tuple(int(part) for part in text.split(".")) + (0, 0))[:3]
ours = version(packages[root]["rust_version"])

# What a user of the crate builds: normal and build dependencies.
todo, seen = [root], set()
while todo:
    current = todo.pop()
    if current in seen:
        continue
    seen.add(current)
    for dependency in nodes[current]["deps"]:
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
            todo.append(dependency["pkg"])

newer = [
    "{name} {version} wants {rust_version}".format(**packages[one])
    for one in seen
    if packages[one]["rust_version"] and version(packages[one]["rust_version"]) > ours
]
for line in newer:
    print(line)
stated = packages[root]["rust_version"]
print(f"{len(seen)} packages, {len(newer)} that want a newer Rust than {stated}")
sys.exit(bool(newer))
'
