#!/usr/bin/env bash
# Counts instructions by callgrind, which a busy machine does not disturb. The subjects are those of
# the benches: a request whose token is not in the cache, one with a fresh DPoP proof, and one with
# an opaque token whose answer is remembered.
#
# Instructions are not times: a signature check has more of them in a nanosecond. Valgrind also
# hides SHA-NI and AVX-512 from the code, so hashes take ten times the instructions.
#
# The first argument is the number of requests, 200 by default. Installs valgrind, a Debian package,
# as root if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-200}

command -v valgrind > /dev/null || apt-get install -y valgrind > /dev/null
benches=(--bench cache_miss --bench dpop --bench introspection)
built=$(cargo bench --locked --no-run --features introspection "${benches[@]}" --message-format=json)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints the instructions of one run of each subject, and their ratios.
counts() {
    local name=$1 bench
    bench=$(grep -o "\"executable\":\"[^\"]*/$2-[^\"]*\"" <<< "$built" | cut -d '"' -f 4)
    shift 2
    valgrind -q --tool=callgrind --callgrind-out-file="$work/counts" "$bench" "$@" "$count" > /dev/null
    callgrind_annotate --inclusive=yes --show=Ir --threshold=100 "$work/counts" 2> /dev/null |
        awk -v name="$name" -v count="$count" '
            match($0, /counted_[a-z]+/) {
                subject = substr($0, RSTART + 8, RLENGTH - 8)
                if (subject in each) next
                gsub(/,/, "", $1)
                each[subject] = $1 / count
            }
            END {
                over = each["ours"] - each["bare"]
                printf "%-13s bare %d, over bare %d", name, each["bare"], over
                if ("check" in each)
                    printf ", check %d, over check %d, over bare / check %.3f", each["check"],
                        over - each["check"], over / each["check"]
                if ("decode" in each)
                    printf ", decode %d, over bare / decode %.3f", each["decode"],
                        over / each["decode"]
                if ("jwt" in each)
                    printf ", cached JWT %d, ratio %.3f", each["jwt"] - each["bare"],
                        over / (each["jwt"] - each["bare"])
                print ""
            }'
}

for algorithm in HS256 RS256 ES256 EdDSA; do
    counts "$algorithm" cache_miss count "$algorithm"
done
counts DPoP dpop count
counts introspection introspection count
