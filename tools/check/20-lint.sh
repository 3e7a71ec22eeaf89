#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# clippy over the host's workspace.
. tools/check/result.sh

try "clippy, host" tools/lab/cargo clippy --quiet --locked --manifest-path rust/Cargo.toml \
	--workspace --all-targets -- -D warnings
