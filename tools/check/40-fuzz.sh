#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every fuzz target for FUZZ_SECONDS (5), from its committed corpus.
export CARGO_TARGET_DIR=${PGM_CACHE:-$HOME/.cache/pgm-linux}/fuzz PGM_FUZZ_OUT=build/fuzz

for target in $(tools/fuzz --list); do
	tools/fuzz "$target" "${FUZZ_SECONDS:-5}"
	case $? in
	0) echo "ok fuzz $target" ;;
	77) echo "ok fuzz $target # SKIP cannot be built with coverage here" ;;
	*) echo "not ok fuzz $target (input in $PGM_FUZZ_OUT)" ;;
	esac
done
