#!/bin/sh
# Measures lanboot beside other servers; as root. Arguments: benches/src/main.rs.
set -eu
cd "$(dirname "$0")/.."
${CARGO:-cargo} build --release --locked -p lanboot -p bench
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
