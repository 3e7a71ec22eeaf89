#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# cargo test: one result a test program, and one for every test that fails.
set -o pipefail

tools/lab/cargo test --locked --no-fail-fast --manifest-path rust/Cargo.toml --workspace 2>&1 | awk '
	{ print }
	$1 == "Running" { suite = $NF; gsub(/^.*\/|-[0-9a-f]*\)$/, "", suite) }
	$1 == "Doc-tests" { suite = $2 " (documentation)" }
	/^test .* \.\.\. FAILED/ { print "not ok " suite ": " $2 }
	/^test result: ok/ && $4 > 0 { print "ok " suite ": " $4 " tests" }
	{ fflush() }'
