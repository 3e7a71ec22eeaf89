# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the steps.

# try NAME COMMAND...: one result line, after what the command prints.
try() {
	local name=$1
	shift
	if "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
	fi
}
