#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Instructions per message, against the committed figures.
make --no-print-directory lab-modules || exit
exec tools/bench/run --check 'messages/pgm*' 'batches/pgm*'
