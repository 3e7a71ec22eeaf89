#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The selftests, in the guest.
make --no-print-directory lab-modules tool || exit
tools/lab/lab run --timeout 2400 --console build/check/guest-console.log \
	env PGM_KO=/src/build/module/pgm.ko PGM_TOOL=/src/build/pgm selftests/run
