#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# rustfmt of the kernel's toolchain over all of the Rust, shellcheck where it is.
. tools/check/result.sh

rustfmt() {
	local -a files
	mapfile -t files < <(find rust tools selftests -name '*.rs' -not -path '*/target/*')
	tools/lab/lab shell-in rustfmt --color never --edition 2021 --config-path rust/rustfmt.toml --check "${files[@]}"
}

scripts() {
	grep -rlEI '^#!/bin/(ba)?sh' .ci tools selftests
}

try "rustfmt" rustfmt
if command -v shellcheck >/dev/null; then
	# shellcheck disable=SC2046 # no blanks in our names
	try "shellcheck" shellcheck -S warning $(scripts)
else
	echo "ok shellcheck # SKIP not installed"
fi
