#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# clippy over the host's workspace, mandoc over the manual pages, whether syzkaller is told of all options,
# and what all is made of.
. tools/check/result.sh

try "clippy, host" tools/lab/cargo clippy --quiet --locked --manifest-path rust/Cargo.toml \
	--workspace --all-targets -- -D warnings

manual() {
	local page
	for page in Documentation/man/man*/*; do
		tools/lab/lab shell-in mandoc -Tlint "$page" || return
	done
}

try "mandoc -Tlint" manual

try "descriptions for syzkaller" tools/syzkaller/check

tools/check/supply
