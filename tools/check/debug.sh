#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The selftests in the debug kernel, and what it logged from its first line to
# its last. Not a step of make check: make check-debug.
tools/lab/lab debug-make && make --no-print-directory tool libpgm storm interop-peer || exit
exec tools/check/selftests debug build/debug/pgm.ko --debug --cpus 2
