#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every fuzz target for FUZZ_SECONDS (20), from its committed corpus. The flags
# are those of cargo-fuzz without the address sanitizer, so that any toolchain
# will do: there is no unsafe code to watch.
cd rust/fuzz 2>/dev/null || { echo "ok fuzz # SKIP no targets yet" && exit; }
command -v cargo >/dev/null || { echo "ok fuzz # SKIP no cargo on the host" && exit; }

export CARGO_TARGET_DIR=${PGM_CACHE:-$HOME/.cache/pgm-linux}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module \
	-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# With --target the flags do not reach build scripts.
cargo build --quiet --release --locked --target "$host" || exit

for source in fuzz_targets/*.rs; do
	target=$(basename "$source" .rs)
	found=$(mktemp -d)
	if "$CARGO_TARGET_DIR/$host/release/$target" -max_total_time="${FUZZ_SECONDS:-20}" -timeout=10 \
		-artifact_prefix="$found/" "$found" "corpus/$target" 2>&1; then
		echo "ok fuzz $target"
		rm -r "$found"
	else
		echo "not ok fuzz $target (inputs: $found)"
	fi
done
