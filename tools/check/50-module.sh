#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module: builds without a warning, clippy with the kernel's lints, and no
# way to panic.
. tools/check/result.sh

if ! tools/lab/lab make; then
	echo "not ok module builds"
	exit 1
fi
echo "ok module builds"
try "clippy, module" tools/lab/lab make CLIPPY=1
for module in pgm pgm_diag; do
	try "no panic in $module.ko" tools/lab/lab shell-in tools/check/panics build/module/$module.ko
done
