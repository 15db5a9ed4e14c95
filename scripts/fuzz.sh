#!/bin/sh
# Fuzzes lanboot with libFuzzer; see docs/fuzzing.md.
#
# usage: scripts/fuzz.sh [-n RUNS] [-c FOLDER] [TARGET...]
#   RUNS     inputs for each target, by default 1000000
#   FOLDER   where new inputs are kept, by default target/fuzz/corpus; the inputs of fuzz/corpus are read too
#   TARGET   by default all: options conf toml decoder engine tftp dns query hosts leases
# usage: scripts/fuzz.sh merge
#   makes fuzz/corpus anew: the fewest and smallest inputs of both that reach what all of them reach
set -eu
cd "$(dirname "$0")/.."

all='options conf toml decoder engine tftp dns query hosts leases'
runs=1000000
found=target/fuzz/corpus
merge=
if [ "${1:-}" = merge ]; then
    merge=yes
    shift
fi
while getopts n:c: option; do
    case $option in
    n) runs=$OPTARG ;;
    c) found=$OPTARG ;;
    *) sed -n '2,9s/^#//p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- $all

scripts/setup.sh fuzz

# Coverage is LLVM's, in stable Rust too: no other compiler, no sanitizer (there is no unsafe code in the targets' way).
# With --target, none of it reaches build scripts.
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table'
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$(echo $flags) ${CARGO:-cargo} build --release --target "$host" \
    --manifest-path fuzz/libfuzzer/Cargo.toml --target-dir target/fuzz/build
fuzzer=$PWD/target/fuzz/build/$host/release/libfuzzer

for target; do
    export FUZZ_TARGET="$target"
    mkdir -p "$found/$target" "target/fuzz/failed/$target"
    if [ "$merge" ]; then
        rm -rf target/fuzz/merged
        mkdir -p target/fuzz/merged
        "$fuzzer" -set_cover_merge=1 -use_counters=0 -timeout=20 target/fuzz/merged "fuzz/corpus/$target" "$found/$target"
        # What once went wrong stays, whatever else reaches the same code.
        cp fuzz/corpus/"$target"/crash-* target/fuzz/merged/ 2>/dev/null || true
        rm -rf "fuzz/corpus/$target"
        mv target/fuzz/merged "fuzz/corpus/$target"
        continue
    fi
    dictionary=
    [ -f "fuzz/dictionary/$target" ] && dictionary=-dict=fuzz/dictionary/$target
    echo "== $target: $runs runs =="
    # Longer ones show little that is new, and take their time.
    case $target in conf | toml) most=400 ;; engine) most=250 ;; *) most=700 ;; esac
    "$fuzzer" $dictionary -runs="$runs" -max_len=$most -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/failed/$target/" "$found/$target" "fuzz/corpus/$target"
done
