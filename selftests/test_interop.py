#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""OpenPGM (Debian's libpgm) receives what we send, and we what it sends."""

import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import exchange
import ktap
import openpgm
import variant

ktap.usual_variants(variant.ALL)

# Is the source ours, how many receivers are ours, how many OpenPGM's.
DIRECTIONS = {
    "to_openpgm": (True, 0, 1),
    "from_openpgm": (False, 1, 0),
}


@ktap.each(exchange.cells(DIRECTIONS), timeout=90)
def cell(case):
    """Messages of one packet and fragmented ones: all arrive, whatever is lost."""
    exchange.exchange(*case)


if __name__ == "__main__":
    ktap.main(openpgm.need)
