#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# clippy over the host's workspace.
. tools/check/result.sh

try "clippy, host" tools/lab/cargo clippy --quiet --locked --manifest-path rust/Cargo.toml \
	--workspace --all-targets -- -D warnings

manual() {
	local page
	for page in Documentation/man/man*/*; do
		mandoc -Tlint "$page" || return
	done
}

# What man(1) shows is asked of whoever has these programs.
if command -v mandoc >/dev/null; then
	try "mandoc -Tlint" manual
else
	echo "ok mandoc -Tlint # SKIP not installed"
fi
