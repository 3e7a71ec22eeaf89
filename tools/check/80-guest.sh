#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The selftests in the stock kernel.
make --no-print-directory lab-modules tool libpgm storm interop-peer || exit
exec tools/check/selftests guest 2 build/module/pgm.ko
