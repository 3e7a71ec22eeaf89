#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two receivers of OpenPGM and two of ours hear one source, of either kind."""

import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import exchange
import ktap
import openpgm
import referee
import variant

ktap.usual_variants(variant.ALL)

# Is the source ours, how many receivers are ours, how many OpenPGM's.
DIRECTIONS = {
    "from_us": (True, 2, 2),
    "from_openpgm": (False, 2, 2),
}
CELLS = exchange.cells(DIRECTIONS)
# Over IPv6 a receiver of OpenPGM often gives up there, see Documentation/interop.rst.
LOSSY = {name: case for name, case in CELLS.items() if case[-1] == exchange.LOSSES[-1]}


@ktap.each({name: case for name, case in CELLS.items() if name not in LOSSY}, timeout=90)
def cell(case):
    """All receivers get all of it, whoever asked for the repairs."""
    exchange.exchange(*case)


@ktap.each(LOSSY, timeout=90, variants=(variant.V4, variant.V4_UDP))
def lossy_cell(case):
    """The same, with NAKs and repairs from all."""
    exchange.exchange(*case)


@ktap.test(variants=(variant.V4,))
def test_tshark():
    """An independent dissector finds nothing malformed in all of these runs."""
    # req: WIRE-02 WIRE-13
    referee.decoded()


if __name__ == "__main__":
    ktap.main(openpgm.need)
