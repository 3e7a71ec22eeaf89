#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Memory is refused to trays: packets wait as they came, and nothing of them is lost, or is charged for ever.

Needs a kernel with CONFIG_FAULT_INJECTION, which the debug kernel has and a stock one has not.
"""

import os
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/lib")

import faults
import ktap
import pgm
from waiting import SIZE, Gap, held, nothing_left, receiver

MESSAGES = 400


@ktap.each(
    {
        "none": ("Tray::new", {"failslab": 100}),
        "without_memory": ("Tray::new", {"fail_page_alloc": 50}),
        "without_clones": ("Tray::put", {"failslab": 50}),
    }
)
def refused(how):
    """Behind a missing packet, and behind a reader."""
    function, percent = how
    with faults.balanced(), receiver() as (sock, probe):
        with faults.refusing(faults.rust(function), **percent) as counts:
            gap = Gap(probe, MESSAGES // 2)
            ktap.wait_for(lambda: pgm.stats(sock)["odata"] == 1 + gap.count, "all have come")
            expected = [b"first", *gap.close()]
            for number in range(MESSAGES // 2):
                expected.append(b"%0*d" % (SIZE, number))
                gap.source.odata(3 + gap.count + number, expected[-1])
            count = 1 + gap.count + MESSAGES // 2
            ktap.wait_for(lambda: pgm.stats(sock)["odata"] == count, "all of the others, too")
            each = held(sock) / sum(map(len, expected))
        ktap.note(f"{each:.2f} bytes a byte, {counts}")
        assert all(counts.values()), counts
        if percent == {"failslab": 100}:
            assert each > 2, each
        pgm.same([sock.recv(1 << 16) for _ in expected], expected)
        ktap.equal(pgm.stats(sock)["lost"], 0)
        nothing_left(sock)


if __name__ == "__main__":
    ktap.main(faults.need)
