#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two receivers of OpenPGM and two of ours hear one source, of either kind."""

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
    "from_us_at_0_1_5_percent": (True, 2, 2),
    "from_openpgm_at_0_1_5_percent": (False, 2, 2),
}


@ktap.each(DIRECTIONS, timeout=90)
def direction(case):
    """The same: all receivers get all of it, whoever asked for the repairs."""
    exchange.exchange(*case)


if __name__ == "__main__":
    ktap.main(openpgm.need)
