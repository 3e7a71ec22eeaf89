#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The selftests in the debug kernel, and what it logged from its first line to
# its last. Not a step of make check: make check-debug.
tools/lab/lab debug-make && make --no-print-directory tool libpgm storm interop-peer || exit
# More guests than processors, as much of their time is spent waiting.
tools/check/selftests debug 3 build/debug/pgm.ko --debug --cpus 2

# And one that stands still now and then, as no guest can do to itself.
tools/lab/lab run --debug --pause 0.3,0.3 --timeout 600 --console build/check/debug-paused-console.log \
	env PGM_PAUSES=20 PGM_KO=/src/build/debug/pgm.ko PGM_TOOL=/src/build/pgm selftests/run debug_paused ||
	echo "not ok debug_paused: ended with status $?"

